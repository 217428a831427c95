//! The exact divergence between the distributions of two heads, row by row, without logits standing in memory.

use std::ops::Range;

use crate::exp::exp_lane;
use crate::head::{ROW_BLOCK, accumulate};
use crate::level::dispatch;
use crate::linear::{LinearShape, linear};
use crate::logits::BLOCK;
use crate::reduce::sum;
use crate::weight::Weight;

/// The distributions that a head gives to some rows. The width may differ between the two that are compared; rows and
/// vocabulary may not.
#[derive(Clone, Copy, Debug)]
pub struct Distributions<'a> {
    /// `[rows, width]`.
    pub hidden: &'a [f32],
    /// `[vocabulary, width]`.
    pub weight: Weight<'a>,
    /// The width.
    pub width: usize,
    /// Logits are multiplied by it.
    pub inverse_temperature: f32,
    /// What [`head_relative`](crate::head_relative) gave for these rows, `[rows]`.
    pub log_sum_exp: &'a [f32],
}

impl Distributions<'_> {
    fn vocabulary(&self) -> usize {
        self.weight.len() / self.width.max(1)
    }

    fn rows(&self, rows: &Range<usize>) -> Self {
        Distributions {
            hidden: &self.hidden[rows.start * self.width..rows.end * self.width],
            log_sum_exp: &self.log_sum_exp[rows.clone()],
            ..*self
        }
    }

    /// Logits of some rows for the ids `block`, with this weight of theirs.
    fn logits(&self, rows: &Range<usize>, block: &Range<usize>, weight: Weight, tile: &mut [f32]) {
        let hidden = &self.hidden[rows.start * self.width..rows.end * self.width];
        linear(hidden, weight, None, LinearShape { rows: rows.len(), inputs: self.width, outputs: block.len() }, tile);
    }
}

/// Two distributions a row; the divergence is that of the first from the second, `KL(p || q)`.
#[derive(Clone, Copy, Debug)]
pub struct Divergence<'a> {
    /// The policy's.
    pub p: Distributions<'a>,
    /// The reference's, or those of the policy that sampled. A constant.
    pub q: Distributions<'a>,
}

/// What one logit of each row needs to be made a log-probability, and the row's derivative.
#[derive(Clone, Copy)]
struct Row {
    p: (f32, f32),
    q: (f32, f32),
    divergence: f32,
    gradient: f32,
}

/// `sum_j q_j - p_j - p_j (ln q_j - ln p_j)` over a block: the divergence, since both sum to one. Written so, no term
/// is negative, and a normaliser that is off by a rounding error shows as a relative error of that size.
#[inline(always)]
fn terms_body<const FMA: bool>(p: &mut [f32], q: &[f32], row: Row) -> f32 {
    for (p, q) in p.iter_mut().zip(q) {
        let (log_p, log_q) = (*p * row.p.0 - row.p.1, *q * row.q.0 - row.q.1);
        let (p_j, q_j) = (exp_lane::<FMA>(log_p), exp_lane::<FMA>(log_q));
        *p = if p_j == 0.0 { q_j } else { (q_j - p_j) - p_j * (log_q - log_p) };
    }
    sum(p)
}

#[inline(always)]
fn gradient_body<const FMA: bool>(p: &mut [f32], q: &[f32], row: Row) {
    for (p, q) in p.iter_mut().zip(q) {
        let (log_p, log_q) = (*p * row.p.0 - row.p.1, *q * row.q.0 - row.q.1);
        let p_j = exp_lane::<FMA>(log_p);
        *p = if p_j == 0.0 { 0.0 } else { row.gradient * p_j * ((log_p - log_q) - row.divergence) * row.p.0 };
    }
}

dispatch! { fn terms(p: &mut [f32], q: &[f32], row: Row) -> f32 = terms_body }
dispatch! { fn gradient(p: &mut [f32], q: &[f32], row: Row) = gradient_body }

