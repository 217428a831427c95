//! The one denominator of a batch.

use serde::{Deserialize, Serialize};

/// What the masked sum over actions is divided by. Computed once from the final mask over the whole
/// optimizer batch, before any backward, so that no split into micro-batches can change it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Denominator {
    /// The mean over sequences of each sequence's mean over its actions
    /// (GRPO: Shao et al. 2024, arXiv 2402.03300, eq. 3). A fully masked sequence counts as one.
    #[default]
    Sequence,
    /// The number of trained actions of the batch (DAPO: Yu et al. 2025, arXiv 2503.14476, §3.3).
    Tokens,
    /// The number of sequences times a constant length (Dr. GRPO: Liu et al. 2025, arXiv 2503.20783, §3.2).
    Constant {
        /// In actions; above 0.
        length: f64,
    },
}

/// What the batch's masks add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    pub groups: f64,
    /// Counted members: not auxiliary, not dropped.
    pub sequences: f64,
    /// The sum of the masks.
    pub tokens: f64,
}

impl Counts {
    pub fn of(masks: &[Vec<Option<Vec<f64>>>]) -> Self {
        let counted = || masks.iter().flatten().flatten();
        Self { groups: masks.len() as f64, sequences: counted().count() as f64, tokens: counted().flatten().sum() }
    }
}

impl Denominator {
    /// The weight of every action: its mask over the denominator. `masks` holds the whole optimizer batch, group by
    /// group, with `None` for what is not counted, which gets no weight; the result has the same shape.
    pub fn weights(self, masks: &[Vec<Option<Vec<f64>>>]) -> Vec<Vec<Option<Vec<f64>>>> {
        let counts = Counts::of(masks);
        let of = |mask: &Vec<f64>| -> Vec<f64> {
            let own: f64 = mask.iter().sum();
            let denominator = match self {
                Denominator::Sequence => own * counts.sequences,
                Denominator::Tokens => counts.tokens,
                Denominator::Constant { length } => length * counts.sequences,
            };
            // A mask of 0 stays 0 where nothing at all is trained.
            mask.iter().map(|&m| if m == 0.0 { 0.0 } else { m / denominator }).collect()
        };
        masks.iter().map(|group| group.iter().map(|mask| mask.as_ref().map(of)).collect()).collect()
    }
}
