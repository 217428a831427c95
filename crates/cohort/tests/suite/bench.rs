//! `cohort bench step`: whole steps, every completion token trained, nothing written.

use serde_json::Value;

use crate::common::{Place, model};

const STEP: [&str; 12] =
    ["bench", "step", "--model", "model", "--prompts", "3", "--group", "4", "--max-new-tokens", "6", "--steps", "2"];

fn place() -> Place {
    let place = Place::new();
    model::arithmetic(&place.path("model"));
    place
}

fn bench(place: &Place, more: &[&str]) -> Value {
    place.cohort(&[&STEP, more, &["--json"]].concat()).well().json()
}

#[test]
fn every_token_of_fixed_length_is_sampled_and_trained() {
    let place = place();
    let before = std::fs::read(place.path("model/model.safetensors")).expect("weights");
    let (plain, long) = (&["--workers", "1"][..], &["--workers", "3", "--no-share-prompt", "--prompt-len", "20"]);
    for more in [plain, long, &["--dtype", "bf16"]] {
        let report = bench(&place, more);
        assert_eq!(report["step_seconds"].as_array().map(Vec::len), Some(2), "{report}");
        assert_eq!((&report["tokens"]["completion"], &report["tokens"]["trained"]), (&72.0.into(), &72.0.into()));
        assert_eq!(report["tokens"]["prompt"], if more == long { 60.0 } else { 18.0 });
        assert_eq!(report["logp_gap_max"], 0.0);
        for (section, key) in [
            ("seconds", "sample"),
            ("seconds", "train"),
            ("tokens_per_s", "sample"),
            ("tokens_per_s", "train"),
            ("gflops", "sample"),
            ("gflops", "train"),
            ("gflops", "sgemm_peak"),
        ] {
            assert!(report[section][key].as_f64() > Some(0.0), "{section}.{key} of {report}");
        }
    }
    assert_eq!(std::fs::read(place.path("model/model.safetensors")).expect("weights"), before);
}

#[test]
fn completions_end_by_themselves_where_asked() {
    let place = place();
    place.write("rows.jsonl", "{\"prompt\":\"1+1=\"}\n{\"prompt_ids\":[8,17,8,21,3]}\n");
    let report = bench(&place, &["--natural", "--input", "rows.jsonl"]);
    let completion = report["tokens"]["completion"].as_f64().expect("a number");
    assert!(completion > 0.0 && completion <= 72.0, "{report}");
    assert_eq!(report["tokens"]["trained"], report["tokens"]["completion"]);
    // Prompts of 4 and 5 ids by turns: 3 a step, and the step before does not count.
    assert_eq!(report["tokens"]["prompt"], 13.5);
}

#[test]
fn what_cannot_be_measured_is_said() {
    let place = place();
    let refused = |more: &[&str], exit: i32, words: &str| {
        place.cohort(&[&STEP, more].concat()).failed(exit, &[words]);
    };
    refused(&["--prompt-len", "100000"], 3, "positions");
    refused(&["--natural", "--fixed-length"], 2, "cannot be used with");
    refused(&["--dtype", "f16"], 2, "--dtype");
    refused(&["--group", "0"], 2, "--group");
    place.write("none.jsonl", "\n");
    refused(&["--input", "none.jsonl"], 3, "no rows");
    place.write("bad.jsonl", "{\"prompt\":\"1+1=\"}\n{\"question\":\"1+1=\"}\n");
    refused(&["--input", "bad.jsonl"], 3, "bad.jsonl:2");
}
