//! Adapters and frozen parameters: what moves, what is shared, and that sampler and trainer agree.

use std::{fs, path::Path};

use crate::common::{
    controls, forward,
    model::{base, lora, open, opening, update, write},
    requests, rows,
};
use cohort_core::{NumberType, Policy, RowGradients, RowSpec, Sample, Sampler, StoredAs};
use cohort_model::{Lora, ModelError, Opening, Selection, SelectionError, Targets, TextPolicy};
use tempfile::TempDir;

fn samples(policy: &TextPolicy) -> Vec<Sample> {
    policy.sample(&requests(12, &controls(1.0, 9), 3)).expect("samples")
}

fn agree(policy: &TextPolicy) {
    let samples = samples(policy);
    let all: Vec<&Sample> = samples.iter().collect();
    let (scored, trained) = (rows(policy, &all, 1.0), forward(policy, &all, 1.0));
    for ((sample, scored), trained) in samples.iter().zip(&scored).zip(&trained) {
        assert_eq!((&sample.behaviour, scored), (scored, trained));
        assert_eq!(&rows(policy, &[sample], 1.0)[0], scored, "a row does not depend on its neighbours");
    }
}

fn gradient(policy: &TextPolicy, samples: &[Sample]) -> Vec<Vec<f32>> {
    let all: Vec<&Sample> = samples.iter().collect();
    let (_, tape) = policy.forward(&all, RowSpec::at(1.0)).expect("forward");
    let ones = |sample: &&Sample| RowGradients { logp: vec![1.0; sample.actions.len()], ..RowGradients::default() };
    tape.backward(&all.iter().map(ones).collect::<Vec<_>>()).0
}

#[test]
fn sampler_is_trainer_with_an_adapter_after_an_update() {
    let model = base(NumberType::F32);
    for lora in [lora(), Lora { rslora: true, rank: 1, ..lora() }] {
        let mut policy = open(model.path(), &opening(Selection::Lora(lora)));
        agree(&policy);
        update(&mut policy);
        agree(&policy);
    }
}

#[test]
fn storage_in_bf16_changes_no_bit_of_a_bf16_model() {
    let model = base(NumberType::Bf16);
    let mut wide = open(model.path(), &opening(Selection::Lora(lora())));
    let narrow = Opening { numbers: Some(NumberType::Bf16), ..opening(Selection::Lora(lora())) };
    let mut narrow = open(model.path(), &narrow);
    for policy in [&mut wide, &mut narrow] {
        update(policy);
        agree(policy);
    }
    let drawn = samples(&wide);
    assert_eq!(drawn, samples(&narrow));
    assert_eq!(gradient(&wide, &drawn), gradient(&narrow, &drawn));
}

#[test]
fn an_f32_model_is_rounded_once_to_bf16() {
    let model = base(NumberType::F32);
    let policy =
        open(model.path(), &Opening { numbers: Some(NumberType::Bf16), selection: None, ..Opening::default() });
    let exact = open(model.path(), &Opening { selection: None, ..Opening::default() });
    let mut matrices = 0;
    for (index, info) in policy.all_parameters().iter().enumerate() {
        let round = |x: &f32| if info.shape.len() == 2 { half::bf16::from_f32(*x).to_f32() } else { *x };
        let expected: Vec<f32> = exact.weights().slice(index).iter().map(round).collect();
        let mut values = vec![0.0; info.element_count()];
        policy.weights().values(index).copy_to(&mut values);
        assert_eq!(values, expected, "{}", info.name);
        matrices += usize::from(info.shape.len() == 2);
    }
    assert!(matrices > 10);
    agree(&policy);
}

#[test]
fn a_new_adapter_is_its_base_and_only_it_is_trained() {
    let model = base(NumberType::F32);
    let plain = TextPolicy::load(model.path()).expect("the base");
    let mut policy = open(model.path(), &opening(Selection::Lora(lora())));
    let drawn = samples(&plain);
    assert_eq!(drawn, samples(&policy));
    assert_eq!(policy.parameters().len(), 2 * 7 * 2);
    assert!(policy.parameters().iter().all(|info| info.name.starts_with("base_model.model.model.layers.")));
    assert_eq!(gradient(&policy, &drawn).len(), policy.parameters().len());
    let before: Vec<Vec<f32>> = (0..plain.all_parameters().len()).map(|i| policy.weights().slice(i).to_vec()).collect();
    update(&mut policy);
    assert_ne!(drawn, samples(&policy));
    for (index, before) in before.iter().enumerate() {
        assert_eq!(policy.weights().slice(index), before, "{}", policy.all_parameters()[index].name);
    }
}

