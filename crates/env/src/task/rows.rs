//! The rows of a data file, whatever its format: JSON lines, or Parquet (feature `parquet`).

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek},
    path::Path,
};

use super::{
    error::{Format, TaskError},
    jsonl::{self, Row},
};

/// The rows of a file in order, each with its number from 1: the line of a JSON object, the row of a table.
pub type Rows = Box<dyn Iterator<Item = io::Result<(usize, Row)>>>;

/// The first bytes of every Parquet file.
const MAGIC: [u8; 4] = *b"PAR1";

/// Opens a file that recipe key `key` names. Its first bytes tell its format; a name in `.parquet` promises it.
///
/// # Errors
/// A file that is absent or cannot be opened, a directory, a table that is none, or that this build does not read.
pub fn open(key: &'static str, path: &Path) -> Result<Rows, TaskError> {
    let unreadable = |source| TaskError::Unreadable { key, path: path.into(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(TaskError::Directory { key, path: path.into() });
    }
    let mut first = Vec::with_capacity(MAGIC.len());
    (&mut file).take(MAGIC.len() as u64).read_to_end(&mut first).map_err(unreadable)?;
    file.rewind().map_err(unreadable)?;
    let is_named = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("parquet"));
    match (first == MAGIC, is_named) {
        (true, _) => table(key, path, file),
        (false, true) => Err(TaskError::NotTheFormat { key, path: path.into(), format: Format::Parquet }),
        (false, false) => Ok(Box::new(jsonl::Rows::new(BufReader::new(file)))),
    }
}

#[cfg(feature = "parquet")]
fn table(key: &'static str, path: &Path, file: File) -> Result<Rows, TaskError> {
    let rows = super::parquet::open(file);
    rows.map_err(|source| TaskError::Unreadable { key, path: path.into(), source })
}

#[cfg(not(feature = "parquet"))]
fn table(key: &'static str, path: &Path, _: File) -> Result<Rows, TaskError> {
    Err(TaskError::FormatNotBuilt { key, path: path.into(), format: Format::Parquet })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, content: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        match open("data.path", &path) {
            Ok(rows) => rows.map(|row| format!("{:?}", row.unwrap().1.unwrap())).collect(),
            Err(e) => {
                assert_eq!(e.fault(), crate::Fault::Data);
                e.to_string()
            }
        }
    }

    #[test]
    fn a_file_is_what_its_first_bytes_say() {
        assert_eq!(told("rows.json", b"{\"a\":1}"), "{\"a\": Number(1)}");
        assert_eq!(told("empty", b""), "");
        for (name, content, part) in [
            ("x.parquet", &b"{\"a\":1}"[..], "is no Parquet file"),
            ("x.parquet", b"", "is no Parquet file"),
            ("x.parquet", b"PAR1", "x.parquet"),
            ("x.jsonl", b"PAR1", "x.jsonl"),
        ] {
            let told = told(name, content);
            assert!(told.contains(part) && told.contains("data.path"), "{told}");
        }
    }

    #[test]
    fn a_format_that_is_not_built_says_how_to_build_it() {
        let error = TaskError::FormatNotBuilt { key: "data.path", path: "x.parquet".into(), format: Format::Parquet };
        assert!(error.to_string().contains("--features parquet"), "{error}");
        assert_eq!(error.fault(), crate::Fault::Data);
        let is_built = cfg!(feature = "parquet");
        assert_eq!(told("x.parquet", b"PAR1").contains("--features parquet"), !is_built);
    }

    #[test]
    fn absent_files_and_directories_are_named_with_their_key() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("rows.jsonl");
        let error = open("data.path", &absent).err().unwrap();
        let text = error.to_string();
        assert!(text.contains("data.path") && text.contains("rows.jsonl") && text.contains("No such file"), "{text}");
        assert_eq!(error.fault(), crate::Fault::Data);
        let text = open("data.test_path", folder.path()).err().unwrap().to_string();
        assert!(text.contains("data.test_path") && text.contains("is a directory"), "{text}");
    }
}
