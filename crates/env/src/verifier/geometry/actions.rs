//! `weighted_actions`: planned actions, some worth more than others.

use std::collections::{BTreeMap, BTreeSet};

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};

use super::super::{
    Described, Verdict, VerifierError, View, columns, columns::Fault, pure::Pure, reading, words::words,
};

/// F1 of the actions that the completion names and the row's, times the mean weight of those that are right, in 0..1. Actions are the
/// keys of `weights`, as whole words in lower case. To list more actions than are right costs precision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WeightedActions {
    pub weights: BTreeMap<String, f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for WeightedActions {
    fn default() -> Self {
        let weights = [
            ("keep", 0.8),
            ("accelerate", 1.0),
            ("decelerate", 1.0),
            ("stop", 1.0),
            ("straight", 0.8),
            ("left_turn", 1.0),
            ("right_turn", 1.0),
        ];
        Self { weights: weights.map(|(name, weight)| (name.to_owned(), weight)).into(), tag: None }
    }
}

impl Pure for WeightedActions {
    const DESCRIBED: Described = Described {
        name: "weighted_actions",
        summary: "F1 of the actions that the completion names, times the mean weight of those that are right",
        range: "0..1",
        reads: &["completion", "actions: an action, or a list of them, each a key of weights"],
        parameters: &[
            (
                "weights",
                "actions and their weights in 0..1; the seven of AlphaDrive unless told, keep and straight 0.8, others 1",
            ),
            ("tag", "the tag that holds the actions; without it, the whole completion"),
        ],
        source: "AlphaDrive (speed and path F1 times action weight)",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        let bad = self.weights.iter().find(|(_, weight)| !(0.0..=1.0).contains(*weight));
        match bad {
            Some((_, &got)) => Err(VerifierError::BadNumber { parameter: "weights", got, expected: "in 0..1 each" }),
            None => Ok(()),
        }
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let gold: BTreeSet<String> = columns::texts(view, "actions")?.iter().map(|a| name(a)).collect();
        let weights: BTreeMap<String, f64> =
            self.weights.iter().map(|(action, weight)| (name(action), *weight)).collect();
        if gold.is_empty() || !gold.iter().all(|action| weights.contains_key(action)) {
            return Err(columns::fault(view, "actions", "actions of `weights`, one or more"));
        }
        let text = format!(" {} ", name(reading::part(self.tag.as_deref(), view.completion).unwrap_or("")));
        let said: BTreeSet<&String> = weights.keys().filter(|action| text.contains(&format!(" {action} "))).collect();
        let right: Vec<f64> =
            gold.iter().filter(|action| said.contains(action)).map(|action| weights[action]).collect();
        let f1 = 2.0 * right.len() as f64 / (said.len() + gold.len()) as f64;
        let weight = if right.is_empty() { 0.0 } else { right.iter().sum::<f64>() / right.len() as f64 };
        Ok(Verdict::from(Outcome::scored((f1 * weight).clamp(0.0, 1.0))).with("f1", f1).with("weight", weight))
    }
}

fn name(text: &str) -> String {
    words(text).join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, error, score},
        *,
    };

    #[test]
    fn listing_all_is_no_way_to_be_right() {
        let row = json!({"actions": "left_turn"});
        for (completion, expected) in [
            ("Left turn.", 1.0),
            ("left_turn, right_turn", 2.0 / 3.0),
            ("straight, left_turn, right_turn", 0.5),
            ("right_turn", 0.0),
            ("leftturn", 0.0),
            ("", 0.0),
        ] {
            close(score(&WeightedActions::default(), &row, completion), expected);
        }
        close(score(&WeightedActions::default(), &json!({"actions": ["keep", "straight"]}), "keep, straight"), 0.8);
        assert!(error(&WeightedActions::default(), &json!({"actions": "fly"}), "").contains("`actions`"));
    }
}