impl Divergence<'_> {
    fn check(&self, name: &str, per_row: &[usize]) {
        let rows = self.p.log_sum_exp.len();
        for (which, side) in [("p", &self.p), ("q", &self.q)] {
            assert!(
                side.width > 0
                    && side.hidden.len() == rows * side.width
                    && side.log_sum_exp.len() == rows
                    && side.weight.len() == self.p.vocabulary() * side.width
                    && !side.weight.is_empty(),
                "{name}: {which} has slices of {}, {} and {} for {rows} rows of {} and a vocabulary of {}",
                side.hidden.len(),
                side.weight.len(),
                side.log_sum_exp.len(),
                side.width,
                self.p.vocabulary()
            );
        }
        assert!(per_row.iter().all(|&len| len == rows), "{name}: columns of {per_row:?} for {rows} rows");
    }

    /// Both sides of some rows.
    pub(crate) fn rows(&self, rows: &Range<usize>) -> Self {
        Divergence { p: self.p.rows(rows), q: self.q.rows(rows) }
    }

    /// Multiply-adds of the forward.
    pub(crate) fn work(&self) -> usize {
        self.p.log_sum_exp.len() * self.p.vocabulary() * (self.p.width + self.q.width)
    }

    fn row(&self, row: usize) -> Row {
        Row {
            p: (self.p.inverse_temperature, self.p.log_sum_exp[row]),
            q: (self.q.inverse_temperature, self.q.log_sum_exp[row]),
            divergence: 0.0,
            gradient: 0.0,
        }
    }
}

/// `KL(p || q) = sum_j p_j (ln p_j - ln q_j)` in nats, a number a row. Infinite where `q` excludes what `p` does not.
///
/// Logits of both are computed a block at a time; a row's number depends on that row alone.
pub fn head_divergence(pair: Divergence, divergence: &mut [f32]) {
    pair.check("head_divergence", &[divergence.len()]);
    let vocabulary = pair.p.vocabulary();
    let size = ROW_BLOCK.min(divergence.len()) * BLOCK.min(vocabulary);
    let (mut p, mut q) = (vec![0.0; size], vec![0.0; size]);
    for (block_of_rows, divergence) in divergence.chunks_mut(ROW_BLOCK).enumerate() {
        let rows = block_of_rows * ROW_BLOCK..block_of_rows * ROW_BLOCK + divergence.len();
        divergence.fill(0.0);
        for left in (0..vocabulary).step_by(BLOCK) {
            let block = left..vocabulary.min(left + BLOCK);
            let (p, q) = (&mut p[..rows.len() * block.len()], &mut q[..rows.len() * block.len()]);
            pair.p.logits(&rows, &block, pair.p.weight.rows(block.clone(), pair.p.width), p);
            pair.q.logits(&rows, &block, pair.q.weight.rows(block.clone(), pair.q.width), q);
            let tiles = p.chunks_exact_mut(block.len()).zip(q.chunks_exact(block.len()));
            for ((row, divergence), (p, q)) in rows.clone().zip(divergence.iter_mut()).zip(tiles) {
                *divergence += terms(p, q, pair.row(row));
            }
        }
    }
}

/// The gradients of [`head_divergence`] by the first side, overwriting d_hidden `[rows, width]` and, unless the weight is
/// frozen, d_weight `[vocabulary, width]`: `dz_j = g p_j (ln p_j - ln q_j - KL)`, times the inverse temperature.
/// `divergence` is what the forward gave, `g` the derivative of the loss by it.
pub fn head_divergence_backward(
    pair: Divergence,
    divergence: &[f32],
    g: &[f32],
    d_hidden: &mut [f32],
    d_weight: Option<&mut [f32]>,
) {
    pair.check_backward(divergence, g, d_hidden, d_weight.as_deref());
    accumulate(pair.p.hidden, pair.p.weight, pair.p.width, pair.fill(divergence, g), d_hidden, d_weight);
}

impl<'a> Divergence<'a> {
    pub(crate) fn check_backward(&self, divergence: &[f32], g: &[f32], d_hidden: &[f32], d_weight: Option<&[f32]>) {
        self.check("head_divergence_backward", &[divergence.len(), g.len()]);
        assert!(
            d_hidden.len() == self.p.hidden.len() && d_weight.is_none_or(|d| d.len() == self.p.weight.len()),
            "head_divergence_backward: gradients of {} and {:?} for slices of {} and {}",
            d_hidden.len(),
            d_weight.map(<[f32]>::len),
            self.p.hidden.len(),
            self.p.weight.len()
        );
    }

