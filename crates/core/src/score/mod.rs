//! Losses over scores.
//!
//! The score of a context is the gap between two given answers of one action each, `s = logp(yes) - logp(no)`, in nats: of tokens at
//! temperature 1 the difference of their logits. So a score is a difference of two rows, and a loss over scores is a loss over rows. A list is a group with
//! two trajectories a candidate, yes and then no, the first of which has the fact `label`.

mod bce;
mod info_nce;
mod mse;
mod pairwise;

use serde::{Deserialize, Serialize};

pub use bce::Bce;
pub use info_nce::InfoNce;
pub use mse::Mse;
pub use pairwise::Pairwise;

use crate::{
    loss::Loss,
    method_error::{MethodError, Place},
    metric::Metric,
    objective::{Evaluation, Scope, Seen},
    registry::Entry,
    row::RowGradients,
    trajectory::check_column,
};

/// The losses that a recipe can name.
pub const ENTRIES: &[&Entry] = &[&bce::ENTRY, &info_nce::ENTRY, &mse::ENTRY, &pairwise::ENTRY];

/// The fact that holds a candidate's label.
pub const LABEL: &str = "label";

/// What the scores of a list are held against.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ScoreLoss {
    /// Cross-entropy of each score with its label.
    Bce(Bce),
    /// The better of two candidates has the higher score.
    Pairwise(Pairwise),
    /// A relevant candidate among the others.
    InfoNce(InfoNce),
    /// Squared distance of each score from its label.
    Mse(Mse),
}

impl Default for ScoreLoss {
    fn default() -> Self {
        ScoreLoss::Bce(Bce::default())
    }
}

/// A candidate with its score, in nats, and its label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    pub score: f64,
    pub label: f64,
}

/// What a loss says of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct OfList {
    /// The sum over its units.
    pub loss: f64,
    /// The derivative of that by every score.
    pub slopes: Vec<f64>,
}

/// Units of the whole batch: the one denominator.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Units(f64);

impl ScoreLoss {
    /// Whether it compares candidates of one list with each other.
    pub fn compares(&self) -> bool {
        matches!(self, ScoreLoss::Pairwise(_) | ScoreLoss::InfoNce(_))
    }

    /// # Errors
    /// The key, relative to the loss, and what is wrong with its value.
    pub fn check(&self) -> Result<(), (String, String)> {
        match self {
            ScoreLoss::Bce(it) => it.check(),
            ScoreLoss::Pairwise(it) => it.check(),
            ScoreLoss::InfoNce(it) => it.check(),
            ScoreLoss::Mse(it) => it.check(),
        }
    }

    /// What is summed over in a list with these labels: candidates, pairs or relevant candidates.
    pub fn units(&self, labels: &[f64]) -> usize {
        match self {
            ScoreLoss::Bce(_) | ScoreLoss::Mse(_) => labels.len(),
            ScoreLoss::Pairwise(it) => it.units(labels),
            ScoreLoss::InfoNce(it) => it.units(labels),
        }
    }

    /// The loss of a list, summed over its units.
    ///
    /// # Errors
    /// A label that the loss cannot take: its place in the list, and what it should be.
    pub fn of(&self, list: &[Scored]) -> Result<OfList, (usize, String)> {
        match self {
            ScoreLoss::Bce(it) => it.of(list),
            ScoreLoss::Pairwise(it) => Ok(it.of(list)),
            ScoreLoss::InfoNce(it) => Ok(it.of(list)),
            ScoreLoss::Mse(it) => Ok(it.of(list)),
        }
    }
}

/// The labels of a list, from the first trajectory of each candidate.
fn labels(g: usize, group: &[Seen<'_>]) -> Result<Vec<f64>, MethodError> {
    if !group.len().is_multiple_of(2) {
        return Err(MethodError::unfit(Place::group(g), "trajectories", "two a candidate, yes and no", group.len()));
    }
    let of = |(t, seen): (usize, &Seen<'_>)| seen.trajectory.number(LABEL, Place::trajectory(g, t));
    group.iter().enumerate().step_by(2).map(of).collect()
}

/// The one row of a trajectory.
fn logp(g: usize, t: usize, seen: &Seen<'_>) -> Result<f64, MethodError> {
    let place = Place::trajectory(g, t);
    if seen.trajectory.len() != 1 {
        return Err(MethodError::unfit(place, "logp", "one action", format!("{} actions", seen.trajectory.len())));
    }
    check_column("logp", &seen.rows.logp, 1, place)?;
    Ok(seen.rows.logp[0])
}

impl Loss for ScoreLoss {
    type Survey = Units;

    fn scope(&self) -> Scope {
        Scope::Group
    }

    fn survey(&self, batch: &[Vec<Seen<'_>>]) -> Result<Units, MethodError> {
        let mut units = 0;
        for (g, group) in batch.iter().enumerate() {
            units += self.units(&labels(g, group)?);
        }
        Ok(Units(units as f64))
    }

    /// `loss = (1 / units of the batch) sum over units`; a batch without a unit has loss 0.
    fn evaluate(&self, g: usize, group: &[Seen<'_>], units: &Units) -> Result<Vec<Evaluation>, MethodError> {
        let labels = labels(g, group)?;
        let mut list = Vec::with_capacity(labels.len());
        for (c, &label) in labels.iter().enumerate() {
            let (yes, no) = (2 * c, 2 * c + 1);
            list.push(Scored { score: logp(g, yes, &group[yes])? - logp(g, no, &group[no])?, label });
        }
        let unfit = |(c, expected): (usize, String)| {
            MethodError::unfit(Place::trajectory(g, 2 * c), format!("facts.{LABEL}"), expected, labels[c])
        };
        let OfList { loss, slopes } = self.of(&list).map_err(unfit)?;
        let share = if units.0 > 0.0 { 1.0 / units.0 } else { 0.0 };
        let part = |d: f64| Evaluation {
            gradients: RowGradients { logp: vec![d * share], ..RowGradients::default() },
            ..Evaluation::default()
        };
        let mut parts: Vec<Evaluation> = slopes.iter().flat_map(|&d| [part(d), part(-d)]).collect();
        if let Some(first) = parts.first_mut() {
            first.loss = loss * share;
            first.metrics.add("loss", Metric::Mean { total: loss, weight: self.units(&labels) as f64 });
            let total: f64 = list.iter().map(|it| it.score).sum();
            first.metrics.add("score/mean", Metric::Mean { total, weight: list.len() as f64 });
            let square: f64 = list.iter().map(|it| it.score * it.score).sum();
            first.metrics.add("score/square", Metric::Mean { total: square, weight: list.len() as f64 });
        }
        Ok(parts)
    }
}

/// `ln(1 + exp(x))` and its derivative, without overflow.
fn softplus(x: f64) -> (f64, f64) {
    let small = (-x.abs()).exp();
    let slope = if x >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
    (x.max(0.0) + small.ln_1p(), slope)
}

fn above_zero(key: &str, x: f64) -> Result<(), (String, String)> {
    if x > 0.0 && x.is_finite() { Ok(()) } else { Err((key.to_owned(), "must be a finite number above 0".to_owned())) }
}

fn finite(key: &str, x: f64) -> Result<(), (String, String)> {
    if x.is_finite() { Ok(()) } else { Err((key.to_owned(), "must be a finite number".to_owned())) }
}

#[cfg(test)]
mod tests;
