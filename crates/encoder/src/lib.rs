//! Sentence encoders of the BERT family: texts in, one embedding each out, from a directory of transformers or
//! sentence-transformers.
//!
//! Inference alone, on plain slices over the kernels that policies run on, and not as graphs of a tensor library: nothing is trained here, a
//! term that needs an encoder builds without Burn, and the kernels' law carries over, so that an embedding has the same bits
//! alone, in any batch and on any thread. Texts are packed end to end; there is no padding and no mask.
//!
//! Supported: `model_type` bert, roberta, xlm-roberta, mpnet and distilbert; weights in one safetensors file (f32, bf16, f16; computed
//! in f32); of `modules.json` Transformer, Pooling (cls, max, mean, mean_sqrt_len_tokens), Dense and Normalize. What means other
//! numbers is refused by name.

mod config;
mod distance;
mod error;
mod fields;
mod head;
mod tensors;
mod texts;
mod transformer;

use std::path::Path;

use serde_json::Value;

pub use error::{EncodeError, EncoderError};
pub use texts::Ids;

use config::Architecture;
use fields::Fields;
use head::{Head, Modules};
use texts::Texts;
use transformer::Transformer;

/// Ids that go through the layers at once.
const TOGETHER: usize = 1024;

/// A sentence encoder.
pub struct Encoder {
    texts: Texts,
    transformer: Transformer,
    head: Head,
    prompt: String,
}

/// One text's embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    pub vector: Vec<f32>,
    /// Ids that it was made from.
    pub tokens: usize,
    /// Whether the text was longer.
    pub is_cut: bool,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("architecture", self.transformer.architecture())
            .field("longest", &self.longest())
            .field("width", &self.width())
            .finish_non_exhaustive()
    }
}

impl Encoder {
    /// The encoder of a directory.
    ///
    /// # Errors
    /// What [`EncoderError`] lists.
    pub fn open(directory: &Path) -> Result<Self, EncoderError> {
        if !directory.is_dir() {
            return Err(EncoderError::MissingDirectory { path: directory.to_owned() });
        }
        let modules = Modules::read(directory)?;
        let folder = &modules.transformer;
        let architecture = Architecture::read(folder)?;
        let texts = Texts::read(folder, architecture.vocabulary, architecture.longest())?;
        let prompt = default_prompt(directory)?;
        let head = modules.head(architecture.width)?;
        let transformer = Transformer::read(&folder.join("model.safetensors"), architecture)?;
        Ok(Self { texts, transformer, head, prompt })
    }

    /// The width of an embedding.
    pub fn width(&self) -> usize {
        self.head.embedding()
    }

    /// The most ids that it reads of a text, those around it included; the rest of a longer one is cut off.
    pub fn longest(&self) -> usize {
        self.texts.longest()
    }

    /// What the directory says to put before every text (`default_prompt_name`); mostly nothing. It is for the caller to do.
    pub fn prompt(&self) -> &str {
        &self.prompt
    }

    /// The ids of a text.
    ///
    /// # Errors
    /// The text has a piece that the tokenizer has no id for.
    pub fn ids(&self, text: &str) -> Result<Ids, EncodeError> {
        self.texts.ids(text)
    }

    /// The last hidden row of each id, `[ids, width of the layers]`.
    pub fn hidden(&self, ids: &Ids) -> Vec<f32> {
        self.transformer.hidden(&ids.ids, &[0, ids.ids.len()])
    }

    /// The embedding of each text, in their order; none depends, in any bit, on the others.
    pub fn embed(&self, texts: &[&str]) -> Vec<Result<Embedding, EncodeError>> {
        let ids: Vec<Result<Ids, EncodeError>> = texts.iter().map(|text| self.ids(text)).collect();
        let mut vectors = Vec::with_capacity(texts.len());
        let (mut pack, mut starts) = (Vec::new(), vec![0]);
        for Ids { ids, .. } in ids.iter().flatten() {
            if !pack.is_empty() && pack.len() + ids.len() > TOGETHER {
                self.embed_pack(&pack, &starts, &mut vectors);
                pack.clear();
                starts.truncate(1);
            }
            pack.extend_from_slice(ids);
            starts.push(pack.len());
        }
        self.embed_pack(&pack, &starts, &mut vectors);
        let mut vectors = vectors.into_iter();
        let embedding = |ids: Result<Ids, EncodeError>| {
            ids.map(|Ids { ids, is_cut }| {
                let vector = vectors.next().unwrap_or_default();
                Embedding { vector, tokens: ids.len(), is_cut }
            })
        };
        ids.into_iter().map(embedding).collect()
    }

    fn embed_pack(&self, ids: &[u32], starts: &[usize], vectors: &mut Vec<Vec<f32>>) {
        let width = self.transformer.architecture().width;
        let hidden = self.transformer.hidden(ids, starts);
        vectors.extend(starts.windows(2).map(|pair| self.head.of(&hidden[pair[0] * width..pair[1] * width])));
    }
}

fn default_prompt(directory: &Path) -> Result<String, EncoderError> {
    let Some(fields) = Fields::read_if_any(directory.join("config_sentence_transformers.json"))? else {
        return Ok(String::new());
    };
    let Some(name) = fields.text("default_prompt_name")? else { return Ok(String::new()) };
    let prompt = fields.get("prompts").and_then(|prompts| prompts.get(name)).and_then(Value::as_str);
    prompt.map(str::to_owned).ok_or_else(|| fields.wrong("default_prompt_name", "the name of one of `prompts`"))
}

/// The cosine of the angle between two vectors of one length, in -1..1; 0 where one of them is 0. In f64.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths == 0.0 { 0.0 } else { (dot(a, b) / lengths).clamp(-1.0, 1.0) }
}
