//! `numeric`: how near a number is.

use std::f64::consts::PI;

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};

use super::super::{
    Described, Verdict, VerifierError, View, columns,
    columns::Fault,
    pure::{Pure, at_least, positive},
    reading,
};

/// How the error becomes a score: d = |p - g|, rel = d / |g|.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Closeness {
    /// `1 / (1 + rel)`; of g = 0, 1 where p = 0, else 0.
    #[default]
    Cerm,
    /// 1 below `near |g|`, 0 above `far |g|`, half a cosine between.
    Cosine,
    /// `exp(-d / scale)`.
    Exponential,
    /// `1 - min(1, d / scale)`.
    Linear,
    /// 1 where `d <= max(near |g|, scale)`, else 0; `scale` is 0 unless told.
    Tolerance,
}

/// What a percent sign means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Percent {
    /// `17%` is 17.
    #[default]
    Ignore,
    /// `17%` is 0.17.
    Hundredth,
}

/// Closeness of the completion's number to the row's, in 0..1. The text must be one number, with thousands commas, `$`, `%` and a unit around it;
/// without a tag, the last number counts. 0 where there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Numeric {
    pub closeness: Closeness,
    pub near: f64,
    pub far: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    pub percent: Percent,
    pub column: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for Numeric {
    fn default() -> Self {
        Self {
            closeness: Closeness::default(),
            near: 0.05,
            far: 0.2,
            scale: None,
            percent: Percent::default(),
            column: "answer".into(),
            tag: None,
        }
    }
}

impl Pure for Numeric {
    const DESCRIBED: Described = Described {
        name: "numeric",
        summary: "how near the completion's number is to the row's",
        range: "0..1",
        reads: &["completion", "the column `answer`, or the one that `column` names: a number"],
        parameters: &[
            (
                "closeness",
                "\"cerm\" (default) 1/(1 + relative error), \"cosine\" between near and far, \"exponential\" exp(-d/scale), \"linear\" 1 - d/scale, \"tolerance\" within near or scale",
            ),
            ("near", "relative error that still counts in full, for cosine and tolerance; 0.05 unless told"),
            ("far", "relative error that counts nothing, for cosine; 0.2 unless told"),
            ("scale", "error in the answer's unit; 1 unless told, and 0 for tolerance"),
            ("percent", "\"ignore\" (default): 17% is 17; \"hundredth\": 0.17"),
            ("column", "the row's column; answer unless told"),
            ("tag", "the tag that holds the number; without it, the last number of the completion"),
        ],
        source: "BigCharts-R1 (CERM), Reason-RFT (cosine, 0.05 and 0.20), Nav-R1 (exponential), ViSS-R1 (linear)",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        at_least("near", self.near, 0.0, "at least 0")?;
        if let Some(scale) = self.scale {
            match self.closeness {
                Closeness::Tolerance => at_least("scale", scale, 0.0, "at least 0")?,
                _ => positive("scale", scale)?,
            }
        }
        if !(self.far.is_finite() && self.far > self.near) {
            return Err(VerifierError::BadNumber { parameter: "far", got: self.far, expected: "above near" });
        }
        Ok(())
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let expected = "a number";
        let gold = match columns::value(view, &self.column, expected)? {
            serde_json::Value::String(text) => self.read(text, true),
            number => number.as_f64(),
        };
        let gold = gold.ok_or_else(|| columns::fault(view, &self.column, expected))?;
        let said =
            reading::part(self.tag.as_deref(), view.completion).and_then(|text| self.read(text, self.tag.is_some()));
        let Some(said) = said else { return Ok(Outcome::scored(0.0).into()) };
        let score = self.closeness(said, gold).clamp(0.0, 1.0);
        Ok(Verdict::from(Outcome::scored(score)).with("said", said))
    }

    fn answer(&self, completion: &str) -> Option<String> {
        self.read(reading::part(self.tag.as_deref(), completion)?, self.tag.is_some()).map(|n| n.to_string())
    }
}

impl Numeric {
    fn read(&self, text: &str, only: bool) -> Option<f64> {
        let plain = without_commas(text);
        let numbers = reading::numbers(&plain);
        let number = match numbers[..] {
            [] => return None,
            [.., _] if only && numbers.len() > 1 => return None,
            [.., last] => last,
        };
        let percent = plain.trim_end().ends_with('%') && self.percent == Percent::Hundredth;
        Some(if percent { number / 100.0 } else { number })
    }

