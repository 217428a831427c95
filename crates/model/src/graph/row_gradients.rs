//! Row gradients as the head's columns.

use cohort_core::RowGradients;

use crate::divergence::{Column, Measured};

/// `[actions, columns]`, row-major: the derivatives for logp, entropy and divergences of samples with `counts` actions each.
pub(crate) fn packed(gradients: &[RowGradients], counts: &[usize], measured: &Measured) -> Vec<f32> {
    assert_eq!(gradients.len(), counts.len(), "row gradients for another number of samples");
    let mut packed = Vec::with_capacity((2 + measured.0.len()) * counts.iter().sum::<usize>());
    for (gradient, &count) in gradients.iter().zip(counts) {
        assert_eq!(gradient.logp.len(), count, "row gradients for another number of actions");
        for action in 0..count {
            let entropy = gradient.entropy.as_ref().map_or(0.0, |column| column[action]);
            packed.extend([gradient.logp[action] as f32, entropy as f32]);
            packed.extend(measured.0.iter().map(|(column, _)| {
                let derivatives = match column {
                    Column::Old => &gradient.kl_old,
                    Column::Reference => &gradient.kl_ref,
                };
                derivatives.as_ref().map_or(0.0, |column| column[action] as f32)
            }));
        }
    }
    packed
}
