//! Against a stand-in for the Hub: what is asked, what lands in the cache, and what is said when it does not.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use cohort_hub::{Hub, HubError, Progress, Reference, Settings};
use cohort_testing::hub::{COMMIT, Fault, Server, sha256};

/// The stand-in, and a cache of its own.
struct Bench {
    server: Server,
    cache: tempfile::TempDir,
    settings: Settings,
}

const TINY: &str = "models/org/tiny";

fn bench() -> Bench {
    let server = Server::start();
    server.small(TINY, "config.json", "{}");
    server.small(TINY, "tokenizer.json", "{\"t\":1}");
    server.small(TINY, "README.md", "not for a model");
    server.large(TINY, "model.safetensors", weights());
    server.large(TINY, "pytorch_model.bin", b"not this one");
    let cache = tempfile::tempdir().unwrap();
    let settings = Settings {
        cache: Some(cache.path().to_owned()),
        offline: false,
        endpoint: server.url.clone(),
        ..Settings::default()
    };
    Bench { server, cache, settings }
}

fn weights() -> Vec<u8> {
    (0..300_000_u32).map(|i| (i * 7 % 251) as u8).collect()
}

impl Bench {
    fn model(&self, name: &str) -> Result<std::path::PathBuf, HubError> {
        Hub::new(self.settings.clone()).model(&Reference::parse(name).unwrap())
    }

    fn offline(&self, name: &str) -> Result<std::path::PathBuf, HubError> {
        let settings = Settings { offline: true, ..self.settings.clone() };
        Hub::new(settings).model(&Reference::parse(name).unwrap())
    }

    /// Says no with these words, and has no snapshot afterwards.
    fn fails(&self, name: &str, parts: &[&str]) -> HubError {
        let error = self.model(name).unwrap_err();
        let told = error.to_string();
        for part in parts {
            assert!(told.contains(part), "{part:?} is not in {told}");
        }
        assert!(self.offline(name).is_err(), "a download that failed left a model");
        error
    }
}

#[test]
fn a_sentence_encoder_lands_with_its_modules() {
    let bench = bench();
    // As a model it is whole; whether it has modules was never asked.
    let folder = bench.model("hf:org/tiny").unwrap();
    std::fs::remove_dir_all(folder.parent().unwrap().with_file_name(".no_exist")).unwrap();
    for (file, text) in [("modules.json", "[]"), ("1_Pooling/config.json", "{\"p\":1}"), ("onnx/config.json", "{}")] {
        bench.server.small(TINY, file, text);
    }
    bench.server.seen();
    let hub = Hub::new(bench.settings.clone());
    let encoder = || hub.encoder(&Reference::parse("hf:org/tiny").unwrap()).unwrap();
    assert_eq!(encoder(), folder);
    assert_eq!(fs::read_to_string(folder.join("1_Pooling/config.json")).unwrap(), "{\"p\":1}");
    assert!(folder.join("modules.json").is_file() && !folder.join("onnx").exists());
    bench.server.seen();
    assert_eq!(encoder(), folder);
    assert_eq!(bench.server.seen(), Vec::<String>::new(), "what is cached is not asked for");
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_model_lands_in_the_layout_that_other_tools_read() {
    let bench = bench();
    let folder = bench.model("hf:org/tiny").unwrap();
    let repository = bench.cache.path().join("models--org--tiny");
    assert_eq!(folder, repository.join("snapshots").join(COMMIT));
    assert_eq!(names(&folder), ["config.json", "model.safetensors", "tokenizer.json"]);
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights());
    assert_eq!(fs::read_to_string(repository.join("refs/main")).unwrap(), COMMIT);
    assert!(repository.join("blobs").join(sha256(&weights())).is_file());
    assert!(repository.join(".no_exist").join(COMMIT).join("generation_config.json").is_file());
    #[cfg(unix)]
    assert_eq!(
        fs::read_link(folder.join("model.safetensors")).unwrap(),
        Path::new("../../blobs").join(sha256(&weights()))
    );
    assert!(!names(&repository.join("blobs")).iter().any(|n| n.ends_with(".incomplete")));
    let seen = bench.server.seen();
    assert!(!seen.iter().any(|r| r.contains("README") || r.contains("pytorch")), "{seen:?}");

    assert_eq!(bench.model("hf:org/tiny").unwrap(), folder);
    assert_eq!(bench.offline("hf:org/tiny").unwrap(), folder);
    assert_eq!(bench.model(&format!("hf:org/tiny@{COMMIT}")).unwrap(), folder);
    assert_eq!(bench.server.seen(), Vec::<String>::new(), "what is cached is not asked for");

    // A tag of the same commit costs one question, and no file.
    assert_eq!(bench.model("hf:org/tiny@v1").unwrap(), folder);
    assert_eq!(bench.server.seen(), ["/api/models/org/tiny/revision/v1"]);
    bench.model("hf:org/tiny@refs/pr/1").unwrap();
    assert_eq!(bench.server.seen(), ["/api/models/org/tiny/revision/refs%2Fpr%2F1"]);
    bench.offline("hf:org/tiny@refs/pr/1").unwrap();
}

