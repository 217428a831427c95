//! tmp
use std::path::{Path, PathBuf};
pub fn write(run: &Path) -> Result<PathBuf, std::io::Error> {
    Ok(run.join("report.html"))
}
