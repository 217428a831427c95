//! A new policy: its architecture from a recipe's numbers, and the `config.json` that loads it again.

use std::path::Path;

use cohort_core::policy::Asset;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    config::{Architecture, Family, rotary},
    error::ConfigError,
    layer::{Bias, FeedShape, Head, Mixture, RoutingWeights},
};

/// The sizes of a new, random-initialised Qwen3 policy; with experts Qwen3-MoE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blueprint {
    /// Number of token ids.
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub width: usize,
    pub layers: usize,
    pub query_heads: usize,
    /// Divides `query_heads`.
    pub kv_heads: usize,
    /// Even.
    pub head_dim: usize,
    /// Width inside the MLP.
    pub inner: usize,
    /// Every layer has a mixture of experts in the place of the MLP.
    #[serde(default)]
    pub experts: Option<ExpertsBlueprint>,
    /// Longest context plus actions.
    pub positions: usize,
    #[serde(default = "default_theta")]
    pub rope_theta: f64,
    #[serde(default = "default_eps")]
    pub norm_eps: f64,
    /// Whether the head is the embedding's own matrix.
    #[serde(default = "default_tied")]
    pub tied: bool,
    #[serde(default)]
    pub end_ids: Vec<u32>,
    #[serde(default)]
    pub pad_id: Option<u32>,
}

/// The sizes of a new mixture of experts. A token costs what an MLP of `top_k * inner` costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpertsBlueprint {
    /// Experts a layer.
    pub count: usize,
    /// Experts that a token goes through, at most `count`; their weights add up to 1.
    pub top_k: usize,
    /// Width inside an expert.
    pub inner: usize,
}

fn default_theta() -> f64 {
    10_000.0
}

fn default_eps() -> f64 {
    1e-6
}

fn default_tied() -> bool {
    true
}

impl Architecture {
    /// The architecture of a blueprint, held to the same checks as one that was read.
    ///
    /// # Errors
    /// A size is impossible; the error names it as the field of `config.json` that it becomes.
    pub fn new(blueprint: &Blueprint) -> Result<Self, ConfigError> {
        let Blueprint { vocabulary, width, layers, query_heads, kv_heads, head_dim, inner, positions, .. } = *blueprint;
        let mut config = json!({
            "model_type": "qwen3",
            "vocab_size": vocabulary,
            "hidden_size": width,
            "num_hidden_layers": layers,
            "num_attention_heads": query_heads,
            "num_key_value_heads": kv_heads,
            "head_dim": head_dim,
            "intermediate_size": inner,
            "max_position_embeddings": positions,
            "rms_norm_eps": blueprint.norm_eps,
            "rope_parameters": { "rope_theta": blueprint.rope_theta, "rope_type": "default" },
            "tie_word_embeddings": blueprint.tied,
            "eos_token_id": blueprint.end_ids,
            "pad_token_id": blueprint.pad_id,
        });
        if let Some(ExpertsBlueprint { count, top_k, inner }) = blueprint.experts {
            config["model_type"] = json!("qwen3_moe");
            config["num_experts"] = json!(count);
            config["num_experts_per_tok"] = json!(top_k);
            config["moe_intermediate_size"] = json!(inner);
            config["norm_topk_prob"] = json!(true);
        }
        Self::parse(Path::new("(the recipe's policy)"), &config)
    }

    /// `config.json` as transformers 5 writes it.
    pub fn config_json(&self) -> Value {
        let attention = self.layer.attention;
        let class = match self.family {
            Family::Qwen3 => "Qwen3ForCausalLM",
            Family::Qwen3Moe => "Qwen3MoeForCausalLM",
            Family::Qwen2 => "Qwen2ForCausalLM",
            Family::Llama => "LlamaForCausalLM",
            Family::Mistral => "MistralForCausalLM",
        };
        let mut config = json!({
            "architectures": [class],
            "attention_dropout": 0.0,
            "bos_token_id": null,
            "dtype": self.dtype.name(),
            "eos_token_id": ids_json(&self.end_ids),
            "head_dim": attention.head_dim,
            "hidden_act": "silu",
            "hidden_size": self.layer.width,
            "initializer_range": 0.02,
            "max_position_embeddings": self.positions,
            "model_type": self.family.model_type(),
            "num_attention_heads": attention.query_heads,
            "num_hidden_layers": self.layers.len(),
            "num_key_value_heads": attention.kv_heads,
            "pad_token_id": self.pad_id,
            "rms_norm_eps": self.layer.norm_eps,
            "rope_parameters": rotary::write(attention.rope),
            "tie_word_embeddings": self.head == Head::Tied,
            "use_cache": true,
            "vocab_size": self.vocabulary,
        });
        match self.family {
            Family::Qwen3 | Family::Qwen3Moe | Family::Llama => {
                config["attention_bias"] = json!(attention.output_bias == Bias::Present);
            }
            Family::Qwen2 | Family::Mistral => {}
        }
        self.write_windows(&mut config);
        self.write_feeds(&mut config);
        config
    }

    fn write_windows(&self, config: &mut Value) {
        let window = self.layers.iter().find_map(|layer| layer.window);
        match self.family {
            Family::Qwen3 | Family::Qwen2 => {
                let kind =
                    |window: Option<usize>| if window.is_some() { "sliding_attention" } else { "full_attention" };
                config["layer_types"] = self.layers.iter().map(|layer| kind(layer.window)).collect();
                config["use_sliding_window"] = json!(window.is_some());
            }
            Family::Qwen3Moe => config["use_sliding_window"] = json!(window.is_some()),
            Family::Mistral => {}
            Family::Llama => return,
        }
        config["sliding_window"] = json!(window);
    }

    fn write_feeds(&self, config: &mut Value) {
        let mut dense_layers = Vec::new();
        for (i, layer) in self.layers.iter().enumerate() {
            match layer.feed {
                FeedShape::Dense(mlp) => {
                    dense_layers.push(i);
                    config["intermediate_size"] = json!(mlp.inner);
                    if self.family == Family::Llama {
                        config["mlp_bias"] = json!(mlp.bias == Bias::Present);
                    }
                }
                FeedShape::Experts(Mixture { routing, inner }) => {
                    config["moe_intermediate_size"] = json!(inner);
                    config["num_experts"] = json!(routing.experts);
                    config["num_experts_per_tok"] = json!(routing.top_k);
                    config["norm_topk_prob"] = json!(routing.weights == RoutingWeights::Normalised);
                }
            }
        }
        if self.family == Family::Qwen3Moe {
            config["decoder_sparse_step"] = json!(1);
            config["mlp_only_layers"] = json!(dense_layers);
        }
    }

    /// `generation_config.json`: what generation stops at and pads with.
    pub fn generation_config_json(&self) -> Value {
        json!({
            "_from_model_config": true,
            "eos_token_id": ids_json(&self.end_ids),
            "pad_token_id": self.pad_id,
            "use_cache": true,
        })
    }

    /// Both files, rendered.
    pub fn config_assets(&self) -> Vec<Asset> {
        [("config.json", self.config_json()), ("generation_config.json", self.generation_config_json())]
            .map(|(name, value)| Asset { name: name.to_owned(), bytes: format!("{value:#}\n").into_bytes() })
            .into()
    }
}

fn ids_json(ids: &[u32]) -> Value {
    match ids {
        [] => Value::Null,
        [one] => json!(one),
        many => json!(many),
    }
}