/// Of a new adapter, `dA = scale B' .. = 0` and `dB` is the derivative of a change of the map: against differences.
#[test]
fn gradients_of_an_adapter_are_differences() {
    let model = base(NumberType::F32);
    let mut policy = open(model.path(), &opening(Selection::Lora(lora())));
    update(&mut policy);
    let drawn = samples(&policy);
    let all: Vec<&Sample> = drawn.iter().collect();
    let exact = gradient(&policy, &drawn);
    let total = |policy: &TextPolicy| rows(policy, &all, 1.0).iter().flat_map(|rows| &rows.logp).sum::<f64>();
    for (index, exact) in exact.iter().enumerate() {
        let largest = (0..exact.len()).max_by(|&i, &j| exact[i].abs().total_cmp(&exact[j].abs()));
        let at = largest.expect("entries");
        let step = 2e-3_f32;
        let mut moved = |by: f32| {
            policy.write(index, &mut |values| values[at] += by);
            let sum = total(&policy);
            policy.write(index, &mut |values| values[at] -= by);
            sum
        };
        let slope = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
        let expected = f64::from(exact[at]);
        let name = &policy.parameters()[index].name;
        assert!((slope - expected).abs() <= 0.03 * expected.abs() + 0.02, "{name}: {slope}, backward {expected}");
    }
}

#[test]
fn the_reference_is_the_base_at_no_copy() {
    let model = base(NumberType::F32);
    let mut policy = open(model.path(), &opening(Selection::Lora(lora())));
    let reference = policy.reference();
    assert!(reference.parameters().is_empty(), "it has nothing of its own");
    let drawn = samples(&policy);
    let all: Vec<&Sample> = drawn.iter().collect();
    let spec = RowSpec::at(1.0);
    let before = reference.rows(&all, spec).expect("rows");
    assert_eq!(before, rows(&policy, &all, 1.0));
    update(&mut policy);
    assert_eq!(reference.rows(&all, spec).expect("rows"), before);
    assert_ne!(rows(&policy, &all, 1.0), before);
    // An adapter that has begun is where its training started from: a copy of it.
    let reference = policy.reference();
    let before = rows(&policy, &all, 1.0);
    assert_eq!(reference.rows(&all, spec).expect("rows"), before);
    update(&mut policy);
    assert_eq!(reference.rows(&all, spec).expect("rows"), before);
}

#[test]
fn patterns_freeze_and_a_frozen_run_is_sampled_as_it_is_trained() {
    let model = base(NumberType::F32);
    let names = |selection: Selection| -> Vec<String> {
        open(model.path(), &opening(selection)).parameters().iter().map(|info| info.name.clone()).collect()
    };
    let patterns = |list: &[&str]| list.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
    let only = names(Selection::Only(patterns(&["model.layers.1.mlp.*"])));
    assert_eq!(only.len(), 3);
    let frozen = names(Selection::Freeze(patterns(&["model.embed_tokens.weight", "*norm*"])));
    assert!(!frozen.is_empty() && frozen.iter().all(|name| name.contains("_proj")));

    let mut policy = open(model.path(), &opening(Selection::Only(patterns(&["*.1.self_attn.*", "model.norm.weight"]))));
    let whole = TextPolicy::load(model.path()).expect("the base");
    let drawn = samples(&policy);
    let (part, all) = (gradient(&policy, &drawn), gradient(&whole, &drawn));
    for (info, part) in policy.parameters().iter().zip(&part) {
        let index = whole.parameters().iter().position(|other| other == info).expect("a parameter");
        assert_eq!(part, &all[index], "{}", info.name);
    }
    update(&mut policy);
    agree(&policy);
    assert_eq!(policy.stored().len(), policy.all_parameters().len(), "a directory holds the frozen ones too");
}

