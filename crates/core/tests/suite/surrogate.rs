//! Every surrogate against a loop written from its formula, finite differences and closed forms.

use cohort_core::{
    Comparison, Memory, Method, Role, Rows, Trajectory,
    advantage::{Credit, Kept},
    method::Study,
    objective::{
        Auxiliary, Denominator, Disco, Evaluation, Objective, RatioContext, Scope, Seen, Staleness, Surrogate,
    },
    registry::{self, Axis},
    weight::Weighting,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Deterministic numbers from a seed.
struct Draw(u64);

impl Draw {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn within(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }

    fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }
}

#[derive(Clone, Debug)]
struct Held {
    trajectory: Trajectory,
    credit: Credit,
    rows: Rows,
    old: Vec<f64>,
}

type Batch = Vec<Vec<Held>>;

impl Held {
    fn new(episode: usize, reward: f64, logp: &[f64], old: &[f64], coefficient: f64) -> Self {
        let trajectory = Trajectory {
            episode,
            reward: Some(reward),
            mask: vec![1.0; logp.len()],
            segment: vec![0; logp.len()],
            ref_logp: Some(old.to_vec()),
            ..Trajectory::default()
        };
        let rows = Rows { logp: logp.to_vec(), entropy: vec![0.5; logp.len()], ..Rows::default() };
        Self { trajectory, credit: Credit::uniform(coefficient, logp.len()), rows, old: old.to_vec() }
    }

    fn counted(&self) -> bool {
        self.trajectory.is_member() && self.credit.is_kept()
    }

    /// The final mask: that of the sampler times the member's share.
    fn mask(&self, i: usize) -> f64 {
        self.trajectory.mask[i] * self.trajectory.weight.unwrap_or(1.0)
    }
}

/// A ragged batch; `spread` bounds most log-ratios.
fn batch(draw: &mut Draw, spread: f64, huge: bool) -> Batch {
    (0..1 + draw.below(4))
        .map(|_| {
            let (masked, equal) = (draw.chance(0.1), draw.chance(0.2));
            let shared = draw.chance(0.2);
            let mut group: Vec<Held> = Vec::new();
            for t in 0..draw.below(7) {
                let length = if draw.chance(0.1) { 0 } else { 1 + draw.below(5) };
                let logp: Vec<f64> = (0..length).map(|_| draw.within(-3.0, 0.0)).collect();
                let near = |draw: &mut Draw| -> Vec<f64> {
                    let scale = if huge && draw.chance(0.1) { 8.0 * spread } else { spread };
                    logp.iter().map(|l| l - draw.within(-scale, scale)).collect()
                };
                let (old, reference) = (near(draw), near(draw));
                let reward = match draw.below(10) {
                    _ if equal => 1.0,
                    0 => 0.5,
                    1..=5 => 0.0,
                    _ => 1.0,
                };
                let advantage = if draw.chance(0.1) { 0.0 } else { draw.within(-2.0, 2.0) };
                let episode = if shared { t / 2 } else { t };
                let mut held = Held::new(episode, reward, &logp, &old, advantage);
                held.trajectory.ref_logp = Some(reference);
                held.trajectory.reward = (!draw.chance(0.1)).then_some(reward);
                held.trajectory.mask =
                    (0..length).map(|_| if masked || draw.chance(0.2) { 0.0 } else { 1.0 }).collect();
                held.trajectory.weight = draw.chance(0.1).then_some(0.5);
                if draw.chance(0.2) {
                    held.credit.coefficient = (0..length).map(|_| draw.within(-2.0, 2.0)).collect();
                }
                if let Some(first) = group.iter().find(|h| h.trajectory.is_member() && h.trajectory.episode == episode)
                {
                    held.trajectory.reward = first.trajectory.reward;
                }
                match draw.below(12) {
                    0 => held.credit.kept = Kept::Dropped,
                    1 => {
                        held.trajectory.role = Role::Auxiliary;
                        held.trajectory.reward = None;
                        held.trajectory.weight = None;
                        held.credit = Credit::uniform(0.04, length);
                    }
                    _ => {}
                }
                group.push(held);
            }
            group
        })
        .collect()
}

fn seen(batch: &Batch) -> Vec<Vec<Seen<'_>>> {
    batch
        .iter()
        .map(|group| {
            group
                .iter()
                .map(|h| Seen { trajectory: &h.trajectory, credit: &h.credit, rows: &h.rows, old_logp: &h.old })
                .collect()
        })
        .collect()
}

fn evaluate(objective: &Objective, batch: &Batch) -> Vec<Vec<Evaluation>> {
    let seen = seen(batch);
    let survey = objective.survey(&Weighting::default(), &seen).unwrap();
    seen.iter()
        .enumerate()
        .map(|(g, group)| objective.evaluate(&Weighting::default(), g, group, &survey).unwrap())
        .collect()
}

fn loss(parts: &[Vec<Evaluation>]) -> f64 {
    parts.iter().flatten().map(|part| part.loss).sum()
}

fn slopes(parts: &[Vec<Evaluation>]) -> Vec<f64> {
    parts.iter().flatten().flat_map(|part| part.gradients.logp.iter().copied()).collect()
}

fn of(choice: &Value) -> Surrogate {
    serde_json::from_value(choice.clone()).unwrap_or_else(|e| panic!("{choice}: {e}"))
}

fn objective(choice: &Value, denominator: Denominator) -> Objective {
    Objective { surrogate: of(choice), denominator, ..Objective::default() }
}

fn denominator(draw: &mut Draw) -> Denominator {
    match draw.below(3) {
        0 => Denominator::Sequence,
        1 => Denominator::Tokens,
        _ => Denominator::Constant { length: draw.within(1.0, 50.0) },
    }
}

