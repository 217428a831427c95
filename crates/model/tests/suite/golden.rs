//! Parity with transformers: the numbers in tests/golden were written by scripts/golden_logprobs.py.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::common::{forward, rows};
use cohort_core::{
    Context, Controls, Decoding, Policy, Request, RowGradients, RowSpec, Sample, Sampler, StopReason, Stream,
};
use cohort_model::TextPolicy;
use cohort_testing::shared_data;
use serde_json::Value;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a golden file")).expect("JSON")
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().expect("a list").iter().map(|x| x.as_u64().expect("an id") as u32).collect()
}

fn sample_of(case: &Value) -> Sample {
    Sample::given(Context::of_tokens(ids(&case["context"])), &ids(&case["actions"]))
}

/// Holds every case's rows to `tolerance`; returns the largest difference.
fn compare_rows(policy: &TextPolicy, document: &Value, tolerance: f64) -> f64 {
    let mut largest = 0.0_f64;
    for case in document["cases"].as_array().expect("cases") {
        let sample = sample_of(case);
        let ours = &rows(policy, &[&sample], case["temperature"].as_f64().expect("a temperature") as f32)[0];
        for (column, ours) in [("logp", &ours.logp), ("entropy", &ours.entropy)] {
            let theirs = floats(&case[column]);
            assert_eq!(ours.len(), theirs.len());
            for (i, (a, b)) in ours.iter().zip(&theirs).enumerate() {
                largest = largest.max((a - b).abs());
                assert!((a - b).abs() <= tolerance, "{column} of action {i}: {a}, transformers {b}, in {case}");
            }
        }
    }
    largest
}

/// Logits of one long context; returns the largest difference.
fn compare_logits(policy: &TextPolicy, document: &Value) -> f64 {
    let document = &document["logits"];
    let ours = policy.logits(&ids(&document["ids"])).expect("logits");
    let mut largest = 0.0_f64;
    for (at, theirs) in ids(&document["at"]).into_iter().zip(document["values"].as_array().expect("logits")) {
        let theirs = floats(theirs);
        let ours = &ours[at as usize * theirs.len()..][..theirs.len()];
        for (id, (&a, b)) in ours.iter().zip(&theirs).enumerate() {
            largest = largest.max((f64::from(a) - b).abs());
            assert!((f64::from(a) - b).abs() <= 1e-4, "logit of {id} at position {at}: {a}, transformers {b}");
        }
    }
    largest
}

fn compare_gradients(policy: &TextPolicy, document: &Value) {
    let cases = document["cases"].as_array().expect("cases");
    let samples: Vec<Sample> = cases.iter().step_by(2).map(sample_of).collect();
    let all: Vec<&Sample> = samples.iter().collect();
    let mut weights = document["weights"].as_array().expect("weights").iter().map(floats);
    let gradients: Vec<RowGradients> = all
        .iter()
        .map(|sample| {
            let pairs: Vec<Vec<f64>> = weights.by_ref().take(sample.actions.len()).collect();
            RowGradients {
                logp: pairs.iter().map(|pair| pair[0]).collect(),
                entropy: Some(pairs.iter().map(|pair| pair[1]).collect()),
                ..RowGradients::default()
            }
        })
        .collect();
    let (_, tape) = policy.forward(&all, RowSpec::at(1.0)).expect("forward");
    let ours = tape.backward(&gradients);
    for (name, theirs) in document["gradients"].as_object().expect("gradients") {
        let (every, theirs) = (theirs["every"].as_u64().expect("a step") as usize, floats(&theirs["values"]));
        let index = policy.parameters().iter().position(|info| info.name == *name).expect("a parameter");
        let scale = theirs.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
        let ours: Vec<f32> = ours.0[index].iter().copied().step_by(every).collect();
        assert!(scale > 0.0 && theirs.len() == ours.len(), "{name}");
        for (i, (&a, b)) in ours.iter().zip(&theirs).enumerate() {
            assert!((f64::from(a) - b).abs() <= 1e-3 * scale, "{name}[{i}]: {a}, transformers {b}, scale {scale}");
        }
    }
}

