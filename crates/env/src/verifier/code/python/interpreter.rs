//! The Python that programs run in: found once, run isolated.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use cohort_sandbox::{Jail, JailError, Limits, Program, Report};
use serde::Deserialize;

use super::Packages;
use crate::VerifierError;

/// An interpreter with the jail that it runs in.
#[derive(Clone, Debug)]
pub struct Interpreter {
    executable: PathBuf,
    /// Set before anything else runs, where more than the standard library is wanted.
    path: String,
    jail: Jail,
    /// Which it is: its version and its place.
    pub identity: String,
}

/// Where an interpreter says that it and its libraries are.
#[derive(Deserialize)]
struct Told {
    executable: PathBuf,
    prefix: PathBuf,
    path: Vec<PathBuf>,
    version: String,
}

const ASK: &str = "import sys, os, json; print(json.dumps({'executable': os.path.realpath(sys.executable), \
                   'prefix': os.path.realpath(sys.base_prefix), 'path': [p for p in sys.path if p], 'version': sys.version}))";

impl Interpreter {
    /// # Errors
    /// There is no such interpreter, it cannot say where it is, or it does not start in the jail.
    pub fn find(name: &str, packages: Packages, jail: Jail) -> Result<Self, VerifierError> {
        let missing = |reason: String| VerifierError::Missing {
            what: format!("the Python interpreter `{name}` cannot be used: {reason}"),
            hint: "install Python 3.8 or later, or name one by `interpreter`".to_owned(),
        };
        let isolated: &[&str] = match packages {
            Packages::Standard => &["-I", "-S", "-c", ASK],
            Packages::Installed => &["-I", "-c", ASK],
        };
        let output = Command::new(name).args(isolated).output().map_err(|e| missing(e.to_string()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let told: Told =
            serde_json::from_slice(&output.stdout).map_err(|_| missing(format!("it says {}", said.trim())))?;
        let path = match packages {
            Packages::Standard => String::new(),
            Packages::Installed => {
                // A list of JSON texts is a list of Python texts.
                format!("import sys; sys.path[:] = {}\n", serde_json::to_string(&told.path).unwrap_or_default())
            }
        };
        let system = ["/usr", "/bin", "/lib", "/lib64"].map(Path::new);
        let mut jail = jail.data_only();
        for shown in [&told.prefix, &told.executable].into_iter().chain(&told.path) {
            let is_there = shown.is_absolute() && shown.parent().is_some() && shown.exists();
            if is_there && !system.iter().any(|folder| shown.starts_with(folder)) {
                jail = jail.reading(shown);
            }
        }
        for file in told.path.iter().flat_map(|folder| reaching_into_memory(folder)) {
            jail = jail.hiding(file);
        }
        let identity = format!("{}\n{}", told.version, told.executable.display());
        let interpreter = Self { executable: told.executable, path, jail, identity };
        match interpreter.run(&interpreter.program("print(6 * 7)", &[])) {
            Ok(report) if report.stdout == b"42\n" => Ok(interpreter),
            Ok(report) => Err(missing(format!("in the sandbox, {}", super::fault(&report)))),
            Err(e) => Err(missing(e.to_string())),
        }
    }

    /// `source` with arguments.
    pub fn program(&self, source: &str, arguments: &[&str]) -> Program {
        let source = format!("{}{source}", self.path);
        Program::new(&self.executable).arguments(["-I", "-S", "-B", "-c", &source]).arguments(arguments)
    }

    pub fn run(&self, program: &Program) -> Result<Report, JailError> {
        self.jail.run(program)
    }

    /// The same within other limits.
    pub fn run_within(&self, limits: Limits, program: &Program) -> Result<Report, JailError> {
        self.jail.clone().limits(limits).run(program)
    }

    pub fn limits(&self) -> &Limits {
        self.jail.limits_of()
    }
}

/// Modules of machine code through which a program reads and writes its own interpreter's memory, where the verdict's key lies.
fn reaching_into_memory(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = |name: &str| (name.starts_with("_ctypes") || name.starts_with("_test")) && name.contains(".so");
    files.filter(|file| named(&file.file_name().to_string_lossy())).map(|file| file.path()).collect()
}
