//! For each finding a run that shows it and one that does not.

use cohort_train::{Seconds, run_dir::RunState};
use serde_json::json;

use super::{
    Level::{Good, Note, Warning},
    Subject,
    testing::{levels, of},
};
use crate::report::testing::{Synthetic, evaluation};

#[test]
fn a_run_that_went_well_has_no_warning() {
    let run = Synthetic::new(60).finish();
    let diagnosis = super::run(run.path()).unwrap();
    let warnings: Vec<_> = diagnosis.findings.iter().filter(|f| f.level == Warning).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(diagnosis.last_step, Some(60));
    assert!(diagnosis.findings.iter().all(|f| !f.what.is_empty() && !f.why.is_empty()));
}

#[test]
fn the_state_is_told_with_the_last_committed_step() {
    assert_eq!(levels(Synthetic::new(20), Subject::State), [Good]);
    let mut failed = Synthetic::new(20);
    (failed.manifest.state, failed.manifest.reason) = (RunState::Failed, Some("the disk is full".to_owned()));
    let found = of(failed, Subject::State);
    assert_eq!(found[0].level, Warning);
    assert!(found[0].what.contains("step 20") && found[0].why == "the disk is full");
    let mut running = Synthetic::new(20);
    (running.manifest.state, running.manifest.step, running.manifest.asked_steps) = (RunState::Running, 10, 60);
    let found = of(running, Subject::State);
    assert_eq!(found[0].level, Note);
    assert!(found[0].what.contains("step 10") && found[0].why.contains("Step 20 is written"), "{found:?}");
}

#[test]
fn a_run_without_a_manifest_is_still_looked_at() {
    let run = Synthetic::new(20).write();
    run.put("manifest.json", "{");
    let diagnosis = super::run(run.path()).unwrap();
    assert!(diagnosis.findings.iter().any(|f| f.subject == Subject::State && f.level == Warning));
    assert!(!diagnosis.remarks.is_empty());
}

#[test]
fn evaluations_are_compared_by_their_intervals() {
    for (after, level) in [(0.75, Good), (0.27, Note), (0.05, Warning)] {
        let mut run = Synthetic::new(20);
        run.manifest.after = Some(evaluation(after));
        assert_eq!(levels(run, Subject::Evaluation), [level], "{after}");
    }
    let mut run = Synthetic::new(20);
    run.manifest.after = None;
    assert_eq!(levels(run, Subject::Evaluation), []);
}

#[test]
fn a_missing_signal_names_its_cause() {
    let silent = || Synthetic::new(20).with("groups/signal", |_| 0.0);
    let cases = [
        (silent().with("reward/unscored", |_| 0.8), Warning, "gave no number"),
        (silent().with("truncated", |_| 1.0).with("correct", |_| 0.0), Warning, "cut at the cap"),
        (silent().with("correct", |_| 0.99), Note, "the task is learned"),
        (silent().with("correct", |_| 0.01), Warning, "nearly all are wrong"),
        (silent().with("correct", |_| 0.5), Warning, "right together or wrong together"),
    ];
    for (run, level, words) in cases {
        let found = of(run, Subject::Signal);
        assert_eq!(found[0].level, level, "{found:?}");
        assert!(found[0].why.contains(words) && !found[0].what_to_do.is_empty(), "{found:?}");
    }
    assert_eq!(levels(Synthetic::new(20), Subject::Signal), [Good]);
    let some = Synthetic::new(20).with("groups/signal", |_| 0.2);
    assert_eq!(levels(some, Subject::Signal), [Note]);
}

#[test]
fn the_reward_rises_falls_or_is_flat() {
    let ripple = |step: u64| 0.05 * (step as f64 * 2.3).sin();
    let rewards = |slope: f64| Synthetic::new(60).with("reward/mean", move |s| slope * s as f64 + ripple(s));
    assert_eq!(levels(rewards(0.01), Subject::Reward), [Good]);
    assert_eq!(levels(rewards(-0.01), Subject::Reward), [Warning]);
    let flat = of(rewards(0.0), Subject::Reward);
    assert!(flat[0].level == Note && flat[0].what.contains("flat"), "{flat:?}");
    let few = of(Synthetic::new(6), Subject::Reward);
    assert!(few[0].what.contains("too few"), "{few:?}");
}

#[test]
fn rewards_without_a_number_are_counted_by_term_and_kind() {
    let timeouts =
        |share: f64| Synthetic::new(20).with("reward/answer/timeout", |_| 2.0).with("reward/unscored", move |_| share);
    let found = of(timeouts(0.03), Subject::RewardFailures);
    assert_eq!(found[0].level, Warning);
    assert!(found[0].what.contains("`answer` timeout: 40"), "{found:?}");
    assert_eq!(levels(timeouts(0.001), Subject::RewardFailures), [Note]);
    assert_eq!(levels(Synthetic::new(20), Subject::RewardFailures), []);
}

#[test]
fn a_loss_of_0_is_explained_where_there_is_a_gradient() {
    let found = of(Synthetic::new(20), Subject::Surrogate);
    assert_eq!(found[0].level, Good);
    assert!(found[0].why.contains("exactly 1") && found[0].why.contains("sum to 0"), "{found:?}");
    assert_eq!(levels(Synthetic::new(20).with("grad_norm", |_| 0.0), Subject::Surrogate), []);
    let bare = Synthetic::new(20).recipe("baseline = \"mean\"", "baseline = \"none\"");
    assert_eq!(levels(bare, Subject::Surrogate), [], "without a baseline the value is not 0");
}

