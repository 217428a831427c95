//! Random batches in the plainest form, and every formula as a loop over them.

use std::collections::BTreeMap;

use cohort_core::{Comparison, Fact, Outcome, Role, Trajectory};
use serde_json::Value;

/// SplitMix64.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

#[derive(Clone, Default)]
pub struct Episode {
    pub terms: BTreeMap<String, Outcome>,
    pub numbers: BTreeMap<String, f64>,
    pub texts: BTreeMap<String, String>,
    pub lists: BTreeMap<String, Vec<f64>>,
    /// The number of actions of every trajectory.
    pub parts: Vec<usize>,
}

/// A group: its episodes, whose trajectories are laid out in turns, with an auxiliary between them.
#[derive(Clone, Default)]
pub struct Plain {
    pub key: String,
    pub episodes: Vec<Episode>,
    pub degraded: f64,
    pub wins: Vec<Vec<f64>>,
    pub wins_in_table: bool,
}

impl Plain {
    pub fn bare(n: usize) -> Self {
        Self { episodes: vec![Episode { parts: vec![2], ..Episode::default() }; n], ..Self::default() }
    }

    /// For every episode, where its trajectories lie in the comparison.
    pub fn trajectories(&self) -> Vec<Vec<usize>> {
        let mut of = vec![Vec::new(); self.episodes.len()];
        // An auxiliary stands first.
        let mut next = 1;
        for turn in 0..self.episodes.iter().map(|e| e.parts.len()).max().unwrap_or(0) {
            for (e, episode) in self.episodes.iter().enumerate() {
                if turn < episode.parts.len() {
                    of[e].push(next);
                    next += 1;
                }
            }
        }
        if self.key.is_empty() {
            of.iter_mut().flatten().for_each(|t| *t -= 1);
        }
        of
    }

    pub fn comparison(&self) -> Comparison {
        let mut group = Comparison { key: self.key.clone(), ..Comparison::default() };
        if !self.key.is_empty() {
            group.trajectories.push(Trajectory { role: Role::Auxiliary, mask: vec![1.0; 2], ..Trajectory::default() });
        }
        group.facts.insert("degraded_accuracy", Fact::Number(self.degraded));
        if self.wins_in_table {
            group.facts.insert("wins", Fact::Table(self.wins.clone()));
        }
        for turn in 0..self.episodes.iter().map(|e| e.parts.len()).max().unwrap_or(0) {
            for (e, episode) in self.episodes.iter().enumerate() {
                let Some(&actions) = episode.parts.get(turn) else { continue };
                // Numbers that are not ordered, so that nothing relies on their order.
                let mut t = Trajectory { episode: (e * 7 + 3) % 16, mask: vec![1.0; actions], ..Trajectory::default() };
                if turn == 0 {
                    t.rewards = episode.terms.clone();
                    episode.numbers.iter().for_each(|(k, v)| t.facts.insert(k.clone(), Fact::Number(*v)));
                    episode.texts.iter().for_each(|(k, v)| t.facts.insert(k.clone(), Fact::Text(v.clone())));
                    episode.lists.iter().for_each(|(k, v)| t.facts.insert(k.clone(), Fact::List(v.clone())));
                    if !self.wins_in_table && !self.wins.is_empty() {
                        t.facts.insert("wins", Fact::List(self.wins[e].clone()));
                    }
                }
                group.trajectories.push(t);
            }
        }
        group
    }
}

fn outcome(chance: &mut Chance, value: f64) -> Outcome {
    match chance.below(16) {
        0 => Outcome::Abstain,
        1 => Outcome::Timeout,
        2 => Outcome::error("broken"),
        _ => Outcome::scored(value),
    }
}

pub fn batch(chance: &mut Chance) -> Vec<Plain> {
    (0..1 + chance.below(5)).map(|_| plain(chance)).collect()
}

