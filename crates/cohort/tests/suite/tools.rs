//! Runs for other tools and beside other runs: TensorBoard, tables, comparisons.

use std::fs;

use cohort_train::export::FILE_NAME;

use crate::common::{Place, Running, TINY, line_count};

fn logged() -> Place {
    Place::of(&format!("{TINY}\n[log]\nalso = [\"tensorboard\", \"csv\"]\n"))
}

/// The lines of a table without its column of seconds.
fn without_seconds(table: &[u8]) -> Vec<String> {
    let text = String::from_utf8(table.to_vec()).expect("text");
    let line =
        |line: &str| line.split(',').enumerate().filter(|(i, _)| *i != 2).map(|(_, f)| f.to_owned() + ",").collect();
    text.lines().map(line).collect()
}

#[test]
fn what_is_not_committed_is_in_no_file() {
    let place = logged();
    place.train("whole", &[]).well();
    let metrics = place.path("killed/metrics.jsonl");
    for lines in [2, 5] {
        let mut running = Running::start(&mut place.train_command("killed", &["--resume"]));
        running.until(|| line_count(&metrics) >= lines);
        running.kill();
        place.cohort(&["export", "killed", "--csv", "so-far.csv"]).well();
        let committed = place.json("killed/manifest.json")["committed"]["metrics"].as_u64().expect("a length");
        let log = place.bytes("killed/metrics.jsonl");
        let steps =
            log[..committed as usize].split(|&b| b == b'\n').filter(|l| l.windows(7).any(|w| w == b"\"lr\":0."));
        assert_eq!(line_count(&place.path("so-far.csv")), 1 + steps.count(), "a header and the committed steps");
    }
    place.train("killed", &["--resume"]).well();
    let live = format!("tensorboard/{FILE_NAME}");
    for run in ["whole", "killed"] {
        place.cohort(&["export", run, "--csv", "table.csv", "--tensorboard", "board"]).well();
        assert_eq!(place.bytes("table.csv"), place.bytes(&format!("{run}/metrics.csv")));
        let file = place.bytes(&format!("board/{FILE_NAME}"));
        assert!(
            file == place.bytes(&format!("{run}/{live}")),
            "written bit by bit, the event file of {run} is the same"
        );
        for tag in ["reward/mean", "eval/dev/greedy"] {
            assert!(file.windows(tag.len()).any(|part| part == tag.as_bytes()), "{tag}");
        }
    }
    let [whole, killed] = ["whole", "killed"].map(|run| without_seconds(&place.bytes(&format!("{run}/metrics.csv"))));
    assert_eq!(whole, killed, "numbers do not depend on kills");
    assert_eq!(whole.len(), 1 + 6);
}

#[test]
fn an_export_needs_a_run_and_a_wish() {
    let place = Place::new();
    fs::create_dir(place.path("empty")).expect("a folder");
    place.cohort(&["export", "nowhere", "--csv", "x.csv"]).failed(3, &["nowhere is not a run directory"]);
    place.cohort(&["export", "empty", "--csv", "x.csv"]).failed(3, &["empty is not a run directory"]);
    place.cohort(&["export", "empty"]).failed(2, &["--tensorboard", "--csv"]);
    assert!(!place.path("x.csv").exists());
}

#[test]
fn runs_are_compared() {
    let place = Place::new();
    place.train("a", &[]).well();
    place.train("b", &["--set", "train.lr=0.01", "--set", "train.steps=4"]).well();
    let json = place.cohort(&["compare", "a", "b", "--json"]).well().json();
    let keys: Vec<&str> = json["recipe"].as_array().expect("keys").iter().filter_map(|d| d["key"].as_str()).collect();
    assert_eq!(keys, ["train.lr", "train.steps"]);
    assert_eq!(json["recipe"][0]["values"], serde_json::json!(["0.001", "0.01"]));
    assert_eq!(json["steps"], serde_json::json!([1, 2, 3, 4]));
    assert_eq!(json["metrics"]["reward/mean"][0][0], json["metrics"]["reward/mean"][1][0], "one start, one first step");
    for (i, run) in ["a", "b"].iter().enumerate() {
        let summary = place.json(&format!("{run}/summary.json"));
        assert_eq!(json["runs"][i]["after"], summary["eval"]["after"]);
        assert_eq!(json["runs"][i]["tokens"], summary["tokens"]);
        assert_eq!(json["runs"][i]["seconds"], summary["seconds"]);
    }
    let text = place.cohort(&["compare", "a", "b", "--metric", "lr"]).well().stdout;
    for part in ["train.lr", "greedy after", "reward/mean", "completion tokens"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    place.cohort(&["compare", "a", "nowhere"]).failed(3, &["nowhere is not a run directory", "--run-dir"]);
    place.cohort(&["compare", "a"]).failed(2, &["RUN"]);
    place.cohort(&["compare", "a", "b", "--metric", "nothing"]).failed(2, &["no metric is named `nothing`", "lr"]);
}
