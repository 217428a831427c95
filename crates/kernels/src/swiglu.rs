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
