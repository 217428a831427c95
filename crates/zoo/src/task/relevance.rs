//! Documents of a query, to be scored together, put in order, or scored one by one.
//!
//! Prompt `ac+|abd4|ace7|bde1`: a query for the letters a and c, which likes great numbers (`-` for small ones), and three documents with their letters and
//! a number each. A document is worth a point for each letter of the query that it has, and one more where its number is the greatest (least) of the
//! group: no document tells that by itself. Solution `<answer>{"1":1,"2":3,"3":0}</answer>`, or as an order `<answer>[2,1,3]</answer>`, behind a look at each
//! document where the recipe asks for one.

use cohort_core::Stream;
use cohort_env::{Codec, Limits, Task, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    draw::Draw,
    items::{self, Made, refused},
};

/// Queries with their documents. Columns: `prompt`, `answer` (the scores as JSON, or the order), `relevance` and `scores` (an object, a number a document, which
/// `ndcg`, `recall_at_k` and `score_divergence` read), `documents` (how many), `solution`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Relevance {
    /// Items to learn from.
    pub train: usize,
    /// Items to choose by.
    pub dev: usize,
    /// Items to judge with once.
    pub test: usize,
    /// Which items there are, in which split, and how each is solved.
    pub seed: u64,
    /// What is asked for.
    pub form: Asked,
    /// What stands before it.
    pub thought: Thought,
    /// The fewest and the most documents of a query, equally often; 1 and 1 asks about single documents.
    pub documents: [usize; 2],
    /// Letters that there are, from a on.
    pub letters: usize,
    /// Letters of a query.
    pub wanted: usize,
    /// Letters of a document.
    pub held: usize,
    /// The probability that a solution has the right score for a document, each by itself; a wrong score is off by 1. Of an order it is the
    /// probability that nothing is exchanged: else two neighbours are.
    pub right: f64,
    /// The probability that a solution has its tags and no JSON in them.
    pub unreadable: f64,
    /// The probability that a solution lacks its tags.
    pub untagged: f64,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// A score for every document, by its number from 1: `{"1":1,"2":3,"3":0}`.
    #[default]
    Scores,
    /// The documents by their numbers from 1, best first; equal ones in their order: `[2,1,3]`.
    Order,
}

/// What stands before the scores or the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Thought {
    /// Nothing.
    #[default]
    None,
    /// The documents in turn, each with how many of the query's letters it has and the best document so far, by its number:
    /// `<think>1abd4:1,1|2ace7:2,2|3bde1:0,2</think>`. It is always right, so that what is wrong is in the scores. A policy of two layers learns it
    /// in some hundred steps, since every token is near what it depends on.
    Scan,
}

