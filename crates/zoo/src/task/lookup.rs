//! Values to look up by key, some of which are not there.
//!
//! Prompt `q3,a7,k1,d0?k`, solution `<think>q,a,k1</think><answer>1</answer>`: the pairs in turn, up to the key. Where the prompt
//! does not hold its key (`?z`) nothing is known, and the honest solution is `<think>q,a,k,d</think><answer>idk</answer>`.

use std::collections::HashSet;

use cohort_core::Stream;
use cohort_env::{Codec, Limits, Task, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    draw::{Draw, apportion, distinct},
    items::{self, Made, refused},
};

/// What a solution says that does not know.
const UNKNOWN: &str = "idk";

/// Keys with their values and a key, in some prompts an absent one. Columns: `prompt`, `answer` (`none` where the key is absent, which
/// no completion should say), `solution`, `kind` (`present` or `absent`) and `answerable` (the same as true or false, which the
/// term `abstention` reads).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lookup {
    /// Items to learn from.
    pub train: usize,
    /// Items to choose by.
    pub dev: usize,
    /// Items to judge with once.
    pub test: usize,
    /// Which items there are, in which split, and how each is solved.
    pub seed: u64,
    /// Keys with a value in a prompt.
    pub pairs: usize,
    /// Keys that there are: the first letters of the alphabet.
    pub keys: usize,
    /// Values that there are: the numbers from 0 on.
    pub values: u64,
    /// The share of the prompts whose key is not among their pairs, in every split.
    pub absent: f64,
    /// The probability that a solution is `idk`, whether the key is there or not.
    pub abstain: f64,
    /// The probability that a solution that answers is right where the key is there. A wrong one has another value; where the key
    /// is absent, any.
    pub right: f64,
    /// What stands before the answer.
    pub work: Work,
}

/// What stands before the answer of a lookup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// The keys in turn up to the one that is asked for, and its value where one is given: `<think>q,a,k1</think>`. A policy of
    /// two layers learns it in a few hundred steps, since every token is near what it depends on.
    #[default]
    Scan,
    /// Nothing: the answer alone.
    None,
}

impl Default for Lookup {
    fn default() -> Self {
        Self {
            train: 4096,
            dev: 256,
            test: 512,
            seed: 0,
            pairs: 4,
            keys: 26,
            values: 10,
            absent: 0.4,
            abstain: 0.05,
            right: 0.8,
            work: Work::Scan,
        }
    }
}

struct Question {
    /// Indices of keys with their values.
    pairs: Vec<(usize, u64)>,
    key: usize,
}

impl Lookup {
    /// What the recipe must not say.
    ///
    /// # Errors
    /// [`TaskError::Refused`], with the key.
    pub fn check(&self) -> Result<(), TaskError> {
        items::sizes("lookup", [self.train, self.dev, self.test])?;
        let key = |field: &str| format!("task.lookup.{field}");
        if !(2..=26).contains(&self.keys) {
            return Err(refused(key("keys"), "must be in 2..=26", self.keys, "keys are letters"));
        }
        if self.pairs == 0 || self.pairs >= self.keys {
            let hint = "one key at least must be left that a prompt does not hold";
            return Err(refused(key("pairs"), "must be at least 1 and below `keys`", self.pairs, hint));
        }
        if !(2..=1000).contains(&self.values) {
            return Err(refused(key("values"), "must be in 2..=1000", self.values, "values are numbers from 0 on"));
        }
        items::in_unit(key("absent"), self.absent)?;
        items::in_unit(key("abstain"), self.abstain)?;
        items::in_unit(key("right"), self.right)
    }

