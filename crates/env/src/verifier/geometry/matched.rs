//! `matched_boxes` and `matched_points`: several objects, each found once.

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::{
        Described, Verdict, VerifierError, View, columns,
        columns::Fault,
        pure::{Pure, at_least},
        reading,
    },
    assignment,
    boxes::{BOX, Box, lists},
    iou::gold_boxes,
};

/// More objects than these are not looked at: a bound on time.
const MOST: usize = 120;

/// What a pair of boxes is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pair {
    /// Their intersection over union.
    #[default]
    Iou,
    /// 1 where that is above `above`, else 0.
    Found,
    /// The mean of `Found` and of the mean absolute difference of coordinates being below `apart`.
    FoundAndNear,
}

/// `sum of the pairs / max(M, N)` in 0..1, over the assignment of the M boxes of the completion to the N of the row that makes the sum greatest; the first
/// 120 of each count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MatchedBoxes {
    pub pair: Pair,
    pub above: f64,
    pub apart: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for MatchedBoxes {
    fn default() -> Self {
        Self { pair: Pair::default(), above: 0.5, apart: 10.0, tag: None }
    }
}

impl Pure for MatchedBoxes {
    const DESCRIBED: Described = Described {
        name: "matched_boxes",
        summary: "worth of the best assignment of the completion's boxes to the row's, over the larger number of boxes",
        range: "0..1",
        reads: &["completion: boxes, as JSON or numbers", "boxes: a list of boxes"],
        parameters: &[
            (
                "pair",
                "\"iou\" (default), \"found\": overlap above `above`, or \"found_and_near\": half for coordinates within `apart`",
            ),
            ("above", "0.5 unless told"),
            ("apart", "mean absolute difference of coordinates; 10 unless told"),
            ("tag", "the tag that holds the boxes; without it, the whole completion"),
        ],
        source: "Affordance-R1 (Hungarian, overlap 0.65, 10 pixels, at most 120), DeFacto",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        at_least("above", self.above, 0.0, "at least 0")?;
        at_least("apart", self.apart, 0.0, "at least 0")
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let gold = gold_boxes(view)?;
        let size = 2 * gold[0].dimensions();
        let said =
            reading::part(self.tag.as_deref(), view.completion).map(|text| lists(text, BOX, size)).unwrap_or_default();
        let worth = |said: &Vec<f64>| -> Vec<f64> {
            let said = Box::of(said).filter(|said| said.dimensions() == gold[0].dimensions());
            gold.iter().take(MOST).map(|gold| said.as_ref().map_or(0.0, |said| self.pair(said, gold))).collect()
        };
        let worths: Vec<Vec<f64>> = said.iter().take(MOST).map(worth).collect();
        Ok(share(&worths, gold.len().min(MOST)))
    }
}

impl MatchedBoxes {
    fn pair(&self, said: &Box, gold: &Box) -> f64 {
        let iou = said.iou(gold);
        let found = f64::from(iou > self.above);
        match self.pair {
            Pair::Iou => iou,
            Pair::Found => found,
            Pair::FoundAndNear => f64::midpoint(found, f64::from(said.apart(gold) < self.apart)),
        }
    }
}

/// The share of points that are found: `pairs / max(M, N)` over the assignment of the completion's points to the row's in which most pairs are
/// nearer than `within`, and inside the row's box where it has the column `boxes` with one for each point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MatchedPoints {
    pub within: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for MatchedPoints {
    fn default() -> Self {
        Self { within: 30.0, tag: None }
    }
}

