//! `report.html`: one page that shows what a run did, readable without a network or a script.

mod budget;
pub(crate) mod chart;
mod completions;
mod curves;
mod data;
mod page;
mod table;
pub(crate) mod ticks;
mod verdicts;

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use minijinja::{Environment, syntax::SyntaxConfig, value::Serde};

pub(crate) use budget::phases;
pub(crate) use completions::EpisodeLine;
pub(crate) use data::{Line, Run, each_line};
pub use data::{RunError, manifest};
pub(crate) use ticks::{bytes, count, duration, percent, short};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("{} has no metrics yet\n  hint: a curve needs at least one finished step", path.display())]
    NoCurve { path: PathBuf },
    #[error("{}: {source}\n  hint: the run directory must be writable", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("the report's template cannot be filled: {0}\n  hint: this is a fault of Cohort, please report it")]
    Template(#[from] minijinja::Error),
}

const TEMPLATE: &str = "template.html";

/// The report of a run as one HTML document: no network, no script. A run that is under way, has failed or was
/// torn has one too, which says so.
///
/// # Errors
/// The path is no run directory, or a file of it cannot be opened.
pub fn render(run: &Path) -> Result<String, ReportError> {
    let run = Run::read(run)?;
    let picks = completions::pick(&run.rollouts(), run.last_step().unwrap_or(0))?;
    let page = page::page(&run, &picks);
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.add_template(TEMPLATE, include_str!("template.html"))?;
    Ok(environment.get_template(TEMPLATE)?.render(Serde(&page))?)
}

/// Writes the report into the run directory, whole or not at all, and says where.
///
/// # Errors
/// As [`render`], or the file cannot be written.
pub fn write(run: &Path) -> Result<PathBuf, ReportError> {
    let html = render(run)?;
    let path = run.join("report.html");
    let staging = run.join("report.html.tmp");
    let written = File::create(&staging)
        .and_then(|mut file| file.write_all(html.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&staging, &path));
    match written {
        Ok(()) => Ok(path),
        Err(source) => {
            // What is half written is of no use; that it could not be removed would hide the first error.
            let _ = fs::remove_file(&staging);
            Err(ReportError::Write { path, source })
        }
    }
}

/// Mean reward and the share of right completions over the steps, as an SVG that stands alone on a white ground.
///
/// # Errors
/// As [`render`], or there is no step yet.
pub fn curve_svg(run: &Path) -> Result<String, ReportError> {
    let run = Run::read(run)?;
    curves::standalone(&run).ok_or(ReportError::NoCurve { path: run.path })
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
