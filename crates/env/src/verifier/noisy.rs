//! `noisy`: a verifier that errs, at known rates: for methods that are about it.

use cohort_core::{Dice, Outcome, Stream};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Configured, Described, Means, Reach, Verdict, Verifier, VerifierConfig, VerifierError, View};

/// What another verifier says, with errors. First `flip`: a full mark becomes the worst score with probability
/// `false_negative`, any other score a full mark with probability `false_positive`. Then `student`: `scale` times a draw
/// of Student's t with `degrees` degrees of freedom is added, cut to `10 scale` either way.
///
/// `by = "draw"` errs anew each time, whoever repeats a completion; `by = "text"` errs on a text of a row always or never. An
/// outcome that is no score stays. The part `unspoilt` is what the other verifier said. Evaluations ask this term too: let
/// `eval.correct` name another one, of weight 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Noisy {
    /// The verifier that does not err.
    pub of: Box<VerifierConfig>,
    /// Marks that are given wrongly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flip: Option<Flip>,
    /// A disturbance with heavy tails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub student: Option<Student>,
    /// What an error goes with.
    #[serde(default)]
    pub by: By,
    /// Seeds the errors.
    #[serde(default)]
    pub seed: u64,
}

/// Probabilities of a wrong mark.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flip {
    /// That a completion without the full mark gets it; in [0, 1].
    pub false_positive: f64,
    /// That a completion with the full mark gets the worst; in [0, 1].
    pub false_negative: f64,
}

/// Student's t.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Student {
    /// Factor of the draw; above 0.
    pub scale: f64,
    /// Degrees of freedom; from 1 to 64.
    pub degrees: u32,
}

/// What an error goes with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The place of a completion in its step and group.
    #[default]
    Draw,
    /// The row and the text of a completion.
    Text,
}

/// The disturbance stays within so many scales: a range is finite.
const CUT: f64 = 10.0;

impl Configured for Noisy {
    const DESCRIBED: Described = Described {
        name: "noisy",
        summary: "what another verifier says, with errors at known rates",
        range: "that of the other verifier; with `student`, 10 scales wider either way",
        reads: &["what the other verifier reads"],
        parameters: &[
            ("of", "the verifier that does not err"),
            ("flip", "{ false_positive, false_negative }: probabilities of a wrong mark"),
            ("student", "{ scale, degrees }: a draw of Student's t is added, cut to 10 scales"),
            ("by", "draw: errs anew each time; text: on a text of a row always or never; draw unless told"),
            ("seed", "seeds the errors; 0 unless told"),
        ],
        source: "Noisy RLVR, arXiv 2510.00915 (flips, by draw and by text); MC-GRPO, arXiv 2601.22582 (heavy tails: ours)",
    };

    fn check(&self) -> Result<(), VerifierError> {
        let share = "a probability in [0, 1]";
        let flips = self.flip.map(|f| [("false_positive", f.false_positive), ("false_negative", f.false_negative)]);
        for (parameter, got) in flips.into_iter().flatten() {
            if !(0.0..=1.0).contains(&got) {
                return Err(VerifierError::BadNumber { parameter, got, expected: share });
            }
        }
        if let Some(Student { scale, degrees }) = self.student {
            if !(scale.is_finite() && scale > 0.0) {
                return Err(VerifierError::BadNumber { parameter: "scale", got: scale, expected: "above 0" });
            }
            if !(1..=64).contains(&degrees) {
                let got = f64::from(degrees);
                return Err(VerifierError::BadNumber { parameter: "degrees", got, expected: "from 1 to 64" });
            }
        }
        self.of.check()
    }

    fn build(&self, means: &Means) -> Result<Box<dyn Verifier>, VerifierError> {
        self.check()?;
        Ok(Box::new(Erring {
            of: self.of.build(means)?,
            flip: self.flip,
            student: self.student,
            by: self.by,
            stream: Stream::new(self.seed, "verifier/noisy"),
        }))
    }
}

struct Erring {
    of: Box<dyn Verifier>,
    flip: Option<Flip>,
    student: Option<Student>,
    by: By,
    stream: Stream,
}

impl Erring {
    /// The dice of a completion at a place in its group.
    fn dice(&self, view: &View, place: usize) -> Dice {
        let mut sum = Sha256::new();
        sum.update(view.item.origin.to_string());
        let (step, place) = match self.by {
            By::Draw => {
                view.tokens.iter().for_each(|id| sum.update(id.to_le_bytes()));
                (view.step as u32, place as u32)
            }
            By::Text => {
                sum.update(view.completion);
                (0, 0)
            }
        };
        let sum = sum.finalize();
        self.stream.dice(step, u32::from_le_bytes([sum[0], sum[1], sum[2], sum[3]]), place)
    }

    fn disturbed(&self, verdict: Verdict, dice: Dice) -> Verdict {
        let Some(unspoilt) = verdict.outcome.value() else { return verdict };
        let (worst, full) = self.of.range();
        let mut value = unspoilt;
        if let Some(flip) = self.flip {
            let (rate, other) = if value >= full { (flip.false_negative, worst) } else { (flip.false_positive, full) };
            if dice.uniform(0) < rate {
                value = other;
            }
        }
        if let Some(Student { scale, degrees }) = self.student {
            value += scale * student(dice.advanced(1), degrees).clamp(-CUT, CUT);
        }
        Verdict { outcome: Outcome::scored(value), ..verdict }.with("unspoilt", unspoilt)
    }
}

/// A draw of Student's t: a normal over the root of a mean of `degrees` squared normals.
fn student(dice: Dice, degrees: u32) -> f64 {
    let normal = |i: u32| dice.normal_pair(i as usize / 2)[i as usize % 2];
    let squares: f64 = (1..=degrees).map(|i| normal(i).powi(2)).sum();
    normal(0) / (squares / f64::from(degrees)).sqrt()
}

impl Verifier for Erring {
    fn name(&self) -> &str {
        "noisy"
    }

    fn range(&self) -> (f64, f64) {
        let (low, high) = self.of.range();
        let wider = self.student.map_or(0.0, |s| CUT * s.scale);
        (low - wider, high + wider)
    }

    /// The place of a completion in its group is what it errs by.
    fn reach(&self) -> Reach {
        Reach::Group
    }

    fn at_once(&self) -> usize {
        self.of.at_once()
    }

    fn score(&self, view: &View) -> Verdict {
        self.disturbed(super::judge_one(self.of.as_ref(), view), self.dice(view, 0))
    }

    fn score_group(&self, views: &[View]) -> Vec<Verdict> {
        let verdicts = super::judge(self.of.as_ref(), views).into_iter().zip(views).enumerate();
        verdicts.map(|(place, (verdict, view))| self.disturbed(verdict, self.dice(view, place))).collect()
    }

    fn answer(&self, completion: &str) -> Option<String> {
        self.of.answer(completion)
    }
}

#[cfg(test)]
#[path = "noisy_tests.rs"]
mod tests;
