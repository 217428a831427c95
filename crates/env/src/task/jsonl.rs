//! JSON objects, one a line, read as a stream.

use std::io::{self, BufRead};

use serde_json::{Map, Value};

use super::error::{RowFault, type_of};

/// The rows of a file in order, each with its line counted from 1. Blank lines are counted
/// and left out; a byte order mark at the start is left out.
pub struct Rows<R> {
    reader: R,
    buffer: Vec<u8>,
    line: usize,
}

/// A row, or what is wrong with its line.
pub type Row = Result<Map<String, Value>, RowFault>;

impl<R: BufRead> Rows<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), line: 0 }
    }
}

impl<R: BufRead> Iterator for Rows<R> {
    type Item = io::Result<(usize, Row)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.buffer.clear();
            match self.reader.read_until(b'\n', &mut self.buffer) {
                Ok(0) => return None,
                Ok(_) => self.line += 1,
                Err(error) => return Some(Err(error)),
            }
            let mut bytes = self.buffer.as_slice();
            if self.line == 1 {
                bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
            }
            if !bytes.trim_ascii().is_empty() {
                return Some(Ok((self.line, parse(bytes))));
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Row {
    let text = std::str::from_utf8(bytes).map_err(|error| RowFault::NotUtf8 { byte: error.valid_up_to() + 1 })?;
    match serde_json::from_str(text.trim_end()) {
        Ok(Value::Object(row)) => Ok(row),
        Ok(other) => Err(RowFault::NotAnObject { found: type_of(&other) }),
        Err(error) => {
            let whole = error.to_string();
            let reason = whole.split(" at line ").next().unwrap_or(&whole).to_owned();
            Err(RowFault::NotJson { column: error.column(), reason })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(bytes: &[u8]) -> Vec<(usize, Row)> {
        Rows::new(bytes).collect::<io::Result<_>>().unwrap()
    }

    #[test]
    fn blank_lines_count_and_are_left_out() {
        let found = rows(b"\xEF\xBB\xBF{\"a\":1}\r\n\n  \t\r\n{\"a\":2}");
        let seen: Vec<_> = found.iter().map(|(line, row)| (*line, row.as_ref().unwrap()["a"].as_u64())).collect();
        assert_eq!(seen, [(1, Some(1)), (4, Some(2))]);
    }

    #[test]
    fn each_fault_is_told_from_the_others() {
        let found = rows(b"{\"a\":\n[1]\n\"x\"\n{\"a\":\"\xFF\"}\n{\"a\":NaN}\n{\"a\":1} {}\n{\"ok\":1}\n");
        let told: Vec<String> = found
            .iter()
            .map(|(line, row)| match row {
                Ok(_) => format!("{line} fine"),
                Err(fault) => format!("{line} {fault}"),
            })
            .collect();
        for (told, part) in told.iter().zip([
            "1 the line is not JSON: EOF while parsing a value at column 5",
            "2 the line is a list, and must be a JSON object",
            "3 the line is a string, and must be a JSON object",
            "4 the line is not UTF-8 from its byte 7 on",
            "5 the line is not JSON: expected value at column 6",
            "6 the line is not JSON: trailing characters at column 9",
            "7 fine",
        ]) {
            assert!(told.starts_with(part), "{told}");
        }
        assert_eq!(told.len(), 7);
    }

    const CORPUS: &[&str] = &[
        "\u{feff}{\"question\": \"2+2?\", \"answer\": 4}\r\n\n{\"question\": \"\\u00e9\", \"answer\": [1.5e-3, null, true]}\n",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"deep\": {\"a\": {\"b\": {}}}}\n{\"x\": -0.0}",
        "{\"text\": \"\\ud83d\\ude00 \\\\ \\\" \\n\", \"n\": 12345678901234567890123}",
    ];
    const MARKS: &[&str] = &[
        "{", "}", "[", "]", "\"", "\\", ",", ":", "\n", "\r", "1e999", "NaN", "\\ud800", "\u{feff}", "null", "{\"a\":",
        "[",
    ];

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(cohort_testing::cases()))]

        /// A row or a fault for each line that is not blank, under its own number; a row is what its own text reads as.
        #[test]
        fn any_bytes_are_rows_or_faults(number in proptest::num::u64::ANY) {
            let bytes = cohort_testing::mutated(CORPUS, MARKS, number);
            let lines: Vec<&[u8]> = bytes.split(|&b| b == b'\n').collect();
            let mut before = 0;
            for (line, row) in rows(&bytes) {
                proptest::prop_assert!(line > before && line <= lines.len());
                before = line;
                match row {
                    Ok(row) => {
                        let text = serde_json::to_string(&row).unwrap();
                        proptest::prop_assert_eq!(serde_json::from_str::<Map<String, Value>>(&text).unwrap(), row);
                    }
                    Err(fault) => proptest::prop_assert!(!fault.to_string().is_empty()),
                }
            }
        }
    }
}
