//! A task from data files: rows become prompts by a template, or by their chat messages.

use std::{path::Path, sync::Arc};

use cohort_core::{Context, Stream, random::permutation};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    ChatTemplates, Item, Limits, Origin, RowFault, SkippedRows, Task, TaskError,
    chat_prompt::{ChatPrompt, ChatSection},
    encode::Encoder,
    error::type_of,
    rows,
    template::Template,
};
use crate::{codec::Codec, locate::locate};

/// What to do with a row that makes no item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnBadRow {
    /// Stop, and name it.
    #[default]
    Error,
    /// Count it, and go on.
    Skip,
}

/// The recipe's `data`: which files, and how a row is read. Templates see every column of the
/// row as the file has it (see [`super::template`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// A file with one JSON object a line, or a Parquet file; `data:NAME` is one of the data folder, `hf:datasets/org/name/FILE` one of the Hub.
    pub path: String,
    /// The test split's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_path: Option<String>,
    /// Rows of `path` that are set aside as the dev split; none unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<usize>,
    /// Rows of `path` that are set aside as the test split, where it has no file of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<usize>,
    /// Decides which rows are set aside. Every split keeps the file's order.
    #[serde(default)]
    pub seed: u64,
    /// The prompt, a template; without it and without `messages`, the column `prompt`: a text, or chat messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The column of chat messages that the model's chat template makes the prompt of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<String>,
    /// What the chat template is given beside messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<ChatSection>,
    /// The column that becomes the column `answer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// A template that makes the column `answer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_template: Option<String>,
    /// A template that makes the worked solution, for supervised stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solution: Option<String>,
    /// What happens with a row that makes no item.
    #[serde(default)]
    pub on_bad_row: OnBadRow,
    /// The longest prompt, in tokens, where it is less than the model's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_prompt_tokens: Option<usize>,
}

/// What loading takes from outside the recipe.
pub struct Source<'a> {
    pub codec: &'a dyn Codec,
    pub limits: Limits,
    /// What the environment variable COHORT_DATA holds.
    pub data_folder: Option<&'a Path>,
    /// The model's; empty where it has none.
    pub chat_templates: &'a ChatTemplates,
}

impl Data {
    /// Reads the files. Rows that were skipped are counted in [`Task::skipped`].
    ///
    /// # Errors
    /// Contradictory keys, templates that do not parse, files that cannot be read, a bad row
    /// (unless `on_bad_row` skips), no usable row, too many rows set aside.
    pub fn load(&self, source: &Source) -> Result<Task, TaskError> {
        let reader = Reader::new(self, source)?;
        let (rows, mut skipped) = reader.read("data.path", &self.path, source)?;
        let [test, dev, train] = self.set_aside(rows)?;
        let test = match &self.test_path {
            Some(path) => {
                let (test, more) = reader.read("data.test_path", path, source)?;
                skipped.merge(more);
                test
            }
            None => test,
        };
        Ok(Task { train, dev, test, skipped })
    }

    /// Test, dev and train, each in the order of the file.
    fn set_aside(&self, rows: Vec<Item>) -> Result<[Vec<Item>; 3], TaskError> {
        let (test, dev) = (self.test.unwrap_or(0), self.dev.unwrap_or(0));
        let set_aside = test.saturating_add(dev);
        if set_aside >= rows.len() {
            return Err(TaskError::NothingToTrainOn { keys: "data.dev + data.test", set_aside, rows: rows.len() });
        }
        let order = permutation(rows.len(), Stream::new(self.seed, "data").dice(0, 0, 0));
        let mut split_of = vec![2; rows.len()];
        order[..test].iter().for_each(|&row| split_of[row] = 0);
        order[test..set_aside].iter().for_each(|&row| split_of[row] = 1);
        let mut splits = [const { Vec::new() }; 3];
        for (item, split) in rows.into_iter().zip(split_of) {
            splits[split].push(item);
        }
        Ok(splits)
    }
}

/// How a row's prompt is made.
enum Prompt<'a> {
    /// The column `prompt`. Why there is no chat is told where a row holds messages.
    Column(Result<ChatPrompt<'a>, TaskError>),
    Template(Template),
    Messages(&'a str, ChatPrompt<'a>),
}

/// How a row's column `answer` is made.
enum Answer<'a> {
    AsItIs,
    Column(&'a str),
    Template(Template),
}

struct Reader<'a> {
    encoder: Encoder<'a>,
    prompt: Prompt<'a>,
    answer: Answer<'a>,
    solution: Option<Template>,
    on_bad_row: OnBadRow,
}

