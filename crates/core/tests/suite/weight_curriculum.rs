//! Every weight and curriculum that a recipe can name, against loops written from its formula.

use std::collections::{BTreeMap, BTreeSet};

use cohort_core::{
    Facts, Method, Rows, Stream,
    advantage::{Advantage, Baseline, Credit, Kept, Scale},
    curriculum::{Augmentation, Curriculum, CurriculumState, Merge, Observed, Reason, Redraw, Verdict, shuffled},
    facts::Fact,
    memory::Memory,
    method::Study,
    method_error::{Place, Problem},
    objective::{Denominator, Objective, Scope, Seen},
    random::{Dice, permutation},
    registry::{Axis, Entry, entries},
    trajectory::{Comparison, Role, Trajectory},
    weight::{Tokens, Truncated, Weighting},
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn of_axis(axis: Axis) -> impl Iterator<Item = &'static Entry> {
    entries().filter(move |e| e.axis == axis)
}

/// Random numbers one after the other.
struct Draws {
    dice: Dice,
    next: usize,
}

impl Draws {
    fn new(seed: u64) -> Self {
        Self { dice: Stream::new(seed, "tests").dice(0, 0, 0), next: 0 }
    }

    fn uniform(&mut self) -> f64 {
        self.next += 1;
        self.dice.uniform(self.next)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next += 1;
        self.dice.below(self.next, bound as u64) as usize
    }

    fn flags(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| if self.below(3) == 0 { 1.0 } else { 0.0 }).collect()
    }
}

// --- weight -------------------------------------------------------------------------------------------------------

struct Batch {
    groups: Vec<Comparison>,
    rows: Vec<Vec<Rows>>,
    credits: Vec<Vec<Credit>>,
}

impl Batch {
    /// Ragged: no actions, one action, all masked, auxiliaries, dropped members, tied entropies.
    fn random(seed: u64) -> Self {
        let d = &mut Draws::new(seed);
        let (mut groups, mut rows, mut credits) = (vec![], vec![], vec![]);
        for _ in 0..1 + d.below(3) {
            let (mut group, mut r, mut c) = (Comparison::default(), vec![], vec![]);
            for episode in 0..2 + d.below(4) {
                let n = [0, 1, 2, 5, 9, 17][d.below(6)];
                let masked = d.below(6) == 0;
                let mut facts = Facts::default();
                facts.insert("truncated", Fact::Flag(d.below(3) == 0));
                facts.insert("pivot", Fact::List(d.flags(n)));
                facts.insert("malformed", Fact::List(d.flags(n)));
                facts.insert("step_size", Fact::List((0..n).map(|_| -0.01 - d.uniform()).collect()));
                facts.insert("noise_scale", Fact::List((0..n).map(|_| 3.0 * d.uniform()).collect()));
                group.trajectories.push(Trajectory {
                    role: if d.below(8) == 0 { Role::Auxiliary } else { Role::Member },
                    episode,
                    reward: Some(d.below(3) as f64),
                    weight: (d.below(4) == 0).then(|| 0.5 + d.uniform()),
                    facts,
                    mask: (0..n).map(|_| if masked || d.below(4) == 0 { 0.0 } else { 1.0 }).collect(),
                    segment: (0..n).map(|_| d.below(3) as u32).collect(),
                    ..Trajectory::default()
                });
                r.push(Rows {
                    logp: (0..n).map(|_| -2.0 * d.uniform()).collect(),
                    entropy: (0..n).map(|_| d.below(6) as f64 / 4.0).collect(),
                    ..Rows::default()
                });
                let kept = if d.below(8) == 0 { Kept::Dropped } else { Kept::Trained };
                c.push(Credit { kept, ..Credit::uniform(1.0, n) });
            }
            groups.push(group);
            rows.push(r);
            credits.push(c);
        }
        Self { groups, rows, credits }
    }

    fn seen(&self) -> Vec<Vec<Seen<'_>>> {
        let of = |g: usize, t: usize| Seen {
            trajectory: &self.groups[g].trajectories[t],
            credit: &self.credits[g][t],
            rows: &self.rows[g][t],
            old_logp: &self.rows[g][t].logp,
        };
        (0..self.groups.len()).map(|g| (0..self.rows[g].len()).map(|t| of(g, t)).collect()).collect()
    }
}

/// Mask and factor of every trajectory; `None` for what is not counted.
type Weights = Vec<Vec<Option<(Vec<f64>, Vec<f64>)>>>;

fn weights(weighting: &Weighting, batch: &Batch) -> Weights {
    let seen = batch.seen();
    let masks = weighting.masks(&seen).expect("masks");
    let of = |g: usize, t: usize| {
        let place = Place::trajectory(g, t);
        let factor = weighting.factor(place, &seen[g][t]).expect("factor");
        let mask = masks[g][t].clone()?;
        Some((mask.clone(), factor.unwrap_or_else(|| vec![1.0; mask.len()])))
    };
    (0..seen.len()).map(|g| (0..seen[g].len()).map(|t| of(g, t)).collect()).collect()
}

/// The key below `weight` and the parameters: the defaults, or random ones for a seed.
fn weight_choice(name: &str, random: Option<&mut Draws>) -> (&'static str, Value) {
    let key = match name {
        "keep" | "mask" => "truncated",
        "all" | "top_entropy" | "pivots" => "tokens",
        "policy" | "segments" => "roles",
        "one" | "inverse_step_size" | "noise" => "step",
        "scale" => "malformed",
        other => panic!("no key for {other}"),
    };
    let Some(d) = random else { return (key, json!({})) };
    let parameters = match name {
        "top_entropy" => {
            json!({"fraction": (1 + d.below(20)) as f64 / 20.0, "scope": (["sequence", "batch"][d.below(2)])})
        }
        "pivots" => json!({"fact": (["pivot", "malformed"][d.below(2)])}),
        "segments" => json!({"segments": ([vec![1], vec![0, 2], vec![7]][d.below(3)])}),
        "inverse_step_size" => json!({"fact": "step_size"}),
        "noise" => json!({"noise": "step_size", "step": "step_size"}),
        "scale" => json!({"by": 3.0 * d.uniform(), "fact": (["pivot", "malformed"][d.below(2)])}),
        _ => json!({}),
    };
    (key, parameters)
}

/// A section with one choice; words without parameters are plain words.
fn section(key: &str, entry: &Entry, parameters: &Value) -> Value {
    let word = entry.name;
    if entry.parameters.is_empty() { json!({ key: word }) } else { json!({ key: { word: parameters } }) }
}

fn weighting(entry: &Entry, random: Option<&mut Draws>) -> (Weighting, Value) {
    let (key, parameters) = weight_choice(entry.name, random);
    let weighting: Weighting = serde_json::from_value(section(key, entry, &parameters)).expect(entry.name);
    weighting.check().expect("in range");
    (weighting, parameters)
}

fn list<'a>(t: &'a Trajectory, parameters: &'a Value, key: &str, default: &'a str) -> &'a [f64] {
    t.facts.list(parameters[key].as_str().unwrap_or(default)).expect("a list")
}

