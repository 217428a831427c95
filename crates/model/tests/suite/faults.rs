//! Every fault of a model directory is named: file, field or tensor, and which half it is.

use std::{collections::HashMap, fs, path::Path};

use cohort_core::Stream;
use cohort_model::{
    Architecture, Blueprint, ModelError, TextPolicy, arithmetic_tokenizer,
    layer::{FeedShape, LayerKind, RoutingShape, RoutingWeights},
};
use safetensors::{Dtype, serialize, tensor::TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

type Tensors = HashMap<String, (Vec<usize>, Vec<f32>)>;

/// A directory that loads, to be damaged.
struct Model {
    folder: TempDir,
    config: Value,
    tensors: Tensors,
}

fn blueprint() -> Blueprint {
    Blueprint {
        vocabulary: 64,
        width: 16,
        layers: 2,
        query_heads: 2,
        kv_heads: 1,
        head_dim: 8,
        inner: 24,
        experts: None,
        positions: 64,
        rope_theta: 10_000.0,
        norm_eps: 1e-6,
        tied: true,
        end_ids: vec![1],
        pad_id: Some(0),
    }
}

impl Model {
    fn new() -> Self {
        let architecture = Architecture::new(&blueprint()).expect("an architecture");
        let policy = TextPolicy::new(architecture.clone(), arithmetic_tokenizer(), Stream::new(0, "init"));
        let policy: Box<dyn cohort_core::Policy> = Box::new(policy.expect("a policy"));
        let folder = TempDir::new().expect("a folder");
        for asset in policy.assets() {
            fs::write(folder.path().join(&asset.name), &asset.bytes).expect("an asset");
        }
        let mut tensors = Tensors::new();
        for (index, info) in policy.parameters().iter().enumerate() {
            policy.read(index, &mut |values| {
                tensors.insert(info.name.clone(), (info.shape.clone(), values.to_vec()));
            });
        }
        let model = Self { folder, config: architecture.config_json(), tensors };
        model.write_weights("model.safetensors", &model.tensors);
        model
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write_weights(&self, name: &str, tensors: &Tensors) {
        let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
            .iter()
            .map(|(name, (shape, values))| {
                (name.clone(), shape.clone(), values.iter().flat_map(|x| x.to_le_bytes()).collect())
            })
            .collect();
        let views = bytes
            .iter()
            .map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("a view")));
        fs::write(self.path().join(name), serialize(views, None).expect("safetensors")).expect("weights");
    }

    /// Loads with one field of the configuration changed; null removes it.
    fn with(&self, field: &str, value: Value) -> Result<TextPolicy, ModelError> {
        let mut config = self.config.clone();
        match value {
            Value::Null => drop(config.as_object_mut().expect("an object").remove(field)),
            value => config[field] = value,
        }
        fs::write(self.path().join("config.json"), config.to_string()).expect("a configuration");
        TextPolicy::load(self.path())
    }

    fn with_tensors(&self, change: impl FnOnce(&mut Tensors)) -> Result<TextPolicy, ModelError> {
        let mut tensors = self.tensors.clone();
        change(&mut tensors);
        self.write_weights("model.safetensors", &tensors);
        TextPolicy::load(self.path())
    }
}

fn config_fault(result: Result<TextPolicy, ModelError>, named: &[&str]) {
    let error = result.expect_err("a fault");
    assert!(matches!(error, ModelError::Config(_)), "{error:?}");
    check_text(&error, named);
}

fn weights_fault(result: Result<TextPolicy, ModelError>, named: &[&str]) {
    let error = result.expect_err("a fault");
    assert!(matches!(error, ModelError::Weights(_)), "{error:?}");
    check_text(&error, named);
}

