//! Model directories as others write them, and ways to damage them.

use std::{fs, path::Path};

use cohort_core::{Stream, policy::Asset};
use cohort_model::{Architecture, Blueprint, TextPolicy, arithmetic_tokenizer, layer::ExpertLayout, random_weights};
use cohort_train::checkpoint::{self, Provenance, SHARD_BYTES};
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::{Value, json};

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
    let vocabulary: serde_json::Map<String, Value> =
        tokens.iter().enumerate().map(|(id, token)| (token.clone(), json!(id))).collect();
    let tokenizer = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added(&specials),
        "normalizer": null,
        "pre_tokenizer": { "type": "Split", "pattern": { "Regex": "(?s)." }, "behavior": "Isolated", "invert": false },
        "post_processor": null,
        "decoder": { "type": "Fuse" },
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>" },
    });
    let asset = Asset { name: "tokenizer.json".to_owned(), bytes: tokenizer.to_string().into_bytes() };
    save(directory, tokens.len(), 2048, vec![asset]);
}

/// Special tokens with the first ids.
fn added(specials: &[&str]) -> Vec<Value> {
    let token = |(id, token)| {
        json!({ "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true })
    };
    specials.iter().enumerate().map(token).collect()
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
        experts: None,
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

/// Ids of the byte-level tokenizer, with what published tables have beyond their tokenizer's.
const BYTE_LEVEL_IDS: usize = 304;

/// A model of the architecture of one of the model crate's golden directories, small, random, and able to read any text.
pub fn of_architecture(golden: &str, directory: &Path) {
    let origin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/golden").join(golden);
    let mut config: Value =
        serde_json::from_slice(&fs::read(origin.join("config.json")).expect("a golden")).expect("JSON");
    config["vocab_size"] = json!(BYTE_LEVEL_IDS);
    config["max_position_embeddings"] = json!(2048);
    fs::create_dir_all(directory).expect("a folder");
    fs::write(directory.join("config.json"), config.to_string()).expect("written");
    fs::copy(origin.join("generation_config.json"), directory.join("generation_config.json")).expect("copied");
    fs::write(directory.join("tokenizer.json"), byte_level().to_string()).expect("written");
    let mut architecture = Architecture::read(directory).expect("an architecture that is supported");
    // Experts are told by names: those of the golden file.
    let golden = fs::read(origin.join("model.safetensors")).expect("a golden");
    let golden = SafeTensors::deserialize(&golden).expect("a whole file");
    if golden.names().iter().any(|name| name.ends_with(".experts.gate_up_proj")) {
        architecture.experts = ExpertLayout::Fused;
    }
    let parameters = architecture.parameters();
    let weights = random_weights(&parameters, Stream::new(3, "model"));
    let tensors: Vec<Tensor> = parameters
        .infos
        .iter()
        .enumerate()
        .map(|(index, info)| {
            // Larger than models start with: distributions are far from uniform.
            let factor = if info.shape.len() >= 2 { 8.0 } else { 1.0 };
            let bytes = weights.slice(index).iter().flat_map(|x| (x * factor).to_le_bytes()).collect();
            (info.name.clone(), info.shape.clone(), bytes)
        })
        .collect();
    let names: Vec<&str> = tensors.iter().map(|(name, ..)| name.as_str()).collect();
    let expected = golden.names();
    assert!(names.len() == expected.len() && expected.iter().all(|name| names.contains(name)), "{names:?}");
    write_tensors(&directory.join("model.safetensors"), &tensors);
}

/// A byte-level BPE, as Qwen, Llama 3 and Mistral have it: any text has ids, and text comes back byte for byte.
fn byte_level() -> Value {
    // Bytes that print stand for themselves, the others for the characters from 256 on.
    let prints = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let others = (0..=u8::MAX).filter(|byte| !prints(byte));
    let others = others.zip(256..).map(|(byte, code)| (byte, char::from_u32(code).expect("a character")));
    let mut characters: Vec<(u8, char)> =
        (0..=u8::MAX).filter(prints).map(|byte| (byte, char::from(byte))).chain(others).collect();
    characters.sort_unstable();
    let pairs = [
        "Ġ t", "h e", "Ġ a", "i n", "r e", "o n", "e r", "Ġ s", "n d", "a t", "o u", "e s", "o r", "Ġ c", "e n", "i s",
    ];
    let specials = ["<pad>", "<eos>", "<bos>"];
    let tokens = specials.iter().map(|s| (*s).to_owned());
    let tokens = tokens.chain(characters.iter().map(|(_, c)| c.to_string()));
    let tokens = tokens.chain(pairs.iter().map(|pair| pair.replace(' ', "")));
    let vocabulary: serde_json::Map<String, Value> = tokens.enumerate().map(|(id, token)| (token, json!(id))).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added(&specials),
        "normalizer": null,
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        "post_processor": null,
        "decoder": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "vocab": vocabulary, "merges": pairs,
        },
    })
}

/// Rewrites a safetensors file after `change`.
pub fn edit(file: &Path, change: impl FnOnce(&mut Vec<Tensor>)) {
    let bytes = fs::read(file).expect("a file");
    let whole = SafeTensors::deserialize(&bytes).expect("a whole file");
    let mut tensors: Vec<Tensor> =
        whole.iter().map(|(name, t)| (name.to_owned(), t.shape().to_vec(), t.data().to_vec())).collect();
    change(&mut tensors);
    write_tensors(file, &tensors);
}

fn write_tensors(file: &Path, tensors: &[Tensor]) {
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
