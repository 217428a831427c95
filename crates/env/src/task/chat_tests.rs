use serde_json::json;
use sha2::{Digest, Sha256};

use super::*;

const SOURCE: &str = "{{ bos_token }}{% for message in messages %}\n\
    {% if message.role == 'system' and message.content == 'no' %}{{ raise_exception('no system') }}{% endif %}\n\
    [{{ message['role'] }}]{{ message.content.strip() }}\n\
    {% endfor %}\n\
    {% if tools %}TOOLS{% endif %}\n\
    {%- if add_generation_prompt %}[assistant]{% endif %}";

fn special(tokens: &[(&str, &str)]) -> SpecialTokens {
    SpecialTokens(tokens.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
}

fn template(source: &str) -> ChatTemplate {
    ChatTemplate::new(source, special(&[("bos_token", "<s>")]), Date::DEFAULT).unwrap()
}

fn rendered(source: &str, ask: Ask, messages: &Value) -> Result<String, RowFault> {
    let conversation = Conversation { messages, tools: None, documents: None, variables: &Map::new(), ask };
    template(source).render("data.messages", &conversation)
}

#[test]
fn messages_become_a_prompt_for_the_next() {
    let messages = json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": " 1+1? "}]);
    let text = rendered(SOURCE, Ask::Answer, &messages).unwrap();
    assert_eq!(text, "<s>[system]Be brief.\n[user]1+1?\n[assistant]");
}

#[test]
fn messages_that_ask_nothing_are_refused() {
    for (messages, part) in [
        (json!("hello"), "a string"),
        (json!([]), "empty"),
        (json!([["user", "x"]]), "message 0 is a list"),
        (json!([{"content": "x"}]), "message 0 has no `role`"),
        (json!([{"role": 3}]), "role of message 0 is a number"),
        (json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]), "assistant's"),
    ] {
        let error = rendered(SOURCE, Ask::Answer, &messages).unwrap_err();
        assert_eq!(error.kind(), "bad_messages");
        assert!(error.to_string().contains("data.messages") && error.to_string().contains(part), "{error}");
    }
}

#[test]
fn what_the_template_refuses_is_told_in_its_words() {
    let messages = json!([{"role": "system", "content": "no"}, {"role": "user", "content": "x"}]);
    let error = rendered(SOURCE, Ask::Answer, &messages).unwrap_err();
    assert_eq!(error.to_string(), "`data.messages` cannot be rendered: no system");
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    messages: Value,
    tools: Option<Value>,
    documents: Option<Value>,
    #[serde(default)]
    variables: Map<String, Value>,
    #[serde(default)]
    ask: Ask,
}

#[derive(serde::Deserialize)]
struct Golden {
    cases: BTreeMap<String, Case>,
    texts: BTreeMap<String, BTreeMap<String, Value>>,
}

/// A text as the golden file has it: itself where it is short, else the beginning of its hash.
fn digest(text: &str) -> Value {
    if text.chars().count() <= 64 {
        return text.into();
    }
    let hash: String = Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("#{hash}").into()
}

