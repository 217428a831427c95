//! What the tests of the binary share: a recipe that trains in a second, a place to run it in, ways to look.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod model;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::Duration,
};

use safetensors::SafeTensors;
use serde_json::Value;

/// Random weights, dense rewards: there is a signal from the first step on.
pub const TINY: &str = r#"name = "tiny"
about = "a run of a second"

[policy.new]
tokenizer = "arithmetic"
width = 32
layers = 1
heads = 2
kv_heads = 1
head_dim = 16
inner = 64
positions = 64

[task.arithmetic]
held_out = 16
dev = 16

[rollout]
group_size = 4
max_new_tokens = 8

[reward.terms.digit]
verifier.regex = { pattern = "[0-9]", mode = "search" }

[reward.terms.plus]
weight = 0.5
verifier.regex = { pattern = "[+=]", mode = "search" }

[train]
steps = 6
prompts_per_step = 4
groups_per_block = 1
inner_epochs = 2
lr = 1e-3
save_every = 2

[preflight]
prompts = 4

[eval]
correct = "digit"
samples = 2
limit = 4
every = 3
dev_limit = 4
"#;

/// What a supervised stage adds to [`TINY`].
pub const COLD: &str = r#"
[supervised]
steps = 6
batch_size = 16
lr = 1e-2
save_every = 2
"#;

/// A folder with a recipe, a cache of its own, and the binary.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// With [`TINY`] as its recipe.
    pub fn new() -> Self {
        Self::of(TINY)
    }

    /// With a cold start before the rl stage.
    pub fn cold() -> Self {
        Self::of(&format!("stages = [\"supervised\", \"rl\"]\n{TINY}{COLD}"))
    }

    pub fn of(recipe: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("recipe.toml"), recipe).expect("the recipe is written");
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file is written");
        path
    }

    /// The binary, in this folder, with this folder's cache.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cohort"));
        command.args(arguments).current_dir(self.folder.path()).env("COHORT_CACHE", self.path("cache"));
        command.stdin(Stdio::null());
        command
    }

    pub fn cohort(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().expect("the binary runs"))
    }

    /// `cohort train recipe.toml --run-dir RUN`, and more.
    pub fn train(&self, run: &str, more: &[&str]) -> Ran {
        Ran::of(self.train_command(run, more).output().expect("the binary runs"))
    }

    pub fn train_command(&self, run: &str, more: &[&str]) -> Command {
        let mut command = self.command(&["train", "recipe.toml", "--run-dir", run]);
        command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The path of a run's file as text.
    pub fn of_run(&self, run: &str, name: &str) -> String {
        self.path(run).join(name).display().to_string()
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.bytes(name)).expect("JSON")
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub fn lines(&self, name: &str) -> Vec<Value> {
        let text = String::from_utf8(self.bytes(name)).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

/// What a process said and how it ended.
pub struct Ran {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the binary writes UTF-8");
        Self { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Ended well.
    #[track_caller]
    pub fn well(self) -> Self {
        assert!(self.status.success(), "{}: {}", self.status, self.stderr);
        self
    }

    /// Ended with `status`, and every one of `parts` stands in its message.
    #[track_caller]
    pub fn failed(self, status: i32, parts: &[&str]) -> Self {
        assert_eq!(self.status.code(), Some(status), "{}", self.stderr);
        // Messages are wrapped for people: one space between words either way.
        let said = words(&self.stderr);
        for part in parts {
            assert!(said.contains(&words(part)), "`{part}` is not in: {}", self.stderr);
        }
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("stdout is no JSON ({e}): {}", self.stdout))
    }
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A recipe of the repository, run with more keys in `place`.
pub fn repository_recipe(name: &str, place: &Place, run: &str, keys: &[&str]) -> Ran {
    let recipe = format!("{}/../../recipes/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let mut command = place.command(&["train", &recipe, "--run-dir", run]);
    Ran::of(command.args(keys.iter().flat_map(|key| ["--set", key])).output().expect("it runs"))
}

/// The tensors of a safetensors file: dtype, shape and bytes by name.
pub fn tensors(file: &Path) -> BTreeMap<String, (String, Vec<usize>, Vec<u8>)> {
    let bytes = fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let whole = SafeTensors::deserialize(&bytes).expect("a whole file");
    let part = |(name, t): (&str, safetensors::tensor::TensorView)| {
        (name.to_owned(), (format!("{:?}", t.dtype()), t.shape().to_vec(), t.data().to_vec()))
    };
    whole.iter().map(part).collect()
}

/// A process that is killed when the test ends before it does.
pub struct Running(Child);

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("the binary starts"))
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits until `condition` holds; `false` where the process ended before. Looks often, and for as long as the
    /// process lives: nothing here depends on how fast it is.
    pub fn until(&mut self, mut condition: impl FnMut() -> bool) -> bool {
        loop {
            if condition() {
                return true;
            }
            if self.0.try_wait().expect("a child").is_some() {
                return condition();
            }
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.0.kill().expect("it can be killed");
        self.0.wait().expect("a child");
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    pub fn end(mut self) -> Ran {
        let out = std::io::read_to_string(self.0.stdout.take().expect("piped")).expect("text");
        let err = std::io::read_to_string(self.0.stderr.take().expect("piped")).expect("text");
        Ran { status: self.0.wait().expect("a child"), stdout: out, stderr: err }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A run that is killed at so many lines of one log after the other, goes on each time with another number of workers, and then ends. Its cold start
/// comes from no cache that another run filled.
pub fn killed_and_ended(place: &Place, run: &str, logs: &[(&str, usize)]) {
    let going_on = |workers: &str| {
        let mut command = place.train_command(run, &["--resume", "--workers", workers]);
        Running::start(command.env("COHORT_CACHE", place.path("another-cache")))
    };
    for (turn, &(log, lines)) in logs.iter().enumerate() {
        let log = place.path(run).join(log);
        let mut running = going_on(["1", "2", "3"][turn % 3]);
        running.until(|| line_count(&log) >= lines);
        running.kill();
    }
    going_on("1").end().well();
}

pub fn line_count(path: &Path) -> usize {
    fs::read(path).map_or(0, |bytes| bytes.iter().filter(|&&b| b == b'\n').count())
}

/// Every file below a folder with its bytes, links followed.
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(tree(&path));
        } else {
            let bytes = fs::read(&path).expect("a file");
            files.insert(path, bytes);
        }
    }
    files
}

/// The files of a run that must be equal in equal runs.
pub const EQUAL: [&str; 4] =
    ["checkpoints/last/model.safetensors", "checkpoints/last/optimizer.safetensors", "metrics.jsonl", "rollouts.jsonl"];

/// Holds what two runs made against each other, to the bit.
#[track_caller]
pub fn assert_same_run(a: &Path, b: &Path) {
    for name in EQUAL {
        let (left, right) = (fs::read(a.join(name)).expect("a file"), fs::read(b.join(name)).expect("a file"));
        assert!(left == right, "{name} differs between {} and {}", a.display(), b.display());
    }
}
