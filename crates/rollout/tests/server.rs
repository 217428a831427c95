//! A server that samples: what is asked of it, what of its answers is believed, and what happens when it fails.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use cohort_core::{Context, Controls, Decoding, PolicyError, Request, Sample, Sampler, StopReason, Stream};
use cohort_rollout::{
    ServerConfig, ServerError, ServerSampler,
    server::{Protocol, Push, Shared},
};
use cohort_testing::{Asked, Reply, StandIn};
use serde_json::{Value, json};

const PROMPT: [u32; 3] = [5, 6, 7];
const END: u32 = 2;

fn config(server: &StandIn, protocol: &str, more: Value) -> ServerConfig {
    let mut all = json!({
        "base_url": server.url(), "protocol": protocol, "push": "none", "timeout_s": 5.0, "retries": 2, "backoff_s": 0.001,
    });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn requests(count: u32, forbidden: &[u32]) -> Vec<Request> {
    let controls = Arc::new(Controls {
        stop: vec![END],
        forbidden: forbidden.to_vec(),
        ..Controls::new(Decoding::Temperature(1.0), 4)
    });
    let stream = Stream::new(3, "test");
    let request =
        |i| Request { context: Context::of_tokens(PROMPT), controls: controls.clone(), dice: stream.dice(0, 0, i) };
    (0..count).map(request).collect()
}

fn sampled(server: &StandIn, protocol: &str, more: Value) -> Result<Vec<Sample>, ServerError> {
    let sampler = ServerSampler::new(&config(server, protocol, more), None).unwrap();
    sampler.sample(&requests(1, &[])).map_err(server_error)
}

fn server_error(error: PolicyError) -> ServerError {
    let PolicyError::Outside { source } = error else { panic!("{error}") };
    *source.downcast().unwrap()
}

fn completion(ids: &[u32], logp: &[f64]) -> Value {
    let tokens: Vec<String> = ids.iter().map(|id| format!("token_id:{id}")).collect();
    json!({ "choices": [{
        "text": "", "finish_reason": "stop", "prompt_token_ids": PROMPT, "token_ids": ids,
        "logprobs": { "tokens": tokens, "token_logprobs": logp },
    }] })
}

fn generated(ids: &[u32], logp: &[f64]) -> Value {
    let rows: Vec<Value> = ids.iter().zip(logp).map(|(id, logp)| json!([logp, id, null])).collect();
    json!({ "text": "", "output_ids": ids, "meta_info": {
        "prompt_tokens": PROMPT.len(), "finish_reason": { "type": "stop" }, "output_token_logprobs": rows,
    } })
}

fn always(answer: Value) -> StandIn {
    StandIn::start(move |asked: &Asked| match asked.path.as_str() {
        "/v1/models" => Reply::Text(json!({ "data": [{ "id": "served" }] }).to_string()),
        _ => Reply::Text(answer.to_string()),
    })
}

fn body(asked: &Asked) -> Value {
    serde_json::from_str(&asked.body).unwrap()
}

#[test]
fn vllm_is_asked_in_ids_with_nothing_left_to_its_defaults() {
    let server = always(completion(&[8, END], &[-0.5, -0.25]));
    let mut config = config(&server, "vllm", json!({ "api_key_env": "A_KEY" }));
    config.base_url.push_str("/v1/");
    let sampler = ServerSampler::new(&config, Some("secret".to_owned())).unwrap();
    let samples = sampler.sample(&requests(2, &[9])).unwrap();
    assert_eq!(samples[0].tokens().collect::<Vec<_>>(), [8, END]);
    assert_eq!((&samples[0].behaviour.logp, samples[0].stop), (&vec![-0.5, -0.25], StopReason::End(END)));
    assert!(samples[0].behaviour.entropy.is_empty() && samples[0].is_from_outside());

    let asked: Vec<Asked> = server.asked().into_iter().filter(|a| a.path == "/v1/completions").collect();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|a| a.header("authorization") == Some("Bearer secret")));
    let sent = body(&asked[0]);
    for (key, value) in [
        ("model", json!("served")),
        ("prompt", json!(PROMPT)),
        ("max_tokens", json!(4)),
        ("temperature", json!(1.0)),
        ("top_p", json!(1.0)),
        ("top_k", json!(-1)),
        ("repetition_penalty", json!(1.0)),
        ("stop_token_ids", json!([END])),
        ("logit_bias", json!({ "9": -100.0 })),
        ("return_token_ids", json!(true)),
    ] {
        assert_eq!(sent[key], value, "{key}");
    }
    assert_ne!(sent["seed"], body(&asked[1])["seed"]);
}

