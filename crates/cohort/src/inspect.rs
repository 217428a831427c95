//! One sample of a run from its prompt to its gradient, as `rollouts.jsonl` tells it.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

use cohort_core::{Author, Choice, Fact, Facts, Outcome, StopReason};
use cohort_model::{SpecialTokens, TextTokenizer};
use serde::{Deserialize, Serialize};

use crate::report::{EpisodeLine, Line, RunError, each_line};

/// Why there is nothing to inspect.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("{} has no rollouts yet: expected rollouts.jsonl with a line for each episode\n  hint: they come with the first finished step", path.display())]
    NoRollouts { path: PathBuf },
    #[error("{} has no scores yet: expected score.jsonl with a line for each step of a score stage\n  hint: they come with its first finished step; without --stage the rl stage is shown", path.display())]
    NoScores { path: PathBuf },
    #[error("{} has no step {step}: expected one of {}\n  hint: choose one of them with --step", path.display(), ranges(steps))]
    NoStep { path: PathBuf, step: u64, steps: Vec<u64> },
    #[error(
        "step {step} of {} has no sample {sample}: expected 0 to {}\n  hint: choose one of them with --sample",
        path.display(), samples.saturating_sub(1)
    )]
    NoSample { path: PathBuf, step: u64, sample: usize, samples: usize },
    #[error("{}, the line of step {step} and sample {sample}: {source}\n  hint: another version of Cohort may have written it", path.display())]
    Line { path: PathBuf, step: u64, sample: usize, source: serde_json::Error },
}

/// An episode with all that was recorded of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    pub step: u64,
    /// Number of the episode within its step.
    pub sample: usize,
    /// Episodes of that step.
    pub samples_in_step: usize,
    /// Group and place in the group.
    pub slot: usize,
    pub episode: usize,
    /// Where the prompt comes from.
    pub origin: String,
    pub prompt: String,
    pub completion: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correct: Option<bool>,
    /// Verdicts by term.
    pub rewards: BTreeMap<String, Outcome>,
    /// The combined reward; absent where a term failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reward: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advantage: Option<f64>,
    /// What its strategy recorded: which branch of a tree it is, where a chain was left, which plan it follows.
    #[serde(skip_serializing_if = "Facts::is_empty")]
    pub facts: Facts,
    /// Group and episode that it was drawn in, where it was joined to another group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drawn: Option<(usize, usize)>,
    /// One for a single turn, several for a dialogue.
    pub turns: Vec<Turn>,
    /// Samples beside the group's comparison, told with its first episode.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub auxiliary: Vec<Turn>,
}

/// Actions under one context.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Turn {
    /// Ids of the context that its rows are of.
    pub context_tokens: u64,
    /// What it was drawn under, where that is not the prompt alone: a hint, the rounds before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// What its rows are of, where that is not what it was drawn under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scored_under: Option<String>,
    /// Optimizer updates behind the weights that sampled it.
    pub policy_version: u64,
    pub stop: StopReason,
    /// The stop string that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_text: Option<String>,
    pub rows: RowsOf,
    pub actions: Vec<InspectedAction>,
}

/// Whose rows are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowsOf {
    /// The trainer's, from the first pass over the batch.
    Trainer,
    /// The sampler's: the batch had no finite pass.
    Sampler,
}

/// An action with its row, its coefficient and what the loss asked of it. What was not recorded is absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InspectedAction {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<u32>,
    /// The token's text, where the run has a tokenizer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What was chosen, where it is no token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
    /// What was fed in its place, where it is a soft token: ids with their weights, the most probable first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixture: Option<Vec<Mixed>>,
    pub author: Author,
    /// Round, plan or rank.
    pub segment: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logp: Option<f64>,
    /// Under the truncated distribution that it was drawn from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated_logp: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entropy: Option<f64>,
    /// Probability over that of the first pass: exactly 1, since these are the first pass's rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// The advantage of the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coefficient: Option<f64>,
    /// Derivative of the loss by `logp`: below 0 makes the action more likely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_logp: Option<f64>,
}

/// A candidate of a soft token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mixed {
    pub token: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    pub weight: f64,
}

/// What an episode's line holds beyond [`EpisodeLine`].
#[derive(Deserialize)]
struct Recorded {
    #[serde(default)]
    samples: Vec<RecordedSample>,
    #[serde(default)]
    auxiliary: Vec<RecordedSample>,
    #[serde(default)]
    facts: Facts,
    drawn: Option<(usize, usize)>,
}

