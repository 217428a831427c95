//! Arms side by side as one HTML document with pictures: no network, no script.

use std::{fmt::Write, fs, io, path::Path};

use super::{Comparison, Difference, Group, Spread, groups::Point, letters};
use crate::report::{
    chart::{Chart, Floor, Palette, Series, escape},
    count, duration,
    ticks::Unit,
};

/// What is drawn, where a run has it: metric, heading, unit.
const CURVES: [(&str, &str, Unit); 8] = [
    ("correct", "Correct", Unit::Share),
    ("reward/mean", "Reward", Unit::Number),
    ("length/mean", "Mean length", Unit::Number),
    ("entropy", "Entropy", Unit::Number),
    ("groups/signal", "Groups with signal", Unit::Share),
    ("kl", "KL from the reference", Unit::Number),
    ("grad_norm", "Gradient norm", Unit::Number),
    ("truncated", "Truncated", Unit::Share),
];

const STYLE: &str = ":root{--ground:#fcfcfb;--ink:#1b1f26;--quiet:#636b78;--rule:#e3e5e9;--grid:#eceef1;--line-0:#1f5fbf;--line-1:#c2571a;\
--line-2:#22856a;--line-3:#8a4fae;--line-4:#a8830f;--line-5:#5b6472}@media (prefers-color-scheme:dark){:root{--ground:#14171c;--ink:#e7e9ed;\
--quiet:#98a1ae;--rule:#2c323b;--grid:#272c34;--line-0:#7aa9ee;--line-1:#ec9a63;--line-2:#62c6a6;--line-3:#c299dd;--line-4:#d9bb56;\
--line-5:#a4adba}}body{margin:0 auto;max-width:1120px;padding:48px 32px;background:var(--ground);color:var(--ink);font:15px/1.55 system-ui,\
sans-serif;font-variant-numeric:tabular-nums}h1{font-size:30px}h2{font-size:20px;margin:44px 0 8px}h3{font-size:15px;margin:0}p{color:\
var(--quiet);margin:2px 0 8px;font-size:13.5px}table{border-collapse:collapse}th,td{text-align:right;padding:6px 0 6px 26px;border-bottom:1px \
solid var(--rule)}th:first-child,td:first-child{text-align:left;padding-left:0}th{font-weight:500;color:var(--quiet);font-size:13px}.grid{\
display:grid;grid-template-columns:repeat(auto-fill,minmax(460px,1fr));gap:30px}svg{width:100%;height:auto}.wide{overflow-x:auto}";

/// What runs along the bottom.
#[derive(Clone, Copy)]
enum Along {
    Steps,
    Tokens,
}

impl Along {
    fn of(self, point: &Point) -> f64 {
        match self {
            Along::Steps => point.step as f64,
            Along::Tokens => point.tokens,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Along::Steps => "step",
            Along::Tokens => "tokens",
        }
    }
}

/// The page of a comparison.
pub fn page(comparison: &Comparison) -> String {
    let groups = &comparison.groups;
    let title = groups.iter().map(|g| g.name.as_str()).collect::<Vec<_>>().join(", ");
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{0} · Cohort runs</title><style>{STYLE}</style></head><body>\n\
         <h1>{0}</h1>\n<p>Each line is the mean over the seeds of an arm, its band goes from the least to the most of them.</p>\n",
        escape(&title)
    );
    arms(&mut html, groups);
    recipes(&mut html, &comparison.between, groups);
    evaluations(&mut html, groups);
    html.push_str("<h2>Over the sampled tokens</h2>\n<div class=\"grid\">\n");
    CURVES.iter().take(2).for_each(|curve| push_chart(&mut html, groups, *curve, Along::Tokens));
    html.push_str("</div>\n<h2>Over the steps</h2>\n<div class=\"grid\">\n");
    CURVES.iter().for_each(|curve| push_chart(&mut html, groups, *curve, Along::Steps));
    html.push_str("</div>\n</body></html>\n");
    html
}

