//! What a thought is made of, as a recipe says it.

use cohort_core::Soft;
use serde::{Deserialize, Serialize};

use crate::config::Fault;

/// What the actions of a thought are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ThinkingConfig {
    /// Tokens, like all others.
    #[default]
    Discrete,
    /// Mixtures of the most probable tokens, weighed with Gumbel noise and fed back as mixtures of their embeddings. Every completion begins
    /// with them. What is recorded of each is its most weighty token, and its log-probability is the density of its noise.
    Soft(SoftConfig),
}

/// How soft tokens are drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SoftConfig {
    /// The token that ends a thought, for example `</think>`: once it is recorded, the rest is drawn token by token.
    pub until: String,
    /// The most tokens of a mixture.
    #[serde(default = "SoftConfig::top_k")]
    pub top_k: usize,
    /// Of these the ones before which less than this share of their probability stands.
    #[serde(default = "SoftConfig::top_p")]
    pub top_p: f64,
    /// Temperature of the weights: low ones mix little.
    #[serde(default = "SoftConfig::tau")]
    pub tau: f64,
    /// What the noise is held in: lowest and highest.
    #[serde(default = "SoftConfig::clamp")]
    pub clamp: [f64; 2],
}

impl ThinkingConfig {
    /// Whether it is of ordinary tokens.
    pub fn is_discrete(&self) -> bool {
        *self == Self::Discrete
    }

    /// Its soft tokens, if it has any.
    pub fn soft(&self) -> Option<&SoftConfig> {
        match self {
            Self::Discrete => None,
            Self::Soft(soft) => Some(soft),
        }
    }

    /// # Errors
    /// The key below `rollout`, and what is wrong with it.
    pub fn check(&self) -> Result<(), Fault> {
        let Self::Soft(soft) = self else { return Ok(()) };
        if soft.until.is_empty() {
            return Err(Fault::at("thinking.soft.until", "is empty"));
        }
        soft.ending_at(0).check().map_err(|(name, problem)| Fault::at(format!("thinking.soft.{name}"), problem))
    }
}

impl SoftConfig {
    fn top_k() -> usize {
        5
    }

    fn top_p() -> f64 {
        0.95
    }

    fn tau() -> f64 {
        0.1
    }

    fn clamp() -> [f64; 2] {
        Soft::CLAMP
    }

    /// For a sampler; `until` is the id that ends a thought.
    pub fn ending_at(&self, until: u32) -> Soft {
        Soft { until, top_k: self.top_k, top_p: self.top_p, tau: self.tau, clamp: self.clamp }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_means_nothing_is_named() {
        let soft: SoftConfig = serde_json::from_str(r#"{ "until": "</think>" }"#).expect("defaults");
        assert_eq!(soft.ending_at(4), Soft { until: 4, top_k: 5, top_p: 0.95, tau: 0.1, clamp: [-1.5, 3.0] });
        assert_eq!(ThinkingConfig::Soft(soft.clone()).check(), Ok(()));
        for (soft, key) in [
            (SoftConfig { until: String::new(), ..soft.clone() }, "thinking.soft.until"),
            (SoftConfig { tau: 0.0, ..soft.clone() }, "thinking.soft.tau"),
            (SoftConfig { top_k: 0, ..soft }, "thinking.soft.top_k"),
        ] {
            assert_eq!(ThinkingConfig::Soft(soft).check().unwrap_err().key, key);
        }
    }
}
