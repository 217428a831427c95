//! `[policy]`: where the policy comes from, and what of it is trained.

use cohort_core::{NumberType, Precision};
use cohort_model::{ExpertsBlueprint, Prompts, Selection};
use serde::{Deserialize, Serialize};

/// Exactly one of `model` and `new`, and what of it is trained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySection {
    /// A Hugging Face directory: a path, `data:NAME` under `COHORT_DATA`, or `hf:org/name[@revision]` of the Hub and its cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Random weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<NewPolicy>,
    /// The directory of an adapter of `model` (PEFT's layout) to go on with: its configuration says what is trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// What frozen matrices are stored in; what is trained is f32.
    pub dtype: NumberType,
    /// What is multiplied, by sampler and trainer alike: f32, or operands rounded to bf16 and summed in f32. Weights stay f32.
    #[serde(skip_serializing_if = "Precision::is_default")]
    pub compute: Precision,
    /// How often a prompt that the completions of a group share is run, when they are trained or scored: a speed.
    pub prompts: Prompts,
    /// What is trained: everything, unless told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<Selection>,
}

/// A Qwen3-architecture policy with random weights; with experts Qwen3-MoE's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPolicy {
    /// Which tokenizer; it fixes the vocabulary.
    pub tokenizer: BuiltinTokenizer,
    /// Numbers a position in the residual stream.
    pub width: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Query heads; `kv_heads` divides it.
    pub heads: usize,
    /// Key and value heads, each shared by `heads / kv_heads` query heads.
    pub kv_heads: usize,
    /// Numbers a head; even.
    pub head_dim: usize,
    /// Width of the gated MLP.
    pub inner: usize,
    /// Every layer has a mixture of experts in the place of the MLP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experts: Option<ExpertsBlueprint>,
    /// Most tokens in a context with its completion.
    pub positions: usize,
    /// Base of the rotary embedding.
    #[serde(default = "default_theta")]
    pub rope_theta: f64,
    /// Seeds the weights, whatever `seed` is: all seeds of a recipe start from one policy.
    #[serde(default)]
    pub seed: u64,
}

fn default_theta() -> f64 {
    10_000.0
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BuiltinTokenizer {
    /// 64 ids: digits, operators, letters and four tags.
    Arithmetic,
    /// 104 ids: printable ASCII and newline, a character an id, and the four tags.
    Characters,
}
