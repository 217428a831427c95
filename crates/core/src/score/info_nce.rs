//! A relevant candidate is told from the others of its list.

use serde::{Deserialize, Serialize};

use super::{OfList, Scored, above_zero, finite};
use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Score,
    name: "info_nce",
    summary: "each relevant candidate of a list is told from all that are not",
    formula: "P, N: the candidates of a list with label >= positive, below it. loss = mean over the p in P of lists with N not empty, over the whole \
              batch, of -ln(exp(s_p / temperature) / (exp(s_p / temperature) + sum over N of exp(s_n / temperature))). Other relevant candidates of the \
              list are no part of the sum. s in nats.",
    parameters: &[
        Parameter {
            name: "temperature",
            default: "1.0",
            range: "above 0",
            meaning: "what scores are divided by, in nats",
        },
        Parameter {
            name: "positive",
            default: "1.0",
            range: "finite",
            meaning: "the least label of a relevant candidate",
        },
    ],
    reads: &["label"],
    source: "InfoNCE: van den Oord et al. 2018, arXiv 1807.03748, eq. 4; as the contrastive step of ProRank, 2025, arXiv 2506.03487",
    unverified: "temperature and negatives of ProRank's contrastive step",
    ..Entry::NONE
};

/// InfoNCE over one relevant candidate and the list's others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InfoNce {
    /// Above 0, in nats.
    pub temperature: f64,
    /// The least label of a relevant candidate.
    pub positive: f64,
}

impl Default for InfoNce {
    fn default() -> Self {
        Self { temperature: 1.0, positive: 1.0 }
    }
}

impl InfoNce {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        above_zero("info_nce.temperature", self.temperature)?;
        finite("info_nce.positive", self.positive)
    }

    fn is_relevant(&self, label: f64) -> bool {
        label >= self.positive
    }

    /// Relevant candidates, where there are others.
    pub(super) fn units(&self, labels: &[f64]) -> usize {
        let relevant = labels.iter().filter(|&&label| self.is_relevant(label)).count();
        if relevant < labels.len() { relevant } else { 0 }
    }

    pub(super) fn of(&self, list: &[Scored]) -> OfList {
        let mut of = OfList { loss: 0.0, slopes: vec![0.0; list.len()] };
        let others: Vec<usize> = (0..list.len()).filter(|&c| !self.is_relevant(list[c].label)).collect();
        if others.is_empty() {
            return of;
        }
        for p in (0..list.len()).filter(|&c| self.is_relevant(list[c].label)) {
            let scaled = |c: usize| list[c].score / self.temperature;
            let top = others.iter().map(|&c| scaled(c)).fold(scaled(p), f64::max);
            let weight = |c: usize| (scaled(c) - top).exp();
            let total = weight(p) + others.iter().map(|&c| weight(c)).sum::<f64>();
            of.loss += total.ln() + top - scaled(p);
            of.slopes[p] += (weight(p) / total - 1.0) / self.temperature;
            for &c in &others {
                of.slopes[c] += weight(c) / total / self.temperature;
            }
        }
        of
    }
}
