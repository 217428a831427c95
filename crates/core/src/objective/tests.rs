//! The objective against a loop written from the formula, finite differences and closed forms.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
struct Case {
    rows: Rows,
    old: Vec<f64>,
    reference: Vec<f64>,
    coefficient: Vec<f64>,
    mask: Vec<f64>,
}

fn case() -> impl Strategy<Value = Case> {
    prop::collection::vec(
        (-3.0..0.0f64, 0.0..2.0f64, -0.5..0.5f64, -0.5..0.5f64, -2.0..2.0f64, prop::bool::weighted(0.8)),
        0..7,
    )
    .prop_map(|actions| Case {
        rows: Rows {
            logp: actions.iter().map(|a| a.0).collect(),
            entropy: actions.iter().map(|a| a.1).collect(),
            ..Rows::default()
        },
        old: actions.iter().map(|a| a.0 + a.2).collect(),
        reference: actions.iter().map(|a| a.0 + a.3).collect(),
        coefficient: actions.iter().map(|a| a.4).collect(),
        mask: actions.iter().map(|a| f64::from(a.5)).collect(),
    })
}

fn objective() -> impl Strategy<Value = Objective> {
    let gate =
        prop_oneof![Just(Gate::None), (0.05..0.4f64, 0.05..0.4f64).prop_map(|(low, high)| Gate::Clip { low, high })];
    let surrogate = prop_oneof![
        gate.prop_map(|gate| Surrogate::PolicyGradient { ratio: RatioLevel::Token, gate }),
        Just(Surrogate::Likelihood)
    ];
    let denominator = prop_oneof![
        Just(Denominator::Sequence),
        Just(Denominator::Tokens),
        (1.0..50.0f64).prop_map(|length| Denominator::Constant { length })
    ];
    let estimator = prop_oneof![Just(Estimator::K1), Just(Estimator::K2), Just(Estimator::K3)];
    let kl = prop::option::of(
        (estimator, 0.01..0.5f64).prop_map(|(estimator, coefficient)| Divergence { estimator, coefficient }),
    );
    (surrogate, denominator, kl, prop_oneof![Just(0.0), 0.01..0.3f64])
        .prop_map(|(surrogate, denominator, kl, entropy_bonus)| Objective { surrogate, denominator, kl, entropy_bonus })
}

fn evaluate(objective: &Objective, batch: &[Case]) -> Vec<Evaluation> {
    let weights = objective.denominator.weights(&batch.iter().map(|c| c.mask.clone()).collect::<Vec<_>>());
    batch.iter().zip(&weights).map(|(c, w)| one(objective, c, w)).collect()
}

fn one(objective: &Objective, c: &Case, weight: &[f64]) -> Evaluation {
    let t = Trajectory {
        rows: &c.rows,
        old_logp: &c.old,
        ref_logp: Some(&c.reference),
        coefficient: &c.coefficient,
        weight,
    };
    objective.evaluate(&t).unwrap()
}

/// The loss of a batch, from the formulas and nothing else.
fn oracle(objective: &Objective, batch: &[Case]) -> f64 {
    let all: f64 = batch.iter().map(|c| c.mask.iter().sum::<f64>()).sum();
    let mut loss = 0.0;
    for c in batch {
        let own: f64 = c.mask.iter().sum();
        for i in 0..c.mask.len() {
            if c.mask[i] == 0.0 {
                continue;
            }
            let denominator = match objective.denominator {
                Denominator::Sequence => batch.len() as f64 * own,
                Denominator::Tokens => all,
                Denominator::Constant { length } => batch.len() as f64 * length,
            };
            let a = c.coefficient[i];
            let mut term = match objective.surrogate {
                Surrogate::Likelihood => -a * c.rows.logp[i],
                Surrogate::PolicyGradient { gate, .. } => {
                    let r = c.rows.logp[i].exp() / c.old[i].exp();
                    match gate {
                        Gate::None => -r * a,
                        Gate::Clip { low, high } => -f64::min(r * a, r.clamp(1.0 - low, 1.0 + high) * a),
                    }
                }
            };
            if let Some(kl) = objective.kl {
                let q_over_p = c.reference[i].exp() / c.rows.logp[i].exp();
                term += kl.coefficient
                    * match kl.estimator {
                        Estimator::K1 => -q_over_p.ln(),
                        Estimator::K2 => 0.5 * q_over_p.ln().powi(2),
                        Estimator::K3 => q_over_p - q_over_p.ln() - 1.0,
                    };
            }
            term -= objective.entropy_bonus * c.rows.entropy[i];
            loss += term / denominator;
        }
    }
    loss
}

/// Whether a ratio lies so near a clip bound that a difference quotient would straddle the kink.
fn near_kink(objective: &Objective, c: &Case, i: usize) -> bool {
    let Surrogate::PolicyGradient { gate: Gate::Clip { low, high }, .. } = objective.surrogate else { return false };
    let r = (c.rows.logp[i] - c.old[i]).exp();
    (r - (1.0 - low)).abs() < 1e-3 || (r - (1.0 + high)).abs() < 1e-3
}

