//! Runs side by side: where their recipes differ, how good they got, metrics at equal steps, and what they cost.

mod groups;
pub mod page;

use std::{collections::BTreeMap, fmt::Write, path::PathBuf};

use cohort_train::{
    Seconds,
    evaluate::Evaluation,
    recipe::differing_keys,
    run_dir::{RunState, Tokens},
};
use serde::Serialize;

pub use groups::{Group, Point, Spread};

use crate::report::{Run, RunError, bytes, count, duration};

/// One of the runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    pub path: PathBuf,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<RunState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Steps of the rl stage that metrics were written of.
    pub steps: u64,
    /// On the test split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Evaluation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Evaluation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    /// What of its directory is missing or broken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// A key of the resolved recipes that is not the same in all of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    pub key: String,
    /// As TOML, one a run; `null` where the run has no such key or no recipe.
    pub values: Vec<Option<String>>,
}

/// Runs side by side, in the order in which they were given.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    pub runs: Vec<Side>,
    pub recipe: Vec<Difference>,
    /// Runs of one recipe that differ in their seed, together.
    pub groups: Vec<Group>,
    /// What the recipes of the groups differ in.
    #[serde(skip)]
    pub between: Vec<Difference>,
    /// Steps that all runs have.
    pub steps: Vec<u64>,
    /// By name: the values of each run at these steps, `null` where it was not computed.
    pub metrics: BTreeMap<String, Vec<Vec<Option<f64>>>>,
}

/// Reads the runs and puts them side by side.
///
/// # Errors
/// A path is no run directory, or a file of it cannot be opened.
pub fn compare(paths: &[PathBuf]) -> Result<Comparison, RunError> {
    let runs: Vec<Run> = paths.iter().map(|path| Run::read(path)).collect::<Result<_, _>>()?;
    let texts: Vec<Option<&str>> = runs.iter().map(|run| run.recipe_text.as_deref()).collect();
    let recipe = differing_keys(&texts).into_iter().map(|(key, values)| Difference { key, values }).collect();
    let by_step: Vec<BTreeMap<u64, &BTreeMap<String, f64>>> =
        runs.iter().map(|run| run.steps.iter().map(|s| (s.step, &s.values)).collect()).collect();
    let of_all = |step: &u64| by_step.iter().all(|run| run.contains_key(step));
    let steps: Vec<u64> = by_step.first().into_iter().flat_map(|run| run.keys().copied()).filter(of_all).collect();
    let mut metrics = BTreeMap::new();
    for name in runs.iter().flat_map(Run::metric_names) {
        let column = |run: &BTreeMap<u64, &BTreeMap<String, f64>>| {
            steps.iter().map(|step| run[step].get(&name).copied()).collect::<Vec<_>>()
        };
        let columns = by_step.iter().map(column).collect();
        metrics.entry(name.clone()).or_insert(columns);
    }
    let sides: Vec<Side> = runs.iter().map(side).collect();
    let groups = groups::groups(&runs, &sides);
    let between = groups::differences(&runs, &groups);
    Ok(Comparison { runs: sides, recipe, groups, between, steps, metrics })
}

fn side(run: &Run) -> Side {
    let seconds = run.summary.as_ref().map(|s| s.seconds).or_else(|| run.manifest.as_ref().map(|m| m.seconds));
    let seed = run.summary.as_ref().map(|s| s.seed).or_else(|| run.manifest.as_ref().map(|m| m.seed));
    Side {
        name: run.name(),
        state: run.state(),
        seed,
        steps: run.last_step().unwrap_or(0),
        before: run.before().cloned(),
        after: run.after().cloned(),
        tokens: run.tokens(),
        seconds,
        peak_rss_bytes: run.summary.as_ref().and_then(|s| s.peak_rss_bytes).or(run.step_peak_rss_bytes),
        path: run.path.clone(),
        remarks: run.remarks.clone(),
    }
}

/// Metrics that are shown without being asked for, where a run has them.
const USUAL: [&str; 8] =
    ["reward/mean", "correct", "groups/signal", "length/mean", "entropy", "kl", "clip_fraction", "grad_norm"];

/// Steps of the table for people.
const SHOWN_STEPS: usize = 5;

impl Comparison {
    /// For a terminal; `more` are metrics to show beside the usual ones.
    pub fn text(&self, more: &[String]) -> String {
        if self.groups.len() < self.runs.len() {
            return self.text_of_groups(more);
        }
        let mut text = String::new();
        for (letter, run) in letters().zip(&self.runs) {
            let state = run.state.map_or("unknown", word);
            let seed = run.seed.map_or(String::new(), |seed| format!(", seed {seed}"));
            let _ =
                writeln!(text, "{letter}  {} ({}{seed}): {} steps, {state}", run.path.display(), run.name, run.steps);
            run.remarks.iter().for_each(|remark| _ = writeln!(text, "     {remark}"));
        }
        self.write_recipe(&mut text);
        self.write_evaluations(&mut text);
        self.write_metrics(&mut text, more);
        self.write_cost(&mut text);
        text
    }

