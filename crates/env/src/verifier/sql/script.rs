//! Databases that go with a row as the script that makes them.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rusqlite::{Connection, OpenFlags, config::DbConfig, limits::Limit};
use sha2::{Digest, Sha256};

/// Bytes of a script.
const LONGEST: usize = 4 << 20;

/// Distinguishes the folders of one process.
static FOLDERS: AtomicU64 = AtomicU64::new(0);

/// One file a script, made when it is first asked for and removed at the end. A database is opened by its path as any other one is.
pub struct Scripts {
    folder: PathBuf,
    made: Mutex<HashMap<[u8; 32], Result<PathBuf, String>>>,
}

impl Default for Scripts {
    fn default() -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("cohort-sql-{}-{number}", process::id()));
        Self { folder, made: Mutex::default() }
    }
}

impl Scripts {
    /// The file of the database that `script` makes.
    ///
    /// # Errors
    /// The script is too long or fails, or there is no room for the file.
    pub fn file(&self, script: &str) -> Result<PathBuf, String> {
        let key: [u8; 32] = Sha256::digest(script).into();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry(key).or_insert_with(|| self.make(&key, script)).clone()
    }

    fn make(&self, key: &[u8; 32], script: &str) -> Result<PathBuf, String> {
        if script.len() > LONGEST {
            return Err(format!("the script has more than {LONGEST} bytes"));
        }
        fs::create_dir_all(&self.folder).map_err(|error| error.to_string())?;
        let name: String = key[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.folder.join(format!("{name}.sqlite"));
        fill(&path, script).map_err(|error| error.to_string())?;
        Ok(path)
    }
}

impl Drop for Scripts {
    fn drop(&mut self) {
        // What is left of it lies among the machine's temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A script makes its own file: it attaches no other one and reads none.
fn fill(path: &Path, script: &str) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.execute_batch(&format!("BEGIN;{script};COMMIT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_makes_one_file_for_as_long_as_it_is_asked_for() {
        let scripts = Scripts::default();
        let path = scripts.file("CREATE TABLE t(a); INSERT INTO t VALUES(1),(2)").unwrap();
        let count = |path: &Path| -> i64 {
            Connection::open(path).unwrap().query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
        };
        assert_eq!(count(&path), 2);
        assert_eq!(scripts.file("CREATE TABLE t(a); INSERT INTO t VALUES(1),(2)").unwrap(), path);
        assert_ne!(scripts.file("CREATE TABLE t(a)").unwrap(), path);
        drop(scripts);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_script_is_said() {
        let scripts = Scripts::default();
        assert!(scripts.file("CREATE TABLE").is_err());
        let elsewhere = std::env::temp_dir().join(format!("cohort-elsewhere-{}", process::id()));
        for script in [
            format!("ATTACH '{}' AS x; CREATE TABLE x.t(a)", elsewhere.display()),
            format!("VACUUM INTO '{}'", elsewhere.display()),
        ] {
            assert!(scripts.file(&script).is_err(), "{script}");
            assert!(!elsewhere.exists(), "{script}");
        }
    }
}
