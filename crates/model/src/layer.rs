//! One description of a decoder layer, read by both interpreters.
//!
//! With `x` of width `d`, every layer is
//!
//! ```text
//! h = x + O(attention(rope(norm_q(Q n)), rope(norm_k(K n)), V n))      n = rms_norm(x)
//! y = h + D(silu(G m) * (U m))                                         m = rms_norm(h)
//! ```
//!
//! where biases and the per-head norms `norm_q`, `norm_k` are there or not, and attention may see a window of the last
//! positions alone. A layer whose feed is a mixture has experts, each with its own `G`, `U` and `D`, and adds, in the place of
//! `D(..)`, `sum over the chosen experts e of w_e * D_e(silu(G_e m) * (U_e m))`; weights and choice come from a router `R m`.
//!
//! [`ModelParameters`] says which parameter stands where; the training graph and the slice
//! decoder index the same list, so neither can know of a parameter that the other lacks.

use cohort_core::ParameterInfo;
pub use cohort_kernels::{RoutingShape, RoutingWeights};

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

/// A mixture of experts: gated MLPs without biases, some of which take each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mixture {
    pub routing: RoutingShape,
    /// Width inside an expert.
    pub inner: usize,
}

/// The second half of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedShape {
    Dense(Mlp),
    Experts(Mixture),
}

/// What all layers of a decoder share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer {
    pub width: usize,
    pub norm_eps: f64,
    pub attention: Attention,
}

/// What one layer has of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerKind {
    /// Positions that a position attends to, its own included; `None`: all before it.
    pub window: Option<usize>,
    pub feed: FeedShape,
}

/// How a file holds the matrices of experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpertLayout {
    /// One by one: `experts.N.gate_proj.weight` and so on.
    Separate,
    /// `experts.gate_up_proj` `[experts, 2 inner, width]`, gate before up, and `experts.down_proj` `[experts, width, inner]`.
    Fused,
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
    /// A matrix of an adapter.
    Adapter,
}

/// A low-rank change of a linear map: `y += scale * (x A') B'`, by index, with `A` of shape `[rank, in]` and `B` of
/// `[out, rank]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adapter {
    pub a: usize,
    pub b: usize,
    pub scale: f32,
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
    pub adapter: Option<Adapter>,
}

/// The per-head norms of queries and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadNorms {
    pub query: usize,
    pub key: usize,
}

/// The parameters of one layer, norms by index and matrices by place.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerParameters {
    pub attention_norm: usize,
    pub query: Projection,
    pub key: Projection,
    pub value: Projection,
    pub head_norms: Option<HeadNorms>,
    pub output: Projection,
    pub mlp_norm: usize,
    /// As in [`LayerKind`].
    pub window: Option<usize>,
    pub feed: Feed,
}

/// The parameters of a layer's second half.
#[derive(Clone, Debug, PartialEq)]
pub enum Feed {
    Dense(Gated),
    Experts(Experts),
}

/// `down(silu(gate(x)) * up(x))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gated {
    pub gate: Projection,
    pub up: Projection,
    pub down: Projection,
}

/// A router and what it chooses from.
#[derive(Clone, Debug, PartialEq)]
pub struct Experts {
    /// To a logit an expert.
    pub router: Projection,
    pub experts: Vec<Gated>,
    pub routing: RoutingShape,
}

impl LayerParameters {
    /// The linear maps that an adapter can stand beside: routers and experts are none.
    pub fn projections(&self) -> Vec<&Projection> {
        let Self { query, key, value, output, feed, .. } = self;
        let mut all = vec![query, key, value, output];
        if let Feed::Dense(Gated { gate, up, down }) = feed {
            all.extend([gate, up, down]);
        }
        all
    }

    /// The same, to be changed.
    pub fn projections_mut(&mut self) -> Vec<&mut Projection> {
        let Self { query, key, value, output, feed, .. } = self;
        let mut all = vec![query, key, value, output];
        if let Feed::Dense(Gated { gate, up, down }) = feed {
            all.extend([gate, up, down]);
        }
        all
    }
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
    /// Lists the parameters of layers of these kinds between an embedding of `vocabulary` rows and a head.
    pub fn new(vocabulary: usize, layer: &Layer, kinds: &[LayerKind], head: Head, experts: ExpertLayout) -> Self {
        let mut list = List::default();
        let width = layer.width;
        let embedding = list.matrix("model.embed_tokens.weight", vocabulary, width);
        let at = |i: usize| format!("model.layers.{i}");
        let layers = kinds.iter().enumerate().map(|(i, kind)| list.layer(layer, kind, experts, &at(i))).collect();
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
        Projection { weight, bias, adapter: None }
    }

    fn gated(&mut self, at: &str, width: usize, inner: usize, bias: Bias) -> Gated {
        Gated {
            gate: self.projection(&format!("{at}.gate_proj"), inner, width, bias),
            up: self.projection(&format!("{at}.up_proj"), inner, width, bias),
            down: self.projection(&format!("{at}.down_proj"), width, inner, bias),
        }
    }

    fn experts(&mut self, at: &str, width: usize, mixture: Mixture, layout: ExpertLayout) -> Experts {
        let Mixture { routing, inner } = mixture;
        let router = self.projection(&format!("{at}.gate"), routing.experts, width, Bias::Absent);
        let count = routing.experts;
        let experts = match layout {
            ExpertLayout::Separate => {
                (0..count).map(|e| self.gated(&format!("{at}.experts.{e}"), width, inner, Bias::Absent)).collect()
            }
            ExpertLayout::Fused => {
                let matrices = ParameterKind::Matrix;
                let both = self.push(&format!("{at}.experts.gate_up_proj"), &[count, 2 * inner, width], matrices);
                let down = self.push(&format!("{at}.experts.down_proj"), &[count, width, inner], matrices);
                let slice = |parameter, from, rows| {
                    let weight = Place { parameter, from, rows };
                    Projection { weight, bias: None, adapter: None }
                };
                let expert = |e: usize| Gated {
                    gate: slice(both, 2 * e * inner, inner),
                    up: slice(both, (2 * e + 1) * inner, inner),
                    down: slice(down, e * width, width),
                };
                (0..count).map(expert).collect()
            }
        };
        Experts { router, experts, routing }
    }

    fn layer(&mut self, layer: &Layer, kind: &LayerKind, experts: ExpertLayout, at: &str) -> LayerParameters {
        let &Layer { width, attention, .. } = layer;
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
            window: kind.window,
            feed: match kind.feed {
                FeedShape::Dense(mlp) => Feed::Dense(self.gated(&format!("{at}.mlp"), width, mlp.inner, mlp.bias)),
                FeedShape::Experts(mixture) => {
                    Feed::Experts(self.experts(&format!("{at}.mlp"), width, mixture, experts))
                }
            },
        }
    }
}
