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
        if self.half == 0 { 0 } else { self.cos.len() / self.half }
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
