use std::{fs, path::PathBuf};

use serde_json::json;

use super::*;
use crate::{
    Fault, Means, Split, VerifierConfig, judge_one,
    testing::{self, Bytes},
    verifier::{Answer as AnswerVerifier, answer::Compare, number::Number},
};

const QUESTION: &str = "{{ question }}";

/// A folder with one file, `rows.jsonl`.
fn folder(text: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn data(path: &Path, keys: serde_json::Value) -> Data {
    let mut all = json!({ "path": path.to_str().unwrap() });
    all.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn source() -> Source<'static> {
    static NONE: ChatTemplates = ChatTemplates::NONE;
    Source { codec: &Bytes, limits: Limits::NONE, data_folder: None, chat_templates: &NONE }
}

fn templates(named: &[(&str, &str)]) -> ChatTemplates {
    let named = named.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    ChatTemplates { named, ..ChatTemplates::NONE }
}

fn load(text: impl AsRef<[u8]>, keys: serde_json::Value) -> Result<Task, TaskError> {
    let (_folder, path) = folder(text);
    data(&path, keys).load(&source())
}

fn prompts(items: &[Item]) -> Vec<&str> {
    items.iter().map(|item| item.prompt.as_str()).collect()
}

fn numbered(n: usize) -> String {
    (0..n).map(|i| format!("{{\"prompt\": \"p{i:02}\"}}\n")).collect()
}

#[test]
fn a_row_becomes_an_item_with_all_its_columns() {
    let row = r#"{"question": "1+1?", "answer": "It is\n#### 2,000", "level": 3}"#;
    let keys = json!({
        "prompt": "Q: {{ question }}\nA:",
        "answer_template": "{{ answer | after('####') | trim | replace(',', '') }}",
        "solution": "{{ answer }}",
    });
    let task = load(format!("\n{row}\n"), keys).unwrap();
    let [item] = task.items(Split::Train) else { panic!("{task:?}") };
    assert_eq!(item.prompt, "Q: 1+1?\nA:");
    assert_eq!(item.context, Context::of_tokens(Bytes.encode(&item.prompt).unwrap()));
    assert_eq!(item.columns["answer"], "2000");
    assert_eq!(item.columns["level"], 3);
    assert_eq!(item.columns["question"], "1+1?");
    let ids = item.solution.as_ref().unwrap();
    assert_eq!((Bytes.decode(ids).as_str(), ids.last()), ("It is\n#### 2,000", Some(&256)));
    assert!(item.origin.to_string().ends_with("rows.jsonl:2"), "{}", item.origin);
    assert!(task.skipped.is_empty());
}

#[test]
fn the_column_prompt_is_the_prompt_unless_told() {
    let task = load(r#"{"prompt": "hi", "gold": 7}"#, json!({ "answer": "gold" })).unwrap();
    assert_eq!(prompts(&task.train), ["hi"]);
    assert_eq!(task.train[0].columns["answer"], 7);
    assert_eq!(task.train[0].solution, None);
}

#[test]
fn messages_go_through_the_models_template() {
    let (_folder, path) = folder(r#"{"chat": [{"role": "user", "content": "hi"}]}"#);
    let config = data(&path, json!({ "messages": "chat" }));
    let template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]";
    let templates = templates(&[("default", template)]);
    let task = config.load(&Source { chat_templates: &templates, ..source() }).unwrap();
    assert_eq!(prompts(&task.train), ["[user]hi[assistant]"]);
    let error = config.load(&source()).unwrap_err();
    assert!(error.to_string().contains("no chat template"), "{error}");
    assert_eq!(error.fault(), Fault::Data);
}

/// As TRL and verl keep them: the column `prompt` holds a text, or the messages.
#[test]
fn the_column_prompt_may_hold_messages() {
    let (_folder, path) =
        folder("{\"prompt\": [{\"role\": \"user\", \"content\": \"hi\"}]}\n{\"prompt\": \"plain\"}\n");
    let config = data(&path, json!({}));
    let chat = templates(&[("default", "[{{ messages[0].content }}]")]);
    let task = config.load(&Source { chat_templates: &chat, ..source() }).unwrap();
    assert_eq!(prompts(&task.train), ["[hi]", "plain"]);
    let error = config.load(&source()).unwrap_err().to_string();
    assert!(error.contains("rows.jsonl:1") && error.contains("no chat template"), "{error}");
}

#[test]
fn tools_documents_and_variables_come_from_the_row_and_the_recipe() {
    let rows = [
        r#"{"chat": [{"role": "user", "content": "a"}], "tools": [{"name": "f"}], "docs": [{"title": "t"}], "vars": {"effort": "high", "x": null}}"#,
        r#"{"chat": [{"role": "user", "content": "b"}], "tools": "[{\"name\": \"g\"}]", "docs": null, "vars": null}"#,
        r#"{"chat": [{"role": "user", "content": "c"}], "tools": null, "docs": null, "vars": {}}"#,
    ];
    let (_folder, path) = folder(rows.join("\n"));
    let keys = json!({ "messages": "chat", "chat": {
        "tools": "tools", "documents": "docs", "row_variables": "vars", "date": "2024-02-29",
        "variables": { "effort": "low", "x": 1 },
    }});
    let config = data(&path, keys);
    let body = "{{ messages[0].content }}{% if documents %} {{ documents[0].title }}{% endif %} {{ effort }}{{ x }}";
    let with_tools = format!("{{{{ tools[0].name }}}} {body}");
    let chat = templates(&[("default", &format!("{body} {{{{ strftime_now('%d %b') }}}}")), ("tool_use", &with_tools)]);
    let task = config.load(&Source { chat_templates: &chat, ..source() }).unwrap();
    assert_eq!(prompts(&task.train), ["f a t high1", "g b low1", "c low1 29 Feb"]);

    for (column, part) in [("chat", "a list of objects, or null"), ("nothing", "lacks `nothing`")] {
        let keys = json!({ "messages": "chat", "chat": { "tools": "vars", "documents": column } });
        let error = data(&path, keys).load(&Source { chat_templates: &chat, ..source() }).unwrap_err().to_string();
        assert!(error.contains("data.chat.tools") && error.contains("an object") || error.contains(part), "{error}");
    }
}

#[test]
fn a_template_may_be_named_or_a_file() {
    let (folder, path) = folder("{\"chat\": [{\"role\": \"user\", \"content\": \"hi\"}]}");
    let file = folder.path().join("own.jinja");
    fs::write(&file, "own {{ messages[0].content }}").unwrap();
    let chat = templates(&[("default", "a"), ("rag", "rag {{ messages[0].content }}"), ("broken", "{% if %}")]);
    for (template, expected) in [(json!({ "named": "rag" }), "rag hi"), (json!({ "path": file }), "own hi")] {
        let config = data(&path, json!({ "messages": "chat", "chat": { "template": template } }));
        let task = config.load(&Source { chat_templates: &chat, ..source() }).unwrap();
        assert_eq!(prompts(&task.train), [expected]);
    }
    let config = data(&path, json!({ "messages": "chat", "chat": { "template": { "named": "none" } } }));
    let error = config.load(&Source { chat_templates: &chat, ..source() }).unwrap_err().to_string();
    assert!(error.contains("broken, default, rag"), "{error}");
}

/// Each bad row, what the error says of it, and the name it is counted under.
#[test]
fn each_bad_row_is_an_error_with_file_and_line_and_can_be_skipped() {
    let limits = Limits { prompt: 20, total: 30 };
    let chat = templates(&[("default", "{{ messages[0].content }}")]);
    let good = r#"{"question": "fine", "answer": "1", "prompt": "fine", "chat": [{"role": "user", "content": "x"}]}"#;
    let cases = [
        (json!({ "prompt": QUESTION }), "{question", "not_json", "not JSON"),
        (json!({ "prompt": QUESTION }), "[1]", "not_an_object", "a list"),
        (json!({ "prompt": QUESTION }), r#"{"q": "x"}"#, "missing_field", "lacks `question`"),
        (json!({ "prompt": QUESTION }), r#"{"question": null}"#, "wrong_type", "`question`"),
        (json!({ "prompt": QUESTION }), r#"{"question": " \n"}"#, "empty", "`data.prompt` gives an empty text"),
        (
            json!({ "prompt": QUESTION }),
            r#"{"question": "123456789012345678901"}"#,
            "prompt_too_long",
            "21 tokens, and 20 at most",
        ),
        (
            json!({ "prompt": QUESTION, "max_prompt_tokens": 5 }),
            r#"{"question": "123456"}"#,
            "prompt_too_long",
            "data.max_prompt_tokens",
        ),
        (json!({ "prompt": QUESTION }), r#"{"question": "a\u0000b"}"#, "unencodable", "a NUL has no id"),
        (
            json!({ "prompt": QUESTION, "solution": QUESTION }),
            r#"{"question": "12345678901234567890"}"#,
            "solution_too_long",
            "30 positions",
        ),
        (
            json!({ "prompt": QUESTION, "answer": "gold" }),
            r#"{"question": "x"}"#,
            "missing_field",
            "lacks `gold`, which `data.answer`",
        ),
        (
            json!({ "prompt": QUESTION, "answer": "answer" }),
            r#"{"question": "x", "answer": null}"#,
            "wrong_type",
            "`answer`",
        ),
        (
            json!({ "prompt": QUESTION, "answer": "answer" }),
            r#"{"question": "x", "answer": ""}"#,
            "empty",
            "data.answer",
        ),
        (
            json!({ "prompt": QUESTION, "answer_template": "{{ answer | before('!') }}" }),
            r#"{"question": "x", "answer": "1"}"#,
            "unrenderable",
            "data.answer_template",
        ),
        (json!({}), r#"{"question": "x"}"#, "missing_field", "lacks `prompt`"),
        (json!({}), r#"{"prompt": 3}"#, "wrong_type", "data.messages"),
        (json!({}), r#"{"prompt": []}"#, "bad_messages", "empty"),
        (json!({ "messages": "chat" }), r#"{"prompt": "x"}"#, "missing_field", "lacks `chat`, which `data.messages`"),
        (json!({ "messages": "chat" }), r#"{"chat": "x"}"#, "bad_messages", "a string"),
    ];
    for (keys, bad, kind, part) in cases {
        // The good row serves the templates that would refuse it, too.
        let good = good.replace(r#""answer": "1""#, r#""answer": "1!", "gold": "1""#);
        let (_folder, path) = folder(format!("{good}\n\n{bad}\n{good}\n{bad}\n"));
        let mut config = data(&path, keys);
        let source = Source { limits, chat_templates: &chat, ..source() };
        let error = config.load(&source).unwrap_err();
        assert_eq!(error.fault(), Fault::Data);
        let text = error.to_string();
        assert!(text.contains("rows.jsonl:3: ") && text.contains(part), "{kind}: {text}");

        config.on_bad_row = OnBadRow::Skip;
        let task = config.load(&source).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!((task.train.len(), task.skipped.total()), (2, 2), "{kind}");
        let reason = &task.skipped.reasons[kind];
        assert!(reason.count == 2 && reason.first.contains("rows.jsonl:3: "), "{reason:?}");
    }
}

#[test]
fn invalid_utf8_names_its_line() {
    let error = load(b"{\"prompt\": \"a\"}\n{\"prompt\": \"\xC3(\"}\n", json!({})).unwrap_err().to_string();
    assert!(error.contains("rows.jsonl:2: ") && error.contains("not UTF-8 from its byte 13"), "{error}");
}

#[test]
fn skipped_rows_are_told_by_reason() {
    let task = load("{\"prompt\": \"a\"}\n{}\nx\n{}\n", json!({ "on_bad_row": "skip" })).unwrap();
    let told = task.skipped.to_string();
    assert!(told.starts_with("3 rows skipped: 2 missing_field (first: "), "{told}");
    assert!(told.contains("rows.jsonl:2: ") && told.contains(", 1 not_json (first: "), "{told}");
}

#[test]
fn nothing_left_is_an_error() {
    for (text, keys) in [("\n\n", json!({})), ("{}\n{}\n", json!({ "on_bad_row": "skip" }))] {
        let error = load(text, keys).unwrap_err().to_string();
        assert!(
            error.contains("rows.jsonl") && error.contains("data.path") && error.contains("no usable row"),
            "{error}"
        );
    }
}

#[test]
fn absent_files_directories_and_unset_folders_are_named() {
    let (folder, path) = folder(numbered(2));
    let failed = |config: Data| config.load(&source()).unwrap_err().to_string();
    let absent = failed(data(&folder.path().join("absent.jsonl"), json!({})));
    assert!(absent.contains("data.path") && absent.contains("absent.jsonl"), "{absent}");
    let directory = failed(data(folder.path(), json!({})));
    assert!(directory.contains("is a directory"), "{directory}");
    let absent = failed(data(&path, json!({ "test_path": "absent_test.jsonl" })));
    assert!(absent.contains("data.test_path") && absent.contains("absent_test.jsonl"), "{absent}");
    let unset = failed(data(Path::new("data:rows.jsonl"), json!({})));
    assert!(unset.contains("COHORT_DATA"), "{unset}");
    let found = data(Path::new("data:rows.jsonl"), json!({}));
    assert_eq!(found.load(&Source { data_folder: Some(folder.path()), ..source() }).unwrap().train.len(), 2);
}

#[test]
fn rows_are_set_aside_by_the_seed_and_keep_their_order() {
    let split = |seed: u64| load(numbered(30), json!({ "dev": 5, "test": 7, "seed": seed })).unwrap();
    let task = split(0);
    assert_eq!((task.train.len(), task.dev.len(), task.test.len()), (18, 5, 7));
    let mut all = Vec::new();
    for items in [&task.train, &task.dev, &task.test] {
        let prompts = prompts(items);
        assert!(prompts.is_sorted(), "{prompts:?}");
        all.extend(prompts);
    }
    all.sort_unstable();
    assert_eq!(all, (0..30).map(|i| format!("p{i:02}")).collect::<Vec<_>>());
    assert_eq!(prompts(&task.dev), prompts(&split(0).dev));
    assert_ne!(prompts(&task.test), prompts(&split(1).test));
    let error = load(numbered(12), json!({ "dev": 5, "test": 7 })).unwrap_err();
    assert!(error.to_string().contains("data.dev + data.test") && error.to_string().contains("12 of 12"), "{error}");
    assert_eq!(error.fault(), Fault::Recipe);
}

#[test]
fn a_test_file_is_the_test_split() {
    let (folder, path) = folder(numbered(3));
    let test = folder.path().join("test.jsonl");
    fs::write(&test, "{\"prompt\": \"t0\"}\nx\n").unwrap();
    let mut config = data(&path, json!({ "test_path": test.to_str().unwrap() }));
    let error = config.load(&source()).unwrap_err().to_string();
    assert!(error.contains("test.jsonl:2: "), "{error}");
    config.on_bad_row = OnBadRow::Skip;
    let task = config.load(&source()).unwrap();
    assert_eq!((prompts(&task.train).len(), prompts(&task.test), task.skipped.total()), (3, vec!["t0"], 1));
}

#[test]
fn contradictions_and_bad_templates_are_the_recipes_fault() {
    for (keys, parts) in [
        (json!({ "test_path": "x", "test": 3 }), ["data.test_path", "data.test"]),
        (json!({ "prompt": "x", "messages": "y" }), ["data.prompt", "data.messages"]),
        (json!({ "answer": "x", "answer_template": "y" }), ["data.answer", "data.answer_template"]),
        (json!({ "prompt": "{{ x" }), ["data.prompt", "line 1"]),
        (json!({ "prompt": "x", "chat": {} }), ["data.prompt", "data.chat"]),
        (json!({ "chat": { "template": { "named": "rag" } } }), ["data.chat.template.named", "rag"]),
        (json!({ "solution": "{% if %}" }), ["data.solution", "line 1"]),
    ] {
        let error = load(numbered(1), keys).unwrap_err();
        assert_eq!(error.fault(), Fault::Recipe);
        assert!(parts.iter().all(|part| error.to_string().contains(part)), "{error}");
    }
}

#[test]
fn unknown_keys_are_refused_and_resolved_ones_read_again() {
    let error = serde_json::from_str::<Data>(r#"{"path": "x", "promt": "y"}"#).unwrap_err().to_string();
    assert!(error.contains("promt") && error.contains("prompt"), "{error}");
    let error = serde_json::from_str::<Data>(r#"{"path": "x", "on_bad_row": "ignore"}"#).unwrap_err().to_string();
    assert!(error.contains("ignore") && error.contains("skip"), "{error}");
    let config = data(
        Path::new("x"),
        json!({ "dev": 5, "on_bad_row": "skip", "messages": "chat", "chat": { "ask": "continue" } }),
    );
    assert_eq!(serde_json::from_value::<Data>(serde_json::to_value(&config).unwrap()).unwrap(), config);
}

#[test]
fn every_row_of_gsm8k_is_an_item_with_a_number() {
    let Some(path) = cohort_testing::shared_data("every_row_of_gsm8k_is_an_item_with_a_number", "gsm8k/train.jsonl")
    else {
        return;
    };
    let config = data(
        &path,
        json!({
            "prompt": "Question: {{ question }}\nAnswer:",
            "answer_template": "{{ answer | after('####') | trim }}",
            "solution": "{{ answer }}",
            "dev": 100,
        }),
    );
    let task = config.load(&source()).unwrap();
    assert_eq!((task.train.len(), task.dev.len(), task.skipped.total()), (7373, 100, 0));
    let verifier = VerifierConfig::Answer(AnswerVerifier {
        after: Some("####".into()),
        compare: Compare::Number,
        ..AnswerVerifier::default()
    });
    let verifier = verifier.build(&Means::default()).unwrap();
    for item in task.train.iter().chain(&task.dev) {
        let answer = item.columns["answer"].as_str().unwrap();
        assert!(Number::parse(answer).is_some(), "{}: {answer}", item.origin);
        let worked = Bytes.decode(item.solution.as_ref().unwrap());
        assert_eq!(judge_one(&*verifier, &testing::view(item, &worked)).outcome.value(), Some(1.0), "{}", item.origin);
    }
}