fn plain(chance: &mut Chance) -> Plain {
    let n = [0, 1, 2, 3, 5, 8][chance.below(6)];
    let (equal, healthy) = (chance.below(5) == 0, chance.below(3) == 0);
    let mut episodes = Vec::new();
    for _ in 0..n {
        let mut e =
            Episode { parts: (0..1 + chance.below(3)).map(|_| chance.below(6)).collect(), ..Episode::default() };
        for name in ["answer", "format", "success", "syntax", "testbench", "tags", "json"] {
            let value = if equal { 1.0 } else { [0.0, 1.0, 1.0, 0.05, 0.4, 0.6, 1.5, -0.5][chance.below(8)] };
            let said = if healthy { Outcome::scored(value) } else { outcome(chance, value) };
            e.terms.insert(name.to_owned(), said);
        }
        for name in ["judge", "rubric", "detector", "similarity", "short"] {
            let value = if equal { 0.3 } else { chance.unit() * 2.0 - 0.5 };
            let said = if healthy { Outcome::scored(value) } else { outcome(chance, value) };
            e.terms.insert(name.to_owned(), said);
        }
        for name in ["distance", "recalls", "asks", "calls", "position"] {
            e.numbers.insert(name.to_owned(), chance.below(6) as f64);
        }
        for name in ["later_success", "skill_used", "abstained"] {
            e.numbers.insert(name.to_owned(), chance.below(2) as f64);
        }
        if chance.below(3) == 0 {
            e.numbers.insert("appeal".to_owned(), chance.below(2) as f64);
        }
        if chance.below(2) == 0 {
            let length = if equal { 7.0 } else { [0.0, 3.0, 400.0, 900.0, 19000.0, 50000.0][chance.below(6)] };
            e.numbers.insert("length".to_owned(), length);
        }
        e.numbers.insert("confidence".to_owned(), chance.unit().sqrt().sqrt());
        e.numbers.insert("plan".to_owned(), chance.below(3) as f64);
        for (name, words) in [
            ("answer", ["7", "8", "", "7"]),
            ("decision", ["selected", "rejected", "?", "selected"]),
            ("action", ["keep", "straight", "stop", "left"]),
            ("kind", ["qa", "caption", "qa", "caption"]),
        ] {
            e.texts.insert(name.to_owned(), words[chance.below(4)].to_owned());
        }
        for name in ["futures", "windows"] {
            let list = (0..1 + chance.below(4)).map(|_| chance.unit()).collect();
            e.lists.insert(name.to_owned(), list);
        }
        episodes.push(e);
    }
    let wins = (0..n).map(|_| (0..n).map(|_| chance.below(3) as f64 / 2.0).collect()).collect();
    let key = format!("prompt {}", chance.below(3));
    Plain { key, episodes, degraded: chance.unit(), wins, wins_in_table: chance.below(2) == 0 }
}

/// What the formulas carry from step to step.
#[derive(Default)]
pub struct State {
    step: f64,
    seen: Vec<f64>,
    fewest: BTreeMap<String, f64>,
    rate: Option<f64>,
    running: Option<f64>,
    on: bool,
}

impl State {
    pub fn at(step: f64) -> Self {
        Self { step, ..Self::default() }
    }
}

fn number(p: &Value, name: &str) -> f64 {
    p[name].as_f64().unwrap()
}

fn text<'a>(p: &'a Value, name: &str) -> &'a str {
    p[name].as_str().unwrap()
}

fn average(values: &[f64]) -> f64 {
    let mut sum = 0.0;
    for v in values {
        sum += v;
    }
    sum / values.len() as f64
}

fn std(values: &[f64], ddof: f64) -> f64 {
    if values.len() as f64 <= ddof || values.iter().all(|v| v == &values[0]) {
        return 0.0;
    }
    let mean = average(values);
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() as f64 - ddof)).sqrt()
}

impl Episode {
    fn score(&self, term: &str) -> Option<f64> {
        self.terms[term].value()
    }

