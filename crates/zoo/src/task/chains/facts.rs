//! A table of keys and values beside the expressions: what can only be known by heart.

use std::collections::HashSet;

use cohort_core::Stream;
use cohort_env::TaskError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{
    draw::{Draw, distinct},
    items::{Made, refused},
};

/// The level, and the style, of a fact in the columns.
pub(super) const NAME: &str = "facts";

/// Keys with values that no rule gives: `kqz=`, `<answer>417</answer>`. Every key is an item to learn from, beside `train`; **dev and test ask for keys that
/// were learned**, the only prompts that splits of this task share, since what is measured is memory. Columns as of an expression, with
/// the level and the style `facts` and no operands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Facts {
    /// Keys of the table.
    pub count: usize,
    /// How many of them dev asks for, beside `dev`.
    pub dev: usize,
    /// How many others of them test asks for, beside `test`.
    pub test: usize,
    /// Letters of a key.
    pub letters: u32,
    /// Digits of a value, the first not 0.
    pub digits: u32,
    /// Which keys dev and test ask for.
    pub keys: Keys,
}

/// Which keys are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keys {
    /// Keys of the table.
    #[default]
    Learned,
    /// Keys that no item to learn from has, with values of their own: what can be guessed.
    Others,
}

impl Default for Facts {
    fn default() -> Self {
        Self { count: 1000, dev: 128, test: 256, letters: 3, digits: 3, keys: Keys::Learned }
    }
}

impl Facts {
    pub(super) fn check(&self) -> Result<(), TaskError> {
        let key = |field: &str| format!("task.chains.facts.{field}");
        if self.count == 0 || self.count > 1_000_000 {
            return Err(refused(key("count"), "must be in 1..=1000000", self.count, "keys of the table"));
        }
        if self.dev + self.test > self.count {
            let got = format!("{} + {}", self.dev, self.test);
            return Err(refused(key("test"), "must be at most `count` with `dev`", got, "each key is asked for once"));
        }
        if !(1..=8).contains(&self.letters) {
            return Err(refused(key("letters"), "must be in 1..=8", self.letters, "letters of a key"));
        }
        match (1..=6).contains(&self.digits) {
            true => Ok(()),
            false => Err(refused(key("digits"), "must be in 1..=6", self.digits, "digits of a value")),
        }
    }

    /// The items of the table: train, dev, test.
    ///
    /// # Errors
    /// More keys than there are.
    pub(super) fn items(&self, seed: u64) -> Result<[Vec<Made>; 3], TaskError> {
        // As many as with the other choice of `keys`: the table is the same.
        let wanted = self.count + self.dev + self.test;
        let size = 26u128.pow(self.letters);
        let make = |draw: &mut Draw| {
            let key: String = (0..self.letters).map(|_| char::from(b'a' + draw.below(26) as u8)).collect();
            (key.clone(), key)
        };
        let keys = distinct(wanted, size, Stream::new(seed, "chains/keys"), 0, &mut HashSet::new(), make);
        if keys.len() < wanted {
            let problem = format!("gives {size} keys, and {wanted} are asked for");
            let hint = "raise it, or ask for a smaller table";
            return Err(refused("task.chains.facts.letters".into(), &problem, self.letters, hint));
        }
        let values = Stream::new(seed, "chains/values");
        let least = 10u64.pow(self.digits - 1);
        let value = |index: usize| least + Draw::of(values.dice(index as u32, 0, 0)).below(9 * least);
        let made = |index: usize| Made {
            prompt: format!("{}=", keys[index]),
            answer: Value::from(value(index).to_string()),
            solution: format!("<answer>{}</answer>", value(index)),
            columns: vec![("level", NAME.into()), ("style", NAME.into()), ("operands", 0.into())],
        };
        let first = match self.keys {
            Keys::Learned => 0,
            Keys::Others => self.count,
        };
        let (dev, test) = (first..first + self.dev, first + self.dev..first + self.dev + self.test);
        Ok([(0..self.count).map(made).collect(), dev.map(made).collect(), test.map(made).collect()])
    }
}
