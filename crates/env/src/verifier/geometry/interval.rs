//! `temporal_iou`: when something happens.

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{
    Described, Verdict, VerifierError, View, columns,
    columns::Fault,
    pure::{Pure, at_least},
    reading,
};

/// Of the intervals `[s, e]`, `max(0, min(e1, e2) - max(s1, s2)) / (max(e1, e2) - min(s1, s2))` in 0..1; with `above`, 1 where it is at least that, else 0. An
/// interval that ends before it starts, or has no length, is worth 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TemporalIou {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Pure for TemporalIou {
    const DESCRIBED: Described = Described {
        name: "temporal_iou",
        summary: "intersection over union of the completion's interval and the row's",
        range: "0..1",
        reads: &[
            "completion: {\"start_time\": s, \"end_time\": e}, [s, e], or a text with exactly two numbers",
            "interval: [s, e]",
        ],
        parameters: &[
            ("above", "with it, 1 where the overlap is at least that, else 0"),
            ("tag", "the tag that holds the interval; without it, the whole completion"),
        ],
        source: "Temporal-R1 (tIoU)",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        self.above.map_or(Ok(()), |above| at_least("above", above, 0.0, "at least 0"))
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let gold = columns::numbers(view, "interval")?;
        let (s2, e2) =
            ordered(&gold).ok_or_else(|| columns::fault(view, "interval", "[start, end] with start < end"))?;
        let said = reading::part(self.tag.as_deref(), view.completion).and_then(said);
        let Some((s1, e1)) = said else { return Ok(Outcome::scored(0.0).into()) };
        let iou = ((e1.min(e2) - s1.max(s2)).max(0.0) / (e1.max(e2) - s1.min(s2))).clamp(0.0, 1.0);
        let outcome = self.above.map_or(Outcome::scored(iou), |above| Outcome::pass_if(iou >= above));
        Ok(Verdict::from(outcome).with("iou", iou))
    }
}

fn ordered(interval: &[f64]) -> Option<(f64, f64)> {
    match *interval {
        [start, end] if start < end && (end - start).is_finite() => Some((start, end)),
        _ => None,
    }
}

fn said(text: &str) -> Option<(f64, f64)> {
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    match reading::json(text) {
        Some(Value::Object(map)) => {
            let of = |names: [&str; 2]| names.iter().find_map(|name| map.get(*name)).and_then(number);
            ordered(&[of(["start_time", "start"])?, of(["end_time", "end"])?])
        }
        Some(Value::Array(list)) => ordered(&list.iter().map(number).collect::<Option<Vec<_>>>()?),
        _ => ordered(&reading::numbers(text)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, error, score},
        *,
    };

    #[test]
    fn intervals_overlap() {
        let row = json!({"interval": [0.4, 0.8]});
        for (completion, expected) in [
            (r#"{"start_time": "0.2", "end_time": "0.6"}"#, 1.0 / 3.0),
            ("[0.4, 0.8]", 1.0),
            ("from 0.2 to 0.6", 1.0 / 3.0),
            ("[0.8, 0.4]", 0.0),
            ("[0.9, 1]", 0.0),
            ("[0.5, 0.5]", 0.0),
            ("[NaN, 1]", 0.0),
            ("1 2 3", 0.0),
            ("", 0.0),
        ] {
            close(score(&TemporalIou::default(), &row, completion), expected);
        }
        close(score(&TemporalIou { above: Some(0.5), tag: None }, &row, "[0.4, 0.7]"), 1.0);
        assert!(error(&TemporalIou::default(), &json!({"interval": [1, 1]}), "").contains("`interval`"));
    }
}
