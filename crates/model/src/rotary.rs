//! Rotary position embedding: angles by position, and how they are stretched beyond the context of pre-training.
//!
//! Numbers are rounded to f32 where transformers rounds them (`modeling_rope_utils.py`), since positions
//! multiply the rounding.

use std::f64::consts::PI;

/// Rotary position embedding over whole heads, the two halves of a head being rotated against
/// each other (Su et al., "RoFormer", 2021, §3.4.2, in the half-split order of transformers).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// Base of the wavelengths: unscaled, frequency `i` is `theta ^ (-2 i / head_dim)`.
    pub theta: f64,
    /// Even; the rotation covers the whole head.
    pub head_dim: usize,
    pub scaling: RopeScaling,
}

/// How frequencies are changed for contexts longer than those of pre-training; `rope_type` in `config.json`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    Default,
    /// Every frequency divided by `factor` (Chen et al., "Position Interpolation", 2023).
    Linear {
        factor: f64,
    },
    Llama3(Llama3),
    Yarn(Yarn),
}

/// Llama 3.1: waves longer than `original / low` are slowed by `factor`, those shorter than `original / high`
/// are kept, and what lies between is interpolated in the number of turns over `original` positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Llama3 {
    pub factor: f64,
    /// Turns over the original context below which a wave is long.
    pub low_freq_factor: f64,
    /// Turns above which it is short; more than `low_freq_factor`.
    pub high_freq_factor: f64,
    /// Positions of pre-training.
    pub original_positions: usize,
}

/// YaRN (Peng et al., 2023, §3): frequencies that make fewer than `beta_slow` turns over the original context are
/// divided by `factor`, those of more than `beta_fast` are kept, with a ramp between them over the index `i`;
/// cosines and sines are multiplied by an attention factor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Yarn {
    pub factor: f64,
    pub beta_fast: f64,
    pub beta_slow: f64,
    /// Positions of pre-training.
    pub original_positions: usize,
    /// What cosines and sines are multiplied by; computed from the others where it is absent.
    pub attention_factor: Option<f64>,
    pub mscale: Option<f64>,
    pub mscale_all_dim: Option<f64>,
    pub ramp: Ramp,
}

/// Where the ramp of [`Yarn`] begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ramp {
    /// At whole indices, rounded outwards.
    Whole,
    /// At the indices that the formula gives.
    Exact,
}

impl Yarn {
    /// `0.1 ln(factor) + 1` unless given; with both `mscale` fields, the quotient of two such numbers with
    /// `0.1 mscale` and `0.1 mscale_all_dim` in the place of 0.1.
    fn attention_factor(self) -> f64 {
        let scale = |weight: f64| if self.factor <= 1.0 { 1.0 } else { 0.1 * weight * self.factor.ln() + 1.0 };
        let given = |x: Option<f64>| x.filter(|&x| x != 0.0);
        match (self.attention_factor, given(self.mscale), given(self.mscale_all_dim)) {
            (Some(factor), ..) => factor,
            (None, Some(all), Some(dim)) => scale(all) / scale(dim),
            (None, ..) => scale(1.0),
        }
    }

    /// First and last index of the ramp.
    fn range(self, theta: f64, head_dim: usize) -> (f64, f64) {
        let index = |turns: f64| {
            head_dim as f64 * (self.original_positions as f64 / (turns * 2.0 * PI)).ln() / (2.0 * theta.ln())
        };
        let (low, high) = match self.ramp {
            Ramp::Whole => (index(self.beta_fast).floor(), index(self.beta_slow).ceil()),
            Ramp::Exact => (index(self.beta_fast), index(self.beta_slow)),
        };
        let (low, high) = (low.max(0.0), high.min(head_dim as f64 - 1.0));
        (low, if low == high { high + 0.001 } else { high })
    }

    /// `powers[i] = theta ^ (2 i / head_dim)`.
    fn frequencies(self, theta: f64, head_dim: usize, powers: impl Iterator<Item = f32>) -> Vec<f32> {
        let (low, high) = self.range(theta, head_dim);
        let (low, width, factor) = (low as f32, (high - low) as f32, self.factor as f32);
        let blend = |(i, power): (usize, f32)| {
            let kept = 1.0 - ((i as f32 - low) / width).clamp(0.0, 1.0);
            1.0 / (factor * power) * (1.0 - kept) + 1.0 / power * kept
        };
        powers.enumerate().map(blend).collect()
    }
}

impl Llama3 {
    fn frequency(self, frequency: f32) -> f32 {
        let original = self.original_positions as f64;
        let (low, high) = (self.low_freq_factor as f32, self.high_freq_factor as f32);
        let wavelength = (2.0 * PI) as f32 / frequency;
        if wavelength > (original / self.low_freq_factor) as f32 {
            return frequency / self.factor as f32;
        }
        if wavelength < (original / self.high_freq_factor) as f32 {
            return frequency;
        }
        let smooth = (original as f32 / wavelength - low) / (high - low);
        (1.0 - smooth) * frequency / self.factor as f32 + smooth * frequency
    }
}

