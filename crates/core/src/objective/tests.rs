//! The whole objective by hand: closed forms, kinks, and who is counted.

use super::{
    gate::{At, Gated},
    *,
};
use crate::{
    advantage::{Credit, Kept},
    row::Rows,
    trajectory::{Role, Trajectory},
};

struct Case {
    trajectory: Trajectory,
    credit: Credit,
    rows: Rows,
    old: Vec<f64>,
}

fn case(logp: &[f64], coefficient: &[f64]) -> Case {
    Case {
        trajectory: Trajectory { mask: vec![1.0; logp.len()], ..Trajectory::default() },
        credit: Credit { coefficient: coefficient.to_vec(), kept: Kept::Trained },
        rows: Rows { logp: logp.to_vec(), entropy: vec![0.5; logp.len()], ..Rows::default() },
        old: logp.to_vec(),
    }
}

fn evaluate(objective: &Objective, group: &[Case]) -> Result<Vec<Evaluation>, MethodError> {
    let see = |c| {
        let Case { trajectory, credit, rows, old }: &Case = c;
        Seen { trajectory, credit, rows, old_logp: old }
    };
    let batch = vec![group.iter().map(see).collect::<Vec<_>>()];
    let weighting = Weighting::default();
    let survey = objective.survey(&weighting, &batch)?;
    objective.evaluate(&weighting, 0, &batch[0], &survey)
}

fn at(ratio: f64, advantage: f64) -> At {
    At { ratio, advantage, logp: -2.0, old_logp: -2.0, selected: false, drift: 0.0 }
}

#[test]
fn on_policy_the_surrogate_is_minus_the_mean_advantage_and_its_slope_the_policy_gradient() {
    let part = evaluate(&Objective::default(), &[case(&[-0.3, -1.2], &[0.7, -0.4])]).unwrap().remove(0);
    assert!((part.loss + 0.15).abs() < 1e-15);
    assert_eq!(part.gradients.logp, [-0.35, 0.2]);
    assert_eq!(part.metrics.get("clip_fraction"), Some(0.0));
    assert_eq!(part.metrics.get("ratio_max"), Some(1.0), "the first ratio is exactly 1");
    assert_eq!(part.metrics.get("entropy"), Some(0.5));
    assert_eq!(part.gradients.entropy, None);
    assert_eq!(part.gradients.kl_ref, None);
}

#[test]
fn likelihood_is_the_mean_over_the_tokens_of_the_batch() {
    let group = [case(&[-0.5, -1.5], &[1.0, 1.0]), case(&[-2.0], &[1.0])];
    let parts = evaluate(&Objective::likelihood(), &group).unwrap();
    assert!((parts[0].loss + parts[1].loss - 4.0 / 3.0).abs() < 1e-15);
    assert_eq!(parts[0].gradients.logp, [-1.0 / 3.0; 2]);
}

#[test]
fn a_missing_reference_is_an_error_that_names_it() {
    let objective = Objective { kl: Some(Divergence::default()), ..Objective::default() };
    assert!(objective.reads_reference() && !objective.reads_kl_ref());
    let error = evaluate(&objective, &[case(&[0.0], &[1.0])]).unwrap_err();
    assert_eq!(error, MethodError::missing(Place::trajectory(0, 0), "ref_logp"));
    let exact = Divergence { estimator: Estimator::Exact, coefficient: 0.1 };
    let objective = Objective { kl: Some(exact), ..Objective::default() };
    assert!(!objective.reads_reference() && objective.reads_kl_ref());
    let error = evaluate(&objective, &[case(&[0.0], &[1.0])]).unwrap_err();
    assert_eq!(error, MethodError::missing(Place::trajectory(0, 0), "kl_ref"));
}

#[test]
fn the_exact_divergence_pulls_at_its_own_column() {
    let exact = Divergence { estimator: Estimator::Exact, coefficient: 0.1 };
    let objective = Objective { kl: Some(exact), ..Objective::default() };
    let mut one = case(&[-1.0, -1.0], &[0.0, 0.0]);
    one.rows.kl_ref = Some(vec![0.3, 0.5]);
    let part = evaluate(&objective, &[one]).unwrap().remove(0);
    assert!((part.loss - 0.04).abs() < 1e-15);
    assert_eq!(part.gradients.kl_ref, Some(vec![0.05, 0.05]));
    assert_eq!(part.metrics.get("kl"), Some(0.4));
}

