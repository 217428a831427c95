//! A verify of all claims: what of it was done before it was killed is not done again.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    path::PathBuf,
};

use cohort_train::recipe::hex;
use cohort_zoo::ResultLine;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{case::Case, error::ZooError, verify::Options};

/// The claims that a `verify --all` has judged since it was first begun: a line each in `zoo/round-SUM.jsonl` of the folder of caches. A round
/// belongs to a working directory, a binary and a number of seeds; with the last claim it ends, and the next one runs all anew.
pub struct Round {
    path: PathBuf,
    done: BTreeMap<String, Done>,
}

#[derive(Serialize, Deserialize)]
struct Done {
    /// Of the arms and the claim, as they were then.
    case: String,
    line: ResultLine,
}

impl Round {
    /// The round that was begun and not ended, or a new one.
    ///
    /// # Errors
    /// This program, the working directory or what a round noted cannot be read.
    pub fn open(options: &Options) -> Result<Self, ZooError> {
        let here = env::current_dir().map_err(ZooError::io("the working directory"))?;
        let sum = format!("{}\n{}\n{:?}", binary()?, here.display(), options.seeds);
        let name = format!("round-{}.jsonl", &hex(&Sha256::digest(sum))[..16]);
        let path = options.cache.join("zoo").join(name);
        let text = match fs::read_to_string(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
            read => read.map_err(ZooError::io(&path))?,
        };
        // A line that was torn is a claim that is judged again.
        let done = text.lines().filter_map(|line| serde_json::from_str::<Done>(line).ok());
        Ok(Self { path, done: done.map(|done| (done.line.name.clone(), done)).collect() })
    }

    /// What this round said of a claim, unless its recipe is another one since.
    pub fn line(&self, name: &str) -> Option<&ResultLine> {
        let done = self.done.get(name)?;
        (Case::read(name).ok()?.sum() == done.case).then_some(&done.line)
    }

    /// Notes what came of a claim.
    ///
    /// # Errors
    /// The recipe cannot be read any more, or the note cannot be written.
    pub fn note(&mut self, line: &ResultLine) -> Result<(), ZooError> {
        let done = Done { case: Case::read(&line.name)?.sum(), line: line.clone() };
        let write = || {
            self.path.parent().map_or(Ok(()), fs::create_dir_all)?;
            let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
            file.write_all(format!("{}\n", serde_json::to_string(&done)?).as_bytes())?;
            file.sync_all()
        };
        write().map_err(ZooError::io(&self.path))?;
        self.done.insert(line.name.clone(), done);
        Ok(())
    }

    /// The next round is a new one.
    ///
    /// # Errors
    /// What was noted cannot be removed.
    pub fn end(self) -> Result<(), ZooError> {
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(ZooError::io(&self.path)(e)),
            _ => Ok(()),
        }
    }
}

/// The sum of this program: the runs of another are none of its own.
pub fn binary() -> Result<String, ZooError> {
    let binary = env::current_exe().map_err(ZooError::io("this program"))?;
    let bytes = fs::read(&binary).map_err(ZooError::io(&binary))?;
    Ok(hex(&Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cohort_zoo::results::read_lines;

    use super::*;

    #[test]
    fn a_round_knows_what_it_has_done_until_it_ends() {
        let cache = tempfile::tempdir().unwrap();
        let options = |seeds| Options {
            seeds,
            jobs: None,
            cache: cache.path().to_owned(),
            interrupt: std::sync::Arc::default(),
            say: |_| {},
        };
        let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/mc-grpo.jsonl");
        let line = read_lines(&fs::read_to_string(results).unwrap()).unwrap().pop().unwrap();
        let mut first = Round::open(&options(None)).unwrap();
        assert_eq!(first.line("mc-grpo"), None);
        first.note(&line).unwrap();
        // Killed here.
        let again = Round::open(&options(None)).unwrap();
        assert_eq!((again.line("mc-grpo"), again.line("disco")), (Some(&line), None));
        assert_eq!(Round::open(&options(Some(2))).unwrap().line("mc-grpo"), None, "other seeds, another round");
        let torn = fs::read_to_string(&again.path).unwrap().replace("\"case\":\"", "\"case\":\"0");
        fs::write(&again.path, &torn).unwrap();
        assert_eq!(Round::open(&options(None)).unwrap().line("mc-grpo"), None, "another recipe");
        fs::write(&again.path, &torn[..torn.len() / 2]).unwrap();
        let mut last = Round::open(&options(None)).unwrap();
        assert_eq!(last.line("mc-grpo"), None, "a torn line");
        last.note(&line).unwrap();
        last.end().unwrap();
        let next = Round::open(&options(None)).unwrap();
        assert_eq!(next.line("mc-grpo"), None);
        next.end().unwrap();
    }
}
