//! `hf:` names wherever a model or a data file may be named.

use std::{fs, process::Command};

use cohort_testing::hub::{COMMIT, Fault, Server};

use crate::common::{Place, Ran, TINY};

const ROW: &str = "{\"prompt\":\"12+34=\",\"answer\":\"46\"}\n";

/// A place with a trained model in `run/checkpoints/last`, and a stand-in for the Hub that has it as `org/tiny`.
fn place() -> (Place, Server) {
    let place = Place::new();
    place.train("run", &["--set", "train.steps=1"]).well();
    let server = Server::start();
    for entry in fs::read_dir(place.path("run/checkpoints/last")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match name.ends_with(".safetensors") {
            true => server.large("models/org/tiny", &name, fs::read(&path).unwrap()),
            false if path.is_file() => server.small("models/org/tiny", &name, fs::read(&path).unwrap()),
            false => {}
        }
    }
    server.large("datasets/org/sums", "train.jsonl", ROW.repeat(3));
    let recipe = TINY
        .replace("[task.arithmetic]\nheld_out = 16\ndev = 16", "[data]\npath = \"hf:datasets/org/sums/train.jsonl\"");
    let new = recipe.find("[policy.new]").unwrap()..recipe.find("[data]").unwrap();
    place.write("hub.toml", &recipe.replace(&recipe[new], "[policy]\nmodel = \"hf:org/tiny\"\n\n"));
    (place, server)
}

fn online(command: &mut Command, server: &Server) -> Ran {
    Ran::of(command.env("HF_ENDPOINT", &server.url).output().expect("it runs"))
}

/// No variable of the caller's reaches the binary.
fn command(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.command(arguments);
    for name in
        ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "SSL_CERT_FILE"]
    {
        command.env_remove(name);
    }
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command.env("HF_HOME", place.path("hf"));
    command
}

#[test]
fn a_recipe_that_names_the_hub_trains_and_then_needs_no_network() {
    let (place, server) = place();
    let train = |run| command(&place, &["train", "hub.toml", "--run-dir", run, "--set", "train.steps=1"]);
    let ran = online(&mut train("first"), &server).well();
    assert!(ran.stderr.contains("downloading model.safetensors"), "{}", ran.stderr);
    assert!(ran.stderr.contains("downloading train.jsonl"), "{}", ran.stderr);
    server.seen();
    let ran = online(&mut train("second"), &server).well();
    assert!(!ran.stderr.contains("downloading"), "{}", ran.stderr);
    assert!(server.seen().is_empty());
    for file in ["metrics.jsonl", "rollouts.jsonl"] {
        assert_eq!(place.bytes(&format!("first/{file}")), place.bytes(&format!("second/{file}")), "{file}");
    }
    let mut offline = command(&place, &["sample", "--model", &format!("hf:org/tiny@{COMMIT}"), "--prompt", "1+1="]);
    Ran::of(offline.env("HF_HUB_OFFLINE", "1").output().expect("it runs")).well();
}

#[test]
fn what_the_hub_refuses_is_a_fault_of_the_model() {
    let (place, server) = place();
    let sample = |name: &str| command(&place, &["sample", "--model", name, "--prompt", "1+1="]);
    online(&mut sample("hf:org/unknown"), &server).failed(3, &["`--model`: hf:org/unknown", "no such repository"]);
    online(&mut sample("hf:org/tiny@v9"), &server).failed(3, &["no revision `v9`"]);
    online(&mut sample("hf:org/ti ny"), &server).failed(2, &["`--model`", "is no name of the Hub", "hint"]);
    online(&mut sample("hf:datasets/org/sums/train.jsonl"), &server).failed(2, &["a model is expected"]);
    online(sample("hf:org/tiny").env("HF_HUB_OFFLINE", "1"), &server)
        .failed(3, &["HF_HUB_OFFLINE", "models--org--tiny"]);
    server.fails(Fault::ClosesAfter(0));
    online(&mut sample("hf:org/tiny"), &server).failed(3, &["model.safetensors", "ended after 0 bytes"]);
    server.fails(Fault::Status(401, ""));
    online(&mut sample("hf:org/tiny"), &server).failed(3, &["401", "HF_TOKEN"]);
    server.fails(Fault::None);
    let set = ["train", "hub.toml", "--run-dir", "run2", "--set", "data.path=hf:datasets/org/sums/nothing.jsonl"];
    online(&mut command(&place, &set), &server).failed(3, &["`data.path`", "no file `nothing.jsonl`", "train.jsonl"]);
}
