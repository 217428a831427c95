//! Parquet files as pyarrow writes them (`scripts/golden_parquet.py`): the same rows as in JSON lines, the same words
//! for what is wrong.

use std::{fs, path::PathBuf};

use cohort_env::task::rows;
use serde_json::{Map, Value, json};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// A row with its number, or what is wrong with it.
type Numbered = (usize, Result<Map<String, Value>, String>);

fn read(path: PathBuf) -> Vec<Numbered> {
    let rows = rows::open("data.path", &path).unwrap();
    rows.map(|row| row.unwrap()).map(|(n, row)| (n, row.map_err(|fault| fault.to_string()))).collect()
}

#[test]
fn rows_are_those_of_json_lines_for_every_codec() {
    let expected = read(golden("rows.jsonl"));
    assert_eq!(expected.len(), 3);
    for codec in ["none", "snappy", "gzip", "zstd", "pages-v2"] {
        let got = read(golden(&format!("{codec}.parquet")));
        assert_eq!(got, expected, "{codec}");
        let keys = |rows: &[Numbered]| rows[0].1.as_ref().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&got), keys(&expected), "columns keep their order");
    }
    assert_eq!(read(golden("empty.parquet")), []);
}

#[test]
fn what_json_has_no_word_for() {
    let rows = read(golden("odd.parquet"));
    let expected = json!({
        "text": "a", "kind": "x", "image": {"path": "a.jpg"}, "score": null, "counts": {"one": 1},
        "at": "2024-02-29 12:30:00.000000 +00:00",
    });
    assert_eq!(rows[0], (1, Ok(expected.as_object().unwrap().clone())));
    assert_eq!(rows[1], (2, Err("the field `score` is infinite, which no JSON number is".to_owned())));
    assert_eq!(rows[2].1.as_ref().unwrap()["counts"], json!({"two": 2}));
}

#[test]
fn a_broken_file_is_an_error_at_every_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.parquet");
    let whole = fs::read(golden("zstd.parquet")).unwrap();
    for length in (4..whole.len()).step_by(97) {
        fs::write(&path, &whole[..length]).unwrap();
        let told = rows::open("data.path", &path).err().unwrap().to_string();
        assert!(told.contains("cut.parquet") && told.contains("broken"), "{told}");
    }
    // The footer is whole, and a page in the middle is not.
    let mut torn = whole.clone();
    torn[40..400].fill(0);
    fs::write(&path, &torn).unwrap();
    let first = rows::open("data.path", &path).unwrap().find_map(Result::err).expect("a page that is not read");
    assert!(first.to_string().contains("broken"), "{first}");
}
