//! A run whose samples a server draws: a stand-in on this machine with a policy of ours behind vLLM's protocol.

use crate::toys;
use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use cohort_core::{Context, Controls, Decoding, Policy, Request, Sampler, Stream};
use cohort_env::{Item, Origin, Task, from_fn};
use cohort_model::{Architecture, Blueprint, TextPolicy};
use cohort_testing::{Asked, Reply, StandIn};
use cohort_train::{Error, MaskSource, Recipe, Setup, Summary, observe::Silent, run_dir::Start, train, world::World};
use serde_json::{Value, json};

const END: u32 = 1;

fn policy() -> TextPolicy {
    let blueprint = Blueprint {
        vocabulary: 16,
        width: 32,
        layers: 1,
        query_heads: 2,
        kv_heads: 1,
        head_dim: 16,
        inner: 64,
        experts: None,
        positions: 32,
        rope_theta: 10_000.0,
        norm_eps: 1e-6,
        tied: true,
        end_ids: vec![END],
        pad_id: Some(0),
    };
    TextPolicy::new(Architecture::new(&blueprint).unwrap(), Vec::new(), Stream::new(7, "policy")).unwrap()
}

/// How far the stand-in is off the truth.
#[derive(Clone, Copy, PartialEq)]
enum Honesty {
    Honest,
    /// Its log-probabilities are this much too low.
    Off(f64),
}

/// A server that draws from the policy it was last told to load; `answers` is how many completions it gives before it
/// fails for good, `purpose` what its draws are keyed by.
fn server(honesty: Honesty, answers: usize, purpose: &'static str) -> (StandIn, Arc<AtomicUsize>) {
    let served = Arc::new(Mutex::new(policy()));
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let server = StandIn::start(move |asked: &Asked| {
        let body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
        match asked.path.as_str() {
            "/collective_rpc" => {
                let path = body["kwargs"]["weights_path"].as_str().unwrap();
                *served.lock().unwrap() = TextPolicy::load(Path::new(path)).unwrap();
                Reply::Text(String::new())
            }
            "/reset_prefix_cache" => Reply::Text(String::new()),
            _ if count.fetch_add(1, Ordering::SeqCst) >= answers => Reply::Status(500, &[], "out of memory".to_owned()),
            _ => Reply::Text(completion(&served.lock().unwrap(), honesty, purpose, &body).to_string()),
        }
    });
    (server, counted)
}

fn completion(policy: &TextPolicy, honesty: Honesty, purpose: &str, body: &Value) -> Value {
    let ids = |field: &str| -> Vec<u32> { serde_json::from_value(body[field].clone()).unwrap() };
    let decoding = Decoding::Temperature(body["temperature"].as_f64().unwrap() as f32);
    let controls = Controls {
        stop: ids("stop_token_ids"),
        ..Controls::new(decoding, body["max_tokens"].as_u64().unwrap() as usize)
    };
    let request = Request {
        context: Context::of_tokens(ids("prompt")),
        controls: Arc::new(controls),
        dice: Stream::new(body["seed"].as_u64().unwrap(), purpose).dice(0, 0, 0),
    };
    let sample = policy.sample(&[request]).unwrap().remove(0);
    let off = if let Honesty::Off(off) = honesty { off } else { 0.0 };
    let logp: Vec<f64> = sample.behaviour.logp.iter().map(|logp| logp - off).collect();
    json!({ "choices": [{
        "token_ids": sample.tokens().collect::<Vec<_>>(),
        "prompt_token_ids": ids("prompt"),
        "logprobs": { "tokens": [], "token_logprobs": logp },
        "finish_reason": "stop",
    }] })
}

fn task() -> Task {
    let item = |index: usize| Item {
        prompt: format!("prompt {index}"),
        context: Context::of_tokens([2, 3]),
        columns: serde_json::Map::new(),
        solution: None,
        origin: Origin::Generated { generator: "outside", index },
    };
    Task { train: (0..512).map(item).collect(), ..Task::default() }
}

/// The share of ids from 8 to 11 among four.
fn run(server: &StandIn, folder: &Path, start: Start, more: &[&str]) -> Result<Summary, Error> {
    let shared = folder.join("pushed");
    let server = format!(
        "rollout.sampler = {{ server = {{ base_url = {:?}, protocol = \"vllm\", model = \"m\", retries = 0, backoff_s = 0.001, \
         concurrency = 4, push = {{ weights = {{ directory = {:?} }} }} }} }}",
        server.url(),
        shared.display().to_string()
    );
    let keys: Vec<&str> = ["train.lr=0.01", "train.prompts_per_step=8", "rollout.max_new_tokens=4", &server]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    let recipe: Recipe = toys::recipe(&keys);
    let reward =
        |view: &cohort_env::View<'_>| view.tokens.iter().filter(|id| (8..12).contains(*id)).count() as f64 / 4.0;
    let mut world = World { task: task(), ..toys::world(&recipe, from_fn("toy", (0.0, 1.0), reward)) };
    world.controls.stop = vec![END];
    let setup = Setup { policy: Box::new(policy()) as Box<dyn Policy>, world, masks: MaskSource::default() };
    train(&recipe, setup, &toys::options(&folder.join("run"), start, 2), &mut Silent)
}

