//! What the logs tell of a step, as names and numbers.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::stage::RL;

/// Numbers of one line of a log.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    pub stage: String,
    pub step: u64,
    /// Seconds of all steps up to this one, without the pauses between processes.
    pub seconds: f64,
    pub values: Vec<(String, f64)>,
}

impl Point {
    /// The name of a metric where stages stand side by side: the rl stage's own, another's under the stage.
    pub fn tag(&self, name: &str) -> String {
        if self.stage == RL { name.to_owned() } else { format!("{}/{name}", self.stage) }
    }
}

#[derive(Deserialize)]
struct Timing {
    stage: String,
    step: u64,
    seconds: Spent,
}

#[derive(Deserialize)]
struct Spent {
    #[serde(default)]
    total: f64,
}

/// The points of these logs, stage by stage. `elapsed` holds the seconds of the steps before these lines, and
/// of all steps after the call.
pub(super) fn points(stages: &[&str], timings: &str, elapsed: &mut f64) -> Result<Vec<Point>, String> {
    let mut ends: HashMap<(String, u64), f64> = HashMap::new();
    for line in timings.lines() {
        let timing: Timing = serde_json::from_str(line).map_err(|e| format!("timings.jsonl has a broken line: {e}"))?;
        *elapsed += timing.seconds.total;
        ends.insert((timing.stage, timing.step), *elapsed);
    }
    stages.iter().flat_map(|log| log.lines()).map(|line| point(line, &ends)).collect()
}

fn point(line: &str, ends: &HashMap<(String, u64), f64>) -> Result<Point, String> {
    let broken = |what: &str| format!("a committed line has {what}: {}", line.chars().take(80).collect::<String>());
    let Ok(Value::Object(fields)) = serde_json::from_str(line) else { return Err(broken("no JSON object")) };
    let stage = fields.get("stage").and_then(Value::as_str).unwrap_or(RL).to_owned();
    let step = fields.get("step").and_then(Value::as_u64).ok_or_else(|| broken("no step"))?;
    let values = match fields.get("eval") {
        Some(Value::Object(evaluation)) => {
            let split = fields.get("split").and_then(Value::as_str).unwrap_or("dev");
            numbers(evaluation).map(|(name, value)| (format!("eval/{split}/{name}"), value)).collect()
        }
        _ => numbers(&fields).filter(|(name, _)| *name != "step").map(|(name, x)| (name.to_owned(), x)).collect(),
    };
    // A line without a time (a log of an older run) stands at 0.
    let seconds = ends.get(&(stage.clone(), step)).copied().unwrap_or(0.0);
    Ok(Point { stage, step, seconds, values })
}

fn numbers(fields: &Map<String, Value>) -> impl Iterator<Item = (&str, f64)> {
    fields.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_f64().filter(|x| x.is_finite())?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = "{\"stage\":\"rl\",\"step\":1,\"lr\":0.5,\"word\":\"x\"}\n\
                           {\"stage\":\"rl\",\"step\":1,\"split\":\"dev\",\"eval\":{\"n\":4,\"greedy\":0.25,\"interval\":{}}}\n";
    const TIMINGS: &str = "{\"stage\":\"supervised\",\"step\":1,\"seconds\":{\"total\":2.0}}\n\
                           {\"stage\":\"rl\",\"step\":1,\"seconds\":{\"total\":0.5}}\n";

    #[test]
    fn an_evaluation_stands_at_the_time_of_its_step() {
        let mut elapsed = 1.0;
        let supervised = "{\"stage\":\"supervised\",\"step\":1,\"lr\":1}\n";
        let score = "{\"stage\":\"score\",\"step\":1,\"loss\":0.5,\"rows\":[{\"score\":1}]}\n";
        let got = points(&[supervised, METRICS, score], TIMINGS, &mut elapsed).unwrap();
        assert_eq!(elapsed, 3.5);
        let at = |i: usize| (got[i].step, got[i].seconds, got[i].tag(&got[i].values[0].0));
        assert_eq!(at(0), (1, 3.0, "supervised/lr".to_owned()));
        assert_eq!(at(1), (1, 3.5, "lr".to_owned()));
        assert_eq!(at(2), (1, 3.5, "eval/dev/n".to_owned()));
        assert_eq!(got[2].values[1], ("eval/dev/greedy".to_owned(), 0.25));
        assert_eq!(got[1].values.len(), 1, "a word is no number");
        assert_eq!((got[3].tag("loss"), &got[3].values), ("score/loss".to_owned(), &vec![("loss".to_owned(), 0.5)]));
    }

    #[test]
    fn a_broken_line_is_no_metric() {
        assert!(points(&["", "{\"step\":1,\"half\n", ""], "", &mut 0.0).unwrap_err().contains("no JSON object"));
        assert!(points(&["", "{\"lr\":1}\n", ""], "", &mut 0.0).unwrap_err().contains("no step"));
    }
}
