//! The reward_model stage: what it teaches, that its models are in every checkpoint after it, and that a kill anywhere leaves no trace.

use crate::common::{Place, assert_same_run, killed_and_ended, model};

/// A reward that is learned from demonstrations, one for each kind of sum, and a detector that is only looked at.
const MODELLED: &str = r#"name = "modelled"
stages = ["supervised", "reward_model", "rl"]

[policy.new]
tokenizer = "characters"
width = 32
layers = 1
heads = 2
kv_heads = 1
head_dim = 16
inner = 64
positions = 40

[data]
path = "rows.jsonl"
prompt = "{{ question }}="
answer = "answer"
solution = "{{ sloppy }}"
dev = 4
test = 6

[supervised]
steps = 6
batch_size = 16
lr = 1e-2
save_every = 2

[reward_model]
steps = 6
batch_size = 6
balance = "kind"
samples = 2
save_every = 2

[reward_model.models.right]
family.ngrams = { to = 2, buckets = 256, sees = "pair" }
positive = "shown"
by = "kind"

[reward_model.models.machine]
family.curvature = { order = 2, buckets = 32 }
positive = "sloppy"
negative = { column = "shown" }

[reward_model.models.ratio]
family.ratio = { observer = 1, performer = 2, buckets = 32 }
positive = "sloppy"
negative = { column = "shown" }

[rollout]
group_size = 4
max_new_tokens = 4

[reward.terms.right]
verifier.trained = { model = "right", against = "shown" }
facts = { hardness = "hardness", gap = "gap" }

[reward.terms.machine]
weight = 0.0
verifier.trained = { model = "machine", slope = 0.5 }

[reward.terms.ratio]
weight = 0.0
verifier.trained = { model = "ratio" }

[reward.terms.answer]
weight = 0.0
verifier.answer = {}

[advantage]
shape = [{ hardness = {} }]

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
correct = "answer"
samples = 0
"#;

const MODELS: &str = "reward_models.safetensors";

fn place() -> Place {
    let place = Place::of(MODELLED);
    let row = |n: usize| {
        let (a, b) = (n % 7, n % 5);
        let (kind, b) = if n.is_multiple_of(4) { ("double", a) } else { ("add", b) };
        let (question, sum) = (format!("{a}+{b} {n}"), a + b);
        format!(
            r#"{{"question": "{question}", "answer": "{sum}", "shown": "{sum}.", "sloppy": "{sum} x", "kind": "{kind}"}}"#
        )
    };
    place.write("rows.jsonl", &(0..60).map(|n| row(n) + "\n").collect::<String>());
    place
}

#[test]
fn models_are_trained_before_the_policy_is_and_are_kept() {
    let place = place();
    place.train("run", &["--set", "train.keep_checkpoints=9"]).well();
    let manifest = place.json("run/manifest.json");
    assert_eq!((&manifest["stage"], &manifest["state"]), (&"rl".into(), &"complete".into()));
    assert_eq!(manifest["modelled"]["checkpoint"], "reward_model/step-000006");
    let summary = place.json("run/summary.json");
    assert_eq!((&summary["steps"], &summary["reward_model"]["steps"]), (&4.into(), &6.into()));
    // 6 steps of 6 rows with 2 answers of at most 4 tokens each; the rl stage's 4 of 4 x 4 are told apart.
    let said = |of: &serde_json::Value| of["tokens"]["completion"].as_u64().expect("a number");
    assert!((72..=288).contains(&said(&summary["reward_model"])) && (64..=256).contains(&said(&summary)), "{summary}");
    // 6 steps of 6 rows, 4 of 4 prompts.
    assert_eq!(summary["examples"], 6 * 6 + 4 * 4);
    let steps = place.lines("run/reward_model.jsonl");
    assert_eq!(steps.len(), 6);
    let loss = |line: &serde_json::Value| line["right/loss"].as_f64().expect("a number");
    assert!(loss(&steps[5]) < loss(&steps[0]), "{} {}", loss(&steps[0]), loss(&steps[5]));
    assert!(steps.iter().all(|line| line["machine/ordered"].as_f64().is_some()));

    // The policy stands still; its models go with every checkpoint that follows.
    let of = |checkpoint: &str, file: &str| place.bytes(&format!("run/checkpoints/{checkpoint}/{file}"));
    assert!(of("supervised/step-000006", "model.safetensors") == of("reward_model/step-000006", "model.safetensors"));
    assert!(of("reward_model/step-000006", MODELS) == of("step-000004", MODELS));
    assert!(of("reward_model/step-000002", MODELS) != of("reward_model/step-000004", MODELS));
    assert!(!place.path("run/checkpoints/supervised/step-000006").join(MODELS).exists());
    assert!(of("step-000002", "model.safetensors") != of("step-000004", "model.safetensors"));

    // A checkpoint is evaluated with its models; another model has none.
    let eval = |model: &str| place.cohort(&["eval", "--model", model, "--task", "recipe.toml", "--greedy", "--json"]);
    let told = eval("run/checkpoints/last").well().json();
    assert_eq!(told["reward/right"], summary["eval"]["after"]["reward/right"]);
    let without = eval("run/checkpoints/supervised/step-000006").well().json();
    assert!(without.get("reward/right").is_none() && without["failed"].as_u64() > Some(0), "{without}");
}

