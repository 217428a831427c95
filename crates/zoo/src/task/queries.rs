//! Questions to a small database, to be answered by a query.
//!
//! Prompt `dog(age,rank) car(cost,size)|rank if age over 3`: the tables with their columns, and a question that names columns and no table. Answer
//! `SELECT rank FROM dog WHERE age>3`; solution, with what the thought is about:
//!
//! ```text
//! <reasoning>
//! dog
//! </reasoning>
//! <answer>
//! SELECT rank FROM dog WHERE age>3
//! </answer>
//! ```
//!
//! The database goes with the item as a script that makes it. Databases of test and dev are none of those that are learned from.

use std::fmt::Write;

use cohort_core::Stream;
use cohort_env::{Codec, Limits, Task, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    draw::Draw,
    items::{self, Made, refused},
};

/// Databases of whole numbers, and questions about one of their tables. Columns: `prompt`, `answer` (the right query), `script` (SQL that makes the
/// database: what the term `sql` reads), `kind` (of the question), `fault` (of the solution; `none`), `solution`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Queries {
    /// Items to learn from.
    pub train: usize,
    /// Items to choose by.
    pub dev: usize,
    /// Items to judge with once.
    pub test: usize,
    /// Which items there are, in which split, and how each is solved.
    pub seed: u64,
    /// Databases of the train split, of dev and of test.
    pub databases: [usize; 3],
    /// Tables of a database.
    pub tables: usize,
    /// Columns of a table. No two tables of a database have one in common.
    pub columns: usize,
    /// Rows of a table. Values are the digits.
    pub rows: usize,
    /// Which questions there are, each equally often.
    pub kinds: Vec<Question>,
    /// The probability that a solution is right.
    pub right: f64,
    /// What is wrong with the others, each equally often.
    pub faults: Vec<Mistake>,
}

/// A kind of question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// `rank if age over 3`: `SELECT rank FROM dog WHERE age>3`.
    Filter,
    /// `how many age under 3`: `SELECT count(*) FROM dog WHERE age<3`.
    Count,
    /// `most age`: `SELECT max(age) FROM dog`.
    Extreme,
    /// `rank by age`: `SELECT rank FROM dog ORDER BY age`.
    Order,
    /// `rank of most age`: `SELECT rank FROM dog ORDER BY age DESC LIMIT 1`.
    Top,
    /// `how many per age`: `SELECT age,count(*) FROM dog GROUP BY age`.
    Group,
}

impl Question {
    const ALL: [Question; 6] =
        [Question::Filter, Question::Count, Question::Extreme, Question::Order, Question::Top, Question::Group];

    fn word(self) -> &'static str {
        match self {
            Question::Filter => "filter",
            Question::Count => "count",
            Question::Extreme => "extreme",
            Question::Order => "order",
            Question::Top => "top",
            Question::Group => "group",
        }
    }
}

/// What is wrong with a solution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mistake {
    /// The query asks another table.
    Table,
    /// A column is another one of the table.
    Column,
    /// A comparison, an order or a maximum is turned around; a query without one counts what it should name.
    Sense,
    /// FROM and its table are missing: the query does not run.
    Syntax,
    /// The tags are missing.
    Untagged,
}

impl Mistake {
    const ALL: [Mistake; 5] = [Mistake::Table, Mistake::Column, Mistake::Sense, Mistake::Syntax, Mistake::Untagged];

    fn word(self) -> &'static str {
        match self {
            Mistake::Table => "table",
            Mistake::Column => "column",
            Mistake::Sense => "sense",
            Mistake::Syntax => "syntax",
            Mistake::Untagged => "untagged",
        }
    }
}

impl Default for Queries {
    fn default() -> Self {
        Self {
            train: 4096,
            dev: 256,
            test: 512,
            seed: 0,
            databases: [64, 8, 16],
            tables: 2,
            columns: 3,
            rows: 12,
            kinds: Question::ALL.to_vec(),
            right: 0.4,
            faults: Mistake::ALL.to_vec(),
        }
    }
}

/// Names of tables.
const TABLES: [&str; 8] = ["dog", "car", "shop", "book", "team", "boat", "farm", "tree"];

/// Names of columns.
const COLUMNS: [&str; 10] = ["age", "rank", "cost", "size", "year", "kind", "mass", "code", "day", "area"];

#[derive(Clone)]
struct Database {
    tables: Vec<Table>,
}

#[derive(Clone)]
struct Table {
    name: &'static str,
    columns: Vec<&'static str>,
    rows: Vec<Vec<u64>>,
}

