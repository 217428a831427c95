//! A tile of a product: up to six rows by a panel of 64 columns, in registers from the first pair of a chunk to the last.

use crate::level::{dispatch, fma};

/// Columns of a panel: four registers of sixteen.
pub(crate) const PANEL: usize = 64;
/// Rows of a tile: with a panel they fill the registers.
pub(super) const ROWS: usize = 6;

/// How a tile is computed; both give the same bits.
#[derive(Clone, Copy)]
enum Way {
    DotProducts,
    Plain,
}

impl Way {
    fn here() -> Self {
        if has_dot_products() { Way::DotProducts } else { Way::Plain }
    }
}

/// Whether this machine has bf16 dot products.
pub fn has_dot_products() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        crate::level() == crate::Level::Avx512 && is_x86_feature_detected!("avx512bf16")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// What is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// Overwritten.
    Set,
    /// Added to.
    Add,
}

/// Where a tile goes: rows `stride` apart, of at most [`PANEL`] columns.
pub(super) struct Target<'a> {
    pub out: &'a mut [f32],
    pub stride: usize,
    pub columns: usize,
    pub write: Write,
}

/// `out[r][j] = sum_p left[r][p] . panel[p][j]` over the pairs of a panel. Row `r`'s pair `p` is `left[r][p * step]`.
pub(super) fn tile<const R: usize>(left: [&[u32]; R], step: usize, panel: &[u32], target: Target) {
    let pairs = panel.len() / PANEL;
    assert!(pairs > 0 && left.iter().all(|row| row.len() > (pairs - 1) * step), "rows too short for {pairs} pairs");
    let Target { out, stride, columns, write } = target;
    assert!(columns <= PANEL && (R - 1) * stride + columns <= out.len(), "a tile of {R} x {columns} past its output");
    match Way::here() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the way is taken only where the machine has every feature that the function enables; the lengths that it relies
        // on were just checked.
        Way::DotProducts => unsafe { dot_products(left, step, panel, Target { out, stride, columns, write }) },
        _ => {
            for (r, left) in left.iter().enumerate() {
                let mut sums = [0.0; PANEL];
                plain(left, step, panel, &mut sums);
                for (out, sum) in out[r * stride..][..columns].iter_mut().zip(&sums) {
                    match write {
                        Write::Set => *out = *sum,
                        Write::Add => *out += *sum,
                    }
                }
            }
        }
    }
}

/// Numbers below the least normal one are 0, with their sign.
#[inline(always)]
fn flushed(x: f32) -> f32 {
    let bits = x.to_bits();
    f32::from_bits(if bits & 0x7f80_0000 == 0 { bits & 0x8000_0000 } else { bits })
}

#[inline(always)]
fn plain_body<const FMA: bool>(x: &[u32], step: usize, panel: &[u32], sums: &mut [f32; PANEL]) {
    let low = |pair: u32| flushed(f32::from_bits(pair << 16));
    let high = |pair: u32| flushed(f32::from_bits(pair & 0xffff_0000));
    for (x, panel) in x.iter().step_by(step).zip(panel.as_chunks::<PANEL>().0) {
        let (x_low, x_high) = (low(*x), high(*x));
        for j in 0..PANEL {
            // The product of two bf16 is exact in f32, so a level without fused multiply-adds rounds once too.
            let sum = flushed(fma::<FMA>(x_high, high(panel[j]), sums[j]));
            sums[j] = flushed(fma::<FMA>(x_low, low(panel[j]), sum));
        }
    }
}

dispatch! { fn plain(x: &[u32], step: usize, panel: &[u32], sums: &mut [f32; PANEL]) = plain_body }

/// # Safety
/// The machine has the features; every row of `left` reaches `(pairs - 1) * step`, and `target` holds R rows of its columns.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn dot_products<const R: usize>(left: [&[u32]; R], step: usize, panel: &[u32], target: Target) {
    use std::arch::x86_64::*;
    let mut accumulators = [[_mm512_setzero_ps(); 4]; R];
    for (p, panel) in panel.as_chunks::<PANEL>().0.iter().enumerate() {
        let pairs = panel.as_ptr();
        // SAFETY: the panel has 64 pairs, four registers; both types are 512 bits without padding.
        let panel: [__m512bh; 4] =
            std::array::from_fn(|i| unsafe { std::mem::transmute(_mm512_loadu_si512(pairs.add(16 * i).cast())) });
        for r in 0..R {
            // SAFETY: the caller's promise.
            let pair = unsafe { *left[r].get_unchecked(p * step) };
            // SAFETY: both types are 512 bits without padding.
            let pair: __m512bh = unsafe { std::mem::transmute(_mm512_set1_epi32(pair as i32)) };
            for i in 0..4 {
                accumulators[r][i] = _mm512_dpbf16_ps(accumulators[r][i], pair, panel[i]);
            }
        }
    }
    let Target { out, stride, columns, write } = target;
    for (r, accumulators) in accumulators.iter().enumerate() {
        for (i, &sum) in accumulators.iter().enumerate().take(columns.div_ceil(16)) {
            let mask = ((1u32 << (columns - 16 * i).min(16)) - 1) as __mmask16;
            // SAFETY: the caller's promise; the mask ends with the columns.
            unsafe {
                let at = out.as_mut_ptr().add(r * stride + 16 * i);
                let sum = match write {
                    Write::Set => sum,
                    Write::Add => _mm512_add_ps(_mm512_maskz_loadu_ps(mask, at), sum),
                };
                _mm512_mask_storeu_ps(at, mask, sum);
            }
        }
    }
}