    /// The splits share no prompt. Every split has the share of absent keys, to the item.
    ///
    /// # Errors
    /// Those of [`Lookup::check`]; more items than there are; a tokenizer or a model that cannot hold an item.
    pub fn build(&self, codec: &dyn Codec, limits: Limits) -> Result<Task, TaskError> {
        self.check()?;
        let mut seen = HashSet::new();
        let mut splits: [Vec<Question>; 3] = Default::default();
        for split in [2, 1, 0] {
            let n = [self.train, self.dev, self.test][split];
            for (absent, n) in apportion(n, &[1.0 - self.absent, self.absent]).into_iter().enumerate() {
                let stream = Stream::new(self.seed, "lookup/questions");
                let size = self.size(absent == 1);
                let make = |draw: &mut Draw| {
                    let question = self.question(absent == 1, draw);
                    (question.prompt(), question)
                };
                let found = distinct(n, size, stream, 2 * split as u32 + absent as u32, &mut seen, make);
                if found.len() < n {
                    let problem = format!("give {size} prompts of a kind, and the splits ask for more");
                    let hint = "give more pairs, keys or values, or ask for fewer items";
                    return Err(refused("task.lookup.pairs".into(), &problem, self.pairs, hint));
                }
                splits[split].extend(found);
            }
        }
        let stream = Stream::new(self.seed, "lookup/solutions");
        let mut index = 0;
        let made = splits.map(|split| {
            let made = split.into_iter().map(|question| {
                index += 1;
                self.made(&question, &mut Draw::of(stream.dice(index, 0, 0)))
            });
            made.collect()
        });
        items::task("lookup", made, self.seed, codec, limits)
    }

    fn size(&self, is_absent: bool) -> u128 {
        let keys = (0..self.pairs).map(|taken| (self.keys - taken) as u128).product::<u128>();
        let values = u128::from(self.values).saturating_pow(self.pairs as u32);
        let asked = if is_absent { self.keys - self.pairs } else { self.pairs };
        keys.saturating_mul(values).saturating_mul(asked as u128)
    }

    fn question(&self, is_absent: bool, draw: &mut Draw) -> Question {
        let mut left: Vec<usize> = (0..self.keys).collect();
        let mut pair = |draw: &mut Draw| {
            let key = left.remove(draw.below(left.len() as u64) as usize);
            (key, draw.below(self.values))
        };
        let pairs: Vec<(usize, u64)> = (0..self.pairs).map(|_| pair(draw)).collect();
        let key = match is_absent {
            true => left[draw.below(left.len() as u64) as usize],
            false => pairs[draw.below(pairs.len() as u64) as usize].0,
        };
        Question { pairs, key }
    }

    fn made(&self, question: &Question, draw: &mut Draw) -> Made {
        let truth = question.value();
        let value = (!draw.chance(self.abstain)).then(|| match truth {
            Some(truth) if draw.chance(self.right) => truth,
            Some(truth) => (truth + 1 + draw.below(self.values - 1)) % self.values,
            None => draw.below(self.values),
        });
        let said = value.map_or_else(|| UNKNOWN.to_owned(), |value| value.to_string());
        let thought = match self.work {
            Work::Scan => format!("<think>{}</think>", question.scan(value)),
            Work::None => String::new(),
        };
        Made {
            prompt: question.prompt(),
            answer: Value::from(truth.map_or_else(|| "none".to_owned(), |value| value.to_string())),
            solution: format!("{thought}<answer>{said}</answer>"),
            columns: vec![
                ("kind", Value::from(if truth.is_some() { "present" } else { "absent" })),
                ("answerable", Value::from(truth.is_some())),
            ],
        }
    }
}

impl Question {
    fn prompt(&self) -> String {
        let pairs: Vec<String> = self.pairs.iter().map(|(key, value)| format!("{}{value}", letter(*key))).collect();
        format!("{}?{}", pairs.join(","), letter(self.key))
    }

    /// The keys up to the one that is asked for, with what is said of it; all of them where it is absent.
    fn scan(&self, said: Option<u64>) -> String {
        let mut text = String::new();
        for (index, (key, _)) in self.pairs.iter().enumerate() {
            text.extend((index > 0).then_some(','));
            text.push(letter(*key));
            if *key == self.key {
                text += &said.map(|value| value.to_string()).unwrap_or_default();
                break;
            }
        }
        text
    }

    fn value(&self) -> Option<u64> {
        self.pairs.iter().find(|(key, _)| *key == self.key).map(|(_, value)| *value)
    }
}

fn letter(key: usize) -> char {
    char::from(b'a' + key as u8)
}
