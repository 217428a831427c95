//! What the machine gives at most, to be a share of.

use std::time::Instant;

use cohort_kernels::{LinearShape, linear_grad_input};

use crate::worker::Workers;

/// Sizes of the product: all three matrices, and what is packed of them, stay in the second-level cache of a core.
const SHAPE: LinearShape = LinearShape { rows: 768, inputs: 384, outputs: 384 };
/// Of which the best counts.
const ROUNDS: usize = 5;
/// Products of a round.
const CALLS: usize = 40;

/// GFLOP/s of products in f32, one thread a worker, all at once: the best of a few rounds.
pub fn sgemm_peak(workers: Workers) -> f64 {
    let LinearShape { rows, inputs, outputs } = SHAPE;
    let numbers = |count: usize| -> Vec<f32> { (0..count).map(|i| (i % 17) as f32 / 17.0 - 0.5).collect() };
    let (weight, d_out) = (numbers(inputs * outputs), numbers(rows * outputs));
    let product = |calls: usize| {
        let mut d_x = vec![0.0; rows * inputs];
        (0..calls).for_each(|_| linear_grad_input(std::hint::black_box(&d_out), &weight, SHAPE, &mut d_x));
        std::hint::black_box(d_x);
    };
    let flops = (2 * rows * inputs * outputs * CALLS * workers.count()) as f64;
    let round = |_| {
        let start = Instant::now();
        std::thread::scope(|scope| {
            (0..workers.count()).for_each(|_| {
                scope.spawn(|| product(CALLS));
            });
        });
        flops / start.elapsed().as_secs_f64() * 1e-9
    };
    product(1);
    (0..ROUNDS).map(round).fold(0.0, f64::max)
}