impl Default for Relevance {
    fn default() -> Self {
        Self {
            train: 4096,
            dev: 256,
            test: 512,
            seed: 0,
            form: Asked::Scores,
            thought: Thought::None,
            documents: [3, 4],
            letters: 6,
            wanted: 2,
            held: 3,
            right: 0.7,
            unreadable: 0.1,
            untagged: 0.1,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sense {
    Great,
    Small,
}

struct Question {
    wanted: Vec<usize>,
    sense: Sense,
    documents: Vec<(Vec<usize>, u64)>,
}

impl Relevance {
    /// What the recipe must not say.
    ///
    /// # Errors
    /// [`TaskError::Refused`], with the key.
    pub fn check(&self) -> Result<(), TaskError> {
        items::sizes("relevance", [self.train, self.dev, self.test])?;
        let key = |field: &str| format!("task.relevance.{field}");
        let [least, most] = self.documents;
        if least == 0 || least > most || most > 9 {
            let (got, hint) = (format!("{:?}", self.documents), "the fewest and the most, such as [3, 4]");
            return Err(refused(key("documents"), "must be two numbers of 1 to 9, in order", got, hint));
        }
        if !(2..=26).contains(&self.letters) {
            return Err(refused(key("letters"), "must be in 2..=26", self.letters, "from a on"));
        }
        for (field, count) in [("wanted", self.wanted), ("held", self.held)] {
            if count == 0 || count > self.letters.min(8) {
                let hint = "none occurs twice, and scores have one digit";
                return Err(refused(key(field), "must be at least 1 and at most `letters` and 8", count, hint));
            }
        }
        for (field, share) in [("right", self.right), ("unreadable", self.unreadable), ("untagged", self.untagged)] {
            items::in_unit(key(field), share)?;
        }
        Ok(())
    }

    /// The splits share no prompt.
    ///
    /// # Errors
    /// Those of [`Relevance::check`]; more items than there are; a tokenizer or a model that cannot hold an item.
    pub fn build(&self, codec: &dyn Codec, limits: Limits) -> Result<Task, TaskError> {
        self.check()?;
        let [least, most] = self.documents;
        let make = |kind: usize, draw: &mut Draw| {
            let question = self.question(least + kind, draw);
            (question.prompt(), question)
        };
        let (sizes, kinds) = ([self.train, self.dev, self.test], vec![1.0; most - least + 1]);
        let splits = items::splits(sizes, &kinds, u128::MAX, Stream::new(self.seed, "relevance/questions"), make)
            .map_err(|short| short.refused("task.relevance.letters".into(), self.letters))?;
        let made = items::solved(splits, Stream::new(self.seed, "relevance/solutions"), |question, draw| {
            self.made(question, draw)
        });
        items::task("relevance", made, self.seed, codec, limits)
    }

    fn question(&self, documents: usize, draw: &mut Draw) -> Question {
        let letters: Vec<usize> = (0..self.letters).collect();
        let some = |n: usize, draw: &mut Draw| {
            let mut some = draw.some_of(n, &letters);
            some.sort_unstable();
            some
        };
        let wanted = some(self.wanted, draw);
        let sense = if draw.chance(0.5) { Sense::Great } else { Sense::Small };
        // No two are equal, so that one is the greatest and one the least.
        let numbers = draw.some_of(documents, &(0..10).collect::<Vec<u64>>());
        let documents = numbers.into_iter().map(|number| (some(self.held, draw), number)).collect();
        Question { wanted, sense, documents }
    }

    fn made(&self, question: &Question, draw: &mut Draw) -> Made {
        let relevance = question.relevance();
        let most = self.wanted as u64 + 1;
        let slip = |score: u64, draw: &mut Draw| match draw.chance(self.right) {
            true => score,
            false if score == 0 => 1,
            false if score == most || draw.chance(0.5) => score - 1,
            false => score + 1,
        };
        let (answer, said) = match self.form {
            Asked::Scores => (relevance.clone(), relevance.iter().map(|&score| slip(score, draw)).collect()),
            Asked::Order => {
                let order = order(&relevance);
                let mut said = order.clone();
                if said.len() > 1 && !draw.chance(self.right) {
                    let at = draw.below(said.len() as u64 - 1) as usize;
                    said.swap(at, at + 1);
                }
                (order, said)
            }
        };
        let mut text = self.form.written(&said);
        if draw.chance(self.unreadable) {
            text.pop();
        }
        let thought = match self.thought {
            Thought::None => String::new(),
            Thought::Scan => format!("<think>{}</think>", question.scan()),
        };
        let solution = match draw.chance(self.untagged) {
            true => format!("{thought}{text}"),
            false => format!("{thought}<answer>{text}</answer>"),
        };
        let by_document: Map<String, Value> = (1..)
            .zip(&relevance)
            .map(|(number, score): (usize, &u64)| (number.to_string(), Value::from(*score)))
            .collect();
        Made {
            prompt: question.prompt(),
            answer: Value::from(self.form.written(&answer)),
            solution,
            columns: vec![
                ("relevance", Value::from(by_document.clone())),
                ("scores", Value::from(by_document)),
                ("documents", Value::from(question.documents.len())),
            ],
        }
    }
}

impl Question {
    fn prompt(&self) -> String {
        let sense = match self.sense {
            Sense::Great => '+',
            Sense::Small => '-',
        };
        let documents: Vec<String> =
            self.documents.iter().map(|(held, number)| format!("{}{number}", letters(held))).collect();
        format!("{}{sense}|{}", letters(&self.wanted), documents.join("|"))
    }

    /// How many of the query's letters a document has.
    fn shared(&self, held: &[usize]) -> u64 {
        held.iter().filter(|letter| self.wanted.contains(letter)).count() as u64
    }

    /// The index of the greatest, or least, number among the first `count` documents.
    fn best_of(&self, count: usize) -> Option<usize> {
        let numbers = self.documents[..count].iter().map(|(_, number)| *number).enumerate();
        let best = match self.sense {
            Sense::Great => numbers.max_by_key(|(_, number)| *number),
            Sense::Small => numbers.min_by_key(|(_, number)| *number),
        };
        best.map(|(index, _)| index)
    }

    /// What each document is worth.
    fn relevance(&self) -> Vec<u64> {
        let best = self.best_of(self.documents.len());
        let worth =
            |(index, (held, _)): (usize, &(Vec<usize>, u64))| self.shared(held) + u64::from(Some(index) == best);
        self.documents.iter().enumerate().map(worth).collect()
    }

    /// A look at each document: its letters that are asked for, and which is the best so far.
    fn scan(&self) -> String {
        let look = |(index, (held, number)): (usize, &(Vec<usize>, u64))| {
            let best = self.best_of(index + 1).map_or(0, |best| best + 1);
            format!("{}{}{number}:{},{best}", index + 1, letters(held), self.shared(held))
        };
        self.documents.iter().enumerate().map(look).collect::<Vec<_>>().join("|")
    }
}

/// Numbers from 1, by what they are worth.
fn order(relevance: &[u64]) -> Vec<u64> {
    let mut order: Vec<usize> = (0..relevance.len()).collect();
    order.sort_by_key(|&document| std::cmp::Reverse(relevance[document]));
    order.into_iter().map(|document| document as u64 + 1).collect()
}

fn letters(some: &[usize]) -> String {
    some.iter().map(|&letter| char::from(b'a' + letter as u8)).collect()
}

impl Asked {
    /// Scores of the documents, or their numbers in order, as JSON without blanks.
    fn written(self, numbers: &[u64]) -> String {
        let joined = |parts: Vec<String>| parts.join(",");
        match self {
            Asked::Scores => {
                let scored =
                    (1..).zip(numbers).map(|(document, score): (usize, &u64)| format!("\"{document}\":{score}"));
                format!("{{{}}}", joined(scored.collect()))
            }
            Asked::Order => format!("[{}]", joined(numbers.iter().map(u64::to_string).collect())),
        }
    }
}
