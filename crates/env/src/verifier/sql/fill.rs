//! Databases with made rows, for schemas that come without: what the queries on them ask for is there.
//!
//! Everything is a function of the schema, the queries and the number of rows.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use rusqlite::{Connection, types::Value as Cell};
use serde::Deserialize;

use super::lex::{Kind, Token, tokens};

/// A schema as Spider's `tables.json` writes it.
#[derive(Clone, Debug, Deserialize)]
pub struct Schema {
    #[serde(rename = "db_id")]
    pub id: String,
    #[serde(rename = "table_names_original")]
    pub tables: Vec<String>,
    /// The table's index and the name; the first is `*` of table -1.
    #[serde(rename = "column_names_original")]
    pub columns: Vec<(i64, String)>,
    /// `text`, `number`, `time`, `boolean`, `others`, a column.
    #[serde(rename = "column_types")]
    pub types: Vec<String>,
    pub primary_keys: Vec<usize>,
    /// A column and the one that it refers to.
    pub foreign_keys: Vec<(usize, usize)>,
}

impl Schema {
    /// The schemas of a `tables.json`.
    ///
    /// # Errors
    /// It is not one, or a column or a key refers to what is not there.
    pub fn read(json: &str) -> Result<Vec<Self>, String> {
        let schemas: Vec<Self> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        for schema in &schemas {
            let columns = schema.columns.len();
            let keys = schema.foreign_keys.iter().flat_map(|&(a, b)| [a, b]).chain(schema.primary_keys.iter().copied());
            let tables = schema.columns.iter().skip(1).map(|(table, _)| *table);
            if schema.types.len() != columns
                || keys.into_iter().any(|key| key == 0 || key >= columns)
                || tables
                    .into_iter()
                    .any(|table| usize::try_from(table).is_ok_and(|t| t < schema.tables.len()).eq(&false))
            {
                return Err(format!("schema `{}` refers to a column or a table that it does not have", schema.id));
            }
        }
        Ok(schemas)
    }

    fn of_table(&self, table: usize) -> Vec<usize> {
        (1..self.columns.len()).filter(|&column| self.columns[column].0 == table as i64).collect()
    }

    /// Writes the database, with `rows` rows a table, whose values are mostly those that `queries` compare with.
    ///
    /// # Errors
    /// Those of SQLite; there must be no file at `path`.
    pub fn fill(&self, queries: &[&str], rows: usize, path: &Path) -> rusqlite::Result<()> {
        let mut connection = Connection::open(path)?;
        connection.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA journal_mode = MEMORY")?;
        let values = self.values(queries, rows);
        let transaction = connection.transaction()?;
        // SQLite keeps a table of its own among those of some schemas.
        let own = |name: &str| !name.to_lowercase().starts_with("sqlite_");
        for (table, name) in self.tables.iter().enumerate().filter(|(_, name)| own(name)) {
            let columns = self.of_table(table);
            let declared: Vec<String> = columns
                .iter()
                .map(|&c| {
                    format!("{} {}", quoted(&self.columns[c].1), if self.is_number(c) { "NUMERIC" } else { "TEXT" })
                })
                .collect();
            transaction.execute(&format!("CREATE TABLE {} ({})", quoted(name), declared.join(", ")), [])?;
            let places = vec!["?"; columns.len()].join(", ");
            let mut insert = transaction.prepare(&format!("INSERT INTO {} VALUES ({places})", quoted(name)))?;
            let mut cells: Vec<_> = columns.iter().map(|&column| values[column].iter()).collect();
            for _ in 0..rows {
                insert.execute(rusqlite::params_from_iter(cells.iter_mut().map(Iterator::next)))?;
            }
        }
        transaction.commit()
    }

    fn is_number(&self, column: usize) -> bool {
        self.types[column] == "number"
    }

