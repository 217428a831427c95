//! Directories that are no encoder, or another one than is supported: what is wrong is said by name.

use std::{
    fs,
    path::{Path, PathBuf},
};

use cohort_encoder::{Encoder, EncoderError};
use serde_json::{Value, json};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => assert!(fs::copy(entry.path(), to).is_ok()),
        }
    }
}

struct Place(tempfile::TempDir);

impl Place {
    fn of(name: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name), place.0.path());
        place
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn edit(&self, file: &str, change: impl FnOnce(&mut Value)) {
        let mut value: Value = serde_json::from_slice(&fs::read(self.path(file)).unwrap()).unwrap();
        change(&mut value);
        fs::write(self.path(file), value.to_string()).unwrap();
    }

    fn open(&self) -> Result<Encoder, EncoderError> {
        Encoder::open(self.0.path())
    }

    #[track_caller]
    fn is_refused(&self, parts: &[&str]) -> EncoderError {
        let error = self.open().expect_err("it is refused");
        let told = error.to_string();
        assert!(parts.iter().all(|part| told.contains(part)), "{parts:?} in {told}");
        error
    }
}

#[test]
fn fields_that_mean_other_numbers_are_refused() {
    for (model, file, field, value, parts) in [
        ("bert", "config.json", "model_type", json!("t5"), &["`model_type` is \"t5\"", "xlm-roberta, mpnet"][..]),
        ("bert", "config.json", "model_type", Value::Null, &["`model_type`"]),
        ("bert", "config.json", "hidden_act", json!("mish"), &["`hidden_act` is \"mish\"", "gelu_new"]),
        ("distilbert", "config.json", "activation", json!(7), &["`activation` is 7", "a text"]),
        ("bert", "config.json", "position_embedding_type", json!("relative_key"), &["relative_key", "\"absolute\""]),
        ("bert", "config.json", "is_decoder", json!(true), &["`is_decoder` is true", "supported: false"]),
        ("bert", "config.json", "hidden_size", json!(0), &["`hidden_size` is 0", "a whole number"]),
        ("bert", "config.json", "hidden_size", Value::Null, &["`hidden_size` is null"]),
        (
            "bert",
            "config.json",
            "num_attention_heads",
            json!(5),
            &["`num_attention_heads` is 5", "divisor of the width 24"],
        ),
        ("bert", "config.json", "layer_norm_eps", json!(-1), &["`layer_norm_eps` is -1"]),
        ("roberta", "config.json", "pad_token_id", json!(-1), &["`pad_token_id` is -1"]),
        ("roberta", "config.json", "max_position_embeddings", json!(2), &["`max_position_embeddings` is 2"]),
        (
            "mpnet",
            "config.json",
            "relative_attention_num_buckets",
            json!(16),
            &["`relative_attention_num_buckets`", "32"],
        ),
        ("bert", "config.json", "vocab_size", json!(20), &["tokenizer.json", "110 ids", "`vocab_size` of 20"]),
        ("bert_dense", "sentence_bert_config.json", "max_seq_length", json!(2), &["2 ids around", "reads 2"]),
        ("bert_dense", "sentence_bert_config.json", "max_seq_length", json!("x"), &["`max_seq_length` is \"x\""]),
        ("bert", "sentence_bert_config.json", "transformer_task", json!("fill-mask"), &["`transformer_task`"]),
        (
            "bert",
            "1_Pooling/config.json",
            "pooling_mode",
            json!("lasttoken"),
            &["`pooling_mode`", "supported: cls, max"],
        ),
        ("bert", "1_Pooling/config.json", "pooling_mode", json!([3]), &["`pooling_mode` is [3]"]),
        ("bert", "1_Pooling/config.json", "include_prompt", json!(false), &["`include_prompt` is false"]),
        ("bert", "1_Pooling/config.json", "embedding_dimension", json!(25), &["`embedding_dimension` is 25", "24"]),
        ("bert_dense", "1_Pooling/config.json", "pooling_mode_lasttoken", json!(true), &["`pooling_mode_lasttoken`"]),
        ("bert_dense", "2_Dense/config.json", "activation_function", json!("torch.nn.Mish"), &["Mish", "Tanh"]),
        ("bert_dense", "2_Dense/config.json", "in_features", json!(24), &["`in_features` is 24", "48"]),
        ("bert_dense", "2_Dense/config.json", "use_residual", json!(true), &["`use_residual`"]),
        ("bert", "2_Normalize/config.json", "module_input_name", json!("token_embeddings"), &["`module_input_name`"]),
        (
            "bert",
            "config_sentence_transformers.json",
            "default_prompt_name",
            json!("x"),
            &["`default_prompt_name` is \"x\""],
        ),
    ] {
        let place = Place::of(model);
        place.open().unwrap();
        place.edit(file, |config| config[field] = value);
        let mut parts = parts.to_vec();
        parts.push(if field == "vocab_size" || parts[0].contains("around") { "tokenizer.json" } else { file });
        assert!(!place.is_refused(&parts).is_of_weights());
    }
}

