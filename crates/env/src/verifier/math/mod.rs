//! The answers of mathematics: found in a text, read from LaTeX or plain writing, compared by what they mean.
//!
//! A comparison is a function of two texts. Its work is bounded by their length and by a budget of steps, never by a clock.

mod compare;
mod equal;
mod evaluate;
mod expression;
mod extract;
mod formulas;
mod lex;
mod normalise;
mod parse;
mod plain;
mod rational;
mod residue;
mod units;

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::compare::{normal_form, same_answer};
use self::{compare::same_extracted, extract::extract};
use super::{Configured, Described, Means, Verdict, Verifier, VerifierError, View};

/// The parameters of `math_answer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MathAnswer {
    /// Significant digits to which decimals and their partners agree, 1 to 15.
    #[serde(default = "digits")]
    pub digits: u32,
    /// The column that holds the right answer.
    #[serde(default = "column")]
    pub column: String,
}

fn digits() -> u32 {
    6
}

fn column() -> String {
    "answer".into()
}

impl Default for MathAnswer {
    fn default() -> Self {
        Self { digits: digits(), column: column() }
    }
}

impl Configured for MathAnswer {
    const DESCRIBED: Described = Described {
        name: "math_answer",
        summary: "1 where the completion's answer means the same as the row's, else 0: numbers, formulas, intervals, \
                  sets, points, matrices, equations, inequalities",
        range: "0 or 1",
        reads: &["completion", "the column `answer`, or the one that `column` names"],
        parameters: &[
            ("digits", "significant digits to which decimals agree, 1 to 15; 6 unless told"),
            ("column", "the row's column that holds the right answer; answer unless told"),
        ],
        source: "ours; what counts as the same follows Math-Verify (Hugging Face) and the string rules of MATH \
                 (Hendrycks et al. 2021, arXiv:2103.03874) and Minerva (Lewkowycz et al. 2022, arXiv:2206.14858, D.1); \
                 identity by random evaluation modulo a prime (Schwartz 1980, Zippel 1979)",
    };

    fn check(&self) -> Result<(), VerifierError> {
        if !(1..=15).contains(&self.digits) {
            let got = f64::from(self.digits);
            return Err(VerifierError::BadNumber { parameter: "digits", got, expected: "a whole number of 1 to 15" });
        }
        Ok(())
    }

    fn build(&self, _: &Means) -> Result<Box<dyn Verifier>, VerifierError> {
        self.check()?;
        Ok(Box::new(SameMeaning { config: self.clone() }))
    }
}

struct SameMeaning {
    config: MathAnswer,
}

impl Verifier for SameMeaning {
    fn name(&self) -> &str {
        "math_answer"
    }

    fn range(&self) -> (f64, f64) {
        (0.0, 1.0)
    }

    fn score(&self, view: &View) -> Verdict {
        let column = &self.config.column;
        let gold = match view.column(column) {
            None => {
                let reason = format!("the row has no column `{column}` with its answer ({})", view.item.origin);
                return Outcome::error(reason).into();
            }
            Some(Value::String(text)) if !text.trim().is_empty() => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(other) => {
                let reason =
                    format!("column `{column}` is {other}, and must be a text or a number ({})", view.item.origin);
                return Outcome::error(reason).into();
            }
        };
        let answer = extract(view.completion);
        let same = same_extracted(&extract(&gold), &answer, self.config.digits);
        Verdict::from(Outcome::pass_if(same)).with("answer", answer.into_owned())
    }

    fn answer(&self, completion: &str) -> Option<String> {
        normal_form(completion)
    }
}

#[cfg(test)]
mod tests;
