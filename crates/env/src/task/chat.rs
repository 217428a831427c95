//! From chat messages to a prompt, by the model's own chat template.

use std::{borrow::Cow, collections::BTreeMap};

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    date::Date,
    error::{RowFault, TaskError, type_of},
    jinja, template, value,
};

const KEY: &str = "the model's chat template";

/// What a message's reasoning is called, the name that templates read first.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// Stands where the words to be continued end.
const MARK: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

/// The tokenizer's own marks, which a chat template may write: `bos_token`, `eos_token`, .., by these names. One that
/// the tokenizer lacks is undefined in the template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialTokens(pub BTreeMap<String, String>);

/// The chat templates of a model, by name; `default` is the one for want of another, `tool_use` the one for
/// conversations with tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatTemplates {
    pub named: BTreeMap<String, String>,
    pub special: SpecialTokens,
}

/// What a prompt asks the model for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// A message of its own: the template's generation prompt ends the text.
    #[default]
    Answer,
    /// The rest of the last message, which is the assistant's and stays open.
    Continue,
    /// Nothing: the text of the whole conversation.
    Nothing,
}

/// What one text is made of.
#[derive(Clone, Copy, Debug)]
pub struct Conversation<'a> {
    /// A list of objects with a role.
    pub messages: &'a Value,
    /// JSON schemas of functions.
    pub tools: Option<&'a Value>,
    /// Objects with a title and a text.
    pub documents: Option<&'a Value>,
    /// What else the template reads (`enable_thinking`, ..).
    pub variables: &'a Map<String, Value>,
    pub ask: Ask,
}

/// A chat template as model directories hold it, compiled. It renders byte for byte what transformers renders: trimmed
/// blocks, undefined is empty, null fields of a message are absent, a message's reasoning is known by each of its names.
pub struct ChatTemplate {
    environment: Environment<'static>,
    special: SpecialTokens,
    source: String,
}

impl ChatTemplate {
    /// `date` is what the template takes for today.
    ///
    /// # Errors
    /// A syntax error, with its line in the template.
    pub fn new(source: &str, special: SpecialTokens, date: Date) -> Result<Self, TaskError> {
        let mut environment = template::environment(UndefinedBehavior::Lenient);
        jinja::add(&mut environment);
        environment.add_function("raise_exception", |reason: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, reason))
        });
        environment.add_function("strftime_now", move |format: &str| {
            date.written(format).map_err(|reason| Error::new(ErrorKind::InvalidOperation, reason))
        });
        template::add(&mut environment, KEY, &scoped_generation_blocks(&source.replace("\r\n", "\n")))?;
        Ok(Self { environment, special, source: source.to_owned() })
    }

    /// The text of a conversation; `key` is what names its messages.
    ///
    /// # Errors
    /// Messages that are no list of objects with a role, none at all, a last message that does not fit `ask`, or what
    /// the template refuses.
    pub fn render(&self, key: &'static str, conversation: &Conversation) -> Result<String, RowFault> {
        let bad = |reason| RowFault::BadMessages { key, reason };
        let mut messages = checked(conversation).map_err(bad)?;
        let last_words = match conversation.ask {
            Ask::Continue => Some(self.opened(&mut messages).map_err(bad)?),
            Ask::Answer | Ask::Nothing => None,
        };
        let mut variables: Map<String, Value> =
            self.special.0.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str()))).collect();
        variables.extend(conversation.variables.clone());
        variables.insert("messages".into(), Value::Array(messages));
        variables.insert("tools".into(), conversation.tools.cloned().unwrap_or_default());
        variables.insert("documents".into(), conversation.documents.cloned().unwrap_or_default());
        variables.insert("add_generation_prompt".into(), (conversation.ask == Ask::Answer).into());
        let text = self
            .environment
            .get_template(KEY)
            .and_then(|template| template.render(value::seen_row(&variables)))
            .map_err(|error| RowFault::Unrenderable { key, reason: template::describe(&error) })?;
        match last_words {
            Some(words) => until_mark(&text, &words).map_err(|reason| RowFault::Unrenderable { key, reason }),
            None => Ok(text),
        }
    }

    /// Puts the mark behind the last message's words, and returns them.
    fn opened(&self, messages: &mut [Value]) -> Result<String, String> {
        if !self.source.contains("content") {
            return Err("the model's chat template reads no `content`, so there are no words to continue".into());
        }
        let nothing = || "the last message has no text to continue".to_owned();
        let content = messages.last_mut().and_then(|m| m.get_mut("content")).ok_or_else(nothing)?;
        let words = match content {
            Value::Array(parts) => parts.iter_mut().rev().find_map(|part| part.get_mut("text")),
            other => Some(other),
        };
        let Some(Value::String(words)) = words else { return Err(nothing()) };
        let before = words.clone();
        words.push_str(MARK);
        Ok(before)
    }
}