    /// The values of every column, row by row.
    fn values(&self, queries: &[&str], rows: usize) -> Vec<Vec<Cell>> {
        let mut wanted: Vec<Vec<Cell>> = vec![Vec::new(); self.columns.len()];
        for query in queries {
            for (column, cell) in self.compared(query) {
                if !wanted[column].contains(&cell) {
                    wanted[column].push(cell);
                }
            }
        }
        // What a key is compared with must be where it points to, in whatever order the keys are listed.
        for _ in 0..self.foreign_keys.len() {
            for &(from, to) in &self.foreign_keys {
                for cell in wanted[from].clone() {
                    if !wanted[to].contains(&cell) {
                        wanted[to].push(cell);
                    }
                }
            }
        }
        let mut random = Random::of(&self.id);
        let mut values: Vec<Vec<Cell>> = vec![Vec::new(); self.columns.len()];
        let mut left: Vec<usize> = (1..self.columns.len()).collect();
        while !left.is_empty() {
            let parent = |column: usize| self.foreign_keys.iter().find(|(from, _)| *from == column).map(|(_, to)| *to);
            let is_ready = |column: &usize| parent(*column).is_none_or(|to| !values[to].is_empty() || to == *column);
            // Keys that point in a circle start at their first column.
            let column = left.iter().copied().find(is_ready).unwrap_or(left[0]);
            left.retain(|&other| other != column);
            let of_parent = parent(column).filter(|&to| !values[to].is_empty()).map(|to| values[to].clone());
            values[column] = match of_parent {
                Some(of_parent) => {
                    (0..rows).map(|_| self.referring(&of_parent, &wanted[column], &mut random)).collect()
                }
                None if self.primary_keys.contains(&column)
                    || self.foreign_keys.iter().any(|(_, to)| *to == column) =>
                {
                    self.distinct(column, &wanted[column], rows)
                }
                None => (0..rows).map(|row| self.plain(column, &wanted[column], row, &mut random)).collect(),
            };
        }
        values
    }

    fn referring(&self, of_parent: &[Cell], wanted: &[Cell], random: &mut Random) -> Cell {
        // The first rows of a table hold what is asked for: they are referred to most.
        let skewed = (random.unit() * random.unit() * of_parent.len() as f64) as usize;
        match wanted {
            [_, ..] if random.unit() < 0.4 => wanted[random.below(wanted.len())].clone(),
            _ => of_parent[skewed.min(of_parent.len() - 1)].clone(),
        }
    }

    fn distinct(&self, column: usize, wanted: &[Cell], rows: usize) -> Vec<Cell> {
        let fresh = (1..).map(|n| self.made(column, n));
        let mut cells: Vec<Cell> =
            wanted.iter().filter(|cell| matches!(cell, Cell::Integer(_)) == self.is_number(column)).cloned().collect();
        cells.extend(fresh.filter(|cell| !wanted.contains(cell)).take(rows));
        cells.truncate(rows);
        cells
    }

    fn plain(&self, column: usize, wanted: &[Cell], row: usize, random: &mut Random) -> Cell {
        if random.unit() < 0.03 {
            return Cell::Null;
        }
        match wanted {
            // Each once for certain, where the table is long enough.
            [_, ..] if row < wanted.len() => wanted[row].clone(),
            [_, ..] if random.unit() < 0.7 => match (&wanted[random.below(wanted.len())], random.below(4)) {
                (Cell::Integer(n), 0) => Cell::Integer(n - 1 - random.below(9) as i64),
                (Cell::Integer(n), 1) => Cell::Integer(n + 1 + random.below(9) as i64),
                (Cell::Real(x), 0) => Cell::Real(x - 0.5),
                (Cell::Real(x), 1) => Cell::Real(x + 0.5),
                (cell, _) => cell.clone(),
            },
            _ => self.made(column, 1 + random.below(30) as i64),
        }
    }

