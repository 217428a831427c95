//! A score that is linear in the runs of characters of a text.

use cohort_core::score::{InfoNce, ScoreLoss, Scored};
use serde::{Deserialize, Serialize};

use super::{
    Labelled,
    features::{hash, runs},
    finite_from, within,
};

/// `s(x, y) = w . phi(x, y)`: `phi` counts the runs of `from` to `to` characters of the text y, each hashed to one of `buckets` numbers, and has
/// length 1. `w` follows the gradient of a loss over scores, with plain steps `w <- w - lr (g + weight_decay w)`.
///
/// With `loss.info_nce` this is inverse reinforcement learning by maximum likelihood: a demonstration y among answers y' of the policy has
/// `d/dw ln p(y) = (phi(y) - E phi(y')) / temperature`, where the expectation is of the policy that is best for the reward `s` at the
/// KL coefficient `temperature`, `p ~ policy exp(s / temperature)`; its weights are those of the answers that were drawn. With
/// `loss.bce` it is a logistic classifier.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ngrams {
    /// Characters of the shortest run.
    pub from: usize,
    /// Characters of the longest run.
    pub to: usize,
    /// How many numbers there are; runs that share one are not told apart.
    pub buckets: usize,
    /// What is counted.
    pub sees: Sees,
    /// What scores are held against.
    pub loss: ScoreLoss,
    /// How far a step goes.
    pub lr: f64,
    /// The share of the numbers that a step takes away, times `lr`.
    pub weight_decay: f64,
}

/// What a linear score counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sees {
    /// Runs of the text alone.
    #[default]
    Text,
    /// Beside them every run of the text with every word of the prompt: what is right may depend on what was asked.
    Pair,
}

impl Default for Ngrams {
    fn default() -> Self {
        Self {
            from: 1,
            to: 4,
            buckets: 4096,
            sees: Sees::Text,
            loss: ScoreLoss::InfoNce(InfoNce::default()),
            lr: 4.0,
            weight_decay: 1e-4,
        }
    }
}

impl Ngrams {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        within("ngrams.from", self.from, 1, 16)?;
        within("ngrams.to", self.to, self.from, 16)?;
        within("ngrams.buckets", self.buckets, 1, 1 << 20)?;
        finite_from("ngrams.lr", self.lr, 0.0)?;
        finite_from("ngrams.weight_decay", self.weight_decay, 0.0)?;
        if self.lr * self.weight_decay > 1.0 {
            return Err(("ngrams.weight_decay".to_owned(), "must be at most 1 / lr".to_owned()));
        }
        self.loss.check().map_err(|(key, problem)| (format!("ngrams.loss.{key}"), problem))
    }

    fn features(&self, prompt: &str, text: &str) -> Vec<(usize, f32)> {
        let of_word = |word: &str| hash(&word.chars().collect::<Vec<_>>(), 1);
        let words = match self.sees {
            Sees::Text => Vec::new(),
            Sees::Pair => prompt.split_whitespace().map(of_word).collect(),
        };
        let seeds: Vec<u64> = std::iter::once(0).chain(words).collect();
        runs(text, (self.from, self.to), &seeds, self.buckets)
    }

    pub(super) fn score(&self, weights: &[f32], prompt: &str, text: &str) -> f64 {
        product(weights, &self.features(prompt, text))
    }

    /// One step on all lists; the mean loss before it, `None` where no list has anything to compare.
    pub(super) fn learn(&self, weights: &mut [f32], lists: &[Vec<Labelled<'_>>]) -> Option<f64> {
        let mut gradient = vec![0.0; weights.len()];
        let (mut loss, mut units) = (0.0, 0);
        for list in lists {
            let features: Vec<_> = list.iter().map(|it| self.features(it.prompt, it.text)).collect();
            let scored = |(it, features): (&Labelled<'_>, &Vec<_>)| Scored {
                score: product(weights, features),
                label: it.label,
            };
            let scored: Vec<Scored> = list.iter().zip(&features).map(scored).collect();
            // Labels are 0 and 1, which every loss takes.
            let Ok(of) = self.loss.of(&scored) else { continue };
            units += self.loss.units(&list.iter().map(|it| it.label).collect::<Vec<_>>());
            loss += of.loss;
            for (slope, features) in of.slopes.iter().zip(&features) {
                features.iter().for_each(|&(index, value)| gradient[index] += slope * f64::from(value));
            }
        }
        if units == 0 {
            return None;
        }
        for (weight, gradient) in weights.iter_mut().zip(&gradient) {
            *weight -= (self.lr * (gradient / units as f64 + self.weight_decay * f64::from(*weight))) as f32;
        }
        Some(loss / units as f64)
    }
}

