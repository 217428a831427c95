//! A design on the bench: preprocessed, read, compiled alone, compiled with the testbench, simulated.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cohort_sandbox::{Ending, Jail, Limits, Program, Report};
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::source;

/// How a design ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    Passed {
        samples: u64,
    },
    Mismatched {
        mismatches: u64,
        samples: u64,
    },
    /// It says what no design needs.
    Refused(String),
    /// It does not compile alone.
    NotCompiled(String),
    /// It compiles alone, and not with the testbench.
    NotConnected(String),
    /// The simulation ended without the testbench's report.
    NotReported(String),
    TimedOut,
    /// The sandbox could not be made.
    Broken(String),
}

impl Ended {
    pub fn compiles(&self) -> bool {
        !matches!(self, Ended::Refused(_) | Ended::NotCompiled(_) | Ended::Broken(_))
    }

    /// Whether it will end so another time too: not so where time, memory or the sandbox had a part in it. A compiler that was killed says nothing of the text.
    pub fn is_settled(&self) -> bool {
        match self {
            Ended::TimedOut | Ended::Broken(_) | Ended::NotReported(_) => false,
            Ended::NotCompiled(why) | Ended::NotConnected(why) => JUDGED.iter().any(|mark| why.contains(mark)),
            Ended::Passed { .. } | Ended::Mismatched { .. } | Ended::Refused(_) => true,
        }
    }

    /// What people are told.
    pub fn fault(&self) -> Option<String> {
        match self {
            Ended::Passed { .. } => None,
            Ended::Mismatched { mismatches, samples } => Some(format!("{mismatches} of {samples} samples differ")),
            Ended::Refused(why) | Ended::NotCompiled(why) | Ended::NotConnected(why) => Some(why.clone()),
            Ended::NotReported(why) | Ended::Broken(why) => Some(why.clone()),
            Ended::TimedOut => Some("over the time".into()),
        }
    }
}

/// Who wrote a design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A model: nothing is believed.
    Nobody,
    /// The row's own reference: it may print.
    Reference,
}

/// Exit statuses of the two compilations, where they fail.
const ALONE: i32 = 61;
const TOGETHER: i32 = 62;

/// What stands in a compiler's complaint about a text: a place in it, or that it has no module.
const JUDGED: [&str; 2] = [".sv:", "No top level modules"];

/// The report's beginning, in a string of a testbench.
const REPORT: &str = "\"Mismatches:";

static REPORTED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^ Mismatches:\s*(\d+)\s+in\s+(\d+)\s+samples\s*$").expect("a constant pattern"));

pub struct Bench {
    /// Where `iverilog` and `vvp` are.
    folder: PathBuf,
    jail: Jail,
    /// Seeds the words that designs cannot know.
    secret: RandomState,
    runs: AtomicU64,
}

/// What `iverilog` in `folder` says of its version; `None` where it says nothing.
pub fn version(folder: &Path) -> Option<String> {
    let said = Command::new(folder.join("iverilog")).arg("-V").output().ok()?.stdout;
    let line = String::from_utf8_lossy(&said).lines().next()?.trim().to_owned();
    (!line.is_empty()).then_some(line)
}

/// Whether a testbench reports as VerilogEval's do.
pub fn reports(testbench: &str) -> bool {
    testbench.contains(REPORT)
}

impl Bench {
    pub fn new(folder: PathBuf, jail: Jail, wall: Duration) -> Self {
        let limits = Limits { wall, cpu: wall, processes: 16, ..Limits::default() };
        Self { folder, jail: jail.limits(limits), secret: RandomState::new(), runs: AtomicU64::new(0) }
    }

