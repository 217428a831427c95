//! Gates on the few actions whose probability and advantage move together: they cost the most entropy.

use serde::{Deserialize, Serialize};

use super::{At, Gated, clip};
use crate::{
    method_error::{MethodError, Place},
    objective::{RatioLevel, Seen, log_ratio::Ratios},
    registry::{Axis, Entry, Parameter},
    trajectory::check_column,
};

const FRACTION: Parameter = Parameter {
    name: "fraction",
    default: "0.0002",
    range: "in (0, 1]",
    meaning: "how many actions, of the trained ones of the batch; at least one",
};

pub(in crate::objective) const CLIP: Entry = Entry {
    axis: Axis::Gate,
    name: "clip_cov",
    summary: "clip, without a few actions of high covariance between log-probability and advantage",
    formula: "g = clip's, and 0 for the selected; c_i = (A_i - mean A)(logp_i - mean logp), means over the trained actions of the batch; candidates: least < c_i < most and not closed by the clip; max(1, floor(fraction n)) of them are selected, n trained actions: those of largest c (in single precision; of equal ones the likelier, then in the order of the batch), or under `order = first` the first in the order of the batch. The selection is constant in the derivative, and denominators do not change",
    parameters: &[
        FRACTION,
        Parameter { name: "least", default: "1", range: "finite", meaning: "a candidate's covariance is above this" },
        Parameter {
            name: "most",
            default: "5",
            range: "above least",
            meaning: "a candidate's covariance is below this",
        },
        Parameter {
            name: "order",
            default: "largest",
            range: "largest or first",
            meaning: "which candidates are selected; `first` depends on the order of groups",
        },
        Parameter { name: "low", default: "0.2", range: "in (0, 1]", meaning: "as under clip" },
        Parameter { name: "high", default: "0.2", range: "above 0", meaning: "as under clip" },
    ],
    source: "Cui et al. 2025, arXiv 2505.22617, section 4.2; verl's clip_cov",
    unverified: "the paper and verl draw the selected at random; a fixed order is ours, so that a batch has one gradient",
    ..Entry::NONE
};

pub(in crate::objective) const KL: Entry = Entry {
    axis: Axis::Gate,
    name: "kl_cov",
    summary: "the bare ratio, with a penalty on the actions of highest covariance",
    formula: "g = r A, and - coefficient |logp - old_logp| for the selected: the max(1, floor(fraction n)) of the n trained actions of the batch with the largest c (as under clip_cov). The selection is constant in the derivative; the penalty's is 0 where the rows are equal",
    parameters: &[
        FRACTION,
        Parameter { name: "coefficient", default: "1", range: "above 0", meaning: "of the penalty, per nat" },
    ],
    reads: &["old_logp"],
    source: "Cui et al. 2025, arXiv 2505.22617, section 4.2; verl's kl_cov",
    ..Entry::NONE
};

pub(super) fn fraction() -> f64 {
    0.0002
}

pub(super) fn most() -> f64 {
    5.0
}

/// Which candidates are selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Those of largest covariance: the same whatever the order of groups.
    #[default]
    Largest,
    /// The first in the batch, action by action.
    First,
}

/// Batch statistics of ratio and gate.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::objective) enum GateSurvey {
    /// They need none.
    None,
    /// The actions that a gate picked, rising, in the shape of the batch.
    Selected(Vec<Vec<Vec<usize>>>),
}

impl GateSurvey {
    pub fn selected(&self, g: usize, t: usize) -> &[usize] {
        match self {
            GateSurvey::None => &[],
            GateSurvey::Selected(selected) => &selected[g][t],
        }
    }
}

/// Who can be selected.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    /// The covariance lies strictly between these.
    pub between: Option<(f64, f64)>,
    /// This clip is open.
    pub clip: Option<(f64, f64)>,
}

