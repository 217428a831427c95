//! Two-operand addition of two-digit numbers with a chain of thought.
//!
//! Prompt `47+85=`, solution `<think>7+5=12,4+8+1=13</think><answer>132</answer>`.

use cohort_core::{Stream, random::permutation};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Item, Limits, Origin, SkippedRows, Task, TaskError, encode::Encoder};
use crate::codec::Codec;

/// Each of 10..=99 with each of 10..=99.
pub const PAIRS: usize = 90 * 90;

/// The task's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Arithmetic {
    /// Pairs of the test split.
    pub held_out: usize,
    /// Pairs of the dev split.
    pub dev: usize,
    /// Which pairs go where, and in which order.
    pub seed: u64,
}

impl Default for Arithmetic {
    fn default() -> Self {
        Self { held_out: 512, dev: 256, seed: 0 }
    }
}

impl Arithmetic {
    /// All pairs in one permuted order: first the test split, then dev, the rest is train.
    ///
    /// # Errors
    /// Sizes that leave nothing to train on; a tokenizer or a model that cannot hold an item.
    pub fn build(&self, codec: &dyn Codec, limits: Limits) -> Result<Task, TaskError> {
        let set_aside = self.held_out.saturating_add(self.dev);
        if set_aside >= PAIRS {
            return Err(TaskError::NothingToTrainOn { keys: "held_out + dev", set_aside, rows: PAIRS });
        }
        let encoder = Encoder { codec, limits, max_prompt_tokens: None };
        let order = permutation(PAIRS, Stream::new(self.seed, "arithmetic").dice(0, 0, 0));
        let mut items = order.into_iter().map(|index| item(index, &encoder));
        let mut take = |n: usize| items.by_ref().take(n).collect::<Result<Vec<Item>, TaskError>>();
        let (test, dev, train) = (take(self.held_out)?, take(self.dev)?, take(PAIRS)?);
        Ok(Task { train, dev, test, skipped: SkippedRows::default() })
    }
}

fn item(index: usize, encoder: &Encoder) -> Result<Item, TaskError> {
    let (a, b) = (10 + index as u32 / 90, 10 + index as u32 % 90);
    let origin = Origin::Generated { generator: "arithmetic", index };
    let (prompt, worked) = (prompt(a, b), solution(a, b));
    let encoded = encoder.prompt("prompt", &prompt).and_then(|context| {
        let solution = encoder.solution("solution", &worked, &context)?;
        Ok((context, solution))
    });
    let (context, solution) = match encoded {
        Ok(encoded) => encoded,
        Err(fault) => return Err(TaskError::Row { origin, fault }),
    };
    let columns = Map::from_iter([
        ("prompt".to_owned(), Value::from(prompt.as_str())),
        ("answer".to_owned(), Value::from((a + b).to_string())),
        ("solution".to_owned(), Value::from(worked)),
    ]);
    Ok(Item { prompt, context, columns, solution: Some(solution), origin })
}

/// What is asked.
pub fn prompt(a: u32, b: u32) -> String {
    format!("{a}+{b}=")
}

