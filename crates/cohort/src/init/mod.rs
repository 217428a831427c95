//! A first recipe for a model and a data file, with what was found in both.

mod columns;

use std::{fmt::Write, path::Path};

use cohort_env::{Fault, TaskError};
use cohort_model::{Architecture, ModelError, TextTokenizer};
use serde_json::Value;

pub use columns::{Column, Columns};

/// What is asked for.
pub struct Request<'a> {
    /// As recipes name them.
    pub model: &'a str,
    pub data: &'a str,
    /// Where they are.
    pub directory: &'a Path,
    pub file: &'a Path,
    /// Columns that are told, not guessed.
    pub prompt: Option<&'a str>,
    pub answer: Option<&'a str>,
}

/// Why there is no recipe.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Data(#[from] TaskError),
    #[error(
        "{directory} has no tokenizer.json\n  hint: a recipe of prompts needs the model's fast tokenizer beside its config.json"
    )]
    NoTokenizer { directory: String },
    #[error("{file} has no row that is a JSON object{}", of_bad(*bad))]
    NoRows { file: String, bad: usize },
    #[error("{file}: no column looks like {what}; the columns are: {columns}\n  hint: name one with {flag} COLUMN")]
    NoColumn { file: String, what: &'static str, columns: String, flag: &'static str },
    #[error("{file} has no column `{name}`; the columns are: {columns}")]
    UnknownColumn { file: String, name: String, columns: String },
    #[error(
        "the column `{name}` cannot stand in a template: its name is no word\n  hint: rename it to letters, digits and _"
    )]
    NoWord { name: String },
}

fn of_bad(bad: usize) -> String {
    if bad == 0 { ": it is empty".to_owned() } else { format!(", of {bad} lines") }
}

impl InitError {
    /// The process's exit status.
    pub fn exit_status(&self) -> u8 {
        match self {
            InitError::Model(ModelError::Weights(_)) => 5,
            InitError::Data(e) if e.fault() == Fault::Recipe => 2,
            InitError::UnknownColumn { .. } | InitError::NoWord { .. } => 2,
            InitError::Model(_)
            | InitError::Data(_)
            | InitError::NoTokenizer { .. }
            | InitError::NoRows { .. }
            | InitError::NoColumn { .. } => 3,
        }
    }
}

/// How the prompt is made.
enum Prompt {
    Messages(String),
    Column(String),
}

/// The most tokens of a completion that are suggested.
const COMPLETION: usize = 256;

