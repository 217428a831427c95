//! Rotary position embedding in the "rotate half" convention: element `i` of a head is paired with `i + head_dim / 2`.

use crate::level::dispatch;

/// Cosines and sines for every position, `[positions, head_dim / 2]` each.
#[derive(Clone, Debug)]
pub struct RopeTable {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl RopeTable {
    /// The table for angles `position * inverse_frequencies[i]`, the angle rounded to f32 as transformers has it, and
    /// both functions multiplied by `attention_scaling`.
    pub fn new(inverse_frequencies: &[f64], positions: usize, attention_scaling: f64) -> Self {
        let half = inverse_frequencies.len();
        let mut cos = Vec::with_capacity(positions * half);
        let mut sin = Vec::with_capacity(positions * half);
        for position in 0..positions {
            for &frequency in inverse_frequencies {
                let angle = f64::from(frequency as f32 * position as f32);
                cos.push((angle.cos() * attention_scaling) as f32);
                sin.push((angle.sin() * attention_scaling) as f32);
            }
        }
        RopeTable { half, cos, sin }
    }

    /// The number of positions that the table covers.
    pub fn positions(&self) -> usize {
        self.cos.len().checked_div(self.half).unwrap_or(0)
    }

    /// The number of elements that are rotated: twice the number of frequencies.
    pub fn head_dim(&self) -> usize {
        2 * self.half
    }
}

#[inline(always)]
fn rotate_body<const FMA: bool>(x: &mut [f32], positions: &[u32], head_dim: usize, table: &RopeTable, sign: f32) {
    let half = table.half;
    let width = x.len() / positions.len();
    for (row, &position) in x.chunks_exact_mut(width).zip(positions) {
        let cos = &table.cos[position as usize * half..][..half];
        let sin = &table.sin[position as usize * half..][..half];
        for head in row.chunks_exact_mut(head_dim) {
            let (low, high) = head.split_at_mut(half);
            for i in 0..half {
                let (a, b, s) = (low[i], high[i], sin[i] * sign);
                low[i] = a * cos[i] - b * s;
                high[i] = b * cos[i] + a * s;
            }
        }
    }
}

dispatch! { fn rotate(x: &mut [f32], positions: &[u32], head_dim: usize, table: &RopeTable, sign: f32) = rotate_body }

fn check(name: &str, x: usize, positions: &[u32], heads: usize, head_dim: usize, table: &RopeTable) {
    assert!(
        x == positions.len() * heads * head_dim && head_dim == table.head_dim(),
        "{name}: a slice of {x} for [{}, {heads} * {head_dim}] with a table for heads of {}",
        positions.len(),
        table.head_dim()
    );
    let last = positions.iter().max().copied().unwrap_or(0) as usize;
    assert!(
        positions.is_empty() || last < table.positions(),
        "{name}: position {last} of a table of {}",
        table.positions()
    );
}

/// Rotates every head of x `[rows, heads * head_dim]` in place by the angles of its row's position:
/// `(a, b) -> (a cos - b sin, b cos + a sin)` for the pair `(i, i + head_dim / 2)`.
pub fn rope(x: &mut [f32], positions: &[u32], heads: usize, head_dim: usize, table: &RopeTable) {
    check("rope", x.len(), positions, heads, head_dim, table);
    if !x.is_empty() {
        rotate(x, positions, head_dim, table, 1.0);
    }
}

/// The gradient of [`rope`] in place: the rotation by the negative angle (scaled like the forward one).
pub fn rope_backward(d_x: &mut [f32], positions: &[u32], heads: usize, head_dim: usize, table: &RopeTable) {
    check("rope_backward", d_x.len(), positions, heads, head_dim, table);
    if !d_x.is_empty() {
        rotate(d_x, positions, head_dim, table, -1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, assert_levels_agree, bits, numbers};

    fn table(head_dim: usize) -> RopeTable {
        let frequencies: Vec<f64> =
            (0..head_dim / 2).map(|i| 10_000f64.powf(-2.0 * i as f64 / head_dim as f64)).collect();
        RopeTable::new(&frequencies, 600, 1.25)
    }

    #[test]
    fn pairs_are_halves_apart_and_turn_by_position_times_frequency() {
        let (heads, head_dim) = (3, 10);
        let positions = [0, 1, 7, 599];
        let x = numbers(1, positions.len() * heads * head_dim);
        let mut expected = Vec::new();
        for (row, &position) in x.chunks(heads * head_dim).zip(&positions) {
            for head in row.chunks(head_dim) {
                for i in 0..head_dim {
                    let half = head_dim / 2;
                    let frequency = 10_000f64.powf(-2.0 * (i % half) as f64 / head_dim as f64);
                    let (sin, cos) = (f64::from(position) * frequency).sin_cos();
                    let other = if i < half { -head[i + half] } else { head[i - half] };
                    expected.push(1.25 * (f64::from(head[i]) * cos + f64::from(other) * sin));
                }
            }
        }
        let mut out = x.clone();
        rope(&mut out, &positions, heads, head_dim, &table(head_dim));
        // An angle near 600 that is rounded to f32 is off by up to 3e-5.
        assert_close(&out, &expected, 4e-5);
        assert_close(&out[..heads * head_dim * 3], &expected[..heads * head_dim * 3], 1e-6);
    }

    #[test]
    fn backward_is_the_adjoint() {
        let (heads, head_dim, positions) = (2, 12, [5, 0, 400]);
        let x = numbers(1, 3 * 24);
        let d_out = numbers(2, 3 * 24);
        let (mut y, mut d_x) = (x.clone(), d_out.clone());
        rope(&mut y, &positions, heads, head_dim, &table(head_dim));
        rope_backward(&mut d_x, &positions, heads, head_dim, &table(head_dim));
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let (left, right) = (product(&y, &d_out), product(&x, &d_x));
        assert!((left - right).abs() < 1e-5 && left.abs() > 0.1, "{left} {right}");
        // A rotation scaled by 1.25 twice.
        rope_backward(&mut y, &positions, heads, head_dim, &table(head_dim));
        let expected: Vec<f64> = x.iter().map(|x| f64::from(*x) * 1.25 * 1.25).collect();
        assert_close(&y, &expected, 1e-6);
    }

    #[test]
    fn a_row_does_not_see_its_neighbours_and_levels_agree() {
        let positions: Vec<u32> = (0..20).map(|i| i * 7 % 20).collect();
        let x = numbers(1, 20 * 2 * 18);
        let mut all = x.clone();
        rope(&mut all, &positions, 2, 18, &table(18));
        for (i, position) in positions.iter().enumerate() {
            let mut alone = x[i * 36..][..36].to_vec();
            rope(&mut alone, &[*position], 2, 18, &table(18));
            assert_eq!(bits(&alone), bits(&all[i * 36..][..36]));
        }
        assert_levels_agree(|| {
            let mut x = x.clone();
            rope(&mut x, &positions, 2, 18, &table(18));
            x
        });
    }

    #[test]
    #[should_panic(expected = "position 600 of a table of 600")]
    fn a_position_past_the_table_is_named() {
        rope(&mut [0.0; 4], &[600], 1, 4, &table(4));
    }
}
