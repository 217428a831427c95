//! Pairs of coded responses to judge, in one turn or in two.
//!
//! Prompt `z:a3b7c1/a6b2c4=`: a kind of question, and of either response a mark for each criterion. The kind says which criterion
//! decides: the response with the higher mark there is the better one, and nothing in the prompt says which criterion that is.

use std::collections::HashSet;

use cohort_core::{Stream, random::permutation};
use cohort_env::{Codec, Limits, Task, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    draw::{Draw, apportion, distinct},
    items::{self, Made, refused},
};

/// Pairs of coded responses of which one is better, by a criterion that depends on the kind of question. Some worked solutions are
/// a verdict, `<answer>2</answer>`; the others have two turns, first what to look at, then a second look and the verdict:
/// `b;7/2<answer>1</answer>` under the prompt with the mark behind it.
///
/// Columns: `prompt`, `answer` (`1` or `2`), `solution`, `kind`, `criterion` (the one that decides), `conflict` (whether all other
/// criteria point to the other response; else they point to the same), `turns` (1 or 2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Judging {
    /// Items to learn from.
    pub train: usize,
    /// Items to choose by.
    pub dev: usize,
    /// Items to judge with once.
    pub test: usize,
    /// Which items there are, in which split, how each is solved, and which criterion decides in which kind.
    pub seed: u64,
    /// Criteria that a response has a mark for: the first letters of the alphabet.
    pub criteria: usize,
    /// Kinds of questions: the last letters of the alphabet. Every criterion decides in as many kinds as any other, or in one more.
    pub kinds: usize,
    /// The share of the pairs in which all other criteria point the other way, in every split.
    pub conflict: f64,
    /// The share of the train items that are solved in two turns: a probability, drawn for each item.
    pub two_turns: f64,
    /// What stands behind the prompt of two turns, and tells them from a verdict in one.
    pub mark: String,
    /// The probability that a solution in two turns looks at the criterion that decides; else it looks at any other.
    pub focused: f64,
    /// The probability that a verdict is that of the criterion looked at (of the one that decides, in one turn).
    pub right: f64,
}

impl Default for Judging {
    fn default() -> Self {
        Self {
            train: 4096,
            dev: 256,
            test: 512,
            seed: 0,
            criteria: 5,
            kinds: 5,
            conflict: 0.5,
            two_turns: 0.5,
            mark: "!".into(),
            focused: 0.3,
            right: 0.9,
        }
    }
}

/// Which response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    First,
    Second,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Side::First => Side::Second,
            Side::Second => Side::First,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Side::First => "1",
            Side::Second => "2",
        }
    }
}

struct Pair {
    kind: usize,
    /// Marks of the first and the second response, for each criterion; no two are equal.
    marks: Vec<[u64; 2]>,
    better: Side,
    is_conflict: bool,
}

impl Judging {
    /// What the recipe must not say.
    ///
    /// # Errors
    /// [`TaskError::Refused`], with the key.
    pub fn check(&self) -> Result<(), TaskError> {
        items::sizes("judging", [self.train, self.dev, self.test])?;
        let key = |field: &str| format!("task.judging.{field}");
        if !(2..=12).contains(&self.criteria) {
            return Err(refused(key("criteria"), "must be in 2..=12", self.criteria, "criteria are letters from a on"));
        }
        if self.kinds < self.criteria || self.kinds > 14 {
            let hint = "every criterion decides in one kind at least; kinds are letters up to z";
            return Err(refused(key("kinds"), "must be in `criteria`..=14", self.kinds, hint));
        }
        if self.mark.is_empty() {
            let hint = "without one two turns are not told from one";
            return Err(refused(key("mark"), "must not be empty", "\"\"", hint));
        }
        items::in_unit(key("conflict"), self.conflict)?;
        items::in_unit(key("two_turns"), self.two_turns)?;
        items::in_unit(key("focused"), self.focused)?;
        items::in_unit(key("right"), self.right)
    }

