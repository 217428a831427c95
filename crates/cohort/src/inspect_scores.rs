//! One list of a score stage with the scores of its candidates, as `score.jsonl` tells it.

use std::{fmt::Write, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    inspect::InspectError,
    report::{Line, RunError, each_line},
};

/// The candidates of a list at one step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoredList {
    pub step: u64,
    /// Number of the list within its step.
    pub list: usize,
    /// Lists of that step.
    pub lists_in_step: usize,
    /// The highest score first.
    pub candidates: Vec<Candidate>,
}

/// A candidate, its score, and what the loss asked of it. What was not recorded is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    #[serde(skip_serializing)]
    list: usize,
    /// Where the prompt comes from.
    pub origin: String,
    pub prompt: String,
    pub label: Option<f64>,
    /// The gap of the two answers, in nats.
    pub score: Option<f64>,
    /// Derivative of the loss by the score: below 0 raises it.
    pub d_score: Option<f64>,
}

/// List `list` (the first unless told) of `step` (the last unless told).
///
/// # Errors
/// The path is no run directory, or its score stage has no such step or list; the error says which there are.
pub fn inspect(run: &Path, step: Option<u64>, list: Option<usize>) -> Result<ScoredList, InspectError> {
    #[derive(Deserialize)]
    struct Step {
        step: u64,
        #[serde(default)]
        rows: Vec<Candidate>,
    }
    let mut steps = Vec::new();
    let mut found: Option<Step> = None;
    each_line(&run.join("score.jsonl"), |line| {
        let Ok(of) = serde_json::from_str::<Step>(line) else { return Line::Broken };
        steps.push(of.step);
        if step.is_none_or(|step| step == of.step) {
            found = Some(of);
        }
        Line::Read
    })?;
    let (path, list) = (run.to_owned(), list.unwrap_or(0));
    let Some(&last) = steps.last() else {
        return Err(match run.is_dir() {
            true => InspectError::NoScores { path },
            false => RunError::NotARun { path, found: "no such folder" }.into(),
        });
    };
    let Some(Step { step, rows }) = found else {
        return Err(InspectError::NoStep { path, step: step.unwrap_or(last), steps });
    };
    let lists = rows.iter().map(|row| row.list + 1).max().unwrap_or(0);
    let mut candidates: Vec<Candidate> = rows.into_iter().filter(|row| row.list == list).collect();
    if candidates.is_empty() {
        return Err(InspectError::NoSample { path, step, sample: list, samples: lists });
    }
    candidates.sort_by(|a, b| b.score.unwrap_or(f64::NEG_INFINITY).total_cmp(&a.score.unwrap_or(f64::NEG_INFINITY)));
    Ok(ScoredList { step, list, lists_in_step: lists, candidates })
}

impl ScoredList {
    /// For a terminal: a line a candidate.
    pub fn text(&self) -> String {
        let Self { step, list, lists_in_step, candidates } = self;
        let mut text = format!("step {step} of the score stage, list {list} of {lists_in_step} (from 0)\n\n");
        let number = |x: Option<f64>| x.map_or("-".to_owned(), |x| format!("{x:+.4}"));
        let _ = writeln!(text, "{:>9}  {:>9}  {:>7}  prompt", "score", "d_score", "label");
        for candidate in candidates {
            let label = candidate.label.map_or("-".to_owned(), |label| label.to_string());
            let (score, slope) = (number(candidate.score), number(candidate.d_score));
            let _ = writeln!(text, "{score:>9}  {slope:>9}  {label:>7}  {:?}", candidate.prompt);
        }
        text
    }
}
