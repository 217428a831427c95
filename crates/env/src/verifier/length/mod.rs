//! `length`: how long a completion is.

use std::f64::consts::PI;

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};

use super::{
    Described, Verdict, VerifierError, View,
    columns::Fault,
    pure::{Pure, at_least, positive},
    reading,
};

/// What a length counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Unicode scalar values.
    Characters,
    /// What stands between blanks.
    Words,
    /// Of the whole completion, whatever `tag` says.
    #[default]
    Tokens,
}

/// What a length L is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// 1 where `low <= L <= high`, else 0.
    #[default]
    Window,
    /// `1 - max(0, min(1, (L - low) / (high - low)))`: 1 up to `low`, 0 from `high`.
    Linear,
    /// The same with half a cosine: `(1 + cos(pi p)) / 2`.
    Cosine,
    /// `exp(-z^2 / 2)`, z the distance from the window in `width`.
    Gaussian,
    /// Grows from 0 to 1 at `low`, and falls to 0 at `high`, in straight lines.
    Turning,
}

/// A function of the length, in 0..1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Length {
    pub unit: Unit,
    pub shape: Shape,
    pub low: u32,
    pub high: u32,
    pub width: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for Length {
    fn default() -> Self {
        Self { unit: Unit::default(), shape: Shape::default(), low: 320, high: 512, width: 100.0, tag: None }
    }
}

impl Pure for Length {
    const DESCRIBED: Described = Described {
        name: "length",
        summary: "whether, or how well, the completion's length fits a window",
        range: "0..1",
        reads: &["completion, or its tokens"],
        parameters: &[
            ("unit", "\"tokens\" (default), \"characters\" or \"words\""),
            (
                "shape",
                "\"window\" (default) 1 inside; \"linear\" and \"cosine\" fall from low to high; \"gaussian\" falls on either side of the window; \"turning\" grows up to low and falls up to high",
            ),
            ("low", "320 unless told"),
            ("high", "512 unless told"),
            ("width", "of the Gaussian, in units; 100 unless told"),
            ("tag", "the tag whose text is measured, but in tokens; without it, the whole completion"),
        ],
        source: "Video-R1 and ViSS-R1 (window), Open-RS (cosine), Fission-GRPO (Gaussian), format-length surrogate (turning point)",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        positive("width", self.width)?;
        let least = if matches!(self.shape, Shape::Window | Shape::Gaussian) { self.low } else { self.low + 1 };
        at_least("high", f64::from(self.high), f64::from(least), "above low")
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let text = || reading::part(self.tag.as_deref(), view.completion).unwrap_or("");
        let length = match self.unit {
            Unit::Tokens => view.tokens.len(),
            Unit::Characters => text().chars().count(),
            Unit::Words => text().split_whitespace().count(),
        };
        Ok(Verdict::from(Outcome::scored(self.worth(length as f64))).with("length", length))
    }
}

impl Length {
    fn worth(&self, length: f64) -> f64 {
        let (low, high) = (f64::from(self.low), f64::from(self.high));
        let past = ((length - low) / (high - low)).clamp(0.0, 1.0);
        match self.shape {
            Shape::Window => f64::from((low..=high).contains(&length)),
            Shape::Linear => 1.0 - past,
            Shape::Cosine => f64::midpoint((PI * past).cos(), 1.0),
            Shape::Gaussian => {
                let z = ((low - length).max(length - high).max(0.0)) / self.width;
                (-z * z / 2.0).exp()
            }
            Shape::Turning if length < low => length / low,
            Shape::Turning => 1.0 - past,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::pure::ask::{close, score},
        *,
    };
    use crate::{Means, judge_one, testing, verifier::Configured};

    #[test]
    fn lengths_are_worth_their_shape() {
        let term = |shape| Length { unit: Unit::Characters, shape, low: 4, high: 8, width: 2.0, tag: None };
        for (shape, expected) in [
            (Shape::Window, [0.0, 1.0, 1.0, 1.0, 0.0]),
            (Shape::Linear, [1.0, 1.0, 0.5, 0.0, 0.0]),
            (Shape::Cosine, [1.0, 1.0, 0.5, 0.0, 0.0]),
            (Shape::Gaussian, [(-0.5f64).exp(), 1.0, 1.0, 1.0, (-0.5f64).exp()]),
            (Shape::Turning, [0.5, 1.0, 0.5, 0.0, 0.0]),
        ] {
            for (length, expected) in [2, 4, 6, 8, 10].into_iter().zip(expected) {
                close(score(&term(shape), &json!({}), &"é".repeat(length)), expected);
            }
        }
        let words = Length { unit: Unit::Words, low: 2, high: 2, ..Length::default() };
        close(score(&words, &json!({}), " a  b\n"), 1.0);
        assert!(Pure::check(&Length { high: 3, ..term(Shape::Window) }).is_err());
        assert!(Pure::check(&Length { high: 4, ..term(Shape::Linear) }).is_err());
    }

    #[test]
    fn tokens_are_those_that_were_sampled() {
        let item = testing::item("p", "{}");
        let term = Length { low: 3, high: 3, ..Length::default() }.build(&Means::default()).unwrap();
        let view = crate::View { tokens: &[1, 2, 256], ..testing::view(&item, "é") };
        close(judge_one(&*term, &view).outcome.value().unwrap(), 1.0);
    }
}