/// The entry with its defaults, and once with other parameters.
fn choice(name: &str, draw: &mut Draw, defaults: bool) -> Value {
    let mut any = |low: f64, high: f64| draw.within(low, high);
    let parameters = match name {
        _ if defaults => json!({}),
        "policy_gradient" | "likelihood" => json!({}),
        "regression" => json!({ "eps": any(1e-3, 1.0) }),
        "rebel" => json!({ "eta": any(0.1, 3.0) }),
        "disco" => json!({
            "score": if any(0.0, 1.0) < 0.5 { "ratio" } else { "likelihood" },
            "negatives": if any(0.0, 1.0) < 0.3 { json!("mean") } else { json!({ "log_mean_exp": { "tau": any(0.2, 5.0) } }) },
            "constraint": {
                "coefficient": if any(0.0, 1.0) < 0.3 { 0.0 } else { any(0.5, 20.0) },
                "delta": any(0.0, 0.05),
                "estimator": if any(0.0, 1.0) < 0.5 { "plain" } else { "low_variance" },
            },
        }),
        "nft" => json!({
            "negative_weight": any(0.0, 2.0),
            "floor": any(0.1, 1.2),
            "prompt_weight": (["hard", "one", "sqrt"][any(0.0, 3.0) as usize]),
            "rate_clamp": any(0.01, 0.4),
        }),
        "dpo" => json!({ "beta": any(0.01, 2.0), "chosen": if any(0.0, 1.0) < 0.5 { "right" } else { "auxiliary" } }),
        "topr" => json!({ "cap": any(0.3, 3.0) }),
        "vespo" => json!({
            "k_pos": any(0.5, 3.0), "lambda_pos": any(0.5, 3.0), "k_neg": any(0.5, 3.0), "lambda_neg": any(0.5, 3.0),
        }),
        "luspo" => json!({ "low": any(0.05, 0.5), "high": any(0.05, 0.5) }),
        "dro" => json!({ "beta": any(0.01, 2.0) }),
        other => panic!("no parameters for {other}"),
    };
    if name == "likelihood" { json!(name) } else { json!({ name: parameters }) }
}

/// An episode as the formulas see it.
struct Unit {
    actions: Vec<(usize, usize)>,
    reward: Option<f64>,
}

fn units(group: &[Held]) -> Vec<Unit> {
    let mut numbers: Vec<usize> = Vec::new();
    let mut units: Vec<Unit> = Vec::new();
    for (t, held) in group.iter().enumerate() {
        if !held.trajectory.is_member() {
            continue;
        }
        let episode = held.trajectory.episode;
        if !numbers.contains(&episode) {
            numbers.push(episode);
            units.push(Unit { actions: vec![], reward: held.trajectory.reward });
        }
        let at = numbers.iter().position(|n| *n == episode).unwrap();
        for i in 0..held.old.len() {
            if held.counted() && held.mask(i) != 0.0 {
                units[at].actions.push((t, i));
            }
        }
    }
    units.retain(|unit| !unit.actions.is_empty());
    units
}

