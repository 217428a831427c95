//! What an advantage says: the distance from a baseline, a share in the best of k, a place in a tree.

mod best_only;
mod compared;
mod pass_at_k;
mod tree;

use serde::{Deserialize, Serialize};

pub use tree::Reweight;

use super::{
    Scale,
    scope::{Compared, Numbers, Rule},
    statistic,
    table::Table,
};
use crate::{memory::Memory, method_error::MethodError, registry::Entry};

pub(super) const ENTRIES: [&Entry; 4] = [&compared::ENTRY, &pass_at_k::ENTRY, &best_only::ENTRY, &tree::ENTRY];

/// The kind of advantage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Estimator {
    /// `(reward - baseline) / scale` in the scope.
    #[default]
    Compared,
    /// The analytic advantage of the success of a group of k.
    PassAtK {
        #[serde(default = "pass_at_k::four")]
        k: usize,
    },
    /// The lead of the best of a group over the second; nothing for the others.
    BestOnly,
    /// The value of a shared prefix against its parent and the root.
    Tree {
        #[serde(default)]
        reweight: Reweight,
    },
}

impl Estimator {
    /// Fewest episodes of a group.
    pub(super) fn least(self) -> usize {
        match self {
            Estimator::Compared => 1,
            Estimator::PassAtK { k } => k.max(2),
            Estimator::BestOnly | Estimator::Tree { .. } => 2,
        }
    }

    /// Of the group's rewards; not for `Compared`, which the scope computes.
    pub(super) fn of_groups(
        self,
        table: &Table<'_>,
        rule: Rule<'_>,
        memory: &mut Memory,
    ) -> Result<Compared, MethodError> {
        let field = table.field("", table.rewards(), table.by_group());
        rule.check(table, &field.values, "reward")?;
        let (baseline, scale, least) = (rule.baseline, rule.scale, rule.least);
        let compared = match self {
            Estimator::Compared => Numbers::Episodes(field.compare(baseline, scale, least, memory)),
            Estimator::PassAtK { k } => {
                pass_at_k::check(table, &field.values)?;
                let divide = !matches!(scale, Scale::None);
                Numbers::Episodes(
                    field.map_parts(baseline, scale, memory, |part| pass_at_k::advantages(part.values, k, divide)),
                )
            }
            Estimator::BestOnly => Numbers::Episodes(
                field.map_parts(baseline, scale, memory, |part| best_only::advantages(part.values, &scale.of(part))),
            ),
            Estimator::Tree { reweight } => {
                let scales = field.map_parts(baseline, scale, memory, |part| scale.of(part));
                Numbers::Actions(tree::advantages(table, &field.values, &scales, reweight)?)
            }
        };
        rule.remember(&field, memory);
        Ok(Compared::new(compared, [&field.values]))
    }

    /// # Errors
    /// The parameter that is out of range, and the range.
    pub fn check(&self) -> Result<(), (String, String)> {
        match self {
            Estimator::PassAtK { k: 0 } => Err(("pass_at_k.k".into(), "must be at least 1".into())),
            _ => Ok(()),
        }
    }
}
