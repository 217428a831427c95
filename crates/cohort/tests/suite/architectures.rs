//! `recipes/gsm8k.toml` as it stands on a directory of each architecture: only the model is named, and less is asked for.

use cohort_testing::shared_data;
use serde_json::Value;

use crate::common::{Place, TINY, model, repository_recipe, tensors};

/// What anyone would set for a quick look.
const LESS: [&str; 7] = [
    "train.steps=1",
    "train.prompts_per_step=2",
    "rollout.group_size=4",
    "rollout.max_new_tokens=24",
    "preflight.prompts=2",
    "eval.limit=2",
    "eval.samples=1",
];

fn trains(architecture: &str) {
    if shared_data(&format!("gsm8k_trains::{architecture}"), "gsm8k/train.jsonl").is_none() {
        return;
    }
    let place = Place::new();
    model::of_architecture(architecture, &place.path("model"));
    let train = |run: &str, model: &str| {
        let key = format!("policy.model={}", place.path(model).display());
        repository_recipe("gsm8k", &place, run, &[&[key.as_str()], &LESS[..]].concat()).well();
        let lines = place.lines(&format!("{run}/metrics.jsonl"));
        let number = |name: &str| lines[0][name].as_f64().unwrap_or_else(|| panic!("{name} in {}", lines[0]));
        assert_eq!(number("logp_gap"), 0.0, "sampler and trainer give the same row, to the bit");
        assert!(
            number("grad_norm") > 0.0 && number("reward/number") > 0.0,
            "there is something to learn: {}",
            lines[0]
        );
        let has_load = lines[0].get("router_load_balance").is_some();
        assert_eq!(has_load, architecture.starts_with("qwen3_moe"), "experts say how evenly they are used");
        for line in place.lines(&format!("{run}/rollouts.jsonl")) {
            let prompt = line["prompt"].as_str().expect("text");
            assert!(prompt.starts_with("Question: ") && prompt.ends_with("Answer:"), "{prompt}");
        }
    };
    train("run", "model");
    // What was saved is the model that was given, trained.
    let saved = "run/checkpoints/last";
    for file in ["config.json", "generation_config.json", "tokenizer.json"] {
        assert_eq!(place.bytes(&format!("{saved}/{file}")), place.bytes(&format!("model/{file}")), "{file}");
    }
    let [before, after] = ["model", saved].map(|model| tensors(&place.path(model).join("model.safetensors")));
    let shapes = |tensors: &std::collections::BTreeMap<String, (String, Vec<usize>, Vec<u8>)>| -> Vec<_> {
        tensors.iter().map(|(name, (_, shape, _))| (name.clone(), shape.clone())).collect()
    };
    assert_eq!(shapes(&before), shapes(&after));
    let unchanged: Vec<&String> = before.keys().filter(|&name| before[name] == after[name]).collect();
    // An expert that no token of the step chose has no gradient.
    assert!(unchanged.iter().all(|name| name.contains(".experts.")), "{unchanged:?}");
    // It loads: into what scores, and into a run of its own.
    let rows = place.write("rows.jsonl", "{\"prompt_ids\":[50,60,90],\"completion_ids\":[70,110,300,200,1]}\n");
    let logp = |model: &str| -> Value {
        let ran = place.cohort(&["logprobs", "--model", model, "--input", &rows.display().to_string()]).well();
        let logp = ran.json()["logp"].clone();
        assert!(
            logp.as_array().is_some_and(|logp| logp.len() == 5 && logp.iter().all(|x| x.as_f64() < Some(0.0))),
            "{logp}"
        );
        logp
    };
    assert_ne!(logp("model"), logp(saved));
    train("again", saved);
}

macro_rules! architectures {
    ($($name:ident),* $(,)?) => { $(
        #[test]
        fn $name() {
            trains(stringify!($name));
        }
    )* };
}

/// Biases and head norms, tied and untied heads, rope default, llama3, linear and yarn, windows on all layers and on some, experts one
/// by one and fused; configurations of transformers 4 and 5.
mod gsm8k_trains {
    use super::trains;

    architectures!(
        llama,
        llama3,
        llama_linear,
        mistral,
        qwen2,
        qwen2_window,
        qwen2_yarn,
        qwen3,
        qwen3_moe,
        qwen3_moe_fused,
        qwen3_window,
        qwen3_yarn,
    );
}

/// A new policy with experts is sampled, trained, written and loaded as one of the Hub is.
#[test]
fn a_new_mixture_of_experts() {
    let experts = "inner = 64\nexperts = { count = 4, top_k = 2, inner = 32 }";
    let recipe = TINY.replace("inner = 64", experts);
    let place = Place::of(&recipe);
    place.train("run", &[]).well();
    let lines = place.lines("run/metrics.jsonl");
    assert_eq!(lines[0]["logp_gap"], 0.0, "sampler and trainer give the same row, to the bit");
    assert!(lines[0]["router_load_balance"].as_f64() >= Some(1.0), "{}", lines[0]);
    let config = place.json("run/checkpoints/last/config.json");
    assert_eq!((&config["model_type"], &config["num_experts"]), (&Value::from("qwen3_moe"), &Value::from(4)));
    let last = place.of_run("run", "checkpoints/last");
    let eval = place.cohort(&["eval", "--model", &last, "--task", "recipe.toml", "--greedy", "--limit", "4", "--json"]);
    let after = &place.json("run/summary.json")["eval"]["after"];
    assert_eq!(eval.well().json()["greedy"], after["greedy"]);

    let impossible = recipe.replace("top_k = 2", "top_k = 5");
    Place::of(&impossible).train("run", &[]).failed(2, &["policy.new.experts.top_k", "at most", "4"]);
}
