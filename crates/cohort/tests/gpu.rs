//! A run whose policy is on a device: in a build with `wgpu` (`.ci/gpu`).

#[path = "suite/common/mod.rs"]
mod common;

use common::{Place, assert_same_run};

const DEVICE: &str = "device=\"wgpu\"";

#[test]
fn a_run_on_a_device_learns_and_goes_on() {
    let place = Place::cold();
    let doctor = place.cohort(&["doctor", "--json"]).well().json();
    let devices = doctor["machine"]["devices"].as_array().or(doctor["devices"].as_array()).cloned();
    assert!(devices.is_some_and(|devices| devices.contains(&"wgpu".into())), "{doctor}");
    let summary = |run: &str, more: &[&str]| {
        place.train(run, more).well();
        place.json(&format!("{run}/summary.json"))
    };
    let whole = summary("whole", &["--set", DEVICE]);
    assert_eq!((&whole["status"], &whole["steps"]), (&"complete".into(), &6.into()), "{whole}");
    let gap = whole["logp_gap_max"].as_f64().expect("a gap");
    println!("a run on wgpu: the largest gap of sampler and trainer is {gap:.1e}");
    assert!(gap <= 1e-5, "{whole}");
    // The processor's run of the same recipe: other roundings, the same course.
    let host = summary("host", &[]);
    assert_eq!(host["logp_gap_max"], 0.0);
    assert_eq!(whole["tokens"]["prompt"], host["tokens"]["prompt"]);
    // Half of it, and then the rest.
    summary("parts", &["--set", DEVICE, "--set", "train.steps=4"]);
    let parts = summary("parts", &["--set", DEVICE, "--resume"]);
    assert_eq!((&parts["status"], &parts["steps"]), (&"complete".into(), &6.into()), "{parts}");
    // The kernels of the software device are as repeatable as the processor's.
    assert_same_run(&place.path("whole"), &place.path("parts"));
    // What it wrote is a model for the processor.
    place.cohort(&["eval", "--model", "whole/checkpoints/last", "--task", "recipe.toml", "--limit", "4"]).well();
}

#[test]
fn what_is_not_run_on_a_device_is_refused() {
    let place = Place::new();
    for (key, said) in [
        ("policy.compute=\"bf16\"", "`policy.compute` is not known to wgpu"),
        ("objective.kl={coefficient=0.05,estimator=\"exact\"}", "exact divergence"),
    ] {
        place.train("run", &["--set", DEVICE, "--set", key]).failed(2, &[said]);
    }
    place.train("run", &["--set", "device=\"wgpu:97\""]).failed(2, &["`device`", "wgpu:97"]);
}
