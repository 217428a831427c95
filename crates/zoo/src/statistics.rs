//! The statistics of paired seeds: Student's interval of the mean difference, its one-sided p value, Holm's correction.

/// Confidence of the interval.
pub const CONFIDENCE: f64 = 0.95;
/// The one-sided level that goes with it: an interval lies above a value exactly where the p value is below this.
pub const LEVEL: f64 = (1.0 - CONFIDENCE) / 2.0;

/// Mean and Student's 95 % interval of paired differences, one a seed.
///
/// `mean -+ t(0.975, n - 1) * s / sqrt(n)`, `s` the standard deviation with `n - 1` in its denominator. A single seed has no
/// interval; equal differences have one of width 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paired {
    pub n: usize,
    pub mean: f64,
    /// Standard error of the mean; `None` of fewer than two.
    pub error: Option<f64>,
}

impl Paired {
    /// `None` where there is no difference, or one is not finite.
    pub fn new(differences: &[f64]) -> Option<Self> {
        let n = differences.len();
        if n == 0 || differences.iter().any(|d| !d.is_finite()) {
            return None;
        }
        // About the first value: equal differences have that mean exactly, and no spread.
        let origin = differences[0];
        let mean = origin + differences.iter().map(|d| d - origin).sum::<f64>() / n as f64;
        let error = (n > 1).then(|| {
            let squares: f64 = differences.iter().map(|d| (d - mean).powi(2)).sum();
            (squares / (n - 1) as f64 / n as f64).sqrt()
        });
        Some(Self { n, mean, error })
    }

    /// Ends of the interval; `None` of fewer than two differences.
    pub fn interval(&self) -> Option<[f64; 2]> {
        let half = t_quantile(1.0 - LEVEL, (self.n - 1) as f64) * self.error?;
        Some([self.mean - half, self.mean + half])
    }

    /// The p value of "the mean is not above `bound`": the probability under `mean = bound` of a t at least as large.
    /// Without a spread it is 0 or 1; `None` of fewer than two differences.
    pub fn p_above(&self, bound: f64) -> Option<f64> {
        let error = self.error?;
        let gain = self.mean - bound;
        Some(match error == 0.0 {
            true if gain > 0.0 => 0.0,
            true => 1.0,
            false => 1.0 - t_cdf(gain / error, (self.n - 1) as f64),
        })
    }
}

/// Holm's correction: which of the p values are below a familywise `level`, stepping down from the smallest.
///
/// The i-th smallest of m (i from 0) is held against `level / (m - i)`, and none is taken after the first that fails.
pub fn holm(p: &[f64], level: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut taken = vec![false; p.len()];
    for (rank, &index) in order.iter().enumerate() {
        taken[index] = p[index] < level / (p.len() - rank) as f64;
        if !taken[index] {
            break;
        }
    }
    taken
}

/// `P(T <= t)` of Student's distribution with `nu > 0` degrees of freedom:
/// `1 - I_x(nu / 2, 1 / 2) / 2` with `x = nu / (nu + t^2)` for `t > 0`.
pub fn t_cdf(t: f64, nu: f64) -> f64 {
    let tail = 0.5 * incomplete_beta(nu / (nu + t * t), nu / 2.0, 0.5);
    if t > 0.0 { 1.0 - tail } else { tail }
}

/// The `t` at which [`t_cdf`] is `p`, for `p` in (0, 1): bisection, to the last bits.
pub fn t_quantile(p: f64, nu: f64) -> f64 {
    let (mut low, mut high) = (-1.0, 1.0);
    while t_cdf(low, nu) > p {
        low *= 2.0;
    }
    while t_cdf(high, nu) < p {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle == low || middle == high {
            break;
        }
        if t_cdf(middle, nu) < p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The regularised incomplete beta function `I_x(a, b)` by its continued fraction (modified Lentz), on the side where the
/// fraction converges quickly.
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(x, a, b) / a
    } else {
        1.0 - front * beta_fraction(1.0 - x, b, a) / b
    }
}

fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for m in 1..500 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away(1.0 + even * d);
        c = away(1.0 + even / c);
        value *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away(1.0 + odd * d);
        c = away(1.0 + odd / c);
        value *= d * c;
        if (d * c - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}