    fn fact(&self, name: &str) -> f64 {
        match self.numbers.get(name) {
            None if name == "length" => self.parts.iter().sum::<usize>() as f64,
            found => *found.unwrap(),
        }
    }
}

/// The term for every episode where `of` scored.
fn lift(group: &Plain, of: &str, mut f: impl FnMut(usize, f64) -> f64) -> Vec<Outcome> {
    let mut all = Vec::new();
    for (i, e) in group.episodes.iter().enumerate() {
        all.push(match &e.terms[of] {
            Outcome::Scored { value } => Outcome::scored(f(i, *value)),
            other => other.clone(),
        });
    }
    all
}

/// The same for two inputs.
fn lift2(group: &Plain, a: &str, b: &str, f: impl Fn(usize, f64, f64) -> f64) -> Vec<Outcome> {
    let mut all = Vec::new();
    for (i, e) in group.episodes.iter().enumerate() {
        let pair = [&e.terms[a], &e.terms[b]];
        all.push(match (pair[0].value(), pair[1].value()) {
            (Some(x), Some(y)) => Outcome::scored(f(i, x, y)),
            _ => pair.iter().find(|o| o.is_failure()).map_or(Outcome::Abstain, |o| (*o).clone()),
        });
    }
    all
}

fn all(group: &Plain, f: impl Fn(&Episode) -> f64) -> Vec<Outcome> {
    group.episodes.iter().map(|e| Outcome::scored(f(e))).collect()
}

fn shares(group: &Plain) -> Vec<f64> {
    let mut shares = Vec::new();
    for a in &group.episodes {
        let equal = group.episodes.iter().filter(|b| b.texts["answer"] == a.texts["answer"]).count();
        shares.push(equal as f64 / group.episodes.len() as f64);
    }
    shares
}

/// The most frequent of these answers.
fn most_frequent(answers: &[&str], ties: &str) -> Option<String> {
    let count = |a: &&str| answers.iter().filter(|b| *b == a).count();
    let most = answers.iter().map(count).max()?;
    let mut winners: Vec<&str> = answers.iter().filter(|a| count(a) == most).copied().collect();
    if ties == "first" {
        return Some(winners[0].to_owned());
    }
    winners.sort_unstable();
    winners.dedup();
    (ties == "smallest" || winners.len() == 1).then(|| winners[0].to_owned())
}

/// The false-negative rate after this batch.
fn rate(p: &Value, groups: &[Plain], state: &mut State) -> f64 {
    let Some(by) = p["false_negative"].get("estimated") else { return number(p, "false_negative") };
    let (mut passed, mut flipped) = (0.0, 0.0);
    for e in groups.iter().flat_map(|g| &g.episodes) {
        match e.score(text(p, "of")) {
            Some(of) if of >= number(p, "right") => passed += 1.0,
            Some(_) if e.numbers.get("appeal") == Some(&1.0) => flipped += 1.0,
            _ => {}
        }
    }
    let missed = flipped / number(by, "share");
    let (a, b) = (number(by, "a"), number(by, "b"));
    if missed + passed > 0.0 {
        let now = (missed + a) / (missed + passed + a + b);
        let decay = number(by, "decay");
        state.rate = Some(state.rate.map_or(now, |old| decay * old + (1.0 - decay) * now));
    }
    state.rate.unwrap_or(a / (a + b))
}

pub fn derive(name: &str, p: &Value, groups: &[Plain], state: &mut State) -> Vec<Vec<Outcome>> {
    let rho1 = if p.get("false_negative").is_some() { rate(p, groups, state) } else { 0.0 };
    groups.iter().map(|group| derive_group(name, p, group, rho1, state)).collect()
}

