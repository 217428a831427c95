//! A run as the report's template sees it: every number already in words.

use cohort_core::{Outcome, StopReason};
use cohort_train::{
    preflight::Preflight,
    recipe::{PolicySource, SamplerSource, TaskSource},
    run_dir::RunState,
};
use serde::Serialize;

use super::{
    budget::{self, Slice},
    completions::{EpisodeLine, Picks},
    curves::{self, Panel},
    data::Run,
    table::{self, Table},
    ticks::{bytes, count, duration, percent, plain, short},
    verdicts::{self, SlowRow, TermRow},
};

/// Everything that the template shows. What is absent is not shown.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    name: String,
    about: Option<String>,
    status: Status,
    remarks: Vec<String>,
    table: Option<Table>,
    reward: Option<Panel>,
    panels: Vec<Panel>,
    slices: Vec<Slice>,
    total: Option<String>,
    completions: Vec<Shelf>,
    picked_from: Option<String>,
    terms: Vec<TermRow>,
    slow: Vec<SlowRow>,
    preflight: Vec<Fact>,
    facts: Vec<Fact>,
    recipe: Option<String>,
}

/// How the run stands. `kind` is a class of the style sheet.
#[derive(Clone, Debug, Serialize)]
struct Status {
    kind: &'static str,
    word: &'static str,
    why: String,
}

#[derive(Clone, Debug, Serialize)]
struct Fact {
    name: &'static str,
    value: String,
}

#[derive(Clone, Debug, Serialize)]
struct Shelf {
    title: &'static str,
    what: &'static str,
    cards: Vec<Card>,
}

/// A completion with what was said of it.
#[derive(Clone, Debug, Serialize)]
struct Card {
    place: String,
    /// Where the prompt comes from.
    origin: String,
    prompt: String,
    completion: String,
    verdicts: Vec<Verdict>,
    reward: Option<String>,
    advantage: Option<String>,
    stop: Option<String>,
    correct: Option<&'static str>,
}

#[derive(Clone, Debug, Serialize)]
struct Verdict {
    term: String,
    kind: &'static str,
    text: String,
}

/// Puts a page together.
pub fn page(run: &Run, picks: &Picks) -> Page {
    let mut remarks = run.remarks.clone();
    if run.steps.is_empty() && run.score_steps.is_empty() {
        remarks.push("No step has been written yet: there are no curves.".to_owned());
    }
    if picks.broken > 0 {
        remarks.push(format!("rollouts.jsonl has {} torn line(s), left out.", picks.broken));
    }
    if run.summary.is_none() && run.state() == Some(RunState::Complete) {
        remarks.push("There is no summary.json: peak memory and the end's reason are not known.".to_owned());
    }
    let total = run.summary.as_ref().map(|s| s.seconds.total).or_else(|| Some(run.manifest.as_ref()?.seconds.total));
    let shelf = |title, what, of: &[EpisodeLine]| Shelf { title, what, cards: of.iter().map(card).collect() };
    let completions = vec![
        shelf("Best", "highest reward", &picks.best),
        shelf("Worst", "lowest reward", &picks.worst),
        shelf("Random", "drawn by a fixed rule", &picks.random),
        shelf("Without a reward", "a term failed or had nothing to say", &picks.unscored),
    ];
    let (terms, slow) = verdicts::tables(&run.account);
    Page {
        name: run.name(),
        about: run.recipe.as_ref().map(|r| r.about.clone()).filter(|about| !about.is_empty()),
        status: status(run),
        remarks,
        table: table::table(run),
        reward: curves::reward(run),
        panels: curves::small_multiples(run),
        slices: budget::slices(run),
        total: total.filter(|t| *t > 0.0).map(duration),
        completions: completions.into_iter().filter(|s| !s.cards.is_empty()).collect(),
        picked_from: picks.steps.map(|(first, last)| {
            if first == last { format!("step {last}") } else { format!("steps {first} to {last}") }
        }),
        terms,
        slow,
        preflight: run.preflight().map(preflight).unwrap_or_default(),
        facts: facts(run),
        recipe: run.recipe_text.clone(),
    }
}

fn status(run: &Run) -> Status {
    let committed = run.manifest.as_ref().map_or(0, |m| m.step);
    let of = run.asked_steps();
    match run.state() {
        Some(RunState::Complete) => Status {
            kind: "complete",
            word: "Complete",
            why: run.summary.as_ref().map(|s| s.ended.clone()).filter(|e| !e.is_empty()).map_or_else(
                || format!("It ended after step {committed}."),
                |ended| format!("It ended after step {committed}: {ended}."),
            ),
        },
        Some(RunState::Failed) => Status {
            kind: "failed",
            word: "Failed",
            why: run
                .manifest
                .as_ref()
                .and_then(|m| m.reason.clone())
                .unwrap_or_else(|| "No reason was recorded.".to_owned()),
        },
        Some(RunState::Running) => Status {
            kind: "running",
            word: "Under way",
            why: format!(
                "It runs, or was stopped before its end. Step {committed} of {of} is committed{}.",
                match run.last_step() {
                    Some(written) if written > committed => format!(", step {written} is written"),
                    _ => String::new(),
                }
            ),
        },
        None => {
            Status { kind: "unknown", word: "Unknown", why: "There is no manifest that says how it stands.".to_owned() }
        }
    }
}

