//! How a model directory is opened: what of it is trained, in what it is held, with which adapter.

use std::{collections::BTreeMap, path::PathBuf};

use cohort_core::{NumberType, ParameterInfo, Stream};

use crate::{
    adapter::{AdapterConfig, AdapterTensors, CONFIG},
    error::{ConfigError, ModelError},
    layer::ModelParameters,
    lora::start,
    selection::{Selection, SelectionError},
};

/// How a model directory becomes a policy.
#[derive(Clone, Debug)]
pub struct Opening {
    /// What is trained; `None` where nothing is: a policy that samples and scores.
    pub selection: Option<Selection>,
    /// What frozen matrices are held in, whatever they are stored in; trained ones are f32. `None` for what they are stored
    /// in (f16, which is not computed with, as f32).
    pub numbers: Option<NumberType>,
    /// The directory of an adapter of the model, to start from.
    pub adapter: Option<PathBuf>,
    /// The model's name, as an adapter's configuration has it.
    pub base: String,
}

impl Default for Opening {
    fn default() -> Self {
        Self { selection: Some(Selection::All), numbers: Some(NumberType::F32), adapter: None, base: String::new() }
    }
}

/// What adapters start from.
#[derive(Default)]
pub(crate) struct AdapterStart {
    pub modules: Vec<String>,
    /// By name; drawn where there is none.
    values: BTreeMap<String, Vec<f32>>,
    seed: u64,
}

impl AdapterStart {
    pub(crate) fn values(&self, info: &ParameterInfo, index: usize) -> Vec<f32> {
        let drawn = || start(info, index, Stream::new(self.seed, "adapter"));
        self.values.get(&info.name).cloned().unwrap_or_else(drawn)
    }
}

impl Opening {
    /// The adapter of a model with these parameters: the given one, a new one, or none.
    pub(crate) fn adapter_of(
        &self,
        parameters: &ModelParameters,
    ) -> Result<(Option<AdapterConfig>, AdapterStart), ModelError> {
        match (&self.adapter, &self.selection) {
            (Some(directory), _) => {
                let config = AdapterConfig::read(directory)?;
                let path = || directory.join(CONFIG);
                let missing = || ConfigError::MissingFile { path: path(), expected: "the configuration of an adapter" };
                let mut config = config.ok_or_else(missing)?;
                config.base.clone_from(&self.base);
                let AdapterTensors { modules, values } = AdapterTensors::read(directory, config.lora.rank, parameters)?;
                if modules.is_empty() {
                    return Err(SelectionError::Nothing.into());
                }
                Ok((Some(config), AdapterStart { modules, values, seed: 0 }))
            }
            (None, Some(Selection::Lora(lora))) => {
                let modules = lora.targets.modules(parameters)?;
                if modules.is_empty() {
                    return Err(SelectionError::Nothing.into());
                }
                let config = AdapterConfig { base: self.base.clone(), lora: lora.clone() };
                Ok((Some(config), AdapterStart { modules, values: BTreeMap::new(), seed: lora.seed }))
            }
            (None, _) => Ok((None, AdapterStart::default())),
        }
    }
}