fn derive_group(name: &str, p: &Value, group: &Plain, rho1: f64, state: &mut State) -> Vec<Outcome> {
    let of = p["of"].as_str().unwrap_or("");
    let eps = &group.episodes;
    let n = |key: &str| number(p, key);
    let scored: Vec<(usize, f64)> = match eps.first() {
        Some(first) if first.terms.contains_key(of) => {
            eps.iter().enumerate().filter_map(|(i, e)| Some((i, e.score(of)?))).collect()
        }
        _ => Vec::new(),
    };
    let values: Vec<f64> = scored.iter().map(|(_, v)| *v).collect();
    match name {
        "action_costs" => lift(group, of, |i, of| {
            let mut cost = 0.0;
            for (fact, coefficient) in p["costs"].as_object().unwrap() {
                cost += coefficient.as_f64().unwrap() * eps[i].fact(fact);
            }
            for asked in 0..eps[i].fact("asks") as usize {
                cost += n("ask_cost") * (1.0 + n("fatigue") * asked as f64);
            }
            n("success") * of - n("lambda") * cost
        }),
        "affine" => lift(group, of, |_, x| n("scale") * x + n("offset")),
        "clip" => lift(group, of, |_, x| {
            if x < n("low") {
                n("low")
            } else if x > n("high") {
                n("high")
            } else {
                x
            }
        }),
        "asymmetric_penalty" => lift(group, of, |i, x| {
            let table = p["penalties"].get(&eps[i].texts["decision"]).and_then(Value::as_f64);
            if x >= n("right") { 0.0 } else { -table.unwrap_or(n("otherwise")) }
        }),
        "backward_correction" => {
            let rho0 = n("false_positive");
            lift(group, of, |_, x| (x - rho0) / (1.0 - rho0 - rho1).max(n("least")))
        }
        "forward_correction" => lift(group, of, |_, x| {
            let scale = match text(p, "scale") {
                "one" => 1.0,
                "recall" => 1.0 - rho1,
                "separation" => 1.0 - n("false_positive") - rho1,
                other => panic!("{other}"),
            };
            (x - 1.0 + rho1) / scale.max(n("least"))
        }),
        "chain_bonus" => lift(group, of, |i, x| {
            let both = eps[i].fact("later_success") * eps[i].fact("skill_used");
            if x >= n("right") { n("bonus") * both } else { 0.0 }
        }),
        "class_weight" => {
            all(group, |e| p["weights"].get(&e.texts["action"]).and_then(Value::as_f64).unwrap_or(n("otherwise")))
        }
        "consistency" => {
            let mut h = Vec::new();
            for (i, x) in &scored {
                // Who stands on the mean passes, whatever its rounding.
                let at_least = *x >= average(&values) - 1e-12;
                if *x > n("above") && at_least {
                    h.push((*i, eps[*i].fact("confidence").min(n("cap"))));
                }
            }
            let capped: Vec<f64> = h.iter().map(|(_, c)| *c).collect();
            lift(group, of, |i, x| {
                let own = h.iter().find(|(j, _)| *j == i);
                let passes = own.is_some_and(|(_, c)| *c >= average(&capped) - n("margin") - 1e-12);
                if passes { n("coefficient") * x } else { 0.0 }
            })
        }
        "contrast_bonus" => lift(group, of, |_, x| {
            if x > n("above") && average(&values) >= n("ratio") * group.degraded { n("bonus") } else { 0.0 }
        }),
        "cosine_length" => lift(group, of, |i, x| {
            let part = (eps[i].fact("length") / n("max_length")).min(1.0);
            let side = if x >= n("right") { "right" } else { "wrong" };
            let (short, long) = (n(&format!("{side}_short")), n(&format!("{side}_long")));
            long + (short - long) * (1.0 + (part * std::f64::consts::PI).cos()) / 2.0
        }),
        "diversity" => shares(group).into_iter().map(|f| Outcome::scored(1.0 - f.min(n("cap")))).collect(),
        "frequency" => shares(group).into_iter().map(Outcome::scored).collect(),
        "frequency_entropy" => {
            // -log p of a random member's answer, on average, is the entropy.
            let shares = shares(group);
            let entropy = shares.iter().map(|f| -f.ln()).sum::<f64>() / shares.len() as f64;
            let different: f64 = shares.iter().map(|f| 1.0 / (f * shares.len() as f64)).sum();
            let log = if text(p, "unit") == "nats" { 1.0 } else { different.round().ln() };
            all(group, |_| if different.round() < 2.0 { 0.0 } else { -n("alpha") * entropy / log })
        }
        "majority" => {
            let answers: Vec<&str> = eps.iter().map(|e| e.texts["answer"].as_str()).collect();
            let vote = |i: usize| {
                let mut voters = answers.clone();
                if text(p, "voters") == "others" {
                    voters.remove(i);
                    if voters.is_empty() {
                        return Outcome::Abstain;
                    }
                }
                Outcome::pass_if(most_frequent(&voters, text(p, "ties")).as_deref() == Some(answers[i]))
            };
            (0..eps.len()).map(vote).collect()
        }
        "format_length_curve" => all(group, |e| {
            let (x, turn) = ((e.fact("length") / n("max_length")).min(1.0), n("turn"));
            let off = if x <= turn { 1.0 - x / turn } else { (x - turn) / (1.0 - turn) };
            match (text(p, "curve"), x <= turn) {
                ("quadratic", true) => 1.0 - off.powi(2),
                ("quadratic", false) => 1.0 - 2.0 * off.powi(2),
                ("polyline", true) => 1.0 - off,
                ("polyline", false) => 1.0 - 2.0 * off,
                (other, _) => panic!("{other}"),
            }
        }),
        "group_length" => {
            let lengths: Vec<f64> = scored.iter().map(|(i, _)| eps[*i].fact("length")).collect();
            let least = lengths.iter().copied().fold(f64::MAX, f64::min);
            let most = lengths.iter().copied().fold(f64::MIN, f64::max);
            lift(group, of, |i, x| {
                if least == most {
                    return 0.0;
                }
                let v = n("coefficient") * (0.5 - (eps[i].fact("length") - least) / (most - least));
                if x >= n("right") || v < 0.0 { v } else { 0.0 }
            })
        }
        "group_max_gated" => {
            let score = text(p, "score");
            let most = eps.iter().filter_map(|e| e.score(score)).fold(0.0, f64::max);
            lift2(group, of, score, |_, x, s| {
                let share = if most == 0.0 { 0.0 } else { s / most };
                let gated = x * share;
                if text(p, "part") == "gated" { gated } else { x - n("alpha") * x + n("alpha") * gated }
            })
        }
        "group_rank" => lift(group, of, |_, x| {
            let worse = values.iter().filter(|v| **v < x).count() as f64;
            let equal = values.iter().filter(|v| **v == x).count() as f64 - 1.0;
            let rank = if values.len() < 2 { 0.5 } else { (worse + equal / 2.0) / (values.len() as f64 - 1.0) };
            if text(p, "best") == "highest" { rank } else { 1.0 - rank }
        }),
        "length_window" => {
            let right = values.iter().filter(|v| **v > n("above")).count();
            lift(group, of, |i, x| {
                let length = eps[i].fact("length");
                let pays = right >= 2 && x > n("above") && length >= n("low") && length <= n("high");
                if pays { n("bonus") } else { 0.0 }
            })
        }
        "lookahead" => all(group, |e| average(&e.lists["futures"])),
        "overlong" => all(group, |e| {
            let (length, most, cache) = (e.fact("length"), n("max_length"), n("cache"));
            if length <= most - cache {
                0.0
            } else if length <= most {
                (most - cache - length) / cache
            } else {
                -1.0
            }
        }),
        "position_decay" => lift(group, of, |i, x| {
            let before = |j: usize| {
                let (a, b) = (eps[j].fact("position"), eps[i].fact("position"));
                a < b || (a == b && j <= i)
            };
            let rights = scored.iter().filter(|(j, v)| *v >= n("right") && before(*j)).count() as i32;
            if x >= n("right") { n("base").powi(rights - 1) } else { 0.0 }
        }),
        "product_of" => lift2(group, "answer", "format", |_, a, b| a * b),
        "running_z" => lift(group, of, |_, x| {
            let seen = &state.seen;
            // The floor would blow up the rounding of a mean of equal values.
            let equal = !seen.is_empty() && seen.iter().all(|v| v == &seen[0]);
            let centre = if equal {
                seen[0]
            } else if seen.is_empty() {
                n("start_mean")
            } else {
                average(seen)
            };
            let spread = if seen.len() < 2 { n("start_std") } else { std(seen, 1.0) };
            state.seen.push(x);
            ((x - centre) / spread.max(n("floor"))).max(-n("clip")).min(n("clip"))
        }),
        "scheduled_weight" => {
            let (start, end) = (n("start"), n("end"));
            let along = if start == end { 1.0 } else { ((state.step - start) / (end - start)).clamp(0.0, 1.0) };
            let along = if start == end && state.step < start { 0.0 } else { along };
            lift(group, of, |_, x| (n("from") * (1.0 - along) + n("to") * along) * x)
        }
        "shared_mean" => lift(group, of, |i, _| {
            let same = |j: &usize| eps[*j].fact("plan") == eps[i].fact("plan");
            average(&scored.iter().filter(|(j, _)| same(j)).map(|(_, v)| *v).collect::<Vec<_>>())
        }),
        "sigmoid_length" => {
            let rights = scored.iter().filter(|(_, v)| *v >= n("right"));
            let lengths: Vec<f64> = rights.map(|(i, _)| eps[*i].fact("length")).collect();
            let spread = std(&lengths, n("ddof")).max(n("floor"));
            lift(group, of, |i, x| {
                if x < n("right") {
                    return 0.0;
                }
                let equal = lengths.iter().all(|l| l == &lengths[0]);
                let z = if equal { 0.0 } else { (eps[i].fact("length") - average(&lengths)) / spread };
                1.0 - n("alpha") * (1.0 - 1.0 / (1.0 + z.exp()))
            })
        }
        "softmax_worst" => all(group, |e| {
            let weight = |s: &f64| ((1.0 - s) / n("temperature")).exp();
            let windows = &e.lists["windows"];
            // With a tiny temperature the weights overflow, and the worst is all there is.
            let below: f64 = windows.iter().map(weight).sum();
            if below.is_finite() {
                windows.iter().map(|s| weight(s) * s).sum::<f64>() / below
            } else {
                let worst = windows.iter().copied().fold(f64::MAX, f64::min);
                let relative = |s: &f64| ((worst - s) / n("temperature")).exp();
                windows.iter().map(|s| relative(s) * s).sum::<f64>() / windows.iter().map(relative).sum::<f64>()
            }
        }),
        "ternary" => lift(group, of, |i, x| {
            if x >= n("right") {
                n("when_right")
            } else if eps[i].fact("abstained") == 1.0 {
                n("when_abstained")
            } else {
                n("when_wrong")
            }
        }),
        "tool_economy" => {
            let rights = scored.iter().filter(|(_, v)| *v >= n("right"));
            let least = rights.map(|(i, _)| eps[*i].fact("calls")).fold(f64::INFINITY, f64::min);
            let fewest = match text(p, "fewest") {
                "unknown" => 0.0,
                "group" => least,
                "prompt" => {
                    let kept = state.fewest.entry(group.key.clone()).or_insert(f64::INFINITY);
                    *kept = kept.min(least);
                    *kept
                }
                other => panic!("{other}"),
            };
            lift(group, of, |i, x| {
                let (m, pi) = (eps[i].fact("calls"), std::f64::consts::PI);
                let k = if fewest.is_infinite() {
                    0.0
                } else if fewest == 0.0 {
                    (m * pi / (2.0 * m + n("limit"))).cos()
                } else {
                    (m / (m + fewest) * pi).sin()
                };
                n("alpha") * k * x
            })
        }
        "trust_gate" => {
            let split = text(p, "split");
            let side = |right: bool| -> Vec<f64> {
                let of_side = eps.iter().filter(|e| e.score(split).is_some_and(|s| (s >= n("right")) == right));
                of_side.filter_map(|e| e.score(of)).collect()
            };
            let (right, wrong) = (side(true), side(false));
            let d = if right.is_empty() || wrong.is_empty() { 0.0 } else { average(&right) - average(&wrong) };
            lift2(group, of, split, |_, x, _| if d >= 0.0 { x } else { d.exp() * x })
        }
        "win_rate" => {
            let rate = |i: usize| {
                let others: Vec<f64> = (0..eps.len()).filter(|j| *j != i).map(|j| group.wins[i][j]).collect();
                if others.is_empty() { Outcome::Abstain } else { Outcome::scored(average(&others)) }
            };
            (0..eps.len()).map(rate).collect()
        }
        other => panic!("no oracle for {other}"),
    }
}