impl Rope {
    /// Radians a position for `i` in `0 .. head_dim / 2`.
    pub fn inverse_frequencies(self) -> Vec<f64> {
        let powers = (0..self.head_dim / 2).map(|i| {
            let exponent = (2 * i) as f32 / self.head_dim as f32;
            self.theta.powf(f64::from(exponent)) as f32
        });
        let frequencies: Vec<f32> = match self.scaling {
            RopeScaling::Default => powers.map(|power| 1.0 / power).collect(),
            RopeScaling::Linear { factor } => powers.map(|power| 1.0 / power / factor as f32).collect(),
            RopeScaling::Llama3(llama3) => powers.map(|power| llama3.frequency(1.0 / power)).collect(),
            RopeScaling::Yarn(yarn) => yarn.frequencies(self.theta, self.head_dim, powers),
        };
        frequencies.into_iter().map(f64::from).collect()
    }

    /// What cosines and sines are multiplied by.
    pub fn attention_factor(self) -> f64 {
        match self.scaling {
            RopeScaling::Yarn(yarn) => yarn.attention_factor(),
            RopeScaling::Default | RopeScaling::Linear { .. } | RopeScaling::Llama3(_) => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frequencies(theta: f64, head_dim: usize, scaling: RopeScaling) -> Vec<f64> {
        Rope { theta, head_dim, scaling }.inverse_frequencies()
    }

    const YARN: Yarn = Yarn {
        factor: 4.0,
        beta_fast: 32.0,
        beta_slow: 1.0,
        original_positions: 32_768,
        attention_factor: None,
        mscale: None,
        mscale_all_dim: None,
        ramp: Ramp::Whole,
    };

    #[test]
    fn frequencies_fall_from_one_by_theta() {
        assert_eq!(frequencies(1e4, 4, RopeScaling::Default), [1.0, f64::from(0.01_f32)]);
        assert_eq!(frequencies(1e4, 4, RopeScaling::Linear { factor: 2.0 }), [0.5, f64::from(0.005_f32)]);
    }

    #[test]
    fn llama3_keeps_short_waves_and_slows_long_ones() {
        let llama3 = Llama3 { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_positions: 8192 };
        let plain = frequencies(5e5, 128, RopeScaling::Default);
        let scaled = frequencies(5e5, 128, RopeScaling::Llama3(llama3));
        for (i, (plain, scaled)) in plain.iter().zip(&scaled).enumerate() {
            let turns = 8192.0 * plain / (2.0 * PI);
            let expected = match turns {
                t if t > 4.0 => *plain,
                t if t < 1.0 => plain / 8.0,
                t => plain * ((t - 1.0) / 3.0 + (4.0 - t) / 3.0 / 8.0),
            };
            assert!((scaled / expected - 1.0).abs() < 1e-5, "{i}: {scaled}, expected {expected}");
        }
        assert!(scaled[0] == plain[0] && scaled[63] == plain[63] / 8.0);
    }

    #[test]
    fn yarn_ramps_between_kept_and_slowed() {
        // Qwen2.5's long-context setting: the ramp of theta 1e6 and 128 runs over the indices 23 to 40 (by hand,
        // 64 ln(32768 / (2 pi 32)) / ln(1e6) = 23.59 and 64 ln(32768 / (2 pi)) / ln(1e6) = 39.65).
        let plain = frequencies(1e6, 128, RopeScaling::Default);
        for (ramp, low, high) in [(Ramp::Whole, 23.0, 40.0), (Ramp::Exact, 23.595, 39.650)] {
            let scaled = frequencies(1e6, 128, RopeScaling::Yarn(Yarn { ramp, ..YARN }));
            for (i, (plain, scaled)) in plain.iter().zip(&scaled).enumerate() {
                let slowed = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
                let expected = plain * (1.0 - slowed + slowed / 4.0);
                assert!((scaled / expected - 1.0).abs() < 2e-4, "{i}: {scaled}, expected {expected}");
            }
        }
    }

    #[test]
    fn yarn_scales_attention_by_the_paper_unless_told() {
        let factor = |yarn: Yarn| Rope { theta: 1e4, head_dim: 8, scaling: RopeScaling::Yarn(yarn) }.attention_factor();
        let paper = 1.0 + 0.1 * 4.0_f64.ln();
        assert!((factor(YARN) - paper).abs() < 1e-12);
        assert_eq!(factor(Yarn { factor: 1.0, ..YARN }), 1.0);
        assert_eq!(factor(Yarn { attention_factor: Some(1.25), mscale: Some(2.0), ..YARN }), 1.25);
        assert!((factor(Yarn { mscale: Some(2.0), ..YARN }) - paper).abs() < 1e-12, "one of the two says nothing");
        let both = factor(Yarn { mscale: Some(2.0), mscale_all_dim: Some(0.5), ..YARN });
        assert!((both - (1.0 + 0.2 * 4.0_f64.ln()) / (1.0 + 0.05 * 4.0_f64.ln())).abs() < 1e-12);
    }
}