#[test]
fn estimators_by_hand() {
    let of = |estimator: Estimator| estimator.of(-1.0, -1.5, -1.2).unwrap();
    assert_eq!(of(Estimator::K1), (0.5, 1.0));
    assert_eq!(of(Estimator::K2), (0.125, 0.5));
    assert_eq!(of(Estimator::Abs), (0.5, 1.0));
    assert_eq!(Estimator::Abs.of(-1.5, -1.0, 0.0), Some((0.5, -1.0)));
    assert_eq!(Estimator::Abs.of(-1.0, -1.0, 0.0), Some((0.0, 0.0)), "the kink has the derivative between its sides");
    let k3 = (-0.5f64).exp() - 0.5;
    assert!((of(Estimator::K3).0 - k3).abs() < 1e-15);
    assert!((of(Estimator::K3).1 - (1.0 - (-0.5f64).exp())).abs() < 1e-15);
    let r = 0.2f64.exp();
    assert!((of(Estimator::Corrected).0 - r * k3).abs() < 1e-15);
    assert!((of(Estimator::Corrected).1 - r * 0.5).abs() < 1e-15);
    assert_eq!(Estimator::Exact.of(0.0, 0.0, 0.0), None);
}

#[test]
fn fully_masked_sequences_weigh_nothing_and_count_as_one() {
    let weights = |denominator: Denominator, masks: &[&[f64]]| -> Vec<Vec<f64>> {
        let masks: Vec<Option<Vec<f64>>> = masks.iter().map(|m| Some(m.to_vec())).collect();
        denominator.weights(&[masks], &[]).unwrap().remove(0).into_iter().flatten().collect()
    };
    let half: &[&[f64]] = &[&[0.0, 0.0], &[1.0, 1.0]];
    assert_eq!(weights(Denominator::Sequence, half), [[0.0, 0.0], [0.25, 0.25]]);
    assert_eq!(weights(Denominator::Constant { length: 4.0 }, half), [[0.0, 0.0], [0.125, 0.125]]);
    assert_eq!(weights(Denominator::Tokens, &[&[0.0], &[]]), [vec![0.0], vec![]]);
    assert_eq!(weights(Denominator::Sequence, &[&[0.0], &[]]), [vec![0.0], vec![]]);
}

#[test]
fn groups_weigh_the_same_under_group_tokens() {
    let masks = vec![vec![Some(vec![1.0; 3]), Some(vec![1.0])], vec![Some(vec![1.0, 0.0]), None], vec![None]];
    let weights = Denominator::GroupTokens.weights(&masks, &[]).unwrap();
    assert_eq!(weights[0], [Some(vec![0.125; 3]), Some(vec![0.125])]);
    assert_eq!(weights[1], [Some(vec![0.5, 0.0]), None]);
}

#[test]
fn auxiliaries_and_dropped_members_are_in_no_denominator() {
    let mut auxiliary = case(&[-1.0, -2.0], &[0.5, 0.5]);
    auxiliary.trajectory.role = Role::Auxiliary;
    let mut dropped = case(&[-1.0], &[5.0]);
    dropped.credit.kept = Kept::Dropped;
    let objective = Objective {
        denominator: Denominator::Tokens,
        kl: Some(Divergence::default()),
        entropy: Entropy::Bonus { coefficient: 0.1 },
        ..Objective::default()
    };
    let mut member = case(&[-1.0, -1.0], &[1.0, 1.0]);
    member.trajectory.ref_logp = Some(vec![-1.0; 2]);
    dropped.trajectory.ref_logp = Some(vec![-1.0]);
    let parts = evaluate(&objective, &[member, auxiliary, dropped]).unwrap();
    assert!((parts[0].loss + 1.0 + 0.05).abs() < 1e-15);
    assert_eq!(parts[1].gradients.logp, [-0.5, -0.5], "its coefficient over one group");
    assert_eq!(parts[1].loss, 1.5);
    assert_eq!((parts[2].loss, &parts[2].gradients.logp[..]), (0.0, &[0.0][..]));
}