impl ChatTemplates {
    pub const NONE: ChatTemplates = ChatTemplates { named: BTreeMap::new(), special: SpecialTokens(BTreeMap::new()) };

    /// The name of the template for a conversation with tools or without.
    pub fn chosen(&self, has_tools: bool) -> Option<&str> {
        let of = |name| self.named.get(name).map(String::as_str);
        of("tool_use").filter(|_| has_tools).or_else(|| of("default"))
    }
}

/// `{% generation %}` marks what the assistant said and changes no text; what is set in it is not seen outside.
fn scoped_generation_blocks(source: &str) -> Cow<'_, str> {
    let Ok(block) = Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}") else { return source.into() };
    block.replace_all(source, |found: &Captures| {
        let statement = if found.get(2).is_some() { "endwith" } else { "with" };
        format!("{{%{} {statement} {}%}}", &found[1], &found[3])
    })
}

/// The messages as templates see them: without null fields, reasoning under each of its names.
fn checked(conversation: &Conversation) -> Result<Vec<Value>, String> {
    let Value::Array(list) = conversation.messages else {
        return Err(format!("it is {}, and must be a list of messages", type_of(conversation.messages)));
    };
    let mut messages = Vec::with_capacity(list.len());
    for (index, message) in list.iter().enumerate() {
        let Value::Object(fields) = message else {
            return Err(format!("message {index} is {}, and must be an object", type_of(message)));
        };
        match fields.get("role") {
            Some(Value::String(_)) => messages.push(Value::Object(with_reasoning(fields))),
            Some(role) => return Err(format!("the role of message {index} is {}", type_of(role))),
            None => return Err(format!("message {index} has no `role`")),
        }
    }
    let Some(last) = messages.last() else { return Err("the list is empty".into()) };
    match (conversation.ask, last["role"] == "assistant") {
        (Ask::Answer, true) => {
            Err("the last message is the assistant's: the prompt must end before what it shall say".into())
        }
        (Ask::Continue, false) => {
            Err("the last message is not the assistant's, and `data.chat.ask` says that the model continues it".into())
        }
        _ => Ok(messages),
    }
}

fn with_reasoning(message: &Map<String, Value>) -> Map<String, Value> {
    let mut fields: Map<String, Value> =
        message.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect();
    let Some(reasoning) = REASONING.iter().find_map(|name| fields.get(*name)).cloned() else { return fields };
    if !fields.contains_key("thinking") {
        fields.shift_insert(0, "thinking".into(), reasoning.clone());
    }
    fields.insert("reasoning_content".into(), reasoning);
    fields
}

/// The text before the mark; trimmed at its end where the template trimmed the words.
fn until_mark(text: &str, words: &str) -> Result<String, String> {
    match text.rfind(MARK.trim_end()) {
        Some(at) if text.contains(words.trim()) => {
            let before = &text[..at];
            Ok(if text[at..].starts_with(MARK) { before } else { before.trim_end() }.to_owned())
        }
        _ => Err("the template leaves out the last message's words, which the model shall continue".into()),
    }
}

#[cfg(test)]
#[path = "chat_tests.rs"]
mod tests;