    /// The same, an arm a column.
    fn text_of_groups(&self, more: &[String]) -> String {
        let mut text = String::new();
        for (letter, group) in letters().zip(&self.groups) {
            let n = group.runs.len();
            let runs = if n == 1 { "1 run, seed" } else { &format!("{n} runs, seeds") };
            let _ = writeln!(text, "{letter}  {}: {runs} {}", group.name, page::list(&group.seeds));
            for run in group.runs.iter().map(|i| &self.runs[*i]) {
                let state = run.state.map_or("unknown", word);
                let _ = writeln!(text, "     {}: {} steps, {state}", run.path.display(), run.steps);
                run.remarks.iter().for_each(|remark| _ = writeln!(text, "     {remark}"));
            }
        }
        let header = |first: &[&str]| -> Vec<String> {
            let letters = letters().take(self.groups.len()).map(String::from);
            first.iter().map(|s| (*s).to_owned()).chain(letters).collect()
        };
        let shown = |spread: Option<Spread>, show: &dyn Fn(f64) -> String| {
            spread.map_or("-".to_owned(), |spread| spread.text(show))
        };
        if self.between.is_empty() {
            text.push_str("\nthe recipes differ in nothing but the seed\n");
        } else {
            let mut rows = vec![header(&["recipe"])];
            for difference in &self.between {
                let values = difference.values.iter().map(|value| value.clone().unwrap_or_else(|| "-".to_owned()));
                rows.push(std::iter::once(difference.key.clone()).chain(values).collect());
            }
            push_table(&mut text, &rows);
        }
        let mut names: Vec<&String> = self.groups.iter().flat_map(|g| g.before.keys().chain(g.after.keys())).collect();
        names.sort_unstable();
        names.dedup();
        let mut rows = vec![header(&["test split, mean (range)"])];
        for name in names {
            for (when, of) in [("before", (|g: &Group| &g.before) as fn(&Group) -> &_), ("after", |g| &g.after)] {
                let cells = self.groups.iter().map(|g| shown(of(g).get(name).copied(), &|x| format!("{x:.3}")));
                rows.push(std::iter::once(format!("{name} {when}")).chain(cells).collect());
            }
        }
        push_table(&mut text, &rows);
        let wanted = USUAL.iter().copied().chain(more.iter().map(String::as_str).filter(|name| !USUAL.contains(name)));
        let mut rows = vec![header(&["mean over seeds", "step"])];
        for name in wanted.filter(|name| self.groups.iter().any(|g| g.curves.contains_key(*name))) {
            for (i, step) in self.shown_steps().into_iter().enumerate() {
                let first = if i == 0 { name.to_owned() } else { String::new() };
                let at =
                    |g: &Group| g.curves.get(name)?.iter().find(|p| p.step == step).map(|p| format!("{:.4}", p.mean));
                let cells = self.groups.iter().map(|g| at(g).unwrap_or_else(|| "-".to_owned()));
                rows.push([first, step.to_string()].into_iter().chain(cells).collect());
            }
        }
        push_table(&mut text, &rows);
        let mut rows = vec![header(&["cost a run"])];
        let tokens = self.groups.iter().map(|g| shown(g.tokens, &|x| count(x as u64)));
        rows.push(std::iter::once("sampled tokens".to_owned()).chain(tokens).collect());
        let seconds = self.groups.iter().map(|g| shown(g.seconds, &duration));
        rows.push(std::iter::once("time".to_owned()).chain(seconds).collect());
        push_table(&mut text, &rows);
        text
    }

    /// From the first common step to the last, evenly; none where the runs have none in common.
    fn shown_steps(&self) -> Vec<u64> {
        let Some(last) = self.steps.len().checked_sub(1) else { return Vec::new() };
        let mut shown: Vec<usize> = (0..SHOWN_STEPS).map(|i| i * last / (SHOWN_STEPS - 1)).collect();
        shown.dedup();
        shown.into_iter().map(|i| self.steps[i]).collect()
    }

    fn header(&self, first: &str) -> Vec<String> {
        std::iter::once(first.to_owned()).chain(letters().take(self.runs.len()).map(String::from)).collect()
    }

    fn write_recipe(&self, text: &mut String) {
        if self.recipe.is_empty() {
            text.push_str("\nthe recipes are equal\n");
            return;
        }
        let absent = || "-".to_owned();
        let mut rows = vec![self.header("recipe")];
        for difference in &self.recipe {
            let values = difference.values.iter().map(|value| value.clone().unwrap_or_else(absent));
            rows.push(std::iter::once(difference.key.clone()).chain(values).collect());
        }
        push_table(text, &rows);
    }

    fn write_evaluations(&self, text: &mut String) {
        let mut rows = vec![self.header("test split")];
        let accuracies = self.runs.iter().flat_map(|run| [&run.before, &run.after]).flatten();
        let mut names: Vec<&String> = accuracies.flat_map(|e| e.accuracy.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            for (when, of) in
                [("before", (|run| &run.before) as fn(&Side) -> &Option<Evaluation>), ("after", |run| &run.after)]
            {
                let cells = self.runs.iter().map(|run| of(run).as_ref().and_then(|e| accuracy(e, name)));
                let cells = cells.map(|cell| cell.unwrap_or_else(|| "-".to_owned()));
                rows.push(std::iter::once(format!("{name} {when}")).chain(cells).collect());
            }
        }
        if rows.len() > 1 {
            push_table(text, &rows);
        }
    }

