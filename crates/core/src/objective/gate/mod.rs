//! What stops an update from going too far.

mod cispo;
mod clip;
mod covariance;
mod divergence_mask;
mod sequence_mask;
mod soft;

use serde::{Deserialize, Serialize};

use super::{RatioLevel, Scope, Seen, Staleness, above_zero};
use crate::{
    method_error::{MethodError, Place},
    registry::Entry,
};

pub(super) use covariance::GateSurvey;
pub use covariance::Order;
pub use sequence_mask::Against;

/// The choices of this axis.
pub(super) const ENTRIES: [&Entry; 11] = [
    &clip::NONE,
    &clip::ENTRY,
    &clip::HIGHER,
    &clip::DUAL,
    &cispo::ENTRY,
    &soft::ENTRY,
    &sequence_mask::ENTRY,
    &divergence_mask::TV,
    &divergence_mask::KL,
    &covariance::CLIP,
    &covariance::KL,
];

/// The gate on `ratio * advantage`. Each variant's file has its formula.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Gate {
    /// No gate: the bare ratio.
    None,
    /// `min(r A, clip(r, 1 - low, 1 + high) A)`.
    Clip {
        /// In (0, 1].
        #[serde(default = "fifth")]
        low: f64,
        /// Above 0.
        #[serde(default = "fifth")]
        high: f64,
    },
    /// `clip` that leaves more room upwards.
    ClipHigher {
        /// In (0, 1].
        #[serde(default = "fifth")]
        low: f64,
        /// Above `low`.
        #[serde(default = "higher")]
        high: f64,
    },
    /// `clip`, and for a bad action not below `c A`.
    DualClip {
        /// In (0, 1].
        #[serde(default = "fifth")]
        low: f64,
        /// Above 0.
        #[serde(default = "fifth")]
        high: f64,
        /// Above 1.
        #[serde(default = "three")]
        c: f64,
    },
    /// `stop(clip(r, 1 - low, 1 + high)) A logp`.
    Cispo {
        /// In (0, 1]; 1 for no lower bound.
        #[serde(default = "one")]
        low: f64,
        /// Above 0.
        #[serde(default = "higher")]
        high: f64,
    },
    /// `sigmoid(t (r - 1)) 4 A / t`.
    Soft {
        /// The temperature `t` of good actions; above 0.
        #[serde(default = "one")]
        positive: f64,
        /// The temperature of bad ones; above 0.
        #[serde(default = "soft::negative")]
        negative: f64,
    },
    /// `clip`, without the bad actions of trajectories that have drifted.
    SequenceMask {
        /// The most mean drift, in nats; above 0.
        #[serde(default = "half")]
        delta: f64,
        #[serde(default)]
        against: Against,
        /// In (0, 1].
        #[serde(default = "fifth")]
        low: f64,
        /// Above 0.
        #[serde(default = "fifth")]
        high: f64,
    },
    /// `stop(min(r, cap)) A logp` while the probability has not moved too far.
    TvMask {
        /// In (0, 1].
        #[serde(default = "divergence_mask::tv")]
        low: f64,
        /// In (0, 1].
        #[serde(default = "divergence_mask::tv")]
        high: f64,
        /// Above 1.
        #[serde(default = "divergence_mask::cap")]
        cap: f64,
    },
    /// `stop(min(r, cap)) A logp` while the binary KL is not too large.
    KlMask {
        /// In nats; above 0.
        #[serde(default = "divergence_mask::kl")]
        low: f64,
        /// In nats; above 0.
        #[serde(default = "divergence_mask::kl")]
        high: f64,
        /// Above 1.
        #[serde(default = "divergence_mask::cap")]
        cap: f64,
    },
    /// `clip`, without some actions of high covariance.
    ClipCov {
        /// How many, of the trained actions of the batch; in (0, 1].
        #[serde(default = "covariance::fraction")]
        fraction: f64,
        /// The covariance of a candidate is above this.
        #[serde(default = "one")]
        least: f64,
        /// The covariance of a candidate is below this; above `least`.
        #[serde(default = "covariance::most")]
        most: f64,
        #[serde(default)]
        order: Order,
        /// In (0, 1].
        #[serde(default = "fifth")]
        low: f64,
        /// Above 0.
        #[serde(default = "fifth")]
        high: f64,
    },
    /// The bare ratio, with a penalty on the actions of highest covariance.
    KlCov {
        /// How many, of the trained actions of the batch; in (0, 1].
        #[serde(default = "covariance::fraction")]
        fraction: f64,
        /// Of the penalty; above 0.
        #[serde(default = "one")]
        coefficient: f64,
    },
}

