//! Ratio, gate, denominator, divergence, entropy and mismatch against loops written from their formulas.

use cohort_core::{
    Fact, MethodError, Problem, Rows, Trajectory,
    advantage::{Credit, Kept},
    objective::{Evaluation, Objective, Scope, Seen, Staleness, Surrogate, Survey},
    registry::{Axis, Entry, entries},
    trajectory::Role,
    weight::Weighting,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// One trajectory, and what is there to be read of it.
#[derive(Clone, Debug)]
struct Case {
    t: Trajectory,
    credit: Credit,
    rows: Rows,
    old: Vec<f64>,
}

type Batch = Vec<Vec<Case>>;

/// A word of an axis with its parameters, as the registry has them.
#[derive(Clone, Debug)]
struct Choice {
    name: &'static str,
    parameters: Map<String, Value>,
}

impl Choice {
    fn number(&self, name: &str) -> f64 {
        self.parameters[name].as_f64().unwrap()
    }

    fn text(&self, name: &str) -> &str {
        self.parameters[name].as_str().unwrap()
    }
}

#[derive(Clone, Debug)]
struct Choices {
    ratio: Choice,
    gate: Choice,
    denominator: Choice,
    divergence: Option<Choice>,
    entropy: Choice,
    mismatch: Choice,
}

struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.unit() * (high - low)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }

    fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    fn of<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())]
    }

    fn list(&mut self, n: usize, low: f64, high: f64) -> Vec<f64> {
        (0..n).map(|_| self.between(low, high)).collect()
    }

    /// A difference of log-probabilities: small, none, or up to `wild`.
    fn gap(&mut self, wild: f64) -> f64 {
        match self.below(10) {
            0 => 0.0,
            1 | 2 => self.between(-wild, wild),
            _ => self.between(-0.5, 0.5),
        }
    }

    fn case(&mut self, wild: f64, calm: f64) -> Case {
        let n = self.below(7);
        let logp = self.list(n, -6.0, -0.02);
        let near = |random: &mut Self| -> Vec<f64> { logp.iter().map(|p| (p + random.gap(wild)).min(-0.01)).collect() };
        let (old, reference, behaviour) = (near(self), near(self), near(self));
        let masked = self.chance(0.1);
        let advantage = self.of(&[-2.0, -0.5, 0.0, 0.7, 3.0]);
        let each = self.chance(0.5);
        let t = Trajectory {
            role: if self.chance(0.1) { Role::Auxiliary } else { Role::Member },
            mask: (0..n).map(|_| f64::from(!masked && self.chance(0.8))).collect(),
            segment: (0..n).map(|_| self.below(3) as u32).collect(),
            ref_logp: Some(reference),
            behaviour_logp: Some(behaviour),
            facts: {
                let mut facts = cohort_core::Facts::default();
                let scale = self.list(n, 0.0, 1.5);
                facts.insert("noise_scale", Fact::List(scale));
                facts
            },
            ..Trajectory::default()
        };
        let coefficient = if each { self.list(n, -3.0, 3.0) } else { vec![advantage; n] };
        let kept = if self.chance(0.1) { Kept::Dropped } else { Kept::Trained };
        let entropy = self.list(n, 0.0, calm);
        let (kl_old, kl_ref) = (self.list(n, 0.0, 0.3), self.list(n, 0.0, 0.3));
        let rows = Rows { logp, entropy, kl_old: Some(kl_old), kl_ref: Some(kl_ref) };
        Case { t, credit: Credit { coefficient, kept }, rows, old }
    }

    fn batch(&mut self, wild: f64) -> Batch {
        let calm = self.of(&[0.2, 2.5]);
        let groups = 1 + self.below(4);
        (0..groups).map(|_| (0..1 + self.below(4)).map(|_| self.case(wild, calm)).collect()).collect()
    }

    /// The registry's defaults, or numbers in range.
    fn choice(&mut self, entry: &'static Entry, defaults: bool) -> Choice {
        let mut parameters = Map::new();
        let mut low = 0.0;
        for p in entry.parameters {
            let default = p.default.parse::<f64>().map_or_else(|_| json!(p.default), |x| json!(x));
            let value = if defaults {
                default
            } else {
                match (entry.axis, entry.name, p.name) {
                    (_, _, "against") => json!(self.of(&["old", "behaviour"])),
                    (_, _, "order") => json!(self.of(&["largest", "first"])),
                    (_, _, "level") => json!(self.of(&["token", "sequence", "geometric"])),
                    (Axis::Gate, "tv_mask", "low" | "high") => json!(self.between(0.01, 0.2)),
                    (Axis::Gate, "kl_mask", "low" | "high") => json!(self.between(0.005, 0.1)),
                    (_, _, "low") => {
                        low = self.between(0.05, 0.4);
                        json!(low)
                    }
                    (_, _, "high") => json!(low + self.between(0.05, 0.5)),
                    (_, _, "c" | "cap") => json!(self.between(1.1, 3.0)),
                    (_, _, "floor") => json!(self.between(0.0, 0.9)),
                    (_, _, "positive" | "negative") => json!(self.between(0.4, 3.0)),
                    (_, _, "delta") => json!(self.between(0.01, 0.4)),
                    (_, _, "fraction") => json!(self.between(0.05, 0.9)),
                    (_, _, "least") => json!(self.between(-2.0, 0.0)),
                    (_, _, "most") => json!(self.between(0.5, 3.0)),
                    (_, _, "coefficient" | "weight") => json!(self.between(0.05, 1.0)),
                    (_, _, "target") => json!(self.between(0.05, 2.0)),
                    (_, _, "step") => json!(self.between(0.001, 0.01)),
                    (_, _, "length" | "divisor") => json!(self.between(0.5, 50.0)),
                    (_, _, "difference" | "value") => json!(self.between(0.1, 1.5)),
                    other => panic!("no range for {other:?}"),
                }
            };
            parameters.insert(p.name.to_owned(), value);
        }
        Choice { name: entry.name, parameters }
    }

    fn any(&mut self, axis: Axis) -> Choice {
        let entry = self.of(&of(axis));
        self.choice(entry, false)
    }

    fn choices(&mut self) -> Choices {
        Choices {
            ratio: self.any(Axis::Ratio),
            gate: self.any(Axis::Gate),
            denominator: self.any(Axis::Denominator),
            divergence: self.chance(0.7).then(|| self.any(Axis::Divergence)),
            entropy: self.any(Axis::Entropy),
            mismatch: self.any(Axis::Mismatch),
        }
    }
}

