//! Tests that are inputs and outputs: the program is a script, and what it should print never enters the jail.

use cohort_core::Outcome;
use cohort_sandbox::Ending;
use serde::Deserialize;

use super::{Count, Score, Verdict, fault, interpreter::Interpreter};

/// One run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    #[serde(default)]
    stdin: String,
    stdout: String,
}

/// Runs the file beside it as a script.
const SCRIPT: &str = "import sys\nsys.argv[:] = ['program.py']\ndel sys\nwith open('program.py', 'rb') as program:\n    \
                      program = compile(program.read(), 'program.py', 'exec', dont_inherit=True)\nexec(program)\n";

pub fn verdict(interpreter: &Interpreter, program: &str, cases: &[Case], score: Score) -> Verdict {
    let mut count = Count { passed: 0, tests: cases.len(), fault: None };
    for case in cases {
        let started = interpreter.program(SCRIPT, &[]).file("program.py", program).stdin(case.stdin.as_str());
        let report = match interpreter.run(&started) {
            Ok(report) => report,
            Err(e) => return Outcome::error(e.to_string()).into(),
        };
        if report.ending == Ending::TimedOut {
            return Verdict::from(Outcome::Timeout).with("passed", count.passed).with("tests", count.tests);
        }
        let said = String::from_utf8_lossy(&report.stdout);
        if report.is_success() && is_same(&said, &case.stdout) {
            count.passed += 1;
        } else if count.fault.is_none() {
            count.fault = Some(match report.is_success() {
                true => format!("printed {:?}", said.chars().take(100).collect::<String>()),
                false => fault(&report),
            });
        }
    }
    count.verdict(score)
}

/// But for blanks at the ends of lines, and empty lines at the end.
fn is_same(said: &str, expected: &str) -> bool {
    let lines = |text: &str| text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    lines(said) == lines(expected)
}
