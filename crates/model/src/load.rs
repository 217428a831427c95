//! Weights from safetensors files, one tensor after the other, from a memory map into f32.
//!
//! The format: 8 bytes of header length, a JSON header of names, dtypes, shapes and byte ranges, the bytes
//! (github.com/huggingface/safetensors, README, "Format").

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use half::{bf16, f16, slice::HalfFloatSliceExt};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;

use crate::{
    config::Architecture,
    error::{ConfigError, WeightsError},
    layer::{ExpertLayout, FeedShape, LayerKind, ModelParameters},
    weights::Weights,
};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// The files that hold a directory's weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WeightFiles {
    Single(PathBuf),
    /// Shards, listed by an index.
    Sharded(PathBuf),
}

impl WeightFiles {
    /// Looks for the files without opening them. The single file wins, as it does in transformers.
    ///
    /// # Errors
    /// The directory has neither.
    pub(crate) fn find(directory: &Path) -> Result<Self, ConfigError> {
        let (single, index) = (directory.join(SINGLE), directory.join(INDEX));
        if single.is_file() {
            Ok(WeightFiles::Single(single))
        } else if index.is_file() {
            Ok(WeightFiles::Sharded(index))
        } else {
            Err(ConfigError::MissingFile {
                path: single,
                expected: "the weights (or model.safetensors.index.json with its shards)",
            })
        }
    }

    /// How the files hold the experts of a model, told by the names of their tensors.
    ///
    /// # Errors
    /// A file cannot be read, or is broken.
    pub(crate) fn expert_layout(&self, architecture: &Architecture) -> Result<ExpertLayout, WeightsError> {
        let has_experts = |kind: &LayerKind| matches!(kind.feed, FeedShape::Experts(_));
        if !architecture.layers.iter().any(has_experts) {
            return Ok(architecture.experts);
        }
        for file in self.shards()?.0 {
            let map = map(&file)?;
            let (_, header) = SafeTensors::read_metadata(&map)
                .map_err(|error| WeightsError::Broken { file: file.clone(), reason: error.to_string() })?;
            if header.tensors().keys().any(|name| name.ends_with(".experts.gate_up_proj")) {
                return Ok(ExpertLayout::Fused);
            }
        }
        Ok(ExpertLayout::Separate)
    }

    /// The shard that holds each tensor, and the file to blame where a tensor is in none.
    fn shards(&self) -> Result<(Vec<PathBuf>, &Path), WeightsError> {
        match self {
            WeightFiles::Single(file) => Ok((vec![file.clone()], file)),
            WeightFiles::Sharded(index) => Ok((read_index(index)?, index)),
        }
    }
}

/// A file in memory, read as it is touched.
fn map(file: &Path) -> Result<Mmap, WeightsError> {
    let unreadable = |source| WeightsError::Unreadable { file: file.to_owned(), source };
    let handle = File::open(file).map_err(unreadable)?;
    // SAFETY: the map is read-only; a file that another process truncates meanwhile ends the program by a signal, as
    // with every reader of mapped weights.
    #[allow(unsafe_code)]
    let map = unsafe { Mmap::map(&handle) }.map_err(unreadable)?;
    Ok(map)
}

fn read_index(index: &Path) -> Result<Vec<PathBuf>, WeightsError> {
    let broken = |reason: String| WeightsError::BrokenIndex { file: index.to_owned(), reason };
    let bytes = std::fs::read(index).map_err(|source| WeightsError::Unreadable { file: index.to_owned(), source })?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
    let map = value.get("weight_map").and_then(Value::as_object).ok_or_else(|| broken("no weight_map".to_owned()))?;
    let mut names: Vec<&str> = map
        .iter()
        .map(|(tensor, file)| file.as_str().ok_or_else(|| broken(format!("`{tensor}` names no file"))))
        .collect::<Result<_, _>>()?;
    names.sort_unstable();
    names.dedup();
    let folder = index.parent().unwrap_or(Path::new("."));
    names
        .into_iter()
        .map(|name| {
            let plain = Path::new(name).components().count() == 1 && !name.contains("..");
            let path = folder.join(name);
            match plain && path.is_file() {
                true => Ok(path),
                false => Err(WeightsError::MissingShard { index: index.to_owned(), shard: name.to_owned() }),
            }
        })
        .collect()
}

/// Loads every parameter. Files are mapped one at a time.
///
/// # Errors
/// A file is truncated or broken; a tensor is missing, misshapen, of an unsupported dtype, not finite or unexpected.
pub(crate) fn load_weights(files: &WeightFiles, parameters: &ModelParameters) -> Result<Weights, WeightsError> {
    let places: BTreeMap<&str, usize> =
        parameters.infos.iter().enumerate().map(|(index, info)| (info.name.as_str(), index)).collect();
    let mut values: Vec<Option<Vec<f32>>> = vec![None; parameters.infos.len()];
    let (shards, whole) = files.shards()?;
    for file in shards {
        let map = map(&file)?;
        let tensors = SafeTensors::deserialize(&map)
            .map_err(|error| WeightsError::Broken { file: file.clone(), reason: error.to_string() })?;
        for (name, view) in tensors.iter() {
            match places.get(name) {
                Some(&index) => {
                    values[index] = Some(to_f32(&file, name, &view, &parameters.infos[index].shape)?);
                }
                None if is_ignorable(name, parameters) => {}
                None => return Err(WeightsError::UnexpectedTensor { file, tensor: name.to_owned() }),
            }
        }
    }
    let mut whole_values = Vec::with_capacity(values.len());
    for (value, info) in values.into_iter().zip(&parameters.infos) {
        whole_values.push(value.ok_or_else(|| WeightsError::MissingTensor {
            file: whole.to_owned(),
            tensor: info.name.clone(),
            expected: info.shape.clone(),
        })?);
    }
    Ok(Weights::new(parameters, whole_values))
}

/// Tensors that carry nothing: a tied head written out, and the tables of old rotary modules.
fn is_ignorable(name: &str, parameters: &ModelParameters) -> bool {
    let tied = parameters.head == parameters.embedding;
    (tied && name == "lm_head.weight") || name.ends_with("rotary_emb.inv_freq")
}

fn to_f32(file: &Path, name: &str, view: &TensorView, expected: &[usize]) -> Result<Vec<f32>, WeightsError> {
    let (file, tensor) = (|| file.to_owned(), || name.to_owned());
    if view.shape() != expected {
        return Err(WeightsError::Shape {
            file: file(),
            tensor: tensor(),
            expected: expected.to_vec(),
            found: view.shape().to_vec(),
        });
    }
    let bytes = view.data();
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        Dtype::BF16 => bytes.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        Dtype::F16 => {
            let half: Vec<f16> = bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]])).collect();
            half.to_f32_vec()
        }
        other => {
            return Err(WeightsError::Dtype { file: file(), tensor: tensor(), found: format!("{other:?}") });
        }
    };
    match values.iter().position(|x| !x.is_finite()) {
        Some(index) => Err(WeightsError::NotFinite { file: file(), tensor: tensor(), index, value: values[index] }),
        None => Ok(values),
    }
}