impl<'a> Reader<'a> {
    fn new(data: &'a Data, source: &Source<'a>) -> Result<Self, TaskError> {
        let contradiction = |first, second, why| TaskError::Contradiction { first, second, why };
        if data.test_path.is_some() && data.test.is_some() {
            let why = "the test split comes from a file, or from rows set aside";
            return Err(contradiction("data.test_path", "data.test", why));
        }
        let chat = || ChatPrompt::new(data.chat.as_ref(), source);
        let prompt = match (&data.prompt, &data.messages) {
            (Some(_), Some(_)) => {
                let why = "a prompt is made by a template, or from messages";
                return Err(contradiction("data.prompt", "data.messages", why));
            }
            (Some(_), None) if data.chat.is_some() => {
                let why = "a prompt is made by a template of the recipe, or from messages by the model's";
                return Err(contradiction("data.prompt", "data.chat", why));
            }
            (None, None) if data.chat.is_some() => Prompt::Column(Ok(chat()?)),
            (None, None) => Prompt::Column(chat()),
            (Some(template), None) => Prompt::Template(Template::new("data.prompt", template)?),
            (None, Some(column)) => Prompt::Messages(column, chat()?),
        };
        let answer = match (&data.answer, &data.answer_template) {
            (Some(_), Some(_)) => {
                let why = "an answer is a column, or made by a template";
                return Err(contradiction("data.answer", "data.answer_template", why));
            }
            (None, None) => Answer::AsItIs,
            (Some(column), None) => Answer::Column(column),
            (None, Some(template)) => Answer::Template(Template::new("data.answer_template", template)?),
        };
        let solution = data.solution.as_deref().map(|s| Template::new("data.solution", s)).transpose()?;
        let encoder = Encoder { codec: source.codec, limits: source.limits, max_prompt_tokens: data.max_prompt_tokens };
        Ok(Self { encoder, prompt, answer, solution, on_bad_row: data.on_bad_row })
    }

    fn read(&self, key: &'static str, path: &str, source: &Source) -> Result<(Vec<Item>, SkippedRows), TaskError> {
        let path = locate(key, path, source.data_folder)?;
        let file: Arc<Path> = path.as_path().into();
        let (mut items, mut skipped) = (Vec::new(), SkippedRows::default());
        for row in rows::open(key, &path)? {
            let (line, row) = row.map_err(|source| TaskError::Unreadable { key, path: path.clone(), source })?;
            let origin = Origin::File { path: file.clone(), line };
            match (row.and_then(|row| self.item(row, &origin)), self.on_bad_row) {
                (Ok(item), _) => items.push(item),
                (Err(fault), OnBadRow::Skip) => skipped.add(&origin, &fault),
                (Err(fault), OnBadRow::Error) => return Err(TaskError::Row { origin, fault }),
            }
        }
        if items.is_empty() { Err(TaskError::NothingLeft { key, path, skipped }) } else { Ok((items, skipped)) }
    }

    fn item(&self, row: Map<String, Value>, origin: &Origin) -> Result<Item, RowFault> {
        let (prompt, context) = self.prompt(&row)?;
        let solution = match &self.solution {
            Some(template) => Some(self.encoder.solution("data.solution", &template.render(&row)?, &context)?),
            None => None,
        };
        let answer = self.answer(&row)?;
        let mut columns = row;
        if let Some(answer) = answer {
            columns.insert("answer".into(), answer);
        }
        Ok(Item { prompt, context, columns, solution, origin: origin.clone() })
    }

    fn prompt(&self, row: &Map<String, Value>) -> Result<(String, Context), RowFault> {
        let (key, text) = match &self.prompt {
            Prompt::Template(template) => ("data.prompt", template.render(row)?),
            Prompt::Messages(column, chat) => {
                let key = "data.messages";
                (key, chat.render(key, field(row, key, column)?, row)?)
            }
            Prompt::Column(chat) => {
                let key = "data.prompt";
                match (field(row, key, "prompt")?, chat) {
                    (Value::String(text), _) => (key, text.clone()),
                    (messages @ Value::Array(_), Ok(chat)) => (key, chat.render(key, messages, row)?),
                    (Value::Array(_), Err(error)) => {
                        return Err(RowFault::BadMessages { key, reason: error.to_string() });
                    }
                    (other, _) => {
                        let (field, found) = ("prompt".to_owned(), type_of(other));
                        let expected = "a string, or a list of messages (`data.messages` names another column)";
                        return Err(RowFault::WrongType { key, field, expected, found });
                    }
                }
            }
        };
        let context = self.encoder.prompt(key, &text)?;
        Ok((text, context))
    }

    fn answer(&self, row: &Map<String, Value>) -> Result<Option<Value>, RowFault> {
        let (key, answer) = match &self.answer {
            Answer::AsItIs => return Ok(None),
            Answer::Template(template) => ("data.answer_template", Value::from(template.render(row)?)),
            Answer::Column(column) => {
                let key = "data.answer";
                let value = field(row, key, column)?;
                if value.is_null() {
                    let (field, found) = ((*column).to_owned(), type_of(value));
                    return Err(RowFault::WrongType { key, field, expected: "a value", found });
                }
                (key, value.clone())
            }
        };
        match answer.as_str() {
            Some(text) if text.trim().is_empty() => Err(RowFault::Empty { key }),
            _ => Ok(Some(answer)),
        }
    }
}

pub(crate) fn field<'r>(row: &'r Map<String, Value>, key: &'static str, name: &str) -> Result<&'r Value, RowFault> {
    row.get(name).ok_or_else(|| RowFault::MissingField {
        key,
        fields: vec![name.to_owned()],
        has: row.keys().cloned().collect(),
    })
}

#[cfg(test)]
#[path = "dataset_tests.rs"]
mod tests;