#[derive(Deserialize)]
struct RecordedSample {
    #[serde(default)]
    context_tokens: u64,
    context: Option<String>,
    scored_under: Option<String>,
    /// One for all actions, or one an action; 0 where it is absent.
    #[serde(default)]
    segments: Vec<u32>,
    tokens: Vec<u32>,
    stop: StopReason,
    #[serde(default)]
    policy_version: u64,
    /// One for all actions, or one an action.
    #[serde(default)]
    coefficient: Vec<f64>,
    #[serde(default)]
    logp: Vec<f64>,
    #[serde(default)]
    truncated_logp: Vec<f64>,
    #[serde(default)]
    mixtures: Vec<Option<Vec<(u32, f64)>>>,
    #[serde(default)]
    entropy: Vec<f64>,
    #[serde(default)]
    d_logp: Option<Vec<f64>>,
    /// Actions that the policy did not write.
    #[serde(default)]
    authors: Vec<(usize, Author)>,
    /// The stop string that ended it.
    #[serde(default)]
    stop_text: Option<String>,
    #[serde(default)]
    choices: Vec<Choice>,
}

/// Episode `sample` (the first unless told) of `step` (the last unless told).
///
/// # Errors
/// The path is no run directory, or has no such step or sample; the error says which there are.
pub fn inspect(run: &Path, step: Option<u64>, sample: Option<usize>) -> Result<Inspection, InspectError> {
    let path = run.join("rollouts.jsonl");
    let sample = sample.unwrap_or(0);
    let found = find(run, &path, step, sample)?;
    let broken = |source| InspectError::Line { path: path.clone(), step: found.step, sample, source };
    let episode: EpisodeLine = serde_json::from_str(&found.line).map_err(broken)?;
    let recorded: Recorded = serde_json::from_str(&found.line).map_err(broken)?;
    let tokenizer = tokenizer(&run.join("checkpoints/last/tokenizer.json"));
    Ok(Inspection {
        step: episode.step,
        sample,
        samples_in_step: found.samples,
        slot: episode.slot,
        episode: episode.episode,
        origin: episode.origin,
        prompt: episode.prompt,
        completion: episode.completion,
        stop: episode.stop,
        correct: episode.correct,
        rewards: episode.rewards,
        reward: episode.reward,
        advantage: episode.advantage,
        facts: recorded.facts,
        drawn: recorded.drawn,
        turns: recorded.samples.into_iter().map(|s| turn(s, tokenizer.as_ref())).collect(),
        auxiliary: recorded.auxiliary.into_iter().map(|s| turn(s, tokenizer.as_ref())).collect(),
    })
}

struct Found {
    step: u64,
    /// Episodes of the step.
    samples: usize,
    line: String,
}

/// Looks for a line without holding more than one.
fn find(run: &Path, path: &Path, step: Option<u64>, sample: usize) -> Result<Found, InspectError> {
    #[derive(Deserialize)]
    struct Step {
        step: u64,
    }
    let mut samples: BTreeMap<u64, usize> = BTreeMap::new();
    let mut candidate: Option<(u64, String)> = None;
    // A torn line is no episode, and is not counted.
    each_line(path, |line| {
        let Ok(Step { step: of }) = serde_json::from_str(line) else { return Line::Broken };
        let index = samples.entry(of).or_default();
        let is_wanted = step.map_or_else(|| candidate.as_ref().is_none_or(|(held, _)| of >= *held), |step| step == of);
        if is_wanted && *index == sample {
            candidate = Some((of, line.to_owned()));
        }
        *index += 1;
        Line::Read
    })?;
    let Some((&last, _)) = samples.last_key_value() else {
        if !run.is_dir() {
            return Err(RunError::NotARun { path: run.to_owned(), found: "no such folder" }.into());
        }
        return Err(InspectError::NoRollouts { path: run.to_owned() });
    };
    let step = step.unwrap_or(last);
    let Some(&count) = samples.get(&step) else {
        return Err(InspectError::NoStep { path: run.to_owned(), step, steps: samples.into_keys().collect() });
    };
    match candidate {
        Some((of, line)) if of == step => Ok(Found { step, samples: count, line }),
        _ => Err(InspectError::NoSample { path: run.to_owned(), step, sample, samples: count }),
    }
}

/// A run without a tokenizer, or with one that cannot be read, is shown in ids.
fn tokenizer(path: &Path) -> Option<TextTokenizer> {
    let bytes: io::Result<Vec<u8>> = fs::read(path);
    TextTokenizer::from_bytes(path, &bytes.ok()?).ok()
}