fn weight_oracle(name: &str, p: &Value, batch: &Batch) -> Weights {
    let mut out: Weights = vec![];
    // Entropies of trained actions, for the quantile of the batch.
    let mut pool = vec![];
    for (g, group) in batch.groups.iter().enumerate() {
        let mut of_group = vec![];
        for (t, x) in group.trajectories.iter().enumerate() {
            if x.role == Role::Auxiliary || batch.credits[g][t].kept == Kept::Dropped {
                of_group.push(None);
                continue;
            }
            let share = x.weight.unwrap_or(1.0);
            let mut mask: Vec<f64> = x.mask.iter().map(|m| m * share).collect();
            let mut factor = vec![1.0; mask.len()];
            let trained = mask.iter().filter(|m| **m != 0.0).count();
            for i in 0..mask.len() {
                let entropy = &batch.rows[g][t].entropy;
                match name {
                    "keep" | "all" | "policy" | "one" => {}
                    "mask" if x.facts.get("truncated") == Some(&Fact::Flag(true)) => mask[i] = 0.0,
                    "mask" => {}
                    "pivots" if list(x, p, "fact", "pivot")[i] == 0.0 => mask[i] = 0.0,
                    "pivots" => {}
                    "segments" => {
                        let wanted = p["segments"].as_array().cloned().unwrap_or(vec![json!(0)]);
                        if !wanted.contains(&json!(x.segment[i])) {
                            mask[i] = 0.0;
                        }
                    }
                    "inverse_step_size" if x.mask[i] != 0.0 => factor[i] = 1.0 / -list(x, p, "fact", "step_size")[i],
                    "noise" if x.mask[i] != 0.0 => {
                        factor[i] = list(x, p, "noise", "noise_scale")[i] / -list(x, p, "step", "step_size")[i];
                    }
                    "inverse_step_size" | "noise" => {}
                    "scale" if x.mask[i] != 0.0 && list(x, p, "fact", "malformed")[i] != 0.0 => {
                        factor[i] = p["by"].as_f64().unwrap_or(0.0);
                    }
                    "scale" => {}
                    "top_entropy" if x.mask[i] == 0.0 => {}
                    "top_entropy" if p["scope"] == json!("batch") => pool.push(entropy[i]),
                    "top_entropy" => {
                        // Twentieths, so that the number kept is exact.
                        let k = (p["fraction"].as_f64().unwrap_or(0.2) * 20.0).round() as usize;
                        let better = (0..mask.len())
                            .filter(|&j| x.mask[j] != 0.0)
                            .filter(|&j| entropy[j] > entropy[i] || (entropy[j] == entropy[i] && j < i));
                        if better.count() >= (k * trained).div_ceil(20) {
                            mask[i] = 0.0;
                        }
                    }
                    other => panic!("no oracle for {other}"),
                }
            }
            of_group.push(Some((mask, factor)));
        }
        out.push(of_group);
    }
    if !pool.is_empty() {
        pool.sort_by(f64::total_cmp);
        let k = (p["fraction"].as_f64().expect("a fraction") * 20.0).round() as usize;
        let place = (20 - k) * (pool.len() - 1);
        let (low, share) = (place / 20, (place % 20) as f64 / 20.0);
        let quantile = pool[low] + (pool[(low + 1).min(pool.len() - 1)] - pool[low]) * share;
        for (g, group) in out.iter_mut().enumerate() {
            for (t, weights) in group.iter_mut().enumerate() {
                let Some((mask, _)) = weights else { continue };
                for (i, m) in mask.iter_mut().enumerate() {
                    *m = if batch.rows[g][t].entropy[i] >= quantile { *m } else { 0.0 };
                }
            }
        }
    }
    out
}

