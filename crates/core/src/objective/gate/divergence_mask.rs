//! Masks by how far the action's probability has moved, not by its ratio.

use super::{At, Gated};
use crate::{
    method_error::{MethodError, Place},
    objective::Seen,
    registry::{Axis, Entry, Parameter},
};

const CAP: Parameter =
    Parameter { name: "cap", default: "20", range: "above 1", meaning: "the largest weight that a ratio gives" };

pub(in crate::objective) const TV: Entry = Entry {
    axis: Axis::Gate,
    name: "tv_mask",
    summary: "an action is trained while its probability has not moved too far",
    formula: "g = stop(min(r, cap)) A logp where kept, else 0; kept where A > 0 and p - q <= high, or A <= 0 and p - q >= -low, with p = exp(logp), q = exp(old_logp); kept exactly at a bound. The mask is constant in the derivative. Probabilities only: a density is refused",
    parameters: &[
        Parameter {
            name: "low",
            default: "0.15",
            range: "in (0, 1]",
            meaning: "the most that a bad action's probability has fallen",
        },
        Parameter {
            name: "high",
            default: "0.15",
            range: "in (0, 1]",
            meaning: "the most that a good action's probability has risen",
        },
        CAP,
    ],
    reads: &["old_logp"],
    source: "DPPO, arXiv 2602.04879; verl's dppo_tv",
    unverified: "0.15 is a framework's value, not checked against the paper",
    ..Entry::NONE
};

pub(in crate::objective) const KL: Entry = Entry {
    axis: Axis::Gate,
    name: "kl_mask",
    summary: "an action is trained while the divergence of its own probability is small",
    formula: "g = stop(min(r, cap)) A logp where kept, else 0; K = q ln(q/p) + (1 - q) ln((1 - q + 1e-8) / (1 - p + 1e-8)), p = exp(logp), q = exp(old_logp); kept where A > 0 and (K <= high or p <= q), or A <= 0 and (K <= low or p >= q). The mask is constant in the derivative. Probabilities only: a density is refused",
    parameters: &[
        Parameter {
            name: "low",
            default: "0.05",
            range: "above 0",
            meaning: "the most divergence of a bad action that fell, in nats",
        },
        Parameter {
            name: "high",
            default: "0.05",
            range: "above 0",
            meaning: "the most divergence of a good action that rose, in nats",
        },
        CAP,
    ],
    reads: &["old_logp"],
    source: "DPPO, arXiv 2602.04879; verl's dppo_kl",
    unverified: "0.05 is a framework's value, not checked against the paper",
    ..Entry::NONE
};

pub(super) fn tv() -> f64 {
    0.15
}

pub(super) fn kl() -> f64 {
    0.05
}

pub(super) fn cap() -> f64 {
    20.0
}

/// Rounding can lift a log-probability a little above 0; a log-density is far above it.
const ROUNDING: f64 = 1e-6;

/// Refuses densities.
pub(super) fn probabilities(seen: &Seen<'_>, old: &[f64], mask: &[f64], place: Place) -> Result<(), MethodError> {
    for (field, column) in [("logp", seen.rows.logp.as_slice()), ("old_logp", old)] {
        // Without a way out in the middle several numbers are compared at once.
        if !column.iter().zip(mask).fold(false, |over, (p, m)| over | ((*m != 0.0) & (*p > ROUNDING))) {
            continue;
        }
        if let Some((got, _)) = column.iter().zip(mask).find(|(p, m)| **m != 0.0 && **p > ROUNDING) {
            return Err(MethodError::unfit(place, field, "at most 0: this gate compares probabilities", got));
        }
    }
    Ok(())
}

#[inline]
fn weighted(at: At, cap: f64) -> Gated {
    let by_logp = at.ratio.min(cap) * at.advantage;
    Gated { value: by_logp * at.logp, slope: 0.0, by_logp, closed: false }
}

#[inline]
pub(super) fn tv_mask(at: At, low: f64, high: f64, cap: f64) -> Gated {
    let moved = || at.logp.exp() - at.old_logp.exp();
    // |p - q| <= |log p - log q|: most actions are within bounds by far, and cost no exponential.
    let apart = (at.logp - at.old_logp).abs();
    if apart <= 0.99 * low.min(high) {
        return weighted(at, cap);
    }
    // What moved the other way is within bounds, and costs no exponential.
    let kept = if at.advantage > 0.0 {
        at.logp <= at.old_logp || moved() <= high
    } else {
        at.logp >= at.old_logp || moved() >= -low
    };
    if kept { weighted(at, cap) } else { Gated::SHUT }
}

#[inline]
pub(super) fn kl_mask(at: At, low: f64, high: f64, cap: f64) -> Gated {
    let divergence = || {
        let (p, q) = (at.logp.exp().min(1.0), at.old_logp.exp().min(1.0));
        q * (at.old_logp - at.logp) + (1.0 - q) * ((1.0 - q + 1e-8) / (1.0 - p + 1e-8)).ln()
    };
    // With d = log p - log q the divergence is at most (p - q)^2 / (p (1 - p)) <= d^2 exp(|d|) / x, where x = -log of the
    // larger one is at most 1 / larger - 1; the 1e-8 above add no more than themselves. Most actions are within bounds
    // by far, and cost no exponential.
    let (d, x) = (at.logp - at.old_logp, -at.logp.max(at.old_logp));
    if d.abs() <= 1.0 && 3.0 * d * d + 1e-6 * x <= low.min(high) * x {
        return weighted(at, cap);
    }
    let kept = if at.advantage > 0.0 {
        at.logp <= at.old_logp || divergence() <= high
    } else {
        at.logp >= at.old_logp || divergence() <= low
    };
    if kept { weighted(at, cap) } else { Gated::SHUT }
}
