//! Training of a subnetwork: what is masked out never moves, bit for bit.

use std::sync::Arc;

use cohort_core::{
    Gradient, Policy,
    weight::parameter_mask::{ParameterMask, to_bf16},
};
use cohort_model::{Compared, Masked};

/// A mask for each trained parameter, or none.
#[derive(Clone, Debug, Default)]
pub struct Masks(Option<Arc<Vec<ParameterMask>>>);

/// What the masks of the rl stage are made from, when its start is known.
#[derive(Default)]
pub enum MaskSource {
    /// Everything is trained.
    #[default]
    None,
    /// What an earlier rl stage from the same start changed.
    Changed {
        /// The policy that it ended with.
        policy: Box<dyn Policy>,
        how: Masked,
    },
}

impl MaskSource {
    /// The masks of a stage that starts from `start`: a message where there are none.
    pub fn masks(&self, start: &dyn Policy) -> Result<Masks, String> {
        match self {
            MaskSource::None => Ok(Masks::default()),
            MaskSource::Changed { policy, how } => Masks::of_change(start, policy.as_ref(), how),
        }
    }

    /// The policy that the masks are made from.
    pub fn changed(&self) -> Option<&dyn Policy> {
        match self {
            MaskSource::None => None,
            MaskSource::Changed { policy, .. } => Some(policy.as_ref()),
        }
    }
}

impl Masks {
    /// The entries that differ between `start` and `changed`, whose parameters are `start`'s: a message where they are
    /// not, or where nothing differs.
    pub fn of_change(start: &dyn Policy, changed: &dyn Policy, masked: &Masked) -> Result<Self, String> {
        if start.parameters() != changed.parameters() {
            return Err("is of a model with other parameters".to_owned());
        }
        let compared = |values: &[f32]| -> Vec<f32> {
            match masked.compared {
                Compared::F32 => values.to_vec(),
                Compared::Bf16 => values.iter().map(|&x| to_bf16(x)).collect(),
            }
        };
        let (mut masks, mut count) = (Vec::with_capacity(start.parameters().len()), 0);
        for index in 0..start.parameters().len() {
            let (mut before, mut after) = (Vec::new(), Vec::new());
            start.read(index, &mut |values| before = compared(values));
            changed.read(index, &mut |values| after = compared(values));
            let mask = ParameterMask::of_change(&before, &after, masked.tolerance)
                .ok_or_else(|| "is of a model with other parameters".to_owned())?;
            count += mask.trained().iter().filter(|&&trained| trained).count();
            masks.push(mask);
        }
        if count == 0 {
            return Err(format!("differs nowhere by more than {}: nothing would be trained", masked.tolerance));
        }
        Ok(Self(Some(Arc::new(masks))))
    }

    /// The share of entries that are not trained, and the number that are; `None` without masks.
    pub fn sparsity(&self) -> Option<(f64, usize)> {
        let masks = self.0.as_ref()?;
        let count = |mask: &ParameterMask| mask.trained().iter().filter(|&&trained| trained).count();
        let (trained, all) = masks.iter().fold((0, 0), |(t, n), mask| (t + count(mask), n + mask.len()));
        Some((1.0 - trained as f64 / all.max(1) as f64, trained))
    }

    /// `g <- m g`.
    pub fn gradient(&self, gradient: &mut Gradient) {
        let Some(masks) = &self.0 else { return };
        gradient.0.iter_mut().zip(masks.iter()).for_each(|(gradient, mask)| mask.mask_gradient(gradient));
    }

    /// Changes parameter `index` and puts back what its mask leaves out: momentum and decay move entries whose gradient is 0.
    pub fn change(&self, index: usize, weights: &mut [f32], change: impl FnOnce(&mut [f32])) {
        let Some(masks) = &self.0 else { return change(weights) };
        let before = weights.to_vec();
        change(weights);
        masks[index].mask_change(&before, weights);
    }
}