fn product(weights: &[f32], features: &[(usize, f32)]) -> f64 {
    features.iter().map(|&(index, value)| f64::from(weights[index]) * f64::from(value)).sum()
}

#[cfg(test)]
mod tests {
    use cohort_core::score::Bce;

    use super::*;

    fn told<'a>(prompt: &'a str, text: &'a str, label: f64) -> Labelled<'a> {
        Labelled { prompt, text, label }
    }

    /// Finite differences of the loss in every weight that a list touches: a step of rate 1 without decay goes by the negative gradient.
    #[test]
    fn a_step_follows_the_gradient() {
        let model = Ngrams { to: 2, buckets: 32, lr: 1.0, weight_decay: 0.0, ..Ngrams::default() };
        let lists = [vec![told("p", "abc", 1.0), told("p", "abd", 0.0), told("p", "cc", 0.0)]];
        let start: Vec<f32> = (0..32).map(|i| (i as f32 * 0.7).sin()).collect();
        let mut after = start.clone();
        model.learn(&mut after, &lists).unwrap();
        let loss = |weights: &[f32]| Ngrams { lr: 0.0, ..model }.learn(&mut weights.to_vec(), &lists).unwrap();
        for index in 0..32 {
            let moved = |by: f32| {
                let mut weights = start.clone();
                weights[index] += by;
                loss(&weights)
            };
            let slope = (moved(0.01) - moved(-0.01)) / 0.02;
            let step = f64::from(after[index] - start[index]);
            assert!((step + slope).abs() < 1e-4, "{index}: {step} {slope}");
        }
    }

    /// The gradient of the log-likelihood vanishes where the demonstration is as probable as it is frequent: two answers, one of them shown
    /// three times in four, differ by ln 3 in the end.
    #[test]
    fn demonstrations_are_matched_in_their_share() {
        let model = Ngrams { from: 1, to: 1, buckets: 512, lr: 2.0, weight_decay: 0.0, ..Ngrams::default() };
        let list = |yes, no| vec![told("", yes, 1.0), told("", no, 0.0)];
        let lists = [list("a", "b"), list("a", "b"), list("a", "b"), list("b", "a")];
        let mut weights = vec![0.0; 512];
        for _ in 0..2000 {
            model.learn(&mut weights, &lists);
        }
        let gap = model.score(&weights, "", "a") - model.score(&weights, "", "b");
        assert!((gap - 3.0_f64.ln()).abs() < 1e-3, "{gap}");
    }

    #[test]
    fn a_pair_tells_prompts_apart() {
        let lists = [
            vec![told("be red", "red", 1.0), told("be red", "blue", 0.0)],
            vec![told("be blue", "blue", 1.0), told("be blue", "red", 0.0)],
        ];
        let margin = |sees| {
            let model = Ngrams { sees, loss: ScoreLoss::Bce(Bce::default()), ..Ngrams::default() };
            let mut weights = vec![0.0; model.buckets];
            for _ in 0..200 {
                model.learn(&mut weights, &lists);
            }
            model.score(&weights, "be red", "red") - model.score(&weights, "be red", "blue")
        };
        assert!(margin(Sees::Text).abs() < 0.5 && margin(Sees::Pair) > 2.0);
    }
}
