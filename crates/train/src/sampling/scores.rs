//! The score of a prompt: the gap between two answers of one token.

use std::collections::BTreeMap;

use cohort_core::Sample;
use cohort_env::{Codec, Item};
use serde_json::Value;

use crate::{
    error::Error,
    recipe::{Recipe, low::ScoreSection},
};

/// What a score is, in the tokens of a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// The answers, yes and no, in texts.
    pub texts: [String; 2],
    /// The same as ids.
    pub answers: [u32; 2],
    /// The column of the labels.
    pub label: String,
    /// The column whose value a list has in common; without one each row is a list of its own.
    pub group: Option<String>,
}

impl Scores {
    /// # Errors
    /// An answer that is not one token; two answers that are the same one.
    pub fn of(recipe: &Recipe, section: &ScoreSection, codec: &dyn Codec) -> Result<Self, Error> {
        let refuse = |problem: &str, got: &str| {
            let hint = "name two texts that the tokenizer has a token each for, such as [\"1\", \"0\"]";
            Error::Recipe(recipe.refuse("score.alternatives", problem, got, hint))
        };
        let id = |text: &String| match codec.encode(text).as_deref() {
            Ok([id]) => Ok(*id),
            Ok(ids) => Err(refuse("must be one token each", &format!("{text:?}, which is {}", ids.len()))),
            Err(e) => Err(refuse("must be one token each", &format!("{text:?}: {}", e.reason))),
        };
        let [yes, no] = &section.alternatives;
        let answers = [id(yes)?, id(no)?];
        if answers[0] == answers[1] {
            return Err(refuse("must be two different tokens", &format!("{yes:?} twice")));
        }
        Ok(Self {
            texts: section.alternatives.clone(),
            answers,
            label: section.label.clone(),
            group: section.group.clone(),
        })
    }

    /// The item's prompt with each of the answers, yes first: the score is the difference of their log-probabilities.
    pub fn samples(&self, item: &Item) -> [Sample; 2] {
        self.answers.map(|id| Sample::given(item.context.clone(), &[id]))
    }

    /// The item's label: a finite number, also one that is written as a text.
    pub fn label(&self, item: &Item) -> Option<f64> {
        let label = match item.columns.get(&self.label)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        label.filter(|label| label.is_finite())
    }

    /// # Errors
    /// The first item without a label.
    pub fn hold_labels(&self, recipe: &Recipe, items: &[Item]) -> Result<(), Error> {
        let Some(item) = items.iter().find(|item| self.label(item).is_none()) else { return Ok(()) };
        let got = match item.columns.get(&self.label) {
            Some(value) => format!("{value} in {}", item.origin),
            None => format!("no such column in {}", item.origin),
        };
        let hint = "name a column whose values are numbers: the grade of a row's relevance, or 1 and 0";
        Err(Error::Recipe(recipe.refuse("score.label", "must be a number in every row", &got, hint)))
    }

    /// The items list by list, each in the order of the items; lists in the order of their first.
    pub fn lists(&self, items: &[Item]) -> Vec<Vec<usize>> {
        let Some(group) = &self.group else { return (0..items.len()).map(|i| vec![i]).collect() };
        let mut place: BTreeMap<Option<String>, usize> = BTreeMap::new();
        let mut lists: Vec<Vec<usize>> = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let at = *place.entry(item.label(group)).or_insert(lists.len());
            match lists.get_mut(at) {
                Some(list) => list.push(i),
                None => lists.push(vec![i]),
            }
        }
        lists
    }
}
