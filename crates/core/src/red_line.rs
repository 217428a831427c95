//! How far the sampler's log-probabilities may be from the trainer's.
//!
//! The ratio's denominator is the trainer's own row, so a gap shows in no ratio: actions come from one distribution, and
//! another is trained. Engines that compute one thing in two ways have a gap of rounding; what is above that is a fault.

use serde::{Deserialize, Serialize};

use crate::objective::Objective;

/// What rows are computed in: what the operands of products are rounded to. Sums and weights are f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Nothing is rounded.
    #[default]
    F32,
    /// The upper half of an f32: 8 bits of mantissa.
    Bf16,
}

impl Precision {
    /// For fields that are written where they are not the default.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The distance of two columns of log-probabilities, in nats.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gap {
    pub max: f64,
    pub mean: f64,
}

impl Gap {
    /// Over pairs of log-probabilities of the same actions; 0 of none.
    pub fn of(pairs: impl Iterator<Item = (f64, f64)>) -> Self {
        let (max, sum, count) = pairs.map(|(a, b)| (a - b).abs()).fold((0.0, 0.0, 0.0), |(max, sum, count), gap| {
            // A gap that is no number is above every line, and `f64::max` would lose it.
            (if gap > max || gap.is_nan() { gap } else { max }, sum + gap, count + 1.0)
        });
        Self { max, mean: if count > 0.0 { sum / count } else { 0.0 } }
    }
}

/// What a gap is held to, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RedLine {
    /// The largest gap of an action.
    Max(f64),
    /// The mean over actions: single ones may be far off in a low precision.
    Mean(f64),
}

/// Parameters up to which sums are short.
const SMALL: usize = 10_000_000;

impl RedLine {
    /// 1e-5 in f32 up to 10 million parameters, 1e-4 above; in bf16 a mean of 5e-3.
    pub fn of(precision: Precision, parameters: usize) -> Self {
        match precision {
            Precision::F32 if parameters <= SMALL => RedLine::Max(1e-5),
            Precision::F32 => RedLine::Max(1e-4),
            Precision::Bf16 => RedLine::Mean(5e-3),
        }
    }

    /// The line, and what is held to it.
    pub fn compare(self, gap: Gap) -> (f64, f64) {
        match self {
            RedLine::Max(line) => (line, gap.max),
            RedLine::Mean(line) => (line, gap.mean),
        }
    }

    pub fn is_crossed_by(self, gap: Gap) -> bool {
        let (line, gap) = self.compare(gap);
        gap.is_nan() || gap > line
    }
}

/// What a run does above the red line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AboveRedLine {
    /// It ends with an error: its updates would be of other actions than those it takes them for.
    Stop,
    /// It goes on, and says so: the recipe weighs every action by `objective.mismatch`.
    Correct,
}

impl AboveRedLine {
    pub fn of(objective: &Objective) -> Self {
        match objective.mismatch.reads_behaviour() {
            true => AboveRedLine::Correct,
            false => AboveRedLine::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::{Level, Mismatch};

    #[test]
    fn lines_by_precision_and_size() {
        assert_eq!(RedLine::of(Precision::F32, 10_000_000), RedLine::Max(1e-5));
        assert_eq!(RedLine::of(Precision::F32, 10_000_001), RedLine::Max(1e-4));
        assert_eq!(RedLine::of(Precision::Bf16, 1), RedLine::Mean(5e-3));
    }

    #[test]
    fn a_line_is_crossed_above_it() {
        let gap = Gap::of([(-1.0, -1.5), (-2.0, -2.0), (0.0, -0.25), (-3.0, -3.0)].into_iter());
        assert_eq!(gap, Gap { max: 0.5, mean: 0.1875 });
        assert!(!RedLine::Max(0.5).is_crossed_by(gap) && RedLine::Max(0.49).is_crossed_by(gap));
        assert!(!RedLine::Mean(0.1875).is_crossed_by(gap) && RedLine::Mean(0.187).is_crossed_by(gap));
        assert_eq!(Gap::of(std::iter::empty()), Gap::default());
        let none = Gap::of([(0.0, f64::NAN), (0.0, 1.0)].into_iter());
        assert!(RedLine::Max(1e9).is_crossed_by(none) && RedLine::Mean(1e9).is_crossed_by(none));
    }

    #[test]
    fn a_recipe_that_corrects_goes_on() {
        let with = |mismatch| AboveRedLine::of(&Objective { mismatch, ..Objective::default() });
        assert_eq!(with(Mismatch::None), AboveRedLine::Stop);
        assert_eq!(with(Mismatch::Truncate { cap: 2.0, floor: 0.0, level: Level::Token }), AboveRedLine::Correct);
    }
}