/// The loss from the formulas and nothing else; what is constant in the derivative is taken from `frozen`.
fn oracle(choice: &Value, denominator: Denominator, live: &Batch, frozen: &Batch) -> f64 {
    let (name, p) = match choice {
        Value::String(name) => (name.as_str(), Value::Null),
        Value::Object(map) => (map.keys().next().unwrap().as_str(), map.values().next().unwrap().clone()),
        other => panic!("{other}"),
    };
    let get = |key: &str, default: f64| p.get(key).map_or(default, |v| v.as_f64().unwrap());
    let word = |key: &str, default: &str| p.get(key).map_or(default, |v| v.as_str().unwrap()).to_owned();
    let groups = live.len() as f64;
    let counted = || live.iter().flatten().filter(|h| h.counted());
    let sequences = counted().count() as f64;
    let own = |h: &Held| (0..h.old.len()).map(|i| h.mask(i)).sum::<f64>();
    let tokens: f64 = counted().map(own).sum();
    let weight = |h: &Held, i: usize| {
        if !h.counted() || h.mask(i) == 0.0 {
            return 0.0;
        }
        h.mask(i)
            / match denominator {
                Denominator::Sequence => own(h) * sequences,
                Denominator::Tokens => tokens,
                Denominator::Constant { length } => length * sequences,
                #[allow(unreachable_patterns)]
                _ => unreachable!("not drawn here"),
            }
    };
    let mut loss = 0.0;
    // Auxiliaries, whatever the surrogate.
    for held in live.iter().flatten().filter(|h| !h.trajectory.is_member()) {
        for i in 0..held.old.len() {
            loss -= held.trajectory.mask[i] * held.credit.coefficient[i] * held.rows.logp[i] / groups;
        }
    }
    // Sums over single actions.
    let of_action = |group: usize, t: usize, i: usize| -> Option<f64> {
        let (h, f) = (&live[group][t], &frozen[group][t]);
        let (a, l, d) = (h.credit.coefficient[i], h.rows.logp[i], h.rows.logp[i] - h.old[i]);
        let trained: Vec<usize> = (0..h.old.len()).filter(|&i| h.mask(i) != 0.0).collect();
        let frozen_ratio =
            |hold: f64| trained.iter().map(|&i| (f.rows.logp[i] - f.old[i]).clamp(-hold, hold)).sum::<f64>();
        Some(match name {
            "policy_gradient" => -f64::min(d.exp() * a, d.exp().clamp(0.8, 1.2) * a),
            "likelihood" => -a * l,
            "dro" => -a * l + get("beta", 0.1) / 2.0 * d * d,
            "topr" => {
                let s = if a < 0.0 { f64::min(frozen_ratio(1e9).exp(), get("cap", 1.0)) } else { 1.0 };
                -s * a * l
            }
            "vespo" => {
                let side = if a < 0.0 { ["k_neg", "lambda_neg"] } else { ["k_pos", "lambda_pos"] };
                let default = if a < 0.0 { [3.0, 2.0] } else { [2.0, 3.0] };
                let (k, lambda) = (get(side[0], default[0]), get(side[1], default[1]));
                let ratio = frozen_ratio(20.0).clamp(-8.0 * 10.0f64.ln(), 20.0).exp();
                -(lambda - lambda * ratio).exp() * ratio.powf(k) * a * l
            }
            "luspo" => {
                let n = trained.len() as f64;
                let s = trained.iter().map(|&i| (h.rows.logp[i] - h.old[i]) / n).sum::<f64>().exp();
                -n * f64::min(s * a, s.clamp(1.0 - get("low", 0.2), 1.0 + get("high", 0.2)) * a)
            }
            "nft" => {
                let mut seen: Vec<usize> = Vec::new();
                let mut rewards: Vec<f64> = Vec::new();
                for h in live[group].iter().filter(|h| h.trajectory.is_member()) {
                    if !seen.contains(&h.trajectory.episode) {
                        seen.push(h.trajectory.episode);
                        rewards.extend(h.trajectory.reward);
                    }
                }
                let rate = rewards.iter().sum::<f64>() / rewards.len() as f64;
                if rewards.is_empty() || rate == 0.0 || rate == 1.0 {
                    return None;
                }
                let clamp = get("rate_clamp", 0.02);
                let q = rate.clamp(clamp, 1.0 - clamp);
                let omega = match word("prompt_weight", "hard").as_str() {
                    "hard" => 1.0 - q,
                    "one" => 1.0,
                    _ => ((1.0 - q) / q).sqrt(),
                };
                let reward = h.trajectory.reward?;
                let x = |d: f64| (1.0 - q * f64::min(d, 10.0).exp()) / (1.0 - q);
                let old_x = x(f.rows.logp[i] - f.old[i]);
                let through = x(d) + (f64::max(old_x, get("floor", 1.0)) - old_x);
                let wrong = (1.0 - reward) * get("negative_weight", 1.0);
                -omega * (reward * f64::min(d, 10.0) + wrong * through.ln())
            }
            _ => return None,
        })
    };
    for (g, group) in live.iter().enumerate() {
        for (t, held) in group.iter().enumerate() {
            for i in 0..held.old.len() {
                if weight(held, i) != 0.0 {
                    loss += weight(held, i) * of_action(g, t, i).unwrap_or(0.0);
                }
            }
        }
    }
    // Comparisons inside a group.
    let (mut pairs, mut preferences) = (0.0, 0.0);
    for group in live {
        let units = units(group);
        let n = units.len() as f64;
        let logp = |(t, i): (usize, usize)| group[t].rows.logp[i];
        let d = |(t, i): (usize, usize)| group[t].rows.logp[i] - group[t].old[i];
        let rho = |unit: &Unit| unit.actions.iter().map(|&at| d(at)).sum::<f64>();
        let of_reward = |r: f64| units.iter().filter(|u| u.reward == Some(r)).collect::<Vec<_>>();
        let (right, wrong) = (of_reward(1.0), of_reward(0.0));
        match name {
            "regression" if !units.is_empty() => {
                let target: Vec<f64> =
                    units.iter().map(|u| group[u.actions[0].0].credit.coefficient[u.actions[0].1]).collect();
                if target.iter().all(|a| *a == target[0]) {
                    continue;
                }
                let mean = units.iter().map(rho).sum::<f64>() / n;
                let std = (units.iter().map(|u| (rho(u) - mean).powi(2)).sum::<f64>() / n).sqrt();
                for (unit, a) in units.iter().zip(target) {
                    loss += (a - (rho(unit) - mean) / (std + get("eps", 1e-4))).powi(2) / n / groups;
                }
            }
            "rebel" => {
                let scored: Vec<&Unit> = units.iter().filter(|u| u.reward.is_some()).collect();
                let m = scored.len() as f64;
                for (i, a) in scored.iter().enumerate() {
                    for b in &scored[..i] {
                        let gap = (rho(a) - rho(b)) / get("eta", 1.0) - (a.reward.unwrap() - b.reward.unwrap());
                        loss += gap * gap / (m * (m - 1.0) / 2.0) / groups;
                    }
                }
            }
            "disco" if !right.is_empty() && !wrong.is_empty() => {
                let score = |unit: &Unit| {
                    let of = |&at: &(usize, usize)| {
                        if word("score", "likelihood") == "ratio" { d(at).exp() } else { logp(at) }
                    };
                    unit.actions.iter().map(of).sum::<f64>() / unit.actions.len() as f64
                };
                let up = right.iter().map(|u| score(u)).sum::<f64>() / right.len() as f64;
                let m = wrong.len() as f64;
                let down = match p.get("negatives") {
                    Some(Value::String(_)) => wrong.iter().map(|u| score(u)).sum::<f64>() / m,
                    other => {
                        let tau = other.map_or(10.0, |v| v["log_mean_exp"]["tau"].as_f64().unwrap());
                        tau * (wrong.iter().map(|u| (score(u) / tau).exp()).sum::<f64>() / m).ln()
                    }
                };
                loss -= (up - down) / groups;
            }
            "dpo" => {
                let gain = |actions: &[(usize, usize)]| {
                    actions
                        .iter()
                        .map(|&(t, i)| group[t].rows.logp[i] - group[t].trajectory.ref_logp.as_ref().unwrap()[i])
                        .sum::<f64>()
                };
                let mut chosen: Vec<Vec<(usize, usize)>> = right.iter().map(|u| u.actions.clone()).collect();
                if word("chosen", "right") == "auxiliary" {
                    chosen.clear();
                    for (t, h) in group.iter().enumerate().filter(|(_, h)| !h.trajectory.is_member()) {
                        chosen
                            .push((0..h.old.len()).filter(|&i| h.trajectory.mask[i] != 0.0).map(|i| (t, i)).collect());
                    }
                    chosen.retain(|actions| !actions.is_empty());
                }
                for c in &chosen {
                    for r in &wrong {
                        pairs += 1.0;
                        preferences += (1.0 + (-get("beta", 0.1) * (gain(c) - gain(&r.actions))).exp()).ln();
                    }
                }
            }
            "regression" | "disco" | "policy_gradient" | "likelihood" | "nft" | "topr" | "vespo" | "luspo" | "dro" => {}
            other => panic!("no oracle for {other}"),
        }
    }
    if pairs > 0.0 {
        loss += preferences / pairs;
    }
    if name == "disco" {
        let constraint = p.get("constraint").cloned().unwrap_or(Value::Null);
        let get = |key: &str, default: f64| constraint.get(key).map_or(default, |v| v.as_f64().unwrap());
        let low = constraint.get("estimator").is_some_and(|e| e == "low_variance");
        let (mut total, mut actions) = (0.0, 0.0);
        for h in counted() {
            for i in (0..h.old.len()).filter(|&i| h.mask(i) != 0.0) {
                let d = h.rows.logp[i] - h.old[i];
                total += if low { d.exp() - d - 1.0 } else { -d };
                actions += 1.0;
            }
        }
        if actions > 0.0 {
            let excess = f64::max(total / actions - get("delta", 1e-4), 0.0);
            loss += 0.5 * get("coefficient", 1000.0) * excess * excess;
        }
    }
    loss
}

