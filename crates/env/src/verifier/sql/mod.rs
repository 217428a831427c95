//! `sql`: a query against the right one, by what both give on a database and by what both say.

pub mod database;
pub mod fill;
mod functions;
pub mod lex;
mod likeness;
mod remembered;
mod script;
pub mod table;

use std::{sync::Arc, time::Duration};

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};

use self::{
    database::{Budget, Run, State},
    remembered::{Gold, Remembered},
    script::Scripts,
    table::{Columns, Rows, Sameness, Sequence},
};
use super::{
    Configured, Described, Means, Verdict, Verifier, VerifierError, View,
    columns::{self, Fault},
    fenced,
    pure::{at_least, positive},
    reading,
};
use crate::locate::locate;

/// What the score is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// 1 where the result is right, 0 where the query does not run, and between them the weighted mean of the parts.
    #[default]
    Partial,
    /// 1 where the result is right, else 0.
    Execution,
    /// The weighted sum of the parts, as Reasoning-SQL trained on.
    Published,
}

/// Whether the rows must come in the right order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Where the right query has an ORDER BY outside of parentheses.
    #[default]
    Auto,
    /// Rows count in their order.
    Always,
    /// Rows count in any order.
    Never,
}

/// With the parts `p` and the weights `w` of `execution`, `syntax`, `schema`, `ngram` and `format`, each part in 0..1:
/// - `execution`: 1 where the query gives what the right one gives;
/// - `syntax`: 1 where it runs without an error (up to the first row more than the right result has);
/// - `schema`: `|S_gold ∩ S| / |S_gold|`, `S` being the tables and columns of the database that a query names; 0 where the
///   text is no query of SQL's grammar (`parses`);
/// - `ngram`: `|B_gold ∩ B| / |B_gold ∪ B|`, `B` being the pairs of neighbouring words;
/// - `format`: 1/4 for each mark of `<reasoning>` and `<answer>` on lines of their own that stands there once, less 1/500 a
///   character after the answer.
///
/// `partial` is 1 where `execution` is, 0 where `syntax` is 0, else `Σ w p / Σ w`; `published` is `Σ w p`, whose weights are
/// 3, 1, 1, 1, 0.5 (Pourreza et al. 2025; a judge's term is the term `judge`). `schema_precision` is shown and not counted.
///
/// Results are compared as Spider's test suite does: rows as a multiset, or in order where the right query orders them, under
/// some permutation of the columns. Beyond it, numbers are compared with a tolerance, results without rows need as many columns,
/// and DISTINCT stays where it is. BIRD's rule is `rows = "distinct"`, `columns = "in_order"`, `order = "never"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sql {
    /// What the score is.
    pub score: Score,
    /// How often a row counts.
    pub rows: Rows,
    /// Which column answers for which.
    pub columns: Columns,
    /// Whether the rows must come in the right order.
    pub order: Order,
    /// Relative tolerance of numbers that are not both whole.
    pub tolerance: f64,
    /// Weight of the right result.
    pub execution: f64,
    /// Weight of running without an error.
    pub syntax: f64,
    /// Weight of naming the right tables and columns.
    pub schema: f64,
    /// Weight of the pairs of words.
    pub ngram: f64,
    /// Weight of the tags.
    pub format: f64,
    /// The tag that holds the query; without it, the whole completion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Instructions of SQLite's machine that a query may take.
    pub steps: u64,
    /// Rows that the right query may give; with `rows = "distinct"`, also the completion's.
    pub most_rows: usize,
    /// Bytes of the longest text that a query may read or make.
    pub longest: usize,
    /// Seconds behind the steps, for instructions that take long.
    pub timeout_s: f64,
}

impl Default for Sql {
    fn default() -> Self {
        Self {
            score: Score::Partial,
            rows: Rows::Counted,
            columns: Columns::AnyOrder,
            order: Order::Auto,
            tolerance: 1e-9,
            execution: 3.0,
            syntax: 1.0,
            schema: 1.0,
            ngram: 1.0,
            format: 0.5,
            tag: None,
            steps: 50_000_000,
            most_rows: 100_000,
            longest: 1 << 17,
            timeout_s: 10.0,
        }
    }
}