/// The load-balancing number of the tokens of one sequence; dense models have none.
fn compare_balance(policy: &TextPolicy, document: &Value) {
    // The last action is chosen and never run.
    let sample = Sample::given(Context::of_tokens(ids(&document["logits"]["ids"])), &[2]);
    let (_, tape) = policy.forward(&[&sample], RowSpec::at(1.0)).expect("forward");
    let ours = tape.metrics().get("router_load_balance");
    let theirs = document["balance"].as_f64();
    assert_eq!(ours.is_some(), theirs.is_some());
    if let (Some(ours), Some(theirs)) = (ours, theirs) {
        assert!((ours - theirs).abs() <= 1e-5 * theirs, "{ours}, transformers {theirs}");
    }
}

fn compare_greedy(policy: &TextPolicy, document: &Value) {
    let expected = ids(&document["greedy"]["actions"]);
    let controls = Controls { policy_version: 4, ..Controls::new(Decoding::Greedy, expected.len()) };
    let request = Request {
        context: Context::of_tokens(ids(&document["greedy"]["context"])),
        controls: Arc::new(controls),
        dice: Stream::new(0, "greedy").dice(0, 0, 0),
    };
    let sample = policy.sample(&[request]).expect("a sample").remove(0);
    assert_eq!(sample.tokens().collect::<Vec<_>>(), expected);
    assert_eq!((sample.stop, sample.policy_version), (StopReason::Length, 4));
    assert_eq!(sample.behaviour, forward(policy, &[&sample], 1.0)[0]);
}

fn tiny_checkpoint(name: &str) {
    let folder = golden().join(name);
    let policy = TextPolicy::load(&folder).expect("a model");
    let document = read(&folder.join("golden.json"));
    let logits = compare_logits(&policy, &document);
    let rows = compare_rows(&policy, &document, 1e-4);
    println!("{name}: largest difference of a logit {logits:.1e}, of a row {rows:.1e}");
    compare_gradients(&policy, &document);
    compare_greedy(&policy, &document);
    compare_balance(&policy, &document);
}

/// One test a checkpoint: the list is what the folder holds.
macro_rules! checkpoints {
    ($($name:ident),* $(,)?) => {
        mod as_transformers {
            $(
                #[test]
                fn $name() {
                    super::tiny_checkpoint(stringify!($name));
                }
            )*
        }

        #[test]
        fn every_checkpoint_has_its_test() {
            let mut folders: Vec<String> = std::fs::read_dir(golden())
                .expect("the folder")
                .map(|entry| entry.expect("an entry").path())
                .filter(|path| path.is_dir())
                .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
                .collect();
            folders.sort();
            assert_eq!(folders, [$(stringify!($name)),*]);
        }
    };
}

checkpoints!(
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

#[test]
fn a_trained_model_as_transformers() {
    let Some(folder) = shared_data("a_trained_model_as_transformers", "arith/sft-small") else { return };
    let policy = TextPolicy::load(&folder).expect("the trained model");
    let document = read(&golden().join("sft_small.json"));
    let largest = compare_rows(&policy, &document, 1e-4);
    println!("sft-small: largest difference of a row {largest:.1e}");
    let tokenizer = policy.tokenizer().expect("a tokenizer");
    for case in document["cases"].as_array().expect("cases") {
        let text = |name: &str| case[name].as_str().expect("a text");
        assert_eq!(tokenizer.encode(text("prompt")).expect("ids"), ids(&case["context"]));
        let actions = ids(&case["actions"]);
        assert_eq!(tokenizer.encode(text("completion")).expect("ids"), actions[..actions.len() - 1]);
        assert_eq!(tokenizer.decode(&actions), text("completion"));
    }
}
