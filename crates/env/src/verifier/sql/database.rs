//! A query in a database that it can read and nothing else.
//!
//! The file is opened immutable and read-only. An authorizer allows reading its tables and calling a list of functions. Work is
//! bounded in instructions of SQLite's machine, memory by SQLite's own limit, texts and plans by its limits.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use rusqlite::{
    Connection, Error, ErrorCode, OpenFlags,
    config::DbConfig,
    hooks::{AuthAction, Authorization},
    limits::Limit,
    types::ValueRef,
};

use super::{
    functions,
    table::{Cell, Table},
};

/// Bytes that all connections of the process may hold. SQLite has one such limit for the whole process.
const HEAP: u64 = 256 << 20;

/// Bytes of a result that is read.
const RESULT: usize = 64 << 20;

/// Instructions between two looks at the budget.
const STRIDE: u64 = 200;

/// A query that runs out of [`HEAP`] beside others runs again alone, so that its verdict does not depend on them.
static HEAP_IS_SHARED: RwLock<()> = RwLock::new(());

/// What one query may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Instructions of SQLite's machine.
    pub steps: u64,
    /// Rows that are read.
    pub rows: usize,
    /// Bytes of a text, a blob or a row.
    pub longest: usize,
    /// Behind the steps, for single instructions that take long.
    pub wall: Duration,
}

/// What a query came to.
#[derive(Clone, Debug)]
pub enum Run {
    All(Table),
    /// More rows than the budget has; those that were read.
    MoreRows(Table),
    /// SQLite did not take it, or it failed on the way.
    Failed(String),
    /// The budget was spent: steps, memory or time.
    Spent(&'static str),
}

/// A database file, and the names of its tables and columns in lower case.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    pub tables: BTreeMap<String, BTreeSet<String>>,
}

/// What tells one state of a file from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    path: PathBuf,
    modified: SystemTime,
    length: u64,
}

impl State {
    /// # Errors
    /// There is no such file.
    pub fn of(path: &Path) -> Result<Self, String> {
        let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
        if !metadata.is_file() {
            return Err("not a file".into());
        }
        let modified = metadata.modified().map_err(|error| error.to_string())?;
        Ok(Self { path: path.into(), modified, length: metadata.len() })
    }
}

impl Database {
    /// # Errors
    /// It is no database of SQLite, or cannot be read.
    pub fn open(path: &Path) -> Result<Self, String> {
        let read = || -> rusqlite::Result<_> {
            let connection = connect(path)?;
            let mut names = connection.prepare("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")?;
            let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            let mut columns = connection.prepare("SELECT name FROM pragma_table_info(?)")?;
            let mut tables = BTreeMap::new();
            for name in names {
                // A view over what is not there has no columns.
                let of_it = columns.query_map([&name], |row| row.get::<_, String>(0))?;
                let of_it = of_it.filter_map(Result::ok).map(|column| column.to_lowercase()).collect();
                tables.insert(name.to_lowercase(), of_it);
            }
            Ok(tables)
        };
        let tables = read().map_err(|error| error.to_string())?;
        Ok(Self { path: path.into(), tables })
    }

    /// Runs `query`. The verdict depends on nothing but the file, the query and the budget, as long as the wall clock is not met.
    pub fn run(&self, query: &str, budget: &Budget) -> Run {
        {
            let _shared = HEAP_IS_SHARED.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Ok(run) = self.run_once(query, budget) {
                return run;
            }
        }
        let _alone = HEAP_IS_SHARED.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.run_once(query, budget).unwrap_or(Run::Spent("memory"))
    }

