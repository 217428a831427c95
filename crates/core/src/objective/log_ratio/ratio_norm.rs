//! A flow's ratio without its shift and its scale.

use super::{Back, Ratios};
use crate::{
    method_error::{MethodError, Place},
    objective::Seen,
    registry::{Axis, Entry},
    trajectory::check_column,
};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Ratio,
    name: "ratio_norm",
    summary: "a ratio a transition of a flow, centred at 1 and of one scale at every step",
    formula: "r_i = exp((logp_i - old_logp_i + kl_old_i) s_i); kl_old_i = mean_d (mu - mu_old)^2 / (2 s_i^2), s_i = sigma_i sqrt(|dt_i|) the noise's standard deviation of transition i. kl_old has a derivative of its own, s_i r_i: without it the gradient is biased. A step without noise (s_i = 0) has ratio 1 and no gradient",
    reads: &["old_logp", "kl_old", "facts.noise_scale"],
    source: "GRPO-Guard: arXiv 2510.22319; Pref-GRPO's train_flux.py under rationorm",
    ..Entry::NONE
};

/// Why it needs a second update.
pub(super) const WHY: &str =
    "ratio_norm corrects the shift and the scale of ratios, and in the first update over a batch every ratio is 1";

pub(super) fn of<'a>(seen: &Seen<'a>, mask: &[f64], place: Place) -> Result<Ratios<'a>, MethodError> {
    let scale = seen.trajectory.list("noise_scale", place)?;
    // Without a way out in the middle several numbers are compared at once.
    if scale.iter().fold(false, |under, s| under | (*s < 0.0))
        && let Some(got) = scale.iter().find(|s| **s < 0.0)
    {
        return Err(MethodError::unfit(place, "facts.noise_scale", "at least 0", got));
    }
    let kl_old = seen.rows.kl_old.as_ref().ok_or_else(|| MethodError::missing(place, "kl_old"))?;
    check_column("kl_old", kl_old, mask.len(), place)?;
    let rows = seen.rows.logp.iter().zip(seen.old_logp).zip(kl_old.iter().zip(scale)).zip(mask);
    let values = rows.map(|(((p, q), (kl, s)), m)| if *m == 0.0 { 1.0 } else { ((p - q + kl) * s).exp() }).collect();
    Ok(Ratios { values, back: Back::Scaled(scale) })
}
