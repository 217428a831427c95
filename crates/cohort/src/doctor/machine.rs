//! What this machine offers to a run.

use std::{
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use cohort_model::DeviceKind;
use cohort_sandbox::{Given, Layer};
use cohort_train::cold_start::cache_folder;
use serde::Serialize;

use crate::report::bytes;

/// This machine, as a run would find it. What the system does not tell is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    pub version: &'static str,
    /// Instructions that the kernels use: `scalar`, `avx2`, `avx512` or `neon`.
    pub cpu_level: &'static str,
    /// Cores that this process may use: one worker each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<usize>,
    pub memory: Memory,
    /// Values that `device` may have in a recipe: what this program was built with.
    pub devices: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Folder>,
    /// `COHORT_DATA`.
    pub data: DataFolder,
    /// What programs of a model would run in.
    pub sandbox: SandboxGiven,
}

/// The layers of the sandbox that this kernel gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SandboxGiven {
    /// Every layer that matters is there: terms that run generated programs run.
    pub is_given: bool,
    pub layers: Vec<LayerGiven>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerGiven {
    pub layer: &'static str,
    pub is_given: bool,
    /// Without one that matters, generated programs are refused.
    pub matters: bool,
    /// Its version, or why it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_bytes: Option<u64>,
}

/// A folder that need not exist yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Folder {
    pub path: PathBuf,
    /// Free on its disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
}

/// Where `data:NAME` leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum DataFolder {
    /// Recipes that name `data:` files cannot run.
    Unset,
    Missing {
        path: PathBuf,
    },
    NotAFolder {
        path: PathBuf,
    },
    Present {
        path: PathBuf,
    },
}

/// Looks at this machine.
pub fn machine() -> Machine {
    let variable = |name: &str| env::var(name).ok();
    Machine {
        version: env!("CARGO_PKG_VERSION"),
        cpu_level: cohort_kernels::level().name(),
        cores: thread::available_parallelism().ok().map(usize::from),
        memory: fs::read_to_string("/proc/meminfo").map(|text| memory(&text)).unwrap_or_default(),
        devices: DeviceKind::ALL.into_iter().filter(|kind| kind.is_built()).map(DeviceKind::name).collect(),
        cache: cache_folder(variable).map(|path| Folder { free_bytes: free_bytes(&path), path }),
        data: data_folder(variable("COHORT_DATA")),
        sandbox: sandbox(),
    }
}

fn sandbox() -> SandboxGiven {
    let layers = Layer::ALL.map(|layer| {
        let (is_given, said) = match layer.given() {
            Given::Yes(said) => (true, said),
            Given::Missing(reason) => (false, Some(reason)),
        };
        LayerGiven { layer: layer.name(), is_given, matters: layer.matters(), said }
    });
    SandboxGiven { is_given: layers.iter().all(|l| l.is_given || !l.matters), layers: layers.into() }
}

fn memory(meminfo: &str) -> Memory {
    let of = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(1024 * kibibytes)
    };
    Memory { total_bytes: of("MemTotal"), available_bytes: of("MemAvailable") }
}

fn data_folder(variable: Option<String>) -> DataFolder {
    let Some(path) = variable.filter(|v| !v.is_empty()).map(PathBuf::from) else { return DataFolder::Unset };
    match fs::metadata(&path) {
        Ok(found) if found.is_dir() => DataFolder::Present { path },
        Ok(_) => DataFolder::NotAFolder { path },
        Err(_) => DataFolder::Missing { path },
    }
}

/// What `df` says of the disk that a folder is or would be on.
fn free_bytes(path: &Path) -> Option<u64> {
    let existing = path.ancestors().find(|p| p.is_dir())?;
    let output = Command::new("df").arg("-Pk").arg(existing).output().ok()?;
    available(&String::from_utf8(output.stdout).ok()?)
}

/// The fourth field of the second line of `df -Pk` is the free space in KiB.
fn available(df: &str) -> Option<u64> {
    let kibibytes: u64 = df.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(1024 * kibibytes)
}

impl Machine {
    /// For a terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<12} {value}");
        };
        let size = |n: Option<u64>| n.map_or("not known".to_owned(), bytes);
        line("version", self.version.to_owned());
        line("CPU level", self.cpu_level.to_owned());
        line("cores", self.cores.map_or("not known".to_owned(), |n| n.to_string()));
        let (total, available) = (size(self.memory.total_bytes), size(self.memory.available_bytes));
        line("memory", format!("{total}, {available} available"));
        line("devices", self.devices.join(", "));
        line(
            "cache",
            match &self.cache {
                Some(folder) => format!("{} ({} free)", folder.path.display(), size(folder.free_bytes)),
                None => "none: set COHORT_CACHE or HOME, or cold starts are made anew for every run".to_owned(),
            },
        );
        line(
            "COHORT_DATA",
            match &self.data {
                DataFolder::Unset => "not set: recipes that name data:FILE cannot run".to_owned(),
                DataFolder::Missing { path } => format!("{}: there is nothing", path.display()),
                DataFolder::NotAFolder { path } => format!("{}: not a folder", path.display()),
                DataFolder::Present { path } => path.display().to_string(),
            },
        );
        line(
            "sandbox",
            match self.sandbox.is_given {
                true => "given: programs of a model run in a jail".to_owned(),
                false => "missing: programs of a model are refused, unless reward.sandbox = \"none\"".to_owned(),
            },
        );
        for LayerGiven { layer, is_given, matters, said } in &self.sandbox.layers {
            let given = match (is_given, matters) {
                (true, _) => "given",
                (false, true) => "MISSING",
                (false, false) => "missing (others stand in for it)",
            };
            let said = said.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
            let _ = writeln!(text, "  {layer:<20} {given}{said}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_files_are_read() {
        let seen = memory("MemTotal:       16384 kB\nMemFree: 1 kB\nMemAvailable:    8192 kB\n");
        assert_eq!(seen, Memory { total_bytes: Some(16 << 20), available_bytes: Some(8 << 20) });
        assert_eq!(memory("nothing"), Memory::default());
        let df = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/a 100 40 60 40% /\n";
        assert_eq!(available(df), Some(60 * 1024));
        assert_eq!(available(""), None);
    }

    #[test]
    fn the_data_folder_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let of = |path: &Path| data_folder(Some(path.display().to_string()));
        assert_eq!(of(&path), DataFolder::Present { path: path.clone() });
        let file = path.join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(of(&file), DataFolder::NotAFolder { path: file.clone() });
        let nothing = path.join("nothing");
        assert_eq!(of(&nothing), DataFolder::Missing { path: nothing.clone() });
        assert_eq!(data_folder(Some(String::new())), DataFolder::Unset);
    }

    #[test]
    fn this_machine_has_a_level_and_cores() {
        let machine = machine();
        assert!(["scalar", "avx2", "avx512", "neon"].contains(&machine.cpu_level));
        assert!(machine.text().lines().count() == 8 + Layer::ALL.len() && machine.text().contains(machine.cpu_level));
        assert_eq!(serde_json::to_value(&machine).unwrap()["devices"][0], "cpu");
    }
}
