//! `python_tests`: whether a Python program passes its tests.

mod asserted;
mod interpreter;
mod streams;
#[cfg(test)]
mod tests;

use std::time::Duration;

use cohort_core::Outcome;
use cohort_sandbox::{Ending, Limits, Report};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::{asserted::Asserted, interpreter::Interpreter, streams::Case};
use super::super::{
    Configured, Described, Means, Verdict, Verifier, VerifierError, View,
    cache::{Kept, Key},
    columns::{self, Fault},
    fenced,
};

/// What the score is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// 1 where every test passes, else 0.
    #[default]
    Pass,
    /// The share of tests that pass. Where one of several fails, each is run by itself.
    Share,
}

/// What a program can import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Packages {
    /// The standard library.
    #[default]
    Standard,
    /// What is installed for the interpreter too; it starts slower.
    Installed,
}

/// Runs the completion's program, its last fenced block or all of it, in the sandbox, and then the row's `tests`.
///
/// `tests` is Python that runs after the program in its namespace, or a list of `{"stdin", "stdout"}`, each a run of the program as a
/// script; outputs are compared without blanks at the ends of lines and of the text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PythonTests {
    /// What the score is.
    pub score: Score,
    /// Wall seconds of one run of the program.
    pub timeout_s: f64,
    /// MiB of address space of one process.
    pub memory_mb: u32,
    /// The interpreter's name or path; shims and virtual environments lead to the real one.
    pub interpreter: String,
    /// What a program can import.
    pub packages: Packages,
}

impl Default for PythonTests {
    fn default() -> Self {
        Self {
            score: Score::Pass,
            timeout_s: 10.0,
            memory_mb: 1024,
            interpreter: "python3".to_owned(),
            packages: Packages::Standard,
        }
    }
}

impl Configured for PythonTests {
    const DESCRIBED: Described = Described {
        name: "python_tests",
        summary: "1 where the completion's Python program passes the row's tests in the sandbox, else 0; or the share that passes",
        range: "0..1",
        reads: &[
            "completion: a program, in its last fenced block or alone",
            "tests: Python that runs after it in its namespace, or a list of {\"stdin\", \"stdout\"}",
        ],
        parameters: &[
            ("score", "\"pass\" (default), or \"share\" of the tests"),
            ("timeout_s", "wall seconds of one run; 10 unless told"),
            ("memory_mb", "MiB of address space of a process; 1024 unless told"),
            ("interpreter", "its name or path; python3 unless told"),
            ("packages", "\"standard\" (default): the standard library; \"installed\": what the interpreter has too"),
        ],
        source: "ours",
    };

    fn check(&self) -> Result<(), VerifierError> {
        let bad = |parameter, got, expected| Err(VerifierError::BadNumber { parameter, got, expected });
        if !(self.timeout_s > 0.0 && self.timeout_s <= 3600.0) {
            return bad("timeout_s", self.timeout_s, "above 0 and at most 3600");
        }
        if self.memory_mb < 64 {
            return bad("memory_mb", f64::from(self.memory_mb), "at least 64");
        }
        if self.interpreter.trim().is_empty() {
            let (parameter, got) = ("interpreter", self.interpreter.clone());
            return Err(VerifierError::BadText { parameter, got, expected: "a name or path such as python3" });
        }
        Ok(())
    }

    fn build(&self, means: &Means) -> Result<Box<dyn Verifier>, VerifierError> {
        self.check()?;
        let wall = Duration::from_secs_f64(self.timeout_s);
        // More than one thread may spend CPU time; the wall is what bounds a run.
        let limits = Limits { wall, cpu: 2 * wall, memory: u64::from(self.memory_mb) << 20, ..Limits::default() };
        let jail = means.sandbox.jail()?.limits(limits);
        let interpreter = Interpreter::find(&self.interpreter, self.packages, jail)?;
        let parameters = serde_json::to_string(self).unwrap_or_default();
        let harness = Key::of([include_str!("harness.py"), include_str!("compile.py")].map(str::as_bytes)).name();
        let word = format!(
            "{parameters}\n{harness}\n{:?}\n{}\n{:?}",
            means.sandbox,
            interpreter.identity,
            interpreter.limits()
        );
        // What is installed besides is not in the word.
        let cache = means.cache.as_deref().filter(|_| self.packages == Packages::Standard);
        Ok(Box::new(Tester {
            asserted: Asserted::new(interpreter.clone()),
            interpreter,
            score: self.score,
            word,
            verdicts: Kept::new(1 << 14, cache, "python"),
        }))
    }
}