#[test]
fn the_soft_gate_is_smooth_and_has_the_advantage_for_its_slope_at_1() {
    let gate = Gate::Soft { positive: 1.0, negative: 1.05 };
    for advantage in [2.0, -2.0] {
        let temperature = if advantage > 0.0 { 1.0 } else { 1.05 };
        let here = gate.of(at(1.0, advantage));
        assert_eq!(here.slope, advantage);
        assert!((here.value - 2.0 * advantage / temperature).abs() < 1e-15);
        let h = 1e-6;
        let slope = (gate.of(at(1.7 + h, advantage)).value - gate.of(at(1.7 - h, advantage)).value) / (2.0 * h);
        assert!((gate.of(at(1.7, advantage)).slope - slope).abs() < 1e-9);
    }
    assert_eq!(gate.of(at(1e9, 1.0)).slope, 0.0);
    assert_eq!(gate.of(at(1e9, 1.0)).value, 4.0);
}

#[test]
fn past_its_bound_cispo_keeps_a_gradient_and_clip_does_not() {
    let cispo = Gate::Cispo { low: 0.5, high: 0.25 };
    assert_eq!(cispo.of(at(4.0, 2.0)), Gated { value: -5.0, slope: 0.0, by_logp: 2.5, closed: true });
    assert_eq!(cispo.of(at(0.25, 2.0)), Gated { value: -2.0, slope: 0.0, by_logp: 1.0, closed: true });
    assert_eq!(cispo.of(at(1.25, -2.0)), Gated { value: 5.0, slope: 0.0, by_logp: -2.5, closed: false });
    assert_eq!(Gate::Cispo { low: 1.0, high: 0.25 }.of(at(1e-9, 1.0)).by_logp, 1e-9, "no lower bound");
}

#[test]
fn masks_are_open_exactly_at_their_bounds() {
    let drifted = |drift: f64, advantage: f64| {
        let gate = Gate::SequenceMask { delta: 0.5, against: Against::Old, low: 0.2, high: 0.2 };
        gate.of(At { drift, ..at(1.0, advantage) }).closed
    };
    assert!(!drifted(0.5, -1.0) && drifted(0.51, -1.0) && !drifted(9.0, 1.0) && !drifted(9.0, 0.0));
    let moved = |from: f64, to: f64, advantage: f64| {
        let gate = Gate::TvMask { low: 0.25, high: 0.25, cap: 2.0 };
        gate.of(At { logp: to.ln(), old_logp: from.ln(), ..at(to / from, advantage) })
    };
    assert!(moved(0.5, 0.76, 1.0).closed && !moved(0.5, 0.76, -1.0).closed && !moved(0.5, 0.1, 1.0).closed);
    assert!(moved(0.5, 0.24, -1.0).closed && !moved(0.5, 0.74, 1.0).closed);
    assert_eq!(moved(0.01, 0.1, 1.0).by_logp, 2.0, "the weight is capped");
    // Both are powers of two, and the logarithm and exponential of them exact enough to stand at the bound.
    let edge = Gate::TvMask { low: 1.0 - 0.5, high: 0.5, cap: 2.0 };
    assert!(!edge.of(At { logp: 0.0, old_logp: 0.5f64.ln(), ..at(2.0, 1.0) }).closed);
    let divergence = |from: f64, to: f64, advantage: f64| {
        let gate = Gate::KlMask { low: 0.05, high: 0.05, cap: 20.0 };
        gate.of(At { logp: to.ln(), old_logp: from.ln(), ..at(to / from, advantage) }).closed
    };
    // q ln(q/p) + (1-q) ln((1-q)/(1-p)) of 0.5 and 0.7 is 0.087, of 0.5 and 0.6 0.020.
    assert!(divergence(0.5, 0.7, 1.0) && !divergence(0.5, 0.6, 1.0) && !divergence(0.5, 0.7, -1.0));
    assert!(divergence(0.5, 0.3, -1.0) && !divergence(0.5, 0.3, 1.0));
    assert!(!divergence(0.5, 1.0, -1.0), "a certain action is no division by 0");
}

