//! The score stage: what it teaches, what it leaves, and that a kill anywhere in three stages leaves no trace.

use std::fs;

use serde_json::Value;

use crate::common::{Place, Running, assert_same_run, killed_and_ended, line_count, model, tree};

/// Lists of six documents, ordered by the gap of `1` and `0`.
const SCORED: &str = r#"name = "scored"
stages = ["supervised", "rl", "score"]

[policy.new]
tokenizer = "characters"
width = 32
layers = 1
heads = 2
kv_heads = 1
head_dim = 16
inner = 64
positions = 32

[task.pairs]
train = 40
dev = 6
test = 8
documents = 24
candidates = 6
concepts = 8
wanted = 2
held = 3
relevant = 1

[supervised]
steps = 6
batch_size = 16
lr = 1e-2
save_every = 2

[score]
group = "query"
label = "grade"
candidates = 4
steps = 6
batch_size = 5
lr = 3e-3
save_every = 2

[score.loss.pairwise]

[rollout]
group_size = 4
max_new_tokens = 3

[reward.terms.right]
verifier.answer = {}

[reward.terms.digit]
verifier.regex = { pattern = "[0-9]", mode = "search" }

[train]
steps = 4
prompts_per_step = 4
groups_per_block = 1
lr = 1e-3
save_every = 2

[preflight]
prompts = 4
no_signal = "warn"

[eval]
correct = "right"
samples = 0
score.k = 5
"#;

const START: &str = "checkpoints/supervised/step-000006/model.safetensors";
const REINFORCED: &str = "checkpoints/step-000004/model.safetensors";
const LAST: &str = "checkpoints/last/model.safetensors";

fn with(stages: &str) -> Place {
    let text = SCORED.replace("[\"supervised\", \"rl\", \"score\"]", stages);
    let section = |name: &str| {
        let from = text.find(name).expect("a section");
        let to = text[from..].find("\n\n").map_or(text.len(), |end| from + end);
        (from, to)
    };
    let text = match stages.contains("supervised") {
        true => text,
        false => {
            let (from, to) = section("[supervised]");
            format!("{}{}", &text[..from], &text[to..])
        }
    };
    Place::of(&text)
}

