//! Under which context the policy is asked that the ratio compares with.

use serde::{Deserialize, Serialize};

use crate::registry::{Axis, Entry};

const SAME: &str = "they differ in where old_logp comes from; once it is given, both compute the same";

pub(super) const SCORED: Entry = Entry {
    axis: Axis::Context,
    name: "scored",
    summary: "old rows under the context that the actions are trained in",
    formula: "ratio = policy(a | scored context) / old(a | scored context); 1 at the first update, whatever the sampling \
              context held. A hint that stays in the scored context (SAGE) stays in both.",
    source: "GRPO: Shao et al. 2024, arXiv 2402.03300, eq. 3; SAGE, 2026, arXiv 2602.03143",
    equals: &[("sampled", SAME)],
    ..Entry::NONE
};

pub(super) const SAMPLED: Entry = Entry {
    axis: Axis::Context,
    name: "sampled",
    summary: "old rows under the context that the actions were sampled in, a hint included",
    formula: "ratio = policy(a | scored context) / old(a | sampling context): importance weights for actions that a hint led \
              to and that are trained without it. Ratios of 1e-3 and less are common, also at the first update; where A > 0 \
              a clip leaves them open (weight = ratio), where A < 0 it closes them.",
    source: "Guide-GRPO, Scale AI 2025, its importance-corrected objective",
    unverified: "clipping and the KL term of the corrected objective",
    equals: &[("scored", SAME)],
    ..Entry::NONE
};

/// The context of the ratio's denominator, where a sample was drawn under one context and is scored under another.
/// Who computes `old_logp` reads this; the objective itself takes the column as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RatioContext {
    /// The one that the policy is trained under.
    #[default]
    Scored,
    /// The one that the actions were drawn under.
    Sampled,
}
