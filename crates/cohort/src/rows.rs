//! Rows in, one JSON object a line, from a file or stdin.

use std::{
    fs::File,
    io::{BufRead, BufReader, stdin},
    path::Path,
};

use serde::de::DeserializeOwned;

use crate::exit::Failure;

/// A row and where it stands.
pub struct Row<T> {
    pub place: String,
    /// Counted from 1.
    pub line: usize,
    pub row: T,
}

/// Reads rows one by one; blank lines are left out. An error names file and line.
pub fn read<T: DeserializeOwned>(
    input: Option<&Path>,
) -> Result<impl Iterator<Item = Result<Row<T>, Failure>>, Failure> {
    let name = input.map_or("stdin".to_owned(), |path| path.display().to_string());
    let reader: Box<dyn BufRead> = match input {
        Some(path) => Box::new(BufReader::new(File::open(path).map_err(|e| Failure::data(format!("{name}: {e}")))?)),
        None => Box::new(BufReader::new(stdin())),
    };
    Ok(reader.lines().enumerate().filter_map(move |(index, line)| {
        let place = format!("{name}:{}", index + 1);
        let text = match line {
            Ok(text) if text.trim().is_empty() => return None,
            Ok(text) => text,
            Err(e) => return Some(Err(Failure::data(format!("{place}: {e}")))),
        };
        Some(match serde_json::from_str(&text) {
            Ok(row) => Ok(Row { place, line: index + 1, row }),
            Err(e) => Err(Failure::data(format!("{place}: {e}\n  hint: each line is one JSON object"))),
        })
    }))
}