    /// The gradients of a tile of the first side's logits.
    pub(crate) fn fill(
        self,
        divergence: &'a [f32],
        g: &'a [f32],
    ) -> impl Fn(Range<usize>, Range<usize>, Weight, &mut [f32]) + Sync + 'a {
        move |rows, block, weight, tile| {
            let mut q = vec![0.0; tile.len()];
            self.p.logits(&rows, &block, weight, tile);
            self.q.logits(&rows, &block, self.q.weight.rows(block.clone(), self.q.width), &mut q);
            for ((row, p), q) in rows.zip(tile.chunks_exact_mut(block.len())).zip(q.chunks_exact(block.len())) {
                gradient(p, q, Row { divergence: divergence[row], gradient: g[row], ..self.row(row) });
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::head::tests::{Case, columns_of};
    use crate::stored::tests::narrow;
    use crate::testing::{assert_close, assert_levels_agree, bits, differences, dot, numbers, wide};

    /// Two heads over the same rows and vocabulary, the second of another width, and the divergences.
    pub(crate) struct Pair {
        pub(crate) p: Case,
        pub(crate) q: Case,
        pub(crate) divergence: Vec<f32>,
    }

    impl Pair {
        pub(crate) fn new([rows, width, vocabulary]: [usize; 3]) -> Self {
            let mut q = Case::new([rows, width + 1, vocabulary], 0.9, |_| 0);
            q.hidden = numbers(8, rows * (width + 1));
            q.columns = columns_of(q.head());
            let mut pair =
                Pair { p: Case::new([rows, width, vocabulary], 0.9, |_| 0), q, divergence: vec![f32::NAN; rows] };
            let mut divergence = vec![f32::NAN; rows];
            head_divergence(pair.get(), &mut divergence);
            pair.divergence = divergence;
            pair
        }

        pub(crate) fn get(&self) -> Divergence<'_> {
            fn side(case: &Case) -> Distributions<'_> {
                Distributions {
                    hidden: &case.hidden,
                    weight: Weight::from(&case.weight),
                    width: case.shape.width,
                    inverse_temperature: case.inverse_temperature,
                    log_sum_exp: &case.columns[3],
                }
            }
            Divergence { p: side(&self.p), q: side(&self.q) }
        }

        fn reference(&self, hidden: &[f64], weight: &[f64]) -> Vec<f64> {
            let log_p = |hidden: &[f64], weight: &[f64], width: usize, inverse_temperature: f32| -> Vec<Vec<f64>> {
                let row = |hidden: &[f64]| {
                    let z = weight.chunks(width).map(|w| w.iter().zip(hidden).map(|(w, h)| w * h).sum::<f64>());
                    let z: Vec<f64> = z.map(|z| z * f64::from(inverse_temperature)).collect();
                    let log_sum_exp = z.iter().map(|z| z.exp()).sum::<f64>().ln();
                    z.iter().map(|z| z - log_sum_exp).collect()
                };
                hidden.chunks(width).map(row).collect()
            };
            let p = log_p(hidden, weight, self.p.shape.width, self.p.inverse_temperature);
            let q = &self.q;
            let q = log_p(&wide(&q.hidden), &wide(&q.weight), q.shape.width, q.inverse_temperature);
            p.iter().zip(&q).map(|(p, q)| p.iter().zip(q).map(|(p, q)| p.exp() * (p - q)).sum()).collect()
        }
    }

    #[test]
    fn agrees_with_the_formula() {
        for sizes in [[1, 3, 2], [5, 16, 40], [300, 8, 70], [4, 9, 2500]] {
            let pair = Pair::new(sizes);
            assert_close(&pair.divergence, &pair.reference(&wide(&pair.p.hidden), &wide(&pair.p.weight)), 3e-6);
        }
    }