fn fifth() -> f64 {
    0.2
}

fn higher() -> f64 {
    0.28
}

fn half() -> f64 {
    0.5
}

fn one() -> f64 {
    1.0
}

fn three() -> f64 {
    3.0
}

impl Default for Gate {
    fn default() -> Self {
        Gate::Clip { low: 0.2, high: 0.2 }
    }
}

/// One action at a gate.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub ratio: f64,
    pub advantage: f64,
    pub logp: f64,
    pub old_logp: f64,
    /// Whether the batch's survey picked it.
    pub selected: bool,
    /// How far its trajectory has drifted; 0 unless the gate asks.
    pub drift: f64,
}

/// A gated term of one action.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Gated {
    pub value: f64,
    /// Derivative by the ratio. At a kink: that of the side where the gate is open.
    pub slope: f64,
    /// Derivative by the action's own `logp` at a constant ratio.
    pub by_logp: f64,
    pub closed: bool,
}

impl Gated {
    /// No part in the loss.
    const SHUT: Gated = Gated { value: 0.0, slope: 0.0, by_logp: 0.0, closed: true };

    fn open(ratio: f64, advantage: f64) -> Self {
        Gated { value: ratio * advantage, slope: advantage, by_logp: 0.0, closed: false }
    }
}

impl Gate {
    /// What a recipe without a second update makes of it.
    pub fn staleness(self) -> Staleness {
        let clip = "the clip: every ratio is 1";
        match self {
            Gate::None => Staleness::Any,
            Gate::Clip { .. } | Gate::ClipHigher { .. } | Gate::DualClip { .. } | Gate::ClipCov { .. } => {
                Staleness::Inert(clip)
            }
            Gate::Cispo { .. } => Staleness::Inert("the bound of the ratio's weight: every ratio is 1"),
            Gate::Soft { .. } => Staleness::Inert("the soft gate: at ratio 1 its slope is the advantage"),
            Gate::SequenceMask { against: Against::Old, .. } => {
                Staleness::Inert("the clip and the mask of drifted sequences: every ratio is 1")
            }
            Gate::SequenceMask { against: Against::Behaviour, .. } => Staleness::Inert(clip),
            Gate::TvMask { .. } | Gate::KlMask { .. } => Staleness::Inert("the mask: no probability has moved"),
            Gate::KlCov { .. } => Staleness::Inert("the penalty: at ratio 1 its derivative is 0"),
        }
    }

    /// Whether the parameters are in range: the key and what is wrong with it.
    pub fn check(&self) -> Result<(), (String, String)> {
        let word = self.word();
        let fault = |name: &str, problem: &str| Err((format!("{word}.{name}"), problem.to_owned()));
        let unit = |name: &str, x: f64| {
            if x > 0.0 && x <= 1.0 { Ok(()) } else { fault(name, &format!("is {x}, and must lie in (0, 1]")) }
        };
        let positive = |name: &str, x: f64| above_zero(&format!("{word}.{name}"), x);
        let beyond_one = |name: &str, x: f64| {
            if x > 1.0 && x.is_finite() { Ok(()) } else { fault(name, &format!("is {x}, and must be above 1")) }
        };
        match *self {
            Gate::None => Ok(()),
            Gate::Clip { low, high } | Gate::Cispo { low, high } => {
                unit("low", low)?;
                positive("high", high)
            }
            Gate::ClipHigher { low, high } => {
                unit("low", low)?;
                positive("high", high)?;
                if high > low {
                    Ok(())
                } else {
                    fault("high", &format!("is {high}, and must be above low = {low}; else it is clip"))
                }
            }
            Gate::DualClip { low, high, c } => {
                unit("low", low)?;
                positive("high", high)?;
                beyond_one("c", c)
            }
            Gate::Soft { positive: good, negative } => {
                positive("positive", good)?;
                positive("negative", negative)
            }
            Gate::SequenceMask { delta, low, high, .. } => {
                positive("delta", delta)?;
                unit("low", low)?;
                positive("high", high)
            }
            Gate::TvMask { low, high, cap } => {
                unit("low", low)?;
                unit("high", high)?;
                beyond_one("cap", cap)
            }
            Gate::KlMask { low, high, cap } => {
                positive("low", low)?;
                positive("high", high)?;
                beyond_one("cap", cap)
            }
            Gate::ClipCov { fraction, least, most, low, high, .. } => {
                unit("fraction", fraction)?;
                if !least.is_finite() {
                    return fault("least", &format!("is {least}, and must be finite"));
                }
                if !(most > least && most.is_finite()) {
                    return fault("most", &format!("is {most}, and must be above least = {least}"));
                }
                unit("low", low)?;
                positive("high", high)
            }
            Gate::KlCov { fraction, coefficient } => {
                unit("fraction", fraction)?;
                positive("coefficient", coefficient)
            }
        }
    }

