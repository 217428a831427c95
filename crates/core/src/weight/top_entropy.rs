//! Forking tokens: only the actions of highest entropy are trained.

use super::{EntropyScope, Masks};
use crate::{
    method_error::{MethodError, Place},
    objective::Seen,
    registry::{Axis, Entry, Parameter},
    trajectory::check_column,
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Weight,
    name: "top_entropy",
    summary: "only the actions of highest entropy are trained (forking tokens, the 80/20 rule)",
    formula: "weight.tokens = {top_entropy = {fraction = f, scope = s}}: over the n trained actions with entropies H_t (nats, of \
              the same forward pass as the ratio), scope sequence keeps in each sample exactly ceil(f n) actions, highest H_t \
              first, the earlier one of equals; scope batch keeps every action with H_t >= q, the linearly interpolated (1 - f) \
              quantile over the optimizer batch, equals included. The set is constant in the derivative and decides the \
              denominators, of divergence and entropy bonus too. TRL instead divides by all tokens, keeps the divergence on all \
              of them and takes its quantile over each micro-batch.",
    parameters: &[
        Parameter {
            name: "fraction",
            default: "0.2",
            range: "above 0, at most 1",
            meaning: "the share of actions that is kept",
        },
        Parameter {
            name: "scope",
            default: "\"sequence\"",
            range: "`sequence` or `batch`",
            meaning: "among which actions entropies are ranked",
        },
    ],
    reads: &["entropy"],
    source: "SPINE, arXiv 2511.17938 (forking mask, per sample); Wang et al. 2025, arXiv 2506.01939 (80/20 rule) and TRL 1.16 \
             GRPOTrainer.get_high_entropy_mask (quantile over the batch)",
    unverified: "SPINE's scope (sample or batch) and its handling of ties",
    ..Entry::NONE
};

pub(super) fn fraction() -> f64 {
    0.2
}

pub(super) fn apply(
    fraction: f64,
    scope: EntropyScope,
    batch: &[Vec<Seen<'_>>],
    masks: &mut Masks,
) -> Result<(), MethodError> {
    let mut pool = Vec::new();
    for (g, (group, masks)) in batch.iter().zip(masks.iter_mut()).enumerate() {
        for (t, (seen, mask)) in group.iter().zip(masks).enumerate() {
            let Some(mask) = mask else { continue };
            let entropy = &seen.rows.entropy;
            if entropy.is_empty() && !mask.is_empty() {
                return Err(MethodError::missing(Place::trajectory(g, t), "entropy"));
            }
            check_column("entropy", entropy, mask.len(), Place::trajectory(g, t))?;
            match scope {
                EntropyScope::Sequence => keep_highest(fraction, entropy, mask),
                EntropyScope::Batch => {
                    pool.extend(entropy.iter().zip(&*mask).filter(|(_, m)| **m != 0.0).map(|(h, _)| *h))
                }
            }
        }
    }
    let Some(threshold) = upper_quantile(fraction, &mut pool) else { return Ok(()) };
    for (group, masks) in batch.iter().zip(masks) {
        for (seen, mask) in group.iter().zip(masks) {
            for (m, h) in mask.iter_mut().flatten().zip(&seen.rows.entropy) {
                if *h < threshold {
                    *m = 0.0;
                }
            }
        }
    }
    Ok(())
}

/// Leaves `ceil(fraction n)` of the `n` actions with a mask, those of highest entropy; the earlier one of equals.
fn keep_highest(fraction: f64, entropy: &[f64], mask: &mut [f64]) {
    let mut trained: Vec<usize> = (0..mask.len()).filter(|&i| mask[i] != 0.0).collect();
    // The product may lie a rounding above a whole number: 0.07 x 100.
    let keep = (fraction * trained.len() as f64 - 1e-9).ceil() as usize;
    if keep < trained.len() {
        trained.select_nth_unstable_by(keep, |&a, &b| entropy[b].total_cmp(&entropy[a]).then(a.cmp(&b)));
        trained[keep..].iter().for_each(|&i| mask[i] = 0.0);
    }
}

/// The linearly interpolated `1 - fraction` quantile; `None` for no values.
fn upper_quantile(fraction: f64, values: &mut [f64]) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let position = (1.0 - fraction) * last as f64;
    // A rounding beside a whole number is that number: else the action on the threshold is lost.
    let position = if (position - position.round()).abs() < 1e-9 { position.round() } else { position };
    let (_, &mut low, above) = values.select_nth_unstable_by(position as usize, f64::total_cmp);
    let high = above.iter().copied().fold(f64::INFINITY, f64::min);
    let share = position.fract();
    Some(if share == 0.0 { low } else { (low + (high - low) * share).min(high) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_ten_is_two_and_a_rounding_adds_none() {
        // The entropies of the worked example of the notes.
        let entropy = [0.05, 0.1, 0.2, 0.4, 0.8, 1.2, 1.5, 2.0, 2.2, 2.4];
        let mut mask = [1.0; 10];
        keep_highest(0.2, &entropy, &mut mask);
        assert_eq!(mask, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
        let mut mask = [1.0; 100];
        keep_highest(0.07, &[1.0; 100], &mut mask);
        assert_eq!(mask.iter().sum::<f64>(), 7.0, "0.07 * 100 is 7.000000000000001");
        assert_eq!(mask[..7], [1.0; 7], "the earlier ones of equals");
    }

    #[test]
    fn one_action_is_always_kept_and_masked_ones_never() {
        let mut mask = [0.0, 0.5, 0.0];
        keep_highest(0.01, &[9.0, 0.0, 9.0], &mut mask);
        assert_eq!(mask, [0.0, 0.5, 0.0]);
    }

    #[test]
    fn the_quantile_is_interpolated() {
        let values = || vec![2.4, 0.05, 0.1, 0.2, 0.4, 0.8, 1.2, 1.5, 2.0, 2.2];
        assert!((upper_quantile(0.9, &mut values()).unwrap() - 0.095).abs() < 1e-15);
        assert!((upper_quantile(0.5, &mut values()).unwrap() - 1.0).abs() < 1e-15);
        assert_eq!(upper_quantile(1.0, &mut values()), Some(0.05));
        assert_eq!(upper_quantile(0.2, &mut []), None);
        // 1 - 0.9 is 0.09999999999999998, and its tenfold is 1.
        assert_eq!(upper_quantile(0.9, &mut (0..11).map(f64::from).collect::<Vec<_>>()), Some(1.0));
    }
}
