//! Soft tokens: actions that are mixtures of candidates, and how they are drawn.
//!
//! SofT-GRPO (2025, arXiv 2511.06411): while a policy thinks, what it feeds itself is no token but a mixture of the embeddings of its
//! `K` most probable ones, weighed with Gumbel noise. With `p` the distribution over the candidates, renormalised:
//!
//! - `l_i = ln(p_i + 1e-6)`, `g_i ~ Gumbel(0, 1)` held in [`Soft::clamp`], `g'_i = l_i + g_i`;
//! - weights `y = softmax(g' / tau)`, the next input `sum_i y_i E[id_i]`, and the id of the largest `y` is what is recorded;
//! - the row of the action is the density of the noise that `g'` implies, `u_i = g'_i - l_i` under the present policy: the mean of
//!   `-u_i - e^-u_i` over the candidates with `l_i > -3` when they were drawn ([`gumbel_density`]).

use std::sync::Arc;

use crate::{
    objective::gumbel_density::{SoftNoise, by_logits, counted, renormalised, softmax},
    random::Dice,
};

#[cfg(doc)]
use crate::objective::gumbel_density;

/// How soft tokens are drawn: from the first action of a sample on, up to the one that is recorded as `until`. What follows is
/// drawn as ever.
#[derive(Clone, Debug, PartialEq)]
pub struct Soft {
    /// The id that ends the thought. It is drawn as a soft token, and fed as itself.
    pub until: u32,
    /// The most candidates, at least 1; of equally probable ones those with the lower ids.
    pub top_k: usize,
    /// Of these the ones before which less than this share of their probability stands; in (0, 1].
    pub top_p: f64,
    /// Temperature of the weights, above 0.
    pub tau: f64,
    /// What a draw of the noise, and the noise that another policy implies, is held in: lowest and highest.
    pub clamp: [f64; 2],
}

impl Soft {
    /// The published bounds of the noise.
    pub const CLAMP: [f64; 2] = [-1.5, 3.0];

    /// Whether the numbers are in range: the name of one that is not, and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let [low, high] = self.clamp;
        if self.top_k == 0 {
            return Err(("top_k", "is 0, and must be at least 1".to_owned()));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(("top_p", format!("is {}, and must lie in (0, 1]", self.top_p)));
        }
        if !(self.tau.is_finite() && self.tau > 0.0) {
            return Err(("tau", format!("is {}, and must be above 0", self.tau)));
        }
        if !(low < high && low.is_finite() && high.is_finite()) {
            return Err(("clamp", format!("is {:?}, and must be two rising numbers", self.clamp)));
        }
        Ok(())
    }

    /// A soft token from its candidates, the most probable first, and their logits at the sampling temperature, relative to
    /// any one number. `noise` are the dice of the sample and the action's position; `None` is a draw whose noise is 0, which is what greedy
    /// decoding means.
    pub fn draw(&self, ids: &[u32], logits: &[f32], noise: Option<(Dice, usize)>) -> Mixture {
        let shares = softmax(&wide(logits), 1.0);
        let mut before = 0.0;
        let kept = shares.iter().take_while(|share| {
            let is_kept = before < self.top_p;
            before += **share;
            is_kept
        });
        let kept = kept.count().max(1).min(ids.len());
        let (ids, logits) = (&ids[..kept], &logits[..kept]);
        let l = renormalised(&wide(logits));
        let [low, high] = self.clamp;
        let draw = |(&id, &l): (&u32, &f64)| {
            let g = noise.map_or(0.0, |(dice, position)| gumbel(dice.lane(id).uniform(position)).clamp(low, high));
            l + g
        };
        let drawn: Vec<f64> = ids.iter().zip(&l).map(draw).collect();
        // The first of equal ones: the more probable.
        let chosen = (1..kept).fold(0, |best, i| if drawn[i] > drawn[best] { i } else { best });
        let weights = softmax(&drawn, self.tau).into_iter().map(|weight| weight as f32).collect();
        Mixture {
            chosen,
            ids: ids.to_vec(),
            counted: counted(&l),
            drawn,
            weights,
            clamp: self.clamp,
            embedding: Vec::new(),
        }
    }
}

