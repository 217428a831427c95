use proptest::prelude::*;

use super::*;
use crate::categorical;

fn left(weights: &[f32], truncation: Truncation) -> Vec<usize> {
    let mut weights = weights.to_vec();
    truncation.apply(&mut weights, &mut Vec::new());
    (0..weights.len()).filter(|&i| weights[i] > 0.0).collect()
}

fn top_k(k: usize) -> Truncation {
    Truncation { top_k: Some(k), ..Truncation::OFF }
}

fn top_p(top_p: f64) -> Truncation {
    Truncation { top_p, ..Truncation::OFF }
}

/// What transformers' warpers leave, and what inverse distribution functions of that give (`scripts/golden_truncation.py`).
#[test]
fn as_transformers_has_it() {
    let golden = include_str!("../tests/golden/truncation.tsv");
    let mut drawn = 0;
    for (number, line) in golden.lines().enumerate() {
        let cells: Vec<&str> = line.split('\t').collect();
        let numbers = |i: usize| cells[i].split_whitespace().map(|x| x.parse::<f64>().unwrap()).collect::<Vec<_>>();
        let logits: Vec<f32> = numbers(4).into_iter().map(|x| x as f32).collect();
        let inverse = 1.0 / numbers(0)[0] as f32;
        let k = numbers(1)[0] as usize;
        let truncation = Truncation { top_k: (k > 0).then_some(k), top_p: numbers(2)[0], min_p: numbers(3)[0] };
        let largest = logits.iter().copied().fold(f32::MIN, f32::max) * inverse;
        let weights: Vec<f32> = logits.iter().map(|x| (x * inverse - largest).exp()).collect();
        let ids: Vec<usize> = numbers(5).into_iter().map(|x| x as usize).collect();
        assert_eq!(left(&weights, truncation), ids, "line {number}: {truncation:?}");
        let logp = numbers(6);
        for draw in cells[7].split_whitespace() {
            let (uniform, id) = draw.split_once(':').unwrap();
            let id: u32 = id.parse().unwrap();
            let got = categorical(&logits, inverse, truncation, &[], uniform.parse().unwrap());
            let expected = logp[ids.iter().position(|&i| i == id as usize).unwrap()];
            assert_eq!(got.id, id, "line {number} at {uniform}");
            assert!((got.logp - expected).abs() < 2e-6, "line {number}: {} for {expected}", got.logp);
            drawn += 1;
        }
    }
    assert!(drawn > 150, "{drawn}");
}

#[test]
fn equal_weights_stay_or_go_together() {
    let weights = [0.5, 1.0, 0.5, 0.25, 0.5, 1.0];
    assert_eq!(left(&weights, top_k(1)), [1, 5]);
    assert_eq!(left(&weights, top_k(2)), [1, 5]);
    assert_eq!(left(&weights, top_k(3)), [0, 1, 2, 4, 5]);
    assert_eq!(left(&weights, top_k(99)), [0, 1, 2, 3, 4, 5]);
    // 3.75 in all: two before the halves, 3.5 before the quarter.
    assert_eq!(left(&weights, top_p(2.0 / 3.75)), [1, 5]);
    assert_eq!(left(&weights, top_p(2.0 / 3.75 + 1e-9)), [0, 1, 2, 4, 5]);
    assert_eq!(left(&weights, top_p(3.5 / 3.75 + 1e-9)), [0, 1, 2, 3, 4, 5]);
    assert_eq!(left(&weights, top_p(1e-12)), [1, 5]);
    assert_eq!(left(&weights, Truncation { min_p: 0.5, ..Truncation::OFF }), [0, 1, 2, 4, 5]);
    assert_eq!(left(&weights, Truncation { min_p: 1.0, ..Truncation::OFF }), [1, 5]);
}

#[test]
fn each_sees_what_the_one_before_left() {
    // Of all four a share of 0.9 is three ids; of the two that top-k leaves it is both.
    let weights = [1.0, 0.8, 0.7, 0.2];
    assert_eq!(left(&weights, top_p(0.6)), [0, 1]);
    assert_eq!(left(&weights, Truncation { top_k: Some(2), top_p: 0.55, min_p: 0.0 }), [0]);
    assert_eq!(left(&weights, Truncation { top_k: Some(3), top_p: 0.9, min_p: 0.75 }), [0, 1]);
}

#[test]
fn a_heavy_tail_and_a_thin_one() {
    let mut flat = vec![1e-3f32; 100_000];
    flat[77] = 1.0;
    // 101 in all: the heavy one holds less than a share of 0.01.
    assert_eq!(left(&flat, top_p(0.0099)), [77]);
    assert_eq!(left(&flat, top_p(0.01)).len(), 100_000);
    let thin: Vec<f32> = (0..120).map(|i| 0.5f32.powi(i)).collect();
    assert_eq!(left(&thin, top_p(1.0 - 1e-6)).len(), 20);
    assert_eq!(left(&thin, top_p(1.0 - 1e-12)).len(), 40);
}

/// The definition as it reads: `p` in f64, three loops.
fn oracle(weights: &[f32], truncation: Truncation) -> Vec<usize> {
    let n = weights.len();
    let mut left: Vec<bool> = weights.iter().map(|&w| w > 0.0).collect();
    if let Some(k) = truncation.top_k {
        let heavier = |i: usize| (0..n).filter(|&j| weights[j] > weights[i]).count();
        left = (0..n).map(|i| left[i] && heavier(i) < k).collect();
    }
    let total: f64 = (0..n).filter(|&i| left[i]).map(|i| f64::from(weights[i])).sum();
    let above = |i: usize| -> f64 {
        (0..n).filter(|&j| left[j] && weights[j] > weights[i]).map(|j| f64::from(weights[j])).sum()
    };
    let left: Vec<bool> = (0..n).map(|i| left[i] && above(i) / total < truncation.top_p).collect();
    (0..n).filter(|&i| left[i] && f64::from(weights[i]) >= truncation.min_p).collect()
}

proptest! {
    #[test]
    fn the_definition_in_a_naive_loop(
        levels in prop::collection::vec(0u32..40, 1..60),
        k in 0usize..12,
        top_p in 0.001f64..1.0,
        min_p in 0f64..0.9,
        which in 0u32..8,
    ) {
        // Weights on a few levels, so that there are ties; zeros are what a ban leaves.
        let mut weights: Vec<f32> = levels.iter().map(|&l| if l > 36 { 0.0 } else { (-0.37 * l as f32).exp() }).collect();
        weights[0] = 1.0;
        let truncation = Truncation {
            top_k: (which & 1 > 0 && k > 0).then_some(k),
            top_p: if which & 2 > 0 { top_p } else { 1.0 },
            min_p: if which & 4 > 0 { min_p } else { 0.0 },
        };
        prop_assert_eq!(left(&weights, truncation), oracle(&weights, truncation));
    }
}