fn check_text(error: &ModelError, named: &[&str]) {
    let text = error.to_string();
    for part in named {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[test]
fn what_is_written_loads_again_with_the_same_bits() {
    let model = Model::new();
    let policy = TextPolicy::load(model.path()).expect("loads");
    assert_eq!(*policy.architecture(), Architecture::new(&blueprint()).expect("an architecture"));
    for (index, info) in cohort_core::Policy::parameters(&policy).iter().enumerate() {
        assert_eq!(policy.weights().slice(index), model.tensors[&info.name].1);
    }
    let names: Vec<&str> = cohort_core::Policy::assets(&policy).iter().map(|asset| asset.name.as_str()).collect();
    assert_eq!(names, ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"]);
    assert_eq!(policy.tokenizer().expect("a tokenizer").encode("1+1=").expect("ids"), [8, 17, 8, 21]);
}

#[test]
fn a_directory_that_is_none() {
    let model = Model::new();
    config_fault(TextPolicy::load(&model.path().join("nowhere")), &["nowhere", "no such model directory"]);
    config_fault(TextPolicy::load(&model.path().join("config.json")), &["config.json", "not a directory"]);
    fs::remove_file(model.path().join("config.json")).expect("removed");
    config_fault(TextPolicy::load(model.path()), &["config.json", "configuration"]);
}

#[test]
fn a_broken_configuration_comes_before_broken_weights() {
    let model = Model::new();
    fs::write(model.path().join("model.safetensors"), b"junk").expect("written");
    fs::write(model.path().join("config.json"), b"{\"model_type\": \"qwen3\",").expect("written");
    config_fault(TextPolicy::load(model.path()), &["config.json", "line 1"]);
    config_fault(
        model.with("model_type", json!("gpt2")),
        &["`model_type` is \"gpt2\"", "qwen3, qwen3_moe, qwen2, llama, mistral"],
    );
    fs::remove_file(model.path().join("model.safetensors")).expect("removed");
    config_fault(model.with("use_cache", json!(true)), &["model.safetensors"]);
}

#[test]
fn what_cannot_be_computed_is_refused_by_field() {
    let model = Model::new();
    for (field, value, named) in [
        ("model_type", Value::Null, "`model_type`"),
        ("hidden_act", json!("gelu"), "`hidden_act` is \"gelu\""),
        ("quantization_config", json!({"bits": 4}), "`quantization_config`"),
        ("rope_parameters", json!({"rope_type": "yarn", "rope_theta": 1e4}), "`rope_parameters.factor`"),
        ("rope_parameters", json!({"rope_type": "longrope"}), "`rope_parameters.rope_type` is \"longrope\""),
        (
            "rope_parameters",
            json!({"rope_type": "default", "mrope_section": [1, 1, 2]}),
            "`rope_parameters.mrope_section`",
        ),
        ("rope_parameters", json!({"partial_rotary_factor": 0.5}), "`rope_parameters.partial_rotary_factor` is 0.5"),
        ("rope_parameters", json!({"rope_type": "linear", "factor": -2}), "`rope_parameters.factor` is -2"),
        (
            "rope_parameters",
            json!({"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4}),
            "`rope_parameters.high_freq_factor` is 4",
        ),
        ("rope_scaling", json!({"type": "dynamic", "factor": 2.0}), "`rope_scaling` is"),
        ("rope_theta", json!(5e5), "`rope_parameters.rope_theta` is 10000"),
        ("layer_types", json!(["full_attention", "sliding_attention"]), "\"sliding_attention\""),
        ("layer_types", json!(["full_attention"]), "a list of 2 strings"),
        ("layer_types", json!(["full_attention", "linear_attention"]), "\"linear_attention\""),
        ("per_layer_config", json!({"0": {"hidden_size": 8}}), "`per_layer_config`"),
        ("dtype", json!("float8_e4m3fn"), "`dtype` is \"float8_e4m3fn\""),
        ("hidden_size", json!("16"), "`hidden_size` is \"16\""),
        ("hidden_size", Value::Null, "`hidden_size`"),
        ("num_hidden_layers", json!(0), "`num_hidden_layers` is 0"),
        ("num_key_value_heads", json!(3), "`num_key_value_heads` is 3"),
        ("head_dim", json!(7), "`head_dim` is 7"),
        ("rms_norm_eps", json!(-1.0), "`rms_norm_eps`"),
        ("eos_token_id", json!([1, "x"]), "`eos_token_id`"),
        ("pad_token_id", json!(64), "`pad_token_id` is 64"),
        ("tie_word_embeddings", json!("yes"), "`tie_word_embeddings`"),
        ("num_local_experts", json!(8), "`num_local_experts`"),
        ("partial_rotary_factor", json!(0.5), "`partial_rotary_factor`"),
    ] {
        config_fault(model.with(field, value), &["config.json", named]);
    }
}

/// A configuration of another family with the sizes of [`blueprint`].
fn of_family(family: &str, fields: Value) -> Value {
    let mut config = Architecture::new(&blueprint()).expect("an architecture").config_json();
    let object = config.as_object_mut().expect("an object");
    for field in ["layer_types", "use_sliding_window", "sliding_window", "attention_bias"] {
        object.remove(field);
    }
    object.insert("model_type".into(), json!(family));
    object.insert("num_hidden_layers".into(), json!(3));
    fields.as_object().expect("an object").iter().for_each(|(field, value)| {
        object.insert(field.clone(), value.clone());
    });
    config
}

fn parse(config: &Value) -> Result<Architecture, String> {
    Architecture::parse(Path::new("config.json"), config).map_err(|error| error.to_string())
}

/// What is read, and that what is written reads as the same.
fn parsed(family: &str, fields: Value) -> Architecture {
    let architecture = parse(&of_family(family, fields)).expect("supported");
    assert_eq!(parse(&architecture.config_json()).expect("what is written"), architecture);
    architecture
}

#[test]
fn windows_are_those_of_the_family() {
    let windows = |family: &str, fields: Value| -> Vec<Option<usize>> {
        parsed(family, fields).layers.iter().map(|layer| layer.window).collect()
    };
    let (full, eight) = (None, Some(8));
    assert_eq!(windows("mistral", json!({"sliding_window": null})), [full; 3]);
    assert_eq!(windows("mistral", json!({"sliding_window": 8})), [eight; 3]);
    assert_eq!(windows("mistral", json!({})), [Some(4096); 3], "the class's own");
    assert_eq!(windows("llama", json!({"sliding_window": 8})), [full; 3], "the class has no such field");
    for family in ["qwen2", "qwen3"] {
        assert_eq!(windows(family, json!({"sliding_window": 8, "max_window_layers": 0})), [full; 3], "not in use");
        let used = |more: Value| {
            let mut fields = json!({"sliding_window": 8, "use_sliding_window": true});
            fields.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            fields
        };
        assert_eq!(windows(family, used(json!({}))), [full; 3], "from layer 28 on");
        assert_eq!(windows(family, used(json!({"max_window_layers": 1}))), [full, eight, eight]);
        assert_eq!(windows(family, used(json!({"max_window_layers": 0}))), [eight; 3]);
        let types = ["sliding_attention", "full_attention", "sliding_attention"];
        assert_eq!(windows(family, used(json!({"layer_types": types, "max_window_layers": 0}))), [eight, full, eight]);
    }
    for (family, fields) in [
        ("mistral", json!({"sliding_window": 8, "layer_types": vec!["full_attention"; 3]})),
        ("llama", json!({"layer_types": vec!["sliding_attention"; 3]})),
        ("qwen2", json!({"sliding_window": 8, "layer_types": vec!["sliding_attention"; 3]})),
    ] {
        let error = parse(&of_family(family, fields)).expect_err("another model");
        assert!(error.contains("`layer_types` is"), "{error}");
    }
}

#[test]
fn experts_stand_where_the_family_has_them() {
    let sizes = json!({"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 6});
    let with = |more: Value| {
        let mut fields = sizes.clone();
        fields.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        fields
    };
    let sparse = |fields: Value| -> Vec<bool> {
        let is_sparse = |layer: &LayerKind| matches!(layer.feed, FeedShape::Experts(_));
        parsed("qwen3_moe", fields).layers.iter().map(is_sparse).collect()
    };
    assert_eq!(sparse(sizes.clone()), [true; 3]);
    assert_eq!(sparse(with(json!({"decoder_sparse_step": 2}))), [false, true, false]);
    assert_eq!(sparse(with(json!({"mlp_only_layers": [0, 2]}))), [false, true, false]);
    assert_eq!(sparse(with(json!({"mlp_only_layers": [1], "decoder_sparse_step": 2}))), [false; 3]);
    for (flag, expected) in [(json!(true), RoutingWeights::Normalised), (Value::Null, RoutingWeights::AsTheyAre)] {
        let architecture = parsed("qwen3_moe", with(json!({"norm_topk_prob": flag})));
        let FeedShape::Experts(mixture) = architecture.layers[0].feed else { panic!("no experts") };
        assert_eq!(mixture.routing, RoutingShape { experts: 4, top_k: 2, weights: expected });
        assert_eq!(mixture.inner, 6);
    }
    for (family, fields, named) in [
        ("qwen3", json!({"num_experts": 4}), "`num_experts` is 4"),
        ("qwen3_moe", with(json!({"num_local_experts": 5})), "`num_local_experts` is 5"),
        ("qwen3_moe", with(json!({"num_experts_per_tok": 5})), "`num_experts_per_tok` is 5"),
        ("qwen3_moe", with(json!({"moe_intermediate_size": null})), "`moe_intermediate_size` is missing"),
        ("mistral", json!({"attention_bias": true}), "`attention_bias` is true"),
        ("qwen2", json!({"use_sliding_window": true, "max_window_layers": -1}), "`max_window_layers` is -1"),
    ] {
        let error = parse(&of_family(family, fields)).expect_err("a fault");
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn both_forms_of_configuration_are_one() {
    let new = Architecture::new(&blueprint()).expect("an architecture").config_json();
    let mut old = new.clone();
    let fields = old.as_object_mut().expect("an object");
    fields.remove("rope_parameters");
    fields.remove("dtype");
    fields.remove("layer_types");
    old["rope_theta"] = json!(10_000.0);
    old["rope_scaling"] = Value::Null;
    old["torch_dtype"] = json!("float32");
    let parse = |config: &Value| Architecture::parse(Path::new("config.json"), config).expect("an architecture");
    assert_eq!(parse(&old), parse(&new));
}

#[test]
fn generation_ids_win() {
    let model = Model::new();
    fs::write(model.path().join("generation_config.json"), json!({"eos_token_id": [2, 1]}).to_string())
        .expect("written");
    assert_eq!(TextPolicy::load(model.path()).expect("loads").architecture().end_ids, [2, 1]);
    fs::write(model.path().join("generation_config.json"), "{}").expect("written");
    assert_eq!(TextPolicy::load(model.path()).expect("loads").architecture().end_ids, [1]);
    fs::write(model.path().join("generation_config.json"), "[").expect("written");
    config_fault(TextPolicy::load(model.path()), &["generation_config.json"]);
}

#[test]
fn a_broken_tokenizer_is_a_fault_of_the_model() {
    let model = Model::new();
    let tokenizer = model.path().join("tokenizer.json");
    fs::write(&tokenizer, b"{}").expect("written");
    config_fault(TextPolicy::load(model.path()), &["tokenizer.json"]);
    fs::remove_file(&tokenizer).expect("removed");
    assert!(TextPolicy::load(model.path()).expect("loads").tokenizer().is_none());
    fs::write(&tokenizer, &arithmetic_tokenizer()[0].bytes).expect("written");
    config_fault(model.with("vocab_size", json!(63)), &["tokenizer.json", "63"]);
}

#[test]
fn damaged_weights_are_named() {
    let model = Model::new();
    let file = "model.safetensors";
    let norm = "model.norm.weight";
    weights_fault(model.with_tensors(|t| drop(t.remove(norm))), &[file, norm, "missing"]);
    weights_fault(
        model.with_tensors(|t| t.get_mut(norm).expect("there").0 = vec![4, 4]),
        &[file, norm, "[4, 4]", "[16]"],
    );
    weights_fault(
        model.with_tensors(|t| drop(t.insert("model.layers.2.mlp.up_proj.weight".into(), (vec![1], vec![0.0])))),
        &[file, "model.layers.2.mlp.up_proj.weight", "no place"],
    );
    for bad in [f32::NAN, f32::INFINITY] {
        weights_fault(model.with_tensors(|t| t.get_mut(norm).expect("there").1[3] = bad), &[file, norm, "index 3"]);
    }
    assert!(model.with_tensors(|_| ()).is_ok());
    let path = model.path().join(file);
    let whole = fs::read(&path).expect("read");
    for keep in [0, 4, 100, whole.len() - 1] {
        fs::write(&path, &whole[..keep]).expect("written");
        weights_fault(TextPolicy::load(model.path()), &[file, "truncated"]);
    }
}

#[test]
fn ignorable_tensors_are_ignored() {
    let model = Model::new();
    let loaded = model.with_tensors(|tensors| {
        let embedding = tensors["model.embed_tokens.weight"].clone();
        tensors.insert("lm_head.weight".into(), embedding);
        tensors.insert("model.layers.0.self_attn.rotary_emb.inv_freq".into(), (vec![4], vec![1.0; 4]));
    });
    assert!(loaded.is_ok());
    assert!(cohort_core::Policy::parameters(&loaded.expect("loads")).iter().all(|info| info.name != "lm_head.weight"));
    weights_fault(
        model.with("tie_word_embeddings", json!(false)).and_then(|_| model.with_tensors(|_| ())),
        &["lm_head.weight"],
    );
}

#[test]
fn shards_are_found_by_their_index() {
    let model = Model::new();
    fs::remove_file(model.path().join("model.safetensors")).expect("removed");
    let mut map = serde_json::Map::new();
    let mut shards = [Tensors::new(), Tensors::new()];
    for (i, (name, tensor)) in model.tensors.iter().enumerate() {
        map.insert(name.clone(), json!(format!("model-{}.safetensors", i % 2)));
        shards[i % 2].insert(name.clone(), tensor.clone());
    }
    let index = model.path().join("model.safetensors.index.json");
    fs::write(&index, json!({"metadata": {}, "weight_map": map}).to_string()).expect("written");
    for (i, shard) in shards.iter().enumerate() {
        model.write_weights(&format!("model-{i}.safetensors"), shard);
    }
    let policy = TextPolicy::load(model.path()).expect("loads");
    for (place, info) in cohort_core::Policy::parameters(&policy).iter().enumerate() {
        assert_eq!(policy.weights().slice(place), model.tensors[&info.name].1);
    }
    let lost = shards[1].keys().next().expect("a tensor").clone();
    shards[1].remove(&lost);
    model.write_weights("model-1.safetensors", &shards[1]);
    weights_fault(TextPolicy::load(model.path()), &["model.safetensors.index.json", &lost]);
    fs::remove_file(model.path().join("model-1.safetensors")).expect("removed");
    weights_fault(TextPolicy::load(model.path()), &["model-1.safetensors", "index.json"]);
    fs::write(&index, b"{}").expect("written");
    weights_fault(TextPolicy::load(model.path()), &["index.json", "weight_map"]);
}

#[test]
fn half_precision_is_read_into_f32() {
    let model = Model::new();
    for dtype in [Dtype::BF16, Dtype::F16, Dtype::F64] {
        let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = model
            .tensors
            .iter()
            .map(|(name, (shape, values))| {
                let bytes = values.iter().flat_map(|&x| match dtype {
                    Dtype::BF16 => half::bf16::from_f32(x).to_le_bytes().to_vec(),
                    Dtype::F16 => half::f16::from_f32(x).to_le_bytes().to_vec(),
                    _ => f64::from(x).to_le_bytes().to_vec(),
                });
                (name.clone(), shape.clone(), bytes.collect())
            })
            .collect();
        let views = bytes
            .iter()
            .map(|(name, shape, bytes)| (name, TensorView::new(dtype, shape.clone(), bytes).expect("a view")));
        fs::write(model.path().join("model.safetensors"), serialize(views, None).expect("safetensors"))
            .expect("written");
        let loaded = TextPolicy::load(model.path());
        if dtype == Dtype::F64 {
            weights_fault(loaded, &["model.safetensors", "F64", "BF16"]);
            continue;
        }
        let policy = loaded.expect("loads");
        for (place, info) in cohort_core::Policy::parameters(&policy).iter().enumerate() {
            for (a, b) in policy.weights().slice(place).iter().zip(&model.tensors[&info.name].1) {
                assert!((a - b).abs() <= 0.005 * b.abs() + 1e-6, "{a} {b}");
            }
        }
    }
}
