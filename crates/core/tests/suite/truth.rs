//! On toys small enough to enumerate, the expectation of every baseline, scale and estimator over all groups
//! against the analytic policy gradient: equal where it is unbiased, and off by what its formula says elsewhere.

use cohort_core::{
    Comparison, Memory, Trajectory,
    advantage::Advantage,
    registry::{Axis, entries},
};
use serde_json::{Value, json};

const VOCABULARY: usize = 4;

/// A tabular softmax policy, one row of fixed logits a position.
struct Toy {
    length: usize,
    n: usize,
    probabilities: Vec<[f64; VOCABULARY]>,
}

impl Toy {
    fn new(length: usize, n: usize) -> Self {
        let row = |t: usize| {
            let logits: Vec<f64> = (0..VOCABULARY).map(|v| ((3 * t + 5 * v) % 7) as f64 / 4.0 - 0.5).collect();
            let sum: f64 = logits.iter().map(|l| l.exp()).sum();
            std::array::from_fn(|v| logits[v].exp() / sum)
        };
        Self { length, n, probabilities: (0..length).map(row).collect() }
    }

    fn sequences(&self) -> usize {
        VOCABULARY.pow(self.length as u32)
    }

    fn token(&self, sequence: usize, t: usize) -> usize {
        sequence / VOCABULARY.pow(t as u32) % VOCABULARY
    }

    fn probability(&self, sequence: usize) -> f64 {
        (0..self.length).map(|t| self.probabilities[t][self.token(sequence, t)]).product()
    }

    /// Derivatives of log pi by all logits.
    fn score(&self, sequence: usize) -> Vec<f64> {
        let by = |t: usize, v: usize| f64::from(u8::from(self.token(sequence, t) == v)) - self.probabilities[t][v];
        (0..self.length).flat_map(|t| (0..VOCABULARY).map(move |v| by(t, v))).collect()
    }

    /// Sum over all groups of n, with their probability.
    fn groups(&self, mut f: impl FnMut(&[usize], f64)) {
        let mut group = vec![0; self.n];
        for code in 0..self.sequences().pow(self.n as u32) {
            let mut rest = code;
            for member in &mut group {
                *member = rest % self.sequences();
                rest /= self.sequences();
            }
            f(&group, group.iter().map(|s| self.probability(*s)).product());
        }
    }

    /// `E of (1/n) sum_i weight_i(group) grad log pi_i`.
    fn expectation(&self, mut weights: impl FnMut(&[usize]) -> Vec<f64>) -> Vec<f64> {
        let scores: Vec<Vec<f64>> = (0..self.sequences()).map(|s| self.score(s)).collect();
        let mut sum = vec![0.0; self.length * VOCABULARY];
        self.groups(|group, probability| {
            for (weight, sequence) in weights(group).iter().zip(group) {
                let factor = probability * weight / self.n as f64;
                sum.iter_mut().zip(&scores[*sequence]).for_each(|(sum, score)| *sum += factor * score);
            }
        });
        sum
    }

    /// The expectation that the library's advantages have.
    fn of(&self, recipe: &Value, reward: impl Fn(usize) -> f64) -> Vec<f64> {
        let advantage: Advantage = serde_json::from_value(recipe.clone()).expect("a recipe");
        advantage.check().expect("a legal one");
        let member = |episode| Trajectory { episode, mask: vec![1.0; self.length], ..Trajectory::default() };
        let trajectories = (0..self.n).map(member).collect();
        let mut batch = [Comparison { trajectories, ..Comparison::default() }];
        let mut past = Memory::default();
        past.set_prompt("", "advantage.mean", 0.375);
        past.set_run("advantage.std", 0.75);
        self.expectation(|group| {
            for (trajectory, sequence) in batch[0].trajectories.iter_mut().zip(group) {
                trajectory.reward = Some(reward(*sequence));
            }
            let credits = advantage.credit(&batch, &mut past.clone()).expect("it is computed");
            credits[0].iter().map(|credit| credit.coefficient[0]).collect()
        })
    }

    /// `sum over groups of value(group) grad log P(group)`: the gradient of the expectation of `value`.
    fn gradient(&self, value: impl Fn(&[usize]) -> f64) -> Vec<f64> {
        self.expectation(|group| vec![self.n as f64 * value(group); self.n])
    }
}

/// Graded and not monotone in anything: 0 to 1.25, in quarters.
fn graded(sequence: usize) -> f64 {
    ((7 * sequence + sequence / 5) % 6) as f64 / 4.0
}

