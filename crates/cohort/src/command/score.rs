//! `cohort score`

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use cohort_core::{Context, StopReason};
use cohort_env::{Item, Means, Origin, Sandbox, Verdict, Verifier, VerifierConfig, View, judge, verifier};
use cohort_train::{
    Workers,
    build::Places,
    recipe::{RecipeError, table_of},
};
use serde_json::{Map, Value, json};

use super::print_line;
use crate::{
    exit::Failure,
    rows::{self, Row},
};

/// Scores completions by one reward term: what a recipe's run would say of them.
///
/// Rows are {"completion":"..", ..} with the columns that the term reads (`cohort rewards TERM`). One line a row, in their order:
/// {"score":x|null,"outcome":"scored|abstain|timeout|error","parts":{..}}.
///
/// A term that compares completions sees a row alone, unless rows that follow each other have the same value in a column `group`.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  echo '{\"completion\":\"so 7\",\"answer\":\"7\"}' | cohort score --reward answer --param compare=number\n  cohort score --reward answer --input rows.jsonl"
)]
pub struct Score {
    /// The reward term
    #[arg(long, value_name = "TERM")]
    reward: String,
    /// A parameter of the term; the value is TOML, or else a text
    #[arg(long = "param", value_name = "KEY=VALUE")]
    parameters: Vec<String>,
    /// Rows, one JSON object a line; stdin unless told
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// What generated programs run in: `jail`, or `none` (with your rights)
    #[arg(long, default_value = "jail", value_parser = sandbox)]
    sandbox: Sandbox,
    /// Rows that are scored at once; one a core unless told
    #[arg(long)]
    workers: Option<usize>,
    /// Rows are JSON either way
    #[arg(long)]
    json: bool,
}

/// Rows that are read before they are scored.
const TOGETHER: usize = 256;

impl Score {
    pub fn run(self) -> Result<(), Failure> {
        let Self { reward, parameters, input, sandbox, workers, json: _ } = self;
        let verifier = config(&reward, &parameters)?
            .build(&Means { sandbox, ..Places::of_environment().means() })
            .map_err(|source| cohort_train::Error::Verifier { term: reward, source })?;
        // A term that waits for others has more rows under way than there are cores.
        let workers = Workers::new(workers.or((verifier.at_once() > 1).then(|| verifier.at_once())));
        let file: Arc<Path> = input.as_deref().unwrap_or(Path::new("stdin")).into();
        let mut rows = rows::read::<Map<String, Value>>(input.as_deref())?.map(|row| item(row?, &file)).peekable();
        loop {
            let mut block: Vec<Item> = Vec::new();
            // No group is cut.
            while let Some(row) = rows.next_if(|row| {
                let goes_on = |row| block.last().is_some_and(|last| is_one_group(last, row));
                block.len() < TOGETHER || row.as_ref().is_ok_and(goes_on)
            }) {
                block.push(row?);
            }
            if block.is_empty() {
                return Ok(());
            }
            let groups: Vec<&[Item]> = block.chunk_by(is_one_group).collect();
            let verdicts = workers.map("scoring", groups.len(), |at| Ok(score(verifier.as_ref(), groups[at])))?;
            verdicts.iter().flatten().try_for_each(|verdict| print_line(&line(verdict).to_string()))?;
        }
    }
}

fn sandbox(word: &str) -> Result<Sandbox, String> {
    serde_json::from_value(word.into()).map_err(|_| "it is `jail` or `none`".to_owned())
}

/// The term with its parameters, as a recipe would hold it.
fn config(name: &str, parameters: &[String]) -> Result<VerifierConfig, Failure> {
    if !verifier::DESCRIBED.iter().any(|known| known.name == name) {
        let hint = "`cohort rewards` lists them all";
        return Err(Failure::usage(format!(
            "--reward: no reward term that scores completions is named `{name}`\n  hint: {hint}"
        )));
    }
    let wrong = |reason: String| {
        Failure::usage(format!("--param: {reason}\n  hint: `cohort rewards {name}` lists the term's parameters"))
    };
    let table = table_of(parameters).map_err(|e| match e {
        RecipeError::Set { given, reason } => wrong(format!("`{given}`: {reason}, expected KEY=VALUE")),
        other => wrong(other.to_string()),
    })?;
    let value = json!({ name: table });
    let config: VerifierConfig = serde_json::from_value(value).map_err(|e| wrong(e.to_string()))?;
    config.check().map_err(|e| wrong(e.to_string()))?;
    Ok(config)
}

fn item(row: Row<Map<String, Value>>, file: &Arc<Path>) -> Result<Item, Failure> {
    let Row { place, line, row } = row;
    if !row.get("completion").is_some_and(Value::is_string) {
        let got = row.get("completion").map_or("nothing".to_owned(), Value::to_string);
        return Err(Failure::data(format!("{place}: `completion` is {got}\n  hint: expected the model's text")));
    }
    Ok(Item {
        prompt: row.get("prompt").and_then(Value::as_str).unwrap_or_default().to_owned(),
        context: Context::of_tokens([]),
        columns: row,
        solution: None,
        origin: Origin::File { path: Arc::clone(file), line },
    })
}

/// Whether two rows are answers to one prompt, which their column `group` says.
fn is_one_group(a: &Item, b: &Item) -> bool {
    let group = |item: &Item| item.columns.get("group").filter(|group| !group.is_null()).cloned();
    group(a).is_some() && group(a) == group(b)
}

fn score(verifier: &dyn Verifier, group: &[Item]) -> Vec<Verdict> {
    judge(verifier, &group.iter().map(view).collect::<Vec<View>>())
}

fn view(item: &Item) -> View<'_> {
    let completion = item.columns.get("completion").and_then(Value::as_str).unwrap_or_default();
    let stop = StopReason::Complete;
    View { item, completion, tokens: &[], stop, turns: 1, payloads: &[], step: 0 }
}

fn line(Verdict { outcome, parts, .. }: &Verdict) -> Value {
    let mut parts = parts.clone();
    if let cohort_core::Outcome::Error { reason } = outcome {
        parts.insert("reason".to_owned(), json!(reason));
    }
    json!({ "score": outcome.value(), "outcome": outcome.kind(), "parts": parts })
}
