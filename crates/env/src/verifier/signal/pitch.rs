//! `pitch_accuracy`: whether a melody is sung.

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};

use super::{
    super::{
        Described, Verdict, VerifierError, View, columns,
        columns::Fault,
        pure::{Pure, positive},
        reading,
    },
    array,
};

/// Whether an octave is an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Octaves {
    /// A pitch an octave off is wrong.
    #[default]
    Count,
    /// Raw chroma accuracy.
    Fold,
}

/// Raw pitch accuracy: the share of the row's voiced frames (above 0 Hz) in which the completion's is voiced and no more than `cents` from it, with
/// `cents = 1200 |log2(f / g)|`; in 0..1. Frames that are missing are wrong. A row without a voiced frame abstains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PitchAccuracy {
    pub cents: f64,
    pub octaves: Octaves,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for PitchAccuracy {
    fn default() -> Self {
        Self { cents: 50.0, octaves: Octaves::default(), tag: None }
    }
}

impl Pure for PitchAccuracy {
    const DESCRIBED: Described = Described {
        name: "pitch_accuracy",
        summary: "share of voiced frames whose pitch is right within 50 cents",
        range: "0..1; abstains where no frame is voiced",
        reads: &[
            "the last payload, or else the completion: a JSON list, in Hz, a number a frame, 0 where unvoiced",
            "pitch: the same",
        ],
        parameters: &[
            ("cents", "hundredths of a semitone; 50 unless told"),
            ("octaves", "\"count\" (default), or \"fold\": an octave is no error"),
            ("tag", "the tag that holds the list; without it, the whole completion"),
        ],
        source: "Poliner et al. 2007 (MIREX); mir_eval; YingMusic-Singer",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        positive("cents", self.cents)
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let gold = columns::numbers(view, "pitch")?;
        let voiced = gold.iter().filter(|&&hz| hz > 0.0).count();
        if voiced == 0 {
            return Ok(Outcome::Abstain.into());
        }
        let said = array::rows(view, self.tag.as_deref(), 1).unwrap_or_default();
        let right = |(gold, said): (&f64, &Vec<f64>)| {
            let octaves = (said[0] / gold).log2();
            let apart = match self.octaves {
                Octaves::Count => octaves,
                Octaves::Fold => octaves - octaves.round(),
            };
            *gold > 0.0 && said[0] > 0.0 && 1200.0 * apart.abs() <= self.cents
        };
        let right = gold.iter().zip(&said).filter(|&pair| right(pair)).count();
        Ok(Outcome::scored(right as f64 / voiced as f64).into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, error, score, verdict},
        *,
    };
    use crate::{Means, judge_one, testing, verifier::Configured};

    #[test]
    fn voiced_frames_are_right_within_half_a_semitone() {
        let row = json!({"pitch": [440, 0, 220, 330]});
        for (completion, expected) in [
            ("[440, 100, 220, 330]", 1.0),
            // 49 and 51 cents.
            ("[452.6, 0, 226.6, 330]", 2.0 / 3.0),
            ("[880, 0, 110, 330]", 1.0 / 3.0),
            ("[440, 0]", 1.0 / 3.0),
            ("[0, 0, 0, 0]", 0.0),
            ("[-440, 0, 220, null]", 0.0),
            ("", 0.0),
        ] {
            close(score(&PitchAccuracy::default(), &row, completion), expected);
        }
        let fold = PitchAccuracy { octaves: Octaves::Fold, ..PitchAccuracy::default() };
        close(score(&fold, &row, "[880, 0, 110, 330]"), 1.0);
        assert_eq!(verdict(&fold, &json!({"pitch": [0]}), "[0]").outcome, Outcome::Abstain);
        assert!(error(&fold, &json!({"pitch": "x"}), "[0]").contains("`pitch`"));
    }

    #[test]
    fn a_payload_comes_before_the_text() {
        let item = testing::item("p", r#"{"pitch": [440, 220]}"#);
        let payloads = [vec![1.0, 1.0], vec![440.0, 1.0]];
        let view = View { payloads: &payloads, ..testing::view(&item, "[440, 220]") };
        let term = PitchAccuracy::default().build(&Means::default()).unwrap();
        close(judge_one(&*term, &view).outcome.value().unwrap(), 0.5);
    }
}