#[test]
fn a_clip_that_never_acts_is_told_apart_from_one_that_always_does() {
    let inert = of(Synthetic::new(20).recipe("inner_epochs = 2", "inner_epochs = 1"), Subject::ClipFraction);
    assert!(inert[0].level == Note && inert[0].why.contains("inert"), "{inert:?}");
    let twice = || Synthetic::new(20);
    let unreached = of(twice(), Subject::ClipFraction);
    assert!(unreached[0].level == Note && !unreached[0].why.contains("inert"), "{unreached:?}");
    assert_eq!(levels(twice().with("clip_fraction", |_| 0.1), Subject::ClipFraction), []);
    assert_eq!(levels(twice().with("clip_fraction", |_| 0.5), Subject::ClipFraction), [Warning]);
}

#[test]
fn entropy_may_fall_but_not_collapse_or_explode() {
    let entropy = |at_end: f64| Synthetic::new(50).with("entropy", move |s| if s > 40 { at_end } else { 1.0 });
    assert_eq!(levels(entropy(0.5), Subject::Entropy), []);
    assert_eq!(levels(entropy(0.01), Subject::Entropy), [Warning]);
    assert_eq!(levels(entropy(0.01).with("correct", |_| 0.97), Subject::Entropy), [Note]);
    assert_eq!(levels(entropy(5.0), Subject::Entropy), [Warning]);
}

#[test]
fn a_policy_far_from_its_reference_is_told() {
    assert_eq!(levels(Synthetic::new(20).with("kl", |_| 2.0), Subject::Kl), [Warning]);
    assert_eq!(levels(Synthetic::new(20).with("kl", |_| 0.05), Subject::Kl), []);
    assert_eq!(levels(Synthetic::new(20), Subject::Kl), []);
}

#[test]
fn many_cut_completions_are_told() {
    for (share, expected) in [(0.0, vec![]), (0.1, vec![Note]), (0.6, vec![Warning])] {
        assert_eq!(levels(Synthetic::new(20).with("truncated", move |_| share), Subject::Truncation), expected);
    }
}

#[test]
fn gradients_that_are_0_or_always_clipped_are_told() {
    assert_eq!(levels(Synthetic::new(20).with("grad_norm", |_| 0.0), Subject::GradientNorm), [Warning]);
    assert_eq!(levels(Synthetic::new(20).with("grad_norm", |_| 7.0), Subject::GradientNorm), [Note]);
    assert_eq!(levels(Synthetic::new(20), Subject::GradientNorm), []);
}

#[test]
fn a_learning_rate_of_0_is_told() {
    assert_eq!(levels(Synthetic::new(20).with("lr", |_| 0.0), Subject::LearningRate), [Warning]);
    let decaying = Synthetic::new(20).with("lr", |s| 20.0 - s as f64);
    assert_eq!(levels(decaying, Subject::LearningRate), []);
}

#[test]
fn skipped_updates_are_counted() {
    let mut run = Synthetic::new(20);
    run.metrics[3]["updates/skipped"] = json!(1.0);
    let found = of(run, Subject::SkippedUpdates);
    assert!(found[0].level == Warning && found[0].what.starts_with("1 "), "{found:?}");
    assert_eq!(levels(Synthetic::new(20), Subject::SkippedUpdates), []);
}

#[test]
fn the_gap_is_held_against_its_red_line() {
    assert_eq!(levels(Synthetic::new(20), Subject::SamplerTrainerGap), [Good]);
    assert_eq!(levels(Synthetic::new(20).with("logp_gap", |_| 5e-5), Subject::SamplerTrainerGap), [Warning]);
    // A server that samples is held by the mean.
    let served = |mean: f64| Synthetic::new(20).with("logp_gap", |_| 0.3).with("logp_gap/mean", move |_| mean);
    assert_eq!(levels(served(4e-3), Subject::SamplerTrainerGap), [Good]);
    assert_eq!(levels(served(6e-3), Subject::SamplerTrainerGap), [Warning]);
    // The same gap is rounding in a model of 10 M parameters and more.
    let run = Synthetic::new(20).with("logp_gap", |_| 5e-5).finish();
    run.put("checkpoints/last/model.safetensors", "");
    let file = std::fs::OpenOptions::new().write(true).open(run.path().join("checkpoints/last/model.safetensors"));
    file.unwrap().set_len(4 * 10_000_004).unwrap();
    let diagnosis = super::run(run.path()).unwrap();
    let gap = diagnosis.findings.iter().find(|f| f.subject == Subject::SamplerTrainerGap).unwrap();
    assert_eq!(gap.level, Good);
}

#[test]
fn the_phase_that_takes_the_time_is_named() {
    let found = of(Synthetic::new(20), Subject::Time);
    assert!(found[0].what.contains("`train`") && found[0].what_to_do.contains("prompts_per_step"), "{found:?}");
    let mut slow = Synthetic::new(20);
    slow.manifest.seconds = Seconds { total: 100.0, sample: 30.0, reward: 70.0, ..Seconds::default() };
    let found = of(slow, Subject::Time);
    assert!(found[0].what.contains("`reward`") && found[0].what.contains("70.0 %"), "{found:?}");
    let mut none = Synthetic::new(0);
    none.manifest.seconds = Seconds::default();
    assert_eq!(levels(none, Subject::Time), []);
}
