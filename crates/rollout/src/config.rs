//! The rollout axis as a recipe names it.

use serde::{Deserialize, Serialize};

use crate::{Branching, ExitsConfig, ExplainedConfig, Fill, Independent, Strategy, TreeConfig};

/// How the group of a prompt comes about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StrategyConfig {
    /// Every episode is drawn on its own.
    #[default]
    Independent,
    /// Several samples at each round from every one of the round before: plans with their chains, rounds with their futures.
    Branching {
        /// Samples of each open branch, round by round; `group_size` is their product.
        widths: Vec<usize>,
    },
    /// One chain of thought, left at several places.
    Exits(ExitsConfig),
    /// A tree that branches where the policy is uncertain, beside independent answers.
    Tree(TreeConfig),
    /// Independent answers, and explanations of the right one beside them.
    Explained(ExplainedConfig),
}

/// What is wrong with a key below `rollout`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Below `rollout.strategy`, or below `rollout` where it begins with another word of it.
    pub key: String,
    pub problem: String,
}

impl Fault {
    pub(crate) fn at(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into() }
    }
}

impl StrategyConfig {
    /// # Errors
    /// The key below `rollout.strategy`, and what is wrong with it.
    pub fn check(&self, group_size: usize, rounds: usize, temperature: f32) -> Result<(), Fault> {
        let single = |name: &str| match rounds {
            0 | 1 => Ok(()),
            _ => Err(Fault::at(name, "is of one round: leave rollout.rounds away, or take branching")),
        };
        match self {
            StrategyConfig::Independent => Ok(()),
            StrategyConfig::Branching { widths } => {
                if widths.is_empty() || widths.contains(&0) {
                    return Err(Fault::at("branching.widths", "must hold a number of at least 1 for each round"));
                }
                if widths.len() != rounds.max(1) {
                    let problem = format!("has {} widths for {} rounds (rollout.rounds)", widths.len(), rounds.max(1));
                    return Err(Fault::at("branching.widths", problem));
                }
                let product = widths.iter().try_fold(1usize, |product, &width| product.checked_mul(width));
                if product != Some(group_size) {
                    return Err(Fault::at("branching.widths", format!("must multiply to group_size, {group_size}")));
                }
                Ok(())
            }
            StrategyConfig::Exits(config) => single("exits").and_then(|()| config.check(group_size)),
            StrategyConfig::Tree(config) => single("tree").and_then(|()| config.check(temperature)),
            StrategyConfig::Explained(config) => single("explained").and_then(|()| config.check()),
        }
    }

    /// Whether no sample goes on from a part of another: what does is drawn behind the ids of that part alone.
    pub fn draws_whole_samples(&self) -> bool {
        match self {
            StrategyConfig::Independent | StrategyConfig::Branching { .. } => true,
            StrategyConfig::Exits(_) | StrategyConfig::Tree(_) | StrategyConfig::Explained(_) => false,
        }
    }

    /// Tokens that an episode may have beyond the cap on a completion; `words` counts a text's.
    pub fn more(&self, words: impl Fn(&str) -> usize) -> usize {
        match self {
            StrategyConfig::Exits(exits) => words(&exits.say) + exits.answer_tokens,
            StrategyConfig::Independent
            | StrategyConfig::Branching { .. }
            | StrategyConfig::Tree(_)
            | StrategyConfig::Explained(_) => 0,
        }
    }

    /// The strategy, for groups of `group_size` whose completions have at most `most` tokens and `max_turns` turns.
    ///
    /// # Errors
    /// What `fill` finds.
    pub fn build<F: Fill>(
        &self,
        group_size: usize,
        most: usize,
        max_turns: usize,
        fill: &F,
    ) -> Result<Box<dyn Strategy>, F::Error> {
        let members = Independent { group_size, max_turns };
        Ok(match self {
            StrategyConfig::Independent => Box::new(members),
            StrategyConfig::Branching { widths } => Box::new(Branching { widths: widths.clone() }),
            StrategyConfig::Exits(config) => Box::new(config.build(group_size, fill)?),
            StrategyConfig::Tree(config) => Box::new(config.build(members)),
            StrategyConfig::Explained(config) => Box::new(config.build(members, most, fill)?),
        })
    }
}