    /// The splits share no prompt. Every split has its share of conflicts, to the item, and in each half of its pairs the first
    /// response is the better one.
    ///
    /// # Errors
    /// Those of [`Judging::check`]; more items than there are; a tokenizer or a model that cannot hold an item.
    pub fn build(&self, codec: &dyn Codec, limits: Limits) -> Result<Task, TaskError> {
        self.check()?;
        let decides = self.decides();
        let mut seen = HashSet::new();
        let mut splits: [Vec<Pair>; 3] = Default::default();
        let (agree, conflict) = ((1.0 - self.conflict) / 2.0, self.conflict / 2.0);
        let strata = [(false, Side::First), (false, Side::Second), (true, Side::First), (true, Side::Second)];
        // 45 pairs of two different marks a criterion.
        let size = 45u128.saturating_pow(self.criteria as u32).saturating_mul(self.kinds as u128);
        for split in [2, 1, 0] {
            let n = [self.train, self.dev, self.test][split];
            let counts = apportion(n, &[agree, agree, conflict, conflict]);
            for (stratum, ((is_conflict, better), n)) in strata.into_iter().zip(counts).enumerate() {
                let stream = Stream::new(self.seed, "judging/pairs");
                let make = |draw: &mut Draw| {
                    let pair = self.pair(is_conflict, better, &decides, draw);
                    (pair.prompt(), pair)
                };
                let found = distinct(n, size, stream, (4 * split + stratum) as u32, &mut seen, make);
                if found.len() < n {
                    let problem = format!("give {size} prompts of a sort, and the splits ask for more");
                    let hint = "give more criteria, or ask for fewer items";
                    return Err(refused("task.judging.criteria".into(), &problem, self.criteria, hint));
                }
                splits[split].extend(found);
            }
        }
        let stream = Stream::new(self.seed, "judging/solutions");
        let mut index = 0;
        let [train, dev, test] = splits;
        let made = [(self.two_turns, train), (0.0, dev), (0.0, test)].map(|(two_turns, split)| {
            let made = split.into_iter().map(|pair| {
                index += 1;
                self.made(&pair, &decides, two_turns, &mut Draw::of(stream.dice(index, 0, 0)))
            });
            made.collect()
        });
        items::task("judging", made, self.seed, codec, limits)
    }

    /// The criterion that decides in each kind.
    fn decides(&self) -> Vec<usize> {
        let order = permutation(self.kinds, Stream::new(self.seed, "judging/kinds").dice(0, 0, 0));
        let mut decides = vec![0; self.kinds];
        order.into_iter().enumerate().for_each(|(place, kind)| decides[kind] = place % self.criteria);
        decides
    }

    fn pair(&self, is_conflict: bool, better: Side, decides: &[usize], draw: &mut Draw) -> Pair {
        let kind = draw.below(self.kinds as u64) as usize;
        let marks = (0..self.criteria).map(|criterion| {
            // The larger of two different marks, and the smaller, each of the 45 equally often.
            let (a, b) = (draw.below(10), draw.below(9));
            let b = if b >= a { b + 1 } else { b };
            let (high, low) = (a.max(b), a.min(b));
            let side = if is_conflict && criterion != decides[kind] { better.other() } else { better };
            match side {
                Side::First => [high, low],
                Side::Second => [low, high],
            }
        });
        Pair { kind, marks: marks.collect(), better, is_conflict }
    }

    fn made(&self, pair: &Pair, decides: &[usize], two_turns: f64, draw: &mut Draw) -> Made {
        let criterion = decides[pair.kind];
        let is_in_two = draw.chance(two_turns);
        let is_focused = draw.chance(self.focused);
        let other = draw.below(self.criteria as u64 - 1) as usize;
        let looked_at = match is_in_two && !is_focused {
            true if other >= criterion => other + 1,
            true => other,
            false => criterion,
        };
        let [first, second] = pair.marks[looked_at];
        let seen = if first > second { Side::First } else { Side::Second };
        let said = if draw.chance(self.right) { seen } else { seen.other() };
        let verdict = format!("<answer>{}</answer>", said.name());
        let (behind, solution) = match is_in_two {
            true => (self.mark.as_str(), format!("{};{first}/{second}{verdict}", letter(looked_at))),
            false => ("", verdict),
        };
        Made {
            prompt: pair.prompt() + behind,
            answer: Value::from(pair.better.name()),
            solution,
            columns: vec![
                ("kind", Value::from(kind_letter(pair.kind).to_string())),
                ("criterion", Value::from(letter(criterion).to_string())),
                ("conflict", Value::from(pair.is_conflict)),
                ("turns", Value::from(1 + u32::from(is_in_two))),
            ],
        }
    }
}

impl Pair {
    fn prompt(&self) -> String {
        let of = |side: usize| -> String {
            let marks = self.marks.iter().enumerate();
            marks.map(|(criterion, marks)| format!("{}{}", letter(criterion), marks[side])).collect()
        };
        format!("{}:{}/{}=", kind_letter(self.kind), of(0), of(1))
    }
}

fn letter(criterion: usize) -> char {
    char::from(b'a' + criterion as u8)
}

fn kind_letter(kind: usize) -> char {
    char::from(b'z' - kind as u8)
}