#[test]
fn sglang_is_asked_in_ids_too() {
    let server = always(generated(&[8, 9, 10, 11], &[-1.0, -2.0, -3.0, 0.0]));
    let sampler = ServerSampler::new(&config(&server, "sglang", json!({})), None).unwrap();
    let sample = sampler.sample(&requests(1, &[])).unwrap().remove(0);
    assert_eq!((sample.behaviour.logp, sample.stop), (vec![-1.0, -2.0, -3.0, 0.0], StopReason::Length));
    let sent = body(&server.asked()[0]);
    assert_eq!(server.asked()[0].path, "/generate");
    assert_eq!((&sent["input_ids"], &sent["return_logprob"]), (&json!(PROMPT), &json!(true)));
    assert_eq!(sent["sampling_params"]["max_new_tokens"], 4);
    assert_eq!(sent["sampling_params"]["stop_token_ids"], json!([END]));
    let refused = sampler.sample(&requests(1, &[9])).map_err(server_error);
    assert!(matches!(refused, Err(ServerError::Unsupported { .. })), "{refused:?}");
}

/// Each lie, and the words that tell it from the others.
#[test]
fn an_answer_that_cannot_be_is_no_sample() {
    let good = completion(&[8, END], &[-0.5, -0.25]);
    let changed = |pointer: &str, value: Value| {
        let mut answer = good.clone();
        *answer.pointer_mut(pointer).unwrap() = value;
        answer
    };
    let vllm = |answer: Value, part: &str| ("vllm", answer, part.to_owned());
    let sglang = |answer: Value, part: &str| ("sglang", answer, part.to_owned());
    let mut textual = changed("/choices/0/logprobs/tokens", json!(["a", "b"]));
    textual["choices"][0]["token_ids"] = Value::Null;
    for (protocol, answer, part) in [
        vllm(textual, "no token ids"),
        vllm(changed("/choices/0/logprobs", Value::Null), "no log-probabilities"),
        vllm(changed("/choices/0/logprobs/token_logprobs", json!([-1.0, null])), "no log-probabilities"),
        vllm(changed("/choices/0/logprobs/token_logprobs", json!([-1.0])), "2 ids and 1 log-probabilities"),
        vllm(
            changed("/choices/0/logprobs/tokens", json!(["token_id:8", "token_id:3"])),
            "two different ids for token 1",
        ),
        vllm(changed("/choices/0/prompt_token_ids", json!([5, 6])), "another prompt"),
        vllm(changed("/choices", json!([])), "0 choices"),
        vllm(changed("/choices/0/token_ids", json!(["eight"])), "no completion"),
        vllm(completion(&[8, END], &[-0.5, 0.25]), "log-probability of token 1 is 0.25"),
        vllm(completion(&[END, 8], &[-0.5, -0.5]), "went on after the stop id 2 at token 0"),
        vllm(completion(&[8, 9], &[-0.5, -0.5]), "ended after 2 of 4 tokens"),
        vllm(completion(&[], &[]), "ended after 0 of 4 tokens"),
        vllm(completion(&[8; 5], &[-0.5; 5]), "gave 5 tokens"),
        sglang(json!({ "text": "a", "meta_info": {} }), "no log-probabilities"),
        sglang(json!({ "text": "a" }), "no generation"),
        sglang(generated(&[8, 9], &[-0.5, -0.5]), "ended after 2 of 4 tokens"),
        sglang(
            json!({ "output_ids": [1], "meta_info": { "output_token_logprobs": [[-0.1, END, null]] } }),
            "two different",
        ),
        sglang(
            json!({ "meta_info": { "output_token_logprobs": [[-0.1, END, null]], "prompt_tokens": 4 } }),
            "another prompt",
        ),
    ] {
        let server = always(answer);
        let error = sampled(&server, protocol, json!({})).unwrap_err();
        assert!(error.to_string().contains(&part) && !error.may_pass(), "{part}: {error}");
    }
    let server = always(completion(&[9, END], &[-0.5, -0.5]));
    let sampler = ServerSampler::new(&config(&server, "vllm", json!({})), None).unwrap();
    let error = sampler.sample(&requests(1, &[9])).map_err(server_error).unwrap_err();
    assert_eq!(error, ServerError::Forbidden { url: format!("{}/v1/completions", server.url()), position: 0, id: 9 });
}