/// The worked solution: units, then tens with the carry, then the answer.
pub fn solution(a: u32, b: u32) -> String {
    let units = a % 10 + b % 10;
    let carry = units / 10;
    let tens = a / 10 + b / 10 + carry;
    let carried = if carry > 0 { "+1" } else { "" };
    format!(
        "<think>{}+{}={units},{}+{}{carried}={tens}</think><answer>{}</answer>",
        a % 10,
        b % 10,
        a / 10,
        b / 10,
        a + b
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{Fault, Split, testing::Bytes};

    fn prompts(task: &Task, split: Split) -> Vec<&str> {
        task.items(split).iter().map(|item| item.prompt.as_str()).collect()
    }

    #[test]
    fn every_pair_stands_in_one_split_once() {
        let task = Arithmetic::default().build(&Bytes, Limits::NONE).unwrap();
        assert_eq!((task.test.len(), task.dev.len(), task.train.len()), (512, 256, 8100 - 512 - 256));
        let all: BTreeSet<&str> =
            [Split::Train, Split::Dev, Split::Test].into_iter().flat_map(|split| prompts(&task, split)).collect();
        let expected: BTreeSet<String> = (10..100).flat_map(|a| (10..100).map(move |b| format!("{a}+{b}="))).collect();
        assert!(all.iter().copied().eq(expected.iter().map(String::as_str)));
    }

    #[test]
    fn solutions_are_worked_as_by_hand() {
        let worked = [
            ((47, 85), "<think>7+5=12,4+8+1=13</think><answer>132</answer>"),
            ((54, 55), "<think>4+5=9,5+5=10</think><answer>109</answer>"),
            ((10, 10), "<think>0+0=0,1+1=2</think><answer>20</answer>"),
            ((99, 99), "<think>9+9=18,9+9+1=19</think><answer>198</answer>"),
            ((15, 25), "<think>5+5=10,1+2+1=4</think><answer>40</answer>"),
            ((78, 18), "<think>8+8=16,7+1+1=9</think><answer>96</answer>"),
        ];
        for ((a, b), expected) in worked {
            assert_eq!(solution(a, b), expected);
        }
    }

    #[test]
    fn the_peers_rows_are_made_again() {
        for (name, rows) in [("arith/train.jsonl", PAIRS - 512), ("arith/heldout.jsonl", 512)] {
            let Some(path) = cohort_testing::shared_data("the_peers_rows_are_made_again", name) else { return };
            let text = std::fs::read_to_string(path).unwrap();
            for line in text.lines() {
                let row: Value = serde_json::from_str(line).unwrap();
                let asked = row["prompt"].as_str().unwrap();
                let (a, b) = asked.trim_end_matches('=').split_once('+').unwrap();
                let (a, b) = (a.parse().unwrap(), b.parse().unwrap());
                assert_eq!((prompt(a, b).as_str(), row["solution"].as_str()), (asked, Some(solution(a, b).as_str())));
            }
            assert_eq!(text.lines().count(), rows, "{name}");
        }
    }

    #[test]
    fn every_item_agrees_with_itself() {
        let format =
            regex::Regex::new(r"\A<think>(\d)\+(\d)=(\d+),(\d)\+(\d)(\+1)?=(\d+)</think><answer>(\d+)</answer>\z")
                .unwrap();
        let task = Arithmetic::default().build(&Bytes, Limits::NONE).unwrap();
        for item in task.train.iter().chain(&task.dev).chain(&task.test) {
            let text = item.columns["solution"].as_str().unwrap();
            let found = format.captures(text).unwrap_or_else(|| panic!("{text}"));
            let number = |i: usize| found.get(i).map_or(0, |m| m.as_str().parse::<u32>().unwrap());
            assert_eq!(number(1) + number(2), number(3), "{text}");
            assert_eq!(number(4) + number(5) + number(6), number(7), "{text}");
            assert_eq!(number(7) * 10 + number(3) % 10, number(8), "{text}");
            let (a, b) = item.prompt.trim_end_matches('=').split_once('+').unwrap();
            assert_eq!(number(8), a.parse::<u32>().unwrap() + b.parse::<u32>().unwrap(), "{text}");
            assert_eq!(item.columns["answer"], number(8).to_string());
            assert_eq!(item.columns["prompt"], item.prompt);
            assert_eq!(item.context, cohort_core::Context::of_tokens(Bytes.encode(&item.prompt).unwrap()));
            let ids = item.solution.as_ref().unwrap();
            assert_eq!(ids.last(), Bytes.end_of_sequence().as_ref());
            assert_eq!(&Bytes.decode(ids), text);
        }
    }

    #[test]
    fn the_seed_decides_the_splits() {
        let build = |seed| Arithmetic { seed, ..Default::default() }.build(&Bytes, Limits::NONE).unwrap();
        let (one, same, other) = (build(1), build(1), build(2));
        assert_eq!(one, same);
        let held_out = |task| prompts(task, Split::Test).into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
        assert_ne!(held_out(&one), held_out(&other));
    }

    #[test]
    fn sizes_that_leave_nothing_are_refused() {
        for (held_out, dev) in [(8100, 0), (8000, 100), (usize::MAX, 1)] {
            let error = Arithmetic { held_out, dev, seed: 0 }.build(&Bytes, Limits::NONE).unwrap_err();
            assert_eq!(error.fault(), Fault::Recipe);
            assert!(error.to_string().contains("held_out + dev") && error.to_string().contains("8100"), "{error}");
        }
        let task = Arithmetic { held_out: 8000, dev: 99, seed: 0 }.build(&Bytes, Limits::NONE).unwrap();
        assert_eq!(task.train.len(), 1);
    }

    #[test]
    fn a_model_that_cannot_hold_an_item_is_refused() {
        let error = Arithmetic::default().build(&Bytes, Limits { prompt: 5, total: 100 }).unwrap_err().to_string();
        assert!(
            error.contains("arithmetic item") && error.contains("6 tokens") && error.contains("5 at most"),
            "{error}"
        );
        let error = Arithmetic::default().build(&Bytes, Limits { prompt: 6, total: 20 }).unwrap_err().to_string();
        assert!(error.contains("20 positions"), "{error}");
    }

    #[test]
    fn unknown_parameters_are_refused() {
        let error = serde_json::from_str::<Arithmetic>(r#"{"heldout": 3}"#).unwrap_err().to_string();
        assert!(error.contains("heldout") && error.contains("held_out"), "{error}");
        assert_eq!(serde_json::from_str::<Arithmetic>("{}").unwrap(), Arithmetic::default());
    }
}
