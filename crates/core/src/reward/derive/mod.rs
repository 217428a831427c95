//! New terms from terms, facts and the whole group.

use serde::{Deserialize, Serialize};

use super::group::{Group, Term};
use crate::{memory::Memory, method_error::MethodError, outcome::Outcome, registry::Entry, trajectory::Comparison};

mod votes;

/// What every function needs.
mod prelude {
    #[cfg(test)]
    pub(super) use super::super::group::testing::*;
    pub(super) use super::super::{
        group::{Group, Term, deviation, judged, mean, reaches},
        parameters::*,
    };
    pub(super) use crate::{
        memory::Memory,
        method_error::MethodError,
        outcome::Outcome,
        registry::{Axis, Entry},
    };
}

/// A term that is computed and not verified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Derived {
    /// The name of the new term.
    pub into: String,
    /// Its weight in the combiner.
    #[serde(default = "one")]
    pub weight: f64,
    pub with: Derive,
}

fn one() -> f64 {
    1.0
}

/// The enum of all functions, its dispatch and its entries, from one list. A module is named as the recipe's word.
macro_rules! functions {
    ($($module:ident $function:ident)*) => {
        $(mod $module;)*

        $(pub use $module::$function;)*

        /// The function that makes it.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case", deny_unknown_fields)]
        pub enum Derive {
            $($function($function),)*
        }

        pub(super) const ENTRIES: &[&Entry] = &[$(&$module::ENTRY),*];

        impl Derive {
            fn term(&self) -> &dyn Term {
                match self {
                    $(Derive::$function(function) => function,)*
                }
            }

            /// The first parameter out of its range: its key below `reward.derive.N.with`, and what it must be.
            ///
            /// # Errors
            /// Such a parameter.
            pub fn check(&self) -> Result<(), (String, String)> {
                match self {
                    $(Derive::$function(function) => function.check()
                        .map_err(|(key, problem)| (format!("{}.{key}", $module::ENTRY.name), problem)),)*
                }
            }
        }
    };
}

functions! {
    action_costs ActionCosts
    affine Affine
    asymmetric_penalty AsymmetricPenalty
    backward_correction BackwardCorrection
    chain_bonus ChainBonus
    class_weight ClassWeight
    clip Clip
    consistency Consistency
    contrast_bonus ContrastBonus
    cosine_length CosineLength
    diversity Diversity
    format_length_curve FormatLengthCurve
    forward_correction ForwardCorrection
    frequency Frequency
    frequency_entropy FrequencyEntropy
    group_length GroupLength
    group_max_gated GroupMaxGated
    group_rank GroupRank
    length_window LengthWindow
    lookahead Lookahead
    majority Majority
    overlong Overlong
    position_decay PositionDecay
    product_of ProductOf
    running_z RunningZ
    scheduled_weight ScheduledWeight
    shared_mean SharedMean
    sigmoid_length SigmoidLength
    softmax_worst SoftmaxWorst
    ternary Ternary
    tool_economy ToolEconomy
    trust_gate TrustGate
    win_rate WinRate
}

impl Derived {
    /// Adds the term to every member's `rewards`.
    pub(super) fn apply(&self, groups: &mut [Comparison], memory: &mut Memory) -> Result<(), MethodError> {
        let seen = Group::all(groups);
        let term = self.with.term();
        term.observe(&self.into, &seen, memory)?;
        let mut derived: Vec<(Vec<Vec<usize>>, Vec<Outcome>)> = Vec::with_capacity(seen.len());
        for group in seen {
            let outcomes = term.of_group(&self.into, &group, memory)?;
            derived.push((group.episodes, outcomes));
        }
        for (group, (episodes, outcomes)) in groups.iter_mut().zip(derived) {
            for (of, outcome) in episodes.iter().zip(outcomes) {
                for &t in of {
                    group.trajectories[t].rewards.insert(self.into.clone(), outcome.clone());
                }
            }
        }
        Ok(())
    }

    /// The first thing out of its range: its key, and what it must be.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        if self.into.is_empty() {
            return Err(("into".to_owned(), "must be a name".to_owned()));
        }
        if !self.weight.is_finite() {
            return Err(("weight".to_owned(), "must be a finite number".to_owned()));
        }
        self.with.check().map_err(|(key, problem)| (format!("with.{key}"), problem))
    }
}
