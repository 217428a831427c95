//! Models that give a text a number and are trained by a stage of the run: rewards learned from demonstrations, and detectors.
//!
//! A model is a family with its parameters and, where it has a column, one vector of numbers for every value of that column. Everything here is
//! a pure function of texts and numbers; the stage that trains them is in `cohort-train`, the term that reads them is
//! [`verifier::trained`](crate::verifier::trained).

mod clauses;
mod curvature;
mod features;
mod language;
mod ngrams;
mod ratio;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Serialize};

pub use self::{
    clauses::hardness,
    curvature::Curvature,
    language::Language,
    ngrams::{Ngrams, Sees},
    ratio::Ratio,
};
use crate::task::Item;

/// How a model scores a text. A higher score is for what is more like the texts that it was told are right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Family {
    /// Linear in runs of characters: a classifier, or a reward by inverse reinforcement learning, by its loss.
    Ngrams(Ngrams),
    /// How far the text is above what a language model of the positives expects of its own texts (Fast-DetectGPT).
    Curvature(Curvature),
    /// How much less one language model of the positives is surprised by the text than by another's expectations (Binoculars).
    Ratio(Ratio),
}

/// A text that a model is told about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Labelled<'a> {
    /// What it answers.
    pub prompt: &'a str,
    pub text: &'a str,
    /// 1 for what shall score high, 0 for what it stands against.
    pub label: f64,
}

impl Family {
    /// # Errors
    /// The key, relative to the family, and what is wrong with its value.
    pub fn check(&self) -> Result<(), (String, String)> {
        match self {
            Family::Ngrams(it) => it.check(),
            Family::Curvature(it) => it.check(),
            Family::Ratio(it) => it.check(),
        }
    }

    /// How many numbers it trains.
    pub fn size(&self) -> usize {
        match self {
            Family::Ngrams(it) => it.buckets,
            Family::Curvature(it) => it.language().size(),
            Family::Ratio(it) => it.size(),
        }
    }

    /// The score of a text, in nats where that has a meaning; finite.
    pub fn score(&self, weights: &[f32], prompt: &str, text: &str) -> f64 {
        match self {
            Family::Ngrams(it) => it.score(weights, prompt, text),
            Family::Curvature(it) => it.score(weights, text),
            Family::Ratio(it) => it.score(weights, text),
        }
    }

    /// Learns from lists, each of what is right and what it stands against; the mean loss before that, where the family has one.
    pub fn learn(&self, weights: &mut [f32], lists: &[Vec<Labelled<'_>>]) -> Option<f64> {
        match self {
            Family::Ngrams(it) => it.learn(weights, lists),
            Family::Curvature(it) => {
                positives(lists).for_each(|text| it.language().count(weights, text));
                None
            }
            Family::Ratio(it) => {
                positives(lists).for_each(|text| it.count(weights, text));
                None
            }
        }
    }
}

fn positives<'a>(lists: &'a [Vec<Labelled<'_>>]) -> impl Iterator<Item = &'a str> {
    lists.iter().flatten().filter(|it| it.label >= 0.5).map(|it| it.text)
}

/// A key and what is wrong with its value, where it is.
fn within(key: &str, x: usize, least: usize, most: usize) -> Result<(), (String, String)> {
    match (least..=most).contains(&x) {
        true => Ok(()),
        false => Err((key.to_owned(), format!("must be in {least}..={most}"))),
    }
}

fn finite_from(key: &str, x: f64, least: f64) -> Result<(), (String, String)> {
    match x.is_finite() && x >= least {
        true => Ok(()),
        false => Err((key.to_owned(), format!("must be a finite number of at least {least}"))),
    }
}

/// `1 / (1 + exp(-x))`.
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// A family with its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct TextModel {
    pub family: Family,
    /// The column that there is a vector of numbers for every value of.
    pub by: Option<String>,
    /// By the value of that column; without one under the empty text.
    pub weights: BTreeMap<String, Vec<f32>>,
}

impl TextModel {
    /// All numbers 0, for the values that `items` have.
    pub fn untrained(family: Family, by: Option<String>, items: &[Item]) -> Self {
        let mut model = Self { family, by, weights: BTreeMap::new() };
        let keys = items.iter().filter_map(|item| model.key(item)).collect::<std::collections::BTreeSet<String>>();
        model.weights = keys.into_iter().map(|key| (key, vec![0.0; family.size()])).collect();
        model
    }

    /// Under what the numbers for an item are; `None` where it lacks the column.
    pub fn key(&self, item: &Item) -> Option<String> {
        match &self.by {
            Some(column) => item.label(column),
            None => Some(String::new()),
        }
    }

    /// The score of a text beside an item; `None` where there are no numbers for it.
    pub fn score(&self, item: &Item, text: &str) -> Option<f64> {
        let weights = self.weights.get(&self.key(item)?)?;
        Some(self.family.score(weights, &item.prompt, text))
    }
}

/// The models of a run by their names.
pub type TextModels = BTreeMap<String, TextModel>;

/// Where terms find the models of their run: empty until the stage that trains them is over, and set once.
#[derive(Clone, Debug, Default)]
pub struct TrainedModels(Arc<OnceLock<TextModels>>);

impl TrainedModels {
    /// Sets them; what is set already stays.
    pub fn set(&self, models: TextModels) {
        let _ = self.0.set(models);
    }

    /// The model of this name, once it is trained.
    pub fn get(&self, name: &str) -> Option<&TextModel> {
        self.0.get()?.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn every_value_of_the_column_has_numbers_of_its_own() {
        let items = [r#"{"kind": "a"}"#, r#"{"kind": "b"}"#, r#"{"kind": "a"}"#].map(|row| testing::item("p", row));
        let family = Family::Ngrams(Ngrams { buckets: 64, ..Ngrams::default() });
        let mut model = TextModel::untrained(family, Some("kind".to_owned()), &items);
        assert_eq!(model.weights.keys().collect::<Vec<_>>(), ["a", "b"]);
        let told = |text, label| Labelled { prompt: "p", text, label };
        for _ in 0..50 {
            family.learn(model.weights.get_mut("a").unwrap(), &[vec![told("yes", 1.0), told("no", 0.0)]]);
        }
        let score = |item: &Item, text| model.score(item, text).unwrap();
        assert!(score(&items[0], "yes") > 1.0 && score(&items[0], "no") < -1.0);
        assert_eq!((score(&items[1], "yes"), score(&items[1], "no")), (0.0, 0.0));
        assert_eq!(model.score(&testing::item("p", "{}"), "yes"), None, "no column, no score");
    }

    #[test]
    fn models_are_set_once() {
        let (trained, family) = (TrainedModels::default(), Family::Ngrams(Ngrams::default()));
        assert!(trained.get("a").is_none());
        trained.clone().set(TextModels::from([("a".to_owned(), TextModel::untrained(family, None, &[]))]));
        trained.set(TextModels::default());
        assert!(trained.get("a").is_some());
    }
}
