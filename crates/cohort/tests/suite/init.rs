//! `cohort init`: a first recipe from what is there.

use std::fs;

use crate::common::{Place, model};

/// A place with a model in `model/`, and rows.
fn place(rows: &str) -> Place {
    let place = Place::new();
    model::characters(&place.path("model"));
    place.write("rows.jsonl", rows);
    place
}

fn sums(n: usize) -> String {
    (0..n).map(|i| format!("{{\"id\":{i},\"question\":\"{i}+1=\",\"answer\":\"{}\"}}\n", i + 1)).collect()
}

const INIT: [&str; 7] = ["init", "--model", "model", "--data", "rows.jsonl", "--out", "first.toml"];

fn init<'a>(more: &[&'a str]) -> Vec<&'a str> {
    INIT.into_iter().chain(more.iter().copied()).collect()
}

/// Two short steps of the recipe as it stands.
fn trains(place: &Place) {
    let short =
        ["train.steps=1", "rollout.max_new_tokens=4", "eval.limit=2", "eval.samples=1", "train.prompts_per_step=2"];
    let mut arguments = vec!["train", "first.toml", "--run-dir", "run"];
    short.iter().for_each(|set| arguments.extend(["--set", set]));
    place.cohort(&arguments).well();
    assert_eq!(place.json("run/summary.json")["steps"], 1);
    fs::remove_dir_all(place.path("run")).expect("a run");
}

#[test]
fn a_recipe_is_written_that_trains_as_it_stands() {
    let place = place(&sums(40));
    let ran = place.cohort(&INIT).well();
    assert!(ran.stdout.contains("cohort train first.toml"), "{}", ran.stdout);
    let text = String::from_utf8(place.bytes("first.toml")).unwrap();
    for part in [
        "model = \"model\"",
        "{{ question }}",
        "compare = \"number\"",
        "40 rows",
        "dev = 4",
        "M parameters",
        "chat template: no",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    assert!(text.contains("#   id (number): 0"), "{text}");
    trains(&place);

    place.cohort(&INIT).failed(2, &["first.toml is there already", "--force"]);
    assert_eq!(place.bytes("first.toml"), text.as_bytes());
    place.cohort(&init(&["--force", "--prompt", "id"])).well();
    assert!(String::from_utf8(place.bytes("first.toml")).unwrap().contains("{{ id }}"));
}

#[test]
fn worked_answers_chats_and_texts_are_told_apart() {
    let worked = "{\"question\":\"1+1?\",\"answer\":\"One and one.\\n#### 1,002\"}\n";
    let place = place(&worked.repeat(8));
    place.cohort(&INIT).well();
    let text = String::from_utf8(place.bytes("first.toml")).unwrap();
    assert!(text.contains("after('####')") && text.contains("compare = \"number\""), "{text}");
    trains(&place);

    let chat = "{\"messages\":[{\"role\":\"user\",\"content\":\"1+1?\"}],\"label\":\"two\"}\n";
    place.write("rows.jsonl", &chat.repeat(8));
    place.cohort(&init(&["--force"])).failed(3, &["chat messages, and the model no chat template", "--prompt"]);
    place.write(
        "model/chat_template.jinja",
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:",
    );
    place.cohort(&init(&["--force"])).well();
    let text = String::from_utf8(place.bytes("first.toml")).unwrap();
    for part in ["messages = \"messages\"", "answer = \"label\"", "compare = \"exact\"", "chat template: yes"] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    trains(&place);
}

#[test]
fn rows_as_people_have_them() {
    // A byte order mark, Windows line ends, blank lines, a broken line.
    let rows = sums(12).replace('\n', "\r\n\r\n");
    let place = place(&format!("\u{feff}{rows}{{\"question\": \r\n"));
    place.cohort(&INIT).well();
    let text = String::from_utf8(place.bytes("first.toml")).unwrap();
    assert!(text.contains("12 rows, and 1 bad lines") && text.contains("on_bad_row = \"skip\""), "{text}");
    trains(&place);

    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../env/tests/golden/zstd.parquet");
    let parquet = [
        "init",
        "--model",
        "model",
        "--data",
        golden,
        "--answer",
        "small",
        "--out",
        "table.toml",
        "--prompt",
        "question",
    ];
    place.cohort(&parquet).well();
    let text = String::from_utf8(place.bytes("table.toml")).unwrap();
    assert!(text.contains("3 rows") && text.contains("is_hard (boolean, 1 of 3 empty): false"), "{text}");
}

#[test]
fn what_is_missing_is_named() {
    let place = place(&sums(4));
    let with =
        |model: &str, data: &str| place.cohort(&["init", "--model", model, "--data", data, "--out", "none.toml"]);
    with("nowhere", "rows.jsonl").failed(3, &["nowhere", "config.json"]);
    with("model", "nowhere.jsonl").failed(3, &["--data", "nowhere.jsonl", "No such file"]);
    with("model", "model").failed(3, &["--data", "is a directory"]);
    place.write("empty.jsonl", "");
    with("model", "empty.jsonl").failed(3, &["empty.jsonl", "no row", "it is empty"]);
    place.write("bad.jsonl", "x\n[1]\n");
    with("model", "bad.jsonl").failed(3, &["no row", "of 2 lines"]);
    place.write("odd.jsonl", "{\"foo\":\"a\",\"bar\":1}\n");
    with("model", "odd.jsonl").failed(3, &["no column looks like a prompt", "`foo`, `bar`", "--prompt"]);
    place.write("question.jsonl", "{\"question\":\"a\",\"bar\":1}\n");
    with("model", "question.jsonl").failed(3, &["no column looks like an answer", "`question`, `bar`", "--answer"]);
    place.cohort(&init(&["--answer", "gold"])).failed(2, &["no column `gold`", "`answer`"]);
    // Weights alone are no model.
    fs::create_dir(place.path("bare")).unwrap();
    fs::copy(place.path("model/model.safetensors"), place.path("bare/model.safetensors")).unwrap();
    with("bare", "rows.jsonl").failed(3, &["config.json"]);
    fs::copy(place.path("model/config.json"), place.path("bare/config.json")).unwrap();
    with("bare", "rows.jsonl").failed(3, &["no tokenizer.json"]);
    assert!(!place.path("none.toml").exists());
}
