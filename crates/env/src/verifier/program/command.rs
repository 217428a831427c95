//! `command`: a program of the user's own scores.

use std::{path::PathBuf, time::Duration};

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Scope, pool::Pool, protocol, together, worker::Unanswered};
use crate::verifier::{Asked, Configured, Described, Means, Reach, Verdict, Verifier, VerifierError, View, limits};

/// Asks a program in any language: JSON lines in, JSON lines out, one object each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program and its arguments, such as `["python3", "my_reward.py"]`. It is started where cohort was, with its environment.
    pub command: Vec<String>,
    /// Whether it is asked about one completion or about all of a prompt.
    #[serde(default)]
    pub scope: Scope,
    /// The least and the greatest score that it gives, both included.
    #[serde(default = "limits::pass_or_fail")]
    pub range: [f64; 2],
    /// How many of it run at once.
    #[serde(default = "workers")]
    pub workers: usize,
    /// Questions that one of them has in hand at once; above 1 it must give the `id` with its answers, or answer in order.
    #[serde(default = "in_hand")]
    pub in_hand: usize,
    /// Seconds that an answer may take. A program that takes longer is killed and started anew.
    #[serde(default = "timeout_s")]
    pub timeout_s: f64,
    /// Seconds more for the first answer of a program: what it needs to start.
    #[serde(default)]
    pub start_s: f64,
}

fn workers() -> usize {
    2
}

fn in_hand() -> usize {
    1
}

fn timeout_s() -> f64 {
    10.0
}

impl Configured for Command {
    const DESCRIBED: Described = Described {
        name: "command",
        summary: "a program of your own, in any language: JSON lines in, JSON lines out",
        range: "`range`, 0 to 1 unless told",
        reads: &["completion", "prompt", "step", "the run's directory", "every column"],
        parameters: &[
            ("command", "the program and its arguments, such as [\"python3\", \"my_reward.py\"]"),
            ("scope", "\"sample\" (default): one completion a question; \"group\": all completions of a prompt"),
            ("range", "the least and the greatest score, [0.0, 1.0] unless told"),
            ("workers", "how many of it run at once, 2 unless told"),
            ("in_hand", "questions that one has in hand at once, 1 unless told"),
            ("timeout_s", "seconds an answer may take, 10 unless told"),
            ("start_s", "seconds more for the first answer of a program, 0 unless told"),
        ],
        source: "ours",
    };

    fn check(&self) -> Result<(), VerifierError> {
        if self.command.first().is_none_or(|program| program.trim().is_empty()) {
            let got = self.command.join(" ");
            return Err(VerifierError::BadText { parameter: "command", got, expected: "a program and its arguments" });
        }
        limits::range(self.range)?;
        limits::count("workers", self.workers, 256)?;
        limits::count("in_hand", self.in_hand, 4096)?;
        limits::seconds("timeout_s", self.timeout_s)?;
        if self.start_s == 0.0 { Ok(()) } else { limits::seconds("start_s", self.start_s) }
    }

    fn build(&self, means: &Means) -> Result<Box<dyn Verifier>, VerifierError> {
        self.check()?;
        let seconds = Duration::from_secs_f64;
        let (timeout, start) = (seconds(self.timeout_s), seconds(self.start_s));
        let pool = Pool::new(self.command.clone(), self.workers, self.in_hand, timeout, start);
        let pool = pool.map_err(|e| VerifierError::Missing {
            what: format!("`{}` cannot be started: {e}", self.command[0]),
            hint: "`command` is a program on PATH, or its path from here".to_owned(),
        })?;
        Ok(Box::new(Program { pool, scope: self.scope, range: self.range, run_dir: means.run_dir.clone() }))
    }
}

struct Program {
    pool: Pool,
    scope: Scope,
    range: [f64; 2],
    run_dir: Option<PathBuf>,
}

impl Program {
    /// Asks one question about `views`, which are one where the scope is a sample.
    fn ask(&self, views: &[View]) -> Vec<Verdict> {
        let question = protocol::question(0, self.scope, views, self.run_dir.as_deref());
        let (answer, took) = self.pool.ask(&question);
        let verdicts = match answer {
            Ok(answer) => protocol::verdicts(self.scope, &answer, views.len()),
            Err(unanswered) => vec![verdict(unanswered, self.pool.timeout); views.len()],
        };
        let asked = Asked { seconds: took.as_secs_f64(), ..Asked::default() };
        let requests = |at: usize| u64::from(at == 0);
        let verdicts = verdicts.into_iter().enumerate();
        verdicts.map(|(at, verdict)| verdict.asked(Asked { requests: requests(at), ..asked })).collect()
    }
}

impl Verifier for Program {
    fn name(&self) -> &str {
        "command"
    }

    fn range(&self) -> (f64, f64) {
        self.range.into()
    }

    /// The whole group either way: its completions are asked about at once.
    fn reach(&self) -> Reach {
        Reach::Group
    }

    fn at_once(&self) -> usize {
        self.pool.at_once()
    }

    fn score(&self, view: &View) -> Verdict {
        self.ask(std::slice::from_ref(view)).pop().unwrap_or_else(|| Outcome::error("no verdict").into())
    }

    fn score_group(&self, views: &[View]) -> Vec<Verdict> {
        match self.scope {
            Scope::Sample => together(views.len(), self.pool.at_once(), |at| self.score(&views[at])),
            Scope::Group => self.ask(views),
        }
    }
}

/// What befell a question, with the end of the program's stderr.
fn verdict(unanswered: Unanswered, timeout: Duration) -> Verdict {
    match unanswered {
        Unanswered::Timeout { stderr } => {
            let reason = format!("no answer within {} s; the program was killed", timeout.as_secs_f64());
            Verdict::from(Outcome::Timeout).with("reason", reason).with("stderr", Value::String(stderr))
        }
        Unanswered::Broken { reason, stderr } | Unanswered::Left { reason, stderr } if stderr.is_empty() => {
            Outcome::error(reason).into()
        }
        Unanswered::Broken { reason, stderr } | Unanswered::Left { reason, stderr } => {
            let last: Vec<&str> = stderr.lines().rev().take(3).collect();
            let last = last.into_iter().rev().collect::<Vec<&str>>().join(" | ");
            let last: String = last.chars().skip(last.chars().count().saturating_sub(400)).collect();
            Verdict::from(Outcome::error(format!("{reason}; stderr: {last}"))).with("stderr", stderr)
        }
    }
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
