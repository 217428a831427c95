//! Which curves a report shows, and how.

use serde::Serialize;

use super::{
    chart::{Chart, Floor, Palette, Series},
    data::Run,
    ticks::{Unit, percent, short},
};

/// A chart with its heading, ready to be shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Panel {
    pub title: String,
    /// What the numbers are, in a few words.
    pub what: String,
    /// The newest value; absent where there are several lines.
    pub last: Option<String>,
    pub svg: String,
}

/// A small panel: a metric, its heading, what it is.
struct Small {
    metric: &'static str,
    title: &'static str,
    what: &'static str,
    unit: Unit,
    floor: Floor,
}

const fn small(metric: &'static str, title: &'static str, what: &'static str, unit: Unit, floor: Floor) -> Small {
    Small { metric, title, what, unit, floor }
}

const SMALL: [Small; 9] = [
    small("groups/signal", "Groups with signal", "share of groups whose rewards differ", Unit::Share, Floor::Zero),
    small("correct", "Correct", "share of sampled completions", Unit::Share, Floor::Zero),
    small("entropy", "Entropy", "nats an action", Unit::Number, Floor::Zero),
    small("kl", "KL from the reference", "nats an action", Unit::Number, Floor::Zero),
    small("clip_fraction", "Clip fraction", "share of actions at the clip", Unit::Share, Floor::Zero),
    small("grad_norm", "Gradient norm", "before clipping", Unit::Number, Floor::Zero),
    small("length/mean", "Mean length", "actions a completion", Unit::Number, Floor::Data),
    small("truncated", "Truncated", "share of completions cut at the cap", Unit::Share, Floor::Zero),
    small("lr", "Learning rate", "of the update", Unit::Number, Floor::Zero),
];

/// Of the score stage.
const SCORES: [Small; 3] = [
    small("loss", "Score: loss", "of the score stage, by unit of its loss", Unit::Number, Floor::Zero),
    small("score/mean", "Score: mean", "gap of the answers, nats", Unit::Number, Floor::Data),
    small("grad_norm", "Score: gradient norm", "of the score stage, before clipping", Unit::Number, Floor::Zero),
];

const SMALL_SIZE: (f64, f64) = (340.0, 168.0);
const LARGE_SIZE: (f64, f64) = (1040.0, 300.0);

/// The reward with its parts, one line a term; `None` before the first step.
pub fn reward(run: &Run) -> Option<Panel> {
    let terms = run.reward_terms();
    let mean = Series { name: "reward (combined)".to_owned(), points: run.series("reward/mean"), ..Series::default() };
    let parts = terms.iter().map(|term| Series {
        name: term.clone(),
        points: run.series(&format!("reward/{term}")),
        ..Series::default()
    });
    let mut series = vec![mean];
    // The only term of weight 1 is the reward: its line would hide the other.
    series.extend(parts.filter(|part| part.points != series_points(run)));
    let chart = Chart {
        description: "Mean reward and its terms over the steps".to_owned(),
        axis: "step",
        unit: Unit::Number,
        floor: Floor::Data,
        series,
        width: LARGE_SIZE.0,
        height: LARGE_SIZE.1,
    };
    let last = run.values("reward/mean").last().map(|v| short(*v));
    let svg = chart.svg(Palette::Page)?;
    Some(Panel { title: "Reward".to_owned(), what: "mean over the step's completions".to_owned(), last, svg })
}

fn series_points(run: &Run) -> Vec<(f64, f64)> {
    run.series("reward/mean")
}

/// The metrics that were computed, one panel each. A learning rate that never moved has none.
pub fn small_multiples(run: &Run) -> Vec<Panel> {
    let moved = |points: &[(f64, f64)]| points.windows(2).any(|pair| pair[0].1 != pair[1].1);
    let of_steps = SMALL.iter().filter_map(|s| {
        let points = run.series(s.metric);
        if s.metric == "lr" && !moved(&points) {
            return None;
        }
        panel(s.title, s.what, s.unit, s.floor, vec![Series { name: s.title.to_owned(), points, ..Series::default() }])
    });
    let dev = run.dev.iter().filter_map(|(step, e)| Some((*step as f64, e.get("greedy")?))).collect();
    let dev = Series { name: "Dev accuracy".to_owned(), points: dev, ..Series::default() };
    let dev = panel("Dev accuracy", "greedy, share of prompts", Unit::Share, Floor::Data, vec![dev]);
    let scores = SCORES.iter().filter_map(|s| {
        let points = run.score_series(s.metric);
        panel(s.title, s.what, s.unit, s.floor, vec![Series { name: s.title.to_owned(), points, ..Series::default() }])
    });
    of_steps.chain(dev).chain(failures(run)).chain(scores).collect()
}

/// Rewards that gave no number, by term and kind; `None` where all did.
fn failures(run: &Run) -> Option<Panel> {
    let names = run.metric_names();
    let counted = names.iter().filter_map(|name| {
        let (term, kind) = name.strip_prefix("reward/")?.rsplit_once('/')?;
        let points = run.series(name);
        Some(Series { name: format!("{term}: {kind}"), points, ..Series::default() })
    });
    panel("Rewards without a number", "completions a step", Unit::Number, Floor::Zero, counted.collect())
}

fn panel(title: &str, what: &str, unit: Unit, floor: Floor, series: Vec<Series>) -> Option<Panel> {
    let last = match series.as_slice() {
        [only] => only.points.last().map(|(_, y)| match unit {
            Unit::Share => percent(*y),
            Unit::Number => short(*y),
        }),
        _ => None,
    };
    let (width, height) = SMALL_SIZE;
    let chart = Chart { description: format!("{title}: {what}"), axis: "step", unit, floor, series, width, height };
    Some(Panel { title: title.to_owned(), what: what.to_owned(), last, svg: chart.svg(Palette::Page)? })
}

/// Mean reward and share of right completions, for a page that knows none of our colours.
pub fn standalone(run: &Run) -> Option<String> {
    let series = [("reward, mean", "reward/mean"), ("correct, share", "correct")];
    let series =
        series.map(|(name, metric)| Series { name: name.to_owned(), points: run.series(metric), ..Series::default() });
    Chart {
        description: format!("Mean reward and share of right completions over the steps of {}", run.name()),
        axis: "step",
        unit: Unit::Number,
        floor: Floor::Zero,
        series: series.into_iter().filter(|s| !s.points.is_empty()).collect(),
        width: 760.0,
        height: 300.0,
    }
    .svg(Palette::OnWhite)
}
