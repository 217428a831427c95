//! The gated unit of Llama and Qwen: `silu(gate) * up`.

use crate::exp::sigmoid_lane;
use crate::level::dispatch;

#[inline(always)]
fn forward_body<const FMA: bool>(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((gate, up), out) in gate.iter().zip(up).zip(out) {
        *out = *gate * sigmoid_lane::<FMA>(*gate) * *up;
    }
}

#[inline(always)]
fn backward_body<const FMA: bool>(gate: &[f32], up: &[f32], d_out: &[f32], d_gate: &mut [f32], d_up: &mut [f32]) {
    for ((((gate, up), d_out), d_gate), d_up) in gate.iter().zip(up).zip(d_out).zip(d_gate).zip(d_up) {
        let s = sigmoid_lane::<FMA>(*gate);
        *d_up = *d_out * (*gate * s);
        *d_gate = *d_out * *up * (s * (1.0 + *gate * (1.0 - s)));
    }
}

dispatch! { fn forward(gate: &[f32], up: &[f32], out: &mut [f32]) = forward_body }
dispatch! { fn backward(gate: &[f32], up: &[f32], d_out: &[f32], d_gate: &mut [f32], d_up: &mut [f32]) = backward_body }

/// `out = gate * sigmoid(gate) * up`, element by element; slices of one length.
pub fn swiglu(gate: &[f32], up: &[f32], out: &mut [f32]) {
    assert!(
        gate.len() == up.len() && up.len() == out.len(),
        "swiglu: slices of {}, {} and {}",
        gate.len(),
        up.len(),
        out.len()
    );
    forward(gate, up, out);
}

/// The gradients of [`swiglu`], overwriting d_gate and d_up; slices of one length. With `s = sigmoid(gate)`:
/// `d_up = d_out * gate * s`, `d_gate = d_out * up * s * (1 + gate * (1 - s))`.
pub fn swiglu_backward(gate: &[f32], up: &[f32], d_out: &[f32], d_gate: &mut [f32], d_up: &mut [f32]) {
    let lengths = [up.len(), d_out.len(), d_gate.len(), d_up.len()];
    assert!(lengths.iter().all(|&len| len == gate.len()), "swiglu_backward: slices of {} and {lengths:?}", gate.len());
    backward(gate, up, d_out, d_gate, d_up);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, assert_levels_agree, differences, dot, numbers, wide};

    fn reference(gate: &[f64], up: &[f64]) -> Vec<f64> {
        gate.iter().zip(up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect()
    }

    #[test]
    fn forward_and_backward_agree_with_the_formula() {
        let scaled = |seed| numbers(seed, 77).iter().map(|x| x * 8.0).collect::<Vec<f32>>();
        let (gate, up, d_out) = (scaled(1), scaled(2), numbers(3, 77));
        let mut out = vec![f32::NAN; 77];
        swiglu(&gate, &up, &mut out);
        assert_close(&out, &reference(&wide(&gate), &wide(&up)), 1e-6);
        let (mut d_gate, mut d_up) = (vec![f32::NAN; 77], vec![f32::NAN; 77]);
        swiglu_backward(&gate, &up, &d_out, &mut d_gate, &mut d_up);
        assert_close(&d_gate, &differences(&gate, |gate| dot(&reference(gate, &wide(&up)), &d_out)), 2e-6);
        assert_close(&d_up, &differences(&up, |up| dot(&reference(&wide(&gate), up), &d_out)), 2e-6);
    }

    #[test]
    fn large_gates_saturate() {
        let mut out = [f32::NAN; 4];
        swiglu(&[200.0, -200.0, f32::NAN, 0.0], &[2.0, 2.0, 1.0, 3.0], &mut out);
        assert_eq!([out[0], out[1], out[3]], [400.0, 0.0, 0.0]);
        assert!(out[2].is_nan());
    }

    #[test]
    fn levels_agree() {
        let (gate, up) = (numbers(1, 100), numbers(2, 100));
        assert_levels_agree(|| {
            let mut out = vec![0.0; 200];
            let (d_gate, d_up) = out.split_at_mut(100);
            swiglu_backward(&gate, &up, &gate, d_gate, d_up);
            let mut forward = vec![0.0; 100];
            swiglu(&gate, &up, &mut forward);
            out.extend(forward);
            out
        });
    }
}