/// The Gumbel variable of a uniform one in [0, 1).
fn gumbel(uniform: f64) -> f64 {
    -(-uniform.ln()).ln()
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

/// A soft token: what was drawn, and what it was fed as.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// Which of the candidates is recorded: that of the largest weight.
    chosen: usize,
    ids: Vec<u32>,
    /// `g'`, a number a candidate.
    drawn: Vec<f64>,
    /// Whether a candidate counts in the density: taken from the policy that drew, and kept.
    counted: Vec<bool>,
    /// `y`, a number a candidate; they sum to 1.
    weights: Vec<f32>,
    clamp: [f64; 2],
    /// `sum_i y_i E[id_i]` by the embedding of the policy that drew, which every policy is fed; empty where the recorded id is fed
    /// as itself.
    embedding: Vec<f32>,
}

impl Mixture {
    /// The same with what is fed for it.
    pub fn fed_as(self, embedding: Vec<f32>) -> Self {
        Self { embedding, ..self }
    }

    /// The recorded id.
    pub fn id(&self) -> u32 {
        self.ids[self.chosen]
    }

    /// The candidates, the most probable first.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Their weights.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Their noisy logarithms `g'`.
    pub fn drawn(&self) -> &[f64] {
        &self.drawn
    }

    /// Their shares in the density: `1 / n` of the `n` that count, 0 of the others.
    pub fn shares(&self) -> impl Iterator<Item = f64> + '_ {
        let n = self.counted.iter().filter(|counted| **counted).count() as f64;
        self.counted.iter().map(move |&counted| if counted { 1.0 / n } else { 0.0 })
    }

    /// What the noise is held in.
    pub fn clamp(&self) -> [f64; 2] {
        self.clamp
    }

    /// What is fed for it; `None` where that is the recorded id.
    pub fn embedding(&self) -> Option<&[f32]> {
        (!self.embedding.is_empty()).then_some(self.embedding.as_slice())
    }

    fn noise(&self) -> SoftNoise {
        let [low, high] = self.clamp;
        SoftNoise::Gumbel { low, high }
    }

    /// The log-density of what was drawn under the candidates' logits, relative to any one number, in nats; and its derivative by each
    /// of them.
    pub fn log_density(&self, logits: &[f32]) -> (f64, Vec<f64>) {
        let logits = wide(logits);
        let (value, slopes) = self.noise().log_density(&self.drawn, &renormalised(&logits), &self.counted);
        (value, by_logits(&logits, &slopes))
    }
}

