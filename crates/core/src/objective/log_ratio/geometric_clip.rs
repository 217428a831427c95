//! One ratio a trajectory, of actions that are clipped one by one.

use super::{Back, Ratios};
use crate::{
    objective::Seen,
    registry::{Axis, Entry, Parameter},
};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Ratio,
    name: "geometric_clip",
    summary: "a ratio a trajectory: the geometric mean of its actions' clipped ratios",
    formula: "r = exp((1/n) sum_i m_i), m_i = sign(A_i) min(sign(A_i) d_i, sign(A_i) clip(d_i, -low, high)), d_i = logp_i - old_logp_i over the n trained actions; m_i = 0 where A_i = 0. d r / d logp_i = r / n while the clip of i is open, also exactly at its bound, and 0 past it. Its gate is `none`",
    parameters: &[
        Parameter { name: "low", default: "0.4", range: "above 0", meaning: "lower bound of a log ratio, in nats" },
        Parameter { name: "high", default: "0.4", range: "above 0", meaning: "upper bound of a log ratio, in nats" },
    ],
    reads: &["old_logp"],
    source: "GMPO: Zhao et al. 2025, arXiv 2507.20673; TRL's experimental GMPOTrainer; verl's geo_mean",
    ..Entry::NONE
};

pub(super) fn of<'a>(seen: &Seen<'a>, mask: &[f64], low: f64, high: f64) -> Ratios<'a> {
    let mut open = vec![false; mask.len()];
    let (mut sum, mut trained) = (0.0, 0.0);
    for i in (0..mask.len()).filter(|&i| mask[i] != 0.0) {
        let (d, advantage) = (seen.rows.logp[i] - seen.old_logp[i], seen.credit.coefficient[i]);
        let clipped = d.clamp(-low, high);
        let m = if advantage > 0.0 {
            f64::min(d, clipped)
        } else if advantage < 0.0 {
            f64::max(d, clipped)
        } else {
            0.0
        };
        open[i] = advantage != 0.0 && m == d;
        sum += m;
        trained += 1.0;
    }
    let share = if trained > 0.0 { 1.0 / trained } else { 1.0 };
    Ratios { values: vec![(sum * share).exp(); mask.len()], back: Back::Open { share, open } }
}
