//! What this machine has, and what a run's curves show.
//!
//! Each finding says what was seen, why that is so or matters, and what to do. The thresholds stand beside
//! the checks that use them.

mod evaluation;
mod fidelity;
mod finding;
mod machine;
mod policy;
mod reward;
mod signal;
mod state;
mod surrogate;
mod time;
mod update;
mod window;

use std::path::Path;

pub use finding::{Diagnosis, Finding, Level, Subject};
pub use machine::{Machine, machine};

use crate::report::{Run, RunError};

/// Looks at a run that is over or under way.
///
/// # Errors
/// The path is no run directory, or a file of it cannot be opened.
pub fn run(path: &Path) -> Result<Diagnosis, RunError> {
    let run = Run::read(path)?;
    let checks: [fn(&Run) -> Vec<Finding>; 9] = [
        state::check,
        evaluation::check,
        signal::check,
        reward::check,
        surrogate::check,
        policy::check,
        update::check,
        fidelity::check,
        time::check,
    ];
    let findings = checks.iter().flat_map(|check| check(&run)).collect();
    Ok(Diagnosis {
        name: run.name(),
        path: path.to_owned(),
        last_step: run.last_step(),
        remarks: run.remarks,
        findings,
    })
}

#[cfg(test)]
mod testing {
    use super::{Finding, Level, Subject};
    use crate::report::testing::Synthetic;

    /// The findings of a synthetic run on one subject.
    pub fn of(run: Synthetic, subject: Subject) -> Vec<Finding> {
        let run = run.finish();
        let diagnosis = super::run(run.path()).expect("a run directory");
        diagnosis.findings.into_iter().filter(|f| f.subject == subject).collect()
    }

    /// Its levels.
    pub fn levels(run: Synthetic, subject: Subject) -> Vec<Level> {
        of(run, subject).iter().map(|f| f.level).collect()
    }
}

#[cfg(test)]
mod tests;
