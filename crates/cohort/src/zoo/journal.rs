//! `results/` of the working directory: lines are appended, and read again.

use std::{
    fs::{self, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::Command,
};

use cohort_zoo::{
    ResultLine, Verdict,
    results::{newest, read_lines},
    systems::{self, SYSTEMS},
};
use serde::Serialize;

use super::{error::ZooError, recipes::Shelf};

/// Where results are.
pub const FOLDER: &str = "results";

/// The results of a system: the lines of `results/NAME.jsonl`.
#[derive(Clone, Debug)]
pub struct Results {
    pub lines: Vec<ResultLine>,
}

impl Results {
    /// Of the working directory; without a file there are none.
    ///
    /// # Errors
    /// A line that is no result.
    pub fn read(root: &Path, name: &str) -> Result<Self, ZooError> {
        let path = root.join(FOLDER).join(format!("{name}.jsonl"));
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(ZooError::io(path)(e)),
        };
        let lines = read_lines(&text).map_err(|(line, problem)| ZooError::Line { path, line, problem })?;
        Ok(Self { lines })
    }

    /// How many verifies count, and the newest of them.
    pub fn newest(&self) -> (usize, Option<&ResultLine>) {
        newest(&self.lines)
    }
}

/// Appends a line to a file of results, whole: a line that was torn before it stays torn alone.
pub fn append(name: &str, line: &impl Serialize) -> Result<PathBuf, ZooError> {
    let path = PathBuf::from(FOLDER).join(format!("{name}.jsonl"));
    let write = || {
        fs::create_dir_all(FOLDER)?;
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(&path)?;
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        let mut last = [b'\n'];
        if file.seek(SeekFrom::End(-1)).is_ok() {
            file.read_exact(&mut last)?;
        }
        if last != [b'\n'] {
            text.insert(0, '\n');
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(ZooError::io(&path))?;
    Ok(path)
}

/// The commit of the working directory, with a `+` where tracked files other than results and their pages differ from it.
/// `None` where there is none, or no git.
pub fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok()
    };
    let head = git(&["rev-parse", "HEAD"])?.trim().to_owned();
    let changed = git(&[
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        ".",
        ":!results",
        ":!docs/systems",
        ":!README.md",
    ])?;
    Some(if changed.trim().is_empty() { head } else { format!("{head}+") })
}

/// The machine in words that name nobody: architecture, system, cores, the kernels' level.
pub fn machine(cpu: &str) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{} {}, {cores} cores, {cpu}", std::env::consts::ARCH, std::env::consts::OS)
}

/// A line of `cohort zoo list`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listing {
    pub name: String,
    /// Its number; recipes of the working directory that are no system's have none.
    pub system: Option<u32>,
    /// Verifies with the claim's number of seeds.
    pub runs: usize,
    pub verdict: Verdict,
    pub title: String,
    /// What is missing while it has not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<&'static str>,
}

/// All 69 systems with what came of their claims, then other recipes of the working directory's zoo.
///
/// # Errors
/// A results file that cannot be read.
pub fn list() -> Result<Vec<Listing>, ZooError> {
    let listing = |name: &str, system: Option<&systems::Listed>| {
        let results = Results::read(Path::new(""), name)?;
        let (runs, line) = results.newest();
        Ok(Listing {
            name: name.to_owned(),
            system: system.map(|s| s.number),
            runs,
            verdict: line.map_or(Verdict::NotRun, |line| line.verdict),
            title: system.map_or("", |s| s.title).to_owned(),
            needs: line.is_none().then(|| system.map(|s| s.needs.words())).flatten(),
        })
    };
    let of_systems = SYSTEMS.iter().map(|system| listing(system.name, Some(system)));
    let others = Shelf::Zoo.names().into_iter().filter(|name| systems::by_name(name).is_none());
    let others: Vec<_> = others.map(|name| listing(&name, None)).collect();
    of_systems.chain(others).collect()
}