/// The soft tokens of a sample: one an action, `None` where it is an ordinary token.
pub type Mixtures = Vec<Option<Arc<Mixture>>>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    fn soft() -> Soft {
        Soft { until: 9, top_k: 5, top_p: 1.0, tau: 0.1, clamp: Soft::CLAMP }
    }

    const LOGITS: [f32; 4] = [0.0, -0.5, -1.25, -7.0];

    fn drawn(soft: &Soft, position: usize) -> Mixture {
        soft.draw(&[3, 8, 1, 5], &LOGITS, Some((Stream::new(5, "soft").dice(1, 2, 3), position)))
    }

    #[test]
    fn what_means_nothing_is_named() {
        assert_eq!(soft().check(), Ok(()));
        for (soft, name) in [
            (Soft { top_k: 0, ..soft() }, "top_k"),
            (Soft { top_p: 0.0, ..soft() }, "top_p"),
            (Soft { top_p: f64::NAN, ..soft() }, "top_p"),
            (Soft { tau: 0.0, ..soft() }, "tau"),
            (Soft { tau: f64::INFINITY, ..soft() }, "tau"),
            (Soft { clamp: [1.0, 1.0], ..soft() }, "clamp"),
        ] {
            assert_eq!(soft.check().unwrap_err().0, name);
        }
    }

    #[test]
    fn the_largest_weight_is_recorded() {
        for position in 0..200 {
            let mixture = drawn(&soft(), position);
            let largest = mixture.weights().iter().copied().fold(0.0, f32::max);
            assert_eq!(mixture.weights()[mixture.ids().iter().position(|&id| id == mixture.id()).unwrap()], largest);
            assert!((mixture.weights().iter().sum::<f32>() - 1.0).abs() < 1e-6);
            let l = renormalised(&wide(&LOGITS));
            for (drawn, l) in mixture.drawn().iter().zip(l) {
                assert!((-1.5 - 1e-9..=3.0 + 1e-9).contains(&(drawn - l)));
            }
        }
        assert_ne!(drawn(&soft(), 0), drawn(&soft(), 1));
    }

    #[test]
    fn the_last_candidates_fall_to_top_p() {
        let shares = softmax(&wide(&LOGITS), 1.0);
        let kept = |top_p| drawn(&Soft { top_p, ..soft() }, 0).ids().len();
        assert_eq!(kept(1.0), 4);
        assert_eq!(kept(shares[0] + 1e-9), 2);
        assert_eq!(kept(shares[0] - 1e-9), 1);
        assert_eq!(kept(1e-9), 1);
    }

    #[test]
    fn without_noise_the_most_probable_one_is_recorded() {
        let mixture = soft().draw(&[3, 8], &LOGITS[..2], None);
        assert_eq!(mixture.id(), 3);
        let l = renormalised(&wide(&LOGITS[..2]));
        assert_eq!(mixture.drawn(), l);
        // u = 0 of both.
        assert_eq!(mixture.log_density(&LOGITS[..2]).0, -1.0);
    }

    #[test]
    fn the_ratio_of_one_policy_with_itself_is_exactly_one() {
        for position in 0..100 {
            let mixture = drawn(&soft(), position);
            let (old, new) = (mixture.log_density(&LOGITS).0, mixture.log_density(&LOGITS).0);
            assert_eq!((new - old).exp(), 1.0);
        }
    }

    #[test]
    fn derivatives_by_logits_are_differences() {
        let h = 1.0 / 1024.0;
        for position in 0..50 {
            let mixture = drawn(&Soft { clamp: [-20.0, 20.0], ..soft() }, position);
            // Another policy than that which drew; the mask stays.
            let logits = [0.5f32, -0.25, -1.5, -2.0];
            let (_, slopes) = mixture.log_density(&logits);
            for i in 0..4 {
                let moved = |by: f32| {
                    let mut logits = logits;
                    logits[i] += by;
                    mixture.log_density(&logits).0
                };
                let numeric = (moved(h) - moved(-h)) / f64::from(2.0 * h);
                assert!((slopes[i] - numeric).abs() < 1e-4 * (1.0 + numeric.abs()), "{i}: {} {numeric}", slopes[i]);
            }
            assert!(slopes.iter().sum::<f64>().abs() < 1e-12, "a common shift of all logits changes nothing");
        }
    }

    /// The noise of the candidate that was recorded is often above the clamp: at the policy that drew it, it lies on the bound and has its slope.
    #[test]
    fn a_draw_on_the_bound_has_a_slope() {
        let narrow = Soft { clamp: [-0.01, 0.01], ..soft() };
        let l = renormalised(&wide(&LOGITS));
        for position in 0..50 {
            let mixture = drawn(&narrow, position);
            let (_, slopes) = mixture.noise().log_density(&mixture.drawn, &l, &mixture.counted);
            for ((drawn, l), (slope, counted)) in mixture.drawn.iter().zip(&l).zip(slopes.iter().zip(&mixture.counted))
            {
                let expected = if *counted { (1.0 - (-(drawn - l)).exp()) / 3.0 } else { 0.0 };
                assert!((slope - expected).abs() < 1e-9, "{slope} {expected}");
            }
        }
    }
}