#[test]
fn what_cannot_be_selected_is_named() {
    let model = base(NumberType::F32);
    let fail = |selection: Selection| match TextPolicy::open(model.path(), &opening(selection)) {
        Err(ModelError::Selection(error)) => error,
        other => panic!("expected a selection error, got {other:?}"),
    };
    let one = |pattern: &str| vec![pattern.to_owned()];
    assert!(
        matches!(fail(Selection::Only(one("layers.*"))), SelectionError::NoMatch { pattern, .. } if pattern == "layers.*")
    );
    assert_eq!(fail(Selection::Freeze(one("*"))), SelectionError::Nothing);
    let targets = |name: &str| Selection::Lora(Lora { targets: Targets::Named(one(name)), ..lora() });
    assert!(matches!(fail(targets("qproj")), SelectionError::NoTarget { known, .. } if known.contains("q_proj")));
    for kept in ["lm_head", "embed_tokens", "input_layernorm"] {
        assert!(matches!(fail(targets(kept)), SelectionError::Unsupported { target, .. } if target == kept), "{kept}");
    }
}

#[test]
fn an_adapter_is_stored_in_the_layout_of_peft_and_goes_on_from_there() {
    let model = base(NumberType::F32);
    let targets = Targets::Named(vec!["q_proj".to_owned(), "layers.1.mlp.down_proj".to_owned()]);
    let mut policy = open(model.path(), &opening(Selection::Lora(Lora { targets, rslora: true, ..lora() })));
    update(&mut policy);
    assert_eq!(policy.stored_as(), StoredAs::Adapter);
    assert_eq!(policy.stored().len(), 2 * 3);
    let folder = TempDir::new().expect("a folder");
    write(folder.path(), &policy, None);
    assert!(!folder.path().join("config.json").exists());
    let again = Opening { adapter: Some(folder.path().to_owned()), ..opening(Selection::All) };
    let mut again = open(model.path(), &again);
    assert_eq!(again.parameters(), policy.parameters());
    assert_eq!(again.adapter().map(|a| a.lora.scale()), policy.adapter().map(|a| a.lora.scale()));
    let drawn = samples(&policy);
    assert_eq!(samples(&again), drawn);
    assert_eq!(gradient(&again, &drawn), gradient(&policy, &drawn));
    assert_eq!(again.assets(), policy.assets());
    update(&mut again);
    agree(&again);
    // Sampling and scoring alone: nothing is trained.
    let frozen = Opening { adapter: Some(folder.path().to_owned()), selection: None, ..Opening::default() };
    let frozen = open(model.path(), &frozen);
    assert!(frozen.parameters().is_empty());
    assert_eq!(samples(&frozen), drawn);
}

#[test]
fn a_merged_model_computes_what_base_and_adapter_do() {
    for numbers in [NumberType::F32, NumberType::Bf16] {
        let model = base(numbers);
        let mut policy = open(model.path(), &Opening { numbers: Some(numbers), ..opening(Selection::Lora(lora())) });
        update(&mut policy);
        let folder = TempDir::new().expect("a folder");
        write(folder.path(), &policy.merged(NumberType::F32), None);
        let merged = TextPolicy::load(folder.path()).expect("a model");
        let drawn = samples(&policy);
        let all: Vec<&Sample> = drawn.iter().collect();
        for (merged, apart) in rows(&merged, &all, 1.0).iter().zip(rows(&policy, &all, 1.0)) {
            for (merged, apart) in merged.logp.iter().zip(&apart.logp) {
                assert!((merged - apart).abs() < 2e-5, "{merged}, apart {apart}");
            }
        }
        let narrow = policy.merged(NumberType::Bf16);
        assert!(narrow.stored().iter().all(|tensor| tensor.numbers == NumberType::Bf16));
        let config = narrow.assets().iter().find(|asset| asset.name == "config.json").expect("a configuration");
        assert!(String::from_utf8_lossy(&config.bytes).contains("bfloat16"));
    }
}

