//! One description of a decoder layer, read by both interpreters.
//!
//! With `x` of width `d`, every layer is
//!
//! ```text
//! h = x + O(attention(rope(norm_q(Q n)), rope(norm_k(K n)), V n))      n = rms_norm(x)
//! y = h + D(silu(G m) * (U m))                                         m = rms_norm(h)
//! ```
//!
//! where biases and the per-head norms `norm_q`, `norm_k` are there or not.
//! [`ModelParameters`] says which parameter stands where; the training graph and the slice
//! decoder index the same list, so neither can know of a parameter that the other lacks.

use cohort_core::ParameterInfo;

pub use crate::rotary::{Llama3, Ramp, Rope, RopeScaling, Yarn};

/// Whether a linear map adds a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    Absent,
    Present,
}

/// Whether each head of queries and keys is normalised (RMS, a weight of `head_dim`) before the rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadNorm {
    Absent,
    Present,
}

/// Causal attention with grouped queries (Ainslie et al., "GQA", 2023).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    pub query_heads: usize,
    /// Divides `query_heads`.
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Bias of the query, key and value maps.
    pub input_bias: Bias,
    pub output_bias: Bias,
    pub head_norm: HeadNorm,
    pub rope: Rope,
}

/// Gated MLP, `down(silu(gate(x)) * up(x))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mlp {
    /// Width between up and down.
    pub inner: usize,
    pub bias: Bias,
}

/// A decoder layer; all layers of a model are alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer {
    pub width: usize,
    pub norm_eps: f64,
    pub attention: Attention,
    pub mlp: Mlp,
}

/// Where the vocabulary head takes its weight from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// The embedding's own matrix.
    Tied,
    /// `lm_head.weight`.
    Untied,
}

/// What a parameter is, which decides how it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    Matrix,
    /// The weight of a norm.
    Gain,
    Bias,
}

/// A matrix within the parameters: rows `from .. from + rows` of one of them, read as a matrix `[.., columns]` whose
/// columns are its last dimension. A whole matrix, or one slice of a tensor `[n, rows, columns]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Index of the parameter.
    pub parameter: usize,
    pub from: usize,
    pub rows: usize,
}

/// A linear map, `x W' + b` with `W` of shape `[out, in]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Projection {
    pub weight: Place,
    /// Index of a parameter `[out]`.
    pub bias: Option<usize>,
}

/// The per-head norms of queries and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadNorms {
    pub query: usize,
    pub key: usize,
}

/// The parameters of one layer, norms by index and matrices by place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerParameters {
    pub attention_norm: usize,
    pub query: Projection,
    pub key: Projection,
    pub value: Projection,
    pub head_norms: Option<HeadNorms>,
    pub output: Projection,
    pub mlp_norm: usize,
    pub gate: Projection,
    pub up: Projection,
    pub down: Projection,
}

/// All parameters of a model: their names (Hugging Face), shapes and kinds, and where each stands.
#[derive(Clone, Debug)]
pub struct ModelParameters {
    pub infos: Vec<ParameterInfo>,
    pub kinds: Vec<ParameterKind>,
    pub embedding: Place,
    pub layers: Vec<LayerParameters>,
    pub final_norm: usize,
    /// Equal to `embedding` when tied.
    pub head: Place,
}

impl ModelParameters {
    /// Lists the parameters of `count` layers between an embedding of `vocabulary` rows and a head.
    pub fn new(vocabulary: usize, layer: &Layer, count: usize, head: Head) -> Self {
        let mut list = List::default();
        let width = layer.width;
        let embedding = list.matrix("model.embed_tokens.weight", vocabulary, width);
        let layers = (0..count).map(|i| list.layer(layer, &format!("model.layers.{i}"))).collect();
        let final_norm = list.gain("model.norm.weight", width);
        let head = match head {
            Head::Tied => embedding,
            Head::Untied => list.matrix("lm_head.weight", vocabulary, width),
        };
        Self { infos: list.infos, kinds: list.kinds, embedding, layers, final_norm, head }
    }
}

#[derive(Default)]
struct List {
    infos: Vec<ParameterInfo>,
    kinds: Vec<ParameterKind>,
}

impl List {
    fn push(&mut self, name: &str, shape: &[usize], kind: ParameterKind) -> usize {
        self.infos.push(ParameterInfo { name: name.to_owned(), shape: shape.to_vec() });
        self.kinds.push(kind);
        self.infos.len() - 1
    }

    fn matrix(&mut self, name: &str, outputs: usize, inputs: usize) -> Place {
        let parameter = self.push(name, &[outputs, inputs], ParameterKind::Matrix);
        Place { parameter, from: 0, rows: outputs }
    }

    fn gain(&mut self, name: &str, width: usize) -> usize {
        self.push(name, &[width], ParameterKind::Gain)
    }

    fn projection(&mut self, name: &str, outputs: usize, inputs: usize, bias: Bias) -> Projection {
        let weight = self.matrix(&format!("{name}.weight"), outputs, inputs);
        let bias = match bias {
            Bias::Absent => None,
            Bias::Present => Some(self.push(&format!("{name}.bias"), &[outputs], ParameterKind::Bias)),
        };
        Projection { weight, bias }
    }

    fn layer(&mut self, layer: &Layer, at: &str) -> LayerParameters {
        let &Layer { width, attention, mlp, .. } = layer;
        let queries = attention.query_heads * attention.head_dim;
        let keys = attention.kv_heads * attention.head_dim;
        LayerParameters {
            attention_norm: self.gain(&format!("{at}.input_layernorm.weight"), width),
            query: self.projection(&format!("{at}.self_attn.q_proj"), queries, width, attention.input_bias),
            key: self.projection(&format!("{at}.self_attn.k_proj"), keys, width, attention.input_bias),
            value: self.projection(&format!("{at}.self_attn.v_proj"), keys, width, attention.input_bias),
            head_norms: match attention.head_norm {
                HeadNorm::Absent => None,
                HeadNorm::Present => Some(HeadNorms {
                    query: self.gain(&format!("{at}.self_attn.q_norm.weight"), attention.head_dim),
                    key: self.gain(&format!("{at}.self_attn.k_norm.weight"), attention.head_dim),
                }),
            },
            output: self.projection(&format!("{at}.self_attn.o_proj"), width, queries, attention.output_bias),
            mlp_norm: self.gain(&format!("{at}.post_attention_layernorm.weight"), width),
            gate: self.projection(&format!("{at}.mlp.gate_proj"), mlp.inner, width, mlp.bias),
            up: self.projection(&format!("{at}.mlp.up_proj"), mlp.inner, width, mlp.bias),
            down: self.projection(&format!("{at}.mlp.down_proj"), width, mlp.inner, mlp.bias),
        }
    }
}
