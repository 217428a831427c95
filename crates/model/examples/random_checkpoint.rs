//! Writes a Hugging Face directory with random weights in the exact shape of Qwen2.5-0.5B, to measure memory with.
//! Its tokenizer is that of the arithmetic tasks: 64 of the 151,936 ids.
//!
//!     cargo run --release -p cohort-model --example random_checkpoint -- DIR

use std::{borrow::Cow, error::Error, fs, path::Path};

use cohort_core::Stream;
use cohort_model::{Architecture, Weights, arithmetic_tokenizer, random_weights};
use safetensors::{Dtype, View};
use serde_json::json;

struct Tensor<'a> {
    weights: &'a Weights,
    index: usize,
}

impl View for Tensor<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.weights.shape(self.index)
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.weights.slice(self.index).iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        size_of_val(self.weights.slice(self.index))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(directory) = std::env::args().nth(1) else { return Err("usage: random_checkpoint DIR".into()) };
    let directory = Path::new(&directory);
    fs::create_dir_all(directory)?;
    let config = json!({
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "dtype": "float32",
        "hidden_act": "silu",
        "hidden_size": 896,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "intermediate_size": 4864,
        "vocab_size": 151_936,
        "max_position_embeddings": 32_768,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "tie_word_embeddings": true,
        "use_sliding_window": false,
        "eos_token_id": 1,
        "pad_token_id": 0,
    });
    fs::write(directory.join("config.json"), format!("{config:#}\n"))?;
    for asset in arithmetic_tokenizer() {
        fs::write(directory.join(&asset.name), &asset.bytes)?;
    }
    let parameters = Architecture::read(directory)?.parameters();
    let weights = random_weights(&parameters, Stream::new(0, "init"));
    let tensors = parameters.infos.iter().enumerate();
    let tensors = tensors.map(|(index, info)| (info.name.clone(), Tensor { weights: &weights, index }));
    let format = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(tensors, Some(format), &directory.join("model.safetensors"))?;
    Ok(())
}