fn of(axis: Axis) -> Vec<&'static Entry> {
    entries().filter(|e| e.axis == axis).collect()
}

fn plain(axis: Axis, name: &str) -> Choice {
    let entry = of(axis).into_iter().find(|e| e.name == name).unwrap();
    Random(0).choice(entry, true)
}

/// Nothing beside ratio and gate.
fn bare(ratio: Choice, gate: Choice) -> Choices {
    Choices {
        ratio,
        gate,
        denominator: plain(Axis::Denominator, "sequence"),
        divergence: None,
        entropy: plain(Axis::Entropy, "none"),
        mismatch: plain(Axis::Mismatch, "none"),
    }
}

/// Coefficient of the divergence.
const BETA: f64 = 0.3;

/// As a recipe says it. With `short`, parameters are left to their defaults.
fn objective(c: &Choices, short: bool) -> Objective {
    let word = |choice: &Choice| match (choice.parameters.is_empty(), short) {
        (true, _) => json!(choice.name),
        (false, true) => json!({ choice.name: {} }),
        (false, false) => json!({ choice.name: choice.parameters }),
    };
    let kl = c.divergence.as_ref().map(|d| json!({"estimator": word(d), "coefficient": BETA}));
    let value = json!({
        "surrogate": {"policy_gradient": {"ratio": word(&c.ratio), "gate": word(&c.gate)}},
        "denominator": word(&c.denominator),
        "kl": kl,
        "entropy": word(&c.entropy),
        "mismatch": word(&c.mismatch),
    });
    serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{value}: {e}"))
}

fn seen(batch: &Batch) -> Vec<Vec<Seen<'_>>> {
    let one = |c| {
        let Case { t, credit, rows, old }: &Case = c;
        Seen { trajectory: t, credit, rows, old_logp: old }
    };
    batch.iter().map(|group| group.iter().map(one).collect()).collect()
}

type Evaluated = Result<Vec<Vec<Evaluation>>, MethodError>;

fn surveyed(objective: &Objective, batch: &Batch, survey: &Survey) -> Evaluated {
    let weighting = Weighting::default();
    seen(batch).iter().enumerate().map(|(g, group)| objective.evaluate(&weighting, g, group, survey)).collect()
}

fn run(objective: &Objective, batch: &Batch) -> Evaluated {
    let survey = objective.survey(&Weighting::default(), &seen(batch))?;
    surveyed(objective, batch, &survey)
}

fn total(parts: &[Vec<Evaluation>]) -> f64 {
    parts.iter().flatten().map(|part| part.loss).sum()
}

// The formulas. `live` moves, `frozen` is what every stop-gradient reads.

fn counted(c: &Case) -> bool {
    c.t.role == Role::Member && c.credit.kept == Kept::Trained
}