impl Configured for Sql {
    const DESCRIBED: Described = Described {
        name: "sql",
        summary: "1 where the completion's query gives what the row's query gives, 0 where it does not run, and partial \
                  rewards between them; in SQLite, read-only",
        range: "0..1; with `score = \"published\"` 0..the sum of the weights; a query that spends its budget is a timeout",
        reads: &[
            "completion: one query, in its last fenced block or alone",
            "answer: the right query",
            "database: the path of a database of SQLite, or data:NAME; or script: SQL that makes one",
        ],
        parameters: &[
            ("score", "\"partial\" (default), \"execution\": 0 or 1, \"published\": the weighted sum of the parts"),
            ("rows", "\"counted\" (default), or \"distinct\": a row counts once"),
            ("columns", "\"any_order\" (default), or \"in_order\""),
            (
                "order",
                "\"auto\" (default): rows are in order where the right query has an ORDER BY; \"always\", \"never\"",
            ),
            ("tolerance", "relative, of numbers that are not both whole; 1e-9 unless told"),
            ("execution", "weight of the right result; 3 unless told"),
            ("syntax", "weight of running without an error; 1 unless told"),
            ("schema", "weight of naming the right tables and columns; 1 unless told"),
            ("ngram", "weight of the pairs of words in common; 1 unless told"),
            ("format", "weight of the tags <reasoning> and <answer>; 0.5 unless told"),
            ("tag", "the tag that holds the query; without it, the whole completion"),
            ("steps", "instructions of SQLite's machine for a query; 50,000,000 unless told"),
            ("most_rows", "rows of the right result; 100,000 unless told"),
            ("longest", "bytes of the longest text that a query reads or makes; 131,072 unless told"),
            ("timeout_s", "seconds behind the steps; 10 unless told"),
        ],
        source: "Reasoning-SQL (Pourreza et al. 2025, arXiv:2503.23157); results as in the test suite of Spider (Zhong et \
                 al. 2020, arXiv:2010.02840)",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        for (name, weight) in self.weights() {
            at_least(name, weight, 0.0, "a weight of at least 0")?;
        }
        positive("execution", self.weights().iter().map(|(_, weight)| weight).sum())?;
        if !(0.0..=0.1).contains(&self.tolerance) {
            let got = self.tolerance;
            return Err(VerifierError::BadNumber { parameter: "tolerance", got, expected: "0 to 0.1" });
        }
        at_least("steps", self.steps as f64, 1.0, "at least 1")?;
        at_least("most_rows", self.most_rows as f64, 1.0, "at least 1")?;
        at_least("longest", self.longest as f64, 1024.0, "at least 1024")?;
        positive("timeout_s", self.timeout_s)?;
        if self.timeout_s > 3600.0 {
            let got = self.timeout_s;
            return Err(VerifierError::BadNumber { parameter: "timeout_s", got, expected: "at most 3600" });
        }
        Ok(())
    }

    fn build(&self, means: &Means) -> Result<Box<dyn Verifier>, VerifierError> {
        self.check()?;
        Ok(Box::new(Compared {
            config: self.clone(),
            means: means.clone(),
            golds: Remembered::default(),
            scripts: Scripts::default(),
        }))
    }
}

impl Sql {
    fn weights(&self) -> [(&'static str, f64); 5] {
        [
            ("execution", self.execution),
            ("syntax", self.syntax),
            ("schema", self.schema),
            ("ngram", self.ngram),
            ("format", self.format),
        ]
    }

    fn budget(&self, rows: usize) -> Budget {
        Budget { steps: self.steps, rows, longest: self.longest, wall: Duration::from_secs_f64(self.timeout_s) }
    }

    fn sameness(&self, gold: &Gold) -> Sameness {
        let sequence = match self.order {
            Order::Auto if gold.is_ordered => Sequence::Matters,
            Order::Always => Sequence::Matters,
            Order::Auto | Order::Never => Sequence::IsFree,
        };
        Sameness { rows: self.rows, columns: self.columns, sequence, tolerance: self.tolerance }
    }
}

struct Compared {
    config: Sql,
    means: Means,
    golds: Remembered,
    scripts: Scripts,
}

impl Verifier for Compared {
    fn name(&self) -> &str {
        "sql"
    }

    fn range(&self) -> (f64, f64) {
        match self.config.score {
            Score::Partial | Score::Execution => (0.0, 1.0),
            Score::Published => (0.0, self.config.weights().iter().map(|(_, weight)| weight).sum()),
        }
    }