#[test]
fn modules_are_known_and_in_order() {
    let entry = |word: &str, path: &str| json!({"type": format!("sentence_transformers.models.{word}"), "path": path});
    let first = || [entry("Transformer", ""), entry("Pooling", "1_Pooling")].to_vec();
    for (modules, part) in [
        (vec![entry("Transformer", ""), entry("LSTM", "1_LSTM")], "supported: the modules Transformer, Pooling"),
        (vec![entry("Pooling", "1_Pooling"), entry("Transformer", "")], "Transformer, then Pooling"),
        (vec![], "Transformer, then Pooling"),
        (vec![entry("Transformer", "../x"), entry("Pooling", "1_Pooling")], "a folder of the directory"),
        ([first(), vec![entry("Pooling", "1_Pooling")]].concat(), "Transformer, then Pooling"),
        ([first(), vec![entry("Dense", "2_Normalize")]].concat(), "`out_features` is absent"),
    ] {
        let place = Place::of("bert");
        fs::write(place.path("modules.json"), json!(modules).to_string()).unwrap();
        place.is_refused(&[part]);
    }
    let place = Place::of("bert");
    fs::write(place.path("modules.json"), json!([first(), vec![entry("Dropout", "3")]].concat()).to_string()).unwrap();
    place.open().unwrap();
}

#[test]
fn files_that_are_missing_or_broken_are_named() {
    for file in ["config.json", "tokenizer.json", "model.safetensors", "1_Pooling/config.json"] {
        let place = Place::of("bert");
        fs::remove_file(place.path(file)).unwrap();
        assert!(!place.is_refused(&[file, "lacks this file"]).is_of_weights());
        fs::write(place.path(file), "{").unwrap();
        let error = place.is_refused(&[file]);
        assert_eq!(error.is_of_weights(), file == "model.safetensors");
    }
    assert!(matches!(Encoder::open(Path::new("no/such")), Err(EncoderError::MissingDirectory { .. })));
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    for (model, field, value, parts) in [
        ("bert", "num_hidden_layers", json!(3), &["encoder.layer.2.attention.self.query.weight", "missing"][..]),
        ("bert", "num_hidden_layers", json!(1), &["encoder.layer.1.", "none that the configuration describes"]),
        ("bert", "intermediate_size", json!(21), &["intermediate.dense.weight", "[20, 24]", "[21, 24]"]),
        ("bert_dense", "type_vocab_size", json!(3), &["bert.embeddings.token_type_embeddings.weight", "[2, 24]"]),
        ("roberta", "model_type", json!("mpnet"), &["attention.attn.q.weight", "missing"]),
    ] {
        let place = Place::of(model);
        place.edit("config.json", |config| config[field] = value);
        assert!(place.is_refused(parts).is_of_weights());
    }
    for (model, file) in [("bert", "model.safetensors"), ("bert_dense", "2_Dense/model.safetensors")] {
        let place = Place::of(model);
        let mut bytes = fs::read(place.path(file)).unwrap();
        let end = bytes.len();
        // The last number, and not the last 8 bytes of it.
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        fs::write(place.path(file), &bytes).unwrap();
        let is_read = model == "bert_dense";
        // The last tensor of BERT's file is its pooler, which no sentence embedding reads.
        assert_eq!(place.open().is_err(), is_read, "{model}");
        fs::write(place.path(file), &bytes[..end - 1]).unwrap();
        assert!(place.is_refused(&[file, "not a whole safetensors file"]).is_of_weights());
    }
}

#[test]
fn a_prompt_of_the_directory_is_told() {
    let place = Place::of("bert");
    assert_eq!(place.open().unwrap().prompt(), "");
    place.edit("config_sentence_transformers.json", |config| {
        config["default_prompt_name"] = json!("query");
        config["prompts"] = json!({"query": "query: "});
    });
    assert_eq!(place.open().unwrap().prompt(), "query: ");
}

/// As a normaliser in front of the tokenizer's own.
#[test]
fn do_lower_case_is_followed() {
    let place = Place::of("roberta");
    let ids = |text: &str| place.open().unwrap().ids(text).unwrap().ids;
    assert_ne!(ids("THE CAT"), ids("the cat"));
    place.edit("sentence_bert_config.json", |config| config["do_lower_case"] = json!(true));
    assert_eq!(ids("THE CAT"), ids("the cat"));
}