/// The logarithm of the gamma function for `x > 0`: Stirling's series above 10, and the recurrence below.
fn ln_gamma(x: f64) -> f64 {
    const SERIES: [f64; 6] = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360_360.0];
    let (mut x, mut product) = (x, 1.0);
    while x < 10.0 {
        product *= x;
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let series = SERIES.iter().rev().fold(0.0, |sum, c| sum * inverse * inverse + c) * inverse;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - product.ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn close(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{a} is not {b}");
    }

    #[test]
    fn gamma_of_what_is_known() {
        for (x, value) in [(1.0, 1.0), (2.0, 1.0), (5.0, 24.0), (0.5, std::f64::consts::PI.sqrt()), (11.0, 3_628_800.0)]
        {
            close(ln_gamma(x), f64::ln(value), 1e-13);
        }
    }

    #[test]
    fn one_two_and_three_degrees_of_freedom_have_closed_forms() {
        use std::f64::consts::PI;
        for t in [-40.0, -3.0, -0.5, 0.0, 0.1, 1.0, 2.0, 12.7, 300.0] {
            close(t_cdf(t, 1.0), 0.5 + f64::atan(t) / PI, 1e-13);
            close(t_cdf(t, 2.0), 0.5 + t / (2.0 * f64::sqrt(2.0 + t * t)), 1e-13);
            let r = t / 3f64.sqrt();
            close(t_cdf(t, 3.0), 0.5 + (r / (1.0 + r * r) + r.atan()) / PI, 1e-13);
        }
    }

    /// Tables of Student's distribution.
    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (nu, t) in [
            (1.0, 12.706_204_736),
            (2.0, 4.302_652_730),
            (3.0, 3.182_446_305),
            (4.0, 2.776_445_105),
            (5.0, 2.570_581_836),
            (9.0, 2.262_157_163),
            (11.0, 2.200_985_160),
            (30.0, 2.042_272_456),
            (120.0, 1.979_930_405),
        ] {
            close(t_quantile(0.975, nu), t, 1e-9);
            close(t_quantile(0.025, nu), -t, 1e-9);
        }
        close(t_quantile(0.95, 4.0), 2.131_846_786, 1e-9);
    }

    /// Differences 1..5: mean 3, standard deviation sqrt(2.5), standard error sqrt(0.5).
    #[test]
    fn five_differences_by_hand() {
        let paired = Paired::new(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        close(paired.mean, 3.0, 1e-15);
        close(paired.error.unwrap(), 0.5f64.sqrt(), 1e-15);
        let [low, high] = paired.interval().unwrap();
        close(low, 3.0 - 2.776_445_105 * 0.5f64.sqrt(), 1e-9);
        close(high, 3.0 + 2.776_445_105 * 0.5f64.sqrt(), 1e-9);
        // t = 4.2426, four degrees of freedom.
        close(paired.p_above(0.0).unwrap(), 0.006_617_9, 1e-5);
        close(paired.p_above(3.0).unwrap(), 0.5, 1e-14);
    }

    #[test]
    fn one_seed_has_no_interval_and_equal_ones_a_point() {
        let one = Paired::new(&[0.2]).unwrap();
        assert_eq!((one.interval(), one.p_above(0.0)), (None, None));
        let equal = Paired::new(&[0.1, 0.1, 0.1]).unwrap();
        assert_eq!(equal.interval(), Some([0.1, 0.1]));
        assert_eq!((equal.p_above(0.0), equal.p_above(0.1)), (Some(0.0), Some(1.0)));
        assert_eq!(Paired::new(&[]), None);
        assert_eq!(Paired::new(&[0.1, f64::NAN]), None);
    }

    /// Holm's example: level 0.05 of four is held against 0.0125, 0.0167, 0.025, 0.05 in turn.
    #[test]
    fn holm_steps_down_and_stops() {
        assert_eq!(holm(&[0.01, 0.04, 0.03, 0.005], 0.05), [true, false, false, true]);
        assert_eq!(holm(&[0.01, 0.013, 0.014, 0.04], 0.05), [true; 4]);
        // Each alone would pass; the smallest of them fails, so none does.
        assert_eq!(holm(&[0.02, 0.02, 0.02], 0.05), [false; 3]);
        assert_eq!(holm(&[f64::NAN, 0.001], 0.05), [false, true]);
        assert!(holm(&[], 0.05).is_empty());
    }

    proptest! {
        #[test]
        fn the_interval_excludes_a_bound_where_the_p_value_is_small(
            d in prop::collection::vec(-1.0..1.0f64, 2..13), bound in -0.5..0.5f64
        ) {
            let paired = Paired::new(&d).unwrap();
            let [low, high] = paired.interval().unwrap();
            prop_assert!(low <= paired.mean && paired.mean <= high);
            let p = paired.p_above(bound).unwrap();
            prop_assume!((p - LEVEL).abs() > 1e-9);
            prop_assert_eq!(low > bound, p < LEVEL);
        }

        #[test]
        fn a_shift_moves_the_interval_and_a_factor_scales_it(
            d in prop::collection::vec(-1.0..1.0f64, 2..13), shift in -1.0..1.0f64, factor in 0.1..10.0f64
        ) {
            let [low, high] = Paired::new(&d).unwrap().interval().unwrap();
            let moved: Vec<f64> = d.iter().map(|x| x * factor + shift).collect();
            let [a, b] = Paired::new(&moved).unwrap().interval().unwrap();
            prop_assert!((a - (low * factor + shift)).abs() < 1e-9 && (b - (high * factor + shift)).abs() < 1e-9);
        }

        #[test]
        fn what_holm_takes_bonferroni_need_not_and_no_correction_does(p in prop::collection::vec(0.0..0.1f64, 1..20)) {
            for (taken, p_i) in holm(&p, 0.05).into_iter().zip(&p) {
                prop_assert!(!taken || *p_i < 0.05);
                prop_assert!(taken || *p_i >= 0.05 / p.len() as f64);
            }
        }
    }
}
