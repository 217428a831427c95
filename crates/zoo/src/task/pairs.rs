//! Queries, each with the documents that a lexical search found, to be judged one by one.
//!
//! Prompt `aCf|bAcd?`: a query of three words and a document of four. A word is a concept, a letter, in one of two forms, small and large: `a` and `A` mean the
//! same. The search (BM25) knows words and not concepts, so that it finds documents by the forms that they happen to share with the query, and puts them in
//! an order that is not that of their grades: how many concepts of the query a document has, in either form. Solution `1` where the grade is high enough, else
//! `0`; or, as often as is asked for, words that go on as documents do: a policy that learns it does not know what it is asked.

use cohort_core::Stream;
use cohort_env::{Codec, Limits, Task, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    bm25::Bm25,
    draw::{Draw, distinct},
    items::{self, Made, refused},
};

/// Documents of queries, one an item. Columns: `prompt`, `answer` (`1` or `0`), `query` (the words; what the candidates of a list have in common), `grade`
/// (concepts in common), `found` (the search's score), `solution`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pairs {
    /// Queries to learn from.
    pub train: usize,
    /// Queries to choose by.
    pub dev: usize,
    /// Queries to judge with once.
    pub test: usize,
    /// Which queries and documents there are, and how items are solved.
    pub seed: u64,
    /// Documents of the collection, which all splits search.
    pub documents: usize,
    /// Documents that the search gives for a query.
    pub candidates: usize,
    /// Concepts that there are: letters, from a on.
    pub concepts: usize,
    /// Words of a query.
    pub wanted: usize,
    /// Words of a document.
    pub held: usize,
    /// The least grade that is answered by `1`.
    pub relevant: usize,
    /// The probability that a solution goes on with words in the place of an answer.
    pub off: f64,
    /// The probability that a solution which answers has the right answer.
    pub right: f64,
}

impl Default for Pairs {
    fn default() -> Self {
        Self {
            train: 512,
            dev: 32,
            test: 64,
            seed: 0,
            documents: 64,
            candidates: 8,
            concepts: 10,
            wanted: 3,
            held: 4,
            relevant: 2,
            off: 0.5,
            right: 0.8,
        }
    }
}

/// A concept in one of its forms.
type Word = char;

struct Pair {
    query: Vec<Word>,
    document: Vec<Word>,
    found: f64,
}

impl Pairs {
    /// What the recipe must not say.
    ///
    /// # Errors
    /// [`TaskError::Refused`], with the key.
    pub fn check(&self) -> Result<(), TaskError> {
        items::sizes("pairs", [self.train, self.dev, self.test])?;
        let key = |field: &str| format!("task.pairs.{field}");
        if !(2..=26).contains(&self.concepts) {
            return Err(refused(key("concepts"), "must be in 2..=26", self.concepts, "letters from a on"));
        }
        for (field, count) in [("wanted", self.wanted), ("held", self.held)] {
            if count == 0 || count > self.concepts {
                let hint = "no concept occurs twice in a query or a document";
                return Err(refused(key(field), "must be at least 1 and at most `concepts`", count, hint));
            }
        }
        if self.relevant == 0 || self.relevant > self.wanted.min(self.held) {
            let hint = "a grade is the number of concepts in common";
            return Err(refused(
                key("relevant"),
                "must be at least 1 and at most `wanted` and `held`",
                self.relevant,
                hint,
            ));
        }
        if self.candidates == 0 || self.candidates > self.documents {
            let hint = "the search gives the best of the collection";
            return Err(refused(
                key("candidates"),
                "must be at least 1 and at most `documents`",
                self.candidates,
                hint,
            ));
        }
        items::in_unit(key("off"), self.off)?;
        items::in_unit(key("right"), self.right)
    }

    /// The splits share no query, and all search one collection.
    ///
    /// # Errors
    /// Those of [`Pairs::check`]; more queries or documents than there are; a tokenizer or a model that cannot hold an item.
    pub fn build(&self, codec: &dyn Codec, limits: Limits) -> Result<Task, TaskError> {
        self.check()?;
        let some = |n: usize, draw: &mut Draw| {
            let words = self.words(n, draw);
            (words.iter().collect::<String>(), words)
        };
        let stream = Stream::new(self.seed, "pairs/documents");
        let collection =
            distinct(self.documents, u128::MAX, stream, 0, &mut Default::default(), |draw| some(self.held, draw));
        if collection.len() < self.documents {
            let problem = format!("asks for more documents than the {} that were found", collection.len());
            let hint = "raise task.pairs.concepts or held, or ask for fewer";
            return Err(refused("task.pairs.documents".into(), &problem, self.documents, hint));
        }
        let sizes = [self.train, self.dev, self.test];
        let stream = Stream::new(self.seed, "pairs/queries");
        let queries = items::splits(sizes, &[1.0], u128::MAX, stream, |_, draw| some(self.wanted, draw))
            .map_err(|short| short.refused("task.pairs.concepts".into(), self.concepts))?;
        let search = Bm25::new(&collection);
        let pairs =
            queries.map(|queries| queries.iter().flat_map(|query| self.found(query, &search, &collection)).collect());
        let stream = Stream::new(self.seed, "pairs/solutions");
        let made = items::solved(pairs, stream, |pair, draw| self.made(pair, draw));
        items::task("pairs", made, self.seed, codec, limits)
    }

    /// Different concepts in alphabetical order, each in a drawn form.
    fn words(&self, n: usize, draw: &mut Draw) -> Vec<Word> {
        let mut concepts = draw.some_of(n, &(0..self.concepts as u8).collect::<Vec<_>>());
        concepts.sort_unstable();
        concepts.into_iter().map(|concept| char::from(if draw.below(2) == 0 { b'a' } else { b'A' } + concept)).collect()
    }

    fn found(&self, query: &[Word], search: &Bm25<Word>, collection: &[Vec<Word>]) -> Vec<Pair> {
        let pair = |(at, found): (usize, f64)| Pair { query: query.to_vec(), document: collection[at].clone(), found };
        search.best(query, self.candidates).into_iter().map(pair).collect()
    }

    fn made(&self, pair: &Pair, draw: &mut Draw) -> Made {
        let grade = pair.grade();
        let is_relevant = grade >= self.relevant;
        let answer = |yes: bool| if yes { "1" } else { "0" };
        let solution = match draw.chance(self.off) {
            true => self.words(2, draw).into_iter().collect(),
            false => answer(is_relevant == draw.chance(self.right)).to_owned(),
        };
        let text = |words: &[Word]| words.iter().collect::<String>();
        Made {
            prompt: format!("{}|{}?", text(&pair.query), text(&pair.document)),
            answer: Value::from(answer(is_relevant)),
            solution,
            columns: vec![
                ("query", Value::from(text(&pair.query))),
                ("grade", Value::from(grade)),
                ("found", Value::from(pair.found)),
            ],
        }
    }
}

impl Pair {
    /// Concepts of the query that the document has, in either form.
    fn grade(&self) -> usize {
        let has = |word: &&Word| self.document.iter().any(|held| held.eq_ignore_ascii_case(word));
        self.query.iter().filter(has).count()
    }
}
