//! `cohort rewards`

use clap::Args;
use cohort::explain;
use cohort_core::registry::{self, Axis, Entry};
use cohort_env::verifier::{self, Described};
use serde_json::{Value, json};

use super::{print_json, print_line};
use crate::exit::Failure;

/// Every reward term that a recipe can name, or one of them explained.
///
/// A verifier scores a completion (`reward.terms.NAME.verifier`); a derived term is computed from other terms, facts and
/// the group (`reward.derive`).
#[derive(Args)]
#[command(after_help = "Examples:\n  cohort rewards\n  cohort rewards answer")]
pub struct Rewards {
    /// The term to explain
    name: Option<String>,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// A reward term of either kind.
#[derive(Clone, Copy)]
enum Term {
    Verifier(&'static Described),
    Derived(&'static Entry),
}

fn terms() -> impl Iterator<Item = Term> {
    let derived = registry::entries().filter(|e| e.axis == Axis::Derive).map(Term::Derived);
    verifier::DESCRIBED.iter().map(Term::Verifier).chain(derived)
}

impl Term {
    fn name(self) -> &'static str {
        match self {
            Term::Verifier(it) => it.name,
            Term::Derived(it) => it.name,
        }
    }

    fn summary(self) -> &'static str {
        match self {
            Term::Verifier(it) => it.summary,
            Term::Derived(it) => it.summary,
        }
    }

    fn json(self) -> Value {
        let (kind, source, reads) = match self {
            Term::Verifier(it) => ("verifier", it.source, it.reads),
            Term::Derived(it) => ("derived", it.source, it.reads),
        };
        json!({"name": self.name(), "kind": kind, "summary": self.summary(), "source": source, "reads": reads})
    }

    fn page(self) -> String {
        match self {
            Term::Verifier(it) => {
                let mut text = format!(
                    "{}: {}\n\nrecipe     reward.terms.TERM.verifier.{}\nrange      {}\nreads      {}\nsource     {}\n",
                    it.name,
                    it.summary,
                    it.name,
                    it.range,
                    it.reads.join(", "),
                    it.source
                );
                for (name, meaning) in it.parameters {
                    text.push_str(&format!("parameter  {name}: {meaning}\n"));
                }
                text
            }
            Term::Derived(it) => explain::page(it),
        }
    }
}

impl Rewards {
    pub fn run(self) -> Result<(), Failure> {
        let Some(name) = &self.name else {
            if self.json {
                return print_json(&terms().map(Term::json).collect::<Value>());
            }
            let width = terms().map(|t| t.name().len()).max().unwrap_or(0);
            let lines: Vec<String> = terms().map(|t| format!("{:width$}  {}", t.name(), t.summary())).collect();
            return print_line(&lines.join("\n"));
        };
        let Some(term) = terms().find(|t| t.name() == name) else {
            return Err(Failure::usage(format!(
                "no reward term is named `{name}`\n  hint: `cohort rewards` lists them all"
            )));
        };
        if self.json { print_json(&term.json()) } else { print_line(term.page().trim_end()) }
    }
}
