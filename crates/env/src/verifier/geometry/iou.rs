//! `iou`: how well one box is found.

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};

use super::{
    super::{
        Described, Verdict, VerifierError, View, columns,
        columns::Fault,
        pure::{Pure, at_least},
        reading,
    },
    boxes::{BOX, Box, from_json, lists},
};

/// Intersection over union of the completion's box and the row's, in 0..1; in 2 dimensions `[x1, y1, x2, y2]`, in 3 `[x1, y1, z1, x2, y2, z2]`. With `above`,
/// 1 where it is above that, else 0. Of several boxes of the completion or the row, the mean over those of the completion of
/// the best with any of the row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Iou {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Pure for Iou {
    const DESCRIBED: Described = Described {
        name: "iou",
        summary: "intersection over union of the completion's box, in 2 or 3 dimensions, and the row's",
        range: "0..1",
        reads: &["completion: a box or several, as JSON or numbers", "boxes: a list of boxes, or one box"],
        parameters: &[
            ("above", "with it, 1 where the overlap is above it, else 0"),
            ("tag", "the tag that holds the boxes; without it, the whole completion"),
        ],
        source: "VLM-R1, 3D-R1 (mean over predictions of the best)",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        self.above.map_or(Ok(()), |above| at_least("above", above, 0.0, "at least 0"))
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let gold = gold_boxes(view)?;
        let size = 2 * gold[0].dimensions();
        let said =
            reading::part(self.tag.as_deref(), view.completion).map(|text| lists(text, BOX, size)).unwrap_or_default();
        if said.is_empty() {
            return Ok(Outcome::scored(0.0).into());
        }
        // A malformed box counts as one that meets nothing.
        let best = |numbers: &Vec<f64>| {
            Box::of(numbers).map_or(0.0, |said| gold.iter().map(|g| g.iou(&said)).fold(0.0, f64::max))
        };
        let iou = said.iter().map(best).sum::<f64>() / said.len() as f64;
        let outcome = match self.above {
            Some(above) => Outcome::pass_if(iou > above),
            None => Outcome::scored(iou.clamp(0.0, 1.0)),
        };
        Ok(Verdict::from(outcome).with("iou", iou).with("boxes", said.len()))
    }
}

/// The row's boxes, all of one dimension, at least one.
pub(super) fn gold_boxes(view: &View) -> Result<Vec<Box>, Fault> {
    let expected = "a box [x1, y1, x2, y2] or [x1, y1, z1, x2, y2, z2], or a list of them";
    let lists = from_json(columns::value(view, "boxes", expected)?, BOX);
    let boxes: Option<Vec<Box>> = lists.iter().map(|numbers| Box::of(numbers)).collect();
    let alike = |boxes: &Vec<Box>| !boxes.is_empty() && boxes.iter().all(|b| b.dimensions() == boxes[0].dimensions());
    boxes.filter(alike).ok_or_else(|| columns::fault(view, "boxes", expected))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, error, score},
        *,
    };

    #[test]
    fn overlap_over_union() {
        let row = json!({"boxes": [0, 0, 10, 10]});
        for (completion, expected) in [
            ("[0, 0, 10, 10]", 1.0),
            ("The box is (5, 0, 15, 10).", 1.0 / 3.0),
            (r#"[{"bbox_2d": [0, 0, 5, 10]}]"#, 0.5),
            ("[[0, 0, 10, 10], [20, 20, 30, 30]]", 0.5),
            ("[10, 10, 0, 0]", 0.0),
            ("[0, 0, 10]", 0.0),
            ("[0, 0, NaN, 10]", 0.0),
            ("[0, 0, 1e308, 1e308]", 0.0),
            ("", 0.0),
        ] {
            close(score(&Iou::default(), &row, completion), expected);
        }
        let solid = json!({"boxes": [[0, 0, 0, 2, 2, 2]]});
        close(score(&Iou::default(), &solid, "[1, 0, 0, 3, 2, 2]"), 1.0 / 3.0);
        close(score(&Iou { above: Some(0.5), tag: None }, &row, "[0, 0, 5, 10]"), 0.0);
        close(score(&Iou { above: Some(0.4), tag: None }, &row, "[0, 0, 5, 10]"), 1.0);
        for bad in [json!({}), json!({"boxes": []}), json!({"boxes": [0, 0, -1, 1]}), json!({"boxes": "x"})] {
            assert!(error(&Iou::default(), &bad, "").contains("`boxes`"));
        }
    }
}