    fn closeness(&self, said: f64, gold: f64) -> f64 {
        let d = (said - gold).abs();
        let scale = self.scale.unwrap_or(1.0);
        match self.closeness {
            _ if d == 0.0 => 1.0,
            Closeness::Cerm if gold == 0.0 => 0.0,
            // A quotient, since d may overflow.
            Closeness::Cerm => 1.0 / (1.0 + (said / gold - 1.0).abs()),
            Closeness::Cosine => {
                let (near, far) = (self.near * gold.abs(), self.far * gold.abs());
                match d {
                    _ if d <= near => 1.0,
                    _ if d >= far => 0.0,
                    _ => f64::midpoint((PI * ((d - near) / (far - near))).cos(), 1.0),
                }
            }
            Closeness::Exponential => (-d / scale).exp(),
            Closeness::Linear => 1.0 - d / scale,
            Closeness::Tolerance if d <= (self.near * gold.abs()).max(self.scale.unwrap_or(0.0)) => 1.0,
            Closeness::Tolerance => 0.0,
        }
    }
}

/// A comma between a digit and exactly three is of thousands.
fn without_commas(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let thousands = |at: usize| at > 0 && digit(at - 1) && (1..=3).all(|k| digit(at + k)) && !digit(at + 4);
    let kept = |&(at, c): &(usize, char)| !(c == ',' && thousands(at));
    text.char_indices().filter(kept).map(|(_, c)| if c == '\u{2212}' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, error, score},
        *,
    };

    fn term(closeness: Closeness) -> Numeric {
        Numeric { closeness, ..Numeric::default() }
    }

    #[test]
    fn errors_become_scores() {
        let row = json!({"answer": 100});
        for (said, expected) in
            [("105", 1.0 / 1.05), ("150", 1.0 / 1.5), ("200", 0.5), ("1000", 0.1), ("0", 0.5), ("100", 1.0)]
        {
            close(score(&term(Closeness::Cerm), &row, said), expected);
        }
        for (said, expected) in [("105", 1.0), ("112.5", 0.5), ("87.5", 0.5), ("120", 0.0), ("110", 0.75)] {
            close(score(&term(Closeness::Cosine), &row, said), expected);
        }
        let ten = |closeness| Numeric { scale: Some(10.0), ..term(closeness) };
        close(score(&ten(Closeness::Exponential), &row, "110"), (-1f64).exp());
        close(score(&ten(Closeness::Linear), &row, "103"), 0.7);
        close(score(&ten(Closeness::Linear), &row, "203"), 0.0);
        close(score(&ten(Closeness::Tolerance), &row, "110"), 1.0);
        close(score(&term(Closeness::Tolerance), &row, "106"), 0.0);
        close(score(&term(Closeness::Cerm), &json!({"answer": 0}), "0.0"), 1.0);
        close(score(&term(Closeness::Cerm), &json!({"answer": 0}), "0.1"), 0.0);
        close(score(&term(Closeness::Cosine), &json!({"answer": 0}), "0.1"), 0.0);
    }

    #[test]
    fn numbers_are_written_in_many_ways() {
        for (gold, said, expected) in [
            (json!("1,200"), "$1,200.00", 1.0),
            (json!(1200), "about 1,200 km", 1.0),
            (json!(-3), "so x = \u{2212}3", 1.0),
            (json!(17), "17%", 1.0),
            (json!(5), "NaN", 0.0),
            (json!(5), "inf", 0.0),
            (json!(5), "", 0.0),
            (json!(1e308), "-1e308", 1.0 / 3.0),
        ] {
            close(score(&term(Closeness::Cerm), &json!({ "answer": gold }), said), expected);
        }
        let hundredth = Numeric { percent: Percent::Hundredth, ..Numeric::default() };
        close(score(&hundredth, &json!({"answer": 0.17}), "17%"), 1.0);
        let tag = Numeric { tag: Some("a".into()), ..Numeric::default() };
        close(score(&tag, &json!({"answer": 5}), "<a>5 or 6</a>"), 0.0);
        close(score(&tag, &json!({"answer": 5}), "<a>5 cm</a>"), 1.0);
        assert!(error(&tag, &json!({"answer": "five"}), "5").contains("a number"));
        assert!(Pure::check(&Numeric { far: 0.05, ..Numeric::default() }).is_err());
    }
}
