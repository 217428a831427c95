//! One process at a time: a lock on a file that the system lets go when its holder dies.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::Path,
};

use crate::run_dir::RunDirError;

/// Name of the lock's file in a run directory. It stays there, and holds nothing.
pub const LOCK: &str = "lock";

/// A lock that is held. Where the file system knows no locks, it holds nobody off.
#[derive(Debug)]
pub struct Lock {
    _file: Option<File>,
}

impl Lock {
    /// Takes the lock of the run directory `path`, which is made where it is missing.
    ///
    /// # Errors
    /// Another process has it.
    pub fn of_run(path: &Path) -> Result<Self, RunDirError> {
        let failed = |source| RunDirError::Write { path: path.join(LOCK), source };
        let file = open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(RunDirError::Busy { path: path.to_owned() }),
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => Ok(Self { _file: None }),
            Err(TryLockError::Error(source)) => Err(RunDirError::Io { path: path.join(LOCK), source }),
        }
    }

    /// Waits for the lock of a folder that is written to for moments only.
    pub fn wait(folder: &Path) -> io::Result<Self> {
        let file = open(folder)?;
        match file.lock() {
            Err(e) if e.kind() != io::ErrorKind::Unsupported => Err(e),
            locked => Ok(Self { _file: locked.is_ok().then_some(file) }),
        }
    }
}

fn open(folder: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    OpenOptions::new().create(true).append(true).open(folder.join(LOCK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_until_the_first_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let first = Lock::of_run(&run).unwrap();
        let refused = Lock::of_run(&run).unwrap_err();
        assert!(matches!(refused, RunDirError::Busy { .. }), "{refused}");
        drop(first);
        Lock::of_run(&run).unwrap();
    }
}