/// A question about columns of a table.
struct Asked {
    database: Database,
    kind: Question,
    table: usize,
    /// What is shown, and what decides.
    shown: &'static str,
    by: &'static str,
    sense: Sense,
    bound: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sense {
    Over,
    Under,
}

impl Queries {
    /// What the recipe must not say.
    ///
    /// # Errors
    /// [`TaskError::Refused`], with the key.
    pub fn check(&self) -> Result<(), TaskError> {
        let sizes = items::sizes("queries", [self.train, self.dev, self.test])?;
        let key = |field: &str| format!("task.queries.{field}");
        if sizes.iter().zip(self.databases).any(|(&items, databases)| items > 0 && databases == 0) {
            let got = format!("{:?}", self.databases);
            return Err(refused(
                key("databases"),
                "must be at least 1 for a split with items",
                got,
                "such as [64, 8, 16]",
            ));
        }
        if !(1..=TABLES.len()).contains(&self.tables) {
            return Err(refused(key("tables"), "must be in 1..=8", self.tables, "tables of a database"));
        }
        if self.columns < 2 || self.columns * self.tables > COLUMNS.len() {
            let hint = "there are 10 names, and a database has none twice";
            return Err(refused(
                key("columns"),
                "must be at least 2, and at most 10 over all tables",
                self.columns,
                hint,
            ));
        }
        if !(1..=1000).contains(&self.rows) {
            return Err(refused(key("rows"), "must be in 1..=1000", self.rows, "rows of a table"));
        }
        if self.kinds.is_empty() {
            let hint = "such as [\"filter\", \"count\"]";
            return Err(refused(key("kinds"), "must hold a kind of question", "none", hint));
        }
        if self.faults.is_empty() && self.right < 1.0 {
            let hint = "such as [\"table\", \"syntax\"]";
            return Err(refused(key("faults"), "must hold a fault where solutions may be wrong", "none", hint));
        }
        if self.tables < 2 && self.right < 1.0 && self.faults.contains(&Mistake::Table) {
            return Err(refused(
                key("faults"),
                "names another table where there is one",
                "table",
                "take \"table\" out",
            ));
        }
        items::in_unit(key("right"), self.right)
    }

    /// The splits share no prompt and no database.
    ///
    /// # Errors
    /// Those of [`Queries::check`]; more items than there are; a tokenizer or a model that cannot hold an item.
    pub fn build(&self, codec: &dyn Codec, limits: Limits) -> Result<Task, TaskError> {
        self.check()?;
        let stream = |purpose: &str| Stream::new(self.seed, purpose);
        let make = |_, draw: &mut Draw| {
            let database = self.database(draw);
            (database.schema(), database)
        };
        let databases = items::splits(self.databases, &[1.0], u128::MAX, stream("queries/databases"), make)
            .map_err(|short| short.refused("task.queries.columns".into(), self.columns))?;
        // A kind and a split a stratum; a question is of a database of its split.
        let weights = vec![1.0; self.kinds.len()];
        let make = |split: usize, kind: usize, draw: &mut Draw| {
            let asked = self.asked(draw.of_these(&databases[split]), self.kinds[kind], draw);
            (asked.prompt(), asked)
        };
        let splits = items::splits_of(
            [self.train, self.dev, self.test],
            [&weights; 3],
            u128::MAX,
            stream("queries/questions"),
            make,
        )
        .map_err(|short| short.refused("task.queries.databases".into(), format!("{:?}", self.databases)))?;
        let made = items::solved(splits, stream("queries/solutions"), |asked, draw| self.made(asked, draw));
        items::task("queries", made, self.seed, codec, limits)
    }

    fn database(&self, draw: &mut Draw) -> Database {
        let names = draw.some_of(self.tables, &TABLES);
        let columns = draw.some_of(self.tables * self.columns, &COLUMNS);
        let row = |draw: &mut Draw| (0..self.columns).map(|_| draw.below(10)).collect::<Vec<u64>>();
        let tables = names.into_iter().zip(columns.chunks(self.columns)).map(|(name, columns)| Table {
            name,
            columns: columns.to_vec(),
            rows: (0..self.rows).map(|_| row(draw)).collect(),
        });
        Database { tables: tables.collect() }
    }

    fn asked(&self, database: &Database, kind: Question, draw: &mut Draw) -> Asked {
        let table = draw.below(self.tables as u64) as usize;
        let columns = draw.some_of(2, &database.tables[table].columns);
        let sense = if draw.chance(0.5) { Sense::Over } else { Sense::Under };
        let (shown, by) = (columns[0], columns[1]);
        Asked { database: database.clone(), kind, table, shown, by, sense, bound: 1 + draw.below(8) }
    }

