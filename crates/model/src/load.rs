//! Weights from safetensors files, one tensor after the other, from a memory map: what is trained is copied out as f32,
//! what is frozen is used where it lies, if it lies there as it is to be stored.
//!
//! The format: 8 bytes of header length, a JSON header of names, dtypes, shapes and byte ranges, the bytes
//! (github.com/huggingface/safetensors, README, "Format").

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use cohort_core::{NumberType, ParameterInfo};
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;

use crate::{
    config::Architecture,
    error::{ConfigError, WeightsError},
    frozen::Frozen,
    layer::{ExpertLayout, FeedShape, LayerKind, ModelParameters},
    weights::Held,
};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// Numbers that are widened at a time.
const BLOCK: usize = 4096;

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
pub(crate) fn map(file: &Path) -> Result<Mmap, WeightsError> {
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

/// How parameters are to be held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep<'a> {
    /// Whether each parameter is trained.
    pub trained: &'a [bool],
    /// What frozen matrices are stored in.
    pub numbers: Option<NumberType>,
}

/// Loads every parameter, in their order. A file stays mapped while a frozen parameter lies in it.
///
/// # Errors
/// A file is truncated or broken; a tensor is missing, misshapen, of an unsupported dtype, not finite or unexpected.
pub(crate) fn load_weights(
    files: &WeightFiles,
    parameters: &ModelParameters,
    keep: Keep,
) -> Result<Vec<Held>, WeightsError> {
    let places: BTreeMap<&str, usize> =
        parameters.infos.iter().enumerate().map(|(index, info)| (info.name.as_str(), index)).collect();
    let mut held: Vec<Option<Held>> = parameters.infos.iter().map(|_| None).collect();
    let (shards, whole) = files.shards()?;
    for file in shards {
        let map = Arc::new(map(&file)?);
        let tensors = SafeTensors::deserialize(&map)
            .map_err(|error| WeightsError::Broken { file: file.clone(), reason: error.to_string() })?;
        for (name, view) in tensors.iter() {
            match places.get(name) {
                Some(&index) => {
                    let tensor = Stored { file: &file, map: &map, name, view };
                    tensor.check(&parameters.infos[index].shape)?;
                    held[index] = Some(match keep.trained[index] {
                        true => Held::trained(tensor.to_f32(), tensor.view.shape()),
                        false => Held::Frozen(tensor.frozen(keep.numbers)),
                    });
                }
                None if is_ignorable(name, parameters) => {}
                None => return Err(WeightsError::UnexpectedTensor { file, tensor: name.to_owned() }),
            }
        }
    }
    let missing = |info: &ParameterInfo| WeightsError::MissingTensor {
        file: whole.to_owned(),
        tensor: info.name.clone(),
        expected: info.shape.clone(),
    };
    held.into_iter().zip(&parameters.infos).map(|(held, info)| held.ok_or_else(|| missing(info))).collect()
}

/// Tensors that carry nothing: a tied head written out, and the tables of old rotary modules.
fn is_ignorable(name: &str, parameters: &ModelParameters) -> bool {
    let tied = parameters.head == parameters.embedding;
    (tied && name == "lm_head.weight") || name.ends_with("rotary_emb.inv_freq")
}

/// A tensor of a mapped file.
pub(crate) struct Stored<'a> {
    pub file: &'a Path,
    pub map: &'a Arc<Mmap>,
    pub name: &'a str,
    pub view: TensorView<'a>,
}

impl Stored<'_> {
    /// Refuses another shape, a dtype that is not supported, and numbers that are none.
    pub(crate) fn check(&self, expected: &[usize]) -> Result<(), WeightsError> {
        let (file, tensor) = (|| self.file.to_owned(), || self.name.to_owned());
        if self.view.shape() != expected {
            return Err(WeightsError::Shape {
                file: file(),
                tensor: tensor(),
                expected: expected.to_vec(),
                found: self.view.shape().to_vec(),
            });
        }
        let mut wrong = None;
        let mut before = 0;
        let is_supported = self.blocks(|block| {
            // A sum over the block is one pass without branches.
            if wrong.is_none() && !block.iter().fold(true, |all, x| all & x.is_finite()) {
                let at = block.iter().position(|x| !x.is_finite()).unwrap_or(0);
                wrong = Some((before + at, block[at]));
            }
            before += block.len();
        });
        match wrong {
            _ if !is_supported => {
                let found = format!("{:?}", self.view.dtype());
                Err(WeightsError::Dtype { file: file(), tensor: tensor(), found })
            }
            Some((index, value)) => Err(WeightsError::NotFinite { file: file(), tensor: tensor(), index, value }),
            None => Ok(()),
        }
    }

    /// Shows the numbers block by block, widened; `false` for a dtype that is not supported.
    fn blocks(&self, mut visit: impl FnMut(&[f32])) -> bool {
        fn all<const N: usize>(bytes: &[u8], widen: impl Fn([u8; N]) -> f32, visit: &mut impl FnMut(&[f32])) {
            let mut block = Vec::with_capacity(BLOCK);
            for bytes in bytes.chunks(N * BLOCK) {
                block.clear();
                block.extend(bytes.as_chunks::<N>().0.iter().map(|&b| widen(b)));
                visit(&block);
            }
        }
        let bytes = self.view.data();
        match self.view.dtype() {
            Dtype::F32 => all(bytes, f32::from_le_bytes, &mut visit),
            Dtype::BF16 => all(bytes, |b| bf16::from_le_bytes(b).to_f32(), &mut visit),
            Dtype::F16 => all(bytes, |b| f16::from_le_bytes(b).to_f32(), &mut visit),
            _ => return false,
        }
        true
    }

    /// The numbers of a tensor that was checked, as f32: exact.
    pub(crate) fn to_f32(&self) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.view.shape().iter().product());
        self.blocks(|block| values.extend_from_slice(block));
        values
    }

    /// The numbers of a tensor that was checked, to be read alone: where they lie, if they lie there as `numbers` (what they are stored in,
    /// unless told).
    /// Vectors, which are small, are f32 always.
    fn frozen(&self, numbers: Option<NumberType>) -> Frozen {
        let stored = if self.view.dtype() == Dtype::BF16 { NumberType::Bf16 } else { NumberType::F32 };
        let numbers = numbers.unwrap_or(stored);
        let mapped = || {
            let start = self.view.data().as_ptr() as usize - self.map.as_ptr() as usize;
            start..start + self.view.data().len()
        };
        let is_matrix = self.view.shape().len() >= 2;
        match (numbers, self.view.dtype()) {
            (_, Dtype::F32) if !is_matrix => Frozen::from(self.to_f32()),
            (NumberType::F32, Dtype::F32) => {
                Frozen::map_f32(self.map, mapped()).unwrap_or_else(|| Frozen::from(self.to_f32()))
            }
            (NumberType::Bf16, Dtype::BF16) if is_matrix => {
                Frozen::map_bf16(self.map, mapped()).unwrap_or_else(|| Frozen::from(self.to_bf16()))
            }
            (NumberType::Bf16, _) if is_matrix => Frozen::from(self.to_bf16()),
            _ => Frozen::from(self.to_f32()),
        }
    }

    /// Rounded once, to the nearest; exact for bf16.
    fn to_bf16(&self) -> Vec<bf16> {
        let mut values = Vec::with_capacity(self.view.shape().iter().product());
        self.blocks(|block| values.extend(block.iter().map(|&x| bf16::from_f32(x))));
        values
    }
}