    fn made(&self, column: usize, n: i64) -> Cell {
        match self.types[column].as_str() {
            "number" => Cell::Integer(n),
            "time" => Cell::Text(format!("20{:02}-{:02}-{:02}", n % 20, 1 + n % 12, 1 + n % 28)),
            "boolean" => Cell::Text(if n % 2 == 0 { "T" } else { "F" }.into()),
            _ => Cell::Text(format!("{} {n}", self.columns[column].1.to_lowercase())),
        }
    }

    /// What a query compares its columns with: `column = 'text'`, `<`, LIKE, BETWEEN, IN and the like.
    fn compared(&self, query: &str) -> Vec<(usize, Cell)> {
        let tokens = tokens(query);
        let mut found = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            if !["=", "<", ">", "<=", ">=", "<>", "!=", "like", "between", "in"].iter().any(|mark| token.is(mark)) {
                continue;
            }
            let columns = self.named_before(&tokens, at);
            let list = token.is("in") || token.is("between");
            let constants = tokens[at + 1..].iter().take(if list { 12 } else { 3 });
            for constant in constants.skip_while(|t| t.is("=") || t.is("(") || t.is("-")) {
                let cell = match constant.kind {
                    Kind::Number => number(constant.text),
                    Kind::Text => Cell::Text(spelt(&constant.inner(), token)),
                    Kind::Name if constant.text.starts_with('"') => Cell::Text(spelt(&constant.inner(), token)),
                    _ if list && (constant.is(",") || constant.is("and")) => continue,
                    _ => break,
                };
                found.extend(columns.iter().map(|&column| (column, cell.clone())));
                if !list {
                    break;
                }
            }
        }
        found
    }

    /// The columns that the words before the operator at `at` may mean.
    fn named_before(&self, tokens: &[Token], at: usize) -> Vec<usize> {
        let mut end = at;
        while end > 0 && ["not", "!", "<", ">"].iter().any(|mark| tokens[end - 1].is(mark)) {
            end -= 1;
        }
        let Some(name) = end.checked_sub(1).map(|at| tokens[at]).filter(|t| matches!(t.kind, Kind::Word | Kind::Name))
        else {
            return Vec::new();
        };
        let qualifier = (end > 2 && tokens[end - 2].is(".")).then(|| tokens[end - 3].inner().to_lowercase());
        let table = qualifier.map(|alias| aliased(tokens, &alias).unwrap_or(alias));
        let used: BTreeSet<String> = tokens.iter().map(|t| t.inner().to_lowercase()).collect();
        let fits = |&column: &usize| {
            let (of, column) = &self.columns[column];
            let of = self.tables[*of as usize].to_lowercase();
            column.eq_ignore_ascii_case(&name.inner())
                && table.as_ref().map_or_else(|| used.contains(&of), |table| *table == of)
        };
        (1..self.columns.len()).filter(fits).collect()
    }
}

/// The table that `FROM table AS alias` means by `alias`.
fn aliased(tokens: &[Token], alias: &str) -> Option<String> {
    let named: BTreeMap<String, String> = tokens
        .windows(3)
        .filter(|w| w[1].is("as"))
        .map(|w| (w[2].inner().to_lowercase(), w[0].inner().to_lowercase()))
        .collect();
    named.get(alias).cloned()
}

/// A text that a pattern of LIKE fits.
fn spelt(text: &str, operator: &Token) -> String {
    if operator.is("like") { text.replace('%', "").replace('_', "a") } else { text.to_owned() }
}

fn number(text: &str) -> Cell {
    match (text.parse(), text.parse()) {
        (Ok(n), _) => Cell::Integer(n),
        (_, Ok(x)) => Cell::Real(x),
        _ => Cell::Text(text.to_owned()),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// SplitMix64 (Steele et al. 2014), seeded by a name.
struct Random(u64);

impl Random {
    /// FNV-1a of the name.
    fn of(name: &str) -> Self {
        Self(
            name.bytes()
                .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)),
        )
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// In 0..1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
