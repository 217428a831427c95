//! `verilog_testbench`: a design in a testbench that compares it with the reference, in Icarus Verilog.

mod bench;
mod source;
mod structure;

use std::{path::PathBuf, time::Duration};

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};

use self::bench::{Bench, Ended, Trust};
use super::{
    Configured, Described, Means, Verdict, Verifier, VerifierError, View,
    cache::{Kept, Key},
    columns::{self, Fault},
    fenced,
    pure::positive,
    reading,
};

/// What a design's steps are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ladder {
    /// 1 where the testbench reports no mismatch, else 0.
    #[default]
    Binary,
    /// 0 of what does not compile, `0.1 + S` of what compiles, 2.1 of what passes; `S` in 0..1 is the likeness of its
    /// statements to the reference's.
    Verireason,
}

/// Icarus Verilog compiles the design alone, then with the testbench and the reference (`-g2012`), and simulates it, all in the
/// sandbox. It passes where the testbench itself reports `Mismatches: 0 in N samples` with N above 0.
///
/// The report carries a word that the design cannot know, the reference has another name than in the row, and a design that
/// calls system tasks ($display, $finish, $random, $readmemh ..; those of elaboration and arithmetic are allowed),
/// forces what it does not drive or reaches into the testbench does not compile here. A design must compile alone.
///
/// Where a design does not pass, the row's reference is tried as the design, once: a problem whose own reference fails is an error.
///
/// What Icarus said is kept in the folder of caches, by the hash of its version, the limits and all three texts; what took too long, was ended
/// or failed is not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VerilogTestbench {
    /// What a design's steps are worth.
    pub ladder: Ladder,
    /// The tag that holds the design; without it, the whole completion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Seconds to compile and simulate.
    pub timeout_s: f64,
}

impl Default for VerilogTestbench {
    fn default() -> Self {
        Self { ladder: Ladder::Binary, tag: None, timeout_s: 10.0 }
    }
}

/// What a design that passes gets in VeriReason's ladder.
const PASSED: f64 = 2.1;

/// Bytes of a design beyond which it is not compiled.
const LONGEST: usize = 1 << 17;

/// Verdicts that are remembered in memory.
const KEPT: usize = 20_000;

/// Counts the ways in which designs were read and put on the bench: another way may end otherwise, and must not find what was kept.
const WAY: &str = "1";

impl Configured for VerilogTestbench {
    const DESCRIBED: Described = Described {
        name: "verilog_testbench",
        summary: "1 where a testbench finds no mismatch between the completion's TopModule and the row's RefModule, else 0; \
                  or VeriReason's ladder; Icarus Verilog, in the sandbox",
        range: "0 or 1; with `ladder = \"verireason\"` 0, 0.1..1.1, or 2.1; a simulation that does not end is a timeout",
        reads: &[
            "completion: the module TopModule and what it needs, in its last fenced block or alone",
            "reference: the module RefModule",
            "testbench: instantiates both and prints `Mismatches: N in M samples`",
        ],
        parameters: &[
            ("ladder", "\"binary\" (default), or \"verireason\": 0 not compiled, 0.1 + likeness compiled, 2.1 passed"),
            ("tag", "the tag that holds the design; without it, the whole completion"),
            ("timeout_s", "seconds to compile and simulate; 10 unless told"),
        ],
        source: "VerilogEval (Liu et al. 2023, arXiv:2309.07544); VeriReason (arXiv:2505.11849), without its format term, which \
                 is `tags`; its script counts the first min(len) lines, which lets a design that stops early pass",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        positive("timeout_s", self.timeout_s)?;
        if self.timeout_s > 3600.0 {
            let got = self.timeout_s;
            return Err(VerifierError::BadNumber { parameter: "timeout_s", got, expected: "at most 3600" });
        }
        Ok(())
    }

    fn build(&self, means: &Means) -> Result<Box<dyn Verifier>, VerifierError> {
        Ok(Box::new(Simulated::new(self, means)?))
    }
}

/// The folder of `iverilog` and `vvp`.
fn icarus() -> Result<PathBuf, VerifierError> {
    let folders = ["/usr/bin", "/usr/local/bin"].map(PathBuf::from);
    let has_both = |folder: &PathBuf| ["iverilog", "vvp"].iter().all(|name| folder.join(name).is_file());
    folders.into_iter().find(has_both).ok_or_else(|| VerifierError::Missing {
        what: "`verilog_testbench` needs Icarus Verilog: no `iverilog` and `vvp` in /usr/bin or /usr/local/bin".into(),
        hint: "install it: `apt-get install iverilog` on Debian and Ubuntu".into(),
    })
}

