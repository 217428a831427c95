//! Counter-based randomness: a draw is a function of what it is for, not of when it is made.
//!
//! Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011, §3.3).
//! The key holds the seed and the stage, the counter (step, prompt, sample, position), so no
//! state is kept, and workers, resumes and refills cannot change a draw.

use serde::{Deserialize, Serialize};

const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Ten rounds of Philox4x32: a bijection of the counter for each key.
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let [low0, high0] = wide(MULTIPLIER[0], counter[0]);
        let [low1, high1] = wide(MULTIPLIER[1], counter[2]);
        counter = [high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

fn wide(a: u32, b: u32) -> [u32; 2] {
    let product = u64::from(a) * u64::from(b);
    [product as u32, (product >> 32) as u32]
}

/// The randomness of one purpose under one seed: prompt order, sampling, initial weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stream {
    key: [u32; 2],
}

impl Stream {
    /// `purpose` separates streams of one seed (a stage's name with what is drawn in it).
    pub fn new(seed: u64, purpose: &str) -> Self {
        // FNV-1a over the purpose, mixed with the seed by the cipher itself.
        let hash =
            purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        let mixed = philox([seed as u32, (seed >> 32) as u32, hash as u32, (hash >> 32) as u32], [0, 0]);
        Self { key: [mixed[0], mixed[1]] }
    }

    /// Four random words of one counter.
    pub fn block(self, counter: [u32; 4]) -> [u32; 4] {
        philox(counter, self.key)
    }

    /// The dice of one sample: `position` is still free.
    pub fn dice(self, step: u32, prompt: u32, sample: u32) -> Dice {
        Dice { stream: self, step, prompt, sample, offset: 0 }
    }
}

/// The randomness of one sample, indexed by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Dice {
    stream: Stream,
    step: u32,
    prompt: u32,
    sample: u32,
    offset: u32,
}

impl Dice {
    /// The same dice from a later position on: a second turn starts where the first ended.
    pub fn advanced(self, positions: usize) -> Self {
        Self { offset: self.offset + positions as u32, ..self }
    }

    /// Dice beside these with draws of their own at every position: where one action wants a draw for each of several candidates.
    pub fn lane(self, lane: u32) -> Self {
        // No step has that number: the key is drawn where no sample draws.
        let [a, b, _, _] = self.stream.block([u32::MAX, lane, 0, 0]);
        Self { stream: Stream { key: [a, b] }, ..self }
    }

    fn block(self, position: usize) -> [u32; 4] {
        self.stream.block([self.step, self.prompt, self.sample, self.offset + position as u32])
    }

    /// Uniform in [0, 1), 53 bits.
    pub fn uniform(self, position: usize) -> f64 {
        let [a, b, _, _] = self.block(position);
        unit(a, b)
    }

    /// Two independent standard normals (Box-Muller).
    pub fn normal_pair(self, position: usize) -> [f64; 2] {
        let [a, b, c, d] = self.block(position);
        let radius = (-2.0 * (1.0 - unit(a, b)).ln()).sqrt();
        let angle = std::f64::consts::TAU * unit(c, d);
        [radius * angle.cos(), radius * angle.sin()]
    }

    /// Uniform in `0..bound` (`bound` at least 1); the bias is below `bound` / 2^64.
    pub fn below(self, position: usize, bound: u64) -> u64 {
        let [a, b, _, _] = self.block(position);
        let wide = (u128::from(a) << 32 | u128::from(b)) * u128::from(bound);
        (wide >> 64) as u64
    }
}

fn unit(a: u32, b: u32) -> f64 {
    let bits = (u64::from(a) << 32 | u64::from(b)) >> 11;
    bits as f64 / (1u64 << 53) as f64
}

/// A permutation of `0..n` (Fisher-Yates), drawn from positions `0..n` of `dice`.
pub fn permutation(n: usize, dice: Dice) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, dice.below(i, i as u64 + 1) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the authors' Random123 distribution (kat_vectors, philox4x32 10).
    #[test]
    fn philox_gives_the_published_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn dice_are_keyed_by_everything() {
        let stream = Stream::new(0, "rl");
        let base = stream.dice(1, 2, 3).uniform(4);
        for other in [
            Stream::new(1, "rl").dice(1, 2, 3).uniform(4),
            Stream::new(0, "sl").dice(1, 2, 3).uniform(4),
            stream.dice(2, 2, 3).uniform(4),
            stream.dice(1, 3, 3).uniform(4),
            stream.dice(1, 2, 4).uniform(4),
            stream.dice(1, 2, 3).uniform(5),
            stream.dice(1, 2, 3).lane(0).uniform(4),
            stream.dice(1, 2, 3).lane(1).uniform(4),
        ] {
            assert_ne!(base, other);
        }
        assert_eq!(base, stream.dice(1, 2, 3).advanced(3).uniform(1));
        let lane = |lane| stream.dice(1, 2, 3).lane(lane).uniform(4);
        assert!(lane(0) != lane(1) && lane(1) == lane(1));
    }

    #[test]
    fn draws_have_the_right_moments() {
        let dice = Stream::new(9, "moments").dice(0, 0, 0);
        let n = 20_000;
        let mean = (0..n).map(|i| dice.uniform(i)).sum::<f64>() / n as f64;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        let normals: Vec<f64> = (0..n).flat_map(|i| dice.normal_pair(i)).collect();
        let mean = normals.iter().sum::<f64>() / normals.len() as f64;
        let variance = normals.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / normals.len() as f64;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
    }

    #[test]
    fn a_permutation_holds_everyone_once() {
        let mut order = permutation(1000, Stream::new(3, "order").dice(0, 0, 0));
        assert_ne!(order[..5], [0, 1, 2, 3, 4]);
        order.sort_unstable();
        assert!(order.iter().copied().eq(0..1000));
    }
}