    fn run_once(&self, query: &str, budget: &Budget) -> Result<Run, OutOfMemory> {
        let spent = Arc::new(AtomicU64::new(0));
        let read = || -> rusqlite::Result<Run> {
            let mut connection = connect(&self.path)?;
            self.guard(&mut connection, budget, &spent)?;
            let mut statement = connection.prepare(query)?;
            if !statement.readonly() {
                return Ok(Run::Failed("it writes".into()));
            }
            let columns = statement.column_count();
            let (mut rows, mut table, mut bytes) = (statement.raw_query(), Table { columns, rows: Vec::new() }, 0);
            while let Some(row) = rows.next()? {
                if table.rows.len() == budget.rows {
                    return Ok(Run::MoreRows(table));
                }
                let cells = (0..columns).map(|column| row.get_ref(column).map(cell));
                let cells: Vec<Cell> = cells.collect::<Result<_, _>>()?;
                bytes += cells.iter().map(Cell::bytes).sum::<usize>();
                if bytes > RESULT {
                    return Ok(Run::Spent("memory"));
                }
                table.rows.push(cells);
            }
            Ok(Run::All(table))
        };
        let error = match read() {
            Ok(run) => return Ok(run),
            Err(error) => error,
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::OutOfMemory) => Err(OutOfMemory),
            Some(ErrorCode::OperationInterrupted) if spent.load(Ordering::Relaxed) >= budget.steps => {
                Ok(Run::Spent("steps"))
            }
            Some(ErrorCode::OperationInterrupted) => Ok(Run::Spent("time")),
            _ => Ok(Run::Failed(said(&error))),
        }
    }

    fn guard(&self, connection: &mut Connection, budget: &Budget, spent: &Arc<AtomicU64>) -> rusqlite::Result<()> {
        functions::replace_trims(connection)?;
        let longest = i32::try_from(budget.longest).unwrap_or(i32::MAX);
        for (limit, most) in [
            (Limit::SQLITE_LIMIT_LENGTH, longest),
            (Limit::SQLITE_LIMIT_SQL_LENGTH, longest),
            (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
            (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 64),
            (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 256),
            (Limit::SQLITE_LIMIT_VDBE_OP, 250_000),
            (Limit::SQLITE_LIMIT_ATTACHED, 0),
            (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
        ] {
            connection.set_limit(limit, most)?;
        }
        let tables: BTreeSet<String> = self.tables.keys().cloned().collect();
        let mut searches = 0;
        connection.authorizer(Some(move |context: rusqlite::hooks::AuthContext<'_>| match context.action {
            AuthAction::Select | AuthAction::Recursive => Authorization::Allow,
            AuthAction::Read { table_name, .. } if readable(&tables, table_name) => Authorization::Allow,
            AuthAction::Function { function_name } if functions::is_allowed(function_name) => {
                searches += usize::from(functions::searches(function_name));
                if searches <= functions::MOST_SEARCHES { Authorization::Allow } else { Authorization::Deny }
            }
            _ => Authorization::Deny,
        }))?;
        let (spent, steps, deadline) = (Arc::clone(spent), budget.steps, Instant::now() + budget.wall);
        connection.progress_handler(
            STRIDE as i32,
            Some(move || {
                let so_far = spent.fetch_add(STRIDE, Ordering::Relaxed) + STRIDE;
                so_far >= steps || so_far.is_multiple_of(STRIDE * 16) && Instant::now() >= deadline
            }),
        )
    }
}

struct OutOfMemory;

/// Whether a name is a table of the file or of the query. SQLite also has tables that tell of the library and of the file's pages.
fn readable(tables: &BTreeSet<String>, name: &str) -> bool {
    let name = name.to_lowercase();
    let internal = name.starts_with("pragma_") || name.starts_with("fts") || name == "dbstat";
    tables.contains(&name) || !internal
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri(path), flags)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA query_only = ON; PRAGMA mmap_size = 0")?;
    connection.query_row(&format!("PRAGMA hard_heap_limit = {HEAP}"), [], |_| Ok(()))?;
    Ok(connection)
}

/// Immutable: no lock, no journal, no file beside it.
fn uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri + "?mode=ro&immutable=1"
}

fn cell(value: ValueRef) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(n) => Cell::Integer(n),
        ValueRef::Real(x) => Cell::Real(x),
        ValueRef::Text(bytes) => Cell::Text(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Cell::Blob(bytes.to_vec()),
    }
}

/// SQLite's words, without the query that rusqlite adds to them.
fn said(error: &Error) -> String {
    let words = match error {
        Error::SqlInputError { msg, .. } => msg.clone(),
        Error::SqliteFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    };
    words.chars().take(200).collect()
}