#[test]
fn the_penalty_of_kl_cov_has_no_side_where_the_rows_are_equal() {
    let gate = Gate::KlCov { fraction: 0.5, coefficient: 0.3 };
    let picked = |logp: f64| gate.of(At { selected: true, logp, ..at(1.0, 2.0) });
    assert_eq!((picked(-2.0).value, picked(-2.0).by_logp), (2.0, 0.0));
    assert!((picked(-1.5).value - 1.85).abs() < 1e-15);
    assert_eq!((picked(-1.5).by_logp, picked(-2.5).by_logp), (-0.3, 0.3));
    assert_eq!(gate.of(at(1.0, 2.0)).value, 2.0);
}

#[test]
fn the_actions_of_largest_covariance_are_selected_and_still_counted() {
    let group = [case(&[-1.0, -2.0], &[2.0, 1.0]), case(&[-3.0, -4.0], &[0.0, 1.0])];
    // mean logp -2.5, mean A 1: c = 1.5, 0, 0.5, 0.
    let with = |gate: Gate| {
        let surrogate = Surrogate::PolicyGradient(PolicyGradient { ratio: RatioLevel::Token, gate });
        let objective = Objective { surrogate, denominator: Denominator::Tokens, ..Objective::default() };
        assert_eq!(objective.scope(), Scope::Batch);
        let parts = evaluate(&objective, &group).unwrap();
        [parts[0].gradients.logp.clone(), parts[1].gradients.logp.clone()].concat()
    };
    let clip_cov = |fraction: f64, order: Order| {
        with(Gate::ClipCov { fraction, least: -1.0, most: 5.0, order, low: 0.2, high: 0.2 })
    };
    assert_eq!(clip_cov(0.25, Order::Largest), [0.0, -0.25, 0.0, -0.25]);
    assert_eq!(clip_cov(0.5, Order::Largest), [0.0, -0.25, 0.0, -0.25]);
    assert_eq!(clip_cov(0.75, Order::Largest), [0.0, 0.0, 0.0, -0.25], "equal ones in the order of the batch");
    assert_eq!(clip_cov(0.5, Order::First), [0.0, 0.0, 0.0, -0.25]);
    assert_eq!(clip_cov(0.0002, Order::First), [0.0, -0.25, 0.0, -0.25], "at least one");
    let some = Gate::ClipCov { fraction: 1.0, least: 0.0, most: 1.5, order: Order::First, low: 0.2, high: 0.2 };
    assert_eq!(with(some), [-0.5, -0.25, 0.0, -0.25], "strictly between the bounds");
}

#[test]
fn the_bonus_is_there_while_the_batch_is_below_the_target() {
    let loss = |target: f64| {
        let entropy = Entropy::Adaptive { coefficient: 0.1, target, step: 0.01 };
        let part =
            evaluate(&Objective { entropy, ..Objective::default() }, &[case(&[-1.0], &[0.0])]).unwrap().remove(0);
        (part.loss, part.gradients.entropy)
    };
    assert_eq!(loss(0.5), (-0.05, Some(vec![-0.1])), "exactly at the target there is a bonus");
    assert_eq!(loss(0.4), (0.0, None));
    let entropy = Entropy::Adaptive { coefficient: 0.1, target: 0.4, step: 0.01 };
    assert_eq!(entropy.next(0.3), Entropy::Adaptive { coefficient: 0.11, target: 0.4, step: 0.01 });
    assert_eq!(Entropy::None.next(0.3), Entropy::None);
}