    pub fn run(&self, design: &str, reference: &str, testbench: &str, trust: Trust) -> Ended {
        let design = match trust {
            Trust::Nobody if source::has_directives(design) => match self.preprocessed(design) {
                Ok(design) => design,
                Err(ended) => return ended,
            },
            Trust::Nobody | Trust::Reference => design.to_owned(),
        };
        if trust == Trust::Nobody {
            let mut scopes = source::scopes(testbench);
            scopes.extend(source::scopes(reference));
            if let Some(why) = source::refusal(&design, &scopes) {
                return Ended::Refused(why);
            }
        }
        let word = self.word();
        let (mut reference, mut testbench) = (reference.to_owned(), testbench.to_owned());
        // Its helpers too: a design may have helpers of the same names.
        for module in source::modules(&reference) {
            let new = format!("{module}_{word}");
            reference = source::renamed(&reference, &module, &new);
            testbench = source::renamed(&testbench, &module, &new);
        }
        let testbench = testbench.replace(REPORT, &format!("\"{word} Mismatches:"));
        let script = format!(
            "iverilog -g2012 -t null design.sv || exit {ALONE}; rm -f a.out; \
             iverilog -g2012 -o simulation testbench.sv reference.sv design.sv || exit {TOGETHER}; \
             exec vvp -n simulation -none"
        );
        let program = self
            .shell(&script)
            .file("design.sv", design)
            .file("reference.sv", reference)
            .file("testbench.sv", testbench);
        match self.jail.run(&program) {
            Ok(report) => ended(&report, &word),
            Err(error) => Ended::Broken(error.to_string()),
        }
    }

    /// The design's text without macros and conditions; what it includes is not there.
    fn preprocessed(&self, design: &str) -> Result<String, Ended> {
        let program = self.shell("iverilog -g2012 -E -o expanded design.sv && cat expanded").file("design.sv", design);
        let report = self.jail.run(&program).map_err(|error| Ended::Broken(error.to_string()))?;
        match report.ending {
            Ending::Exited(0) => Ok(String::from_utf8_lossy(&report.stdout).into_owned()),
            Ending::TimedOut => Err(Ended::TimedOut),
            _ => Err(Ended::NotCompiled(first_line(&report, "the preprocessor fails"))),
        }
    }

    /// What a run may use, in words that differ where that does.
    pub fn limits(&self) -> String {
        format!("{:?}", self.jail.limits_of())
    }

    /// Simulations and compilations that were begun.
    #[cfg(test)]
    pub fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    fn shell(&self, script: &str) -> Program {
        let path = format!("{}:/usr/bin:/bin", self.folder.display());
        Program::new("/bin/sh").arguments(["-c", script]).variable("PATH", &path)
    }

    /// A word that no design has seen.
    fn word(&self) -> String {
        let mut hasher = self.secret.build_hasher();
        hasher.write_u64(self.runs.fetch_add(1, Ordering::Relaxed));
        let first = hasher.finish();
        hasher.write_u64(first);
        format!("w{first:016x}{:016x}", hasher.finish())
    }
}

fn ended(report: &Report, word: &str) -> Ended {
    match report.ending {
        Ending::TimedOut => return Ended::TimedOut,
        Ending::Exited(ALONE) => return Ended::NotCompiled(first_line(report, "it does not compile")),
        Ending::Exited(TOGETHER) => return Ended::NotConnected(first_line(report, "it does not fit the testbench")),
        _ => {}
    }
    let stdout = String::from_utf8_lossy(&report.stdout);
    let reports: Vec<(u64, u64)> = stdout
        .lines()
        .filter_map(|line| REPORTED.captures(line.strip_prefix(word)?))
        .filter_map(|found| Some((found[1].parse().ok()?, found[2].parse().ok()?)))
        .collect();
    match (&reports[..], report.ending) {
        (&[(0, samples)], Ending::Exited(0)) if samples > 0 => Ended::Passed { samples },
        (&[(mismatches, samples)], Ending::Exited(0)) => Ended::Mismatched { mismatches, samples },
        (_, Ending::OutputCapped) => Ended::NotReported("it prints too much".into()),
        (_, Ending::Killed(signal)) => Ended::NotReported(format!("the simulation was ended by signal {signal}")),
        _ => Ended::NotReported(first_line(report, "the testbench reports nothing")),
    }
}

/// The first line of a tool's complaint.
fn first_line(report: &Report, otherwise: &str) -> String {
    let said = String::from_utf8_lossy(&report.stderr);
    let line = said.lines().map(str::trim).find(|line| !line.is_empty() && !line.contains("warning:"));
    line.unwrap_or(otherwise).chars().take(200).collect()
}
