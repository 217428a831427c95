//! The whole path from rewards to row gradients on one core: `cargo bench -p cohort-core`.
//!
//! 256 completions of 512 tokens in 32 groups, once for every entry of the objective's axes with its default
//! parameters: the median of 20 passes, and how many times as long it takes as with half of the completions
//! (2 is linear). `--test` runs each once, and prints nothing to compare.

use std::{collections::BTreeMap, hint::black_box, time::Instant};

use cohort_core::{
    Comparison, Fact, Facts, Memory, Method, MethodError, Outcome, Rows, Trajectory,
    method::Study,
    objective::{Evaluation, Objective, Seen},
    registry::{Axis, Entry, entries},
};
use serde_json::{Value, json};

const TOKENS: usize = 512;
const MEMBERS: usize = 8;
const PASSES: usize = 20;

/// Numbers in [0, 1) that no optimiser can foresee.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn column(&mut self, low: f64, high: f64) -> Vec<f64> {
        (0..TOKENS).map(|_| low + (high - low) * self.next()).collect()
    }

    fn near(&mut self, column: &[f64]) -> Vec<f64> {
        column.iter().map(|x| x + 0.02 * (self.next() - 0.5)).collect()
    }
}

/// What an entry reads beside the usual columns, as facts of a trajectory.
fn facts(numbers: &mut Numbers, names: &[String]) -> Facts {
    let mut facts = Facts::default();
    for name in names {
        let list = numbers.column(0.1, 1.0);
        facts.insert(name.clone(), Fact::List(list));
    }
    facts
}

fn study(completions: usize, names: &[String]) -> Study {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let mut study = Study::default();
    for g in 0..completions / MEMBERS {
        let (mut trajectories, mut rows, mut old_logp) = (Vec::new(), Vec::new(), Vec::new());
        for episode in 0..MEMBERS {
            let logp = numbers.column(-4.0, -0.05);
            let old = numbers.near(&logp);
            let reward = f64::from(u8::from(numbers.next() > 0.5));
            trajectories.push(Trajectory {
                episode,
                reward: Some(reward),
                rewards: BTreeMap::from([("reward".to_owned(), Outcome::scored(reward))]),
                facts: facts(&mut numbers, names),
                mask: (0..TOKENS).map(|_| f64::from(u8::from(numbers.next() < 0.9))).collect(),
                segment: (0..TOKENS).map(|i| (i / 32) as u32).collect(),
                ref_logp: Some(numbers.near(&old)),
                behaviour_logp: Some(numbers.near(&old)),
                ..Trajectory::default()
            });
            rows.push(Rows {
                entropy: numbers.column(0.0, 0.5),
                kl_old: Some(numbers.column(0.0, 0.01)),
                kl_ref: Some(numbers.column(0.0, 0.01)),
                logp,
            });
            old_logp.push(Some(old));
        }
        study.groups.push(Comparison { key: g.to_string(), facts: Facts::default(), trajectories });
        study.rows.push(rows);
        study.old_logp.push(old_logp);
    }
    study
}

/// The default objective with this entry in its place; `None` for another axis.
fn objective(entry: &Entry) -> Option<Objective> {
    let words = [json!(entry.name), json!({ entry.name: {} })];
    let place = |word: &Value| {
        Some(match entry.axis {
            Axis::Surrogate => json!({ "surrogate": word }),
            Axis::Ratio => json!({"surrogate": {"policy_gradient": {"ratio": word}}}),
            Axis::Gate => json!({"surrogate": {"policy_gradient": {"gate": word}}}),
            Axis::Denominator => json!({ "denominator": word }),
            Axis::Divergence => json!({"kl": {"estimator": word}}),
            Axis::Entropy => json!({ "entropy": word }),
            Axis::Mismatch => json!({ "mismatch": word }),
            _ => return None,
        })
    };
    let parsed = words.iter().find_map(|word| serde_json::from_value(place(word)?).ok());
    place(&words[0])?;
    Some(parsed.unwrap_or_else(|| panic!("{} {} does not parse with its defaults", entry.axis, entry.name)))
}

/// Rewards to gradients, as a trainer goes: it owns the groups and never copies them.
fn pass(method: &Method, study: &Study, groups: &mut [Comparison]) -> Result<Vec<Vec<Evaluation>>, MethodError> {
    let credits = method.credit(groups, &mut Memory::default())?;
    let see = |g: usize, t: usize| Seen {
        trajectory: &groups[g].trajectories[t],
        credit: &credits[g][t],
        rows: &study.rows[g][t],
        old_logp: study.old_logp[g][t].as_deref().unwrap_or_default(),
    };
    let batch: Vec<Vec<Seen<'_>>> =
        (0..groups.len()).map(|g| (0..groups[g].trajectories.len()).map(|t| see(g, t)).collect()).collect();
    let survey = method.survey(&batch)?;
    batch.iter().enumerate().map(|(g, group)| method.evaluate(g, group, &survey)).collect()
}

/// Median milliseconds, or why the batch does not do.
fn time(method: &Method, study: &Study, passes: usize) -> Result<f64, String> {
    let mut times = Vec::with_capacity(passes);
    let mut groups = study.groups.clone();
    for _ in 0..passes {
        let start = Instant::now();
        let parts = pass(method, black_box(study), &mut groups).map_err(|e| e.to_string())?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        black_box(parts);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[passes / 2])
}

fn main() {
    let passes = if std::env::args().any(|argument| argument == "--test") { 1 } else { PASSES };
    println!("{:<12} {:<18} {:>8} {:>9}", "axis", "choice", "ms", "256 : 128");
    for entry in entries() {
        let Some(objective) = objective(entry) else { continue };
        let fact = |name: &&str| name.strip_prefix("facts.").map(|n| n.split(' ').next().unwrap_or(n).to_owned());
        let names: Vec<String> = entry.reads.iter().filter_map(fact).collect();
        let method = Method { objective, ..Method::default() };
        let whole = time(&method, &study(256, &names), passes);
        let half = time(&method, &study(128, &names), passes);
        match (whole, half) {
            (Ok(whole), Ok(half)) => {
                println!("{:<12} {:<18} {whole:>8.3} {:>9.2}", entry.axis.word(), entry.name, whole / half);
            }
            (Err(why), _) | (_, Err(why)) => println!("{:<12} {:<18} {why}", entry.axis.word(), entry.name),
        }
    }
}