    fn score(&self, view: &View) -> Verdict {
        self.verdict(view).unwrap_or_else(|fault| fault.outcome().into())
    }
}

/// What a completion's query came to.
enum Found {
    Right(usize),
    Wrong(usize),
    MoreRows(usize),
    Fails(String),
    Spent(&'static str),
}

impl Compared {
    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let gold = self.gold(view)?;
        let text = reading::part(self.config.tag.as_deref(), view.completion).map_or("", fenced::block_or_all);
        let query = lex::one_query(text);
        let (found, parses, names) = match &query {
            Err(why) => (Found::Fails(why.clone()), false, likeness::Names::new()),
            Ok(query) => {
                let statement = likeness::parsed(query);
                let names = statement.as_ref().map(|statement| likeness::names(statement, &gold.database.tables));
                (self.found(&gold, query), statement.is_some(), names.unwrap_or_default())
            }
        };
        let ngram = likeness::jaccard(&gold.bigrams, &likeness::bigrams(query.as_deref().unwrap_or(text)));
        let runs = matches!(found, Found::Right(_) | Found::Wrong(_) | Found::MoreRows(_));
        let is_right = matches!(found, Found::Right(_));
        let one_if = |truth: bool| if truth { 1.0 } else { 0.0 };
        let schema = if parses { likeness::share(&gold.names, &names) } else { 0.0 };
        let parts = [one_if(is_right), one_if(runs), schema, ngram, likeness::format(view.completion)];
        let weights = self.config.weights();
        let (sum, all) = weights.iter().zip(parts).fold((0.0, 0.0), |(sum, all), ((_, w), p)| (sum + w * p, all + w));
        let score = match self.config.score {
            Score::Published => sum,
            Score::Execution | Score::Partial if is_right => 1.0,
            Score::Partial if runs => (sum / all).clamp(0.0, 1.0),
            Score::Execution | Score::Partial => 0.0,
        };
        let outcome = if matches!(found, Found::Spent(_)) { Outcome::Timeout } else { Outcome::scored(score) };
        let mut verdict = Verdict::from(outcome);
        for ((name, _), part) in weights.into_iter().zip(parts) {
            verdict = verdict.with(name, part);
        }
        verdict = verdict
            .with("parses", parses)
            .with("schema_precision", if parses { likeness::share(&names, &gold.names) } else { 0.0 });
        Ok(match found {
            Found::Right(rows) | Found::Wrong(rows) => verdict.with("rows", rows),
            Found::MoreRows(rows) => verdict.with("rows_over", rows),
            Found::Fails(why) => verdict.with("fault", why),
            Found::Spent(what) => verdict.with("spent", what),
        })
    }

    /// Runs a query and compares. Of a multiset, one row too many settles it.
    fn found(&self, gold: &Gold, query: &str) -> Found {
        let rows = match self.config.rows {
            Rows::Counted => gold.result.rows.len(),
            Rows::Distinct => self.config.most_rows,
        };
        match gold.database.run(query, &self.config.budget(rows)) {
            Run::All(table) if self.config.sameness(gold).holds(&gold.result, &table) => Found::Right(table.rows.len()),
            Run::All(table) => Found::Wrong(table.rows.len()),
            Run::MoreRows(_) if self.config.rows == Rows::Distinct => Found::Spent("rows"),
            Run::MoreRows(table) => Found::MoreRows(table.rows.len()),
            Run::Failed(why) => Found::Fails(why),
            Run::Spent(what) => Found::Spent(what),
        }
    }

    fn gold(&self, view: &View) -> Result<Arc<Gold>, Fault> {
        let text = |name, expected: &'static str| {
            view.text(name).filter(|t| !t.trim().is_empty()).ok_or_else(|| columns::fault(view, name, expected))
        };
        let answer = text("answer", "the right query, a text")?;
        let (column, database, path) = match (view.text("script"), view.column("database")) {
            (Some(script), None) => {
                let file = self.scripts.file(script).map_err(|why| Fault::because(view, "script", &why))?;
                ("script", "the script's", file)
            }
            _ => {
                let database = text("database", "the path of a database of SQLite, a text")?;
                let path = locate("database", database, self.means.data.as_deref());
                ("database", database, path.map_err(|e| Fault::because(view, "database", &e.to_string()))?)
            }
        };
        let broken = |why: String| Fault::because(view, column, &format!("`{database}`: {why}"));
        let state = State::of(&path).map_err(broken)?;
        let budget = self.config.budget(self.config.most_rows);
        self.golds.gold(&state, &path, answer, &budget).map_err(|why| match why {
            remembered::Broken::Database(why) => broken(why),
            remembered::Broken::Query(why) => Fault::because(view, "answer", &why),
        })
    }
}

#[cfg(test)]
mod tests;