fn trained(c: &Case) -> Vec<usize> {
    (0..c.t.mask.len()).filter(|&i| c.t.mask[i] != 0.0).collect()
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

fn old_rows(ratio: &str, frozen: &Case) -> Vec<f64> {
    if ratio == "none" { frozen.rows.logp.clone() } else { frozen.old.clone() }
}

fn ratio_of(choice: &Choice, live: &Case, frozen: &Case, i: usize) -> f64 {
    let gap = |c: &Case, j: usize| c.rows.logp[j] - c.old[j];
    let all = trained(live);
    let gaps = |c: &Case, which: &[usize]| which.iter().map(|&j| gap(c, j)).collect::<Vec<_>>();
    let own = live.rows.logp[i] - frozen.rows.logp[i];
    match choice.name {
        "none" => own.exp(),
        "token" | "step" => live.rows.logp[i].exp() / live.old[i].exp(),
        "sequence" => gaps(live, &all).iter().sum::<f64>().exp(),
        "geometric" => mean(&gaps(live, &all)).exp(),
        "sequence_token" => mean(&gaps(frozen, &all)).exp() * own.exp(),
        "segment" => {
            let same: Vec<usize> = all.into_iter().filter(|&j| live.t.segment[j] == live.t.segment[i]).collect();
            mean(&gaps(live, &same)).exp()
        }
        "ratio_norm" => {
            let s = live.t.facts.list("noise_scale").unwrap()[i];
            ((gap(live, i) + live.rows.kl_old.as_ref().unwrap()[i]) * s).exp()
        }
        "geometric_clip" => {
            let (low, high) = (choice.number("low"), choice.number("high"));
            let clipped = |j: usize| {
                let (d, a) = (gap(live, j), live.credit.coefficient[j]);
                let sign = if a == 0.0 { 0.0 } else { a.signum() };
                sign * f64::min(sign * d, sign * d.max(-low).min(high))
            };
            mean(&all.iter().map(|&j| clipped(j)).collect::<Vec<_>>()).exp()
        }
        other => panic!("no oracle for the ratio {other}"),
    }
}

fn clip(r: f64, a: f64, low: f64, high: f64) -> f64 {
    f64::min(r * a, r.max(1.0 - low).min(1.0 + high) * a)
}

fn covariances(frozen: &Batch) -> Vec<(f64, usize, usize, usize)> {
    let (mut logp, mut advantage, mut places) = (vec![], vec![], vec![]);
    for (g, group) in frozen.iter().enumerate() {
        for (t, c) in group.iter().enumerate().filter(|(_, c)| counted(c)) {
            for i in trained(c) {
                logp.push(c.rows.logp[i]);
                advantage.push(c.credit.coefficient[i]);
                places.push((g, t, i));
            }
        }
    }
    // Where all are equal the mean is that number, not one that rounding puts beside it.
    let exact =
        |x: &[f64]| x.first().map_or(0.0, |first| first + mean(&x.iter().map(|x| x - first).collect::<Vec<_>>()));
    let (p, a) = (exact(&logp), exact(&advantage));
    let of = |k: usize| (advantage[k] - a) * (logp[k] - p);
    places.iter().enumerate().map(|(k, &(g, t, i))| (of(k), g, t, i)).collect()
}

fn selected(c: &Choices, frozen: &Batch) -> Vec<(usize, usize, usize)> {
    let mut all = covariances(frozen);
    let count = match c.gate.name {
        "clip_cov" | "kl_cov" => usize::max(1, (c.gate.number("fraction") * all.len() as f64) as usize),
        _ => return vec![],
    };
    if c.gate.name == "clip_cov" {
        let (least, most) = (c.gate.number("least"), c.gate.number("most"));
        let (low, high) = (c.gate.number("low"), c.gate.number("high"));
        all.retain(|&(covariance, g, t, i)| {
            let case = &frozen[g][t];
            let (r, a) = (ratio_of(&c.ratio, case, case, i), case.credit.coefficient[i]);
            covariance > least && covariance < most && clip(r, a, low, high) == r * a
        });
    }
    if c.gate.name == "kl_cov" || c.gate.text("order") == "largest" {
        let logp = |&(_, g, t, i): &(f64, usize, usize, usize)| frozen[g][t].rows.logp[i];
        all.sort_by(|a, b| (b.0 as f32).total_cmp(&(a.0 as f32)).then(logp(b).total_cmp(&logp(a))));
    }
    all.into_iter().take(count).map(|(_, g, t, i)| (g, t, i)).collect()
}

fn gate_of(c: &Choices, live: &Case, frozen: &Case, i: usize, selected: bool) -> f64 {
    let p = |name: &str| c.gate.number(name);
    let r = ratio_of(&c.ratio, live, frozen, i);
    let constant = ratio_of(&c.ratio, frozen, frozen, i);
    let a = live.credit.coefficient[i];
    let old = old_rows(c.ratio.name, frozen);
    let logp = live.rows.logp[i];
    match c.gate.name {
        "none" => r * a,
        "clip" | "clip_higher" => clip(r, a, p("low"), p("high")),
        "dual_clip" => {
            let clipped = clip(r, a, p("low"), p("high"));
            if a < 0.0 { f64::max(clipped, p("c") * a) } else { clipped }
        }
        "cispo" => constant.max(1.0 - p("low")).min(1.0 + p("high")) * a * logp,
        "soft" => {
            let t = if a > 0.0 { p("positive") } else { p("negative") };
            a * 4.0 / t / (1.0 + (-t * (r - 1.0)).exp())
        }
        "sequence_mask" => {
            let from = if c.gate.text("against") == "old" { old } else { frozen.t.behaviour_logp.clone().unwrap() };
            let drift = mean(&trained(frozen).iter().map(|&j| from[j] - frozen.rows.logp[j]).collect::<Vec<_>>());
            if a < 0.0 && drift > p("delta") { 0.0 } else { clip(r, a, p("low"), p("high")) }
        }
        "tv_mask" => {
            let moved = frozen.rows.logp[i].exp() - old[i].exp();
            let kept = if a > 0.0 { moved <= p("high") } else { moved >= -p("low") };
            if kept { constant.min(p("cap")) * a * logp } else { 0.0 }
        }
        "kl_mask" => {
            let (u, o) = (frozen.rows.logp[i].exp(), old[i].exp());
            let k = o * (old[i] - frozen.rows.logp[i]) + (1.0 - o) * ((1.0 - o + 1e-8) / (1.0 - u + 1e-8)).ln();
            let kept = if a > 0.0 { k <= p("high") || u <= o } else { k <= p("low") || u >= o };
            if kept { constant.min(p("cap")) * a * logp } else { 0.0 }
        }
        "clip_cov" => {
            if selected {
                0.0
            } else {
                clip(r, a, p("low"), p("high"))
            }
        }
        "kl_cov" => r * a - if selected { p("coefficient") * (logp - old[i]).abs() } else { 0.0 },
        other => panic!("no oracle for the gate {other}"),
    }
}

fn weight_of(choice: &Choice, batch: &Batch, g: usize, t: usize, i: usize) -> f64 {
    let sum = |c: &Case| if counted(c) { c.t.mask.iter().sum::<f64>() } else { 0.0 };
    let members = batch.iter().flatten().filter(|c| counted(c)).count() as f64;
    let case = &batch[g][t];
    let denominator = match choice.name {
        "sequence" => members * sum(case),
        "tokens" => batch.iter().flatten().map(sum).sum(),
        "constant" => members * choice.number("length"),
        "fixed" => choice.number("divisor"),
        "group_tokens" => {
            let groups = batch.iter().filter(|group| group.iter().any(counted)).count() as f64;
            groups * batch[g].iter().map(sum).sum::<f64>()
        }
        "segment" => {
            let mut seen: Vec<u32> = trained(case).iter().map(|&j| case.t.segment[j]).collect();
            let own = seen.iter().filter(|&&s| s == case.t.segment[i]).count() as f64;
            seen.sort_unstable();
            seen.dedup();
            members * seen.len() as f64 * own
        }
        other => panic!("no oracle for the denominator {other}"),
    };
    case.t.mask[i] / denominator
}

fn divergence_of(choice: &Choice, live: &Case, i: usize) -> f64 {
    let (logp, reference) = (live.rows.logp[i], live.t.ref_logp.as_ref().unwrap()[i]);
    let q = (reference - logp).exp();
    match choice.name {
        "k1" => logp - reference,
        "k2" => (logp - reference).powi(2) / 2.0,
        "k3" => q - 1.0 - (reference - logp),
        "abs" => (logp - reference).abs(),
        "exact" => live.rows.kl_ref.as_ref().unwrap()[i],
        "corrected" => (logp - live.old[i]).exp() * (q - 1.0 - (reference - logp)),
        "k3_clamped" => {
            let bound = choice.number("difference");
            let d = (reference - logp).max(-bound).min(bound);
            f64::min(d.exp() - d - 1.0, choice.number("value"))
        }
        other => panic!("no oracle for the divergence {other}"),
    }
}

fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = q * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (at - at.floor()) * (above - below)
}

