//! Derived terms and combiners against loops written from their formulas.

#[path = "reward_oracle/mod.rs"]
mod reward_oracle;

use std::collections::BTreeMap;

use cohort_core::{
    Comparison, Memory, Outcome, Role, Trajectory,
    advantage::Advantage,
    registry::{Axis, Entry, entries},
    reward::{Combine, Derive, Derived, RewardRule},
};
use proptest::prelude::*;
use reward_oracle::{Chance, Plain, State, batch, combine, derive};
use serde_json::{Value, json};

const DERIVED: &str = "derived";

fn words(axis: Axis) -> impl Iterator<Item = &'static Entry> {
    entries().filter(move |e| e.axis == axis)
}

/// A rule with this one function; nothing else is summed.
fn rule_of(with: Value) -> RewardRule {
    let with: Derive = serde_json::from_value(with).expect("parses");
    let derived = Derived { into: DERIVED.to_owned(), weight: 1.0, with };
    RewardRule { derive: vec![derived], ..RewardRule::default() }
}

fn combiner(entry: &Entry, parameters: Value) -> Combine {
    let unit = entry.parameters.is_empty();
    let json = if unit { json!(entry.name) } else { json!({ (entry.name): parameters }) };
    serde_json::from_value(json).expect("parses")
}

/// Random values within the declared ranges; what is neither a number nor a word keeps its default.
fn random_parameters(entry: &Entry, chance: &mut Chance) -> Value {
    let mut parameters = serde_json::Map::new();
    for p in entry.parameters {
        if chance.below(3) == 0 {
            continue;
        }
        let unit = (chance.unit() * 64.0).ceil() / 64.0;
        let large = p.default.parse::<f64>().is_ok_and(|x| x > 10.0);
        let value = match p.range {
            "a finite number" => json!(chance.unit() * 4.0 - 2.0),
            "at least 0" | "above 0" => json!(unit * if large { 30.0 } else { 2.0 }),
            "in [0, 1]" | "in (0, 1]" => json!(unit),
            "in [0, 1)" => json!(unit / 2.1),
            "0 or 1" => json!(chance.below(2) as f64),
            range if range.starts_with('`') && p.default.starts_with('"') => {
                let words: Vec<&str> = range.split('`').skip(1).step_by(2).collect();
                json!(words[chance.below(words.len())])
            }
            range if range.contains("estimated") => match chance.below(2) {
                0 => json!(unit / 2.1),
                _ => json!({ "estimated": { "share": unit, "decay": unit / 2.1 } }),
            },
            _ => continue,
        };
        parameters.insert(p.name.to_owned(), value);
    }
    Value::Object(parameters)
}

/// The switch's own parameters, which the registry lists by path.
fn random_switch(chance: &mut Chance) -> Value {
    let (a, b) = (chance.unit(), chance.unit());
    let by = match chance.below(4) {
        0 => json!({ "top_fraction": { "share": a.max(0.01), "right": b } }),
        1 => json!({ "group": { "threshold": a } }),
        2 => json!({ "batch": { "threshold": a } }),
        _ => json!({ "run": { "on": a.max(b), "off": a.min(b), "decay": a } }),
    };
    json!({ "by": by, "then": ["answer", "judge"] })
}

fn near(got: f64, want: f64) -> bool {
    (got - want).abs() <= 1e-12 * want.abs().max(1.0)
}

