//! `cohort methods`

use clap::Args;
use cohort::explain;
use cohort_core::registry::{self, Axis, Entry};
use serde_json::{Value, json};

use super::{print_json, print_line};
use crate::exit::Failure;

/// Every choice that a recipe can name, or one of them explained.
///
/// NAME is the word that the recipe uses; where several axes have it, all are explained, and AXIS.NAME is one.
#[derive(Args)]
#[command(after_help = "Examples:\n  cohort methods\n  cohort methods median\n  cohort methods scale.mean")]
pub struct Methods {
    /// The choice to explain
    name: Option<String>,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

impl Methods {
    pub fn run(self) -> Result<(), Failure> {
        let Some(name) = &self.name else { return self.list() };
        let found = registry::find(name);
        if found.is_empty() {
            return Err(unknown(name));
        }
        if self.json {
            return print_json(&found.iter().map(|entry| whole(entry)).collect::<Value>());
        }
        let pages: Vec<String> = found.iter().map(|entry| explain::page(entry)).collect();
        print_line(pages.join("\n\n").trim_end())
    }

    fn list(&self) -> Result<(), Failure> {
        if self.json {
            return print_json(&registry::entries().map(short).collect::<Value>());
        }
        let width = registry::entries().map(|e| e.name.len()).max().unwrap_or(0);
        let mut text = String::new();
        for axis in Axis::ALL {
            let mut entries = registry::entries().filter(|e| e.axis == axis).peekable();
            if entries.peek().is_none() {
                continue;
            }
            text.push_str(&format!("{axis}  ({})\n", axis.key()));
            for entry in entries {
                let mark = if entry.unverified.is_empty() { "" } else { "  (unverified)" };
                text.push_str(&format!("  {:width$}  {}{mark}\n", entry.name, entry.summary));
            }
            text.push('\n');
        }
        text.push_str("`cohort methods NAME` explains one, with its formula, source and an example.");
        print_line(&text)
    }
}

fn short(entry: &'static Entry) -> Value {
    json!({
        "name": entry.name,
        "axis": entry.axis.word(),
        "source": entry.source,
        "unverified": !entry.unverified.is_empty(),
        "summary": entry.summary,
        "key": entry.axis.key(),
    })
}

fn whole(entry: &'static Entry) -> Value {
    let mut value = short(entry);
    value["formula"] = json!(entry.formula);
    value["reads"] = json!(entry.reads);
    value["what_is_unverified"] = json!(entry.unverified);
    value["parameters"] = entry
        .parameters
        .iter()
        .map(|p| json!({"name": p.name, "default": p.default, "range": p.range, "meaning": p.meaning}))
        .collect();
    value["equals"] = entry.equals.iter().map(|(name, why)| json!({"name": name, "why": why})).collect();
    value["example"] = json!(explain::example(entry));
    value
}

/// The nearest names help with a slip of the hand.
fn unknown(name: &str) -> Failure {
    let word = name.rsplit('.').next().unwrap_or(name);
    let mut near: Vec<&str> = registry::entries()
        .map(|e| e.name)
        .filter(|other| other.contains(word) || word.contains(other) || other.get(..3) == word.get(..3))
        .collect();
    near.dedup();
    let hint = match near.as_slice() {
        [] => "`cohort methods` lists them all".to_owned(),
        near => format!("did you mean {}? `cohort methods` lists them all", near.join(", ")),
    };
    Failure::usage(format!("no method is named `{name}`\n  hint: {hint}"))
}