/// What the entropy adds to the loss of a trajectory.
fn entropy_of(c: &Choices, live: &Batch, frozen: &Batch, g: usize, t: usize) -> f64 {
    let bonus = |coefficient: f64| -> f64 {
        let of = |i: usize| weight_of(&c.denominator, live, g, t, i) * live[g][t].rows.entropy[i];
        -coefficient * trained(&live[g][t]).into_iter().map(of).sum::<f64>()
    };
    match c.entropy.name {
        "none" => 0.0,
        "bonus" => bonus(c.entropy.number("coefficient")),
        "adaptive" => {
            let members = frozen.iter().flatten().filter(|c| counted(c));
            let all: Vec<f64> = members.flat_map(|c| trained(c).into_iter().map(|i| c.rows.entropy[i])).collect();
            if mean(&all) <= c.entropy.number("target") { bonus(c.entropy.number("coefficient")) } else { 0.0 }
        }
        "band" => {
            let before = &frozen[g][t];
            let all: Vec<f64> = trained(before).iter().map(|&i| before.rows.entropy[i]).collect();
            if all.is_empty() {
                return 0.0;
            }
            let fork = quantile(&all, 1.0 - c.entropy.number("fraction"));
            let forks: Vec<usize> = trained(before).into_iter().filter(|&i| before.rows.entropy[i] >= fork).collect();
            let those: Vec<f64> = forks.iter().map(|&i| before.rows.entropy[i]).collect();
            let (low, high) = (quantile(&those, c.entropy.number("low")), quantile(&those, c.entropy.number("high")));
            let hinge = |h: f64| f64::max(0.0, h - high) + f64::max(0.0, low - h);
            let hinges: Vec<f64> = forks.iter().map(|&i| hinge(live[g][t].rows.entropy[i])).collect();
            let members = live.iter().flatten().filter(|c| counted(c)).count() as f64;
            c.entropy.number("weight") * mean(&hinges) / members
        }
        other => panic!("no oracle for the entropy {other}"),
    }
}

fn factor_of(choice: &Choice, c: &Case, i: usize) -> f64 {
    if choice.name == "none" {
        return 1.0;
    }
    let gap = |j: usize| c.old[j] - c.t.behaviour_logp.as_ref().unwrap()[j];
    let all: Vec<f64> = trained(c).into_iter().map(gap).collect();
    let w = match choice.text("level") {
        "token" => gap(i).exp(),
        "sequence" => all.iter().sum::<f64>().exp(),
        "geometric" => mean(&all).exp(),
        other => panic!("no oracle for the level {other}"),
    };
    match choice.name {
        "truncate" => w.max(choice.number("floor")).min(choice.number("cap")),
        "mask" if w < choice.number("low") || w > choice.number("high") => 0.0,
        "mask" => w,
        other => panic!("no oracle for the mismatch {other}"),
    }
}

fn oracle(c: &Choices, live: &Batch, frozen: &Batch) -> f64 {
    let picked = selected(c, frozen);
    let mut loss = 0.0;
    for (g, group) in live.iter().enumerate() {
        for (t, case) in group.iter().enumerate() {
            if case.t.role == Role::Auxiliary {
                for i in trained(case) {
                    loss -= case.credit.coefficient[i] * case.rows.logp[i] / live.len() as f64;
                }
            }
            if !counted(case) {
                continue;
            }
            for i in trained(case) {
                let w = weight_of(&c.denominator, live, g, t, i);
                let gate = gate_of(c, case, &frozen[g][t], i, picked.contains(&(g, t, i)));
                loss -= w * factor_of(&c.mismatch, case, i) * gate;
                loss += c.divergence.as_ref().map_or(0.0, |d| w * BETA * divergence_of(d, case, i));
            }
            loss += entropy_of(c, live, frozen, g, t);
        }
    }
    loss
}

fn close(got: f64, want: f64, scale: f64, tolerance: f64) -> bool {
    (got - want).abs() <= tolerance * scale.max(want.abs()).max(1.0)
}

fn pairs() -> impl Iterator<Item = (&'static Entry, &'static Entry)> {
    of(Axis::Ratio).into_iter().flat_map(|ratio| of(Axis::Gate).into_iter().map(move |gate| (ratio, gate)))
}

fn agrees(c: &Choices, batch: &Batch, short: bool) {
    let got = total(&run(&objective(c, short), batch).unwrap_or_else(|e| panic!("{c:?}: {e}")));
    let want = oracle(c, batch, batch);
    // Terms of both signs cancel: the scale is that of the largest ratio.
    let ratios = batch.iter().flatten().flat_map(|t| trained(t).into_iter().map(|i| ratio_of(&c.ratio, t, t, i)));
    let scale = ratios.fold(1.0, f64::max);
    assert!(close(got, want, scale, 1e-12), "{c:?}: {got} and not {want}");
}

#[test]
fn every_ratio_with_every_gate_agrees_with_its_loop() {
    let mut random = Random(1);
    for (ratio, gate) in pairs() {
        for turn in 0..40 {
            let short = turn % 4 == 0;
            let c = bare(random.choice(ratio, short), random.choice(gate, short));
            agrees(&c, &random.batch(8.0), short);
        }
    }
}