fn assert_close(got: &Weights, want: &Weights, name: &str) {
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
        match (got, want) {
            (None, None) => {}
            (Some(got), Some(want)) => {
                assert_eq!(got.0, want.0, "{name}: mask");
                assert_eq!(got.1.len(), want.1.len());
                for (g, w) in got.1.iter().zip(&want.1) {
                    assert!((g - w).abs() <= 1e-12 * w.abs(), "{name}: factor {g}, not {w}");
                }
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_weight_agrees_with_its_formula(seed: u64) {
        let batch = Batch::random(seed);
        for entry in of_axis(Axis::Weight) {
            let (default, none) = weighting(entry, None);
            assert_close(&weights(&default, &batch), &weight_oracle(entry.name, &none, &batch), entry.name);
            let (other, parameters) = weighting(entry, Some(&mut Draws::new(!seed)));
            assert_close(&weights(&other, &batch), &weight_oracle(entry.name, &parameters, &batch), entry.name);
        }
    }

    /// The loss and its derivative from masks and factors: one denominator of the masks alone.
    #[test]
    fn masks_decide_denominators_and_factors_do_not(seed: u64) {
        let batch = Batch::random(seed);
        let study = Study {
            old_logp: batch.rows.iter().map(|rows| vec![None; rows.len()]).collect(),
            groups: batch.groups.clone(),
            rows: batch.rows.clone(),
        };
        for entry in of_axis(Axis::Weight) {
            let (weight, parameters) = weighting(entry, None);
            let got = Method { weight, ..plain(json!({}), Denominator::Tokens) }
                .calculate(&study, &mut Memory::default())
                .expect("calculates");
            let all = Batch { credits: got.credits.clone(), ..Batch::random(seed) };
            let want = weight_oracle(entry.name, &parameters, &all);
            let mut count = 0.0;
            for (mask, _) in want.iter().flatten().flatten() {
                count += mask.iter().sum::<f64>();
            }
            let (mut loss, mut of_members) = (0.0, 0.0);
            for (g, group) in want.iter().enumerate() {
                for (t, of) in group.iter().enumerate() {
                    let Some((mask, factor)) = of else { continue };
                    of_members += got.parts[g][t].loss;
                    for i in (0..mask.len()).filter(|&i| mask[i] != 0.0) {
                        let term = -mask[i] / count * factor[i] * got.credits[g][t].coefficient[i];
                        loss += term;
                        let slope = got.parts[g][t].gradients.logp[i];
                        prop_assert!((slope - term).abs() <= 1e-12 * term.abs(), "{}", entry.name);
                    }
                }
            }
            prop_assert!((of_members - loss).abs() <= 1e-12 * loss.abs().max(1.0), "{}: {of_members} {loss}", entry.name);
        }
    }
}

#[test]
fn no_two_weights_are_the_same_function() {
    let sections: Vec<(&Entry, Weighting)> = of_axis(Axis::Weight).map(|e| (e, weighting(e, None).0)).collect();
    let results: Vec<Vec<Weights>> = sections
        .iter()
        .map(|(_, section)| (0..1000).map(|seed| weights(section, &Batch::random(seed))).collect())
        .collect();
    compare_all(&sections.iter().map(|s| s.0).collect::<Vec<_>>(), &results);
}

fn compare_all<T: PartialEq>(entries: &[&Entry], results: &[T]) {
    for (i, a) in entries.iter().enumerate() {
        for (j, b) in entries.iter().enumerate().filter(|(j, _)| *j != i) {
            let declared = a.equals.iter().find(|(name, _)| *name == b.name);
            assert_eq!(results[i] == results[j], declared.is_some(), "{} and {}", a.name, b.name);
            assert!(declared.is_none_or(|(_, reason)| !reason.is_empty()));
        }
    }
}

#[test]
fn entries_are_whole_and_their_names_differ() {
    for axis in [Axis::Weight, Axis::Curriculum] {
        let all: Vec<&Entry> = of_axis(axis).collect();
        assert_eq!(all.iter().map(|e| e.name).collect::<BTreeSet<_>>().len(), all.len());
        for entry in all {
            assert!(
                !entry.summary.is_empty() && !entry.formula.is_empty() && !entry.source.is_empty(),
                "{}",
                entry.name
            );
            assert!(entry.formula.contains(&format!("{axis}.")), "{} says where it is written", entry.name);
        }
    }
}

/// One group of these members: mask, entropy and reward of each.
fn one_group(members: &[(Vec<f64>, Vec<f64>, f64)]) -> Study {
    let mut group = Comparison::default();
    let mut rows = vec![];
    for (episode, (mask, entropy, reward)) in members.iter().enumerate() {
        let n = mask.len();
        group.trajectories.push(Trajectory {
            episode,
            reward: Some(*reward),
            mask: mask.clone(),
            segment: vec![0; n],
            ..Trajectory::default()
        });
        rows.push(Rows { logp: vec![-1.0; n], entropy: entropy.clone(), ..Rows::default() });
    }
    Study { groups: vec![group], old_logp: vec![vec![None; rows.len()]], rows: vec![rows] }
}

fn plain(weight: Value, denominator: Denominator) -> Method {
    Method {
        advantage: Advantage { baseline: Baseline::None, scale: Scale::None, ..Advantage::default() },
        objective: Objective { denominator, ..Objective::default() },
        weight: serde_json::from_value(weight).expect("a weighting"),
        ..Method::default()
    }
}

#[test]
fn trap_forks_do_not_shrink_the_step() {
    let entropy: Vec<f64> = (0..10).map(f64::from).collect();
    let study = one_group(&[(vec![1.0; 10], entropy.clone(), 1.0), (vec![1.0; 10], entropy, 1.0)]);
    for denominator in [Denominator::Tokens, Denominator::Sequence] {
        for weight in [json!({}), json!({"tokens": {"top_entropy": {}}})] {
            let got = plain(weight, denominator).calculate(&study, &mut Memory::default()).unwrap();
            assert!((got.loss + 1.0).abs() < 1e-15, "a fifth of the actions, five times the weight each: {}", got.loss);
        }
    }
}

#[test]
fn trap_a_truncated_sample_stays_in_the_statistics_and_counts_as_a_sequence() {
    let mut study = one_group(&[(vec![1.0; 2], vec![], 3.0), (vec![1.0; 4], vec![], 1.0)]);
    study.groups[0].trajectories[1].facts.insert("truncated", Fact::Flag(true));
    let mut method = plain(json!({"truncated": "mask"}), Denominator::Sequence);
    method.advantage.baseline = Baseline::Mean;
    let got = method.calculate(&study, &mut Memory::default()).unwrap();
    assert_eq!(got.credits[0][0].coefficient, [1.0, 1.0], "the mean is 2, with the truncated one");
    assert_eq!(got.loss, -0.5, "one of two sequences");
    assert_eq!(got.parts[0][1].gradients.logp, [0.0; 4]);
}

#[test]
fn trap_a_scaled_span_keeps_its_place_in_the_denominator() {
    let mut study = one_group(&[(vec![1.0; 4], vec![], 1.0)]);
    study.groups[0].trajectories[0].facts.insert("malformed", Fact::List(vec![1.0, 1.0, 0.0, 0.0]));
    for (by, loss) in [(0.0, -0.5), (1.0, -1.0), (3.0, -2.0)] {
        let method = plain(json!({"malformed": {"scale": {"by": by}}}), Denominator::Tokens);
        assert_eq!(method.calculate(&study, &mut Memory::default()).unwrap().loss, loss);
    }
}

#[test]
fn trap_forks_need_the_rows_of_the_whole_batch() {
    let method = plain(json!({"tokens": {"top_entropy": {"scope": "batch"}}}), Denominator::Tokens);
    assert_eq!(method.scope(), Scope::Batch);
    assert_eq!(plain(json!({}), Denominator::Tokens).scope(), Scope::Action);
    // One sample is sure of everything: the fifth of the batch lies in the other.
    let study = one_group(&[(vec![1.0; 5], vec![0.0; 5], 1.0), (vec![1.0; 5], vec![1.0, 2.0, 3.0, 4.0, 5.0], 1.0)]);
    let got = method.calculate(&study, &mut Memory::default()).unwrap();
    assert_eq!(got.parts[0][0].gradients.logp, [0.0; 5]);
    assert_eq!(got.parts[0][1].gradients.logp, [0.0, 0.0, 0.0, -0.5, -0.5]);
}

#[test]
fn what_is_read_and_not_there_names_its_place() {
    let study = one_group(&[(vec![1.0], vec![1.0], 1.0), (vec![1.0; 2], vec![], 0.0)]);
    for (weight, field) in [
        (json!({"tokens": {"top_entropy": {}}}), "entropy"),
        (json!({"tokens": {"pivots": {}}}), "facts.pivot"),
        (json!({"step": {"inverse_step_size": {}}}), "facts.step_size"),
        (json!({"step": {"noise": {}}}), "facts.noise_scale"),
        (json!({"malformed": {"scale": {}}}), "facts.malformed"),
    ] {
        let error = plain(weight, Denominator::Tokens).calculate(&study, &mut Memory::default()).unwrap_err();
        let place = Place::trajectory(0, usize::from(field == "entropy"));
        assert_eq!((error.field.as_str(), error.place, error.problem), (field, place, Problem::Missing));
    }
    let mut study = study;
    study.groups[0].trajectories[1].segment.clear();
    let method = plain(json!({"roles": {"segments": {}}}), Denominator::Tokens);
    let error = method.calculate(&study, &mut Memory::default()).unwrap_err();
    assert_eq!((error.field.as_str(), error.problem), ("segment", Problem::Length { expected: 2, got: 0 }));
    study.groups[0].trajectories[0].weight = Some(f64::NAN);
    let error = plain(json!({}), Denominator::Tokens).calculate(&study, &mut Memory::default()).unwrap_err();
    assert_eq!(error.field, "weight");
}

#[test]
fn what_is_not_a_member_is_not_asked_for_facts() {
    let mut study = one_group(&[(vec![1.0], vec![1.0], 1.0)]);
    let auxiliary = Trajectory { role: Role::Auxiliary, mask: vec![1.0], ..Trajectory::default() };
    study.groups[0].trajectories[0].facts.insert("step_size", Fact::List(vec![0.5]));
    study.groups[0].trajectories.push(auxiliary);
    study.rows[0].push(Rows { logp: vec![-1.0], ..Rows::default() });
    study.old_logp[0].push(None);
    for weight in [json!({"step": {"inverse_step_size": {}}}), json!({"tokens": {"top_entropy": {}}})] {
        plain(weight, Denominator::Tokens).calculate(&study, &mut Memory::default()).unwrap();
    }
}

#[test]
fn weights_out_of_range_are_refused() {
    for (section, key) in [
        (json!({"tokens": {"top_entropy": {"fraction": 0.0}}}), "tokens.top_entropy.fraction"),
        (json!({"tokens": {"top_entropy": {"fraction": 1.5}}}), "tokens.top_entropy.fraction"),
        (json!({"roles": {"segments": {"segments": []}}}), "roles.segments.segments"),
        (json!({"malformed": {"scale": {"by": -1.0}}}), "malformed.scale.by"),
    ] {
        let section: Weighting = serde_json::from_value(section).unwrap();
        assert_eq!(section.check().unwrap_err().0, key);
    }
    assert!(serde_json::from_value::<Weighting>(json!({"tokens": {"top_entropy": {"share": 0.2}}})).is_err());
    let whole = Weighting { truncated: Truncated::Mask, tokens: Tokens::All, ..Weighting::default() };
    let back: Weighting = serde_json::from_value(serde_json::to_value(&whole).unwrap()).unwrap();
    assert_eq!(back, whole);
}

// --- curriculum ---------------------------------------------------------------------------------------------------

const COUNT: usize = 4;

/// A run so far, as a plain list, and the question that is put to a curriculum after it.
struct Run {
    prompts: usize,
    measured: BTreeMap<usize, Vec<Option<f64>>>,
    log: Vec<(u64, Vec<Observed>)>,
    step: u64,
    stream: Stream,
    probes: Vec<Vec<Option<f64>>>,
    kls: Vec<Option<f64>>,
}

impl Run {
    fn random(seed: u64) -> Self {
        let d = &mut Draws::new(seed);
        let prompts = [3, 7, 12, 25][d.below(4)];
        let rewards = |d: &mut Draws| -> Vec<Option<f64>> {
            // All wrong, all alike, or mixed; numbers that tie only where they are the same.
            let (kind, constant) = (d.below(4), d.uniform());
            (0..d.below(5))
                .map(|_| match kind {
                    0 => Some(0.0),
                    1 => Some(constant),
                    _ => [None, Some(0.0), Some(d.uniform())][d.below(3)],
                })
                .collect()
        };
        let kl = |d: &mut Draws| match d.below(10) {
            0 => None,
            1 => Some(5.0 * d.uniform()),
            _ => Some(0.1 * d.uniform()),
        };
        let measured = (0..prompts).filter(|_| d.below(2) == 0).collect::<Vec<_>>();
        let measured = measured.into_iter().map(|p| (p, rewards(d))).collect();
        let (mut log, mut step) = (vec![], 0);
        for _ in 0..d.below(25) {
            step += 1 + [0, 0, 0, 30][d.below(4)];
            let groups = (0..d.below(6)).map(|_| (d.below(prompts), rewards(d), kl(d))).collect();
            log.push((step, groups));
        }
        Self {
            prompts,
            measured,
            log,
            step: step + 1 + [0, 0, 60][d.below(3)],
            stream: Stream::new(seed, "order"),
            probes: (0..6).map(|_| rewards(d)).collect(),
            kls: (0..6).map(|_| kl(d)).collect(),
        }
    }

    fn state(&self, curriculum: &Curriculum) -> CurriculumState {
        let mut state = CurriculumState::default();
        self.measured.iter().for_each(|(p, rewards)| state.measure(*p, rewards));
        self.log.iter().for_each(|(step, groups)| curriculum.observe(*step, groups, &mut state));
        state
    }

    /// What was scored of a prompt, step by step.
    fn visits(&self, prompt: usize) -> Vec<(u64, Vec<f64>)> {
        let mut visits = vec![];
        if let Some(rewards) = self.measured.get(&prompt) {
            visits.push((0, rewards.iter().flatten().copied().collect::<Vec<f64>>()));
        }
        for (step, groups) in &self.log {
            let of = groups.iter().filter(|g| g.0 == prompt).flat_map(|g| g.1.iter().flatten().copied());
            visits.push((*step, of.collect()));
        }
        visits.retain(|(_, scored)| !scored.is_empty());
        visits
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Answers {
    chosen: Vec<usize>,
    admitted: Vec<Verdict>,
    near: Vec<Verdict>,
    refills: usize,
    levels: Vec<u32>,
    redraws: Vec<Option<Redraw>>,
    augmented: Vec<(f64, f64)>,
}

fn answers(curriculum: &Curriculum, run: &Run) -> Answers {
    let state = run.state(curriculum);
    let chosen = curriculum.choose(run.prompts, COUNT, run.step, run.stream, &state);
    let mut drawn = chosen.clone();
    let mut refills = 0;
    while let Some(more) = curriculum.refill(run.prompts, 1, &drawn, run.step, refills as u32, run.stream, &state) {
        drawn.extend(more);
        refills += 1;
    }
    let augmented = |probe: &[Option<f64>]| {
        let Augmentation { hint_share, noise } = curriculum.augmentation(probe, &state);
        (hint_share, noise)
    };
    Answers {
        admitted: curriculum.admit(&run.probes),
        near: curriculum.admit_kl(&run.kls, &state),
        refills,
        levels: (0..run.prompts).map(|p| curriculum.level(p, &state)).collect(),
        redraws: run.probes.iter().map(|probe| curriculum.redraw(0, probe)).collect(),
        augmented: run.probes.iter().map(|probe| augmented(probe)).collect(),
        chosen,
    }
}

fn curriculum_choice(name: &str, random: Option<&mut Draws>) -> (&'static str, Value) {
    let key = match name {
        "shuffled" | "one_shot" | "easy_to_hard" => "order",
        "all" | "accuracy_band" | "top_variance" => "choose",
        "keep" | "zero_variance" => "filter",
        "none" | "by_kl" => "defer",
        "adaptive" | "ladder" | "all_fail" => "hint",
        "difficulty" => "augment",
        other => panic!("no key for {other}"),
    };
    let Some(d) = random else { return (key, json!({})) };
    let parameters = match name {
        "one_shot" => json!({"prompts": ([vec![2], vec![1, 0], vec![0, 2, 1, 2]][d.below(3)])}),
        "easy_to_hard" => json!({
            "buckets": 1 + d.below(9), "direction": (["easy_first", "hard_first"][d.below(2)]),
            "drop_up_to": ([0.0, 0.3, -1.0][d.below(3)]), "recheck": 1 + d.below(40),
        }),
        "accuracy_band" => json!({
            "low": 0.3 * d.uniform(), "high": 0.6 + 0.4 * d.uniform(), "tail_weight": ([0.0, 0.5, 1.0][d.below(3)]),
            "by": (["accuracy", "percentile"][d.below(2)]), "recheck": 1 + d.below(40),
        }),
        "top_variance" => json!({
            "keep": 1 + d.below(5), "of": (["history", "group"][d.below(2)]), "visits": 2 + d.below(2),
        }),
        "zero_variance" => json!({
            "budget": d.below(4), "surplus": (["carry", "drop"][d.below(2)]), "oversample": 1.0 + d.uniform(),
        }),
        "by_kl" => json!({
            "window": 5 + d.below(20), "sigmas": d.uniform(), "period": 1 + d.below(40), "least": 2 + d.below(3),
        }),
        "adaptive" => json!({
            "raise_below": 0.3 * d.uniform(), "lower_above": 0.3 + 0.7 * d.uniform(), "levels": 1 + d.below(4),
            "success_above": ([0.0, 0.5][d.below(2)]),
        }),
        "ladder" => json!({"levels": 1 + d.below(4), "success_above": ([0.0, 0.5, -1.0][d.below(3)])}),
        "all_fail" => json!({
            "threshold": 0.9 * d.uniform(), "group": (["union", "replace"][d.below(2)]), "success_above": 0.5,
        }),
        "difficulty" => json!({
            "window": 1 + d.below(20), "hint_share_max": d.uniform(), "noise_max": 3.0 * d.uniform(), "reward_max": 2.0,
        }),
        _ => json!({}),
    };
    (key, parameters)
}

fn curriculum(entry: &Entry, random: Option<&mut Draws>) -> (Curriculum, Value) {
    let (key, parameters) = curriculum_choice(entry.name, random);
    let curriculum: Curriculum = serde_json::from_value(section(key, entry, &parameters)).expect(entry.name);
    curriculum.check().expect("in range");
    (curriculum, parameters)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variance(values: &[f64]) -> f64 {
    let centre = mean(values);
    values.iter().map(|v| (v - centre) * (v - centre)).sum::<f64>() / values.len() as f64
}

fn over(of: &[usize], run: &Run) -> Vec<usize> {
    shuffled(of.len(), COUNT, run.step, run.stream).into_iter().map(|i| of[i]).collect()
}

fn curriculum_oracle(name: &str, p: &Value, run: &Run) -> Answers {
    let f = |key: &str, default: f64| p[key].as_f64().unwrap_or(default);
    let n = |key: &str, default: u64| p[key].as_u64().unwrap_or(default);
    let word = |key: &str, other: &str| p[key] == json!(other);
    let scored = |probe: &[Option<f64>]| probe.iter().flatten().copied().collect::<Vec<f64>>();
    let all: Vec<usize> = (0..run.prompts).collect();
    let visits: Vec<Vec<(u64, Vec<f64>)>> = all.iter().map(|p| run.visits(*p)).collect();
    let mut want = Answers {
        chosen: over(&all, run),
        admitted: vec![Verdict::Keep; 6],
        near: vec![Verdict::Keep; 6],
        refills: 0,
        levels: vec![0; run.prompts],
        redraws: vec![None; 6],
        augmented: vec![(0.0, 0.0); 6],
    };
    let success = f("success_above", 0.0);
    let rate = |of: &[f64]| of.iter().filter(|r| **r > success).count() as f64 / of.len() as f64;
    match name {
        "shuffled" | "all" | "keep" | "none" => {}
        "one_shot" => {
            let named = p["prompts"].as_array().cloned().unwrap_or(vec![json!(0)]);
            let at = |i: usize| named[i % named.len()].as_u64().unwrap() as usize;
            let first = (run.step as usize - 1) * COUNT;
            want.chosen = (first..first + COUNT).map(at).collect();
        }
        "easy_to_hard" => {
            let rates: Vec<Option<f64>> = visits
                .iter()
                .map(|v| v.iter().map(|x| mean(&x.1)).find(|m| *m != 0.0).or((!v.is_empty()).then_some(0.0)))
                .collect();
            let old = |p: usize| visits[p].last().is_some_and(|v| v.0 + n("recheck", 100) <= run.step);
            let stays = |p: &usize| rates[*p].is_none_or(|r| r > f("drop_up_to", 0.0)) || old(*p);
            let mut row: Vec<usize> = all.iter().copied().filter(stays).collect();
            if row.is_empty() {
                row = all.clone();
            }
            let unknown: Vec<usize> = row.iter().copied().filter(|p| rates[*p].is_none()).collect();
            let mut known: Vec<usize> = row.into_iter().filter(|p| rates[*p].is_some()).collect();
            known.sort_by(|a, b| rates[*b].partial_cmp(&rates[*a]).unwrap());
            if word("direction", "hard_first") {
                known.reverse();
            }
            let k = n("buckets", 5) as usize;
            let mut buckets: Vec<Vec<usize>> = vec![];
            for b in 0..k {
                let mut bucket = known[b * known.len() / k..(b + 1) * known.len() / k].to_vec();
                bucket.sort();
                if !bucket.is_empty() {
                    buckets.push(bucket);
                }
            }
            let shuffle = |of: &[usize], epoch: usize, b: usize| {
                let order = permutation(of.len(), run.stream.dice(epoch as u32, b as u32, 0));
                order.into_iter().map(|i| of[i]).collect::<Vec<_>>()
            };
            let mut chosen = shuffle(&unknown, 0, buckets.len());
            chosen.truncate(COUNT);
            let mut at = (run.step as usize - 1) * COUNT;
            while chosen.len() < COUNT && !known.is_empty() {
                let epoch = at / known.len();
                let order: Vec<usize> = (0..buckets.len()).flat_map(|b| shuffle(&buckets[b], epoch, b)).collect();
                chosen.push(order[at % known.len()]);
                at += 1;
            }
            // Fewer than the step needs, and nothing else: they come again.
            want.chosen = chosen.into_iter().cycle().take(COUNT).collect();
        }
        "accuracy_band" => {
            let last: Vec<Option<f64>> = visits.iter().map(|v| v.last().map(|x| mean(&x.1))).collect();
            let measured: Vec<f64> = last.iter().flatten().copied().collect();
            let kept = |p: &usize| {
                let Some(own) = last[*p] else { return true };
                let rank: f64 = measured
                    .iter()
                    .map(|m| {
                        if *m < own {
                            1.0
                        } else if *m == own {
                            0.5
                        } else {
                            0.0
                        }
                    })
                    .sum();
                let score = if word("by", "percentile") { rank / measured.len() as f64 } else { own };
                let old = visits[*p].last().is_some_and(|v| v.0 + n("recheck", 100) <= run.step);
                let inside = f("low", 0.2) <= score && score <= f("high", 0.8);
                old || inside || run.stream.dice(run.step as u32, *p as u32, 1).uniform(0) < f("tail_weight", 0.25)
            };
            let row: Vec<usize> = all.iter().copied().filter(kept).collect();
            want.chosen = over(if row.is_empty() { &all } else { &row }, run);
        }
        "top_variance" => {
            let spread = |p: &usize| {
                let values: Vec<f64> = if word("of", "group") {
                    visits[*p].iter().filter(|v| v.1.len() > 1).map(|v| variance(&v.1)).collect()
                } else {
                    visits[*p].iter().map(|v| mean(&v.1)).collect()
                };
                let enough = values.len() as u64 >= n("visits", 2);
                enough.then(|| if word("of", "group") { mean(&values) } else { variance(&values) })
            };
            let spreads: Vec<Option<f64>> = all.iter().map(spread).collect();
            let better = |p: usize, own: f64| {
                // Rounding aside, equals go by their index.
                let ahead = |q: usize, s: f64| s > own + 1e-12 || ((s - own).abs() <= 1e-12 && q < p);
                all.iter().filter(|q| spreads[**q].is_some_and(|s| ahead(**q, s))).count() as u64
            };
            let kept = |p: &usize| spreads[*p].is_none_or(|own| better(*p, own) < n("keep", 1));
            let row: Vec<usize> = all.iter().copied().filter(kept).collect();
            want.chosen = over(if row.is_empty() { &all } else { &row }, run);
        }
        "zero_variance" => {
            want.refills = n("budget", 10) as usize;
            for (verdict, probe) in want.admitted.iter_mut().zip(&run.probes) {
                let scored = scored(probe);
                if scored.len() < 2 {
                    *verdict = Verdict::Discard(Reason::TooFewScored);
                } else if scored.iter().all(|r| *r == scored[0]) {
                    *verdict = Verdict::Discard(Reason::EqualRewards);
                }
            }
        }
        "by_kl" => {
            let threshold = |before: u64| {
                let mut seen: Vec<f64> =
                    run.log.iter().filter(|l| l.0 < before).flat_map(|l| l.1.iter().filter_map(|g| g.2)).collect();
                let first = seen.len().saturating_sub(n("window", 200) as usize);
                seen.drain(..first);
                (seen.len() as u64 >= n("least", 20)).then(|| mean(&seen) + f("sigmas", 3.0) * variance(&seen).sqrt())
            };
            let mut until: BTreeMap<usize, u64> = BTreeMap::new();
            for (step, groups) in &run.log {
                for p in groups.iter().map(|g| g.0) {
                    let kls: Vec<f64> = groups.iter().filter(|g| g.0 == p).filter_map(|g| g.2).collect();
                    match threshold(*step) {
                        Some(most) if !kls.is_empty() && mean(&kls) > most => until.insert(p, step + n("period", 100)),
                        _ => until.remove(&p),
                    };
                }
            }
            let due: Vec<usize> = until.iter().filter(|u| *u.1 <= run.step).map(|u| *u.0).take(COUNT).collect();
            let open = |p: &usize| until.get(p).is_none_or(|u| *u <= run.step);
            let mut row: Vec<usize> = all.iter().copied().filter(open).collect();
            if row.is_empty() {
                row = all.clone();
            }
            let row = over(&row, run);
            let rest: Vec<usize> = row.iter().copied().filter(|p| !due.contains(p)).collect();
            let rest = if rest.is_empty() { row } else { rest };
            want.chosen = due.iter().copied().chain(rest.into_iter().cycle()).take(COUNT).collect();
            for (verdict, kl) in want.near.iter_mut().zip(&run.kls) {
                if threshold(run.step).zip(*kl).is_some_and(|(most, kl)| kl > most) {
                    *verdict = Verdict::Discard(Reason::HighKl);
                }
            }
        }
        "adaptive" => {
            for (level, visits) in want.levels.iter_mut().zip(&visits) {
                for (_, scored) in visits.iter().filter(|v| v.0 > 0) {
                    let accuracy = rate(scored);
                    if accuracy < f("raise_below", 0.1) {
                        *level = (*level + 1).min(n("levels", 3) as u32);
                    } else if accuracy > f("lower_above", 0.35) && *level > 0 {
                        *level -= 1;
                    }
                }
            }
        }
        "ladder" | "all_fail" => {
            for (redraw, probe) in want.redraws.iter_mut().zip(&run.probes) {
                let scored = scored(probe);
                let replace = name == "ladder" || word("group", "replace");
                if !scored.is_empty() && rate(&scored) <= f("threshold", 0.0) {
                    *redraw = Some(Redraw { level: 1, merge: if replace { Merge::Replace } else { Merge::Union } });
                }
            }
        }
        "difficulty" => {
            let means = run.log.iter().flat_map(|l| l.1.iter().map(|g| scored(&g.1))).filter(|s| !s.is_empty());
            let means: Vec<f64> = means.map(|s| mean(&s)).collect();
            let latest = &means[means.len().saturating_sub(n("window", 100) as usize)..];
            for (augmented, probe) in want.augmented.iter_mut().zip(&run.probes) {
                let scored = scored(probe);
                if scored.is_empty() || latest.is_empty() {
                    continue;
                }
                let gap = (mean(latest) - mean(&scored)) / f("reward_max", 1.0);
                *augmented = if gap > 0.0 {
                    (gap.min(f("hint_share_max", 0.8)), 0.0)
                } else {
                    (0.0, f("noise_max", 1.0) * (-gap).min(1.0))
                };
            }
        }
        other => panic!("no oracle for {other}"),
    }
    want
}

fn assert_answers(got: &Answers, want: &Answers, name: &str) {
    for (g, w) in got.augmented.iter().zip(&want.augmented) {
        assert!((g.0 - w.0).abs() <= 1e-12 && (g.1 - w.1).abs() <= 1e-12, "{name}: {g:?}, not {w:?}");
    }
    let rest = |a: &Answers| Answers { augmented: vec![], ..a.clone() };
    assert_eq!(rest(got), rest(want), "{name}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_curriculum_agrees_with_its_formula(seed: u64) {
        let run = Run::random(seed);
        for entry in of_axis(Axis::Curriculum) {
            let (default, none) = curriculum(entry, None);
            assert_answers(&answers(&default, &run), &curriculum_oracle(entry.name, &none, &run), entry.name);
            let (other, parameters) = curriculum(entry, Some(&mut Draws::new(!seed)));
            assert_answers(&answers(&other, &run), &curriculum_oracle(entry.name, &parameters, &run), entry.name);
        }
    }

    /// A checkpoint after any step changes nothing, for any mix of choices.
    #[test]
    fn a_resumed_run_goes_on_with_the_same_prompts(seed: u64) {
        let d = &mut Draws::new(seed);
        let pick = |d: &mut Draws, names: &[&str]| -> Value {
            let name = names[d.below(names.len())];
            let entry = of_axis(Axis::Curriculum).find(|e| e.name == name).expect("an entry");
            let (key, parameters) = curriculum_choice(name, Some(d));
            section(key, entry, &parameters)[key].clone()
        };
        let section = json!({
            "order": pick(d, &["shuffled", "easy_to_hard"]), "choose": pick(d, &["all", "accuracy_band", "top_variance"]),
            "filter": pick(d, &["zero_variance"]), "defer": pick(d, &["none", "by_kl"]),
            "hint": pick(d, &["none", "adaptive"]), "augment": pick(d, &["none", "difficulty"]),
        });
        let curriculum: Curriculum = serde_json::from_value(section).expect("a curriculum");
        let back: Curriculum = serde_json::from_value(serde_json::to_value(&curriculum).unwrap()).unwrap();
        prop_assert_eq!(&back, &curriculum);
        let (mut whole, mut resumed) = (CurriculumState::default(), CurriculumState::default());
        for step in 1..40 {
            let drawn = one_step(&curriculum, seed, step, &mut whole);
            prop_assert_eq!(drawn, one_step(&curriculum, seed, step, &mut resumed));
            resumed = serde_json::from_str(&serde_json::to_string(&resumed).unwrap()).unwrap();
            prop_assert_eq!(&resumed, &whole);
        }
    }

    #[test]
    fn a_refill_never_repeats_a_prompt_before_all_had_their_turn(
        seed: u64, prompts in 1usize..30, oversample in 1.0..3.0f64,
    ) {
        let curriculum = from(json!({"filter": {"zero_variance": {"budget": 8, "oversample": oversample}}}));
        let (stream, state) = (Stream::new(seed, "order"), CurriculumState::default());
        let mut drawn = curriculum.choose(prompts, 3, 1, stream, &state);
        let mut attempt = 0;
        while let Some(more) = curriculum.refill(prompts, 3, &drawn, 1, attempt, stream, &state) {
            prop_assert_eq!(more.len(), (3.0 * oversample - 1e-9).ceil() as usize);
            for p in more {
                let had: BTreeSet<usize> = drawn.iter().copied().collect();
                prop_assert!(p < prompts && (!had.contains(&p) || had.len() == prompts));
                drawn.push(p);
            }
            attempt += 1;
        }
        prop_assert_eq!(attempt, 8);
    }
}

/// One step of a loop, with rewards that are a function of seed and step.
fn one_step(curriculum: &Curriculum, seed: u64, step: u64, state: &mut CurriculumState) -> Vec<usize> {
    let d = &mut Draws::new(seed ^ step);
    let stream = Stream::new(seed, "order");
    let mut next = curriculum.choose(17, COUNT, step, stream, state);
    let (mut drawn, mut kept, mut attempt) = (next.clone(), vec![], 0);
    let mut groups: Vec<Observed> = vec![];
    loop {
        for p in next {
            let rewards = vec![Some(d.below(2) as f64), Some(d.below(2) as f64)];
            if curriculum.admit(std::slice::from_ref(&rewards)) == [Verdict::Keep] {
                kept.push(p);
            }
            groups.push((p, rewards, Some(d.uniform())));
        }
        let missing = COUNT.saturating_sub(kept.len());
        match curriculum.refill(17, missing, &drawn, step, attempt, stream, state) {
            Some(more) => next = more,
            None => break,
        }
        drawn.extend(&next);
        attempt += 1;
    }
    curriculum.settle(&kept, COUNT, state);
    curriculum.observe(step, &groups, state);
    drawn
}

fn from(section: Value) -> Curriculum {
    serde_json::from_value(section).expect("a curriculum")
}

#[test]
fn no_two_curricula_are_the_same_function() {
    let sections: Vec<(&Entry, Curriculum)> = of_axis(Axis::Curriculum).map(|e| (e, curriculum(e, None).0)).collect();
    let results: Vec<Vec<Answers>> = sections
        .iter()
        .map(|(_, section)| (0..1000).map(|seed| answers(section, &Run::random(seed))).collect())
        .collect();
    compare_all(&sections.iter().map(|s| s.0).collect::<Vec<_>>(), &results);
}

fn stream() -> Stream {
    Stream::new(0, "order")
}

#[test]
fn trap_sorting_does_not_destroy_the_shuffle() {
    let curriculum = from(json!({"order": {"easy_to_hard": {"buckets": 4}}}));
    let mut state = CurriculumState::default();
    // Prompt p has rate (p + 1) / 40: the highest index is the easiest.
    (0..40).for_each(|p| state.measure(p, &[Some((p + 1) as f64 / 40.0)]));
    let epoch = |e: u64| -> Vec<usize> {
        (1..=10).flat_map(|s| curriculum.choose(40, 4, 10 * e + s, stream(), &state)).collect()
    };
    let (first, second) = (epoch(0), epoch(1));
    assert_ne!(first, second);
    for (b, (x, y)) in first.chunks(10).zip(second.chunks(10)).enumerate() {
        let range: BTreeSet<usize> = (30 - 10 * b..40 - 10 * b).collect();
        assert_eq!(x.iter().copied().collect::<BTreeSet<_>>(), range, "bucket {b} holds its tenth");
        assert_eq!(y.iter().copied().collect::<BTreeSet<_>>(), range);
        assert!(!x.is_sorted() && !x.iter().rev().is_sorted(), "shuffled inside");
    }
    // One bucket of all that are measured is the plain shuffle.
    let one = from(json!({"order": {"easy_to_hard": {"buckets": 1}}}));
    assert_eq!(one.choose(40, 7, 9, stream(), &state), shuffled(40, 7, 9, stream()));
    // What a step refills is about as hard as what it drew.
    let refilling = from(json!({"order": {"easy_to_hard": {"buckets": 4}}, "filter": {"zero_variance": {}}}));
    let drawn = refilling.choose(40, 4, 1, stream(), &state);
    let more = refilling.refill(40, 6, &drawn, 1, 0, stream(), &state).unwrap();
    assert!(more.iter().all(|p| *p >= 30 && !drawn.contains(p)), "{more:?}");
}

#[test]
fn trap_hard_prompts_are_not_removed_for_ever() {
    let fail = |p: usize| (p, vec![Some(0.0), Some(0.0)], None);
    let pass = |p: usize| (p, vec![Some(0.0), Some(1.0)], None);
    for section in [
        json!({"order": {"easy_to_hard": {"recheck": 50}}}),
        json!({"choose": {"accuracy_band": {"tail_weight": 0.0, "recheck": 50}}}),
    ] {
        let curriculum = from(section);
        let mut state = CurriculumState::default();
        curriculum.observe(10, &[pass(0), pass(1), fail(2)], &mut state);
        let holds = |step: u64, state: &CurriculumState| {
            (step..step + 6).any(|s| curriculum.choose(3, 1, s, stream(), state).contains(&2))
        };
        assert!((11..50).all(|step| !holds(step, &state)));
        // The others are visited meanwhile, and stay known.
        curriculum.observe(55, &[pass(0), pass(1)], &mut state);
        assert!(holds(60, &state), "50 steps after its last visit");
        curriculum.observe(62, &[pass(2)], &mut state);
        assert!(holds(63, &state), "solved at last");
    }
}

#[test]
fn trap_a_variance_over_time_needs_two_visits() {
    let curriculum = from(json!({"choose": {"top_variance": {"keep": 1}}}));
    let mut state = CurriculumState::default();
    let visit = |p: usize, mean: f64| (p, vec![Some(mean), Some(mean)], None);
    curriculum.observe(1, &[visit(0, 0.0), visit(1, 0.5), visit(2, 1.0)], &mut state);
    let drawn = |state: &CurriculumState| -> BTreeSet<usize> {
        (2..12).flat_map(|s| curriculum.choose(3, 2, s, stream(), state)).collect()
    };
    assert_eq!(drawn(&state), BTreeSet::from([0, 1, 2]), "one visit has no variance: nobody is judged");
    curriculum.observe(2, &[visit(0, 0.0), visit(1, 0.6)], &mut state);
    assert_eq!(drawn(&state), BTreeSet::from([1, 2]), "2 is still being measured");
    curriculum.observe(3, &[visit(2, 0.0)], &mut state);
    assert_eq!(drawn(&state), BTreeSet::from([2]));
    assert_eq!(curriculum.choose(3, 4, 9, stream(), &state), [2; 4], "one shot");
}

#[test]
fn trap_copies_of_a_prompt_are_one_visit() {
    let curriculum =
        from(json!({"hint": {"adaptive": {}}, "order": {"one_shot": {}}, "choose": {"accuracy_band": {}}}));
    let mut state = CurriculumState::default();
    curriculum.observe(1, &vec![(0, vec![Some(0.0); 8], None); 128], &mut state);
    let record = &state.prompts[&0];
    assert_eq!((record.level, record.visits.len(), record.seen), (1, 1, 128));
    assert_eq!(curriculum.level(0, &state), 1);
}

#[test]
fn trap_deferred_prompts_come_back() {
    let curriculum = from(json!({"defer": {"by_kl": {"window": 8, "sigmas": 1.0, "period": 10, "least": 4}}}));
    let mut state = CurriculumState::default();
    let group = |p: usize, kl: f64| (p, vec![Some(0.0), Some(1.0)], Some(kl));
    curriculum.observe(1, &[group(0, 9.0)], &mut state);
    let until = |prompt: u64, state: &CurriculumState| state.prompts.get(&prompt).and_then(|r| r.deferred_until);
    assert_eq!(until(0, &state), None, "too few to judge by");
    curriculum.observe(2, &(0..8).map(|p| group(p, 0.1 + 0.01 * p as f64)).collect::<Vec<_>>(), &mut state);
    assert_eq!(curriculum.admit_kl(&[Some(5.0), Some(0.1), None], &state)[0], Verdict::Discard(Reason::HighKl));
    curriculum.observe(3, &[group(5, 5.0)], &mut state);
    let chosen = |step, state: &CurriculumState| curriculum.choose(8, 4, step, stream(), state);
    assert!((4..13).all(|step| !chosen(step, &state).contains(&5)));
    assert_eq!(chosen(13, &state)[0], 5, "due: it comes first");
    assert_eq!(chosen(14, &state)[0], 5, "until it was looked at");
    let mut again = state.clone();
    curriculum.observe(14, &[group(5, 50.0)], &mut again);
    assert!(!chosen(15, &again).contains(&5));
    curriculum.observe(14, &[group(5, 0.1)], &mut state);
    assert_eq!(until(5, &state), None);
    assert_eq!(chosen(15, &state), shuffled(8, 4, 15, stream()));
    // Where all are deferred the run goes on.
    (0..8).for_each(|p| again.prompts.entry(p).or_default().deferred_until = Some(1000));
    assert_eq!(chosen(16, &again), shuffled(8, 4, 16, stream()));
}

#[test]
fn trap_a_divergence_that_rises_everywhere_moves_the_threshold() {
    let curriculum = from(json!({"defer": {"by_kl": {"window": 8, "sigmas": 0.5, "period": 5, "least": 4}}}));
    let mut state = CurriculumState::default();
    let everywhere = |step: u64, kl: f64, state: &mut CurriculumState| {
        let groups: Vec<Observed> = (0..4).map(|p| (p, vec![Some(0.0), Some(1.0)], Some(kl))).collect();
        curriculum.observe(step, &groups, state);
        state.prompts.values().filter(|r| r.deferred_until.is_some()).count()
    };
    (1..4).for_each(|step| assert_eq!(everywhere(step, 0.1, &mut state), 0));
    assert_eq!(everywhere(4, 0.5, &mut state), 4, "a jump");
    assert_eq!(everywhere(9, 0.5, &mut state), 4, "half of the window knows it: 0.3 + 0.5 * 0.2");
    assert_eq!(everywhere(14, 0.5, &mut state), 0, "the new level");
    assert_eq!(state.kl.len(), 8);
}

#[test]
fn surplus_prompts_come_first_at_the_next_step() {
    let curriculum = from(json!({"filter": {"zero_variance": {"oversample": 2.0}}}));
    let mut state = CurriculumState::default();
    assert_eq!(curriculum.settle(&[4, 8, 1, 9, 9, 3], 3, &mut state), 3);
    assert_eq!(state.carry, [9, 3]);
    let chosen = curriculum.choose(10, 3, 2, stream(), &state);
    assert_eq!(chosen[..2], [9, 3]);
    assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), 3);
    // What does not fit waits on; what was drawn is gone.
    state.carry = vec![5, 6, 7, 2];
    assert_eq!(curriculum.choose(10, 3, 3, stream(), &state), [5, 6, 7]);
    assert_eq!(curriculum.settle(&[5, 6], 3, &mut state), 2);
    assert_eq!(state.carry, [2]);
    let dropping = from(json!({"filter": {"zero_variance": {"surplus": "drop"}}}));
    let mut state = CurriculumState::default();
    assert_eq!((dropping.settle(&[1, 2, 3], 2, &mut state), state.carry.len()), (2, 0));
}

#[test]
fn the_budget_ends_refills_and_nothing_is_refilled_for_nothing() {
    let (state, none) = (CurriculumState::default(), from(json!({})));
    assert_eq!(none.refill(10, 3, &[], 1, 0, stream(), &state), None);
    let curriculum = from(json!({"filter": {"zero_variance": {"budget": 2}}}));
    let refill = |missing, attempt| curriculum.refill(10, missing, &[], 1, attempt, stream(), &state);
    assert!(refill(3, 0).is_some() && refill(3, 1).is_some());
    assert_eq!((refill(3, 2), refill(0, 0)), (None, None));
    assert_ne!(refill(3, 0), refill(3, 1), "each attempt draws anew");
    assert_eq!(curriculum.refill(0, 3, &[], 1, 0, stream(), &state), Some(vec![]));
}

#[test]
fn the_default_is_the_plain_shuffle_whatever_was_seen() {
    for seed in 0..50 {
        let run = Run::random(seed);
        let state = run.state(&Curriculum::default());
        for (prompts, count) in [(0, 3), (1, 4), (run.prompts, 5), (run.prompts, 0)] {
            let got = Curriculum::default().choose(prompts, count, run.step, run.stream, &state);
            assert_eq!(got, shuffled(prompts, count, run.step, run.stream));
        }
    }
}

#[test]
fn curricula_out_of_range_are_refused() {
    for (section, key) in [
        (json!({"order": {"one_shot": {"prompts": []}}}), "order.one_shot.prompts"),
        (json!({"order": {"easy_to_hard": {"buckets": 0}}}), "order.easy_to_hard.buckets"),
        (json!({"order": {"easy_to_hard": {"recheck": 0}}}), "order.easy_to_hard.recheck"),
        (json!({"choose": {"accuracy_band": {"low": 0.9}}}), "choose.accuracy_band.low"),
        (json!({"choose": {"accuracy_band": {"tail_weight": 2.0}}}), "choose.accuracy_band.tail_weight"),
        (json!({"choose": {"accuracy_band": {"recheck": 0}}}), "choose.accuracy_band.recheck"),
        (json!({"choose": {"top_variance": {"keep": 0}}}), "choose.top_variance.keep"),
        (json!({"choose": {"top_variance": {"visits": 1}}}), "choose.top_variance.visits"),
        (json!({"choose": {"top_variance": {"of": "group", "visits": 0}}}), "choose.top_variance.visits"),
        (json!({"filter": {"zero_variance": {"oversample": 0.5}}}), "filter.zero_variance.oversample"),
        (json!({"defer": {"by_kl": {"window": 1}}}), "defer.by_kl.window"),
        (json!({"defer": {"by_kl": {"sigmas": -1.0}}}), "defer.by_kl.sigmas"),
        (json!({"defer": {"by_kl": {"period": 0}}}), "defer.by_kl.period"),
        (json!({"defer": {"by_kl": {"least": 201}}}), "defer.by_kl.least"),
        (json!({"hint": {"adaptive": {"raise_below": 0.5}}}), "hint.adaptive.raise_below"),
        (json!({"hint": {"adaptive": {"levels": 0}}}), "hint.adaptive.levels"),
        (json!({"hint": {"ladder": {"levels": 0}}}), "hint.ladder.levels"),
        (json!({"hint": {"all_fail": {"threshold": 1.0}}}), "hint.all_fail.threshold"),
        (json!({"augment": {"difficulty": {"window": 0}}}), "augment.difficulty.window"),
        (json!({"augment": {"difficulty": {"hint_share_max": 1.5}}}), "augment.difficulty.hint_share_max"),
        (json!({"augment": {"difficulty": {"noise_max": -1.0}}}), "augment.difficulty.noise_max"),
        (json!({"augment": {"difficulty": {"reward_max": 0.0}}}), "augment.difficulty.reward_max"),
    ] {
        assert_eq!(from(section).check().unwrap_err().0, key);
    }
    let named = from(json!({"order": {"one_shot": {"prompts": [3, 10]}}}));
    assert_eq!((named.check(), named.check_prompts(11)), (Ok(()), Ok(())));
    assert_eq!(named.check_prompts(10).unwrap_err().1, "names prompt 10 of 10");
    assert!(serde_json::from_value::<Curriculum>(json!({"filter": {"zero_variance": {"budgets": 3}}})).is_err());
}
