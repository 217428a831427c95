//! Writes a Hugging Face directory with random weights, to measure with: in the exact shape of Qwen2.5-0.5B, or with fields of
//! its `config.json` that are given as they are there. Its tokenizer is that of the arithmetic tasks: 64 ids of the vocabulary.
//!
//!     cargo run --release -p cohort-model --example random_checkpoint -- DIR [FIELD=NUMBER ..]

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
    let mut arguments = std::env::args().skip(1);
    let Some(directory) = arguments.next() else { return Err("usage: random_checkpoint DIR [FIELD=NUMBER ..]".into()) };
    let directory = Path::new(&directory);
    fs::create_dir_all(directory)?;
    let mut config = json!({
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
    for argument in arguments {
        let (field, number) = argument.split_once('=').ok_or("a field is given as FIELD=NUMBER")?;
        config[field] = json!(number.parse::<u64>()?);
    }
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
