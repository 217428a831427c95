//! Subnetworks: which parameters a run changed, and training those alone.
//!
//! After "Reinforcement Learning Finetunes Small Subnetworks in Large Language Models", arXiv 2505.11711,
//! sections 3 and 4. The mask of a first run, `m_i = 1[|theta1_i - theta0_i| > tolerance]`, is applied twice in a second
//! run from `theta0`: to the gradient before the optimizer, and to the change after it. The second time matters: momentum
//! and weight decay move entries whose gradient is 0.
//!
//! Sparsity is an effect of precision: compare values as they are stored (in bf16: [`to_bf16`]), never the f32 masters of
//! an optimizer, in which nearly every entry moved.

/// One flag a parameter: whether it is trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterMask {
    trained: Vec<bool>,
}

/// How far two masks name the same parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overlap {
    /// `|I1 and I2| / |I1|`; `None` for an empty first mask.
    pub of_first: Option<f64>,
    /// `|I1 and I2| / |I2|`; `None` for an empty second mask.
    pub of_second: Option<f64>,
    /// The expectation of `of_first` for independent masks of these sizes: `1 - s2`.
    pub of_first_by_chance: f64,
    /// The expectation of `of_second`: `1 - s1`.
    pub of_second_by_chance: f64,
}

impl ParameterMask {
    /// `1[|after - before| > tolerance]`; 1e-5 is the paper's for bf16. A change that is not a number is a change.
    /// `None` for slices of different lengths.
    pub fn of_change(before: &[f32], after: &[f32], tolerance: f64) -> Option<Self> {
        let changed = |(a, b): (&f32, &f32)| {
            let change = (f64::from(*b) - f64::from(*a)).abs();
            change > tolerance || change.is_nan()
        };
        (before.len() == after.len()).then(|| Self { trained: before.iter().zip(after).map(changed).collect() })
    }

    pub fn len(&self) -> usize {
        self.trained.len()
    }

    pub fn is_empty(&self) -> bool {
        self.trained.is_empty()
    }

    /// Whether each parameter is trained.
    pub fn trained(&self) -> &[bool] {
        &self.trained
    }

    /// `g <- m g`, before the optimizer. An entry that is not trained becomes 0, whatever it was.
    pub fn mask_gradient(&self, gradient: &mut [f32]) {
        debug_assert_eq!(gradient.len(), self.len(), "one gradient a parameter");
        gradient.iter_mut().zip(&self.trained).filter(|(_, trained)| !**trained).for_each(|(g, _)| *g = 0.0);
    }

    /// `after <- before + m (after - before)`, after the optimizer: what is not trained keeps its bits.
    pub fn mask_change(&self, before: &[f32], after: &mut [f32]) {
        debug_assert!(before.len() == self.len() && after.len() == self.len(), "one value a parameter");
        for ((after, before), trained) in after.iter_mut().zip(before).zip(&self.trained) {
            if !trained {
                *after = *before;
            }
        }
    }

    /// The share of parameters that did not change: `1 - |I| / n`; 1 for no parameters.
    pub fn sparsity(&self) -> f64 {
        let trained = self.trained.iter().filter(|t| **t).count();
        if self.is_empty() { 1.0 } else { 1.0 - trained as f64 / self.len() as f64 }
    }

    /// How far this mask and `other` agree; `None` for masks of different lengths.
    pub fn overlap(&self, other: &Self) -> Option<Overlap> {
        if self.len() != other.len() {
            return None;
        }
        let count = |mask: &Self| mask.trained.iter().filter(|t| **t).count();
        let both = self.trained.iter().zip(&other.trained).filter(|(a, b)| **a && **b).count() as f64;
        let of = |n: usize| (n > 0).then(|| both / n as f64);
        Some(Overlap {
            of_first: of(count(self)),
            of_second: of(count(other)),
            of_first_by_chance: 1.0 - other.sparsity(),
            of_second_by_chance: 1.0 - self.sparsity(),
        })
    }
}

/// The share of parameters of two models that agree within `tolerance`; `None` for different lengths or no parameters.
pub fn agreement(first: &[f32], second: &[f32], tolerance: f64) -> Option<f64> {
    let mask = ParameterMask::of_change(first, second, tolerance)?;
    (!mask.is_empty()).then(|| mask.sparsity())
}

