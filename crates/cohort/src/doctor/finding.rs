//! What a diagnosis consists of.

use std::{fmt::Write, path::PathBuf};

use serde::Serialize;

/// How much a finding asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// Worth acting on.
    Warning,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    State,
    Evaluation,
    Signal,
    Reward,
    RewardFailures,
    /// Why the surrogate's value is 0.
    Surrogate,
    ClipFraction,
    Entropy,
    Kl,
    Truncation,
    GradientNorm,
    LearningRate,
    SkippedUpdates,
    SamplerTrainerGap,
    Time,
}

/// Something that a run shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub level: Level,
    pub subject: Subject,
    pub what: String,
    pub why: String,
    pub what_to_do: String,
}

impl Finding {
    pub(super) fn new(
        level: Level,
        subject: Subject,
        what: impl Into<String>,
        why: impl Into<String>,
        what_to_do: impl Into<String>,
    ) -> Self {
        Self { level, subject, what: what.into(), why: why.into(), what_to_do: what_to_do.into() }
    }
}

/// Everything that a run shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    pub name: String,
    pub path: PathBuf,
    /// The last step that metrics were written of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_step: Option<u64>,
    /// Files that are missing or torn.
    pub remarks: Vec<String>,
    pub findings: Vec<Finding>,
}

/// Columns that a terminal is assumed to have.
const COLUMNS: usize = 100;
const INDENT: &str = "         ";

impl Diagnosis {
    /// For a terminal: what asks for most comes first.
    pub fn text(&self) -> String {
        let mut text = format!("{} ({})\n", self.name, self.path.display());
        for remark in &self.remarks {
            let _ = writeln!(text, "{}", wrapped(remark, ""));
        }
        let mut findings: Vec<&Finding> = self.findings.iter().collect();
        findings.sort_by_key(|f| std::cmp::Reverse(f.level));
        for f in findings {
            let level = match f.level {
                Level::Good => "good",
                Level::Note => "note",
                Level::Warning => "WARNING",
            };
            let _ = write!(text, "\n{level:<9}{}\n", wrapped(&f.what, INDENT));
            let _ = writeln!(text, "{INDENT}{}", wrapped(&f.why, INDENT));
            if !f.what_to_do.is_empty() {
                let _ = writeln!(text, "{INDENT}-> {}", wrapped(&f.what_to_do, "            "));
            }
        }
        text
    }
}

/// Breaks between words; every line after the first is indented.
fn wrapped(text: &str, indent: &str) -> String {
    let mut out = String::new();
    let mut column = indent.len();
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if !out.is_empty() && column + 1 + width > COLUMNS {
            out.push('\n');
            out.push_str(indent);
            column = indent.len();
        } else if !out.is_empty() {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_come_first_and_long_lines_are_broken() {
        let long = "word ".repeat(60);
        let finding = |level, what: &str| Finding::new(level, Subject::State, what, &long, "act");
        let findings = vec![finding(Level::Good, "fine"), finding(Level::Warning, "bad")];
        let diagnosis =
            Diagnosis { name: "n".into(), path: "p".into(), last_step: Some(1), remarks: Vec::new(), findings };
        let text = diagnosis.text();
        assert!(text.find("bad").unwrap() < text.find("fine").unwrap(), "{text}");
        assert!(text.lines().all(|l| l.chars().count() <= COLUMNS), "{text}");
        assert_eq!(text.matches("word").count(), 120);
    }
}