#[test]
fn shards_are_those_that_the_index_names() {
    let bench = bench();
    let sharded = "models/org/sharded";
    bench.server.small(sharded, "config.json", "{}");
    bench.server.small(sharded, "tokenizer.json", "{}");
    let index = r#"{"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors","c":"model-1.safetensors"}}"#;
    bench.server.small(sharded, "model.safetensors.index.json", index);
    for name in ["model-1.safetensors", "model-2.safetensors", "consolidated.safetensors"] {
        bench.server.large(sharded, name, name);
    }
    let folder = bench.model("hf:org/sharded").unwrap();
    let expected = ["config.json", "model-1.safetensors", "model-2.safetensors", "model.safetensors.index.json"];
    assert_eq!(names(&folder), [&expected[..], &["tokenizer.json"]].concat());
    bench.server.seen();

    // A shard that is gone makes the snapshot incomplete, and it alone is brought again.
    fs::remove_file(folder.join("model-2.safetensors")).unwrap();
    assert!(matches!(bench.offline("hf:org/sharded"), Err(HubError::Offline { .. })));
    assert!(bench.server.seen().is_empty());
    bench.model("hf:org/sharded").unwrap();
    let path = format!("/org/sharded/resolve/{COMMIT}/model-2.safetensors");
    assert_eq!(bench.server.seen(), ["/api/models/org/sharded/revision/main".to_owned(), path]);
}

#[test]
fn a_data_file_is_one_file() {
    let bench = bench();
    bench.server.large("datasets/org/sums", "main/train.parquet", "rows");
    let hub = Hub::new(bench.settings.clone());
    let name = Reference::parse("hf:datasets/org/sums/main/train.parquet").unwrap();
    let path = hub.file(&name).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"rows");
    assert!(path.ends_with(format!("datasets--org--sums/snapshots/{COMMIT}/main/train.parquet")), "{path:?}");
    bench.server.seen();
    assert_eq!(hub.file(&name).unwrap(), path);
    assert!(bench.server.seen().is_empty());
    let told = hub.file(&Reference::parse("hf:datasets/org/sums/test.parquet").unwrap()).unwrap_err().to_string();
    assert!(told.contains("no file `test.parquet`") && told.contains("main/train.parquet"), "{told}");
}

#[test]
fn a_broken_connection_is_taken_up_where_it_ended() {
    let bench = bench();
    bench.server.fails(Fault::ClosesAfter(100_000));
    let folder = bench.model("hf:org/tiny").unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), weights());
    let ranges: Vec<_> = bench.server.seen().into_iter().filter(|r| r.starts_with("cdn")).collect();
    let sum = sha256(&weights());
    let expected = ["", " [range bytes=100000-]", " [range bytes=200000-]"].map(|r| format!("cdn /{sum}{r}"));
    assert_eq!(ranges, expected);
}

#[test]
fn a_download_that_was_killed_goes_on() {
    let bench = bench();
    let blobs = bench.cache.path().join("models--org--tiny/blobs");
    fs::create_dir_all(&blobs).unwrap();
    let part = blobs.join(format!("{}.incomplete", sha256(&weights())));
    fs::write(&part, &weights()[..250_000]).unwrap();
    bench.model("hf:org/tiny").unwrap();
    assert!(bench.server.seen().iter().any(|r| r.contains("[range bytes=250000-]")));

    // What lies there may be another file's: its checksum says so, and it does not stay.
    let other = bench_with_part(b"x".repeat(250_000));
    let error = other.fails("hf:org/tiny", &["model.safetensors", "checksum"]);
    assert!(matches!(error, HubError::Corrupt { .. }));
    other.model("hf:org/tiny").unwrap();
}

fn bench_with_part(part: Vec<u8>) -> Bench {
    let bench = bench();
    let blobs = bench.cache.path().join("models--org--tiny/blobs");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join(format!("{}.incomplete", sha256(&weights()))), part).unwrap();
    bench
}

#[test]
fn a_server_that_brings_nothing_is_given_up() {
    let bench = bench();
    bench.server.fails(Fault::ClosesAfter(0));
    let error = bench.fails("hf:org/tiny", &["model.safetensors", "0 bytes of 300000", "run it again"]);
    assert!(matches!(error, HubError::CutShort { got: 0, .. }));
    bench.server.fails(Fault::Corrupts);
    bench.fails("hf:org/tiny", &["checksum"]);
    bench.server.fails(Fault::None);
    bench.model("hf:org/tiny").unwrap();
}