/// Published templates, against what transformers makes of them (`null`: it raises).
#[test]
fn published_templates_render_as_in_transformers() {
    let golden: Golden = serde_json::from_str(include_str!("chat_golden.json")).unwrap();
    let mut wrong = Vec::new();
    for (name, texts) in &golden.texts {
        let Some(path) = cohort_testing::shared_data(
            "published_templates_render_as_in_transformers",
            &format!("chat_templates/{name}.jinja"),
        ) else {
            return;
        };
        let special = special(&[("bos_token", "<bos>"), ("eos_token", "<eos>")]);
        let template = ChatTemplate::new(&std::fs::read_to_string(path).unwrap(), special, Date::DEFAULT);
        let Ok(template) = template.map_err(|error| wrong.push(format!("{name}: {error}"))) else { continue };
        for (case, expected) in texts {
            let Case { messages, tools, documents, variables, ask } = &golden.cases[case];
            let (tools, documents) = (tools.as_ref(), documents.as_ref());
            let conversation = Conversation { messages, tools, documents, variables, ask: *ask };
            let found = template.render("m", &conversation);
            if found.as_deref().map_or(Value::Null, digest) != *expected {
                wrong.push(format!("{name} {case}: {found:?}, and not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_a_generation_block_sets_is_not_seen_outside() {
    let source = "{% set x = 1 %}{%- generation %}{% set x = 2 %}{{ x }}{% endgeneration -%} {{ x }}";
    let messages = json!([{"role": "user", "content": "a"}]);
    assert_eq!(rendered(source, Ask::Answer, &messages).as_deref(), Ok("21"));
}

/// Where Jinja and minijinja differ, one line each, against what Jinja 3.1 writes.
#[test]
fn templates_see_what_jinja_shows() {
    let message = json!([{"role": "user", "content": [{"type": "text", "text": "it's", "n": 1e-5}], "none": null}]);
    for (source, expected) in [
        ("{{ messages[0].content }}", r#"[{'type': 'text', 'text': "it's", 'n': 1e-05}]"#),
        ("{{ messages[0].content | string | length }} {{ nothing | length }}", "46 0"),
        ("{{ messages[0].content | trim }}", r#"[{'type': 'text', 'text': "it's", 'n': 1e-05}]"#),
        (
            "{{ none is iterable }} {{ nothing is iterable }} {{ 'a' is sequence }} {{ {} is sequence }}",
            "False True True True",
        ),
        ("{{ true is number }} {{ true is integer }} {{ 'none' in messages[0] }}", "True False False"),
        ("{{ [1e16, none] | join('-') }} {{ [{'a': 1}, {'a': 'b'}] | join(',', attribute='a') }}", "1e+16-None 1,b"),
        ("{{ 'they\\'re x-y' | title }} {{ 'ÉA b' | capitalize }} {{ none | upper }}", "They're X-Y Éa b NONE"),
        ("{{ ' a\\x1f' | trim | length }} {{ 'xxaxx' | trim('x') }} {{ 'aa' | replace('a', 1) }}", "1 a 11"),
        ("{% for m in [1, 2, 3] %}{{ loop.previtem }}{{ loop.nextitem }} {% endfor %}", "2 13 2 "),
        (
            "{{ 'a,b,c'.rsplit(',', 1) }} {{ 'a,b'.partition(',') }} {{ '-'.join(['a', 'b']) }}",
            "['a,b', 'c'] ('a', ',', 'b') a-b",
        ),
        ("{{ 'a\\r\\nb\\n'.splitlines() }} {{ 'abab'.rfind('b') }} {{ 'abab'.count('ab') }}", "['a', 'b'] 3 2"),
        ("{{ 'xay'.removeprefix('x').removesuffix('y') }} {{ '12'.isdigit() }} {{ ''.isspace() }}", "a True False"),
        ("{{ [1, 2, 1].count(1) }} {{ [1, 2].index(2) }}", "2 1"),
        (
            "{{ {'a': '<é>'} | tojson }} {{ {'b': 1, 'a': 2} | tojson(sort_keys=true, separators=(',', ':')) }}",
            "{\"a\": \"<é>\"} {\"a\":2,\"b\":1}",
        ),
        ("{{ ['é'] | tojson(ensure_ascii=true, indent=1) }}", "[\n \"\\u00e9\"\n]"),
    ] {
        assert_eq!(rendered(source, Ask::Answer, &message).as_deref(), Ok(expected), "{source}");
    }
    for (source, part) in [
        ("{{ nothing | tojson }}", "undefined"),
        ("{{ messages.append(1) }}", "no method named append"),
        ("{{ none | length }}", "no length"),
        ("{{ 'a' + nothing }}", "undefined"),
        ("{{ nothing.at_all }}", "undefined"),
        ("{{ 'a'.split('') }}", "separator"),
        ("{{ strftime_now('%Q') }}", "%Q"),
    ] {
        let error = rendered(source, Ask::Answer, &message).unwrap_err().to_string();
        assert!(error.contains(part), "{source}: {error}");
    }
}

#[test]
fn the_words_to_continue_stay_open() {
    let source = "{% for m in messages %}[{{ m.role }}]{{ m.content | trim }}<end>{% endfor %}";
    let messages = |last: Value| json!([{"role": "user", "content": "a"}, last]);
    let text = rendered(source, Ask::Continue, &messages(json!({"role": "assistant", "content": "It is "}))).unwrap();
    assert_eq!(text, "[user]a<end>[assistant]It is");
    for (source, last, part) in [
        (source, json!({"role": "user", "content": "b"}), "not the assistant's"),
        (source, json!({"role": "assistant"}), "no text to continue"),
        (source, json!({"role": "assistant", "content": [{"type": "image"}]}), "no text to continue"),
        ("{{ messages[0].content }}", json!({"role": "assistant", "content": "b"}), "leaves out the last"),
        ("{{ messages[0].text }}", json!({"role": "assistant", "content": "b"}), "reads no `content`"),
    ] {
        let error = rendered(source, Ask::Continue, &messages(last)).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
