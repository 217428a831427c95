//! How often a verifier fails what is right, estimated from appeals while training.

use serde::{Deserialize, Serialize};

use super::{
    group::Group,
    parameters::{ABOVE_ZERO_TO_ONE, BELOW_ONE, Bound, FACT, POSITIVE, Value, parameters, words},
};
use crate::{memory::Memory, method_error::MethodError};

parameters! {
    /// The estimator: a share of what the verifier failed is checked again by a better judge.
    ///
    /// `missed = flipped / share` (Horvitz-Thompson), `rate = (missed + a) / (missed + passed + a + b)` (Beta prior),
    /// then an exponential average over updates: `old * decay + rate * (1 - decay)`, the first rate as it is. With
    /// nothing right in sight (`missed + passed = 0`) an update says nothing and changes nothing. Before the first:
    /// the prior's mean `a / (a + b)`. Source: arXiv 2510.00915, the appeals; that the average starts at the first
    /// rate is ours.
    NoiseRate {
        appeal: String = "appeal", FACT, "of an appealed episode: 1 where the judge found it right, 0 where not; absent where nobody asked";
        share: f64 = 0.1, ABOVE_ZERO_TO_ONE, "the probability of an appeal";
        decay: f64 = 0.9, BELOW_ONE, "how much of the old rate stays";
        a: f64 = 1e-5, POSITIVE, "prior weight of a miss";
        b: f64 = 1e-5, POSITIVE, "prior weight of a pass";
    }
}

impl NoiseRate {
    /// One update: `passed` episodes that the verifier passed, `flipped` appeals that were upheld.
    pub fn update(&self, old: Option<f64>, passed: f64, flipped: f64) -> Option<f64> {
        let missed = flipped / self.share;
        if missed + passed <= 0.0 {
            return old;
        }
        let rate = (missed + self.a) / (missed + passed + self.a + self.b);
        Some(old.map_or(rate, |old| self.decay * old + (1.0 - self.decay) * rate))
    }

    /// The rate before the first update.
    pub fn prior(&self) -> f64 {
        self.a / (self.a + self.b)
    }
}

/// A rate that is known, or estimated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Rate {
    Fixed(f64),
    Estimated(Estimated),
}

/// `{ estimated = { .. } }`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Estimated {
    pub estimated: NoiseRate,
}

impl Value for Rate {
    fn fits(&self, _: &Bound) -> bool {
        match self {
            Rate::Fixed(rate) => rate.fits(&BELOW_ONE),
            Rate::Estimated(by) => by.estimated.check().is_ok(),
        }
    }
}

impl Rate {
    pub(super) const BOUND: Bound = words("in [0, 1), or `{ estimated = { appeal, share, decay, a, b } }`");

    pub(super) fn fixed(&self) -> Option<f64> {
        match self {
            Rate::Fixed(rate) => Some(*rate),
            Rate::Estimated(_) => None,
        }
    }

    /// Counts a batch, where the rate is estimated.
    pub(super) fn observe(
        &self,
        into: &str,
        of: &str,
        right: f64,
        groups: &[Group<'_>],
        memory: &mut Memory,
    ) -> Result<(), MethodError> {
        let Rate::Estimated(Estimated { estimated }) = self else { return Ok(()) };
        let (mut passed, mut flipped) = (0.0, 0.0);
        for group in groups {
            for (e, score) in group.scores(of)?.into_iter().enumerate() {
                match score {
                    Some(score) if score >= right => passed += 1.0,
                    Some(_) if group.number_if_any(e, &estimated.appeal)?.is_some_and(|x| x >= 0.5) => flipped += 1.0,
                    Some(_) | None => {}
                }
            }
        }
        if let Some(rate) = estimated.update(memory.run(&key(into)), passed, flipped) {
            memory.set_run(&key(into), rate);
        }
        Ok(())
    }

    pub(super) fn value(&self, into: &str, memory: &Memory) -> f64 {
        match self {
            Rate::Fixed(rate) => *rate,
            Rate::Estimated(by) => memory.run(&key(into)).unwrap_or_else(|| by.estimated.prior()),
        }
    }
}

fn key(into: &str) -> String {
    format!("reward.{into}.false_negative")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_update_by_hand() {
        let by = NoiseRate::default();
        let first = by.update(None, 30.0, 1.0).unwrap();
        assert!((first - 0.25).abs() < 1e-6, "10 missed of 40 right: {first}");
        let second = by.update(Some(first), 40.0, 0.0).unwrap();
        assert!((second - 0.9 * first).abs() < 1e-6);
    }

    #[test]
    fn nothing_right_says_nothing() {
        let by = NoiseRate::default();
        assert_eq!(by.update(Some(0.1), 0.0, 0.0), Some(0.1), "the prior alone would say 1/2");
        assert_eq!(by.update(None, 0.0, 0.0), None);
        assert_eq!(by.prior(), 0.5);
    }

    #[test]
    fn it_finds_the_rate() {
        let dice = crate::Stream::new(7, "appeals").dice(0, 0, 0);
        let mut drawn = 0;
        let mut unit = || {
            drawn += 1;
            dice.uniform(drawn)
        };
        let by = NoiseRate { decay: 0.99, ..NoiseRate::default() };
        let mut rate = None;
        for _ in 0..2000 {
            let (mut passed, mut flipped) = (0.0, 0.0);
            for _ in 0..200 {
                if unit() >= 0.2 {
                    passed += 1.0;
                } else if unit() < by.share {
                    flipped += 1.0;
                }
            }
            rate = by.update(rate, passed, flipped);
        }
        assert!((rate.unwrap() - 0.2).abs() < 0.02, "{rate:?}");
    }
}
