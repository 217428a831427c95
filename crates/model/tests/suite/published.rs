//! Configurations as their authors published them, and the number of weights that follows.

use std::path::Path;

use cohort_model::{Architecture, ConfigError, StoredDtype, layer::RopeScaling};
use serde_json::{Value, json};

fn parse(config: &Value) -> Result<Architecture, ConfigError> {
    Architecture::parse(Path::new("config.json"), config)
}

#[test]
fn qwen2_5_0_5b() {
    let architecture = parse(&json!({
        "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643,
        "eos_token_id": 151643, "hidden_act": "silu", "hidden_size": 896, "initializer_range": 0.02,
        "intermediate_size": 4864, "max_position_embeddings": 32768, "max_window_layers": 24, "model_type": "qwen2",
        "num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2, "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
        "transformers_version": "4.40.1", "use_cache": true, "use_mrope": false, "use_sliding_window": false,
        "vocab_size": 151936
    }))
    .expect("supported");
    assert_eq!(architecture.parameter_count(), 494_032_768);
    assert_eq!((architecture.dtype, architecture.layer.attention.head_dim), (StoredDtype::Bf16, 64));
}

#[test]
fn qwen3_0_6b() {
    let architecture = parse(&json!({
        "architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "bos_token_id": 151643, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024,
        "initializer_range": 0.02, "intermediate_size": 3072, "max_position_embeddings": 40960,
        "max_window_layers": 28, "model_type": "qwen3", "num_attention_heads": 16, "num_hidden_layers": 28,
        "num_key_value_heads": 8, "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000,
        "sliding_window": null, "tie_word_embeddings": true, "torch_dtype": "bfloat16", "use_cache": true,
        "use_sliding_window": false, "vocab_size": 151936
    }))
    .expect("supported");
    assert_eq!(architecture.parameter_count(), 596_049_920);
    assert_eq!(architecture.end_ids, [151_645]);
}

#[test]
fn tinyllama_1_1b() {
    let architecture = parse(&json!({
        "architectures": ["LlamaForCausalLM"], "attention_bias": false, "bos_token_id": 1, "eos_token_id": 2,
        "hidden_act": "silu", "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 5632,
        "max_position_embeddings": 2048, "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 22,
        "num_key_value_heads": 4, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": null,
        "rope_theta": 10000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true,
        "vocab_size": 32000
    }))
    .expect("supported");
    assert_eq!(architecture.parameter_count(), 1_100_048_384);
}

#[test]
fn mistral_7b_with_and_without_a_window() {
    let mut config = json!({
        "architectures": ["MistralForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2,
        "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336,
        "max_position_embeddings": 32768, "model_type": "mistral", "num_attention_heads": 32,
        "num_hidden_layers": 32, "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 1000000.0,
        "sliding_window": null, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true,
        "vocab_size": 32768
    });
    assert_eq!(parse(&config).expect("version 0.3").parameter_count(), 7_248_023_552);
    config["sliding_window"] = json!(4096);
    let windowed = parse(&config).expect("version 0.1");
    assert!(windowed.layers.iter().all(|layer| layer.window == Some(4096)));
}

#[test]
fn qwen3_30b_a3b() {
    let architecture = parse(&json!({
        "architectures": ["Qwen3MoeForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
        "bos_token_id": 151643, "decoder_sparse_step": 1, "eos_token_id": 151645, "head_dim": 128,
        "hidden_act": "silu", "hidden_size": 2048, "initializer_range": 0.02, "intermediate_size": 6144,
        "max_position_embeddings": 40960, "max_window_layers": 48, "mlp_only_layers": [], "model_type": "qwen3_moe",
        "moe_intermediate_size": 768, "norm_topk_prob": true, "num_attention_heads": 32, "num_experts": 128,
        "num_experts_per_tok": 8, "num_hidden_layers": 48, "num_key_value_heads": 4, "output_router_logits": false,
        "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000.0, "router_aux_loss_coef": 0.001,
        "sliding_window": null, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true,
        "use_sliding_window": false, "vocab_size": 151936
    }))
    .expect("supported");
    assert_eq!(architecture.parameter_count(), 30_532_122_624);
    assert_eq!(parse(&architecture.config_json()).expect("what is written"), architecture);
}

#[test]
fn llama_3_2_1b() {
    let architecture = parse(&json!({
        "architectures": ["LlamaForCausalLM"], "attention_bias": false, "bos_token_id": 128000,
        "eos_token_id": [128001, 128008, 128009], "head_dim": 64, "hidden_act": "silu", "hidden_size": 2048,
        "intermediate_size": 8192, "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama",
        "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8, "rms_norm_eps": 1e-05,
        "rope_scaling": {
            "factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3"
        },
        "rope_theta": 500000.0, "tie_word_embeddings": true, "torch_dtype": "bfloat16", "vocab_size": 128256
    }))
    .expect("supported");
    assert_eq!(architecture.parameter_count(), 1_235_814_400);
    let rope = architecture.layer.attention.rope;
    assert!(matches!(rope.scaling, RopeScaling::Llama3(llama3) if llama3.original_positions == 8192), "{rope:?}");
    assert_eq!(architecture.end_ids, [128_001, 128_008, 128_009]);
    assert_eq!(parse(&architecture.config_json()).expect("what is written"), architecture);
}