/// The nearest bf16 value, halves to even. NaN and infinities stay what they are.
pub fn to_bf16(value: f32) -> f32 {
    if !value.is_finite() {
        return value;
    }
    let bits = value.to_bits();
    let rounded = bits + 0x7FFF + ((bits >> 16) & 1);
    f32::from_bits(rounded & 0xFFFF_0000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        let before = [1.0, 2.0, 3.0, 4.0];
        let first = ParameterMask::of_change(&before, &[1.0, 2.5, 3.0, 3.0], 1e-5).unwrap();
        let second = ParameterMask::of_change(&before, &[1.0, 2.5, 9.0, f32::NAN], 1e-5).unwrap();
        assert_eq!(first.trained(), [false, true, false, true]);
        assert_eq!(second.trained(), [false, true, true, true], "what is not a number did change");
        assert_eq!((first.sparsity(), second.sparsity()), (0.5, 0.25));
        let overlap = first.overlap(&second).unwrap();
        assert_eq!((overlap.of_first, overlap.of_second), (Some(1.0), Some(2.0 / 3.0)));
        assert_eq!((overlap.of_first_by_chance, overlap.of_second_by_chance), (0.75, 0.5));
        assert_eq!(agreement(&before, &[1.0, 2.0, 3.5, 4.0], 1e-5), Some(0.75));
        assert_eq!(ParameterMask::of_change(&before, &[1.0], 0.0), None);
    }

    /// One step of AdamW from moments that an earlier step left.
    fn adamw(theta: &mut [f32], gradient: &[f32]) {
        for (theta, g) in theta.iter_mut().zip(gradient) {
            let (m, v) = (0.9 * 0.5 + 0.1 * g, 0.999 * 0.25 + 0.001 * g * g);
            *theta -= 1e-2 * (m / (v.sqrt() + 1e-8) + 0.1 * *theta);
        }
    }

    #[test]
    fn decay_and_momentum_move_entries_whose_gradient_is_masked() {
        let start = [1.0f32, -2.0];
        let mask = ParameterMask::of_change(&[0.0, 0.0], &[0.0, 1.0], 1e-5).unwrap();
        let mut gradient = [f32::NAN, 3.0];
        mask.mask_gradient(&mut gradient);
        assert_eq!(gradient, [0.0, 3.0], "0 times NaN would be NaN");
        let mut theta = start;
        adamw(&mut theta, &gradient);
        assert_ne!(theta[0], start[0], "the gradient's mask alone does not hold it");
        let moved = theta[1];
        mask.mask_change(&start, &mut theta);
        assert_eq!(theta, [start[0], moved]);
    }

    #[test]
    fn sparsity_is_an_effect_of_precision() {
        // A change of 1e-6 is below the spacing of bf16 around 1 (1/128), and is there in f32.
        let before: Vec<f32> = (0..64).map(|i| 1.0 + i as f32 / 64.0).collect();
        let after: Vec<f32> = before.iter().map(|x| x + 1e-6).collect();
        let stored = |values: &[f32]| values.iter().copied().map(to_bf16).collect::<Vec<_>>();
        assert_eq!(ParameterMask::of_change(&before, &after, 0.0).unwrap().sparsity(), 0.0);
        assert_eq!(ParameterMask::of_change(&stored(&before), &stored(&after), 1e-5).unwrap().sparsity(), 1.0);
    }

    #[test]
    fn bf16_rounds_to_the_nearest_and_halves_to_even() {
        // Around 1 bf16 has a spacing of 1/128.
        assert_eq!(to_bf16(1.0 + 1.0 / 256.0), 1.0);
        assert_eq!(to_bf16(1.0 + 3.0 / 256.0), 1.0 + 2.0 / 128.0);
        assert_eq!(to_bf16(1.0 + 1.5 / 256.0), 1.0 + 1.0 / 128.0);
        assert_eq!(to_bf16(-3.0), -3.0);
        assert!(to_bf16(f32::NAN).is_nan() && to_bf16(f32::INFINITY).is_infinite());
    }

    proptest! {
        #[test]
        fn overlap_is_symmetric_and_bounded(flags in prop::collection::vec((0..2, 0..2), 1..50)) {
            let zeros = vec![0.0; flags.len()];
            let side = |pick: fn(&(i32, i32)) -> i32| {
                let after: Vec<f32> = flags.iter().map(|f| pick(f) as f32).collect();
                ParameterMask::of_change(&zeros, &after, 1e-5).unwrap()
            };
            let (a, b) = (side(|f| f.0), side(|f| f.1));
            let (ab, ba) = (a.overlap(&b).unwrap(), b.overlap(&a).unwrap());
            prop_assert_eq!(ab.of_first, ba.of_second);
            prop_assert_eq!(ab.of_first_by_chance, ba.of_second_by_chance);
            prop_assert!(ab.of_first.is_none_or(|o| (0.0..=1.0).contains(&o)));
            let both = flags.iter().filter(|f| f.0 + f.1 == 2).count() as f64;
            let first = flags.iter().filter(|f| f.0 == 1).count() as f64;
            prop_assert_eq!(ab.of_first, (first > 0.0).then(|| both / first));
        }
    }
}
