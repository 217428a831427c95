//! `config.json` of a Hugging Face directory, read into one validated [`Architecture`].
//!
//! Field names and defaults are those of transformers 4 and 5. What Cohort cannot compute
//! exactly is refused with the field's name; nothing is guessed.

mod feed;
pub(crate) mod rotary;
mod window;

use std::path::Path;

use serde_json::Value;

use crate::{
    error::ConfigError,
    fields::{Fields, read_json},
    layer::{Attention, Bias, ExpertLayout, Head, HeadNorm, Layer, LayerKind, ModelParameters},
};

/// The decoder families that are supported: they differ in which biases, head norms, windows and experts exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Qwen3,
    Qwen3Moe,
    Qwen2,
    Llama,
    Mistral,
}

impl Family {
    pub const ALL: [Family; 5] = [Family::Qwen3, Family::Qwen3Moe, Family::Qwen2, Family::Llama, Family::Mistral];

    /// `model_type` in `config.json`.
    pub fn model_type(self) -> &'static str {
        match self {
            Family::Qwen3 => "qwen3",
            Family::Qwen3Moe => "qwen3_moe",
            Family::Qwen2 => "qwen2",
            Family::Llama => "llama",
            Family::Mistral => "mistral",
        }
    }
}

/// The number format that the directory's weights are said to be stored in. A note: weights
/// are computed with in f32, and each tensor's own dtype is read from the weights file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredDtype {
    F32,
    Bf16,
    F16,
}

impl StoredDtype {
    pub fn name(self) -> &'static str {
        match self {
            StoredDtype::F32 => "float32",
            StoredDtype::Bf16 => "bfloat16",
            StoredDtype::F16 => "float16",
        }
    }
}

/// A decoder language model: everything about it but the numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    pub family: Family,
    /// Number of token ids.
    pub vocabulary: usize,
    /// What all layers share.
    pub layer: Layer,
    /// What each has of its own.
    pub layers: Vec<LayerKind>,
    /// How the weights file holds experts; `config.json` does not say.
    pub experts: ExpertLayout,
    pub head: Head,
    /// Longest context plus actions.
    pub positions: usize,
    /// Ids that end a sample, the first being the tokenizer's own.
    pub end_ids: Vec<u32>,
    pub pad_id: Option<u32>,
    pub dtype: StoredDtype,
}

impl Architecture {
    /// Reads `config.json` and, where present, `generation_config.json` of a model directory.
    ///
    /// # Errors
    /// The directory or `config.json` is missing or broken, or describes what is not supported.
    pub fn read(directory: &Path) -> Result<Self, ConfigError> {
        let path = directory.to_owned();
        if !directory.exists() {
            return Err(ConfigError::MissingDirectory { path });
        }
        if !directory.is_dir() {
            return Err(ConfigError::NotADirectory { path });
        }
        let config = directory.join("config.json");
        if !config.is_file() {
            return Err(ConfigError::MissingFile { path: config, expected: "the model's configuration" });
        }
        let mut architecture = Self::parse(&config, &read_json(&config)?)?;
        let generation = directory.join("generation_config.json");
        if generation.is_file() {
            architecture.adopt_generation(&generation, &read_json(&generation)?)?;
        }
        Ok(architecture)
    }

    /// An architecture from the parsed content of `config.json`; `path` is what errors name.
    ///
    /// # Errors
    /// A field is missing, of the wrong type, or asks for what is not supported.
    pub fn parse(path: &Path, config: &Value) -> Result<Self, ConfigError> {
        let fields = Fields::of(path, config)?;
        let family = family(&fields)?;
        refuse_unsupported(&fields)?;
        let width = fields.required_count("hidden_size")?;
        let layers = fields.required_count("num_hidden_layers")?;
        let positions = fields.required_count("max_position_embeddings")?;
        let windows = window::read(&fields, family, layers)?;
        let feeds = feed::read(&fields, family, layers)?;
        let attention = attention(&fields, family, width, positions)?;
        let vocabulary = fields.required_count("vocab_size")?;
        let kinds = windows.into_iter().zip(feeds).map(|(window, feed)| LayerKind { window, feed });
        let architecture = Self {
            family,
            vocabulary,
            layer: Layer { width, norm_eps: fields.positive("rms_norm_eps")?.unwrap_or(1e-6), attention },
            layers: kinds.collect(),
            experts: ExpertLayout::Separate,
            head: if fields.flag("tie_word_embeddings")?.unwrap_or(false) { Head::Tied } else { Head::Untied },
            positions,
            end_ids: fields.ids("eos_token_id")?.unwrap_or_default(),
            pad_id: pad_id(&fields)?,
            dtype: dtype(&fields)?,
        };
        architecture.check_ids(&fields)?;
        Ok(architecture)
    }

    /// What generation stops at: where `generation_config.json` names ids, they replace those of `config.json`,
    /// as they do in transformers.
    fn adopt_generation(&mut self, path: &Path, config: &Value) -> Result<(), ConfigError> {
        let fields = Fields::of(path, config)?;
        if let Some(ids) = fields.ids("eos_token_id")? {
            self.end_ids = ids;
        }
        if self.pad_id.is_none() {
            self.pad_id = pad_id(&fields)?;
        }
        self.check_ids(&fields)
    }