pub(super) fn survey(
    ratio: RatioLevel,
    batch: &[Vec<Seen<'_>>],
    masks: &[Vec<Option<Vec<f64>>>],
    fraction: f64,
    order: Order,
    candidate: Candidate,
) -> Result<GateSurvey, MethodError> {
    let counted = || {
        let groups = batch.iter().zip(masks).enumerate();
        groups.flat_map(|(g, (group, masks))| {
            let members = group.iter().zip(masks).enumerate();
            members.filter_map(move |(t, (seen, mask))| Some((g, t, seen, mask.as_deref()?)))
        })
    };
    // Sums of differences from the first action: a mean of equal numbers is exact, and their covariance 0.
    let (mut origin, mut logp, mut advantage, mut trained) = (None, 0.0, 0.0, 0.0);
    for (g, t, seen, mask) in counted() {
        let place = Place::trajectory(g, t);
        check_column("logp", &seen.rows.logp, mask.len(), place)?;
        check_column("old_logp", seen.old_logp, mask.len(), place)?;
        for ((own_p, own_a), _) in
            seen.rows.logp.iter().zip(&seen.credit.coefficient).zip(mask).filter(|(_, m)| **m != 0.0)
        {
            let (p, a) = *origin.get_or_insert((*own_p, *own_a));
            logp += own_p - p;
            advantage += own_a - a;
            trained += 1.0;
        }
    }
    let Some((p, a)) = origin else {
        return Ok(GateSurvey::None);
    };
    let (logp, advantage) = (p + logp / trained, a + advantage / trained);
    // A candidate's covariance, its logp and its place in the batch, counted over the actions of counted trajectories.
    let mut candidates: Vec<(f32, f64, u32)> = Vec::new();
    let mut first = 0;
    for (g, t, seen, mask) in counted() {
        let mut ratios: Option<Ratios<'_>> = None;
        for i in (0..mask.len()).filter(|&i| mask[i] != 0.0) {
            let a = seen.credit.coefficient[i];
            let covariance = (a - advantage) * (seen.rows.logp[i] - logp);
            if candidate.between.is_some_and(|(least, most)| !(covariance > least && covariance < most)) {
                continue;
            }
            if let Some((low, high)) = candidate.clip {
                // Candidates are few: where a ratio is one action's, the others' are not computed.
                let value = match (ratio.of_one(seen, i), &mut ratios) {
                    (Some(value), _) => value,
                    (None, Some(ratios)) => ratios.values[i],
                    (None, ratios) => ratios.insert(ratio.of(seen, mask, Place::trajectory(g, t))?).values[i],
                };
                if clip::of(value, a, low, high).closed {
                    continue;
                }
            }
            candidates.push((covariance as f32, seen.rows.logp[i], first + i as u32));
        }
        first += mask.len() as u32;
    }
    let count = ((fraction * trained) as usize).max(1);
    if order == Order::Largest && count < candidates.len() {
        // Two actions have one covariance, as have all where the advantages are equal. Single precision takes them for
        // equal whatever rounding did to the means, and their rows decide: the same in every order of groups.
        candidates.select_nth_unstable_by(count - 1, |a, b| {
            b.0.total_cmp(&a.0).then_with(|| b.1.total_cmp(&a.1)).then_with(|| a.2.cmp(&b.2))
        });
    }
    candidates.truncate(count);
    candidates.sort_unstable_by_key(|&(_, _, place)| place);
    let mut selected: Vec<Vec<Vec<usize>>> = batch.iter().map(|group| vec![Vec::new(); group.len()]).collect();
    let (mut rest, mut first) = (candidates.as_slice(), 0);
    for (g, t, _, mask) in counted() {
        let end = first + mask.len() as u32;
        let (own, others) = rest.split_at(rest.partition_point(|&(_, _, place)| place < end));
        selected[g][t] = own.iter().map(|&(_, _, place)| (place - first) as usize).collect();
        (rest, first) = (others, end);
    }
    Ok(GateSurvey::Selected(selected))
}

#[inline]
pub(super) fn penalised(at: At, coefficient: f64) -> Gated {
    let open = Gated::open(at.ratio, at.advantage);
    let moved = at.logp - at.old_logp;
    if !at.selected || moved == 0.0 {
        return Gated { closed: at.selected, ..open };
    }
    let value = open.value - coefficient * moved.abs();
    Gated { value, by_logp: -coefficient * moved.signum(), closed: true, ..open }
}