/// Ids may stand among the log-probabilities alone, as older servers give them.
#[test]
fn ids_among_the_logprobs_are_ids() {
    let mut answer = completion(&[8, END], &[-0.5, -0.25]);
    answer["choices"][0]["token_ids"] = Value::Null;
    let samples = sampled(&always(answer), "vllm", json!({})).unwrap();
    assert_eq!(samples[0].tokens().collect::<Vec<_>>(), [8, END]);
}

/// A server that fails `times` times in one way and then answers.
fn failing(times: usize, reply: Reply) -> StandIn {
    let count = AtomicUsize::new(0);
    StandIn::start(move |asked: &Asked| {
        if asked.path == "/v1/models" {
            return Reply::Text(json!({ "data": [{ "id": "served" }] }).to_string());
        }
        match count.fetch_add(1, Ordering::Relaxed) < times {
            true => reply.clone(),
            false => Reply::Text(completion(&[8, END], &[-0.5, -0.25]).to_string()),
        }
    })
}

#[test]
fn what_may_pass_is_asked_again_and_not_for_ever() {
    let busy = |status| Reply::Status(status, &[("retry-after", "0")], "busy".to_owned());
    for (reply, part) in [
        (busy(429), "answered 429: busy"),
        (busy(500), "answered 500"),
        (busy(503), "answered 503"),
        (Reply::Close, "broke off"),
        (Reply::Cut("{\"choices\": ".to_owned()), "broke off"),
        (Reply::Text("{\"choices\": [".to_owned()), "broke off"),
        (Reply::Stall, "did not answer in time"),
    ] {
        let short = json!({ "timeout_s": 0.3 });
        let server = failing(2, reply.clone());
        assert!(sampled(&server, "vllm", short.clone()).is_ok(), "{part}");
        assert_eq!(server.asked().iter().filter(|a| a.path == "/v1/completions").count(), 3, "{part}");
        let error = sampled(&failing(3, reply), "vllm", short).unwrap_err();
        let ServerError::GaveUp { attempts: 3, last } = &error else { panic!("{part}: {error:?}") };
        assert!(last.may_pass() && error.to_string().contains(part), "{error}");
    }
}

#[test]
fn what_stays_wrong_is_asked_once() {
    for (reply, part) in [
        (Reply::Status(400, &[], "no such parameter".to_owned()), "400: no such parameter"),
        (Reply::Status(401, &[], String::new()), "api_key_env"),
        (Reply::Status(404, &[], String::new()), "protocol"),
        (Reply::Text("<html>".to_owned()), "not JSON"),
    ] {
        let server = failing(9, reply);
        let error = sampled(&server, "vllm", json!({})).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(server.asked().iter().filter(|a| a.path == "/v1/completions").count(), 1);
    }
    let nobody = { StandIn::start(|_| Reply::Close).url().to_owned() };
    let mut config = config(&failing(0, Reply::Close), "vllm", json!({ "model": "m" }));
    config.base_url = nobody;
    let error = ServerSampler::new(&config, None).unwrap().sample(&requests(1, &[])).map_err(server_error).unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "{error}");
    config.api_key_env = Some("A_KEY".to_owned());
    assert_eq!(ServerSampler::new(&config, None).err(), Some(ServerError::NoKey { name: "A_KEY".to_owned() }));
}

/// Answers come in any order; samples stand in that of the requests. No more are under way than allowed.
#[test]
fn samples_stand_in_the_order_of_their_requests() {
    let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let server = StandIn::start(move |asked: &Asked| {
        most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let seed = body(asked)["seed"].as_u64().unwrap();
        let id = 10 + (seed % 50) as u32;
        std::thread::sleep(std::time::Duration::from_millis(seed % 7));
        under_way.fetch_sub(1, Ordering::SeqCst);
        Reply::Text(completion(&[id, END], &[-0.5, -0.25]).to_string())
    });
    let all = requests(40, &[]);
    let sampler =
        ServerSampler::new(&config(&server, "vllm", json!({ "model": "m", "concurrency": 3 })), None).unwrap();
    let samples = sampler.sample(&all).unwrap();
    for (request, sample) in all.iter().zip(&samples) {
        assert_eq!(sample.tokens().next(), Some(10 + (request.dice.below(0, 1 << 31) % 50) as u32));
    }
    assert_eq!(samples.len(), 40);
    assert!(seen.load(Ordering::SeqCst) <= 3);
    assert!(sampler.sample(&[]).unwrap().is_empty());
}

