//! The library as another program uses it: the example itself.

use serde_json::Value;

#[path = "../../examples/embed.rs"]
mod embed;

#[test]
fn a_closure_is_learned_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let run_dir = folder.path().join("run");
    let summary = embed::run(&run_dir).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(summary.steps, 40);
    let text = std::fs::read_to_string(run_dir.join("metrics.jsonl")).expect("metrics");
    let reward = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["reward/digits"].as_f64();
    let rewards: Vec<f64> = text.lines().filter_map(reward).collect();
    assert_eq!(rewards.len(), 40);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    assert!(mean(&rewards[35..]) > 2.0 * mean(&rewards[..5]), "{rewards:?}");
    let source = include_str!("../../examples/embed.rs");
    assert!(source.lines().count() <= 60, "an embedding fits on a page");
    let error = embed::run(&run_dir).map(|_| ()).expect_err("it is not empty");
    assert_eq!(error.exit_status(), 2);
}