    #[test]
    fn a_small_divergence_keeps_its_digits() {
        let mut pair = Pair::new([6, 8, 3000]);
        // The same head, hidden states moved by about 1e-3: a divergence near 1e-6.
        pair.q = Case::new([6, 8, 3000], 0.9, |_| 0);
        for (hidden, step) in pair.q.hidden.iter_mut().zip(numbers(9, 48)) {
            *hidden += 2e-3 * step;
        }
        pair.q.columns = columns_of(pair.q.head());
        let mut divergence = vec![f32::NAN; 6];
        head_divergence(pair.get(), &mut divergence);
        let expected = pair.reference(&wide(&pair.p.hidden), &wide(&pair.p.weight));
        for (actual, expected) in divergence.iter().zip(&expected) {
            assert!(*expected < 1e-5 && (f64::from(*actual) - expected).abs() < 3e-8, "{actual} for {expected}");
        }
    }

    #[test]
    fn backward_agrees_with_differences() {
        for sizes in [[1, 3, 2], [4, 6, 11], [3, 2, 1030], [260, 1, 3]] {
            let pair = Pair::new(sizes);
            let g = numbers(5, sizes[0]);
            let mut d_hidden = vec![f32::NAN; pair.p.hidden.len()];
            let mut d_weight = vec![f32::NAN; pair.p.weight.len()];
            head_divergence_backward(pair.get(), &pair.divergence, &g, &mut d_hidden, Some(&mut d_weight));
            let loss = |hidden: &[f64], weight: &[f64]| dot(&pair.reference(hidden, weight), &g);
            let (hidden, weight) = (wide(&pair.p.hidden), wide(&pair.p.weight));
            assert_close(&d_hidden, &differences(&pair.p.hidden, |hidden| loss(hidden, &weight)), 1e-5);
            assert_close(&d_weight, &differences(&pair.p.weight, |weight| loss(&hidden, weight)), 1e-5);
            let mut alone = vec![f32::NAN; pair.p.hidden.len()];
            head_divergence_backward(pair.get(), &pair.divergence, &g, &mut alone, None);
            assert_eq!(bits(&alone), bits(&d_hidden));
        }
    }

    #[test]
    fn a_distribution_does_not_diverge_from_itself() {
        let mut pair = Pair::new([9, 8, 1500]);
        pair.q = Case::new([9, 8, 1500], 0.9, |_| 0);
        let mut divergence = vec![f32::NAN; 9];
        head_divergence(pair.get(), &mut divergence);
        assert_eq!(divergence, [0.0; 9]);
        let mut d_hidden = vec![f32::NAN; 72];
        head_divergence_backward(pair.get(), &divergence, &[1.0; 9], &mut d_hidden, None);
        assert_eq!(d_hidden, [0.0; 72]);
    }

    #[test]
    fn a_row_does_not_see_its_neighbours_and_levels_agree() {
        let pair = Pair::new([300, 8, 1300]);
        for rows in [0..1, 255..257, 3..10, 299..300] {
            let mut part = vec![f32::NAN; rows.len()];
            head_divergence(pair.get().rows(&rows), &mut part);
            assert_eq!(bits(&part), bits(&pair.divergence[rows]));
        }
        assert_levels_agree(|| Pair::new([9, 8, 1300]).divergence);
    }

    #[test]
    fn weights_in_bf16_are_the_same_weights_widened() {
        let mut pair = Pair::new([7, 12, 1100]);
        let (narrow_p, wide_p) = narrow(1, pair.p.weight.len());
        let (narrow_q, wide_q) = narrow(2, pair.q.weight.len());
        (pair.p.weight, pair.q.weight) = (wide_p, wide_q);
        let run = |pair: Divergence| {
            let (mut divergence, mut d_hidden) = (vec![f32::NAN; 7], vec![f32::NAN; 84]);
            head_divergence(pair, &mut divergence);
            head_divergence_backward(pair, &divergence, &numbers(3, 7), &mut d_hidden, None);
            bits(&[divergence, d_hidden].concat())
        };
        let wide = pair.get();
        let narrow = Divergence {
            p: Distributions { weight: Weight::from(&narrow_p), ..wide.p },
            q: Distributions { weight: Weight::from(&narrow_q), ..wide.q },
        };
        assert_eq!(run(narrow), run(wide));
    }
}