impl Pure for MatchedPoints {
    const DESCRIBED: Described = Described {
        name: "matched_points",
        summary: "share of points found by the best assignment, over the larger number of points",
        range: "0..1",
        reads: &[
            "completion: points, as JSON or numbers",
            "points: a list of points of one dimension",
            "boxes: with it, a box that each point must lie in",
        ],
        parameters: &[
            ("within", "Euclidean distance; 30 unless told"),
            ("tag", "the tag that holds the points; without it, the whole completion"),
        ],
        source: "Affordance-R1 (30 pixels, in its box)",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        at_least("within", self.within, 0.0, "at least 0")
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let gold = columns::table(view, "points", "a list of points, all of one dimension, not empty")?;
        let size = gold.first().map_or(0, Vec::len);
        if size == 0 {
            return Err(columns::fault(view, "points", "a list of points, all of one dimension, not empty"));
        }
        let boxes = match view.column("boxes") {
            None | Some(Value::Null) => None,
            Some(_) => Some(gold_boxes(view)?),
        };
        if boxes.as_ref().is_some_and(|boxes| boxes.len() != gold.len()) {
            return Err(columns::fault(view, "boxes", "a list of as many boxes as there are points"));
        }
        let keys = &["point_2d", "point_3d", "point"];
        let said =
            reading::part(self.tag.as_deref(), view.completion).map(|text| lists(text, keys, size)).unwrap_or_default();
        let worth = |said: &Vec<f64>| -> Vec<f64> {
            let one = |(i, gold): (usize, &Vec<f64>)| {
                let inside = boxes.as_ref().is_none_or(|boxes| boxes[i].holds(said));
                f64::from(said.len() == size && distance(said, gold) < self.within && inside)
            };
            gold.iter().take(MOST).enumerate().map(one).collect()
        };
        let worths: Vec<Vec<f64>> = said.iter().take(MOST).map(worth).collect();
        Ok(share(&worths, gold.len().min(MOST)))
    }
}

fn share(worths: &[Vec<f64>], gold: usize) -> Verdict {
    let pairs = assignment::best(worths);
    let sum: f64 = pairs.iter().zip(worths).filter_map(|(column, row)| column.map(|column| row[column])).sum();
    let score = (sum / worths.len().max(gold) as f64).clamp(0.0, 1.0);
    Verdict::from(Outcome::scored(score)).with("said", worths.len()).with("expected", gold)
}

/// Euclidean.
pub(super) fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, error, score},
        *,
    };

    #[test]
    fn each_box_is_found_once() {
        let row = json!({"boxes": [[0, 0, 10, 10], [20, 0, 30, 10]]});
        for (completion, expected) in [
            ("[[20, 0, 30, 10], [0, 0, 10, 10]]", 1.0),
            ("[[0, 0, 10, 10], [0, 0, 10, 10]]", 0.5),
            ("[[0, 0, 10, 10]]", 0.5),
            ("[[0, 0, 10, 10], [20, 0, 30, 10], [50, 50, 60, 60], [1, 2]]", 0.5),
            ("[]", 0.0),
            ("", 0.0),
        ] {
            close(score(&MatchedBoxes::default(), &row, completion), expected);
        }
        let near = MatchedBoxes { pair: Pair::FoundAndNear, above: 0.9, ..MatchedBoxes::default() };
        close(score(&near, &row, "[[0, 0, 10, 12], [20, 0, 30, 10]]"), 0.75);
        close(
            score(&MatchedBoxes::default(), &row, &format!("[{}[0, 0, 1, 1]]", "[0, 0, 1, 1],".repeat(5000))),
            0.01 / 120.0,
        );
    }

    #[test]
    fn points_are_near_and_inside() {
        let row = json!({"points": [[0, 0], [100, 0]]});
        close(score(&MatchedPoints::default(), &row, "[[100, 20], [0, 29]]"), 1.0);
        close(score(&MatchedPoints::default(), &row, "[[0, 0], [0, 1]]"), 0.5);
        close(score(&MatchedPoints::default(), &row, "(0, 30) and (100, 1)"), 0.5);
        let inside = json!({"points": [[5, 5]], "boxes": [[0, 0, 10, 10]]});
        close(score(&MatchedPoints::default(), &inside, "[[11, 5]]"), 0.0);
        close(score(&MatchedPoints::default(), &inside, r#"[{"point_2d": [9, 5]}]"#), 1.0);
        assert!(error(&MatchedPoints::default(), &json!({"points": [[0, 0], [1]]}), "").contains("`points`"));
        assert!(
            error(&MatchedPoints::default(), &json!({"points": [[0, 0]], "boxes": [[0, 0, 1, 1], [0, 0, 1, 1]]}), "")
                .contains("`boxes`")
        );
    }
}