struct Simulated {
    config: VerilogTestbench,
    bench: Bench,
    /// What runs a design, and within what: the tool, its version, the limits.
    surroundings: String,
    /// How designs ended, by the hash of the surroundings and all that was compiled.
    kept: Kept<Ended>,
}

impl Verifier for Simulated {
    fn name(&self) -> &str {
        "verilog_testbench"
    }

    fn range(&self) -> (f64, f64) {
        match self.config.ladder {
            Ladder::Binary => (0.0, 1.0),
            Ladder::Verireason => (0.0, PASSED),
        }
    }

    fn score(&self, view: &View) -> Verdict {
        self.verdict(view).unwrap_or_else(|fault| fault.outcome().into())
    }
}

impl Simulated {
    fn new(config: &VerilogTestbench, means: &Means) -> Result<Self, VerifierError> {
        config.check()?;
        let folder = icarus()?;
        let (version, sandbox) = (bench::version(&folder), means.sandbox);
        // What does not say which it is may be another one next time.
        let cache = means.cache.as_deref().filter(|_| version.is_some());
        let bench = Bench::new(folder, sandbox.jail()?, Duration::from_secs_f64(config.timeout_s));
        let surroundings = format!("{WAY}\n{}\n{sandbox:?}\n{}", version.unwrap_or_default(), bench.limits());
        Ok(Self { config: config.clone(), bench, surroundings, kept: Kept::new(KEPT, cache, "verilog") })
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let text = |name, expected: &'static str| {
            view.text(name).filter(|t| !t.trim().is_empty()).ok_or_else(|| columns::fault(view, name, expected))
        };
        let reference = text("reference", "the module RefModule, a text")?;
        let testbench = text("testbench", "a testbench of TopModule and RefModule, a text")?;
        if !bench::reports(testbench) {
            return Err(columns::fault(view, "testbench", "a testbench that prints \"Mismatches: N in M samples\""));
        }
        let tagged = reading::part(self.config.tag.as_deref(), view.completion);
        let design = tagged.map_or("", fenced::block_or_all);
        let ended = if design.len() > LONGEST {
            Ended::Refused(format!("over {LONGEST} bytes"))
        } else {
            self.ended(design, reference, testbench, Trust::Nobody)
        };
        if !matches!(ended, Ended::Passed { .. } | Ended::Broken(_)) {
            let own = source::renamed(reference, "RefModule", "TopModule");
            match self.ended(&own, reference, testbench, Trust::Reference) {
                Ended::Passed { .. } | Ended::Broken(_) => {}
                other => {
                    let why = other.fault().unwrap_or_default();
                    return Err(Fault::because(
                        view,
                        "reference",
                        &format!("it does not pass its own testbench: {why}"),
                    ));
                }
            }
        }
        let structure = structure::similarity(design, &source::renamed(reference, "RefModule", "TopModule"));
        let (compiles, passes) = (ended.compiles(), matches!(ended, Ended::Passed { .. }));
        let score = match self.config.ladder {
            Ladder::Binary => f64::from(u8::from(passes)),
            Ladder::Verireason if passes => PASSED,
            Ladder::Verireason if compiles => 0.1 + structure,
            Ladder::Verireason => 0.0,
        };
        let outcome = match &ended {
            Ended::Broken(why) => Outcome::error(why.clone()),
            Ended::TimedOut => Outcome::Timeout,
            _ => Outcome::scored(score),
        };
        let verdict =
            Verdict::from(outcome).with("compiles", compiles).with("passes", passes).with("structure", structure);
        let verdict = match ended {
            Ended::Passed { samples } => verdict.with("mismatches", 0).with("samples", samples),
            Ended::Mismatched { mismatches, samples } => {
                verdict.with("mismatches", mismatches).with("samples", samples)
            }
            _ => verdict,
        };
        Ok(match ended.fault() {
            Some(fault) => verdict.with("fault", fault),
            None => verdict,
        })
    }

    fn ended(&self, design: &str, reference: &str, testbench: &str, trust: Trust) -> Ended {
        let whose = match trust {
            Trust::Nobody => "0",
            Trust::Reference => "1",
        };
        let key = Key::of([&*self.surroundings, whose, design, reference, testbench].map(str::as_bytes));
        self.kept.get(key, Ended::is_settled, || self.bench.run(design, reference, testbench, trust))
    }
}

#[cfg(test)]
mod tests;
