//! From chat messages to a prompt, by the model's own chat template.

use std::borrow::Cow;

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, context};
use regex::{Captures, Regex};
use serde_json::Value;

use super::{
    error::{RowFault, TaskError, type_of},
    template, value,
};

const KEY: &str = "the model's chat template";

/// What a chat template may write besides the messages: the tokenizer's own marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    pub bos: Option<String>,
    pub eos: Option<String>,
}

/// A chat template as model directories hold it, compiled. It renders under the conventions of
/// transformers (trimmed blocks, undefined is empty, `raise_exception`) without a clock.
pub struct ChatTemplate {
    environment: Environment<'static>,
    special: SpecialTokens,
}

impl ChatTemplate {
    /// # Errors
    /// A syntax error, with its line in the template.
    pub fn new(source: &str, special: SpecialTokens) -> Result<Self, TaskError> {
        let mut environment = template::environment(UndefinedBehavior::Lenient);
        environment.add_function("raise_exception", |reason: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, reason))
        });
        template::add(&mut environment, KEY, &without_generation_blocks(source))?;
        Ok(Self { environment, special })
    }

    /// The prompt that asks for the next message of `messages`; `key` is what names them.
    ///
    /// # Errors
    /// Not a list of objects with a role, an empty one, one that ends with the assistant's own
    /// words (they would stand in the prompt as its answer), or one that the template refuses.
    pub fn render(&self, key: &'static str, messages: &Value) -> Result<String, RowFault> {
        check(messages).map_err(|reason| RowFault::BadMessages { key, reason })?;
        let variables = context! {
            messages => value::seen(messages),
            add_generation_prompt => true,
            bos_token => self.special.bos.as_deref().unwrap_or_default(),
            eos_token => self.special.eos.as_deref().unwrap_or_default(),
        };
        self.environment
            .get_template(KEY)
            .and_then(|template| template.render(variables))
            .map_err(|error| RowFault::Unrenderable { key, reason: template::describe(&error) })
    }
}

/// `{% generation %}` marks what the assistant said, and changes no text.
fn without_generation_blocks(source: &str) -> Cow<'_, str> {
    let Ok(block) = Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}") else { return source.into() };
    block.replace_all(source, |found: &Captures| {
        let statement = if found.get(2).is_some() { "endif" } else { "if true" };
        format!("{{%{} {statement} {}%}}", &found[1], &found[3])
    })
}

fn check(messages: &Value) -> Result<(), String> {
    let Value::Array(list) = messages else {
        return Err(format!("it is {}, and must be a list of messages", type_of(messages)));
    };
    for (index, message) in list.iter().enumerate() {
        match message.get("role") {
            Some(Value::String(_)) => {}
            Some(role) => return Err(format!("the role of message {index} is {}", type_of(role))),
            None => return Err(format!("message {index} has no `role`")),
        }
    }
    match list.last() {
        None => Err("the list is empty".into()),
        Some(last) if last["role"] == "assistant" => {
            Err("the last message is the assistant's: the prompt must end before what it shall say".into())
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SOURCE: &str = "{{ bos_token }}{% for message in messages %}\n\
        {% if message.role == 'system' and message.content == 'no' %}{{ raise_exception('no system') }}{% endif %}\n\
        [{{ message['role'] }}]{{ message.content.strip() }}\n\
        {% endfor %}\n\
        {% if tools %}TOOLS{% endif %}\n\
        {%- if add_generation_prompt %}[assistant]{% endif %}";

    fn template() -> ChatTemplate {
        ChatTemplate::new(SOURCE, SpecialTokens { bos: Some("<s>".into()), eos: None }).unwrap()
    }

    #[test]
    fn messages_become_a_prompt_for_the_next() {
        let messages = json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": " 1+1? "}]);
        let text = template().render("data.messages", &messages).unwrap();
        assert_eq!(text, "<s>[system]Be brief.\n[user]1+1?\n[assistant]");
    }

    #[test]
    fn messages_that_ask_nothing_are_refused() {
        for (messages, part) in [
            (json!("hello"), "a string"),
            (json!([]), "empty"),
            (json!([{"content": "x"}]), "message 0 has no `role`"),
            (json!([{"role": 3}]), "role of message 0 is a number"),
            (json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]), "assistant's"),
        ] {
            let error = template().render("data.messages", &messages).unwrap_err();
            assert_eq!(error.kind(), "bad_messages");
            assert!(error.to_string().contains("data.messages") && error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn what_the_template_refuses_is_told_in_its_words() {
        let messages = json!([{"role": "system", "content": "no"}, {"role": "user", "content": "x"}]);
        let error = template().render("data.messages", &messages).unwrap_err();
        assert_eq!(error.to_string(), "`data.messages` cannot be rendered: no system");
    }

    /// Published templates, against what Jinja 3.1.6 makes of them under transformers' settings
    /// (`null`: it refuses them).
    #[test]
    fn published_templates_render_as_in_python() {
        let golden: Value = serde_json::from_str(include_str!("chat_golden.json")).unwrap();
        let mut wrong = Vec::new();
        for (name, texts) in golden["texts"].as_object().unwrap() {
            let Some(path) = cohort_testing::shared_data(
                "published_templates_render_as_in_python",
                &format!("chat_templates/{name}.jinja"),
            ) else {
                return;
            };
            let special = SpecialTokens { bos: Some("<bos>".into()), eos: Some("<eos>".into()) };
            let template = ChatTemplate::new(&std::fs::read_to_string(path).unwrap(), special);
            for (case, expected) in texts.as_object().unwrap() {
                let text = match &template {
                    Ok(template) => template.render("m", &golden["messages"][case]).map_err(|e| e.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                if text.as_deref().ok() != expected.as_str() {
                    wrong.push(format!("{name} {case}: {text:?}, and not {expected}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