fn shared() -> Shared {
    Shared { directory: "/here".into(), server_directory: Some("/there".into()) }
}

#[test]
fn new_weights_are_pushed_in_each_protocols_words() {
    for (protocol, push, expected) in [
        (
            "vllm",
            Push::Weights(shared()),
            vec![
                ("/collective_rpc", json!({ "method": "reload_weights", "kwargs": { "weights_path": "/there/p" } })),
                ("/reset_prefix_cache", json!({})),
            ],
        ),
        (
            "vllm",
            Push::Adapter(shared()),
            vec![("/v1/load_lora_adapter", json!({ "lora_name": "cohort-7", "lora_path": "/there/p" }))],
        ),
        (
            "sglang",
            Push::Weights(shared()),
            vec![("/update_weights_from_disk", json!({ "model_path": "/there/p", "flush_cache": true }))],
        ),
        (
            "sglang",
            Push::Adapter(shared()),
            vec![("/load_lora_adapter", json!({ "lora_name": "cohort-7", "lora_path": "/there/p" }))],
        ),
    ] {
        let server = StandIn::start(|_| Reply::Text(json!({ "success": true }).to_string()));
        let mut config = config(&server, protocol, json!({}));
        config.push = push;
        let sampler = ServerSampler::new(&config, None).unwrap();
        sampler.load(&shared().seen_by_server("p"), 7).unwrap();
        assert_eq!(sampler.version(), 7);
        let asked: Vec<(String, Value)> = server.asked().iter().map(|a| (a.path.clone(), body(a))).collect();
        let expected: Vec<(String, Value)> = expected.into_iter().map(|(path, b)| (path.to_owned(), b)).collect();
        assert_eq!(asked, expected, "{protocol}");
    }
}

/// An adapter has a name of its own each time, by which requests ask for it; the one before goes.
#[test]
fn requests_name_the_newest_adapter() {
    for (protocol, field, unload) in
        [("vllm", "model", "/v1/unload_lora_adapter"), ("sglang", "lora_path", "/unload_lora_adapter")]
    {
        let is_vllm = protocol == "vllm";
        let server = StandIn::start(move |asked: &Asked| {
            Reply::Text(match (asked.path.contains("lora"), is_vllm) {
                (true, true) => "Success".to_owned(),
                (true, false) => json!({ "success": true }).to_string(),
                (false, true) => completion(&[8, END], &[-0.5, -0.25]).to_string(),
                (false, false) => generated(&[8, END], &[-0.5, -0.25]).to_string(),
            })
        });
        let mut config = config(&server, protocol, json!({}));
        config.push = Push::Adapter(shared());
        let sampler = ServerSampler::new(&config, None).unwrap();
        sampler.load("/there/a".as_ref(), 1).unwrap();
        sampler.load("/there/b".as_ref(), 2).unwrap();
        let samples = sampler.sample(&requests(1, &[])).unwrap();
        assert_eq!(samples[0].policy_version, 2);
        let asked = server.asked();
        let told = asked.iter().find(|a| a.path == unload).unwrap();
        assert_eq!(body(told), json!({ "lora_name": "cohort-1" }));
        assert_eq!(body(asked.last().unwrap())[field], "cohort-2");
    }
}

#[test]
fn a_push_that_is_refused_is_told_with_what_to_start_the_server_with() {
    for (protocol, push, reply, part) in [
        (Protocol::Vllm, Push::Weights(shared()), Reply::Status(404, &[], String::new()), "VLLM_SERVER_DEV_MODE"),
        (
            Protocol::Vllm,
            Push::Adapter(shared()),
            Reply::Status(404, &[], String::new()),
            "VLLM_ALLOW_RUNTIME_LORA_UPDATING",
        ),
        (
            Protocol::Sglang,
            Push::Weights(shared()),
            Reply::Text(r#"{"success": false, "message": "repository not found"}"#.to_owned()),
            "repository not found",
        ),
    ] {
        let server = StandIn::start(move |_| reply.clone());
        let mut config = config(&server, "vllm", json!({}));
        (config.protocol, config.push) = (protocol, push);
        let sampler = ServerSampler::new(&config, None).unwrap();
        let error = sampler.load("/there/p".as_ref(), 1).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(sampler.version(), 0, "what was not loaded does not count");
    }
}