fn lines(folder: &Path, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("run").join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn mean(lines: &[Value], key: &str) -> f64 {
    lines.iter().map(|line| line[key].as_f64().unwrap()).sum::<f64>() / lines.len() as f64
}

#[test]
fn a_run_learns_from_a_server_that_gets_its_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _) = server(Honesty::Honest, usize::MAX, "server");
    run(&server, folder.path(), Start::Fresh, &[]).unwrap();
    let metrics = lines(folder.path(), "metrics.jsonl");
    assert!(mean(&metrics[..5], "reward/mean") < 0.4 && mean(&metrics[55..], "reward/mean") > 0.9, "{metrics:?}");
    // The same weights and kernels on both sides: nothing is between the two rows.
    assert!(metrics.iter().all(|m| m["logp_gap"] == 0.0 && m["logp_gap/mean"] == 0.0 && m["policy_lag"] == 0.0));
    let pushes = server.asked().iter().filter(|a| a.path == "/collective_rpc").count();
    assert_eq!(pushes, 60, "once a step, the first one before the look ahead");
    let kept: Vec<_> = std::fs::read_dir(folder.path().join("pushed")).unwrap().collect();
    assert_eq!(kept.len(), 1, "what the server has read is removed: {kept:?}");
    let line = &lines(folder.path(), "rollouts.jsonl")[0]["samples"][0];
    assert_eq!(line["behaviour_logp"].as_array().map(Vec::len), line["tokens"].as_array().map(Vec::len));
}

#[test]
fn a_server_that_lags_is_corrected_for_and_still_teaches() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _) = server(Honesty::Honest, usize::MAX, "server");
    let every = ["rollout.sampler.server.every=3", "objective.mismatch={ truncate = { cap = 2.0 } }"];
    run(&server, folder.path(), Start::Fresh, &every).unwrap();
    let metrics = lines(folder.path(), "metrics.jsonl");
    let lags: Vec<f64> = metrics[..6].iter().map(|m| m["policy_lag"].as_f64().unwrap()).collect();
    assert_eq!(lags, [0.0, 1.0, 2.0, 0.0, 1.0, 2.0]);
    assert!(metrics[1]["logp_gap"].as_f64().unwrap() > 0.0, "older weights, other rows");
    assert!(mean(&metrics[55..], "reward/mean") > 0.9, "{metrics:?}");
}

#[test]
fn a_server_with_other_numbers_ends_the_run_unless_the_recipe_corrects_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _) = server(Honesty::Off(0.01), usize::MAX, "server");
    let error = run(&server, &folder.path().join("a"), Start::Fresh, &["train.steps=2"]).unwrap_err();
    assert!(matches!(error, Error::OutsideMismatch { step: 1, .. }), "{error}");
    assert!(error.to_string().contains("objective.mismatch"), "{error}");
    let corrected = ["train.steps=2", "objective.mismatch={ mask = {} }"];
    run(&server, &folder.path().join("b"), Start::Fresh, &corrected).unwrap();
    let metrics = lines(&folder.path().join("b"), "metrics.jsonl");
    assert!((metrics[0]["logp_gap/mean"].as_f64().unwrap() - 0.01).abs() < 1e-6, "{metrics:?}");
}

/// Steps that were begun and not committed take the samples that were recorded; a server that draws otherwise is not asked
/// for them.
#[test]
fn a_step_that_was_begun_keeps_its_samples() {
    let folder = tempfile::tempdir().unwrap();
    // The look ahead takes 2 prompts of 8, a step 8 of 8: the server dies in step 8, and step 5 was committed.
    let (dying, asked) = server(Honesty::Honest, 16 + 7 * 64, "server");
    let error = run(&dying, folder.path(), Start::Fresh, &["train.steps=9"]).unwrap_err();
    assert!(matches!(error, Error::Policy { step: 8, .. }) && error.to_string().contains("out of memory"), "{error}");
    assert!(asked.load(Ordering::SeqCst) > 16 + 7 * 64);
    let before = lines(folder.path(), "rollouts.jsonl");
    assert_eq!(before.len(), 7 * 64);

    let (other, asked) = server(Honesty::Honest, usize::MAX, "another");
    run(&other, folder.path(), Start::Resume, &["train.steps=9"]).unwrap();
    let after = lines(folder.path(), "rollouts.jsonl");
    assert_eq!(after[..7 * 64], before, "to the bit, rows and derivatives included");
    assert_eq!(asked.load(Ordering::SeqCst), 2 * 64, "steps 8 and 9");
    assert_eq!(after.len(), 9 * 64);
}

#[test]
fn a_recipe_that_could_not_work_is_refused() {
    let server = |more: &str| {
        format!(
            "rollout.sampler={{ server = {{ base_url = \"http://h:1\", protocol = \"vllm\", push = \"none\", {more} }} }}"
        )
    };
    let mask = "objective.mismatch={ mask = {} }";
    let push = "push = { weights = { directory = \"/d\" } }";
    for (keys, part) in [
        (vec![server("").replace(", }", " }")], "objective.mismatch"),
        (vec![server("").replace("push = \"none\", ", &format!("{push}, every = 2"))], "server.every = 2"),
        (vec![server("").replace("http://h:1", "h:1"), mask.into()], "base_url"),
        (vec![server("concurrency = 0"), mask.into()], "concurrency"),
        (vec![server("timeout_s = 0.0"), mask.into()], "timeout_s"),
        (vec![server("port = 1"), mask.into()], "port"),
        (vec![server(""), mask.into(), "rollout.temperature=0.7".into()], "processed_logprobs"),
        (
            vec![server("").replace("push = \"none\"", "push = { weights = { directory = \"d\" } }"), mask.into()],
            "whole path",
        ),
        (vec!["rollout.sampler=\"other\"".into()], "rollout.sampler"),
    ] {
        let keys: Vec<String> = keys.into_iter().map(|key: String| key.replace(", }", " }")).collect();
        let text = "policy.model = \"m\"\ndata.path = \"d\"\nreward.terms.toy.verifier.regex.pattern = \"x\"";
        let error = Recipe::parse("r.toml", text, &keys).expect_err(part).to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
}