    /// The recipe's word.
    fn word(self) -> &'static str {
        match self {
            Gate::None => "none",
            Gate::Clip { .. } => "clip",
            Gate::ClipHigher { .. } => "clip_higher",
            Gate::DualClip { .. } => "dual_clip",
            Gate::Cispo { .. } => "cispo",
            Gate::Soft { .. } => "soft",
            Gate::SequenceMask { .. } => "sequence_mask",
            Gate::TvMask { .. } => "tv_mask",
            Gate::KlMask { .. } => "kl_mask",
            Gate::ClipCov { .. } => "clip_cov",
            Gate::KlCov { .. } => "kl_cov",
        }
    }

    /// Whether `behaviour_logp` must be there.
    pub fn reads_behaviour(self) -> bool {
        matches!(self, Gate::SequenceMask { against: Against::Behaviour, .. })
    }

    pub(super) fn scope(self) -> Scope {
        match self {
            Gate::ClipCov { .. } | Gate::KlCov { .. } => Scope::Batch,
            Gate::SequenceMask { .. } => Scope::Sequence,
            _ => Scope::Action,
        }
    }

    /// Statistics of the batch; `masks` are the final ones.
    pub(super) fn survey(
        self,
        ratio: RatioLevel,
        batch: &[Vec<Seen<'_>>],
        masks: &[Vec<Option<Vec<f64>>>],
    ) -> Result<GateSurvey, MethodError> {
        match self {
            Gate::ClipCov { fraction, least, most, order, low, high } => {
                let candidate = covariance::Candidate { between: Some((least, most)), clip: Some((low, high)) };
                covariance::survey(ratio, batch, masks, fraction, order, candidate)
            }
            Gate::KlCov { fraction, .. } => {
                let candidate = covariance::Candidate { between: None, clip: None };
                covariance::survey(ratio, batch, masks, fraction, Order::Largest, candidate)
            }
            _ => Ok(GateSurvey::None),
        }
    }

    /// How far a trajectory has drifted, for the gates that ask; refuses rows that a gate cannot read.
    pub(super) fn drift(self, seen: &Seen<'_>, old: &[f64], mask: &[f64], place: Place) -> Result<f64, MethodError> {
        match self {
            Gate::SequenceMask { against, .. } => sequence_mask::drift(against, seen, old, mask, place),
            Gate::TvMask { .. } | Gate::KlMask { .. } => {
                divergence_mask::probabilities(seen, old, mask, place)?;
                Ok(0.0)
            }
            _ => Ok(0.0),
        }
    }

    #[inline]
    pub(super) fn of(self, at: At) -> Gated {
        match self {
            Gate::None => Gated::open(at.ratio, at.advantage),
            Gate::Clip { low, high } | Gate::ClipHigher { low, high } => clip::of(at.ratio, at.advantage, low, high),
            Gate::DualClip { low, high, c } => clip::dual(at.ratio, at.advantage, low, high, c),
            Gate::Cispo { low, high } => cispo::of(at, low, high),
            Gate::Soft { positive, negative } => soft::of(at.ratio, at.advantage, positive, negative),
            Gate::SequenceMask { delta, low, high, .. } => sequence_mask::of(at, delta, low, high),
            Gate::TvMask { low, high, cap } => divergence_mask::tv_mask(at, low, high, cap),
            Gate::KlMask { low, high, cap } => divergence_mask::kl_mask(at, low, high, cap),
            Gate::ClipCov { low, high, .. } => {
                if at.selected {
                    Gated::SHUT
                } else {
                    clip::of(at.ratio, at.advantage, low, high)
                }
            }
            Gate::KlCov { coefficient, .. } => covariance::penalised(at, coefficient),
        }
    }
}