#[test]
fn three_stages_follow_each_other() {
    let place = with("[\"supervised\", \"rl\", \"score\"]");
    place.train("run", &[]).well();
    let manifest = place.json("run/manifest.json");
    assert_eq!(
        (&manifest["stage"], &manifest["step"], &manifest["state"]),
        (&"score".into(), &6.into(), &"complete".into())
    );
    assert_eq!(
        (&manifest["initial"], &manifest["checkpoint"]),
        (&"supervised/step-000006".into(), &"score/step-000006".into())
    );
    assert_eq!(manifest["reinforced"]["checkpoint"], "step-000004");
    let last = fs::read_link(place.path("run/checkpoints/last")).expect("a link");
    assert_eq!(last.to_str(), Some("score/step-000006"));
    // Each stage moves the weights that it was given.
    let weights = [START, REINFORCED, LAST].map(|name| place.bytes(&format!("run/{name}")));
    assert!(weights[0] != weights[1] && weights[1] != weights[2]);

    let summary = place.json("run/summary.json");
    assert_eq!((&summary["steps"], &summary["score_steps"]), (&4.into(), &6.into()));
    // 4 steps of 4 prompts, 6 of 5 lists of 4 candidates.
    assert_eq!(summary["examples"], 4 * 4 + 6 * 5 * 4);
    for number in ["score/ndcg@5", "score/ties", "score/valid"] {
        let of = |when: &str| summary["eval"][when][number].as_f64().unwrap_or_else(|| panic!("{number} {when}"));
        assert!((0.0..=1.0).contains(&of("before")) && (0.0..=1.0).contains(&of("after")), "{number}");
    }
    let steps = place.lines("run/score.jsonl");
    assert_eq!(steps.len(), 6);
    for (i, line) in steps.iter().enumerate() {
        assert_eq!((&line["stage"], &line["step"]), (&"score".into(), &(i + 1).into()));
        assert_eq!((&line["examples"], line["rows"].as_array().map(Vec::len)), (&20.0.into(), Some(20)));
        assert!(line["loss"].as_f64() > Some(0.0) && line["grad_norm"].as_f64() > Some(0.0), "{line}");
    }

    // A step can be looked into, and is in the report and in what other tools read.
    let list =
        place.cohort(&["inspect", "run", "--stage", "score", "--step", "2", "--sample", "3", "--json"]).well().json();
    let candidates = list["candidates"].as_array().expect("a list");
    assert_eq!((&list["step"], &list["lists_in_step"], candidates.len()), (&2.into(), &5.into(), 4));
    let scores: Vec<f64> = candidates.iter().filter_map(|c| c["score"].as_f64()).collect();
    assert!(scores.len() == 4 && scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    let slopes: f64 = candidates.iter().filter_map(|c| c["d_score"].as_f64()).sum();
    assert!(slopes.abs() < 1e-6, "pairs push apart: {slopes}");
    let text = place.cohort(&["inspect", "run", "--stage", "score"]).well().stdout;
    assert!(text.contains("step 6 of the score stage, list 0 of 5"), "{text}");
    place.cohort(&["inspect", "run", "--stage", "score", "--sample", "5"]).failed(3, &["no sample 5", "0 to 4"]);
    place.cohort(&["inspect", "run", "--stage", "score", "--step", "7"]).failed(3, &["no step 7", "1-6"]);
    place.cohort(&["report", "run"]).well();
    assert!(String::from_utf8(place.bytes("run/report.html")).expect("text").contains("Score: loss"));
    place.cohort(&["export", "run", "--csv", "table.csv"]).well();
    let table = String::from_utf8(place.bytes("table.csv")).expect("text");
    let of_the_stage = table.lines().filter(|line| line.starts_with("score,")).count();
    assert!(table.lines().next().is_some_and(|header| header.contains(",loss,")), "{table}");
    assert_eq!(of_the_stage, 6, "{table}");
    place.cohort(&["doctor", "run"]);
}

#[test]
fn kills_in_any_of_three_stages_leave_no_trace() {
    let place = with("[\"supervised\", \"rl\", \"score\"]");
    place.train("whole", &["--workers", "2"]).well();
    // Lines of each log at which the run is killed: in every stage, before its first step and after a commit.
    let logs = [
        ("supervised.jsonl", 3),
        ("metrics.jsonl", 1),
        ("metrics.jsonl", 3),
        ("score.jsonl", 1),
        ("score.jsonl", 3),
        ("score.jsonl", 5),
    ];
    let run = "killed";
    killed_and_ended(&place, run, &logs);
    assert_same_run(&place.path("whole"), &place.path(run));
    for name in ["score.jsonl", "supervised.jsonl", START, REINFORCED] {
        assert!(place.bytes(&format!("whole/{name}")) == place.bytes(&format!("{run}/{name}")), "{name}");
    }
    assert_eq!(place.json("whole/summary.json")["eval"], place.json(&format!("{run}/summary.json"))["eval"]);
    assert_eq!(place.json("whole/summary.json")["examples"], place.json(&format!("{run}/summary.json"))["examples"]);
}

#[test]
fn an_interrupt_in_the_score_stage_saves() {
    let place = with("[\"rl\", \"score\"]");
    let more = ["--set", "score.steps=150", "--set", "score.save_every=1000"];
    place.train("whole", &more).well();
    let mut running = Running::start(&mut place.train_command("run", &more));
    assert!(running.until(|| line_count(&place.path("run/score.jsonl")) >= 3));
    running.signal("INT");
    running.end().failed(130, &["a checkpoint was written at step", "--resume"]);
    let resumed: Vec<&str> = more.iter().copied().chain(["--resume"]).collect();
    place.train("run", &resumed).well();
    assert_same_run(&place.path("whole"), &place.path("run"));
    assert!(place.bytes("whole/score.jsonl") == place.bytes("run/score.jsonl"));
}

#[test]
fn what_another_stage_went_on_from_does_not_move() {
    let place = with("[\"rl\", \"score\"]");
    place.train("run", &[]).well();
    let files = tree(&place.path("run"));
    place.train("run", &["--resume"]).well();
    let parts = ["`train.steps` is 9", "over after 4", "another stage went on"];
    place.train("run", &["--resume", "--set", "train.steps=9"]).failed(2, &parts);
    place.train("run", &["--resume", "--set", "score.steps=9"]).failed(2, &["`score.steps` is 9", "started with 6"]);
    assert_eq!(files, tree(&place.path("run")));

    // The rl stage's end is held against its sums.
    let mut manifest = place.json("run/manifest.json");
    manifest["state"] = "running".into();
    place.write("run/manifest.json", &manifest.to_string());
    model::flip(&place.path("run").join(REINFORCED), "model.norm.weight");
    place.train("run", &["--resume"]).failed(5, &["step-000004/model.safetensors", "its checksum differs"]);
}

#[test]
fn a_recipe_needs_no_rl_stage() {
    let both = with("[\"supervised\", \"score\"]");
    both.train("run", &[]).well();
    assert!(
        !both.path("run/metrics.jsonl").exists() && both.bytes("run/rollouts.jsonl").is_empty(),
        "nothing is sampled"
    );
    let summary = both.json("run/summary.json");
    assert_eq!((&summary["steps"], &summary["score_steps"], &summary["examples"]), (&0.into(), &6.into(), &120.into()));
    assert!(summary.get("logp_gap_max").is_none() && summary.get("preflight").is_none());
    both.cohort(&["report", "run"]).well();

    let alone = with("[\"score\"]");
    alone.train("whole", &[]).well();
    let mut running = Running::start(&mut alone.train_command("killed", &["--resume"]));
    running.until(|| line_count(&alone.path("killed/score.jsonl")) >= 3);
    running.kill();
    alone.train("killed", &["--resume"]).well();
    assert!(alone.bytes("whole/score.jsonl") == alone.bytes("killed/score.jsonl"));
    assert!(alone.bytes(&format!("whole/{LAST}")) == alone.bytes(&format!("killed/{LAST}")));

    let cold = with("[\"supervised\"]");
    cold.train("run", &[]).well();
    let eval = &cold.json("run/summary.json")["eval"];
    assert_eq!(eval["before"], eval["after"], "nothing comes after the cold start");
}

#[test]
fn scores_are_learned_and_not_without_a_learning_rate() {
    let place = with("[\"score\"]");
    let long = ["--set", "score.steps=400", "--set", "score.batch_size=16", "--set", "score.save_every=1000"];
    place.train("learned", &long).well();
    let of = |run: &str, when: &str| {
        place.json(&format!("{run}/summary.json"))["eval"][when]["score/ndcg@5"].as_f64().expect("a number")
    };
    let (before, after) = (of("learned", "before"), of("learned", "after"));
    assert!(after > before + 0.02, "{before} {after}");
    let loss: Vec<f64> = place.lines("learned/score.jsonl").iter().filter_map(|line| line["loss"].as_f64()).collect();
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    assert!(mean(&loss[380..]) < 0.6 * mean(&loss[..20]), "{loss:?}");

    place.train("idle", &["--set", "score.lr=0.0"]).well();
    assert_eq!(of("idle", "before"), of("idle", "after"));
    let first = place.bytes("idle/checkpoints/score/step-000004/model.safetensors");
    assert!(first == place.bytes(&format!("idle/{LAST}")), "no learning rate, no change");

    // Workers and blocks of work change no bit.
    place.train("three", &["--workers", "3"]).well();
    place.train("one", &["--workers", "1"]).well();
    assert!(place.bytes(&format!("three/{LAST}")) == place.bytes(&format!("one/{LAST}")));
    let other = place.train("other", &["--seed", "7"]).well();
    assert!(other.status.success() && place.bytes("other/score.jsonl") != place.bytes("one/score.jsonl"));
}

#[test]
fn every_loss_trains() {
    let place = with("[\"score\"]");
    for loss in ["bce = { most = 3.0 }", "mse = { scale = 1.0, offset = -1.0 }", "info_nce = { positive = 2.0 }"] {
        let run = loss.split(' ').next().expect("a word");
        place.write("recipe.toml", &with_loss(loss));
        place.train(run, &["--set", "score.steps=60", "--set", "score.batch_size=12"]).well();
        let lines = place.lines(&format!("{run}/score.jsonl"));
        let loss = |part: &[Value]| part.iter().filter_map(|l| l["loss"].as_f64()).sum::<f64>();
        assert!(loss(&lines[50..]) < loss(&lines[..10]), "{run}");
    }
}

fn with_loss(loss: &str) -> String {
    let place = with("[\"score\"]");
    let text = String::from_utf8(place.bytes("recipe.toml")).expect("text");
    text.replace("[score.loss.pairwise]", &format!("[score.loss]\n{loss}"))
}

#[track_caller]
fn refused(old: &str, new: &str, parts: &[&str]) {
    assert!(SCORED.contains(old), "{old}");
    let place = Place::of(&SCORED.replace(old, new));
    place.train("run", &[]).failed(2, parts);
    assert!(!place.path("run").exists(), "nothing is made");
}

#[test]
fn contradictions_are_refused_with_a_hint() {
    let unread = SCORED.replace("\"rl\", \"score\"]", "\"rl\"]").replace("score.k = 5\n", "");
    Place::of(&unread).train("run", &[]).failed(2, &["`score` is given, and nothing reads it", "hint:"]);
    refused("group = \"query\"\n", "", &["`score.candidates` needs lists", "score.group"]);
    refused("candidates = 4\n", "candidates = 1\n", &["`score.candidates` must be more than one"]);
    let pairwise = SCORED.replace("group = \"query\"\n", "").replace("candidates = 4\n", "");
    Place::of(&pairwise)
        .train("run", &[])
        .failed(2, &["`score.loss` compares the candidates of a list", "score.loss.bce"]);
    refused(
        "label = \"grade\"",
        "label = \"graid\"",
        &["`score.label` must be a number in every row", "no such column"],
    );
    refused("label = \"grade\"", "label = \"query\"", &["`score.label` must be a number in every row"]);
    let alternatives = |list: &str| format!("label = \"grade\"\nalternatives = {list}");
    refused(
        "label = \"grade\"",
        &alternatives("[\"1\", \"1\"]"),
        &["`score.alternatives` must be two different texts"],
    );
    refused(
        "label = \"grade\"",
        &alternatives("[\"yes\", \"0\"]"),
        &["`score.alternatives` must be one token each", "which is 3"],
    );
    refused(
        "[score.loss.pairwise]\n",
        "[score.loss.pairwise]\ntemperature = 0.0\n",
        &["`score.loss.pairwise.temperature`", "above 0"],
    );
    refused(
        "save_every = 2\n\n[preflight]",
        "save_every = 2\nema = { decay = 0.9 }\n\n[preflight]",
        &["`train.ema` contradicts the score stage"],
    );
    refused("score.k = 5", "score.k = 0", &["`eval.score.k` must be at least 1"]);
    let no_section = crate::common::TINY.replace("dev_limit = 4", "dev_limit = 4\nscore.k = 3");
    Place::of(&no_section).train("run", &[]).failed(2, &["`eval.score` needs [score]", "hint:"]);
    // A label that a loss cannot take is told with the first step that meets it.
    let high = SCORED.replace("[score.loss.pairwise]", "[score.loss.bce]");
    let place = Place::of(&high);
    place.train("run", &["--set", "train.steps=1"]).failed(2, &["facts.label", "score.loss.bce.most"]);
}