/// Writes the page of a comparison.
///
/// # Errors
/// The file cannot be written.
pub fn write(comparison: &Comparison, path: &Path) -> io::Result<()> {
    fs::write(path, page(comparison))
}

fn push_table(html: &mut String, rows: &[Vec<String>]) {
    html.push_str("<div class=\"wide\"><table>\n");
    for (i, row) in rows.iter().enumerate() {
        let tag = if i == 0 { "th" } else { "td" };
        let cells: String = row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect();
        let _ = writeln!(html, "<tr>{cells}</tr>");
    }
    html.push_str("</table></div>\n");
}

fn header(first: &str, groups: &[Group]) -> Vec<String> {
    std::iter::once(first.to_owned()).chain(letters().zip(groups).map(|(l, g)| format!("{l} {}", g.name))).collect()
}

fn arms(html: &mut String, groups: &[Group]) {
    html.push_str("<h2>Arms and costs</h2>\n");
    let mut rows = vec![header("", groups)];
    let mut row = |name: &str, of: &dyn Fn(&Group) -> String| {
        rows.push(std::iter::once(name.to_owned()).chain(groups.iter().map(of)).collect());
    };
    row("Runs", &|g| format!("{}, seeds {}", g.runs.len(), list(&g.seeds)));
    row("Sampled tokens", &|g| shown(g.tokens, |x| count(x as u64)));
    row("Wall time", &|g| shown(g.seconds, duration));
    push_table(html, &rows);
}

fn recipes(html: &mut String, between: &[Difference], groups: &[Group]) {
    html.push_str("<h2>What the recipes differ in</h2>\n");
    if between.is_empty() {
        html.push_str("<p>Nothing but the seed.</p>\n");
        return;
    }
    let mut rows = vec![header("key", groups)];
    for difference in between {
        let values = difference.values.iter().map(|v| v.clone().unwrap_or_else(|| "-".to_owned()));
        rows.push(std::iter::once(difference.key.clone()).chain(values).collect());
    }
    push_table(html, &rows);
}

fn evaluations(html: &mut String, groups: &[Group]) {
    let mut names: Vec<&String> = groups.iter().flat_map(|g| g.before.keys().chain(g.after.keys())).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return;
    }
    html.push_str("<h2>On held-out prompts</h2>\n<p>Mean over the seeds, and its range.</p>\n");
    let mut rows = vec![header("", groups)];
    for name in names {
        for (when, of) in [("before", (|g: &Group| &g.before) as fn(&Group) -> &_), ("after", |g| &g.after)] {
            let cells = groups.iter().map(|g| shown(of(g).get(name).copied(), |x| format!("{x:.3}")));
            rows.push(std::iter::once(format!("{name} {when}")).chain(cells).collect());
        }
    }
    push_table(html, &rows);
}

fn push_chart(html: &mut String, groups: &[Group], (metric, title, unit): (&str, &str, Unit), along: Along) {
    let series = |(letter, group): (char, &Group)| {
        let curve = group.curves.get(metric)?;
        let band = if group.runs.len() > 1 {
            curve.iter().map(|p| (along.of(p), p.low, p.high)).collect()
        } else {
            Vec::new()
        };
        let points = curve.iter().map(|p| (along.of(p), p.mean)).collect();
        Some(Series { name: format!("{letter} {}", group.name), points, band })
    };
    let chart = Chart {
        description: format!("{title} over the {}s of {} arms", along.word().trim_end_matches('s'), groups.len()),
        axis: along.word(),
        unit,
        floor: Floor::Data,
        series: letters().zip(groups).filter_map(series).collect(),
        width: 520.0,
        height: 260.0,
    };
    if let Some(svg) = chart.svg(Palette::Page) {
        let _ = writeln!(html, "<div><h3>{}</h3>{svg}</div>", escape(title));
    }
}

fn shown(spread: Option<Spread>, show: impl Fn(f64) -> String) -> String {
    spread.map_or("-".to_owned(), |spread| spread.text(show))
}

/// Numbers with commas.
pub(super) fn list(seeds: &[u64]) -> String {
    seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}