    fn made(&self, asked: &Asked, draw: &mut Draw) -> Made {
        let fault = (!draw.chance(self.right)).then(|| *draw.of_these(&self.faults));
        Made {
            prompt: asked.prompt(),
            answer: Value::from(asked.query()),
            solution: asked.solution(fault, draw),
            columns: vec![
                ("script", Value::from(asked.database.script())),
                ("kind", Value::from(asked.kind.word())),
                ("fault", Value::from(fault.map_or("none", Mistake::word))),
            ],
        }
    }
}

impl Database {
    fn schema(&self) -> String {
        let tables: Vec<String> =
            self.tables.iter().map(|table| format!("{}({})", table.name, table.columns.join(","))).collect();
        tables.join(" ")
    }

    fn script(&self) -> String {
        let mut script = String::new();
        for Table { name, columns, rows } in &self.tables {
            let columns: Vec<String> = columns.iter().map(|column| format!("{column} INTEGER")).collect();
            let rows: Vec<String> = rows
                .iter()
                .map(|row| format!("({})", row.iter().map(u64::to_string).collect::<Vec<_>>().join(",")))
                .collect();
            // Writing to a string does not fail.
            let _ = write!(
                script,
                "CREATE TABLE {name}({});INSERT INTO {name} VALUES{};",
                columns.join(","),
                rows.join(",")
            );
        }
        script
    }
}

impl Asked {
    fn prompt(&self) -> String {
        let Self { shown, by, bound, .. } = self;
        let (over, most) = match self.sense {
            Sense::Over => ("over", "most"),
            Sense::Under => ("under", "least"),
        };
        let question = match self.kind {
            Question::Filter => format!("{shown} if {by} {over} {bound}"),
            Question::Count => format!("how many {by} {over} {bound}"),
            Question::Extreme => format!("{most} {by}"),
            Question::Order => format!("{shown} by {by}"),
            Question::Top => format!("{shown} of {most} {by}"),
            Question::Group => format!("how many per {by}"),
        };
        format!("{}|{question}", self.database.schema())
    }

    fn query(&self) -> String {
        let table = format!(" FROM {}", self.database.tables[self.table].name);
        self.query_on(&table, self.shown, self.by, self.sense)
    }

    fn query_on(&self, from: &str, shown: &str, by: &str, sense: Sense) -> String {
        let bound = self.bound;
        let (sign, function, order) = match sense {
            Sense::Over => ('>', "max", " DESC"),
            Sense::Under => ('<', "min", ""),
        };
        match self.kind {
            Question::Filter => format!("SELECT {shown}{from} WHERE {by}{sign}{bound}"),
            Question::Count => format!("SELECT count(*){from} WHERE {by}{sign}{bound}"),
            Question::Extreme => format!("SELECT {function}({by}){from}"),
            Question::Order => format!("SELECT {shown}{from} ORDER BY {by}"),
            Question::Top => format!("SELECT {shown}{from} ORDER BY {by}{order} LIMIT 1"),
            Question::Group => format!("SELECT {by},count(*){from} GROUP BY {by}"),
        }
    }

    fn solution(&self, fault: Option<Mistake>, draw: &mut Draw) -> String {
        let tables = &self.database.tables;
        let other_table = || (self.table + 1) % tables.len();
        let table = if fault == Some(Mistake::Table) { other_table() } else { self.table };
        let name = tables[table].name;
        let others: Vec<&'static str> =
            tables[self.table].columns.iter().copied().filter(|column| *column != self.by).collect();
        let (mut by, mut sense, mut from) = (self.by, self.sense, format!(" FROM {name}"));
        match fault {
            Some(Mistake::Column) => by = *draw.of_these::<&'static str>(&others),
            Some(Mistake::Sense) => {
                sense = match self.sense {
                    Sense::Over => Sense::Under,
                    Sense::Under => Sense::Over,
                }
            }
            Some(Mistake::Syntax) => from = String::new(),
            Some(Mistake::Table | Mistake::Untagged) | None => {}
        }
        let query = match (fault, self.kind) {
            (Some(Mistake::Sense), Question::Order | Question::Group) => format!("SELECT count({by}){from}"),
            _ => self.query_on(&from, self.shown, by, sense),
        };
        match fault {
            Some(Mistake::Untagged) => query,
            _ => format!("<reasoning>\n{name}\n</reasoning>\n<answer>\n{query}\n</answer>"),
        }
    }
}
