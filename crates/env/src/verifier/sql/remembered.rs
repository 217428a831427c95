//! Right queries run once: what is known of them is kept for the group's other completions.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    database::{Budget, Database, Run, State},
    lex, likeness,
    table::{Cell, Table},
};

/// Bytes of results that are kept; the oldest leave first.
const KEPT: usize = 64 << 20;

/// A right query on its database.
pub struct Gold {
    pub database: Arc<Database>,
    pub result: Table,
    pub is_ordered: bool,
    pub names: likeness::Names,
    pub bigrams: HashSet<(String, String)>,
}

/// Why a problem is broken.
#[derive(Clone)]
pub enum Broken {
    Database(String),
    Query(String),
}

#[derive(Default)]
pub struct Remembered {
    kept: Mutex<Kept>,
}

type Key = (State, String);

#[derive(Default)]
struct Kept {
    databases: HashMap<State, Result<Arc<Database>, Broken>>,
    golds: HashMap<Key, Result<Arc<Gold>, Broken>>,
    oldest: VecDeque<(Key, usize)>,
    bytes: usize,
}

impl Remembered {
    /// What is known of `answer` on the database at `path`, which is in `state`.
    pub fn gold(&self, state: &State, path: &Path, answer: &str, budget: &Budget) -> Result<Arc<Gold>, Broken> {
        let key = (state.clone(), answer.to_owned());
        let database = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(gold) = kept.golds.get(&key) {
                return gold.clone();
            }
            let open = || Database::open(path).map(Arc::new).map_err(Broken::Database);
            kept.databases.entry(state.clone()).or_insert_with(open).clone()?
        };
        // Two workers may both run it, and find the same.
        let found = run(&database, answer, budget).map(Arc::new);
        let bytes =
            answer.len() + found.as_ref().map_or(0, |gold| gold.result.rows.iter().flatten().map(Cell::bytes).sum());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.golds.insert(key.clone(), found.clone()).is_none() {
            kept.bytes += bytes;
            kept.oldest.push_back((key, bytes));
        }
        while kept.bytes > KEPT
            && let Some((old, bytes)) = kept.oldest.pop_front()
        {
            kept.golds.remove(&old);
            kept.bytes -= bytes;
        }
        found
    }
}

fn run(database: &Arc<Database>, answer: &str, budget: &Budget) -> Result<Gold, Broken> {
    let broken = |why: String| Broken::Query(format!("`{}` {why}", answer.chars().take(80).collect::<String>()));
    let query = lex::one_query(answer).map_err(|why| broken(format!("is not a query: {why}")))?;
    let result = match database.run(&query, budget) {
        Run::All(table) => table,
        Run::MoreRows(_) => return Err(broken(format!("gives over {} rows: raise `most_rows`", budget.rows))),
        Run::Failed(why) => return Err(broken(format!("fails: {why}"))),
        Run::Spent(what) => return Err(broken(format!("spends its {what}: raise `steps` or `timeout_s`"))),
    };
    let names = match likeness::parsed(&query) {
        Some(statement) => likeness::names(&statement, &database.tables),
        None => likeness::words(&query, &database.tables),
    };
    let (is_ordered, bigrams) = (lex::is_ordered(&query), likeness::bigrams(&query));
    Ok(Gold { database: Arc::clone(database), result, is_ordered, names, bigrams })
}