fn binary(sequence: usize) -> f64 {
    f64::from(u8::from(sequence % 5 == 2))
}

fn times(factor: f64, of: &[f64]) -> Vec<f64> {
    of.iter().map(|x| factor * x).collect()
}

fn plus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn assert_near(what: &str, got: &[f64], want: &[f64]) {
    for (a, b) in got.iter().zip(want) {
        assert!((a - b).abs() < 1e-12, "{what}:\n{got:?}\n{want:?}");
    }
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Not a multiple of the policy gradient, though still uphill.
fn assert_biased(what: &str, got: &[f64], gradient: &[f64]) {
    let cosine = cosine(got, gradient);
    assert!(cosine < 1.0 - 1e-6 && cosine > 0.0, "{what}: cosine {cosine}");
}

/// `E sign(r_1 - r_2) grad log pi_1 / sqrt 2`, for groups of two.
fn sign_of_the_gap(toy: &Toy) -> Vec<f64> {
    let gap = |group: &[usize]| graded(group[0]) - graded(group[1]);
    let sign = |gap: f64| if gap == 0.0 { 0.0 } else { gap.signum() };
    times(0.5f64.sqrt(), &toy.expectation(|group| vec![sign(gap(group)), -sign(gap(group))]))
}

#[test]
fn the_toy_is_a_policy() {
    let toy = Toy::new(3, 1);
    let total: f64 = (0..64).map(|s| toy.probability(s)).sum();
    assert!((total - 1.0).abs() < 1e-14);
    assert_near("a score has mean 0", &toy.expectation(|_| vec![1.0]), &[0.0; 12]);
}

#[test]
fn baselines() {
    let toy = Toy::new(3, 2);
    let truth = Toy::new(3, 1).gradient(|group| graded(group[0]));
    for entry in entries().filter(|e| e.axis == Axis::Baseline) {
        let choice = if entry.parameters.is_empty() { json!(entry.name) } else { json!({ entry.name: {} }) };
        let got = toy.of(&json!({"baseline": choice, "scale": "none"}), graded);
        match entry.name {
            "none" | "fixed" | "leave_one_out" | "running" => assert_near(entry.name, &got, &truth),
            // Equal lengths; one group is the batch.
            "mean" | "length_weighted" | "batch" => assert_near(entry.name, &got, &times(0.5, &truth)),
            "median" => {
                let spread = toy.gradient(|group| (graded(group[0]) - graded(group[1])).abs());
                assert_near("median", &got, &plus(&times(0.5, &truth), &times(0.25, &spread)));
                assert_biased("median", &got, &truth);
            }
            other => panic!("no truth for {other}"),
        }
    }
}

#[test]
fn scales() {
    let toy = Toy::new(3, 2);
    let truth = Toy::new(3, 1).gradient(|group| graded(group[0]));
    for entry in entries().filter(|e| e.axis == Axis::Scale) {
        let given = match entry.name {
            "std" | "global_std" | "mean" | "running" | "whitened" | "whitened_episodes" => json!({"eps": 0.0}),
            "floored_std" => json!({"floor": 0.5}),
            "mad" => json!({"floor": 0.5, "eps": 0.0}),
            _ => json!({}),
        };
        let choice = if entry.parameters.is_empty() { json!(entry.name) } else { json!({ entry.name: given }) };
        let got = toy.of(&json!({"baseline": "mean", "scale": choice}), graded);
        match entry.name {
            "none" => assert_near("none", &got, &times(0.5, &truth)),
            "fixed" => assert_near("fixed", &got, &times(0.5 / 0.5, &truth)),
            "running" => assert_near("running", &got, &times(0.5 / 0.75, &truth)),
            // Of two, the other alone has no spread, and the median deviation is 0: nothing, and the floor.
            "leave_one_out_std" => assert_near("leave_one_out_std", &got, &times(0.5, &truth)),
            "mad" => assert_near("mad", &got, &times(0.5 / 0.5, &truth)),
            "std" | "whitened_episodes" => {
                assert_near(entry.name, &got, &sign_of_the_gap(&toy));
                assert_biased(entry.name, &got, &truth);
            }
            // Population, of one group.
            "global_std" => assert_near("global_std", &got, &times(2f64.sqrt(), &sign_of_the_gap(&toy))),
            // Three actions each: the sample's deviation of 3 + 3 values is the population's times sqrt(6/5).
            "whitened" => assert_near("whitened", &got, &times((2.0f64 * 5.0 / 6.0).sqrt(), &sign_of_the_gap(&toy))),
            "floored_std" | "mean" => assert_biased(entry.name, &got, &truth),
            other => panic!("no truth for {other}"),
        }
    }
}

#[test]
fn the_factors_of_larger_groups() {
    let (toy, one) = (Toy::new(2, 3), Toy::new(2, 1));
    let truth = one.gradient(|group| graded(group[0]));
    assert_near("mean", &toy.of(&json!({"scale": "none"}), graded), &times(2.0 / 3.0, &truth));
    let rloo = json!({"baseline": "leave_one_out", "scale": "none"});
    assert_near("leave_one_out", &toy.of(&rloo, graded), &truth);
    let opo = json!({"baseline": "length_weighted", "scale": "none"});
    assert_near("length_weighted", &toy.of(&opo, graded), &times(2.0 / 3.0, &truth));
    let batch = json!({"scope": "batch", "scale": "none"});
    assert_near("batch", &toy.of(&batch, graded), &times(2.0 / 3.0, &truth));
    let positive = toy.of(&json!({"scale": "none", "shape": ["positive_only"]}), graded);
    assert_biased("positive_only", &positive, &truth);
    // The deviation of the others does not depend on the episode: a factor, and no other direction.
    let inverse = |a: usize, b: usize| if graded(a) == graded(b) { 1.0 } else { 2.0 / (graded(a) - graded(b)).abs() };
    let pairs = (0..16).flat_map(|a| (0..16).map(move |b| (a, b)));
    let factor: f64 = pairs.map(|(a, b)| one.probability(a) * one.probability(b) * inverse(a, b)).sum();
    let got = toy.of(&json!({"baseline": "leave_one_out", "scale": "leave_one_out_std"}), graded);
    assert_near("leave_one_out_std", &got, &times(factor, &truth));
}

#[test]
fn max_rl_climbs_a_truncated_log_likelihood() {
    let toy = Toy::new(2, 3);
    let one = Toy::new(2, 1);
    let p: f64 = (0..16).map(|s| one.probability(s) * binary(s)).sum();
    let truth = one.gradient(|group| binary(group[0]));
    let got = toy.of(&json!({"scale": {"mean": {"eps": 0.0}}}), binary);
    assert_near("mean", &got, &times(1.0 + (1.0 - p), &truth));
}

#[test]
fn std_counts_a_prompt_by_its_success_rate() {
    // Of three 0/1 rewards that differ the deviation is always the same; of four it is not.
    let toy = Toy::new(2, 4);
    let one = Toy::new(2, 1);
    let factor = |reward: fn(usize) -> f64| {
        let (got, truth) = (toy.of(&json!({}), reward), one.gradient(|group| reward(group[0])));
        assert!(cosine(&got, &truth) > 1.0 - 1e-12, "one prompt of 0/1 rewards keeps its direction");
        got[0] / truth[0]
    };
    let even = |sequence: usize| f64::from(u8::from(sequence % 2 == 1));
    let rate = |reward: fn(usize) -> f64| (0..16).map(|s| one.probability(s) * reward(s)).sum::<f64>();
    assert!((rate(even) - 0.5).abs() < (rate(binary) - 0.5).abs());
    assert!(factor(binary) > factor(even), "the rarer success counts more");
}

#[test]
fn estimators() {
    let toy = Toy::new(2, 3);
    let one = Toy::new(2, 1);
    for entry in entries().filter(|e| e.axis == Axis::Estimator) {
        match entry.name {
            "compared" => {}
            "pass_at_k" => {
                let pair = Toy::new(2, 2);
                let pass = pair.gradient(|group| binary(group[0]).max(binary(group[1])));
                let got = toy.of(&json!({"estimator": {"pass_at_k": {"k": 2}}, "scale": "none"}), binary);
                assert_near("pass_at_2", &got, &times(0.5 * (1.0 - 2.0 / 3.0), &pass));
                let got = toy.of(&json!({"estimator": {"pass_at_k": {"k": 1}}, "scale": "none"}), binary);
                assert_near("pass_at_1", &got, &times(2.0 / 3.0, &one.gradient(|group| binary(group[0]))));
            }
            "best_only" => {
                let best = toy.gradient(|group| group.iter().map(|s| graded(*s)).fold(0.0, f64::max));
                let got = toy.of(&json!({"estimator": "best_only", "scale": "none"}), graded);
                assert_near("best_only", &got, &times(1.0 / 3.0, &best));
            }
            // A star of n branches is 2 (r - mean): see the unit test of the tree.
            "tree" => {}
            other => panic!("no truth for {other}"),
        }
    }
}