    fn write_metrics(&self, text: &mut String, more: &[String]) {
        let usual = USUAL.iter().copied().filter(|name| self.metrics.contains_key(*name));
        let more = more.iter().map(String::as_str).filter(|name| !USUAL.contains(name));
        if self.steps.is_empty() {
            text.push_str("\nthe runs have no step in common\n");
            return;
        }
        // From the first common step to the last, evenly.
        let last = self.steps.len() - 1;
        let mut shown: Vec<usize> = (0..SHOWN_STEPS).map(|i| i * last / (SHOWN_STEPS - 1)).collect();
        shown.dedup();
        let mut header = vec!["step".to_owned(), String::new()];
        header.extend(shown.iter().map(|&i| self.steps[i].to_string()));
        let mut rows = vec![header];
        for name in usual.chain(more) {
            for (letter, column) in letters().zip(&self.metrics[name]) {
                let first = if letter == 'A' { name.to_owned() } else { String::new() };
                let values = shown.iter().map(|&i| column[i].map_or("-".to_owned(), |value| format!("{value:.4}")));
                rows.push([first, letter.to_string()].into_iter().chain(values).collect());
            }
        }
        push_table(text, &rows);
    }

    fn write_cost(&self, text: &mut String) {
        let mut rows = vec![self.header("cost")];
        let mut row = |name: &str, of: &dyn Fn(&Side) -> Option<String>| {
            let cells: Vec<String> = self.runs.iter().map(|run| of(run).unwrap_or_else(|| "-".to_owned())).collect();
            rows.push(std::iter::once(name.to_owned()).chain(cells).collect());
        };
        row("prompt tokens", &|run| Some(count(run.tokens?.prompt)));
        row("completion tokens", &|run| Some(count(run.tokens?.completion)));
        row("time", &|run| Some(duration(run.seconds?.total)));
        row("  sampling", &|run| Some(duration(run.seconds?.sample)));
        row("  training", &|run| Some(duration(run.seconds?.train)));
        row("peak memory", &|run| run.peak_rss_bytes.map(bytes));
        push_table(text, &rows);
    }
}

/// A, B, C and so on.
fn letters() -> impl Iterator<Item = char> {
    ('A'..='Z').chain(std::iter::repeat('?'))
}

fn word(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running or interrupted",
        RunState::Complete => "complete",
        RunState::Failed => "failed",
    }
}

fn accuracy(evaluation: &Evaluation, name: &str) -> Option<String> {
    let value = evaluation.get(name)?;
    Some(match evaluation.interval.get(name) {
        Some([low, high]) => format!("{value:.3} ({low:.3} .. {high:.3})"),
        None => format!("{value:.3}"),
    })
}

/// An empty line and a table: the first column reads from the left, the others from the right.
fn push_table(text: &mut String, rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|row| row.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in std::iter::once(&Vec::new()).chain(rows) {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(c, (cell, &width))| if c == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") })
            .collect();
        text.push_str(cells.join("   ").trim_end());
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::Synthetic;

    fn side_by_side(runs: &[&Synthetic]) -> Comparison {
        compare(&runs.iter().map(|run| run.path().to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn runs_are_compared_where_both_have_a_step() {
        let a = Synthetic::new(9).finish();
        let b = Synthetic::new(5).recipe("lr = 2e-4", "lr = 5e-4").write();
        let got = side_by_side(&[&a, &b]);
        assert_eq!(got.steps, [1, 2, 3, 4, 5]);
        let [difference] = &got.recipe[..] else { panic!("{:?}", got.recipe) };
        assert_eq!(difference.key, "train.lr");
        assert_eq!(difference.values, [Some("0.0002".to_owned()), Some("0.0005".to_owned())]);
        let correct = &got.metrics["correct"];
        assert_eq!((correct.len(), correct[0].len()), (2, 5));
        assert!(correct[1][4] > correct[0][4], "the shorter run is further at its last step");
        let text = got.text(&["lr".to_owned()]);
        for part in ["train.lr", "greedy after", "0.750 (0.700 .. 0.800)", "reward/mean", "lr", "completion tokens"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_metric_that_one_run_lacks_is_absent_there() {
        let a = Synthetic::new(3).write();
        let b = Synthetic::new(3).with("kl", |step| step as f64).write();
        let got = side_by_side(&[&a, &b]);
        assert_eq!(got.metrics["kl"], [vec![None; 3], vec![Some(1.0), Some(2.0), Some(3.0)]]);
        assert!(got.recipe.is_empty() && got.text(&[]).contains("the recipes are equal"));
    }

    #[test]
    fn what_is_no_run_is_refused() {
        let a = Synthetic::new(1).write();
        let error = compare(&[a.path().to_owned(), "/nonexistent".into()]).unwrap_err();
        assert!(error.to_string().contains("/nonexistent is not a run directory"), "{error}");
    }
}