#[test]
fn kills_in_any_stage_leave_no_trace() {
    let place = place();
    place.train("whole", &["--workers", "2"]).well();
    let logs = [
        ("supervised.jsonl", 3),
        ("reward_model.jsonl", 1),
        ("reward_model.jsonl", 3),
        ("reward_model.jsonl", 6),
        ("metrics.jsonl", 1),
        ("metrics.jsonl", 3),
    ];
    let run = "killed";
    killed_and_ended(&place, run, &logs);
    assert_same_run(&place.path("whole"), &place.path(run));
    for name in ["reward_model.jsonl", "checkpoints/reward_model/step-000006/reward_models.safetensors"] {
        assert!(place.bytes(&format!("whole/{name}")) == place.bytes(&format!("{run}/{name}")), "{name}");
    }

    // A flipped number in the models is found before they are read.
    let mut manifest = place.json(&format!("{run}/manifest.json"));
    manifest["state"] = "running".into();
    place.write(&format!("{run}/manifest.json"), &manifest.to_string());
    model::flip(&place.path(run).join("checkpoints/reward_model/step-000006").join(MODELS), "right/add");
    place.train(run, &["--resume"]).failed(5, &[MODELS, "its checksum differs"]);
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let refused = |old: &str, new: &str, parts: &[&str]| {
        let place = place();
        assert!(MODELLED.contains(old), "{old}");
        place.write("recipe.toml", &MODELLED.replacen(old, new, 1));
        place.train("run", &[]).failed(2, parts);
        assert!(!place.path("run").exists(), "before anything is begun");
    };
    let stages = "[\"supervised\", \"reward_model\", \"rl\"]";
    refused(stages, "[\"supervised\", \"rl\"]", &["`reward_model`", "is no stage of the recipe"]);
    refused(stages, "[\"supervised\", \"reward_model\"]", &["`stages`", "rl"]);
    refused("model = \"machine\"", "model = \"man\"", &["reward.terms.machine.verifier.trained.model", "\"man\""]);
    refused("[reward_model.models.machine]", "[reward_model.models.idle]", &["must name a model", "machine"]);
    refused("by = \"kind\"", "by = \"sort\"", &["reward_model.models.right.by", "\"sort\""]);
    refused("positive = \"shown\"", "positive = \"kid\"", &["reward_model.models.right.positive", "\"kid\""]);
    refused("balance = \"kind\"", "balance = \"sort\"", &["reward_model.balance", "sort"]);
    refused("to = 2, buckets", "to = 0, buckets", &["family.ngrams.to", "must be in 1..=16"]);
    refused("samples = 2", "samples = 0", &["reward_model.samples", "at least 1"]);
}
