//! How often a group says anything.

/// The probability that a group of `group` independent answers, each right with probability `rate`, holds both right and
/// wrong ones: `u(p) = 1 - (1 - p)^G - p^G`. In [0, 1), concave in `rate`, greatest at 1/2 (SAGE, arXiv 2602.03143).
pub fn useful(rate: f64, group: u32) -> f64 {
    // From logarithms: for rates near 0 the plain formula loses all digits.
    let none = f64::from(group) * (-rate).ln_1p();
    if group == 0 { 0.0 } else { (-none.exp_m1() - rate.powi(group.min(i32::MAX as u32) as i32)).max(0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_the_notes() {
        for (rate, want) in [(0.01, 0.0773), (0.05, 0.3366), (0.5, 0.9922)] {
            assert!((useful(rate, 8) - want).abs() < 5e-5, "{rate}");
        }
    }

    #[test]
    fn bounds_and_symmetry() {
        for rate in [0.0, 1.0] {
            assert_eq!(useful(rate, 8), 0.0);
        }
        assert_eq!((useful(0.3, 0), useful(0.3, 1)), (0.0, 0.0));
        assert!((useful(0.2, 5) - useful(0.8, 5)).abs() < 1e-15);
        assert!((useful(1e-15, 8) - 8e-15).abs() < 1e-25, "the plain formula gives 7.99e-15");
    }
}