fn entries(axis: Axis) -> Vec<&'static registry::Entry> {
    let all: Vec<_> = registry::entries().filter(|e| e.axis == axis).collect();
    assert!(!all.is_empty());
    all
}

fn close(got: f64, want: f64) -> bool {
    (got - want).abs() <= 1e-12 * want.abs().max(1.0)
}

#[test]
fn every_entry_says_what_it_is() {
    for entry in entries(Axis::Surrogate).into_iter().chain(entries(Axis::Context)) {
        assert!(!entry.summary.is_empty() && !entry.formula.is_empty() && !entry.source.is_empty(), "{}", entry.name);
        assert!(entry.parameters.iter().all(|p| !p.default.is_empty() && !p.range.is_empty() && !p.meaning.is_empty()));
    }
    for entry in entries(Axis::Surrogate) {
        let choice = choice(entry.name, &mut Draw(0), true);
        let surrogate = of(&choice);
        assert_eq!(surrogate.check(), Ok(()));
        if let (Some(written), true) = (serde_json::to_value(surrogate).unwrap().get(entry.name), choice.is_object()) {
            let mut written: Vec<&str> = written.as_object().unwrap().keys().map(String::as_str).collect();
            written.sort_unstable();
            let mut declared: Vec<&str> = entry.parameters.iter().map(|p| p.name).collect();
            declared.sort_unstable();
            assert_eq!(written, declared, "{}", entry.name);
        }
        let unknown = json!({ entry.name: { "unknown": 1 } });
        assert!(serde_json::from_value::<Surrogate>(unknown).is_err(), "{}", entry.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn agrees_with_the_oracle(seed: u64) {
        for entry in entries(Axis::Surrogate) {
            for defaults in [true, false] {
                let draw = &mut Draw(seed);
                let (choice, denominator) = (choice(entry.name, draw, defaults), denominator(draw));
                let batch = batch(draw, 0.6, true);
                let got = loss(&evaluate(&objective(&choice, denominator), &batch));
                let want = oracle(&choice, denominator, &batch, &batch);
                prop_assert!(close(got, want), "{choice} {denominator:?}: {got} {want}");
            }
        }
    }
}

proptest! {
    // Each case moves every action of a batch four times, for every entry.
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Derivatives are central differences of the oracle, at two step widths; where these disagree there is a kink.
    #[test]
    fn derivatives_are_central_differences(seed: u64) {
        let (mut compared, mut kinks) = (0, 0);
        for entry in entries(Axis::Surrogate) {
            for defaults in [true, false] {
                let draw = &mut Draw(seed);
                let (choice, denominator) = (choice(entry.name, draw, defaults), denominator(draw));
                let batch = batch(draw, 0.6, false);
                let parts = evaluate(&objective(&choice, denominator), &batch);
                let size = loss(&parts).abs().max(1.0);
                for g in 0..batch.len() {
                    for t in 0..batch[g].len() {
                        for i in 0..batch[g][t].old.len() {
                            let moved = |h: f64| {
                                let mut other = batch.clone();
                                other[g][t].rows.logp[i] += h;
                                oracle(&choice, denominator, &other, &batch)
                            };
                            let at = |h: f64| (moved(h) - moved(-h)) / (2.0 * h);
                            let (wide, narrow) = (at(2e-5), at(1e-5));
                            let allowed = 1e-6 * narrow.abs().max(1.0) + 1e-9 * size;
                            compared += 1;
                            if (wide - narrow).abs() > allowed {
                                kinks += 1;
                                continue;
                            }
                            let got = parts[g][t].gradients.logp[i];
                            prop_assert!((got - narrow).abs() <= allowed, "{choice}: {got} {narrow}");
                        }
                    }
                }
            }
        }
        prop_assert!(kinks * 20 <= compared, "{kinks} of {compared}");
    }

    /// However a batch is cut into whole groups, a row's derivative has the same bits; and only a batch-scope
    /// choice needs rows for its survey.
    #[test]
    fn every_split_gives_the_same_bits(seed: u64) {
        for entry in entries(Axis::Surrogate) {
            let draw = &mut Draw(seed);
            let (choice, denominator) = (choice(entry.name, draw, false), denominator(draw));
            let objective = objective(&choice, denominator);
            let batch = batch(draw, 0.6, true);
            let whole = evaluate(&objective, &batch);
            let mut bare = batch.clone();
            if objective.scope() < Scope::Batch {
                for held in bare.iter_mut().flatten() {
                    held.rows = Rows::default();
                    held.old.clear();
                }
            }
            let survey = objective.survey(&Weighting::default(), &seen(&bare)).unwrap();
            for g in (0..batch.len()).rev() {
                // Nothing but the group itself and the survey.
                let alone = batch[g].clone();
                let alone = seen(&vec![alone; 1])[0].iter().map(|s| (s.trajectory.clone(), s.credit.clone(), s.rows.clone(), s.old_logp.to_vec())).collect::<Vec<_>>();
                let group: Vec<Seen<'_>> = alone.iter().map(|(trajectory, credit, rows, old_logp)| Seen { trajectory, credit, rows, old_logp }).collect();
                let part = objective.evaluate(&Weighting::default(), g, &group, &survey).unwrap();
                prop_assert_eq!(&part, &whole[g]);
            }
        }
    }

    /// A batch at the old policy gives finite numbers, whatever is in it.
    #[test]
    fn the_first_update_is_finite(seed: u64) {
        for entry in entries(Axis::Surrogate) {
            let draw = &mut Draw(seed);
            let choice = choice(entry.name, draw, seed % 2 == 0);
            let mut batch = batch(draw, 0.6, true);
            for held in batch.iter_mut().flatten() {
                held.old.clone_from(&held.rows.logp);
            }
            let parts = evaluate(&objective(&choice, Denominator::Tokens), &batch);
            prop_assert!(loss(&parts).is_finite() && slopes(&parts).iter().all(|s| s.is_finite()), "{choice}");
        }
    }
}

#[test]
fn no_two_entries_are_one_function() {
    let all = entries(Axis::Surrogate);
    for (k, a) in all.iter().enumerate() {
        for b in &all[..k] {
            let declared = a.equals.iter().any(|(name, _)| *name == b.name);
            let differ = (0..1000).any(|seed| {
                let batch = batch(&mut Draw(seed), 0.6, false);
                let of = |name: &str| {
                    let choice = choice(name, &mut Draw(0), true);
                    slopes(&evaluate(&objective(&choice, Denominator::Sequence), &batch))
                };
                of(a.name).iter().zip(of(b.name)).any(|(x, y)| (x - y).abs() > 1e-9)
            });
            assert!(differ != declared, "{} and {}", a.name, b.name);
        }
    }
}

#[test]
fn the_two_contexts_compute_the_same_from_given_rows() {
    let all = entries(Axis::Context);
    assert_eq!(all.iter().map(|e| e.name).collect::<Vec<_>>(), ["scored", "sampled"]);
    for seed in 0..200 {
        let batch = batch(&mut Draw(seed), 0.6, true);
        let of = |name: &str| {
            let context: RatioContext = serde_json::from_value(json!(name)).unwrap();
            evaluate(&Objective { context, ..Objective::default() }, &batch)
        };
        assert_eq!(of("scored"), of("sampled"));
    }
    for entry in &all {
        assert_eq!(entry.equals.len(), 1);
        assert!(!entry.equals[0].1.is_empty());
    }
    assert_eq!(Objective::default().context, RatioContext::Scored);
}

fn group(members: &[(f64, &[f64], &[f64], f64)]) -> Vec<Held> {
    members.iter().enumerate().map(|(e, (r, logp, old, a))| Held::new(e, *r, logp, old, *a)).collect()
}

fn near(got: &[f64], want: &[f64], allowed: f64) {
    assert_eq!(got.len(), want.len());
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= allowed, "{got:?} {want:?}");
    }
}

