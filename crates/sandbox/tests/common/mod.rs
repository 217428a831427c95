//! How attacks are tried: for real, first without what stops them, then with each layer that stops them alone, then in a whole jail.
#![allow(dead_code)]

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use cohort_sandbox::{Ending, Given, Jail, Layer, Limits, Program, Report};

/// Prints the message that tests of absent things print, and says whether every layer is there.
pub fn are_given(layers: &[Layer]) -> bool {
    let missing = layers.iter().find_map(|layer| match layer.given() {
        Given::Yes(_) => None,
        Given::Missing(reason) => Some((layer, reason)),
    });
    match missing {
        None => true,
        Some((layer, reason)) => {
            let name = std::thread::current().name().unwrap_or("a test").to_owned();
            println!("skipped: {name} (layer absent: {layer}, {reason})");
            false
        }
    }
}

const NAMESPACES: [Layer; 6] = [Layer::Mount, Layer::Pid, Layer::Network, Layer::Ipc, Layer::Uts, Layer::Cgroup];

/// An attack, and what stops it.
pub struct Attack {
    /// Python. It prints `done` where it succeeded.
    pub source: String,
    /// Each of these stops it by itself.
    pub stopped_by: &'static [Layer],
    /// Layers that stand in the way of the trial without those: they stop it too, but only together with others, or as a side effect.
    pub aside: &'static [Layer],
    pub limits: Limits,
    pub reading: Vec<PathBuf>,
}

impl Attack {
    pub fn new(source: impl Into<String>, stopped_by: &'static [Layer]) -> Self {
        Self { source: source.into(), stopped_by, aside: &[], limits: limits(), reading: Vec::new() }
    }

    pub fn aside(self, aside: &'static [Layer]) -> Self {
        Self { aside, ..self }
    }

    pub fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    pub fn reading(mut self, path: impl Into<PathBuf>) -> Self {
        self.reading.push(path.into());
        self
    }

    fn jail(&self) -> Jail {
        self.reading.iter().fold(python_in(Jail::new()).limits(self.limits.clone()), |jail, path| jail.reading(path))
    }

    fn run(&self, jail: &Jail) -> Report {
        let report = jail.run(&python(&self.source)).unwrap_or_else(|e| panic!("{e}"));
        println!(
            "  {:?} {:?}",
            report.ending,
            String::from_utf8_lossy(&report.stderr).lines().last().unwrap_or_default()
        );
        report
    }

    /// Tries it in every way. `is_done` says whether it succeeded, of its report.
    pub fn try_it(&self, is_done: impl Fn(&Report) -> bool) {
        let layers = [self.stopped_by, self.aside].concat();
        if !are_given(&layers) {
            return;
        }
        let mut open = layers.iter().fold(self.jail(), |jail, layer| jail.without(*layer));
        if layers.contains(&Layer::User) {
            open = NAMESPACES.iter().fold(open, |jail, layer| jail.without(*layer));
        }
        println!("without {layers:?}");
        let report = self.run(&open);
        let said = String::from_utf8_lossy(&report.stderr);
        assert!(is_done(&report), "without {layers:?} the attack must work: {:?} {said}", report.ending);
        for layer in self.stopped_by {
            println!("stopped by {layer}");
            let mut jail = open.clone().with(*layer);
            if matches!(layer, Layer::Seccomp | Layer::Landlock) {
                jail = jail.with(Layer::NoNewPrivileges);
            }
            if NAMESPACES.contains(layer) {
                // It stands on a user namespace.
                jail = jail.with(Layer::User);
            }
            assert!(!is_done(&self.run(&jail)), "{layer} alone must stop it");
        }
        println!("whole jail");
        assert!(!is_done(&self.run(&self.jail())), "a whole jail must stop it");
        the_next_verdict_is_right();
    }

    /// The same for attacks that print `done`.
    pub fn is_stopped(&self) {
        self.try_it(|report| report.stdout.ends_with(b"done\n"));
    }
}

/// A jail after an attack does as ever.
pub fn the_next_verdict_is_right() {
    let program = python("import os\nprint(os.listdir('.'))\nos.write(3, b'7')").with_verdict();
    let report = python_in(Jail::new()).run(&program).unwrap();
    let said = String::from_utf8_lossy(&report.stderr);
    assert_eq!(
        (report.ending, &*report.stdout, &*report.verdict),
        (Ending::Exited(0), &b"[]\n"[..], &b"7"[..]),
        "{said}"
    );
}

/// Small, so that attacks are bounded.
pub fn limits() -> Limits {
    Limits { wall: Duration::from_secs(20), memory: 512 << 20, processes: 32, ..Limits::default() }
}

/// The system's interpreter, which everybody reaches with and without a jail; else the real one behind shims.
fn interpreter() -> (PathBuf, PathBuf) {
    let ask = "import os, sys; print(os.path.realpath(sys.executable)); print(os.path.realpath(sys.base_prefix))";
    let system = Path::new("/usr/bin/python3");
    let name = if system.exists() { system } else { Path::new("python3") };
    let output = Command::new(name).args(["-I", "-S", "-c", ask]).output().expect("python3, as CI has it");
    let said = String::from_utf8(output.stdout).expect("paths");
    let mut lines = said.lines().map(PathBuf::from);
    (lines.next().expect("its path"), lines.next().expect("its prefix"))
}

pub fn python(source: &str) -> Program {
    Program::new(interpreter().0).arguments(["-I", "-S", "-B", "-c", source])
}

pub fn python_in(jail: Jail) -> Jail {
    let (executable, prefix) = interpreter();
    let system = |path: &Path| path.starts_with("/usr") || path.starts_with("/bin");
    [prefix, executable].into_iter().filter(|path| !system(path)).fold(jail, |jail, path| jail.reading(path))
}

/// Whether a process whose command line holds `mark` is alive.
pub fn alive(mark: &str) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let ours = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        *pid != std::process::id() as i32 && String::from_utf8_lossy(&line).contains(mark)
    };
    numbers.filter(ours).collect()
}

/// A word that no other process has.
pub fn mark() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("mark_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
