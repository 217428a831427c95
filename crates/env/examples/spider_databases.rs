//! Databases with made rows for Spider's schemas, and a row for `cohort score` of each query:
//! `cargo run --release -p cohort-env --example spider_databases TABLES.json GOLD.txt OUT [PREDICTIONS.txt] > rows.jsonl`.
//!
//! A line of GOLD is a query, a tab and a schema's name; blank lines count for nothing. Without predictions each query is
//! its own completion.

use std::{env, error::Error, fs, path::Path};

use cohort_env::verifier::sql::fill::Schema;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [tables, gold, out, predictions @ ..] = &arguments[..] else {
        return Err("usage: spider_databases TABLES.json GOLD.txt OUT [PREDICTIONS.txt]".into());
    };
    let (tables, gold, out) = (fs::read_to_string(tables)?, fs::read_to_string(gold)?, Path::new(out));
    let golds: Vec<(&str, &str)> = gold.lines().filter_map(|line| line.trim().rsplit_once('\t')).collect();
    let predicted = predictions.first().map(fs::read_to_string).transpose()?;
    let completions: Vec<&str> = match &predicted {
        Some(text) => text.lines().filter(|line| !line.trim().is_empty()).collect(),
        None => golds.iter().map(|(query, _)| *query).collect(),
    };
    if completions.len() != golds.len() {
        return Err(format!("{} predictions for {} queries", completions.len(), golds.len()).into());
    }
    fs::create_dir_all(out)?;
    for schema in Schema::read(&tables)? {
        let queries: Vec<&str> = golds.iter().filter(|(_, id)| *id == schema.id).map(|(query, _)| *query).collect();
        if !queries.is_empty() {
            schema.fill(&queries, 150, &out.join(format!("{}.sqlite", schema.id)))?;
        }
    }
    for ((answer, id), completion) in golds.iter().zip(completions) {
        let database = out.join(format!("{id}.sqlite"));
        println!("{}", serde_json::json!({"completion": completion, "answer": answer, "database": database}));
    }
    Ok(())
}