    fn check_ids(&self, fields: &Fields) -> Result<(), ConfigError> {
        let named = |field: &'static str| move |&id: &u32| (field, id);
        let ids = self.end_ids.iter().map(named("eos_token_id")).chain(self.pad_id.iter().map(named("pad_token_id")));
        for (field, id) in ids {
            if id as usize >= self.vocabulary {
                let expected = format!("ids below vocab_size = {}", self.vocabulary);
                return Err(fields.wrong(field, &Value::from(id), expected));
            }
        }
        Ok(())
    }

    /// The parameters of the model: names, shapes, places.
    pub fn parameters(&self) -> ModelParameters {
        ModelParameters::new(self.vocabulary, &self.layer, &self.layers, self.head, self.experts)
    }

    /// Number of weights.
    pub fn parameter_count(&self) -> usize {
        self.parameters().infos.iter().map(|info| info.element_count()).sum()
    }
}

fn family(fields: &Fields) -> Result<Family, ConfigError> {
    let supported = Family::ALL.map(Family::model_type).join(", ");
    let Some(name) = fields.text("model_type")? else {
        return Err(fields.missing("model_type", format!("one of {supported}")));
    };
    Family::ALL
        .into_iter()
        .find(|family| family.model_type() == name)
        .ok_or_else(|| fields.unsupported("model_type", &Value::from(name), supported))
}

fn refuse_unsupported(fields: &Fields) -> Result<(), ConfigError> {
    for (field, supported) in [
        ("quantization_config", "absent: weights in F32, BF16 or F16"),
        ("text_config", "absent: text-only models"),
        ("per_layer_config", "absent: `layer_types`, `mlp_only_layers` and `decoder_sparse_step`"),
    ] {
        if let Some(value) = fields.get(field) {
            return Err(fields.unsupported(field, value, supported));
        }
    }
    if let Some(value) = fields.get("hidden_act")
        && value.as_str() != Some("silu")
    {
        return Err(fields.unsupported("hidden_act", value, "\"silu\""));
    }
    if let Some(value) = fields.get("use_mrope").filter(|value| value.as_bool() != Some(false)) {
        return Err(fields.unsupported("use_mrope", value, "false"));
    }
    if let Some(value) = fields.get("attention_dropout").filter(|value| value.as_f64() != Some(0.0)) {
        return Err(fields.unsupported("attention_dropout", value, 0.0));
    }
    rotary::refuse_partial(fields)
}

fn attention(fields: &Fields, family: Family, width: usize, positions: usize) -> Result<Attention, ConfigError> {
    let query_heads = fields.required_count("num_attention_heads")?;
    let kv_heads = fields.count("num_key_value_heads")?.unwrap_or(query_heads);
    if !query_heads.is_multiple_of(kv_heads) {
        let expected = format!("a divisor of num_attention_heads = {query_heads}");
        return Err(fields.wrong("num_key_value_heads", &Value::from(kv_heads), expected));
    }
    let head_dim = match (fields.count("head_dim")?, family) {
        (Some(given), _) => given,
        (None, Family::Qwen3) => 128,
        (None, _) if width.is_multiple_of(query_heads) => width / query_heads,
        (None, _) => {
            let expected = format!("a multiple of num_attention_heads = {query_heads}, as there is no head_dim");
            return Err(fields.wrong("hidden_size", &Value::from(width), expected));
        }
    };
    if !head_dim.is_multiple_of(2) {
        return Err(fields.unsupported("head_dim", &Value::from(head_dim), "even sizes"));
    }
    let declared = fields.flag("attention_bias")?;
    let (input, output) = match family {
        Family::Qwen3 | Family::Qwen3Moe | Family::Llama => (declared.unwrap_or(false), declared.unwrap_or(false)),
        Family::Qwen2 => (true, false),
        Family::Mistral if declared == Some(true) => {
            return Err(fields.unsupported("attention_bias", &Value::Bool(true), "false for model_type mistral"));
        }
        Family::Mistral => (false, false),
    };
    let bias = |on: bool| if on { Bias::Present } else { Bias::Absent };
    Ok(Attention {
        query_heads,
        kv_heads,
        head_dim,
        input_bias: bias(input),
        output_bias: bias(output),
        head_norm: match family {
            Family::Qwen3 | Family::Qwen3Moe => HeadNorm::Present,
            Family::Qwen2 | Family::Llama | Family::Mistral => HeadNorm::Absent,
        },
        rope: rotary::read(fields, head_dim, positions)?,
    })
}

/// Some directories say -1 where there is no padding id.
fn pad_id(fields: &Fields) -> Result<Option<u32>, ConfigError> {
    if fields.get("pad_token_id").and_then(Value::as_i64) == Some(-1) {
        return Ok(None);
    }
    Ok(fields.ids("pad_token_id")?.and_then(|ids| ids.first().copied()))
}

fn dtype(fields: &Fields) -> Result<StoredDtype, ConfigError> {
    for field in ["dtype", "torch_dtype"] {
        if let Some(name) = fields.text(field)? {
            return [StoredDtype::F32, StoredDtype::Bf16, StoredDtype::F16]
                .into_iter()
                .find(|dtype| dtype.name() == name)
                .ok_or_else(|| fields.unsupported(field, &Value::from(name), "float32, bfloat16, float16"));
        }
    }
    Ok(StoredDtype::F32)
}
