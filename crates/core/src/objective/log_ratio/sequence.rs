//! One ratio a trajectory.

use super::{Back, Ratios};
use crate::{
    objective::Seen,
    registry::{Axis, Entry},
};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Ratio,
    name: "sequence",
    summary: "a ratio a trajectory: the product of its actions' ratios",
    formula: "r = exp(sum_i (logp_i - old_logp_i)) over the trained actions, shared by them; d r / d logp_i = r. Its spread grows with the length",
    reads: &["old_logp"],
    source: "RLOO: Ahmadian et al. 2024, arXiv 2402.14740, section 3; TRL's RLOOTrainer",
    ..Entry::NONE
};

pub(in crate::objective) const GEOMETRIC: Entry = Entry {
    axis: Axis::Ratio,
    name: "geometric",
    summary: "a ratio a trajectory: the geometric mean of its actions' ratios",
    formula: "s = exp((1/n) sum_i (logp_i - old_logp_i)) over the n trained actions, shared by them; d s / d logp_i = s / n. Bounds of a clip are some 1e-4 wide",
    reads: &["old_logp"],
    source: "GSPO: Zheng et al. 2025, arXiv 2507.18071, eq. 7",
    ..Entry::NONE
};

pub(in crate::objective) const SEQUENCE_TOKEN: Entry = Entry {
    axis: Axis::Ratio,
    name: "sequence_token",
    summary: "the value of the trajectory's geometric mean, the derivative of the action's own ratio",
    formula: "s_i = stop(s) exp(logp_i - stop(logp_i)), s as under geometric; d s_i / d logp_i = s, 0 by every other action. With one advantage a trajectory and per-sequence means it has the gradient of geometric",
    reads: &["old_logp"],
    source: "GSPO-token: Zheng et al. 2025, arXiv 2507.18071, eq. 13",
    ..Entry::NONE
};

/// Whether the log ratios are averaged or added.
#[derive(PartialEq)]
pub(super) enum Mean {
    Yes,
    No,
}

/// Whose rows the ratio of an action depends on.
pub(super) enum Slope {
    All,
    Own,
}

pub(super) fn of<'a>(seen: &Seen<'a>, mask: &[f64], mean: Mean, slope: Slope) -> Ratios<'a> {
    let (mut sum, mut trained) = (0.0, 0.0);
    for ((p, q), _) in seen.rows.logp.iter().zip(seen.old_logp).zip(mask).filter(|(_, m)| **m != 0.0) {
        sum += p - q;
        trained += 1.0;
    }
    let share = if mean == Mean::Yes && trained > 0.0 { 1.0 / trained } else { 1.0 };
    let back = match slope {
        Slope::All => Back::Trajectory(share),
        Slope::Own => Back::Own,
    };
    Ratios { values: vec![(sum * share).exp(); mask.len()], back }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{advantage::Credit, row::Rows, trajectory::Trajectory};

    #[test]
    fn a_sequence_that_nobody_trains_has_the_ratio_one() {
        let rows = Rows { logp: vec![-1.0, -9.0], ..Rows::default() };
        let (trajectory, credit) = (Trajectory::default(), Credit::uniform(1.0, 2));
        let seen = Seen { trajectory: &trajectory, credit: &credit, rows: &rows, old_logp: &[-1.5, -1.0] };
        for slope in [Slope::All, Slope::Own] {
            assert_eq!(of(&seen, &[0.0, 0.0], Mean::Yes, slope).values, [1.0, 1.0]);
        }
        assert_eq!(of(&seen, &[1.0, 0.0], Mean::Yes, Slope::All).values, [0.5f64.exp(); 2]);
    }
}
