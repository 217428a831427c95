//! What tests of several crates ask for: shared data, and a server that stands in for one elsewhere.

mod mutate;
mod stand_in;

pub mod hub;

use std::{
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
};

pub use mutate::{cases, mutated};
pub use stand_in::{Asked, Reply, StandIn};

/// The path of `name` below the folder that `COHORT_DATA` names, for `test`.
///
/// Where it is absent the test says `skipped: TEST` and is to return. It says so past the harness, which would keep
/// the words of a test that passes to itself.
///
/// # Panics
/// It is absent and `COHORT_REQUIRE=all` asks for every test.
pub fn shared_data(test: &str, name: &str) -> Option<PathBuf> {
    let found = find(std::env::var_os("COHORT_DATA").as_deref(), name);
    if found.is_none() {
        let is_required = std::env::var("COHORT_REQUIRE").as_deref() == Ok("all");
        assert!(!is_required, "{test} needs {name} under COHORT_DATA, and COHORT_REQUIRE=all asks for every test");
        let _ = writeln!(std::io::stdout().lock(), "skipped: {test} (needs {name} under COHORT_DATA)");
    }
    found
}

/// The path of a program on PATH, for `test`; absent, the test is to return, as for [`shared_data`].
///
/// # Panics
/// It is absent and `COHORT_REQUIRE=all` asks for every test.
pub fn program(test: &str, name: &str) -> Option<String> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        let is_required = std::env::var("COHORT_REQUIRE").as_deref() == Ok("all");
        assert!(!is_required, "{test} needs {name} on PATH, and COHORT_REQUIRE=all asks for every test");
        let _ = writeln!(std::io::stdout().lock(), "skipped: {test} (needs {name} on PATH)");
    }
    found.map(|path| path.display().to_string())
}

fn find(root: Option<&OsStr>, name: &str) -> Option<PathBuf> {
    Some(Path::new(root?).join(name)).filter(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_not_found() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(find(Some(here.as_os_str()), "Cargo.toml"), Some(here.join("Cargo.toml")));
        assert_eq!(find(Some(here.as_os_str()), "no such file"), None);
        assert_eq!(find(None, "Cargo.toml"), None);
    }
}