type Weights = BTreeMap<String, f64>;

/// The weighted sum over these names; a failure or silence of all is no reward.
fn sum(e: &Episode, terms: &[(String, f64)], f: impl Fn(&str, f64) -> f64) -> Option<f64> {
    let terms: Vec<_> = terms.iter().filter(|(_, w)| *w != 0.0).collect();
    if terms.iter().any(|(name, _)| e.terms[name].is_failure()) {
        return None;
    }
    let scored: Vec<f64> = terms.iter().filter_map(|(name, w)| Some(w * f(name, e.score(name)?))).collect();
    (!scored.is_empty()).then(|| scored.iter().sum())
}

pub fn combine(name: &str, p: &Value, weights: &Weights, groups: &[Plain], state: &mut State) -> Vec<Vec<Option<f64>>> {
    let every: Vec<(String, f64)> = weights.iter().map(|(k, w)| (k.clone(), *w)).collect();
    let listed = |list: &Value| -> Vec<(String, f64)> {
        let names = list.as_array().unwrap().iter().map(|n| n.as_str().unwrap().to_owned());
        names.map(|n| (n.clone(), weights.get(&n).copied().unwrap_or(1.0))).collect()
    };
    let listed_or_every = |list: &Value| if list.as_array().unwrap().is_empty() { every.clone() } else { listed(list) };
    let plainly = |_: &str, x: f64| x;
    let each = |f: &dyn Fn(&Plain, &Episode) -> Option<f64>| -> Vec<Vec<Option<f64>>> {
        groups.iter().map(|g| g.episodes.iter().map(|e| f(g, e)).collect()).collect()
    };
    let scores =
        |group: &Plain, term: &str| -> Vec<f64> { group.episodes.iter().filter_map(|e| e.score(term)).collect() };
    match name {
        "weighted_sum" => each(&|_, e| sum(e, &every, plainly)),
        "product" => each(&|_, e| {
            sum(e, &every, plainly)?;
            let factors = every.iter().filter(|(_, w)| *w != 0.0);
            Some(factors.filter_map(|(name, w)| Some(w * e.score(name)?)).product())
        }),
        "normalise_then_sum" => each(&|g, e| {
            sum(e, &every, |term, x| {
                let scores = scores(g, term);
                let equal = scores.iter().all(|s| *s == x);
                let z = (x - average(&scores)) / (std(&scores, number(p, "ddof")) + number(p, "eps"));
                if equal { 0.0 } else { z }
            })
        }),
        "log_tame" => each(&|_, e| {
            sum(e, &every, |term, x| {
                let batch: Vec<f64> = groups.iter().flat_map(|g| scores(g, term)).collect();
                let h = std(&batch, number(p, "ddof")) / average(&batch).abs();
                if h > number(p, "delta") { (1.0 + x).ln() } else { x }
            })
        }),
        "gate" => each(&|_, e| {
            let open = e.score(text(p, "of"))? >= number(p, "threshold");
            if open { sum(e, &listed_or_every(&p["then"]), plainly) } else { Some(number(p, "floor")) }
        }),
        "tiers" => each(&|_, e| {
            for tier in p["tiers"].as_array().unwrap() {
                if e.score(text(tier, "of"))? < number(tier, "threshold") {
                    return Some(number(tier, "otherwise"));
                }
            }
            sum(e, &listed_or_every(&p["then"]), plainly)
        }),
        "ladder" => each(&|_, e| {
            let mut reward = number(p, "floor");
            for step in p["steps"].as_array().unwrap() {
                if e.score(text(step, "of"))? < number(step, "threshold") {
                    break;
                }
                reward = number(step, "level");
            }
            Some(reward)
        }),
        "minimum_if_wrong" => each(&|_, e| {
            let right = e.score(text(p, "of"))? >= number(p, "right");
            sum(e, &every, plainly).map(|s| if right || s < 0.0 { s } else { 0.0 })
        }),
        "router" => each(&|_, e| sum(e, &listed(&p["sets"][&e.texts["kind"]]), plainly)),
        "switch" => {
            let yes = decide(&p["by"], groups, state);
            let (then, otherwise) = (listed(&p["then"]), listed(&p["otherwise"]));
            let of = |(g, yes): (&Plain, bool)| {
                g.episodes.iter().map(|e| sum(e, if yes { &then } else { &otherwise }, plainly)).collect()
            };
            groups.iter().zip(yes).map(of).collect()
        }
        other => panic!("no oracle for {other}"),
    }
}

