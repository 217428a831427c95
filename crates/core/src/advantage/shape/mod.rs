//! What changes advantages after the comparison, action by action.

mod added;
mod hardness;
mod malformed;
mod overflow;
mod positive_only;
mod prompt_weight;

use serde::{Deserialize, Serialize};

pub use malformed::Mode;
pub use prompt_weight::Form;

use super::{statistic, table::Table};
use crate::{method_error::MethodError, registry::Entry};

pub(super) const ENTRIES: [&Entry; 6] = [
    &overflow::ENTRY,
    &added::ENTRY,
    &malformed::ENTRY,
    &hardness::ENTRY,
    &prompt_weight::ENTRY,
    &positive_only::ENTRY,
];

/// One change; a recipe lists them in the order in which they act.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Shape {
    /// A penalty beyond the N-th segment, and a bonus for a full list.
    Overflow {
        #[serde(default = "overflow::segments")]
        segments: u32,
        #[serde(default = "overflow::tenth")]
        penalty: f64,
        #[serde(default = "overflow::tenth")]
        bonus: f64,
    },
    /// A fact is added.
    Added {
        #[serde(default = "added::fact")]
        fact: String,
        #[serde(default = "added::one")]
        coefficient: f64,
    },
    /// A penalty where a fact says that what was written is malformed.
    Malformed {
        #[serde(default = "malformed::fact")]
        fact: String,
        #[serde(default = "added::one")]
        penalty: f64,
        #[serde(default)]
        mode: Mode,
    },
    /// GRPO-S's factor.
    Hardness {
        #[serde(default = "hardness::fact")]
        fact: String,
        #[serde(default = "hardness::gap")]
        gap: String,
        #[serde(default = "added::one")]
        tau: f64,
    },
    /// A factor of the prompt's success rate.
    PromptWeight {
        #[serde(default)]
        form: Form,
        #[serde(default = "prompt_weight::edge")]
        edge: f64,
    },
    /// Nothing is pushed down.
    PositiveOnly,
}

/// Advantages by group, trajectory and action.
pub(super) type Rows = [Vec<Vec<f64>>];

impl Shape {
    pub(super) fn apply(&self, table: &Table<'_>, rows: &mut Rows) -> Result<(), MethodError> {
        match self {
            Shape::Overflow { segments, penalty, bonus } => overflow::apply(table, rows, *segments, *penalty, *bonus),
            Shape::Added { fact, coefficient } => added::apply(table, rows, fact, *coefficient),
            Shape::Malformed { fact, penalty, mode } => malformed::apply(table, rows, fact, *penalty, *mode),
            Shape::Hardness { fact, gap, tau } => hardness::apply(table, rows, fact, gap, *tau),
            Shape::PromptWeight { form, edge } => prompt_weight::apply(table, rows, *form, *edge),
            Shape::PositiveOnly => {
                positive_only::apply(rows);
                Ok(())
            }
        }
    }

    /// # Errors
    /// The parameter that is out of range, and the range.
    pub fn check(&self) -> Result<(), (String, String)> {
        let fit = |key: &str, x: f64| {
            if x.is_finite() && x >= 0.0 {
                Ok(())
            } else {
                Err((key.to_owned(), "must be at least 0 and finite".to_owned()))
            }
        };
        match self {
            Shape::Overflow { penalty, bonus, .. } => {
                fit("overflow.penalty", *penalty).and(fit("overflow.bonus", *bonus))
            }
            Shape::Added { coefficient, .. } if !coefficient.is_finite() => {
                Err(("added.coefficient".into(), "must be finite".into()))
            }
            Shape::Malformed { penalty, .. } => fit("malformed.penalty", *penalty),
            Shape::Hardness { tau, .. } => fit("hardness.tau", *tau),
            Shape::PromptWeight { edge, .. } if !(*edge > 0.0 && *edge < 0.5) => {
                Err(("prompt_weight.edge".into(), "must lie in (0, 0.5)".into()))
            }
            Shape::Added { .. } | Shape::PromptWeight { .. } | Shape::PositiveOnly => Ok(()),
        }
    }
}

/// Every member's row with its place in the table.
fn each_row(
    table: &Table<'_>,
    rows: &mut Rows,
    mut f: impl FnMut(usize, usize, usize, &mut Vec<f64>) -> Result<(), MethodError>,
) -> Result<(), MethodError> {
    for (g, episodes) in table.episodes.iter().enumerate() {
        for (e, episode) in episodes.iter().enumerate() {
            for &t in episode {
                f(g, e, t, &mut rows[g][t])?;
            }
        }
    }
    Ok(())
}