/// 63: two minus two correlations of reward and log-ratio, whatever the scale of the log-ratio.
#[test]
fn regression_is_a_correlation() {
    let rewards = [0.3, 2.0, 1.0, 0.0, 1.7];
    let n = rewards.len() as f64;
    let mean = rewards.iter().sum::<f64>() / n;
    let std = (rewards.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / n).sqrt();
    for scale in [0.3, 1.0, 40.0] {
        let rho: Vec<f64> = [0.2, 0.5, -0.4, -0.1, 0.15].iter().map(|x| x * scale).collect();
        let batch: Batch = vec![
            (0..5)
                .map(|e| Held::new(e, rewards[e], &[-1.0 + rho[e], -2.0], &[-1.0, -2.0], (rewards[e] - mean) / std))
                .collect(),
        ];
        let got = loss(&evaluate(&objective(&json!({ "regression": { "eps": 1e-13 } }), Denominator::Tokens), &batch));
        let center = rho.iter().sum::<f64>() / n;
        let spread = (rho.iter().map(|x| (x - center).powi(2)).sum::<f64>() / n).sqrt();
        let corr = rho.iter().zip(rewards).map(|(x, r)| (x - center) * (r - mean)).sum::<f64>() / n / std / spread;
        assert!((got - (2.0 - 2.0 * corr)).abs() < 1e-9, "{got} {corr}");
    }
}

/// 63: a group without contrast is no signal, and counts.
#[test]
fn regression_skips_constant_targets_and_counts_their_group() {
    let regression = objective(&json!({ "regression": {} }), Denominator::Tokens);
    let mixed = group(&[(1.0, &[-1.0], &[-1.2], 1.0), (0.0, &[-0.5], &[-0.1], -1.0)]);
    let flat = group(&[(1.0, &[-1.0], &[-1.2], 0.0), (1.0, &[-0.5], &[-0.1], 0.0)]);
    let alone = evaluate(&regression, &vec![mixed.clone()]);
    let both = evaluate(&regression, &vec![mixed, flat]);
    assert_eq!(loss(&both), loss(&alone) / 2.0);
    assert_eq!(slopes(&both)[2..], [0.0, 0.0]);
    assert_eq!(both[1][0].metrics.get("groups_skipped"), Some(1.0));
}

/// 63: all log-ratios are 0 at the first update.
#[test]
fn regression_at_the_first_update_is_finite_and_steep() {
    let batch = vec![group(&[(1.0, &[-1.0], &[-1.0], 1.0), (0.0, &[-0.5], &[-0.5], -1.0)])];
    let parts = evaluate(&objective(&json!({ "regression": {} }), Denominator::Tokens), &batch);
    assert_eq!(loss(&parts), 1.0, "the mean of squared targets");
    near(&slopes(&parts), &[-1e4, 1e4], 1e-8);
    assert!(matches!(of(&json!({ "regression": {} })).staleness(), Staleness::Second(_)));
}

/// 48: at the old policy NFT's gradient is GRPO's (population std) or Dr. GRPO's.
#[test]
fn nft_on_policy_is_grpo_or_dr_grpo() {
    let rewards = [1.0, 0.0, 0.0, 1.0, 0.0];
    let rate = 0.4f64;
    for (word, scale) in [("sqrt", (rate * (1.0 - rate)).sqrt()), ("hard", 1.0)] {
        let batch: Batch = vec![
            (0..5)
                .map(|e| {
                    let logp: Vec<f64> = (0..=e).map(|i| -0.3 - 0.2 * i as f64).collect();
                    Held::new(e, rewards[e], &logp, &logp, (rewards[e] - rate) / scale)
                })
                .collect(),
        ];
        for denominator in [Denominator::Sequence, Denominator::Tokens, Denominator::Constant { length: 1000.0 }] {
            let nft = evaluate(&objective(&json!({ "nft": { "prompt_weight": word } }), denominator), &batch);
            let pg = evaluate(&objective(&json!({ "policy_gradient": {} }), denominator), &batch);
            near(&slopes(&nft), &slopes(&pg), 1e-14);
            assert_eq!(loss(&nft), 0.0, "both logarithms are 0 at the old policy, and the slopes are not");
        }
    }
}