/// The numbers in tests/golden_peft were written by scripts/golden_adapters.py.
fn as_peft(name: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_peft");
    let (base, adapter) = (golden.join("base"), golden.join(name));
    let opening = Opening { adapter: Some(adapter.clone()), ..Opening::default() };
    let policy = open(&base, &opening);
    let folder = TempDir::new().expect("a folder");
    write(folder.path(), &policy.merged(NumberType::F32), None);
    let merged = TextPolicy::load(folder.path()).expect("the merged model");
    let document: serde_json::Value =
        serde_json::from_slice(&fs::read(adapter.join("golden.json")).expect("a golden file")).expect("JSON");
    let floats = |value: &serde_json::Value| serde_json::from_value::<Vec<f64>>(value.clone()).expect("numbers");
    let ids = |value: &serde_json::Value| serde_json::from_value::<Vec<u32>>(value.clone()).expect("ids");
    for case in document["cases"].as_array().expect("cases") {
        let sample = Sample::given(cohort_core::Context::of_tokens(ids(&case["context"])), &ids(&case["actions"]));
        for (policy, column) in [(&policy, "logp"), (&merged, "merged")] {
            let (ours, theirs) = (&rows(policy, &[&sample], 1.0)[0].logp, floats(&case[column]));
            assert_eq!(ours.len(), theirs.len());
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert!((ours - theirs).abs() < 1e-5, "{name}, {column}: {ours}, PEFT {theirs}");
            }
        }
    }
    // What is written is what PEFT wrote: names, shapes, numbers.
    let folder = TempDir::new().expect("a folder");
    write(folder.path(), &policy, None);
    let tensors = |folder: &Path| {
        let bytes = fs::read(folder.join("adapter_model.safetensors")).expect("a file");
        let file = safetensors::SafeTensors::deserialize(&bytes).expect("a whole file");
        let mut all: Vec<(String, Vec<usize>, Vec<u8>)> =
            file.iter().map(|(name, t)| (name.to_owned(), t.shape().to_vec(), t.data().to_vec())).collect();
        all.sort();
        all
    };
    assert_eq!(tensors(folder.path()), tensors(&adapter));
    let config = |folder: &Path| -> serde_json::Value {
        serde_json::from_slice(&fs::read(folder.join("adapter_config.json")).expect("a file")).expect("JSON")
    };
    let (ours, theirs) = (config(folder.path()), config(&adapter));
    for field in ["peft_type", "task_type", "r", "lora_alpha", "use_rslora", "lora_dropout", "bias", "fan_in_fan_out"] {
        assert_eq!(ours[field], theirs[field], "{field}");
    }
}

#[test]
fn a_plain_adapter_as_peft() {
    as_peft("plain");
}

#[test]
fn a_rank_stabilised_adapter_as_peft() {
    as_peft("rslora");
}

#[test]
fn an_adapter_of_named_targets_as_peft() {
    as_peft("targets");
}

#[test]
fn what_an_adapter_asks_for_beyond_lora_is_refused_by_name() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_peft");
    let text = fs::read_to_string(golden.join("plain/adapter_config.json")).expect("a file");
    let folder = TempDir::new().expect("a folder");
    fs::copy(golden.join("plain/adapter_model.safetensors"), folder.path().join("adapter_model.safetensors"))
        .expect("a copy");
    let try_with = |field: &str, value: serde_json::Value| {
        let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        config[field] = value;
        fs::write(folder.path().join("adapter_config.json"), config.to_string()).expect("a file");
        let opening = Opening { adapter: Some(folder.path().to_owned()), ..Opening::default() };
        TextPolicy::open(&golden.join("base"), &opening).map_err(|error| error.to_string())
    };
    for (field, value) in [
        ("use_dora", serde_json::json!(true)),
        ("bias", serde_json::json!("all")),
        ("modules_to_save", serde_json::json!(["lm_head"])),
        ("rank_pattern", serde_json::json!({ "q_proj": 8 })),
        ("init_lora_weights", serde_json::json!("pissa")),
        ("fan_in_fan_out", serde_json::json!(true)),
        ("peft_type", serde_json::json!("IA3")),
        ("of_tomorrow", serde_json::json!(3)),
    ] {
        let error = try_with(field, value).expect_err("it changes the numbers");
        assert!(error.contains("adapter_config.json") && error.contains(&format!("`{field}`")), "{error}");
    }
    assert!(try_with("lora_dropout", serde_json::json!(0.1)).is_ok());
    let error = try_with("r", serde_json::json!(5)).expect_err("another rank than the tensors'");
    assert!(
        error.contains("adapter_model.safetensors") && error.contains("lora_") && error.contains("shape"),
        "{error}"
    );
    let bytes = fs::read(golden.join("plain/adapter_model.safetensors")).expect("a file");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("a whole file");
    let lone = file.iter().filter(|(name, _)| !name.ends_with("layers.0.mlp.up_proj.lora_B.weight"));
    let lone = safetensors::serialize(lone, None).expect("bytes");
    fs::write(folder.path().join("adapter_model.safetensors"), lone).expect("a file");
    let error = try_with("r", serde_json::json!(4)).expect_err("one half is missing");
    assert!(error.contains("layers.0.mlp.up_proj.lora_B.weight"), "{error}");
}