#[test]
fn parameters_out_of_range_are_named() {
    let key = |check: Result<(), (String, String)>| check.unwrap_err().0;
    assert_eq!(key(Gate::Clip { low: 1.5, high: 0.2 }.check()), "clip.low");
    assert_eq!(key(Gate::Clip { low: 0.2, high: f64::NAN }.check()), "clip.high");
    assert_eq!(key(Gate::ClipHigher { low: 0.2, high: 0.2 }.check()), "clip_higher.high");
    assert_eq!(key(Gate::DualClip { low: 0.2, high: 0.2, c: 1.0 }.check()), "dual_clip.c");
    assert_eq!(key(Gate::Cispo { low: 0.0, high: 0.2 }.check()), "cispo.low");
    assert_eq!(key(Gate::Soft { positive: 0.0, negative: 1.0 }.check()), "soft.positive");
    assert_eq!(key(Gate::Soft { positive: 1.0, negative: -1.0 }.check()), "soft.negative");
    let masked = Gate::SequenceMask { delta: 0.0, against: Against::Old, low: 0.2, high: 0.2 };
    assert_eq!(key(masked.check()), "sequence_mask.delta");
    assert_eq!(key(Gate::TvMask { low: 0.1, high: 1.5, cap: 2.0 }.check()), "tv_mask.high");
    assert_eq!(key(Gate::KlMask { low: 0.1, high: 0.1, cap: 1.0 }.check()), "kl_mask.cap");
    assert_eq!(key(Gate::KlCov { fraction: 0.0, coefficient: 1.0 }.check()), "kl_cov.fraction");
    let cov = |fraction, least, most| Gate::ClipCov { fraction, least, most, order: Order::First, low: 0.2, high: 0.2 };
    assert_eq!(key(cov(1.5, 1.0, 5.0).check()), "clip_cov.fraction");
    assert_eq!(key(cov(0.5, f64::NAN, 5.0).check()), "clip_cov.least");
    assert_eq!(key(cov(0.5, 1.0, 1.0).check()), "clip_cov.most");
    let ratio = RatioLevel::GeometricClip { low: 0.4, high: 0.0 };
    assert_eq!(key(ratio.check()), "geometric_clip.high");
    assert_eq!(key(PolicyGradient { ratio, gate: Gate::None }.check()), "ratio.geometric_clip.high");
    let gate = Gate::Clip { low: 0.0, high: 0.2 };
    assert_eq!(key(PolicyGradient { ratio: RatioLevel::None, gate }.check()), "gate.clip.low");
    assert_eq!(key(Denominator::Constant { length: 0.0 }.check()), "constant.length");
    assert_eq!(key(Denominator::Fixed { divisor: f64::INFINITY }.check()), "fixed.divisor");
    assert_eq!(key(Divergence { coefficient: 0.0, ..Divergence::default() }.check()), "coefficient");
    let clamped = Estimator::K3Clamped { difference: 0.0, value: 1.0 };
    let clamped = Divergence { estimator: clamped, coefficient: 1.0 };
    assert_eq!(key(clamped.check()), "estimator.k3_clamped.difference");
    assert_eq!(key(Entropy::Bonus { coefficient: 0.0 }.check()), "bonus.coefficient");
    assert_eq!(key(Entropy::Adaptive { coefficient: -1.0, target: 1.0, step: 1.0 }.check()), "adaptive.coefficient");
    let band = |low, high, fraction| Entropy::Band { low, high, weight: 1.0, fraction };
    assert_eq!(key(band(1.0, 1.0, 0.2).check()), "band.low");
    assert_eq!(key(band(0.5, 0.5, 0.2).check()), "band.high");
    assert_eq!(key(band(0.1, 0.5, 0.0).check()), "band.fraction");
    assert_eq!(key(Mismatch::Truncate { cap: 0.5, floor: 0.5, level: Level::Token }.check()), "truncate.cap");
    assert_eq!(key(Mismatch::Mask { low: -0.5, high: 0.5, level: Level::Token }.check()), "mask.low");
    for gate in [Gate::default(), Gate::ClipHigher { low: 0.2, high: 0.28 }, cov(0.0002, 1.0, 5.0)] {
        assert_eq!(gate.check(), Ok(()));
    }
}

#[test]
fn how_much_of_a_batch_must_be_seen() {
    let scope = |json: &str| serde_json::from_str::<Objective>(json).unwrap().scope();
    assert_eq!(scope("{}"), Scope::Action);
    assert_eq!(scope(r#"{"surrogate": {"policy_gradient": {"ratio": "geometric"}}}"#), Scope::Sequence);
    assert_eq!(scope(r#"{"surrogate": {"policy_gradient": {"gate": {"kl_cov": {}}}}}"#), Scope::Batch);
    assert_eq!(scope(r#"{"entropy": {"adaptive": {}}}"#), Scope::Batch);
    assert_eq!(scope(r#"{"entropy": {"band": {}}}"#), Scope::Sequence);
    assert_eq!(scope(r#"{"mismatch": {"mask": {"level": "sequence"}}}"#), Scope::Sequence);
    assert_eq!(scope(r#"{"mismatch": {"mask": {}}}"#), Scope::Action);
}