fn turn(recorded: RecordedSample, tokenizer: Option<&TextTokenizer>) -> Turn {
    let count = recorded.tokens.len() + recorded.choices.len();
    // Where tokens and other choices mix, their order is not recorded.
    let is_mixed = !recorded.tokens.is_empty() && !recorded.choices.is_empty();
    let rows = if recorded.d_logp.is_some() { RowsOf::Trainer } else { RowsOf::Sampler };
    let authors: BTreeMap<usize, Author> = recorded.authors.iter().copied().collect();
    let at = |column: &[f64], i: usize| column.get(i).copied();
    let mixed = |&(token, weight): &(u32, f64)| {
        let text = tokenizer.map(|tokenizer| text_of(tokenizer, token));
        Mixed { token, text, weight }
    };
    let actions = (0..count).map(|i| {
        let token = recorded.tokens.get(i).copied().filter(|_| !is_mixed);
        let logp = at(&recorded.logp, i);
        InspectedAction {
            token,
            text: token.zip(tokenizer).map(|(id, tokenizer)| text_of(tokenizer, id)),
            choice: recorded.choices.get(i).copied().filter(|_| !is_mixed),
            mixture: recorded.mixtures.get(i).and_then(Option::as_ref).map(|all| all.iter().map(mixed).collect()),
            author: authors.get(&i).copied().unwrap_or_default(),
            segment: match recorded.segments.as_slice() {
                [of_all] => *of_all,
                each => each.get(i).copied().unwrap_or(0),
            },
            logp,
            truncated_logp: at(&recorded.truncated_logp, i),
            entropy: at(&recorded.entropy, i),
            ratio: logp.filter(|_| rows == RowsOf::Trainer).map(|_| 1.0),
            coefficient: match recorded.coefficient.as_slice() {
                [of_all] => Some(*of_all),
                each => at(each, i),
            },
            d_logp: recorded.d_logp.as_deref().and_then(|column| at(column, i)),
        }
    });
    Turn {
        context_tokens: recorded.context_tokens,
        context: recorded.context,
        scored_under: recorded.scored_under,
        policy_version: recorded.policy_version,
        stop: recorded.stop,
        stop_text: recorded.stop_text,
        rows,
        actions: actions.collect(),
    }
}

/// The text of one id; a piece of a character has none, and is shown as the vocabulary spells it.
fn text_of(tokenizer: &TextTokenizer, id: u32) -> String {
    let text = tokenizer.decode_with(&[id], SpecialTokens::Keep);
    if text.contains('\u{fffd}') { tokenizer.token_of(id).unwrap_or(text) } else { text }
}

impl Inspection {
    /// For a terminal: what the episode is, then one line an action.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            let value = value.replace('\n', "\n             ");
            let _ = writeln!(text, "{name:<12} {value}");
        };
        line("step", &format!("{}, sample {} of {} (from 0)", self.step, self.sample, self.samples_in_step));
        line("group", &format!("{}, completion {}, {}", self.slot, self.episode, self.origin));
        if let Some((group, completion)) = self.drawn {
            line("drawn", &format!("in group {group} as completion {completion}, and joined to this one"));
        }
        for (name, fact) in self.facts.iter() {
            line(&format!("  {name}"), &fact_text(fact));
        }
        line("prompt", &self.prompt);
        line("completion", &self.completion);
        if let Some(stop) = self.stop {
            line("stop", &stop_text(stop, self.turns.last().and_then(|turn| turn.stop_text.as_deref())));
        }
        if let Some(correct) = self.correct {
            line("correct", if correct { "yes" } else { "no" });
        }
        for (term, outcome) in &self.rewards {
            line(&format!("  {term}"), &outcome_text(outcome));
        }
        line("reward", &self.reward.map_or("none: a term gave no number".to_owned(), |r| r.to_string()));
        if let Some(advantage) = self.advantage {
            line("advantage", &format!("{advantage:+.6}"));
        }
        let turns = self.turns.iter().enumerate().map(|(i, turn)| (format!("turn {i}"), turn));
        let beside = self.auxiliary.iter().enumerate().map(|(i, turn)| (format!("beside the group {i}"), turn));
        for (name, turn) in turns.chain(beside) {
            let rows = match turn.rows {
                RowsOf::Trainer => "rows of the first pass: every ratio is exactly 1",
                RowsOf::Sampler => {
                    "rows of the sampler: the batch had no finite pass, so there is no ratio and no gradient"
                }
            };
            let (context, version) = (turn.context_tokens, turn.policy_version);
            let _ = writeln!(text, "\n{name}: {context} tokens of context, policy after {version} updates; {rows}");
            for (what, context) in [("drawn under", &turn.context), ("scored under", &turn.scored_under)] {
                if let Some(context) = context {
                    let _ = writeln!(text, "{what:<12} {context:?}");
                }
            }
            text.push_str(&table(&turn.actions));
        }
        text
    }
}