/// 48: a ratio above 1 / q makes the implied negative policy negative; the slope goes on.
#[test]
fn nft_keeps_its_slope_under_the_floor() {
    let batch = vec![group(&[(1.0, &[-1.0], &[-1.0], 0.0), (0.0, &[-0.5], &[-2.5], 0.0)])];
    let parts = evaluate(&objective(&json!({ "nft": {} }), Denominator::Tokens), &batch);
    assert!(loss(&parts).is_finite());
    // omega 1/2, two actions, slope of x: -R.
    near(&slopes(&parts), &[-0.25, 0.25 * 2.0f64.exp()], 1e-14);
    assert_eq!(parts[0][1].metrics.get("floor_fraction"), Some(1.0));
}

/// 48: unanimous groups are filtered; the rate is kept away from 0 and 1; a reward that is no rate is refused.
#[test]
fn nft_at_the_edges_of_the_rate() {
    let nft = objective(&json!({ "nft": {} }), Denominator::Tokens);
    for reward in [0.0, 1.0] {
        let batch = vec![group(&[(reward, &[-1.0], &[-1.4], 0.0), (reward, &[-0.5], &[-0.4], 0.0)])];
        let parts = evaluate(&nft, &batch);
        assert_eq!((loss(&parts), slopes(&parts)), (0.0, vec![0.0, 0.0]));
    }
    let members: Vec<(f64, &[f64], &[f64], f64)> =
        (0..100).map(|e| (f64::from(e == 0), &[-1.0][..], &[-1.0][..], 0.0)).collect();
    let parts = evaluate(&nft, &vec![group(&members)]);
    near(&slopes(&parts)[..2], &[-0.98 / 100.0, 0.02 / 100.0], 1e-16);
    let bad = vec![group(&[(2.0, &[-1.0], &[-1.0], 0.0), (0.0, &[-1.0], &[-1.0], 0.0)])];
    let survey = nft.survey(&Weighting::default(), &seen(&bad)).unwrap();
    let error = nft.evaluate(&Weighting::default(), 0, &seen(&bad)[0], &survey).unwrap_err();
    assert_eq!(error.to_string(), "group 0, trajectory 0: `reward` is 2, and must be in [0, 1]");
}

fn disco(extra: &Value) -> Objective {
    let mut choice = json!({ "constraint": { "coefficient": 0.0 } });
    for (key, value) in extra.as_object().unwrap() {
        choice[key] = value.clone();
    }
    objective(&json!({ "disco": choice }), Denominator::Tokens)
}

/// 23: the limits in tau; every question weighs alike; the divisor counts questions without contrast.
#[test]
fn disco_limits_and_divisor() {
    let mixed = group(&[
        (1.0, &[-1.0, -0.6], &[-1.2, -0.5], 0.0),
        (0.0, &[-0.5], &[-0.1], 0.0),
        (0.0, &[-2.5, -0.1], &[-2.5, -0.2], 0.0),
        (0.5, &[-0.2], &[-0.2], 0.0),
    ]);
    let one = vec![mixed.clone()];
    let mean = evaluate(&disco(&json!({ "negatives": "mean" })), &one);
    // mean_P = -0.8, negatives -0.5 and -1.3.
    assert!((loss(&mean) - (0.8 - 0.9)).abs() < 1e-15);
    near(&slopes(&mean), &[-0.5, -0.5, 0.5, 0.25, 0.25, 0.0], 1e-15);
    let far = evaluate(&disco(&json!({ "negatives": { "log_mean_exp": { "tau": 1e9 } } })), &one);
    assert!((loss(&far) - loss(&mean)).abs() < 1e-8);
    near(&slopes(&far), &slopes(&mean), 1e-8);
    let cold = evaluate(&disco(&json!({ "negatives": { "log_mean_exp": { "tau": 1e-4 } } })), &one);
    assert!((loss(&cold) - (0.8 - 0.5)).abs() < 1e-3);
    near(&slopes(&cold), &[-0.5, -0.5, 1.0, 0.0, 0.0, 0.0], 1e-12);
    let right = group(&[(1.0, &[-1.0], &[-1.2], 0.0), (1.0, &[-0.5], &[-0.1], 0.0)]);
    let two = evaluate(&disco(&json!({ "negatives": "mean" })), &vec![mixed, right]);
    assert!((loss(&two) - loss(&mean) / 2.0).abs() < 1e-16);
    assert_eq!(slopes(&two)[6..], [0.0, 0.0]);
}

/// 23: nothing below delta and at the first update; above it, the gradient of the hinge over the whole batch.
#[test]
fn disco_constrains_the_whole_batch() {
    let pair = |d: f64| group(&[(1.0, &[-1.0, -1.0], &[-1.0 + d, -1.0 + d], 0.0), (1.0, &[-1.0], &[-1.0], 0.0)]);
    let hinge = |delta: f64| {
        objective(&json!({ "disco": { "constraint": { "coefficient": 8.0, "delta": delta } } }), Denominator::Tokens)
    };
    // c = (4 * 0.3) / 6 = 0.2 over both groups.
    let batch = vec![pair(0.3), pair(0.3)];
    let below = evaluate(&hinge(0.25), &batch);
    assert_eq!((loss(&below), slopes(&below)), (0.0, vec![0.0; 6]));
    let above = evaluate(&hinge(0.05), &batch);
    assert!((loss(&above) - 0.5 * 8.0 * 0.15 * 0.15).abs() < 1e-14);
    near(&slopes(&above), &[-8.0 * 0.15 / 6.0; 6], 1e-14);
    assert!((above[0][0].loss - loss(&above) / 3.0).abs() < 1e-15, "equal shares an action");
    let first = evaluate(&hinge(0.0), &vec![pair(0.0)]);
    assert_eq!((loss(&first), slopes(&first)), (0.0, vec![0.0; 3]));
    assert_eq!(hinge(0.0).scope(), Scope::Batch);
    assert_eq!(disco(&json!({})).scope(), Scope::Group);
    assert_eq!(of(&json!({ "disco": {} })), Surrogate::Disco(Disco::default()));
    assert_eq!(of(&json!({ "disco": {} })).staleness(), Staleness::Inert("its constraint"));
}