fn same(got: &Outcome, want: &Outcome) -> bool {
    match (got.value(), want.value()) {
        (Some(g), Some(w)) => near(g, w),
        (None, None) => got.kind() == want.kind(),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn memory_at(step: f64) -> Memory {
    let mut memory = Memory::default();
    memory.set_run("step", step);
    memory
}

/// What the rule derives, in the shape of the plain batch; empty where it has no member.
fn derived(rule: &RewardRule, plain: &[Plain], memory: &mut Memory) -> Vec<Vec<Outcome>> {
    let mut groups: Vec<_> = plain.iter().map(Plain::comparison).collect();
    rule.apply(&mut groups, memory).unwrap();
    let mut all = Vec::new();
    for (group, plain) in groups.iter().zip(plain) {
        let mut of_group = Vec::new();
        for episode in plain.trajectories() {
            let first = &group.trajectories[episode[0]].rewards[DERIVED];
            assert!(episode.iter().all(|&t| group.trajectories[t].rewards[DERIVED] == *first), "one episode, one term");
            of_group.push(first.clone());
        }
        all.push(of_group);
    }
    all
}

/// The rewards of a combiner, in the shape of the plain batch.
fn combined(rule: &RewardRule, plain: &[Plain], memory: &mut Memory) -> Vec<Vec<Option<f64>>> {
    let mut groups: Vec<_> = plain.iter().map(Plain::comparison).collect();
    rule.apply(&mut groups, memory).unwrap();
    let of = |(group, plain): (&Comparison, &Plain)| {
        plain.trajectories().iter().map(|episode| group.trajectories[episode[0]].reward).collect()
    };
    groups.iter().zip(plain).map(of).collect()
}

fn check_derive(entry: &Entry, parameters: Value, seed: u64) {
    let rule = rule_of(json!({ (entry.name): parameters }));
    if rule.check().is_err() {
        return;
    }
    let full = serde_json::to_value(&rule.derive[0].with).unwrap()[entry.name].clone();
    let mut chance = Chance::new(seed);
    let step = chance.below(150) as f64;
    let (mut memory, mut state) = (memory_at(step), State::at(step));
    // Two steps, so that what is remembered matters.
    for _ in 0..2 {
        let plain = batch(&mut chance);
        if plain.iter().all(|g| g.episodes.is_empty()) {
            continue;
        }
        let got = derived(&rule, &plain, &mut memory);
        let want = derive(entry.name, &full, &plain, &mut state);
        for (g, (got, want)) in got.iter().zip(&want).enumerate() {
            assert_eq!(got.len(), want.len(), "{}", entry.name);
            for (e, (got, want)) in got.iter().zip(want).enumerate() {
                assert!(same(got, want), "{} {full}: group {g}, episode {e}: {got:?}, not {want:?}", entry.name);
            }
        }
    }
}

fn random_weights(chance: &mut Chance) -> BTreeMap<String, f64> {
    let mut weights = BTreeMap::new();
    for name in ["answer", "format", "judge", "short"] {
        if chance.below(3) > 0 {
            weights.insert(name.to_owned(), [0.0, 0.5, 1.0, 2.0, -1.0][chance.below(5)]);
        }
    }
    weights
}

fn check_combine(entry: &Entry, parameters: Value, seed: u64) {
    let by = combiner(entry, parameters);
    if by.check().is_err() {
        return;
    }
    let full = serde_json::to_value(&by).unwrap().get(entry.name).cloned().unwrap_or_default();
    let (mut chance, mut state, mut memory) = (Chance::new(seed), State::default(), Memory::default());
    let rule = RewardRule { combine: by, weights: random_weights(&mut chance), ..RewardRule::default() };
    for _ in 0..3 {
        let plain = batch(&mut chance);
        if plain.iter().all(|g| g.episodes.is_empty()) {
            continue;
        }
        let got = combined(&rule, &plain, &mut memory);
        let want = combine(entry.name, &full, &rule.weights, &plain, &mut state);
        for (g, (got, want)) in got.iter().zip(&want).enumerate() {
            assert_eq!(got.len(), want.len(), "{}", entry.name);
            for (e, (got, want)) in got.iter().zip(want).enumerate() {
                let agree = got.is_some() == want.is_some() && got.zip(*want).is_none_or(|(g, w)| near(g, w));
                assert!(
                    agree,
                    "{} {full} {:?}: group {g}, episode {e}: {got:?}, not {want:?}",
                    entry.name, rule.weights
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_derived_term_is_its_formula(seed in any::<u64>()) {
        for entry in words(Axis::Derive) {
            check_derive(entry, json!({}), seed);
            let mut chance = Chance::new(seed ^ 1);
            for _ in 0..3 {
                check_derive(entry, random_parameters(entry, &mut chance), seed);
            }
        }
    }

    #[test]
    fn every_combiner_is_its_formula(seed in any::<u64>()) {
        for entry in words(Axis::Combine) {
            check_combine(entry, json!({}), seed);
            let mut chance = Chance::new(seed ^ 1);
            for _ in 0..3 {
                let parameters = match entry.name {
                    "switch" => random_switch(&mut chance),
                    _ => random_parameters(entry, &mut chance),
                };
                check_combine(entry, parameters, seed);
            }
        }
    }
}

#[test]
fn no_word_is_another_word() {
    let mut chance = Chance::new(5);
    let mut batches: Vec<Vec<Plain>> = (0..1000).map(|_| batch(&mut chance)).collect();
    batches.retain(|plain| plain.iter().any(|g| !g.episodes.is_empty()));
    let of_derive = |entry: &&Entry| -> Vec<Vec<Vec<Outcome>>> {
        let rule = rule_of(json!({ (entry.name): {} }));
        batches.iter().map(|plain| derived(&rule, plain, &mut memory_at(40.0))).collect()
    };
    let weights: BTreeMap<String, f64> = [("answer".to_owned(), 1.0), ("judge".to_owned(), 2.0)].into();
    let of_combine = |entry: &&Entry| -> Vec<Vec<Vec<Option<f64>>>> {
        let rule =
            RewardRule { combine: combiner(entry, json!({})), weights: weights.clone(), ..RewardRule::default() };
        batches.iter().map(|plain| combined(&rule, plain, &mut Memory::default())).collect()
    };
    fn differ<T: PartialEq>(entries: &[&Entry], results: &[T]) {
        for i in 0..entries.len() {
            for j in 0..i {
                let declared = entries[i].equals.iter().any(|(name, _)| *name == entries[j].name);
                assert_eq!(results[i] == results[j], declared, "{} and {}", entries[i].name, entries[j].name);
            }
        }
    }
    let derives: Vec<&Entry> = words(Axis::Derive).collect();
    differ(&derives, &derives.iter().map(of_derive).collect::<Vec<_>>());
    let combines: Vec<&Entry> = words(Axis::Combine).collect();
    differ(&combines, &combines.iter().map(of_combine).collect::<Vec<_>>());
}

#[test]
fn every_entry_says_what_it_is() {
    for entry in words(Axis::Derive).chain(words(Axis::Combine)) {
        assert!(!entry.source.is_empty() && !entry.formula.is_empty() && !entry.summary.is_empty(), "{}", entry.name);
        for p in entry.parameters {
            assert!(!p.default.is_empty() && !p.range.is_empty() && !p.meaning.is_empty(), "{} {}", entry.name, p.name);
        }
    }
}

#[test]
fn the_declared_default_is_the_one_that_is_taken() {
    for entry in words(Axis::Derive) {
        let full = serde_json::to_value(&rule_of(json!({ (entry.name): {} })).derive[0].with).unwrap();
        let full = full[entry.name].as_object().unwrap();
        assert_eq!(full.len(), entry.parameters.len(), "{}", entry.name);
        for p in entry.parameters {
            if let Ok(default) = serde_json::from_str::<Value>(p.default) {
                assert_eq!(full[p.name], default, "{}.{}", entry.name, p.name);
            }
        }
    }
}

#[test]
fn defaults_are_within_their_ranges_and_what_is_unknown_is_refused() {
    for entry in words(Axis::Derive) {
        assert_eq!(rule_of(json!({ (entry.name): {} })).check(), Ok(()), "{}", entry.name);
        assert!(serde_json::from_value::<Derive>(json!({ (entry.name): { "nope": 1 } })).is_err(), "{}", entry.name);
    }
    for entry in words(Axis::Combine) {
        assert_eq!(combiner(entry, json!({})).check(), Ok(()), "{}", entry.name);
        assert!(serde_json::from_value::<Combine>(json!({ (entry.name): { "nope": 1 } })).is_err(), "{}", entry.name);
    }
}

#[test]
fn what_is_out_of_range_is_refused_by_its_key() {
    for entry in words(Axis::Derive) {
        for p in entry.parameters {
            let outside = match p.range {
                "at least 0" => json!(-1.0),
                "above 0" | "in (0, 1]" => json!(0.0),
                "in [0, 1]" | "in [0, 1)" => json!(1.5),
                "0 or 1" => json!(0.5),
                "a term's name" | "a fact's name" => json!(""),
                "a table of numbers, each at least 0" => json!({ "x": -1.0 }),
                _ => continue,
            };
            let rule = rule_of(json!({ (entry.name): { (p.name): outside } }));
            let (key, problem) = rule.check().unwrap_err();
            assert_eq!(key, format!("derive.0.with.{}.{}", entry.name, p.name));
            assert_eq!(problem, format!("must be {}", p.range));
        }
    }
    for (combine, key) in [
        (json!({ "log_tame": { "delta": -1.0 } }), "combine.log_tame.delta"),
        (json!({ "switch": { "by": { "run": { "on": 0.1 } } } }), "combine.switch.by.run.off"),
        (json!({ "switch": { "then": [] } }), "combine.switch.then"),
        (json!({ "ladder": { "floor": 0.5 } }), "combine.ladder.steps"),
        (json!({ "tiers": { "tiers": [] } }), "combine.tiers.tiers"),
        (json!({ "router": { "sets": { "x": [] } } }), "combine.router.sets"),
    ] {
        let rule = RewardRule { combine: serde_json::from_value(combine).unwrap(), ..RewardRule::default() };
        assert_eq!(rule.check().unwrap_err().0, key);
    }
    let mut twice = rule_of(json!({ "affine": {} }));
    twice.derive.push(twice.derive[0].clone());
    assert_eq!(twice.check().unwrap_err().0, "derive.1.into");
    let rule = RewardRule { weights: [("answer".to_owned(), f64::NAN)].into(), ..RewardRule::default() };
    assert_eq!(rule.check().unwrap_err().0, "weights.answer");
}

#[test]
fn what_is_missing_is_named_and_nothing_panics() {
    let bare = Plain::bare(3);
    for entry in words(Axis::Derive) {
        let result = rule_of(json!({ (entry.name): {} })).apply(&mut [bare.comparison()], &mut Memory::default());
        if ["overlong", "format_length_curve"].contains(&entry.name) {
            // The number of actions stands in for a length.
            assert_eq!(result, Ok(()), "{}", entry.name);
        } else {
            let field = result.expect_err(entry.name).field;
            let known = field.starts_with("facts.") || field.starts_with("rewards.") || field == "run.step";
            assert!(known, "{} {field}", entry.name);
        }
    }
    for entry in words(Axis::Combine) {
        let weights = [("answer".to_owned(), 1.0)].into();
        let rule = RewardRule { combine: combiner(entry, json!({})), weights, ..RewardRule::default() };
        let field = rule.apply(&mut [bare.comparison()], &mut Memory::default()).expect_err(entry.name).field;
        assert!(field.starts_with("facts.") || field.starts_with("rewards."), "{} {field}", entry.name);
    }
}

/// A group whose members all have this answer.
fn answered(n: usize, answer: Outcome) -> Comparison {
    let mut group = Plain::bare(n).comparison();
    for t in &mut group.trajectories {
        t.rewards.insert("answer".to_owned(), answer.clone());
    }
    group
}

fn answer_alone() -> RewardRule {
    RewardRule { weights: [("answer".to_owned(), 1.0)].into(), ..RewardRule::default() }
}

#[test]
fn a_score_that_is_not_finite_is_named() {
    let mut groups = [answered(2, Outcome::Scored { value: f64::NAN })];
    assert_eq!(answer_alone().apply(&mut groups, &mut Memory::default()).unwrap_err().field, "rewards.answer");
}

#[test]
fn a_derived_term_is_summed_with_its_own_weight_unless_the_rule_has_one() {
    let reward = |weights: Value| {
        let mut rule: RewardRule = serde_json::from_value(json!({
            "derive": [{ "into": "twice", "weight": 3.0, "with": { "affine": { "scale": 2.0 } } },
                       { "into": "four_times", "weight": 0.0, "with": { "affine": { "of": "twice", "scale": 2.0 } } }],
            "weights": weights,
        }))
        .unwrap();
        rule.weights.insert("answer".to_owned(), 1.0);
        let mut groups = [answered(1, Outcome::scored(1.0))];
        rule.apply(&mut groups, &mut Memory::default()).unwrap();
        assert_eq!(groups[0].trajectories[0].rewards["four_times"], Outcome::scored(4.0), "measured");
        groups[0].trajectories[0].reward.unwrap()
    };
    assert_eq!(reward(json!({})), 7.0);
    assert_eq!(reward(json!({ "twice": 0.5 })), 2.0);
    assert_eq!(reward(json!({ "four_times": 1.0 })), 11.0);
}

#[test]
fn a_given_reward_stays_and_an_auxiliary_has_none() {
    let mut groups = [answered(3, Outcome::scored(1.0))];
    groups[0].trajectories[0].reward = Some(5.0);
    groups[0].trajectories[2].role = Role::Auxiliary;
    answer_alone().apply(&mut groups, &mut Memory::default()).unwrap();
    let rewards: Vec<_> = groups[0].trajectories.iter().map(|t| t.reward).collect();
    assert_eq!(rewards, [Some(5.0), Some(1.0), None]);
}

// What the group's mean and standard deviation take off again.

fn advantages(rewards: &[f64]) -> Vec<f64> {
    let member = |(episode, &reward): (usize, &f64)| Trajectory {
        episode,
        reward: Some(reward),
        mask: vec![1.0],
        segment: vec![0],
        ..Trajectory::default()
    };
    let trajectories = rewards.iter().enumerate().map(member).collect();
    let group = Comparison { trajectories, ..Comparison::default() };
    let credits = Advantage::default().credit(&[group], &mut Memory::default()).expect("finite rewards");
    credits[0].iter().map(|credit| credit.coefficient[0]).collect()
}

fn centred(rewards: &[f64]) -> Vec<f64> {
    let mean = rewards.iter().sum::<f64>() / rewards.len() as f64;
    rewards.iter().map(|r| r - mean).collect()
}

fn scaled(values: &[f64], factor: f64) -> Vec<f64> {
    values.iter().map(|x| x * factor).collect()
}

fn close(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}

/// The derived term of one group; every list is a term and a number of that name, the texts are the answers.
fn term(with: Value, lists: &[(&str, &[f64])], texts: &[&str], degraded: f64) -> Vec<f64> {
    let mut plain = Plain::bare(lists.first().map_or(texts.len(), |(_, values)| values.len()));
    for (name, values) in lists {
        for (episode, value) in plain.episodes.iter_mut().zip(*values) {
            episode.terms.insert((*name).to_owned(), Outcome::scored(*value));
            episode.numbers.insert((*name).to_owned(), *value);
        }
    }
    for (episode, text) in plain.episodes.iter_mut().zip(texts) {
        episode.texts.insert("answer".to_owned(), (*text).to_owned());
    }
    plain.degraded = degraded;
    derived(&rule_of(with), &[plain], &mut Memory::default())[0].iter().map(|o| o.value().unwrap()).collect()
}

#[test]
fn a_correction_of_noise_vanishes_under_a_z_score() {
    let noisy = [1.0, 0.0, 0.0, 1.0, 1.0];
    for word in ["backward_correction", "forward_correction"] {
        let corrected = term(json!({ (word): {} }), &[("answer", &noisy)], &[], 0.0);
        assert!(!close(&corrected, &noisy, 0.05));
        assert!(close(&advantages(&corrected), &advantages(&noisy), 1e-3), "{word}: plain GRPO again");
    }
    let backward = term(json!({ "backward_correction": {} }), &[("answer", &noisy)], &[], 0.0);
    assert!(!close(&centred(&backward), &centred(&noisy), 0.05), "without the division it acts");
}

#[test]
fn the_entropy_of_a_group_vanishes_under_centring() {
    let texts = ["a", "a", "b", "c"];
    let frequency = term(json!({ "frequency": {} }), &[], &texts, 0.0);
    let entropy = term(json!({ "frequency_entropy": {} }), &[], &texts, 0.0);
    let both: Vec<f64> = frequency.iter().zip(&entropy).map(|(f, e)| f + e).collect();
    assert!(entropy[0] < -0.1 && close(&centred(&both), &centred(&frequency), 1e-15));
    assert!(close(&advantages(&both), &advantages(&frequency), 1e-12));
}

#[test]
fn an_equal_bonus_for_the_right_vanishes_under_a_z_score() {
    let answer = [1.0, 0.0, 1.0, 0.0];
    let bonus = term(json!({ "contrast_bonus": {} }), &[("answer", &answer)], &[], 0.25);
    let both: Vec<f64> = answer.iter().zip(&bonus).map(|(a, b)| a + b).collect();
    assert!(close(&advantages(&both), &advantages(&answer), 1e-3));
    assert!(close(&centred(&both), &scaled(&centred(&answer), 1.3), 1e-12), "without the division it acts");
}

#[test]
fn a_constant_factor_vanishes_under_a_z_score() {
    let rewards = [1.0, -2.0, -0.5, 0.0];
    assert!(close(&advantages(&rewards), &advantages(&scaled(&rewards, 0.1)), 2e-3));
}

#[test]
fn the_rubric_is_normalised_before_it_is_mixed() {
    let (answer, rubric) = ([1.0, 1.0, 0.0, 1.0], [0.8, 0.4, 0.6, 0.0]);
    let mixed = term(json!({ "group_max_gated": {} }), &[("answer", &answer), ("rubric", &rubric)], &[], 0.0);
    assert!(close(&advantages(&mixed), &[0.8196, 0.4804, -1.4413, 0.1413], 5e-4), "{:?}", advantages(&mixed));
}

#[test]
fn not_to_know_beats_being_wrong_only_with_three_values() {
    let advantage = |when_abstained: f64, answer: &[f64], abstained: &[f64]| {
        let with = json!({ "ternary": { "when_abstained": when_abstained } });
        advantages(&term(with, &[("answer", answer), ("abstained", abstained)], &[], 0.0))
    };
    assert_eq!(advantage(-1.0, &[0.0, 0.0], &[1.0, 0.0]), [0.0, 0.0], "binary: no difference");
    let ternary = advantage(0.0, &[0.0, 0.0], &[1.0, 0.0]);
    assert!(ternary[0] > 0.0 && ternary[1] < 0.0);
    for when_abstained in [-1.0, 0.0] {
        assert!(advantage(when_abstained, &[0.0, 1.0], &[1.0, 0.0])[0] < 0.0, "beside a right one it loses");
    }
}
