//! Model directories as others write them, and ways to damage them.

use std::{fs, path::Path};

use cohort_core::{Stream, policy::Asset};
use cohort_model::{Architecture, Blueprint, TextPolicy, arithmetic_tokenizer};
use cohort_train::checkpoint::{self, Provenance, SHARD_BYTES};
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::json;

/// A tensor of a file: name, shape, bytes.
pub type Tensor = (String, Vec<usize>, Vec<u8>);

/// A model that speaks arithmetic, in Hugging Face's layout and nothing else.
pub fn arithmetic(directory: &Path) {
    save(directory, 64, 64, arithmetic_tokenizer());
}

/// One id a character of printable ASCII, and one for everything else: encodes any text.
pub fn characters(directory: &Path) {
    let specials = ["<pad>", "<eos>", "<unk>"];
    let printable = (' '..='~').chain(['\n']).map(String::from);
    let tokens: Vec<String> = specials.iter().map(|s| (*s).to_owned()).chain(printable).collect();
    let vocabulary: serde_json::Map<String, serde_json::Value> =
        tokens.iter().enumerate().map(|(id, token)| (token.clone(), json!(id))).collect();
    let added: Vec<_> = specials
        .iter()
        .enumerate()
        .map(|(id, token)| {
            json!({ "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": true })
        })
        .collect();
    let tokenizer = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": { "type": "Split", "pattern": { "Regex": "(?s)." }, "behavior": "Isolated", "invert": false },
        "post_processor": null,
        "decoder": { "type": "Fuse" },
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>" },
    });
    let asset = Asset { name: "tokenizer.json".to_owned(), bytes: tokenizer.to_string().into_bytes() };
    save(directory, tokens.len(), 2048, vec![asset]);
}

fn save(directory: &Path, vocabulary: usize, positions: usize, tokenizer: Vec<Asset>) {
    let blueprint = Blueprint {
        vocabulary,
        width: 32,
        layers: 1,
        query_heads: 2,
        kv_heads: 1,
        head_dim: 16,
        inner: 64,
        positions,
        rope_theta: 10_000.0,
        norm_eps: 1e-6,
        tied: true,
        end_ids: vec![1],
        pad_id: Some(0),
    };
    let architecture = Architecture::new(&blueprint).expect("a possible architecture");
    let policy = TextPolicy::new(architecture, tokenizer, Stream::new(3, "model")).expect("a policy");
    checkpoint::write_model(directory, &policy, &Provenance::default(), SHARD_BYTES).expect("written");
    // What others write has no sums.
    fs::remove_file(directory.join("checksums.json")).expect("it was written");
}

/// Rewrites a safetensors file after `change`.
pub fn edit(file: &Path, change: impl FnOnce(&mut Vec<Tensor>)) {
    let bytes = fs::read(file).expect("a file");
    let whole = SafeTensors::deserialize(&bytes).expect("a whole file");
    let mut tensors: Vec<Tensor> =
        whole.iter().map(|(name, t)| (name.to_owned(), t.shape().to_vec(), t.data().to_vec())).collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, shape, data)| {
        (name.clone(), TensorView::new(safetensors::Dtype::F32, shape.clone(), data).expect("a tensor"))
    });
    fs::write(file, safetensors::serialize(views, None).expect("a file")).expect("it is written");
}

/// Flips a bit in the middle of a tensor of a safetensors file.
pub fn flip(file: &Path, tensor: &str) {
    let mut bytes = fs::read(file).expect("a file");
    let header = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let entries: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).expect("a header");
    let at = |i: usize| entries[tensor]["data_offsets"][i].as_u64().expect("an offset") as usize;
    bytes[8 + header + (at(0) + at(1)) / 2] ^= 1;
    fs::write(file, bytes).expect("it is written");
}

/// Cuts a file to `bytes`.
pub fn cut(file: &Path, bytes: u64) {
    fs::OpenOptions::new().write(true).open(file).expect("a file").set_len(bytes).expect("it is cut");
}