/// At ratio 1 tapered and smoothly weighted likelihoods are the likelihood itself.
#[test]
fn weighted_likelihoods_at_the_old_policy() {
    for seed in 0..50 {
        let mut batch = batch(&mut Draw(seed), 0.6, false);
        for held in batch.iter_mut().flatten() {
            held.old.clone_from(&held.rows.logp);
        }
        let of = |choice: Value| evaluate(&objective(&choice, Denominator::Tokens), &batch);
        let plain = of(json!("likelihood"));
        for name in ["topr", "vespo"] {
            let got = of(json!({ name: {} }));
            assert_eq!(slopes(&got), slopes(&plain), "{name}");
            assert_eq!(loss(&got), loss(&plain), "{name}");
        }
    }
}

/// TOPR: a bad answer that has become unlikely is let go, a good one is not.
#[test]
fn topr_tapers_bad_answers_by_their_sequence() {
    let batch = vec![group(&[(1.0, &[-4.0, -4.0], &[-1.0, -2.0], 1.0), (0.0, &[-4.0, -4.0], &[-1.0, -2.0], -1.0)])];
    let parts = evaluate(&objective(&json!({ "topr": {} }), Denominator::Constant { length: 0.5 }), &batch);
    let s = (-5.0f64).exp();
    near(&slopes(&parts), &[-1.0, -1.0, s, s], 1e-15);
}

/// LUSPO: under the sequence denominator the mean over trajectories of sums over actions.
#[test]
fn luspo_counts_every_action_alike() {
    let batch = vec![group(&[(1.0, &[-1.0; 5], &[-1.0; 5], 1.0), (0.0, &[-1.0], &[-1.0], -1.0)])];
    let parts = evaluate(&objective(&json!({ "luspo": {} }), Denominator::Sequence), &batch);
    near(&slopes(&parts), &[-0.5, -0.5, -0.5, -0.5, -0.5, 0.5], 1e-15);
    assert!((loss(&parts) - (-5.0 + 1.0) / 2.0).abs() < 1e-15);
}

/// DPO: log 2 at equal policies over all pairs of the batch, groups without a pair left out.
#[test]
fn dpo_at_equal_policies() {
    let mixed = group(&[(1.0, &[-1.0], &[-1.0], 0.0), (0.0, &[-0.5], &[-0.5], 0.0), (0.0, &[-0.7], &[-0.7], 0.0)]);
    let right = group(&[(1.0, &[-1.0], &[-1.0], 0.0)]);
    let dpo = objective(&json!({ "dpo": { "beta": 0.4 } }), Denominator::Tokens);
    let parts = evaluate(&dpo, &vec![mixed.clone(), right.clone(), mixed]);
    assert!((loss(&parts) - 2.0f64.ln()).abs() < 1e-15);
    near(&slopes(&parts), &[-0.1, 0.05, 0.05, 0.0, -0.1, 0.05, 0.05], 1e-15);
    assert!(dpo.reads_reference());
    assert_eq!(loss(&evaluate(&dpo, &vec![right])), 0.0);
    let mut bare = vec![group(&[(1.0, &[-1.0], &[-1.0], 0.0), (0.0, &[-0.5], &[-0.5], 0.0)])];
    bare[0][1].trajectory.ref_logp = None;
    let survey = dpo.survey(&Weighting::default(), &seen(&bare)).unwrap();
    let error = dpo.evaluate(&Weighting::default(), 0, &seen(&bare)[0], &survey).unwrap_err();
    assert_eq!((error.field.as_str(), error.place.trajectory), ("ref_logp", Some(1)));
}

#[test]
fn parameters_out_of_range_are_refused() {
    let cases = [
        (json!({ "regression": { "eps": 0.0 } }), "regression.eps"),
        (json!({ "rebel": { "eta": -1.0 } }), "rebel.eta"),
        (json!({ "disco": { "negatives": { "log_mean_exp": { "tau": 0.0 } } } }), "disco.negatives.log_mean_exp.tau"),
        (json!({ "disco": { "constraint": { "coefficient": -1.0 } } }), "disco.constraint.coefficient"),
        (json!({ "disco": { "constraint": { "delta": -1.0 } } }), "disco.constraint.delta"),
        (json!({ "nft": { "floor": 0.0 } }), "nft.floor"),
        (json!({ "nft": { "negative_weight": -1.0 } }), "nft.negative_weight"),
        (json!({ "nft": { "rate_clamp": 0.5 } }), "nft.rate_clamp"),
        (json!({ "dpo": { "beta": 0.0 } }), "dpo.beta"),
        (json!({ "topr": { "cap": 0.0 } }), "topr.cap"),
        (json!({ "vespo": { "lambda_neg": 1e-5 } }), "vespo.lambda_neg"),
        (json!({ "vespo": { "k_pos": -1.0 } }), "vespo.k_pos"),
        (json!({ "luspo": { "low": 1.5 } }), "luspo.low"),
        (json!({ "luspo": { "high": 0.0 } }), "luspo.high"),
        (json!({ "dro": { "beta": 0.0 } }), "dro.beta"),
    ];
    for (choice, key) in cases {
        assert_eq!(of(&choice).check().unwrap_err().0, key);
    }
    assert!(Auxiliary { coefficient: f64::NAN, ..Auxiliary::default() }.check().is_err());
}

#[test]
fn no_choice_panics_on_an_empty_batch() {
    for entry in entries(Axis::Surrogate) {
        let objective = objective(&choice(entry.name, &mut Draw(0), true), Denominator::Sequence);
        for batch in [vec![], vec![vec![]], vec![group(&[(1.0, &[], &[], 1.0)])]] {
            assert_eq!(loss(&evaluate(&objective, &batch)), 0.0, "{}", entry.name);
        }
    }
}

/// 43: members with rewards 1 and 0 (or as given) and one explanation of three actions, the last masked.
fn explained(rewards: [f64; 2], weight: Option<f64>) -> (Study, Vec<f64>) {
    let explanation = vec![-2.0, -0.5, -9.0];
    let mut trajectories: Vec<Trajectory> = rewards
        .iter()
        .enumerate()
        .map(|(episode, r)| Trajectory {
            episode,
            reward: Some(*r),
            mask: vec![1.0; 2],
            segment: vec![0; 2],
            ..Trajectory::default()
        })
        .collect();
    trajectories.push(Trajectory {
        role: Role::Auxiliary,
        episode: 2,
        weight,
        mask: vec![1.0, 1.0, 0.0],
        segment: vec![0; 3],
        ..Trajectory::default()
    });
    let rows = |logp: &[f64]| Rows { logp: logp.to_vec(), entropy: vec![0.1; logp.len()], ..Rows::default() };
    let group = Comparison { trajectories, ..Comparison::default() };
    let of_group = vec![rows(&[-1.0, -0.2]), rows(&[-0.4, -0.8]), rows(&explanation)];
    let study = Study {
        groups: vec![group.clone(), group],
        rows: vec![of_group.clone(), of_group],
        old_logp: vec![vec![None; 3]; 2],
    };
    (study, explanation)
}

