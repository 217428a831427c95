//! Tests that are Python, run in the program's namespace.
//!
//! The tests are compiled first, by themselves, so that broken tests are an error and not a wrong answer; a program never
//! sees their text. What keeps it from telling its own verdict stands in `harness.py`; what keeps its classes from being equal to
//! everything, in `compile.py`.

use std::{fs::File, io::Read, sync::Arc, time::Duration};

use cohort_core::Outcome;
use cohort_sandbox::{Ending, Limits, Report};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    super::super::cache::{Cache, Key},
    Count, Score, Verdict, fault,
    interpreter::Interpreter,
};
use crate::Origin;

pub struct Asserted {
    interpreter: Interpreter,
    compiled: Cache<Arc<Result<Compiled, String>>>,
}

/// What `compile.py` says.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Broken { broken: String },
    Compiled { tests: Vec<usize>, codes: Vec<String> },
}

/// Tests as the interpreter's code.
struct Compiled {
    /// The line of each.
    tests: Vec<usize>,
    all: Vec<u8>,
    /// Each alone, after what precedes it; of shares.
    each: Vec<Vec<u8>>,
}

/// How one run came out.
enum Ran {
    Passed,
    Failed(Report),
    TimedOut,
}

impl Asserted {
    pub fn new(interpreter: Interpreter) -> Self {
        Self { interpreter, compiled: Cache::new(1 << 10) }
    }

    pub fn verdict(&self, program: &str, tests: &str, score: Score, origin: &Origin) -> Verdict {
        let word: &[u8] = if score == Score::Share { b"share" } else { b"pass" };
        let key = Key::of([word, tests.as_bytes()]);
        let compiled = self.compiled.get(key, |_| true, || Arc::new(self.compile(tests, score)));
        let compiled = match &*compiled {
            Ok(compiled) => compiled,
            Err(broken) => {
                return Outcome::error(format!("column `tests` cannot be used: {broken} ({origin})")).into();
            }
        };
        let asked = || -> Result<Verdict, String> {
            let tests = compiled.tests.len();
            let report = match self.run(program, &compiled.all)? {
                Ran::Passed => return Ok(Count { passed: tests, tests, fault: None }.verdict(score)),
                Ran::TimedOut => return Ok(Outcome::Timeout.into()),
                Ran::Failed(report) => report,
            };
            let mut count = Count { passed: told(&report, &compiled.tests), tests, fault: Some(fault(&report)) };
            if score == Score::Share {
                count.passed = 0;
                for code in &compiled.each {
                    match self.run(program, code)? {
                        Ran::Passed => count.passed += 1,
                        Ran::TimedOut => return Ok(Outcome::Timeout.into()),
                        Ran::Failed(_) => {}
                    }
                }
                // Each may pass where all together did not: one of them disturbs another.
                count.passed = count.passed.min(tests - 1);
            }
            Ok(count.verdict(score))
        };
        asked().unwrap_or_else(|reason| Outcome::error(reason).into())
    }

    fn compile(&self, tests: &str, score: Score) -> Result<Compiled, String> {
        let mode = if score == Score::Share { "share" } else { "pass" };
        let compiler = self.interpreter.program(include_str!("compile.py"), &[mode]).stdin(tests).with_verdict();
        let limits = self.interpreter.limits().clone();
        let limits = Limits { verdict: 64 << 20, wall: limits.wall.max(Duration::from_secs(10)), ..limits };
        let report = self.interpreter.run_within(limits, &compiler).map_err(|e| e.to_string())?;
        match serde_json::from_slice(&report.verdict) {
            Ok(Said::Compiled { tests, codes }) => {
                let mut codes =
                    codes.iter().map(|code| decoded(code)).collect::<Option<Vec<_>>>().unwrap_or_default().into_iter();
                let all = codes.next().ok_or("it has no code")?;
                Ok(Compiled { tests, all, each: codes.collect() })
            }
            Ok(Said::Broken { broken }) => Err(broken),
            Err(_) => Err(format!("it could not be compiled: {}", fault(&report))),
        }
    }

    /// Runs program and tests. The tests travel encrypted with a pad as long as they are; the verdict is the hash of a key that is used
    /// once and of the number of the process that may tell it.
    fn run(&self, program: &str, code: &[u8]) -> Result<Ran, String> {
        let secret = random(32 + code.len()).map_err(|e| format!("no random bytes: {e}"))?;
        let (key, pad) = secret.split_at(32);
        let mut input = secret.clone();
        input.extend(code.iter().zip(pad).map(|(a, b)| a ^ b));
        input.extend_from_slice(program.as_bytes());
        let source = include_str!("harness.py").replace("{length}", &code.len().to_string());
        let started = self.interpreter.program(&source, &[]).stdin(input).with_verdict();
        let report = self.interpreter.run(&started).map_err(|e| e.to_string())?;
        let mut hash = Sha256::new();
        hash.update(key);
        hash.update(report.pid.to_string());
        let expected: [u8; 32] = hash.finalize().into();
        Ok(match report.ending {
            Ending::TimedOut => Ran::TimedOut,
            Ending::Exited(_) if report.verdict == expected => Ran::Passed,
            _ => Ran::Failed(report),
        })
    }
}

/// How many tests stand before the line that a traceback names last: as the program's process tells it, for people.
fn told(report: &Report, tests: &[usize]) -> usize {
    let said = String::from_utf8_lossy(&report.stderr);
    let line = said.lines().rev().find_map(|line| line.trim().strip_prefix("File \"tests.py\", line "));
    let line = line.and_then(|rest| rest.split(',').next()?.parse::<usize>().ok()).unwrap_or(0);
    tests.iter().filter(|&&test| test < line).count().min(tests.len().saturating_sub(1))
}

fn random(count: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Hexadecimal.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