fn table(actions: &[InspectedAction]) -> String {
    let header = [
        "#",
        "id",
        "text",
        "author",
        "segment",
        "logp",
        "truncated",
        "entropy",
        "ratio",
        "coefficient",
        "d_logp",
        "mixture",
    ];
    let is_truncated = actions.iter().any(|a| a.truncated_logp.is_some());
    let is_soft = actions.iter().any(|a| a.mixture.is_some());
    let has_segments = actions.iter().any(|a| a.segment > 0);
    let number = |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |v| format!("{v:.digits$}"));
    let rows = actions.iter().enumerate().map(|(i, a)| {
        let id =
            a.token.map(|t| t.to_string()).or_else(|| a.choice.map(|c| format!("{c:?}"))).unwrap_or("-".to_owned());
        let author = match a.author {
            Author::Policy => "policy",
            Author::Environment => "environment",
            Author::Injected => "injected",
        };
        [
            i.to_string(),
            id,
            a.text.as_deref().map_or("-".to_owned(), |t| format!("{t:?}")),
            author.to_owned(),
            a.segment.to_string(),
            number(a.logp, 6),
            number(a.truncated_logp, 6),
            number(a.entropy, 6),
            number(a.ratio, 6),
            number(a.coefficient, 4),
            a.d_logp.map_or("-".to_owned(), |d| format!("{d:.4e}")),
            a.mixture.as_deref().map_or("-".to_owned(), mixture_text),
        ]
    });
    let all: Vec<[String; 12]> = std::iter::once(header.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 12] = std::array::from_fn(width);
    all.iter().fold(String::new(), |mut text, row| {
        let cells: Vec<String> = (0..12)
            .filter(|&c| (c != 6 || is_truncated) && (c != 4 || has_segments) && (c != 11 || is_soft))
            .map(|c| {
                let width = widths[c];
                // Texts and author read from the left, numbers from the right.
                if matches!(c, 2 | 3 | 11) { format!("{:<width$}", row[c]) } else { format!("{:>width$}", row[c]) }
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
        text
    })
}

/// The candidates of a soft token that have at least a hundredth of the weight, the heaviest first.
fn mixture_text(mixture: &[Mixed]) -> String {
    let mut shown: Vec<&Mixed> = mixture.iter().filter(|mixed| mixed.weight >= 0.01).collect();
    shown.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let one = |mixed: &&Mixed| {
        let name = mixed.text.as_ref().map_or_else(|| mixed.token.to_string(), |text| format!("{text:?}"));
        format!("{name} {:.2}", mixed.weight)
    };
    shown.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn fact_text(fact: &Fact) -> String {
    match fact {
        Fact::Flag(flag) => flag.to_string(),
        Fact::Number(x) => x.to_string(),
        Fact::Text(text) => text.clone(),
        Fact::List(list) => format!("{list:?}"),
        Fact::Table(table) => format!("{table:?}"),
    }
}

fn stop_text(stop: StopReason, text: Option<&str>) -> String {
    match stop {
        StopReason::End(id) => format!("ended by token {id}"),
        StopReason::Text(stop) => match text {
            Some(text) => format!("ended by stop string {text:?}"),
            None => format!("ended by stop string {stop}"),
        },
        StopReason::Length => "cut at the cap on new tokens".to_owned(),
        StopReason::Complete => "all actions taken".to_owned(),
        StopReason::Given => "given and not sampled".to_owned(),
    }
}

fn outcome_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Scored { value } => value.to_string(),
        Outcome::Abstain => "abstained".to_owned(),
        Outcome::Timeout => "timed out".to_owned(),
        Outcome::Error { reason } => format!("error: {reason}"),
    }
}

/// Sorted numbers as `1-60, 64`.
fn ranges(numbers: &[u64]) -> String {
    let mut spans: Vec<(u64, u64)> = Vec::new();
    for &n in numbers {
        match spans.last_mut() {
            Some((_, last)) if *last + 1 == n => *last = n,
            _ => spans.push((n, n)),
        }
    }
    let written = spans.iter().map(|(a, b)| if a == b { a.to_string() } else { format!("{a}-{b}") });
    written.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "inspect_tests.rs"]
mod tests;