struct Tester {
    interpreter: Interpreter,
    asserted: Asserted,
    score: Score,
    /// What a verdict depends on beside program and tests: parameters, interpreter, limits, our part of the run.
    word: String,
    verdicts: Kept<Verdict>,
}

/// The two kinds of tests.
enum Tests<'a> {
    Asserted(&'a str),
    Streams(Vec<Case>),
}

impl Tests<'_> {
    fn of<'a>(view: &View<'a>) -> Result<Tests<'a>, Fault> {
        let expected = "Python that runs after the program, or a list of {\"stdin\", \"stdout\"}";
        match columns::value(view, "tests", expected)? {
            Value::String(text) if !text.trim().is_empty() => Ok(Tests::Asserted(text)),
            Value::Array(list) if !list.is_empty() => {
                let cases = list.iter().map(|case| serde_json::from_value(case.clone())).collect::<Result<_, _>>();
                cases.map(Tests::Streams).map_err(|_| columns::fault(view, "tests", expected))
            }
            _ => Err(columns::fault(view, "tests", expected)),
        }
    }
}

impl Verifier for Tester {
    fn name(&self) -> &str {
        "python_tests"
    }

    fn range(&self) -> (f64, f64) {
        (0.0, 1.0)
    }

    fn score(&self, view: &View) -> Verdict {
        let tests = match Tests::of(view) {
            Ok(tests) => tests,
            Err(fault) => return fault.outcome().into(),
        };
        let program = fenced::block_or_all(view.completion);
        let column = view.column("tests").map(Value::to_string).unwrap_or_default();
        let key = Key::of([self.word.as_bytes(), program.as_bytes(), column.as_bytes()]);
        self.verdicts.get(key, is_settled, || match &tests {
            Tests::Asserted(text) => self.asserted.verdict(program, text, self.score, &view.item.origin),
            Tests::Streams(cases) => streams::verdict(&self.interpreter, program, cases, self.score),
        })
    }
}

/// What took too long, failed, or was ended by a signal (the kernel's, where memory is short) may do better another time.
fn is_settled(verdict: &Verdict) -> bool {
    let ended = verdict.parts.get("fault").and_then(Value::as_str).is_some_and(|fault| fault.starts_with(SIGNAL));
    matches!(verdict.outcome, Outcome::Scored { .. }) && !ended
}

/// Begins the words for what a signal ended.
const SIGNAL: &str = "signal ";

/// How tests came out.
struct Count {
    passed: usize,
    tests: usize,
    /// Of the first that failed.
    fault: Option<String>,
}

impl Count {
    fn verdict(self, score: Score) -> Verdict {
        let Count { passed, tests, fault } = self;
        let outcome = match score {
            Score::Pass => Outcome::pass_if(passed == tests),
            Score::Share => Outcome::scored(passed as f64 / tests.max(1) as f64),
        };
        let verdict = Verdict::from(outcome).with("passed", passed).with("tests", tests);
        fault.into_iter().fold(verdict, |verdict, fault| verdict.with("fault", fault))
    }
}

/// Why a run did not pass, in a line.
fn fault(report: &Report) -> String {
    let said = String::from_utf8_lossy(&report.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let last: String = last.chars().take(200).collect();
    match report.ending {
        Ending::Exited(0) if last.is_empty() => "it ended before its tests did".to_owned(),
        Ending::Exited(status) if last.is_empty() => format!("it ended with status {status}"),
        Ending::Exited(_) => last,
        Ending::Killed(signal) => format!("{SIGNAL}{signal} ended it"),
        Ending::Forbidden => "it was killed for a forbidden system call".to_owned(),
        Ending::TimedOut => "it ran out of time".to_owned(),
        Ending::OutputCapped => "it wrote too much".to_owned(),
    }
}
