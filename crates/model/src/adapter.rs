//! A directory in PEFT's layout: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! Fields and names are those of peft 0.21 (`LoraConfig`, `save_pretrained`).

use std::{collections::BTreeMap, path::Path, sync::Arc};

use safetensors::SafeTensors;
use serde_json::{Value, json};

use crate::{
    error::{ConfigError, WeightsError},
    fields::{Fields, read_json},
    layer::ModelParameters,
    load::{Stored, map},
    lora::{Lora, PREFIX, SUFFIXES, Targets, target_modules},
};

/// Its configuration file.
pub(crate) const CONFIG: &str = "adapter_config.json";
/// Its weights.
pub(crate) const WEIGHTS: &str = "adapter_model.safetensors";

/// What `adapter_config.json` says.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterConfig {
    /// The model that the adapter is of: a directory, or a name on a hub.
    pub base: String,
    /// Its targets are those of the file; which modules have an adapter is told by the weights.
    pub lora: Lora,
}

/// Fields that say nothing about the numbers, whatever they are.
const IGNORED: [&str; 14] = [
    "auto_mapping",
    "base_model_name_or_path",
    "inference_mode",
    "layers_pattern",
    "layers_to_transform",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "exclude_modules",
    "target_modules",
    "task_type",
    "ensure_weight_tying",
];

impl AdapterConfig {
    /// Reads `adapter_config.json` of a directory; `None` where it has none.
    ///
    /// # Errors
    /// The file is broken, or asks for what is not supported: the field is named.
    pub fn read(directory: &Path) -> Result<Option<Self>, ConfigError> {
        let path = directory.join(CONFIG);
        if !path.is_file() {
            return Ok(None);
        }
        let value = read_json(&path)?;
        let fields = Fields::of(&path, &value)?;
        let kind = fields.text("peft_type")?.ok_or_else(|| fields.missing("peft_type", "\"LORA\"".to_owned()))?;
        if kind != "LORA" {
            return Err(fields.unsupported("peft_type", &Value::from(kind), "\"LORA\""));
        }
        let rank = fields.required_count("r")?;
        let alpha = fields.positive("lora_alpha")?.unwrap_or(8.0);
        let dropout = match fields.get("lora_dropout") {
            None => 0.0,
            Some(value) => value
                .as_f64()
                .filter(|share| (0.0..1.0).contains(share))
                .ok_or_else(|| fields.wrong("lora_dropout", value, "a share of at least 0 and below 1"))?,
        };
        let rslora = fields.flag("use_rslora")?.unwrap_or(false);
        refuse_unsupported(&fields)?;
        let base = fields.text("base_model_name_or_path")?.unwrap_or_default().to_owned();
        let lora = Lora { rank, alpha, dropout, targets: Targets::AllLinear, rslora, seed: 0 };
        Ok(Some(Self { base, lora }))
    }

    /// The file's text for these adapted modules of a model with these linear maps.
    pub(crate) fn render(&self, adapted: &[String], all: &[String]) -> Vec<u8> {
        let Self { base, lora } = self;
        // PEFT writes whole numbers as such.
        let alpha = if lora.alpha.fract() == 0.0 { json!(lora.alpha as i64) } else { json!(lora.alpha) };
        let value = json!({
            "base_model_name_or_path": base,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "lora_alpha": alpha,
            "lora_dropout": lora.dropout,
            "modules_to_save": null,
            "peft_type": "LORA",
            "r": lora.rank,
            "revision": null,
            "target_modules": target_modules(adapted, all),
            "task_type": "CAUSAL_LM",
            "use_dora": false,
            "use_rslora": lora.rslora,
        });
        format!("{value:#}\n").into_bytes()
    }
}

/// Refuses every field that would change the numbers: one that is neither known nor off.
fn refuse_unsupported(fields: &Fields) -> Result<(), ConfigError> {
    for (field, value) in fields.entries() {
        let is_off = match value {
            Value::Null | Value::Bool(false) => true,
            Value::String(word) => field == "bias" && word == "none",
            Value::Array(list) => list.is_empty(),
            Value::Object(object) => object.is_empty(),
            _ => false,
        };
        let known = ["peft_type", "r", "lora_alpha", "lora_dropout", "use_rslora"];
        match field {
            _ if is_off || known.contains(&field) || IGNORED.contains(&field) => {}
            // Others change the base's own weights when an adapter is made.
            "init_lora_weights" if value == &Value::Bool(true) || value.as_str() == Some("gaussian") => {}
            "init_lora_weights" => return Err(fields.unsupported(field, value, "true, false or \"gaussian\"")),
            "bias" => return Err(fields.unsupported(field, value, "\"none\"")),
            _ => return Err(fields.unsupported(field, value, "an absent or empty value (plain LoRA)")),
        }
    }
    Ok(())
}

/// The matrices of an adapter's file, by parameter name.
#[derive(Debug)]
pub(crate) struct AdapterTensors {
    pub modules: Vec<String>,
    pub values: BTreeMap<String, Vec<f32>>,
}

impl AdapterTensors {
    /// Reads the matrices of `directory`, of this rank, for a model whose adapters are not added yet.
    ///
    /// # Errors
    /// The file is missing or damaged; a tensor is no matrix of an adapter, is of a module that the model lacks, misshapen or
    /// not finite; a module has one of the two alone.
    pub(crate) fn read(directory: &Path, rank: usize, parameters: &ModelParameters) -> Result<Self, WeightsError> {
        let file = directory.join(WEIGHTS);
        let map = Arc::new(map(&file)?);
        let tensors = SafeTensors::deserialize(&map)
            .map_err(|error| WeightsError::Broken { file: file.clone(), reason: error.to_string() })?;
        let all = parameters.linear_modules();
        let shape = |module: &str| {
            let weight = format!("{module}.weight");
            let info = parameters.infos.iter().find(|info| info.name == weight)?;
            all.iter().any(|known| known == module).then(|| [info.shape[0], info.shape[1]])
        };
        let mut values = BTreeMap::new();
        for (name, view) in tensors.iter() {
            let split = SUFFIXES.iter().enumerate().find_map(|(side, suffix)| {
                let module = name.strip_prefix(PREFIX)?.strip_suffix(suffix)?;
                let [outputs, inputs] = shape(module)?;
                Some(if side == 0 { [rank, inputs] } else { [outputs, rank] })
            });
            let unexpected = || WeightsError::UnexpectedTensor { file: file.clone(), tensor: name.to_owned() };
            let expected = split.ok_or_else(unexpected)?;
            let tensor = Stored { file: &file, map: &map, name, view };
            tensor.check(&expected)?;
            values.insert(name.to_owned(), tensor.to_f32());
        }
        let is_there = |module: &str, suffix: &str| values.contains_key(&format!("{PREFIX}{module}{suffix}"));
        let mut modules = Vec::new();
        for module in &all {
            match SUFFIXES.map(|suffix| is_there(module, suffix)) {
                [false, false] => {}
                [true, true] => modules.push(module.clone()),
                [has_a, _] => {
                    let [outputs, inputs] = shape(module).unwrap_or_default();
                    let tensor = format!("{PREFIX}{module}{}", SUFFIXES[usize::from(has_a)]);
                    let expected = if has_a { vec![outputs, rank] } else { vec![rank, inputs] };
                    return Err(WeightsError::MissingTensor { file, tensor, expected });
                }
            }
        }
        Ok(Self { modules, values })
    }
}