#[test]
fn what_is_not_there_is_named() {
    let bench = bench();
    bench.fails("hf:org/unknown", &["hf:org/unknown", "no such repository", "HF_TOKEN"]);
    bench.fails("hf:org/tiny@v9", &["no revision `v9`"]);
    bench.server.small("models/org/pickled", "pytorch_model.bin", "x");
    bench.fails("hf:org/pickled", &["no weights in safetensors", "pytorch_model.bin"]);
    bench.server.small("models/org/sly", "config.json", "{}");
    bench.server.small(
        "models/org/sly",
        "model.safetensors.index.json",
        r#"{"weight_map":{"a":"../../x.safetensors"}}"#,
    );
    bench.fails("hf:org/sly", &["no weights in safetensors"]);
    let hub = Hub::new(bench.settings.clone());
    assert!(hub.model(&Reference::parse("hf:datasets/a/b/c").unwrap()).unwrap_err().is_of_the_name());
    assert!(hub.file(&Reference::parse("hf:datasets/a/b").unwrap()).unwrap_err().is_of_the_name());
}

#[test]
fn a_repository_that_moved_is_found() {
    let bench = bench();
    bench.model("hf:org/renamed").unwrap();
    bench.offline("hf:org/renamed").unwrap();
}

#[test]
fn a_token_goes_to_the_hub_alone() {
    let mut bench = bench();
    bench.server.wants("hf_secret");
    bench.fails("hf:org/tiny", &["no such repository", "HF_TOKEN"]);
    bench.settings.token = Some("hf_old".to_owned());
    bench.fails("hf:org/tiny", &["401", "outdated"]);
    bench.settings.token = Some("hf_secret".to_owned());
    bench.server.seen();
    bench.model("hf:org/tiny").unwrap();
    for request in bench.server.seen() {
        assert_eq!(request.contains("[auth Bearer hf_secret]"), !request.starts_with("cdn"), "{request}");
    }
}

#[test]
fn a_server_that_refuses_or_is_another_is_told_apart() {
    let bench = bench();
    for (fault, parts) in [
        (Fault::Status(403, "GatedRepo"), vec!["403", "said so", "terms"]),
        (Fault::Status(401, ""), vec!["401", "HF_TOKEN"]),
        (Fault::Status(500, ""), vec!["status 500", "try again"]),
        (Fault::Html, vec!["does not answer as the Hub does", "<html>", "HF_ENDPOINT"]),
    ] {
        bench.server.fails(fault);
        bench.fails("hf:org/tiny", &parts);
    }
}

#[test]
fn nobody_listens() {
    let mut bench = bench();
    // The port was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    bench.settings.endpoint = format!("http://127.0.0.1:{port}");
    let error = bench.fails("hf:org/tiny", &["hf:org/tiny", "cannot be reached", "127.0.0.1"]);
    assert!(matches!(error, HubError::Unreachable { .. }));

    // A model that another tool cached without a tokenizer is used all the same.
    let snapshot = bench.cache.path().join("models--org--tiny/snapshots/abc");
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(bench.cache.path().join("models--org--tiny/refs")).unwrap();
    fs::write(bench.cache.path().join("models--org--tiny/refs/main"), "abc").unwrap();
    fs::write(snapshot.join("config.json"), "{}").unwrap();
    fs::write(snapshot.join("model.safetensors"), "w").unwrap();
    assert_eq!(bench.model("hf:org/tiny").unwrap(), snapshot);
}

#[test]
fn offline_says_where_it_looked() {
    let bench = bench();
    let told = bench.offline("hf:org/tiny").unwrap_err().to_string();
    assert!(told.contains("HF_HUB_OFFLINE") && told.contains("models--org--tiny"), "{told}");
    assert!(bench.server.seen().is_empty());
}

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Progress for Notes {
    fn begin(&self, file: &str, bytes: Option<u64>, here: u64) {
        self.0.lock().unwrap().push(format!("{file} {bytes:?} {here} 0"));
    }

    fn advance(&self, bytes: u64) {
        let mut notes = self.0.lock().unwrap();
        let last = notes.last_mut().unwrap();
        let (start, sum) = last.rsplit_once(' ').unwrap();
        *last = format!("{start} {}", sum.parse::<u64>().unwrap() + bytes);
    }

    fn end(&self) {
        self.0.lock().unwrap().last_mut().unwrap().push('.');
    }
}

#[test]
fn progress_counts_every_byte_once() {
    let bench = bench();
    bench.server.fails(Fault::ClosesAfter(200_000));
    let notes = Arc::new(Notes::default());
    let hub = Hub::new(bench.settings.clone()).watched_by(notes.clone());
    hub.model(&Reference::parse("hf:org/tiny").unwrap()).unwrap();
    let expected =
        ["config.json Some(2) 0 2.", "tokenizer.json Some(7) 0 7.", "model.safetensors Some(300000) 0 300000."];
    assert_eq!(*notes.0.lock().unwrap(), expected);
}

#[test]
fn two_at_once_bring_one_copy() {
    let bench = bench();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| bench.model("hf:org/tiny").unwrap());
        }
    });
    let downloads = bench.server.seen().iter().filter(|r| r.starts_with("cdn")).count();
    assert_eq!(downloads, 1);
}
