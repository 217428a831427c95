//! What a `config.json` of the BERT family says: sizes, names, positions.

use std::path::Path;

use serde_json::{Value, json};

use crate::{EncoderError, fields::Fields};

/// How a checkpoint names its tensors, and what sets it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Names of BERT; RoBERTa and XLM-RoBERTa have them too.
    Bert,
    DistilBert,
    /// Attention knows how far apart two tokens are.
    Mpnet,
}

/// The row of the position table that a token has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Positions {
    /// Its place, counted from 0.
    Place,
    /// `pad + 1` and on for the tokens that are not `pad`, which have row `pad` themselves (fairseq's rule).
    Behind { pad: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    Gelu,
    GeluTanh,
    Relu,
}

/// Sizes of an encoder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Architecture {
    pub family: Family,
    /// The word in front of the names of tensors in checkpoints with a head.
    pub word: &'static str,
    pub width: usize,
    pub layers: usize,
    pub heads: usize,
    pub inner: usize,
    pub vocabulary: usize,
    /// Rows of the position table.
    pub position_rows: usize,
    pub positions: Positions,
    /// Rows of the segment table; a text by itself is segment 0.
    pub segments: Option<usize>,
    pub activation: Activation,
    pub eps: f32,
    /// Buckets of distances.
    pub buckets: Option<usize>,
}

const SUPPORTED: &str = "bert, roberta, xlm-roberta, mpnet, distilbert";

impl Architecture {
    pub(crate) fn read(directory: &Path) -> Result<Self, EncoderError> {
        let fields = Fields::read(directory.join("config.json"), "an encoder's configuration")?;
        let (family, word, pad) = match fields.text("model_type")? {
            Some("bert") => (Family::Bert, "bert", None),
            Some("roberta" | "xlm-roberta") => (Family::Bert, "roberta", Some(pad(&fields)?)),
            // Its embeddings count from 1 whatever the tokenizer pads with.
            Some("mpnet") => (Family::Mpnet, "mpnet", Some(1)),
            Some("distilbert") => (Family::DistilBert, "distilbert", None),
            _ => return Err(fields.unsupported("model_type", SUPPORTED)),
        };
        for switch in ["is_decoder", "add_cross_attention"] {
            fields.only(switch, json!(false))?;
        }
        fields.only("position_embedding_type", json!("absolute"))?;
        let name = |bert: &'static str, distil: &'static str| if family == Family::DistilBert { distil } else { bert };
        let act = name("hidden_act", "activation");
        let activation = match fields.text(act)? {
            None | Some("gelu") => Activation::Gelu,
            Some("gelu_new" | "gelu_pytorch_tanh") => Activation::GeluTanh,
            Some("relu") => Activation::Relu,
            Some(_) => return Err(fields.unsupported(act, "gelu, gelu_new, gelu_pytorch_tanh, relu")),
        };
        let architecture = Self {
            family,
            word,
            width: fields.count(name("hidden_size", "dim"))?,
            layers: fields.count(name("num_hidden_layers", "n_layers"))?,
            heads: fields.count(name("num_attention_heads", "n_heads"))?,
            inner: fields.count(name("intermediate_size", "hidden_dim"))?,
            vocabulary: fields.count("vocab_size")?,
            position_rows: fields.count("max_position_embeddings")?,
            positions: pad.map_or(Positions::Place, |pad| Positions::Behind { pad }),
            segments: match family {
                Family::Bert => Some(fields.count_if_any("type_vocab_size")?.unwrap_or(2)),
                Family::DistilBert | Family::Mpnet => None,
            },
            activation,
            eps: match family {
                Family::DistilBert => 1e-12,
                Family::Bert | Family::Mpnet => fields.positive("layer_norm_eps", 1e-12)? as f32,
            },
            buckets: match family {
                Family::Mpnet => Some(fields.count_if_any("relative_attention_num_buckets")?.unwrap_or(32)),
                Family::Bert | Family::DistilBert => None,
            },
        };
        if !architecture.width.is_multiple_of(architecture.heads) {
            let expected = format!("a divisor of the width {}", architecture.width);
            return Err(fields.wrong(name("num_attention_heads", "n_heads"), expected));
        }
        if architecture.buckets.is_some_and(|buckets| buckets != 32) {
            return Err(fields.unsupported("relative_attention_num_buckets", 32));
        }
        if architecture.longest() == 0 {
            return Err(fields.wrong("max_position_embeddings", "more rows than the padding takes"));
        }
        Ok(architecture)
    }

    /// The most tokens that have a position.
    pub(crate) fn longest(&self) -> usize {
        match self.positions {
            Positions::Place => self.position_rows,
            Positions::Behind { pad } => self.position_rows.saturating_sub(pad as usize + 1),
        }
    }
}

fn pad(fields: &Fields) -> Result<u32, EncoderError> {
    match fields.get("pad_token_id") {
        None => Ok(1),
        Some(value) => value
            .as_u64()
            .and_then(|id| u32::try_from(id).ok())
            .filter(|id| *id < 1 << 30)
            .ok_or_else(|| fields.wrong("pad_token_id", "a token's id")),
    }
}

/// A list of texts in JSON, or one text.
pub(crate) fn words(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::Array(list) => list.iter().map(Value::as_str).collect(),
        one => one.as_str().map(|one| vec![one]),
    }
}