fn preflight(look: &Preflight) -> Vec<Fact> {
    let fact = |name, value| Fact { name, value };
    vec![
        fact("prompts", count(look.prompts as u64)),
        fact("completions", count(look.completions as u64)),
        fact("right", percent(look.pass_rate)),
        fact("groups with signal", percent(look.signal)),
        fact("truncated", percent(look.truncated)),
        fact("failed rewards", percent(look.failed)),
        fact("mean reward", short(look.mean_reward)),
        fact("mean length", short(look.mean_length)),
    ]
}

fn facts(run: &Run) -> Vec<Fact> {
    let (manifest, summary, recipe) = (run.manifest.as_ref(), run.summary.as_ref(), run.recipe.as_ref());
    let peak = summary.and_then(|s| s.peak_rss_bytes).max(run.step_peak_rss_bytes);
    let gap = summary.and_then(|s| s.logp_gap_max).or_else(|| run.values("logp_gap").into_iter().reduce(f64::max));
    let best = summary
        .and_then(|s| s.best.as_ref())
        .map(|b| format!("step {}, {} {} on dev", b.step, b.metric, short(b.value)));
    let policy = recipe.map(|r| match &r.policy {
        PolicySource::Directory(path) => path.clone(),
        PolicySource::New(new) => format!("random weights, seed {}", new.seed),
    });
    let task = recipe.map(|r| match &r.task {
        TaskSource::Generated(task) => format!("{}, generated", task.name()),
        TaskSource::Data(data) => data.path.clone(),
    });
    let sampler = recipe.filter(|r| r.rollout.sampler != SamplerSource::Own);
    let sandbox = recipe.filter(|r| !r.reward.sandbox.is_jail());
    let named = [
        ("seed", manifest.map(|m| m.seed.to_string())),
        ("policy started from", policy),
        ("task", task),
        ("steps", manifest.map(|m| format!("{} of {}", count(m.step), count(m.asked_steps)))),
        ("prompt tokens", run.tokens().map(|t| count(t.prompt))),
        ("completion tokens", run.tokens().map(|t| count(t.completion))),
        ("wall time", manifest.map(|m| m.seconds.total).filter(|t| *t > 0.0).map(duration)),
        ("peak memory", peak.map(bytes)),
        ("sampler to trainer, largest gap", gap.map(|g| format!("{} nats", short(g)))),
        ("sampler", sampler.map(|_| "a server; no run like it has the same bits".to_owned())),
        ("sandbox", sandbox.map(|_| "none: generated programs ran with the user's rights".to_owned())),
        ("best checkpoint", best),
        ("CPU level", manifest.map(|m| m.cpu.clone())),
        ("version", manifest.map(|m| m.cohort_version.clone())),
        ("recipe hash", manifest.map(|m| m.recipe_hash.clone())),
    ];
    let known =
        named.into_iter().filter_map(|(name, value)| Some(Fact { name, value: value.filter(|v| !v.is_empty())? }));
    known.collect()
}

fn card(e: &EpisodeLine) -> Card {
    let verdicts = e.rewards.iter().map(|(term, outcome)| Verdict {
        term: term.clone(),
        kind: outcome.kind(),
        text: match outcome {
            Outcome::Scored { value } => plain(*value),
            Outcome::Abstain => "abstained".to_owned(),
            Outcome::Timeout => "timed out".to_owned(),
            Outcome::Error { reason } => format!("error: {reason}"),
        },
    });
    Card {
        place: format!("step {}, group {}, completion {}", e.step, e.slot, e.episode),
        origin: e.origin.clone(),
        prompt: e.prompt.clone(),
        completion: e.completion.clone(),
        verdicts: verdicts.collect(),
        reward: e.reward.map(plain),
        advantage: e.advantage.map(|a| format!("{a:+.2}")),
        stop: e.stop.map(|stop| match stop {
            StopReason::End(id) => format!("ended by token {id}"),
            StopReason::Text(_) => "ended by a stop string".to_owned(),
            StopReason::Length => "cut at the cap".to_owned(),
            StopReason::Complete => "complete".to_owned(),
            StopReason::Given => "given".to_owned(),
        }),
        correct: e.correct.map(|right| if right { "right" } else { "wrong" }),
    }
}
