//! What a device gives at most, to be a share of.

use std::time::Instant;

use burn::tensor::{Device as BurnDevice, Tensor};

use super::policy::DevicePolicy;

/// Measured on a device, the best of a few rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DevicePeak {
    /// GFLOP/s of Burn's product of two square matrices in f32: what products of its backend come to, which is less than the
    /// device's own figure.
    pub gflops: f64,
    /// GB/s of a copy in its memory, read and written.
    pub gigabytes: f64,
}

/// Rows and columns of the product; a software device takes seconds for it.
const SIZE: usize = 1024;
/// Numbers that are copied: 512 MB, more than any cache, and enough that waiting for one copy is little beside it.
const COPIED: usize = 1 << 27;
const ROUNDS: usize = 3;
/// Calls of a round.
const CALLS: usize = 4;

impl DevicePolicy {
    /// Measures the device.
    pub fn peak(&self) -> DevicePeak {
        let _alone = self.alone();
        let device = self.device();
        let a = Tensor::<2>::ones([SIZE, SIZE], device) * 0.5;
        let x = Tensor::<1>::ones([COPIED], device);
        DevicePeak {
            gflops: (2 * SIZE * SIZE * SIZE) as f64 * rate(device, || a.clone().matmul(a.clone())),
            gigabytes: (2 * COPIED * size_of::<f32>()) as f64 * rate(device, || x.clone() + 1.0),
        }
    }
}

/// 1e-9 calls a second.
fn rate<const D: usize>(device: &BurnDevice, call: impl Fn() -> Tensor<D>) -> f64 {
    let wait = || device.sync().unwrap_or_else(|error| panic!("the device failed: {error}"));
    drop(call());
    wait();
    let round = |_| {
        let start = Instant::now();
        for _ in 0..CALLS {
            // Waited for while it is held: a backend that fuses does not compute what is dropped before.
            let held = call();
            wait();
            drop(held);
        }
        CALLS as f64 / start.elapsed().as_secs_f64() * 1e-9
    };
    (0..ROUNDS).map(round).fold(0.0, f64::max)
}