fn method(auxiliary: Value) -> Method {
    let objective: Objective = serde_json::from_value(json!({ "auxiliary": auxiliary })).unwrap();
    Method { objective, ..Method::default() }
}

/// 43: beside the members, not among them: a summed likelihood over the number of groups.
#[test]
fn an_auxiliary_adds_its_likelihood_and_nothing_else() {
    let (study, _) = explained([1.0, 0.0], None);
    let mut without = study.clone();
    for (group, (rows, old)) in without.groups.iter_mut().zip(without.rows.iter_mut().zip(&mut without.old_logp)) {
        group.trajectories.pop();
        rows.pop();
        old.pop();
    }
    let method = method(json!({ "coefficient": 0.04 }));
    let with = method.calculate(&study, &mut Memory::default()).unwrap();
    let plain = method.calculate(&without, &mut Memory::default()).unwrap();
    for (a, b) in with.parts.iter().zip(&plain.parts) {
        assert_eq!(a[..2], b[..], "neither baseline nor denominator sees it");
        let part = &a[2];
        assert!((part.loss - 0.04 * 2.5 / 2.0).abs() < 1e-16, "masked actions do not count, length does not divide");
        assert_eq!(part.gradients.logp, [-0.02, -0.02, 0.0]);
    }
    assert_eq!(with.credits[0][2].coefficient, [0.04; 3]);
}

/// 43: its own weight goes before the recipe's; 1 where neither says anything.
#[test]
fn whose_coefficient_it_is() {
    let of = |weight: Option<f64>, auxiliary: Value| {
        let study = explained([1.0, 0.0], weight).0;
        method(auxiliary).calculate(&study, &mut Memory::default()).unwrap().credits[0][2].coefficient[0]
    };
    assert_eq!(of(None, json!({})), 1.0);
    assert_eq!(of(None, json!({ "coefficient": 0.04 })), 0.04);
    assert_eq!(of(Some(0.3), json!({ "coefficient": 0.04 })), 0.3);
    assert_eq!(of(None, json!({ "coefficient": 0.0 })), 0.0);
}

/// 43: an all-wrong group has advantage 0 and is rescued by the extra term alone.
#[test]
fn only_where_all_are_wrong() {
    let of = |rewards: [f64; 2]| {
        let study = explained(rewards, None).0;
        method(json!({ "apply": "all_wrong", "coefficient": 0.5 })).calculate(&study, &mut Memory::default()).unwrap()
    };
    let wrong = of([0.0, 0.0]);
    assert_eq!(wrong.credits[0][2].coefficient, [0.5; 3]);
    assert_eq!(wrong.parts[0][0].gradients.logp, [0.0, 0.0]);
    assert_eq!(wrong.parts[0][2].gradients.logp, [-0.25, -0.25, 0.0]);
    for rewards in [[1.0, 0.0], [1.0, 1.0]] {
        let other = of(rewards);
        assert_eq!(other.credits[0][2].coefficient, [0.0; 3]);
        assert_eq!(other.parts[0][2].loss, 0.0);
    }
}

/// 43: a group of which nothing is known is not taken for wrong.
#[test]
fn without_rewards_nothing_is_all_wrong() {
    let mut study = explained([0.0, 0.0], Some(0.3)).0;
    for trajectory in &mut study.groups[0].trajectories {
        trajectory.reward = None;
    }
    let credits = |apply: &str| {
        let auxiliary: Auxiliary = serde_json::from_value(json!({ "apply": apply })).unwrap();
        let objective = Objective { auxiliary, ..Objective::default() };
        let mut groups = study.groups.clone();
        groups.remove(1);
        Method { objective, ..Method::default() }.credit(&mut groups, &mut Memory::default())
    };
    assert_eq!(credits("all_wrong").unwrap()[0][2].coefficient, [0.0; 3]);
    assert_eq!(credits("always").unwrap()[0][2].coefficient, [0.3; 3]);
}

/// 59: under the sampling context ratios are small from the first update on; a right answer keeps a weight of its
/// ratio, a wrong one drops out.
#[test]
fn guided_answers_under_the_sampling_context() {
    let (plain, hinted) = (-7.0, -0.2);
    let batch = vec![group(&[(1.0, &[plain], &[hinted], 1.0), (0.0, &[plain], &[hinted], -1.0)])];
    let choice: Objective = serde_json::from_value(json!({ "context": "sampled", "denominator": "tokens" })).unwrap();
    let parts = evaluate(&choice, &batch);
    near(&slopes(&parts), &[-0.5 * (plain - hinted).exp(), 0.0], 1e-16);
    assert!(parts[0][0].gradients.logp[0] != 0.0);
}

#[test]
fn what_a_batch_lacks_is_an_error_with_its_place() {
    for name in ["regression", "rebel", "disco", "nft", "dpo"] {
        let mut batch = vec![group(&[(1.0, &[-1.0], &[-1.0], 1.0), (0.0, &[-1.0], &[-1.0], 0.0)])];
        batch[0][1].trajectory.reward = Some(f64::NAN);
        let objective = objective(&json!({ name: {} }), Denominator::Tokens);
        let error = objective
            .survey(&Weighting::default(), &seen(&batch))
            .and_then(|survey| objective.evaluate(&Weighting::default(), 0, &seen(&batch)[0], &survey))
            .unwrap_err();
        assert_eq!((error.field.as_str(), error.place.trajectory), ("reward", Some(1)), "{name}");
    }
    let mut batch = vec![group(&[(1.0, &[-1.0], &[-1.0], 1.0)])];
    batch[0][0].rows.logp.clear();
    let disco = objective(&json!({ "disco": {} }), Denominator::Tokens);
    assert_eq!(disco.survey(&Weighting::default(), &seen(&batch)).unwrap_err().field, "logp");
}
