//! The ratio between the policy now and the policy that the batch was taken from.

mod geometric_clip;
mod ratio_norm;
mod segment;
mod sequence;
mod token;

use serde::{Deserialize, Serialize};

use super::{Evaluation, Scope, Seen, Staleness};
use crate::{
    method_error::{MethodError, Place},
    registry::Entry,
};

pub(super) use segment::Segments;
pub(super) use token::ratio;

/// The choices of this axis.
pub(super) const ENTRIES: [&Entry; 9] = [
    &token::NONE,
    &token::ENTRY,
    &token::STEP,
    &sequence::ENTRY,
    &sequence::GEOMETRIC,
    &sequence::SEQUENCE_TOKEN,
    &segment::ENTRY,
    &ratio_norm::ENTRY,
    &geometric_clip::ENTRY,
];

/// The unit that one ratio covers. With `d_i = logp_i - old_logp_i` over the trained actions (final mask not 0):
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RatioLevel {
    /// 1, with the derivative of `exp(logp - stop(logp))`; `old_logp` is not read.
    None,
    /// A ratio an action: `exp(d_i)`.
    #[default]
    Token,
    /// A ratio a transition of a flow: `exp(d_i)`.
    Step,
    /// A ratio a trajectory: `exp(sum d)`.
    Sequence,
    /// A ratio a trajectory: `exp(mean d)`.
    Geometric,
    /// The value of `geometric`, the derivative of the action's own ratio.
    SequenceToken,
    /// A ratio a segment: `exp(mean d)` inside of it.
    Segment,
    /// A ratio a transition of a flow, with its shift and its scale taken out: `exp((d_i + kl_old_i) s_i)`.
    RatioNorm,
    /// A ratio a trajectory: the geometric mean of clipped ratios of actions.
    GeometricClip {
        /// In nats; above 0.
        #[serde(default = "nats")]
        low: f64,
        /// In nats; above 0.
        #[serde(default = "nats")]
        high: f64,
    },
}

fn nats() -> f64 {
    0.4
}

/// The ratios of one trajectory and the way back from them to the rows.
pub(super) struct Ratios<'a> {
    /// One an action; 1 where the action is not trained.
    pub values: Vec<f64>,
    back: Back<'a>,
}

/// The derivative of a log ratio by the rows.
enum Back<'a> {
    /// By the action's own `logp`: 1.
    Own,
    /// By the action's own `logp` and `kl_old`: this number.
    Scaled(&'a [f64]),
    /// By every trained `logp`: this number.
    Trajectory(f64),
    /// By every trained `logp` whose clip is open: `share`.
    Open { share: f64, open: Vec<bool> },
    /// By every trained `logp` of the same segment.
    Segments(segment::Segments),
}

impl RatioLevel {
    /// What a recipe without a second update makes of it.
    pub fn staleness(self) -> Staleness {
        match self {
            RatioLevel::None
            | RatioLevel::Token
            | RatioLevel::Step
            | RatioLevel::Sequence
            | RatioLevel::Geometric
            | RatioLevel::SequenceToken
            | RatioLevel::Segment => Staleness::Any,
            RatioLevel::RatioNorm => Staleness::Second(ratio_norm::WHY),
            RatioLevel::GeometricClip { .. } => Staleness::Inert("the clips inside the mean: every ratio is 1"),
        }
    }

    /// Whether the parameters are in range: the key and what is wrong with it.
    pub fn check(&self) -> Result<(), (String, String)> {
        match *self {
            RatioLevel::GeometricClip { low, high } => {
                super::above_zero("geometric_clip.low", low)?;
                super::above_zero("geometric_clip.high", high)
            }
            _ => Ok(()),
        }
    }

    /// Whether the column `kl_old` must be there.
    pub fn reads_kl_old(self) -> bool {
        self == RatioLevel::RatioNorm
    }

    pub(super) fn scope(self) -> Scope {
        match self {
            RatioLevel::None | RatioLevel::Token | RatioLevel::Step | RatioLevel::RatioNorm => Scope::Action,
            RatioLevel::Sequence
            | RatioLevel::Geometric
            | RatioLevel::SequenceToken
            | RatioLevel::Segment
            | RatioLevel::GeometricClip { .. } => Scope::Sequence,
        }
    }

    /// The rows that the ratio is taken from: with no ratio, those of now.
    pub(super) fn old<'a>(self, seen: &Seen<'a>) -> &'a [f64] {
        if self == RatioLevel::None { &seen.rows.logp } else { seen.old_logp }
    }

    /// The ratio of action `i` alone, where it is the action's own.
    pub(super) fn of_one(self, seen: &Seen<'_>, i: usize) -> Option<f64> {
        matches!(self, RatioLevel::Token | RatioLevel::Step).then(|| ratio(seen.rows.logp[i], seen.old_logp[i]))
    }

    /// The ratios of one trajectory; `mask` is the final one, and only whether it is 0 counts.
    pub(super) fn of<'a>(self, seen: &Seen<'a>, mask: &[f64], place: Place) -> Result<Ratios<'a>, MethodError> {
        Ok(match self {
            RatioLevel::None => Ratios { values: vec![1.0; mask.len()], back: Back::Own },
            RatioLevel::Token | RatioLevel::Step => token::of(seen, mask),
            RatioLevel::Sequence => sequence::of(seen, mask, sequence::Mean::No, sequence::Slope::All),
            RatioLevel::Geometric => sequence::of(seen, mask, sequence::Mean::Yes, sequence::Slope::All),
            RatioLevel::SequenceToken => sequence::of(seen, mask, sequence::Mean::Yes, sequence::Slope::Own),
            RatioLevel::Segment => segment::of(seen, mask, place)?,
            RatioLevel::RatioNorm => ratio_norm::of(seen, mask, place)?,
            RatioLevel::GeometricClip { low, high } => geometric_clip::of(seen, mask, low, high),
        })
    }
}

impl Ratios<'_> {
    /// Adds to `part` what `upstream`, the derivative of the loss by the log ratio of every action, says of the rows.
    pub fn backward(self, upstream: &[f64], mask: &[f64], part: &mut Evaluation) {
        let total = || upstream.iter().sum::<f64>();
        match self.back {
            Back::Own => {
                for (d, u) in part.gradients.logp.iter_mut().zip(upstream) {
                    *d += u;
                }
            }
            Back::Scaled(scale) => {
                for (d, (u, s)) in part.gradients.logp.iter_mut().zip(upstream.iter().zip(scale)) {
                    *d += u * s;
                }
                for (d, (u, s)) in part.d_kl_old().iter_mut().zip(upstream.iter().zip(scale)) {
                    *d += u * s;
                }
            }
            Back::Trajectory(share) => {
                let slope = total() * share;
                for (d, _) in part.gradients.logp.iter_mut().zip(mask).filter(|(_, m)| **m != 0.0) {
                    *d += slope;
                }
            }
            Back::Open { share, open } => {
                let slope = total() * share;
                for (d, _) in part.gradients.logp.iter_mut().zip(&open).filter(|(_, open)| **open) {
                    *d += slope;
                }
            }
            Back::Segments(segments) => segments.backward(upstream, mask, &mut part.gradients.logp),
        }
    }
}