/// The text of a recipe that `cohort train` takes as it stands.
///
/// # Errors
/// A model or data that cannot be read; columns that are not what a recipe needs.
pub fn recipe(request: &Request<'_>) -> Result<String, InitError> {
    let architecture = Architecture::read(request.directory).map_err(ModelError::from)?;
    let tokenizer = tokenizer(request.directory)?;
    let has_template = has_chat_template(request.directory);
    let columns = Columns::of(request.file)?;
    let file = || request.file.display().to_string();
    if columns.rows == 0 {
        return Err(InitError::NoRows { file: file(), bad: columns.bad });
    }
    for name in [request.prompt, request.answer].into_iter().flatten() {
        if !columns.has(name) {
            return Err(InitError::UnknownColumn { file: file(), name: name.to_owned(), columns: columns.names() });
        }
    }
    let no_column = |what, flag| InitError::NoColumn { file: file(), what, columns: columns.names(), flag };
    let messages = columns.messages().filter(|_| request.prompt.is_none());
    let prompt = match (messages, request.prompt.or_else(|| columns.prompt())) {
        (Some(name), _) if has_template => Prompt::Messages(name.to_owned()),
        (_, Some(name)) => Prompt::Column(name.to_owned()),
        (Some(_), None) => {
            return Err(no_column("a prompt (it has chat messages, and the model no chat template)", "--prompt"));
        }
        (None, None) => return Err(no_column("a prompt", "--prompt")),
    };
    if let Prompt::Column(name) = &prompt
        && !is_word(name)
    {
        return Err(InitError::NoWord { name: name.clone() });
    }
    let of_prompt = match &prompt {
        Prompt::Messages(name) | Prompt::Column(name) => name.clone(),
    };
    let answer = request.answer.or_else(|| columns.answer(Some(&of_prompt)));
    let answer = answer.ok_or_else(|| no_column("an answer", "--answer"))?.to_owned();

    let lengths = lengths(&columns, &of_prompt, &tokenizer);
    let room = architecture.positions.saturating_sub(lengths.1);
    let parameters = architecture.parameter_count();
    let mut text = String::new();
    let mut line = |words: &str| {
        let _ = writeln!(text, "{words}");
    };
    line(&format!(
        "# {} on {}: what was found is in the comments, what is chosen is in the keys.",
        named(request.model),
        named(request.data)
    ));
    line("# `cohort explain KEY` says what a key is, `cohort methods` what may stand in its place.\n");
    line(&format!("name = {}", quoted(&slug(request.data))));
    line("about = \"GRPO, from cohort init\"");
    line("seed = 0\n");

    line("[policy]");
    line(&format!(
        "# {}: {:.1} M parameters, {} positions, vocabulary {}; chat template: {}.",
        architecture.family.model_type(),
        parameters as f64 / 1e6,
        architecture.positions,
        architecture.vocabulary,
        if has_template { "yes" } else { "no" }
    ));
    line(&format!(
        "# Weights, gradient and the two moments of AdamW, all trained in f32: {:.2} GB; activations come on top.",
        16.0 * parameters as f64 / 1e9
    ));
    line(&format!("model = {}\n", quoted(request.model)));

    line("[data]");
    line(&format!(
        "# {} rows{}. Columns:",
        columns.rows,
        if columns.bad > 0 { format!(", and {} bad lines", columns.bad) } else { String::new() }
    ));
    for column in &columns.columns {
        let gaps = columns.look.len() - column.filled;
        let gaps = if gaps > 0 { format!(", {gaps} of {} empty", columns.look.len()) } else { String::new() };
        line(&format!("#   {} ({}{gaps}): {}", column.name, column.types.join(" or "), column.example));
    }
    line(&format!("# Prompts have {} tokens in the mean and {} at most, of those looked at.", lengths.0, lengths.1));
    line(&format!("path = {}", quoted(request.data)));
    if columns.bad > 0 {
        line("# The bad lines are left out, and counted.");
        line("on_bad_row = \"skip\"");
    }
    match &prompt {
        Prompt::Messages(name) => {
            line("# Chat messages, which the model's chat template makes a prompt of.");
            line(&format!("messages = {}", quoted(name)));
        }
        Prompt::Column(name) => {
            line("# A template over the columns; the model sees exactly this text.");
            if has_template {
                line(
                    "# The model's chat template is for a column of chat messages: messages = \"COLUMN\" in the place of prompt.",
                );
            }
            line(&format!("prompt = {}", quoted(&format!("{{{{ {name} }}}}"))));
        }
    }
    if is_word(&answer) && columns.is_worked(&answer) {
        line("# The answer stands behind the last ####, as in GSM8K.");
        line(&format!(
            "answer_template = {}",
            quoted(&format!("{{{{ {answer} | after('####') | trim | replace(',', '') }}}}"))
        ));
    } else if answer != "answer" {
        line(&format!("answer = {}", quoted(&answer)));
    }
    let dev = (columns.rows / 10).min(128);
    if columns.rows >= 4 {
        line("# Rows that are set aside: to choose by, and to judge with once.");
        line(&format!("dev = {}", dev.max(1)));
        line(&format!("test = {}", dev.max(1)));
    }
    line("");

    line("[rollout]");
    line("group_size = 8");
    line("temperature = 1.0");
    line("# The cap on an answer, in tokens.");
    line(&format!("max_new_tokens = {}\n", (room / 2).clamp(1, COMPLETION)));

    line("# Right or wrong.");
    line("[reward.terms.answer]");
    if columns.is_number(&answer) {
        line(
            "# The last number of a completion; after = \"####\" or tag = \"answer\" looks elsewhere, if the prompt says so.",
        );
        line("verifier.answer = { compare = \"number\" }\n");
    } else {
        line("# What stands behind the last `Answer:` of a completion: the prompt has to ask for it.");
        line("verifier.answer = { after = \"Answer:\", compare = \"exact\" }\n");
    }

    line("[advantage]");
    line("baseline = \"mean\"");
    line("scale.std = { ddof = 1, eps = 1e-4 }\n");

    line("[objective]");
    line("surrogate.policy_gradient = { ratio = \"token\", gate.clip = { low = 0.2, high = 0.28 } }");
    line("denominator = \"tokens\"\n");

    line("[train]");
    line("steps = 100");
    line("prompts_per_step = 8");
    line("# Groups in memory at a time: more is faster, and needs more.");
    line("groups_per_block = 1");
    line("lr = 1e-6");
    line("warmup_steps = 5");
    line("save_every = 20\n");

    line("# Says before training whether there is anything to learn; \"stop\" ends a run without.");
    line("[preflight]");
    line("prompts = 4");
    line("no_signal = \"warn\"\n");

    line("[eval]");
    line("correct = \"answer\"");
    line("samples = 4");
    line("limit = 64");
    line("every = 20");
    line("dev_limit = 64");
    Ok(text)
}

fn tokenizer(directory: &Path) -> Result<TextTokenizer, InitError> {
    let path = directory.join("tokenizer.json");
    let bytes =
        std::fs::read(&path).map_err(|_| InitError::NoTokenizer { directory: directory.display().to_string() })?;
    Ok(TextTokenizer::from_bytes(&path, &bytes).map_err(ModelError::from)?)
}

fn has_chat_template(directory: &Path) -> bool {
    let config = || {
        let bytes = std::fs::read(directory.join("tokenizer_config.json")).ok()?;
        serde_json::from_slice::<Value>(&bytes).ok()
    };
    directory.join("chat_template.jinja").is_file()
        || config().is_some_and(|c| c["chat_template"].is_string() || c["chat_template"].is_array())
}

/// The mean and the most tokens of a column's prompts; of the messages' contents where it is a chat.
fn lengths(columns: &Columns, name: &str, tokenizer: &TextTokenizer) -> (usize, usize) {
    let text = |row: &serde_json::Map<String, Value>| match &row[name] {
        Value::Array(messages) => messages.iter().filter_map(|m| m["content"].as_str()).collect::<Vec<_>>().join("\n"),
        other => other.as_str().map_or_else(|| other.to_string(), str::to_owned),
    };
    let rows = columns.look.iter().filter(|row| row.contains_key(name));
    let counts: Vec<usize> = rows.filter_map(|row| tokenizer.encode(&text(row)).ok()).map(|ids| ids.len()).collect();
    (counts.iter().sum::<usize>() / counts.len().max(1), counts.iter().copied().max().unwrap_or(0))
}

/// Templates see columns by names that are words.
fn is_word(column: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit();
    !column.starts_with(is_digit) && column.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// As TOML writes a string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn named(path: &str) -> String {
    path.replace('\n', " ")
}

/// A word for the runs: the data file's name, and its folder's where that says nothing.
fn slug(path: &str) -> String {
    let stem = Path::new(path).file_stem().and_then(|s| s.to_str()).unwrap_or("data");
    let word: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let word = word.trim_matches('-');
    if word.is_empty() { "data".to_owned() } else { word.to_owned() }
}