proptest! {
    #[test]
    fn agrees_with_the_oracle(objective in objective(), batch in prop::collection::vec(case(), 1..5)) {
        let got: f64 = evaluate(&objective, &batch).iter().map(|e| e.loss).sum();
        let want = oracle(&objective, &batch);
        prop_assert!((got - want).abs() <= 1e-12 * want.abs().max(1.0), "{got} {want}");
    }

    #[test]
    fn derivatives_are_central_differences(objective in objective(), batch in prop::collection::vec(case(), 1..4)) {
        let h = 1e-5;
        let gradients = evaluate(&objective, &batch);
        for s in 0..batch.len() {
            for i in 0..batch[s].mask.len() {
                if near_kink(&objective, &batch[s], i) {
                    continue;
                }
                let moved = |logp: f64, entropy: f64| {
                    let mut other = batch.clone();
                    other[s].rows.logp[i] += logp;
                    other[s].rows.entropy[i] += entropy;
                    oracle(&objective, &other)
                };
                let by_logp = (moved(h, 0.0) - moved(-h, 0.0)) / (2.0 * h);
                let by_entropy = (moved(0.0, h) - moved(0.0, -h)) / (2.0 * h);
                prop_assert!((gradients[s].gradients.logp[i] - by_logp).abs() < 1e-7, "{by_logp}");
                let got = gradients[s].gradients.entropy.as_ref().map_or(0.0, |e| e[i]);
                prop_assert!((got - by_entropy).abs() < 1e-7, "{by_entropy}");
            }
        }
    }

    /// One denominator: however the batch is cut into micro-batches, a row's derivative has the same bits.
    #[test]
    fn every_split_gives_the_same_bits(objective in objective(), batch in prop::collection::vec(case(), 2..6), cut in 1usize..5) {
        let weights = objective.denominator.weights(&batch.iter().map(|c| c.mask.clone()).collect::<Vec<_>>());
        let whole = evaluate(&objective, &batch);
        let cut = cut.min(batch.len() - 1);
        let (left, right) = batch.split_at(cut);
        let parts: Vec<Evaluation> = left.iter().zip(&weights[..cut]).chain(right.iter().zip(&weights[cut..])).map(|(c, w)| one(&objective, c, w)).collect();
        prop_assert_eq!(whole, parts);
    }
}

#[test]
fn on_policy_the_surrogate_is_minus_the_mean_advantage_and_its_slope_the_policy_gradient() {
    let c = Case {
        rows: Rows { logp: vec![-0.3, -1.2], entropy: vec![0.5, 0.6], ..Rows::default() },
        old: vec![-0.3, -1.2],
        reference: vec![0.0; 2],
        coefficient: vec![0.7, -0.4],
        mask: vec![1.0; 2],
    };
    let e = &evaluate(&Objective::default(), &[c])[0];
    assert!((e.loss + 0.15).abs() < 1e-15);
    assert_eq!(e.gradients.logp, [-0.35, 0.2]);
    assert_eq!(e.metrics.get("clip_fraction"), Some(0.0));
    assert_eq!(e.metrics.get("ratio_max"), Some(1.0), "the first ratio is exactly 1");
}

#[test]
fn the_gate_closes_on_one_side_only() {
    let gate = Gate::Clip { low: 0.2, high: 0.3 };
    assert_eq!(gate.of(1.31, 2.0), super::gate::Gated { value: 2.6, slope: 0.0, closed: true });
    assert!(!gate.of(0.5, 2.0).closed, "a good action that became rare is pulled back");
    assert!(gate.of(0.79, -1.0).closed);
    assert!(!gate.of(5.0, -1.0).closed, "a bad action that became likely is pushed down without bound");
    assert!(!gate.of(9.0, 0.0).closed);
    // At the kink the gate is still open.
    assert_eq!(gate.of(1.3, 2.0).slope, 2.0);
}

#[test]
fn a_missing_reference_is_an_error_that_names_it() {
    let objective =
        Objective { kl: Some(Divergence { estimator: Estimator::K3, coefficient: 0.1 }), ..Objective::default() };
    let rows = Rows { logp: vec![0.0], entropy: vec![0.0], ..Rows::default() };
    let t = Trajectory { rows: &rows, old_logp: &[0.0], ref_logp: None, coefficient: &[1.0], weight: &[1.0] };
    assert_eq!(objective.evaluate(&t), Err(MissingColumn { column: "ref_logp" }));
}

#[test]
fn fully_masked_sequences_weigh_nothing_and_count_as_one() {
    let weights = Denominator::Sequence.weights(&[vec![0.0, 0.0], vec![1.0, 1.0]]);
    assert_eq!(weights, [vec![0.0, 0.0], vec![0.25, 0.25]]);
    assert_eq!(Denominator::Tokens.weights(&[vec![0.0], vec![]]), [vec![0.0], vec![]]);
}
