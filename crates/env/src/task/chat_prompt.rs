//! How a row's messages, tools and variables reach the chat template.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Ask, ChatTemplate, Conversation, Date, RowFault, Source, TaskError, dataset::field, error::type_of};
use crate::locate::locate;

/// The recipe's `data.chat`: what the chat template is given beside messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChatSection {
    pub ask: Ask,
    /// What the template takes for today: `YYYY-MM-DD`.
    pub date: Date,
    /// Another template than the model's own choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateChoice>,
    /// The column with the JSON schemas of a row's tools: a list, or its JSON text; null where a row has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<String>,
    /// The column with a row's documents: a list of objects; null where a row has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documents: Option<String>,
    /// The column with an object of a row's own template variables; they go before `variables`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row_variables: Option<String>,
    /// Template variables of every row: `enable_thinking`, `reasoning_effort`, ..
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub variables: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TemplateChoice {
    /// One of the model's named templates.
    Named(String),
    /// A file of its own; `data:NAME` is one of the data folder.
    Path(String),
}

/// Chat templates with what they are given beside messages.
pub(super) struct ChatPrompt<'a> {
    section: Option<&'a ChatSection>,
    plain: ChatTemplate,
    /// For rows with tools, where the model has another one for them.
    with_tools: Option<ChatTemplate>,
    nothing: Map<String, Value>,
}

impl<'a> ChatPrompt<'a> {
    /// # Errors
    /// No template, none of the given name, or one that does not parse.
    pub fn new(section: Option<&'a ChatSection>, source: &Source<'a>) -> Result<Self, TaskError> {
        let templates = source.chat_templates;
        let date = section.map(|s| s.date).unwrap_or_default();
        let compiled = |text: &str| ChatTemplate::new(text, templates.special.clone(), date);
        let (plain, with_tools) = match section.and_then(|s| s.template.as_ref()) {
            Some(TemplateChoice::Named(name)) => {
                let no_such = || TaskError::NoSuchChatTemplate {
                    name: name.clone(),
                    has: templates.named.keys().cloned().collect::<Vec<_>>().join(", "),
                };
                (compiled(templates.named.get(name).ok_or_else(no_such)?)?, None)
            }
            Some(TemplateChoice::Path(path)) => {
                let key = "data.chat.template.path";
                let path = locate(key, path, source.data_folder)?;
                let text = std::fs::read_to_string(&path).map_err(|source| TaskError::Unreadable {
                    key,
                    path: path.clone(),
                    source,
                })?;
                (compiled(&text)?, None)
            }
            None => {
                let has_tools = section.is_some_and(|s| s.tools.is_some());
                let plain = templates.chosen(false).or_else(|| templates.chosen(has_tools));
                let with_tools = templates.chosen(true).filter(|&t| has_tools && Some(t) != plain);
                let plain = plain.ok_or(TaskError::NoChatTemplate)?;
                (compiled(plain)?, with_tools.map(compiled).transpose()?)
            }
        };
        Ok(Self { section, plain, with_tools, nothing: Map::new() })
    }

    /// The prompt of a row whose `messages` the recipe's `key` found.
    pub fn render(&self, key: &'static str, messages: &Value, row: &Map<String, Value>) -> Result<String, RowFault> {
        let Some(section) = self.section else {
            let (variables, ask) = (&self.nothing, Ask::Answer);
            return self.plain.render(key, &Conversation { messages, tools: None, documents: None, variables, ask });
        };
        let tools = list(row, "data.chat.tools", section.tools.as_deref())?;
        let documents = list(row, "data.chat.documents", section.documents.as_deref())?;
        let variables = section.variables_of(row)?;
        let template = self.with_tools.as_ref().filter(|_| tools.is_some()).unwrap_or(&self.plain);
        let (tools, documents) = (tools.as_ref(), documents.as_ref());
        template.render(key, &Conversation { messages, tools, documents, variables: &variables, ask: section.ask })
    }
}

impl ChatSection {
    fn variables_of(&self, row: &Map<String, Value>) -> Result<Map<String, Value>, RowFault> {
        let mut variables = self.variables.clone();
        let Some(column) = &self.row_variables else { return Ok(variables) };
        let key = "data.chat.row_variables";
        match field(row, key, column)? {
            Value::Null => {}
            // A column of a table holds every variable in every row; null stands for one that the row has not.
            Value::Object(own) => {
                variables.extend(own.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), v.clone())));
            }
            other => {
                let (field, found) = (column.clone(), type_of(other));
                return Err(RowFault::WrongType { key, field, expected: "an object of variables", found });
            }
        }
        Ok(variables)
    }
}

/// A row's list of objects in `column`; none where there is no such key, or the row has a null.
fn list(row: &Map<String, Value>, key: &'static str, column: Option<&str>) -> Result<Option<Value>, RowFault> {
    let Some(column) = column else { return Ok(None) };
    let value = field(row, key, column)?;
    let parsed = value.as_str().and_then(|text| serde_json::from_str(text).ok());
    match parsed.as_ref().unwrap_or(value) {
        Value::Null => Ok(None),
        Value::Array(items) if items.iter().all(Value::is_object) => Ok(Some(items.clone().into())),
        other => {
            let (field, found) = (column.to_owned(), type_of(other));
            Err(RowFault::WrongType { key, field, expected: "a list of objects, or null", found })
        }
    }
}
