//! The test split before and after.

use cohort_train::evaluate::Evaluation;
use serde::Serialize;

use super::{
    data::Run,
    ticks::{count, percent, short},
};

/// An accuracy with its interval, also as places on a scale from 0 to 100.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    pub value: String,
    pub interval: Option<String>,
    pub at: f64,
    pub low: Option<f64>,
    pub high: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub name: String,
    pub what: &'static str,
    pub before: Option<Cell>,
    pub after: Option<Cell>,
    pub change: Option<String>,
}

/// A number that is no accuracy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plain {
    pub name: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    pub prompts: String,
    pub rows: Vec<Row>,
    pub plain: Vec<Plain>,
}

/// The table; `None` where the test split was not evaluated.
pub fn table(run: &Run) -> Option<Table> {
    let (before, after) = (run.before(), run.after());
    let either = after.or(before)?;
    let mut names: Vec<&String> = [before, after].into_iter().flatten().flat_map(|e| e.accuracy.keys()).collect();
    names.sort_by_key(|name| rank(name));
    names.dedup();
    // Means of terms have ranges of their own, and strata are told beside the whole.
    let (parts, names): (Vec<&String>, Vec<&String>) = names.into_iter().partition(|name| name.contains('/'));
    let rows = names.into_iter().map(|name| row(name, before, after)).collect();
    let both = |of: fn(&Evaluation) -> String| (before.map(of), after.map(of));
    let plain = |name: &str, (before, after)| Plain { name: name.to_owned(), before, after };
    let mut plains = vec![
        plain("truncated", both(|e| percent(e.truncated))),
        plain("mean length", both(|e| format!("{} actions", short(e.mean_length)))),
    ];
    let number = |e: Option<&Evaluation>, name: &str| e.and_then(|e| e.get(name)).map(short);
    plains.extend(parts.into_iter().map(|name| plain(name, (number(before, name), number(after, name)))));
    if [before, after].into_iter().flatten().any(|e| e.failed > 0) {
        plains.push(plain("failed rewards", both(|e| count(e.failed as u64))));
    }
    Some(Table { prompts: count(either.n as u64), rows, plain: plains })
}

/// Greedy first, then by kind and number of samples.
fn rank(name: &str) -> (usize, u64, &str) {
    let (kind, k) = name.split_once('@').unwrap_or((name, "0"));
    let kinds = ["greedy", "pass", "avg", "maj"];
    let kind = kinds.iter().position(|known| *known == kind).unwrap_or(kinds.len());
    (kind, k.parse().unwrap_or(0), name)
}

fn row(name: &str, before: Option<&Evaluation>, after: Option<&Evaluation>) -> Row {
    let value = |e: Option<&Evaluation>| e.and_then(|e| e.get(name));
    let change = value(before).zip(value(after)).map(|(before, after)| format!("{:+.1}", 100.0 * (after - before)));
    let what = match name.split('@').next().unwrap_or(name) {
        "greedy" => "the most probable completion is right",
        "pass" if name == "pass@1" => "a sample is right",
        "pass" => "at least one of so many samples is right",
        "avg" => "share of so many samples that is right",
        "maj" => "the most frequent answer is right",
        _ => "",
    };
    Row { name: name.to_owned(), what, before: cell(name, before), after: cell(name, after), change }
}

fn cell(name: &str, evaluation: Option<&Evaluation>) -> Option<Cell> {
    let evaluation = evaluation?;
    let value = evaluation.get(name)?;
    let interval = evaluation.interval.get(name).copied();
    let place = |share: f64| (1e4 * share).round() / 100.0;
    Some(Cell {
        value: percent(value),
        interval: interval.map(|[low, high]| format!("{:.1}\u{2009}–\u{2009}{:.1}", 100.0 * low, 100.0 * high)),
        at: place(value),
        low: interval.map(|[low, _]| place(low)),
        high: interval.map(|[_, high]| place(high)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cohort_train::run_dir::Manifest;

    fn evaluation(greedy: f64) -> Evaluation {
        let mut e = Evaluation { n: 512, ..Evaluation::default() };
        for (name, value) in [("pass@8", 0.7), ("pass@16", 0.8), ("maj@8", 0.5), ("avg@8", 0.4), ("greedy", greedy)] {
            e.accuracy.insert(name.to_owned(), value);
        }
        e.interval.insert("greedy".to_owned(), [greedy - 0.05, greedy + 0.05]);
        e
    }

    #[test]
    fn rows_stand_in_a_fixed_order_with_their_change() {
        let manifest = Manifest { before: Some(evaluation(0.25)), after: Some(evaluation(0.5)), ..Manifest::default() };
        let table = table(&Run { manifest: Some(manifest), ..Run::default() }).unwrap();
        let names: Vec<&str> = table.rows.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names, ["greedy", "pass@8", "pass@16", "avg@8", "maj@8"]);
        assert_eq!(table.rows[0].change.as_deref(), Some("+25.0"));
        assert_eq!(table.rows[0].after.as_ref().unwrap().low, Some(45.0));
        assert_eq!(table.rows[1].before.as_ref().unwrap().interval, None);
    }

    #[test]
    fn what_was_not_evaluated_is_absent() {
        assert_eq!(table(&Run::default()), None);
        let manifest = Manifest { before: Some(evaluation(0.25)), ..Manifest::default() };
        let table = table(&Run { manifest: Some(manifest), ..Run::default() }).unwrap();
        assert!(table.rows.iter().all(|r| r.after.is_none() && r.change.is_none()));
    }
}