fn decide(by: &Value, groups: &[Plain], state: &mut State) -> Vec<bool> {
    let (word, by) = by.as_object().unwrap().iter().next().unwrap();
    let scores = |g: &Plain| -> Vec<f64> { g.episodes.iter().filter_map(|e| e.score(text(by, "of"))).collect() };
    // Rounding must not decide between equal groups, nor at a threshold: eighths are exact here, and nothing else is.
    let level = |values: &[f64]| -> f64 {
        let first = values[0];
        first + values.iter().map(|v| v - first).sum::<f64>() / values.len() as f64
    };
    let whole: Vec<f64> = groups.iter().flat_map(scores).collect();
    match word.as_str() {
        "top_fraction" => {
            let present: Vec<usize> = (0..groups.len()).filter(|g| !scores(&groups[*g]).is_empty()).collect();
            let chosen = ((number(by, "share") * present.len() as f64 - 1e-9).ceil() as usize).max(1);
            let mut yes = Vec::new();
            for (g, group) in groups.iter().enumerate() {
                let own = scores(group);
                if own.is_empty() {
                    yes.push(false);
                    continue;
                }
                let better = present.iter().filter(|&&h| {
                    let (a, b) = (level(&scores(&groups[h])), level(&own));
                    a > b || (a == b && h < g)
                });
                yes.push(better.count() < chosen && own.iter().any(|s| *s >= number(by, "right")));
            }
            yes
        }
        "group" => groups.iter().map(scores).map(|s| !s.is_empty() && level(&s) >= number(by, "threshold")).collect(),
        "batch" => vec![!whole.is_empty() && level(&whole) >= number(by, "threshold"); groups.len()],
        "run" => {
            if !whole.is_empty() {
                let (now, decay) = (level(&whole), number(by, "decay"));
                state.running = Some(state.running.map_or(now, |old| decay * old + (1.0 - decay) * now));
            }
            if let Some(m) = state.running {
                state.on = if m >= number(by, "on") { true } else { state.on && m >= number(by, "off") };
            }
            vec![state.on; groups.len()]
        }
        other => panic!("no oracle for {other}"),
    }
}