#[test]
fn every_other_choice_agrees_with_its_loop() {
    let mut random = Random(2);
    for axis in [Axis::Denominator, Axis::Divergence, Axis::Entropy, Axis::Mismatch] {
        for entry in of(axis) {
            for turn in 0..100 {
                let short = turn % 4 == 0;
                let mut c = bare(plain(Axis::Ratio, "token"), plain(Axis::Gate, "clip"));
                let choice = random.choice(entry, short);
                match axis {
                    Axis::Denominator => c.denominator = choice,
                    Axis::Divergence => c.divergence = Some(choice),
                    Axis::Entropy => c.entropy = choice,
                    _ => c.mismatch = choice,
                }
                agrees(&c, &random.batch(4.0), short);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_combination_agrees_with_its_loop(seed in any::<u64>()) {
        let mut random = Random(seed);
        let c = random.choices();
        let batch = random.batch(4.0);
        agrees(&c, &batch, false);
    }

    /// However a batch is cut into whole groups, whatever comes first, and whether the rows of other groups are there
    /// or not: the same bits. Batch-scope choices get theirs from one survey.
    #[test]
    fn every_split_gives_the_same_bits(seed in any::<u64>()) {
        let mut random = Random(seed);
        let objective = objective(&random.choices(), false);
        let batch = random.batch(2.0);
        let weighting = Weighting::default();
        let whole = run(&objective, &batch).unwrap();
        let mut rowless = batch.clone();
        if objective.scope() < Scope::Batch {
            for case in rowless.iter_mut().flatten() {
                case.rows = Rows::default();
                case.old = Vec::new();
            }
        }
        let survey = objective.survey(&weighting, &seen(&rowless)).unwrap();
        for g in (0..batch.len()).rev() {
            let alone = vec![batch[g].clone()];
            let part = objective.evaluate(&weighting, g, &seen(&alone)[0], &survey).unwrap();
            prop_assert_eq!(&part, &whole[g]);
        }
    }

    #[test]
    fn the_order_of_groups_and_members_does_not_matter(seed in any::<u64>()) {
        let mut random = Random(seed);
        let mut c = random.choices();
        if c.gate.name == "clip_cov" {
            c.gate.parameters.insert("order".to_owned(), json!("largest"));
        }
        let objective = objective(&c, false);
        let batch = random.batch(2.0);
        let turned: Batch = batch.iter().rev().map(|group| group.iter().rev().cloned().collect()).collect();
        let (one, other) = (run(&objective, &batch).unwrap(), run(&objective, &turned).unwrap());
        let other: Vec<Vec<Evaluation>> = other.into_iter().rev().map(|g| g.into_iter().rev().collect()).collect();
        for (a, b) in one.iter().flatten().zip(other.iter().flatten()) {
            prop_assert!(close(a.loss, b.loss, 1.0, 1e-12), "{c:?} {} {}", a.loss, b.loss);
            for (x, y) in a.gradients.logp.iter().zip(&b.gradients.logp) {
                prop_assert!(close(*x, *y, 1.0, 1e-12), "{x} {y}");
            }
        }
    }

    #[test]
    fn inputs_rounded_to_f32_change_little(seed in any::<u64>()) {
        let mut random = Random(seed);
        let c = random.choices();
        let batch = random.batch(2.0);
        let mut rounded = batch.clone();
        let round = |column: &mut Vec<f64>| column.iter_mut().for_each(|x| *x = f64::from(*x as f32));
        for case in rounded.iter_mut().flatten() {
            round(&mut case.rows.logp);
            round(&mut case.rows.entropy);
            round(&mut case.old);
            round(&mut case.credit.coefficient);
            round(case.t.ref_logp.as_mut().unwrap());
            round(case.t.behaviour_logp.as_mut().unwrap());
        }
        // A rounded action may fall on the other side of a bound: the loop says where.
        let (fine, coarse) = (oracle(&c, &batch, &batch), oracle(&c, &rounded, &rounded));
        prop_assume!(close(coarse, fine, 1.0, 1e-4));
        let objective = objective(&c, false);
        let got = total(&run(&objective, &rounded).unwrap());
        prop_assert!(close(got, total(&run(&objective, &batch).unwrap()), 1.0, 1e-5), "{c:?}");
    }
}

/// The column of a case that is moved.
fn column<'a>(case: &'a mut Case, name: &str) -> &'a mut Vec<f64> {
    match name {
        "logp" => &mut case.rows.logp,
        "entropy" => &mut case.rows.entropy,
        "kl_old" => case.rows.kl_old.as_mut().unwrap(),
        _ => case.rows.kl_ref.as_mut().unwrap(),
    }
}

/// Compares every derivative with difference quotients of the loop; returns how many lay across a kink of it.
fn differences(c: &Choices, batch: &Batch) -> (usize, usize) {
    let parts = run(&objective(c, false), batch).unwrap_or_else(|e| panic!("{c:?}: {e}"));
    let h = 1e-5;
    let (mut kinks, mut all) = (0, 0);
    let here = oracle(c, batch, batch);
    for g in 0..batch.len() {
        for t in 0..batch[g].len() {
            for name in ["logp", "entropy", "kl_old", "kl_ref"] {
                let gradients = &parts[g][t].gradients;
                let of = match name {
                    "logp" => Some(&gradients.logp),
                    "entropy" => gradients.entropy.as_ref(),
                    "kl_old" => gradients.kl_old.as_ref(),
                    _ => gradients.kl_ref.as_ref(),
                };
                for i in 0..batch[g][t].t.len() {
                    let moved = |by: f64| {
                        let mut other = batch.clone();
                        column(&mut other[g][t], name)[i] += by;
                        oracle(c, &other, batch)
                    };
                    let (up, down) = ((moved(h) - here) / h, (here - moved(-h)) / h);
                    let (got, scale) = (of.map_or(0.0, |of| of[i]), up.abs().max(down.abs()).max(here.abs()));
                    all += 1;
                    if !close(up, down, scale, 1e-3) {
                        kinks += 1;
                        // Its derivative is that of one side, or between them.
                        let (low, high) = (up.min(down) - 1e-3 * scale, up.max(down) + 1e-3 * scale);
                        assert!((low..=high).contains(&got), "{c:?} {name}: {got} and not {low}..{high}");
                        continue;
                    }
                    assert!(close(got, (up + down) / 2.0, scale, 1e-6), "{c:?} {name} {i}: {got}, not {up} {down}");
                }
            }
        }
    }
    (kinks, all)
}

#[test]
fn every_derivative_of_every_pair_is_a_central_difference() {
    let mut random = Random(3);
    let (mut kinks, mut all) = (0, 0);
    for (ratio, gate) in pairs() {
        for _ in 0..4 {
            let c = bare(random.choice(ratio, false), random.choice(gate, false));
            let (k, n) = differences(&c, &random.batch(1.5));
            kinks += k;
            all += n;
        }
    }
    assert!(kinks * 50 < all, "{kinks} of {all} at a kink");
}

#[test]
fn every_derivative_of_any_combination_is_a_central_difference() {
    let mut random = Random(4);
    for axis in [Axis::Denominator, Axis::Divergence, Axis::Entropy, Axis::Mismatch] {
        for entry in of(axis) {
            for _ in 0..6 {
                let mut c = random.choices();
                let choice = random.choice(entry, false);
                match axis {
                    Axis::Denominator => c.denominator = choice,
                    Axis::Divergence => c.divergence = Some(choice),
                    Axis::Entropy => c.entropy = choice,
                    _ => c.mismatch = choice,
                }
                differences(&c, &random.batch(1.5));
            }
        }
    }
}

/// The rows of now are the old rows.
fn on_policy(batch: &mut Batch) {
    for case in batch.iter_mut().flatten() {
        case.old.clone_from(&case.rows.logp);
        case.rows.kl_old = Some(vec![0.0; case.old.len()]);
    }
}

#[test]
fn on_policy_every_ratio_is_1_and_the_surrogate_minus_the_mean_advantage() {
    let mut random = Random(5);
    for (ratio, gate) in pairs() {
        for _ in 0..10 {
            let mut batch = random.batch(1.0);
            on_policy(&mut batch);
            let c = bare(random.choice(ratio, true), random.choice(gate, true));
            let parts = run(&objective(&c, true), &batch).unwrap();
            for (g, t) in (0..batch.len()).flat_map(|g| (0..batch[g].len()).map(move |t| (g, t))) {
                let (case, part) = (&batch[g][t], &parts[g][t]);
                let max = part.metrics.get("ratio_max");
                assert_eq!(max, (counted(case) && !trained(case).is_empty()).then_some(1.0), "{c:?}");
                if !counted(case) || gate.name == "clip_cov" {
                    continue;
                }
                let w = |i: usize| weight_of(&c.denominator, &batch, g, t, i);
                let mean: f64 = trained(case).iter().map(|&i| w(i) * case.credit.coefficient[i]).sum();
                if ["none", "clip", "clip_higher", "dual_clip", "sequence_mask", "kl_cov"].contains(&gate.name) {
                    assert!(close(part.loss, -mean, 1.0, 1e-13), "{c:?}");
                }
                // With one advantage a trajectory every ratio is as good as the action's own.
                let even = case.credit.coefficient.iter().all(|a| *a == case.credit.coefficient[0]);
                let whole = ["sequence", "ratio_norm"].contains(&ratio.name) || !even;
                let own = ["none", "token", "step", "sequence_token"].contains(&ratio.name);
                let constant = ["cispo", "tv_mask", "kl_mask"].contains(&gate.name);
                if own || constant || !whole {
                    for i in trained(case) {
                        let want = -w(i) * case.credit.coefficient[i];
                        let got = part.gradients.logp[i];
                        assert!(close(got, want, 0.0, 1e-13), "{c:?}: {got} {want}");
                    }
                }
            }
        }
    }
}

#[test]
fn huge_and_tiny_ratios_are_finite_or_an_error_that_names_the_ratio() {
    let mut random = Random(6);
    for (ratio, gate) in pairs() {
        for far in [50.0, -50.0, 800.0, -800.0] {
            let mut batch = random.batch(1.0);
            for case in batch.iter_mut().flatten() {
                case.old = case.rows.logp.iter().map(|p| p - far).collect();
                if far > 0.0 && ["tv_mask", "kl_mask"].contains(&gate.name) {
                    case.rows.logp.iter_mut().for_each(|p| *p = p.min(-0.01));
                }
            }
            let mut c = bare(random.choice(ratio, true), random.choice(gate, true));
            c.divergence = Some(plain(Axis::Divergence, "k3"));
            match run(&objective(&c, true), &batch) {
                Ok(parts) => {
                    for part in parts.iter().flatten() {
                        assert!(part.loss.is_finite() && part.gradients.logp.iter().all(|d| d.is_finite()), "{c:?}");
                    }
                }
                Err(MethodError { field, problem, .. }) => {
                    let overflow = field == "ratio" && matches!(problem, Problem::NotFinite { .. }) && far == 800.0;
                    let density = field == "old_logp" && matches!(problem, Problem::Unfit { .. }) && far < 0.0;
                    let long = field == "ratio" && far == 50.0 && ratio.name == "sequence";
                    assert!(overflow || density || long, "{c:?}: {field} {problem}");
                }
            }
        }
    }
}

#[test]
fn no_two_words_are_one_function() {
    let axes = [Axis::Ratio, Axis::Gate, Axis::Denominator, Axis::Divergence, Axis::Entropy, Axis::Mismatch];
    for axis in axes {
        let with = |choice: Choice| {
            let mut c = bare(plain(Axis::Ratio, "token"), plain(Axis::Gate, "none"));
            match axis {
                Axis::Ratio => c.ratio = choice,
                Axis::Gate => c.gate = choice,
                Axis::Denominator => c.denominator = choice,
                Axis::Divergence => c.divergence = Some(choice),
                Axis::Entropy => c.entropy = choice,
                _ => c.mismatch = choice,
            }
            objective(&c, false)
        };
        let words = of(axis);
        for (k, a) in words.iter().enumerate() {
            for b in &words[k + 1..] {
                let says = |x: &Entry, y: &Entry| x.equals.iter().any(|(name, why)| *name == y.name && !why.is_empty());
                let declared = says(a, b) || says(b, a);
                let mut random = Random(7);
                let (one, mut other) = (random.choice(a, true), random.choice(b, true));
                if declared {
                    // The same numbers under both words.
                    for (name, value) in &one.parameters {
                        other.parameters.insert(name.clone(), value.clone());
                    }
                }
                let (one, other) = (with(one), with(other));
                let differ = (0..1000).any(|_| {
                    let batch = random.batch(6.0);
                    let (x, y) = (run(&one, &batch).unwrap(), run(&other, &batch).unwrap());
                    x.iter().flatten().zip(y.iter().flatten()).any(|(x, y)| {
                        x.loss != y.loss
                            || x.gradients.logp != y.gradients.logp
                            || x.gradients.entropy != y.gradients.entropy
                    })
                });
                assert_eq!(differ, !declared, "{axis}: {} and {}", a.name, b.name);
            }
        }
    }
}

// Traps of the systems' notes.

fn trajectory(logp: &[f64], old: &[f64], coefficient: f64) -> Case {
    let n = logp.len();
    Case {
        t: Trajectory { mask: vec![1.0; n], segment: vec![0; n], ..Trajectory::default() },
        credit: Credit::uniform(coefficient, n),
        rows: Rows { logp: logp.to_vec(), entropy: vec![0.0; n], ..Rows::default() },
        old: old.to_vec(),
    }
}

fn parse(value: Value) -> Objective {
    serde_json::from_value(value).unwrap()
}

/// 7: the shift carries a gradient of its own, and a last step without noise neither moves nor breaks anything.
#[test]
fn the_shift_of_a_flow_is_not_detached() {
    let objective = parse(json!({"surrogate": {"policy_gradient": {"ratio": "ratio_norm", "gate": "none"}}}));
    let mut case = trajectory(&[-1.0, -2.0], &[-1.3, -5.0], 2.0);
    case.rows.kl_old = Some(vec![0.1, 0.7]);
    case.t.facts.insert("noise_scale", Fact::List(vec![0.5, 0.0]));
    let part = &run(&objective, &vec![vec![case.clone()]]).unwrap()[0][0];
    let rho = (0.4f64 * 0.5).exp();
    assert!((part.loss + (rho * 2.0 + 2.0) / 2.0).abs() < 1e-15, "{}", part.loss);
    let slope = -rho * 0.5;
    assert!((part.gradients.logp[0] - slope).abs() < 1e-15);
    let kl_old = part.gradients.kl_old.as_ref().unwrap();
    assert!((kl_old[0] - slope).abs() < 1e-15, "detached it would be 0, and the gradient biased");
    assert_eq!((part.gradients.logp[1], kl_old[1]), (0.0, 0.0));
    case.t.facts = cohort_core::Facts::default();
    let error = run(&objective, &vec![vec![case.clone()]]).unwrap_err();
    assert_eq!(error.field, "facts.noise_scale");
    case.t.facts.insert("noise_scale", Fact::List(vec![0.5, 0.0]));
    case.rows.kl_old = None;
    assert_eq!(run(&objective, &vec![vec![case]]).unwrap_err().field, "kl_old");
}

/// A Gaussian flow step: normalised, the log ratio is the mean of noise times the move, without a shift.
#[test]
fn the_normalised_ratio_of_a_flow_has_no_left_shift() {
    let (s, noise, moved) = (0.3, [0.4, -1.2, 0.9, -0.1], [0.02, -0.05, 0.01, 0.03]);
    let density = |mu: f64, x: f64| -(x - mu) * (x - mu) / (2.0 * s * s);
    let mean_of = |f: &dyn Fn(usize) -> f64| (0..4).map(f).sum::<f64>() / 4.0;
    let logp = mean_of(&|d| density(moved[d], s * noise[d]));
    let old = mean_of(&|d| density(0.0, s * noise[d]));
    let shift = mean_of(&|d| moved[d] * moved[d] / (2.0 * s * s));
    let mut case = trajectory(&[logp], &[old], 1.0);
    case.rows.kl_old = Some(vec![shift]);
    case.t.facts.insert("noise_scale", Fact::List(vec![s]));
    let objective = parse(json!({"surrogate": {"policy_gradient": {"ratio": "ratio_norm", "gate": "none"}}}));
    let loss = total(&run(&objective, &vec![vec![case]]).unwrap());
    let want = mean_of(&|d| noise[d] * moved[d]).exp();
    assert!((loss + want).abs() < 1e-14, "{loss} {want}");
    // With sums over dimensions in place of means the log ratio is 4 times as large: a clip's bounds are not the same.
    assert!((4.0 * (logp - old)).exp() != (logp - old).exp());
}

#[test]
fn the_product_and_the_mean_of_ratios_are_not_the_same() {
    let case = trajectory(&[-1.0, -1.0, -1.0], &[-1.1, -1.1, -1.1], 1.0);
    let value = |ratio: &str| {
        let gate = json!({"surrogate": {"policy_gradient": {"ratio": ratio, "gate": "none"}}});
        let parts = run(&parse(gate), &vec![vec![case.clone()]]).unwrap();
        (-parts[0][0].loss, parts[0][0].gradients.logp.clone())
    };
    let ((sequence, by), (geometric, by_mean)) = (value("sequence"), value("geometric"));
    assert!((sequence - 0.3f64.exp()).abs() < 1e-15 && (geometric - 0.1f64.exp()).abs() < 1e-15);
    assert!((by[0] + 0.3f64.exp()).abs() < 1e-15 && (by_mean[0] + 0.1f64.exp() / 3.0).abs() < 1e-15);
}

/// A masked action (a tool's answer) is no part of a shared ratio and gets none of its derivative; one that the
/// mismatch correction zeroes still is a part of the policy's ratio.
#[test]
fn a_shared_ratio_is_made_of_trained_actions() {
    let mut case = trajectory(&[-1.0, -9.0, -2.0], &[-1.2, -1.0, -2.2], 1.0);
    case.t.mask[1] = 0.0;
    case.t.behaviour_logp = Some(vec![-1.2, -1.0, -9.0]);
    let with = |mismatch: Value| {
        let value =
            json!({"surrogate": {"policy_gradient": {"ratio": "geometric", "gate": "none"}}, "mismatch": mismatch});
        run(&parse(value), &vec![vec![case.clone()]]).unwrap().remove(0).remove(0)
    };
    let part = with(json!("none"));
    let s = 0.2f64.exp();
    assert!((part.loss + s).abs() < 1e-14);
    assert_eq!(part.gradients.logp[1], 0.0);
    let part = with(json!({"mask": {}}));
    assert!((part.loss + s / 2.0).abs() < 1e-14, "the factor is no part of the denominator");
    assert!((part.gradients.logp[2] + s / 4.0).abs() < 1e-14, "through the ratio that it shares");
}

/// GMPO: an action without an advantage stays as it is in the mean, also where its rows are equal.
#[test]
fn an_action_without_an_advantage_has_no_derivative_in_a_clipped_mean() {
    let mut case = trajectory(&[-1.0, -2.0], &[-1.1, -2.0], 0.0);
    case.credit.coefficient = vec![1.0, 0.0];
    let ratio = json!({"geometric_clip": {}});
    let objective = parse(json!({"surrogate": {"policy_gradient": {"ratio": ratio, "gate": "none"}}}));
    let part = run(&objective, &vec![vec![case]]).unwrap().remove(0).remove(0);
    let s = 0.05f64.exp();
    assert!((part.loss + s / 2.0).abs() < 1e-15);
    assert!((part.gradients.logp[0] + s / 4.0).abs() < 1e-15);
    assert_eq!(part.gradients.logp[1], 0.0);
}

/// 10, 48: a token mean over the batch, a constant, and the mean of means weigh a long trajectory differently.
#[test]
fn long_trajectories_weigh_what_the_denominator_says() {
    let batch = vec![vec![trajectory(&[-1.0; 6], &[-1.0; 6], 1.0), trajectory(&[-1.0; 2], &[-1.0; 2], -1.0)]];
    let loss = |denominator: Value| total(&run(&parse(json!({"denominator": denominator})), &batch).unwrap());
    assert!(loss(json!("sequence")).abs() < 1e-15);
    assert!((loss(json!("tokens")) + 4.0 / 8.0).abs() < 1e-15);
    assert!((loss(json!({"constant": {"length": 10}})) + 4.0 / 20.0).abs() < 1e-15);
    assert!((loss(json!({"fixed": {"divisor": 1000}})) + 4.0 / 1000.0).abs() < 1e-15);
}

/// 39: the loss on a fifth of the tokens is over the count of that fifth, or steps shrink fivefold.
#[test]
fn a_masked_loss_is_over_the_masks_count() {
    let mut case = trajectory(&[-1.0; 10], &[-1.0; 10], 1.0);
    case.t.mask = (0..10).map(|i| f64::from(i < 2)).collect();
    for denominator in ["sequence", "tokens", "group_tokens", "segment"] {
        let loss = total(&run(&parse(json!({ "denominator": denominator })), &vec![vec![case.clone()]]).unwrap());
        assert!((loss + 1.0).abs() < 1e-15, "{denominator}: {loss}");
    }
}

/// 28: every rank weighs the same, whatever its tokens.
#[test]
fn ranks_weigh_the_same_whatever_their_tokens() {
    let mut case = trajectory(&[-1.0; 5], &[-1.0; 5], 0.0);
    case.t.segment = vec![0, 0, 0, 0, 7];
    case.credit.coefficient = vec![1.0, 1.0, 1.0, 1.0, -1.0];
    let segment = json!({"denominator": "segment", "surrogate": {"policy_gradient": {"ratio": "segment"}}});
    assert!(total(&run(&parse(segment.clone()), &vec![vec![case.clone()]]).unwrap()).abs() < 1e-15);
    case.t.segment.clear();
    let error = run(&parse(segment), &vec![vec![case]]).unwrap_err();
    assert_eq!((error.field.as_str(), error.problem), ("segment", Problem::Missing));
}

#[test]
fn what_is_read_and_not_there_is_named() {
    let mut case = trajectory(&[-1.0], &[-1.0], 1.0);
    let field = |value: Value, case: &Case| run(&parse(value), &vec![vec![case.clone()]]).unwrap_err().field;
    assert_eq!(field(json!({"kl": {}}), &case), "ref_logp");
    assert_eq!(field(json!({"kl": {"estimator": "exact"}}), &case), "kl_ref");
    assert_eq!(field(json!({"mismatch": {"truncate": {}}}), &case), "behaviour_logp");
    let against = json!({"sequence_mask": {"against": "behaviour"}});
    assert_eq!(field(json!({"surrogate": {"policy_gradient": {"gate": against}}}), &case), "behaviour_logp");
    case.rows.entropy.clear();
    for entropy in [json!({"bonus": {}}), json!({"adaptive": {}}), json!({"band": {}})] {
        assert_eq!(field(json!({ "entropy": entropy }), &case), "entropy");
    }
    case.rows.logp[0] = f64::NAN;
    for gate in ["clip", "clip_cov", "kl_cov"] {
        assert_eq!(field(json!({"surrogate": {"policy_gradient": {"gate": {gate: {}}}}}), &case), "logp");
    }
    let density = trajectory(&[2.0], &[2.0], 1.0);
    for gate in ["tv_mask", "kl_mask"] {
        assert_eq!(field(json!({"surrogate": {"policy_gradient": {"gate": {gate: {}}}}}), &density), "logp");
    }
}

#[test]
fn recipes_without_a_second_update_hear_what_is_inert() {
    let staleness = |ratio: Value, gate: Value| {
        let value = json!({"surrogate": {"policy_gradient": {"ratio": ratio, "gate": gate}}});
        let Surrogate::PolicyGradient(it) = parse(value).surrogate else { unreachable!() };
        it.staleness()
    };
    assert_eq!(staleness(json!("token"), json!("none")), Staleness::Any);
    assert!(matches!(staleness(json!("token"), json!({"clip": {}})), Staleness::Inert(what) if what.contains("clip")));
    assert!(matches!(staleness(json!("ratio_norm"), json!({"clip": {}})), Staleness::Second(_)));
    assert!(matches!(staleness(json!({"geometric_clip": {}}), json!("none")), Staleness::Inert(_)));
}
