//! A checkpoint: a directory that exists whole or not at all.
//!
//! ```text
//! step-000012/
//!   model.safetensors, config.json, tokenizer.json, ..   the main policy, in the Hugging Face layout; large ones in shards
//!   (adapter_model.safetensors, adapter_config.json, ..    a policy that is an adapter, in PEFT's layout)
//!   README.md                                              the card: recipe, base, stage, step
//!   optimizer.safetensors                                  two moments a parameter
//!   reward_models.safetensors                              the models of texts that the run trains, where it does
//!   ema/                                                   the averaged weights, a directory of the same layout
//!   state.json                                             what else the stage needs to go on
//!   checksums.json                                         SHA-256 of every file and every tensor
//! ```
//!
//! Files are written into a hidden directory beside it, synced, summed, and the directory is renamed.
//! Weight files hold no time, path or run, and their headers are sorted: same weights, same bytes.

mod card;
mod checksum;
mod model_files;
mod reward_models;
mod tensors;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use cohort_core::Policy;
use cohort_env::text_model::TextModels;
use serde::{Serialize, de::DeserializeOwned};

pub use card::{Provenance, base_name};
pub(crate) use checksum::CHECKSUMS;
pub use checksum::verify;
pub use model_files::SHARD_BYTES;
pub use reward_models::{has as has_reward_models, read as read_reward_models};
use tensors::{read_tensors, write_values};

use crate::optimizer::Optimizer;

const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "state.json";
/// The folder of a checkpoint that the averaged weights stand in.
pub const EMA: &str = "ema";
const CARD: &str = "README.md";

/// Why a checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("cannot write the checkpoint {}: {source}\n  hint: the checkpoint before it is still good; make room and use --resume", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {problem}{}\n  hint: the file was changed or cut after it was written; take an earlier checkpoint or start anew", path.display(), of_tensor(tensor))]
    Corrupt { path: PathBuf, tensor: Option<String>, problem: String },
    #[error(
        "the weights are not finite after step {step} (tensor `{tensor}`); the checkpoint before is kept\n  hint: lower the learning rate"
    )]
    NotFinite { step: u64, tensor: String },
}

fn of_tensor(tensor: &Option<String>) -> String {
    tensor.as_ref().map_or(String::new(), |t| format!(" (tensor `{t}`)"))
}

/// What a checkpoint holds beside the weights.
pub struct Parts<'a, S> {
    pub policy: &'a dyn Policy,
    pub optimizer: Option<&'a Optimizer>,
    /// The averaged weights.
    pub ema: Option<&'a dyn Policy>,
    /// What the run trains beside the policy; may be empty.
    pub models: &'a TextModels,
    pub state: &'a S,
    pub provenance: &'a Provenance,
    /// The largest weights file, in bytes: [`SHARD_BYTES`].
    pub shard_bytes: u64,
}

/// Writes a checkpoint to `directory`, replacing what stands there.
pub fn write<S: Serialize>(directory: &Path, step: u64, parts: &Parts<'_, S>) -> Result<(), CheckpointError> {
    finite(parts.policy, step)?;
    parts.ema.map_or(Ok(()), |ema| finite(ema, step))?;
    whole_or_not(directory, |staging| stage(staging, parts))
}

/// Writes a policy alone: a directory as transformers or PEFT write it, with a card and sums.
pub fn write_model(
    directory: &Path,
    policy: &dyn Policy,
    provenance: &Provenance,
    shard_bytes: u64,
) -> Result<(), CheckpointError> {
    whole_or_not(directory, |staging| {
        stage_model(staging, policy, provenance, shard_bytes)?;
        checksum::write(staging)
    })
}

/// Fills a hidden directory beside `directory` and renames it.
fn whole_or_not(directory: &Path, fill: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), CheckpointError> {
    let failed = |source| CheckpointError::Write { path: directory.to_owned(), source };
    let parent = directory.parent().unwrap_or(Path::new("."));
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let staging = parent.join(format!(".{name}.{}", std::process::id()));
    let fill = || {
        if staging.exists() {
            fs::remove_dir_all(&staging)?;
        }
        fs::create_dir_all(&staging)?;
        fill(&staging)?;
        sync_directory(&staging)?;
        if directory.exists() {
            fs::remove_dir_all(directory)?;
        }
        fs::rename(&staging, directory)?;
        sync_directory(parent)
    };
    fill().map_err(|e| {
        let _ = fs::remove_dir_all(&staging);
        failed(e)
    })
}

fn stage_model(staging: &Path, policy: &dyn Policy, provenance: &Provenance, shard_bytes: u64) -> io::Result<()> {
    model_files::write(staging, policy, shard_bytes)?;
    write_synced(&staging.join(CARD), provenance.render(policy.stored_as()).as_bytes())
}

fn stage<S: Serialize>(staging: &Path, parts: &Parts<'_, S>) -> io::Result<()> {
    let &Parts { policy, optimizer, ema, models, state, provenance, shard_bytes } = parts;
    stage_model(staging, policy, provenance, shard_bytes)?;
    if let Some(optimizer) = optimizer {
        write_values(&staging.join(OPTIMIZER), &optimizer.tensors(policy.parameters()))?;
    }
    reward_models::write(staging, models)?;
    if let Some(ema) = ema {
        let folder = staging.join(EMA);
        fs::create_dir(&folder)?;
        stage_model(&folder, ema, provenance, shard_bytes)?;
        // Sums of its own: it is loaded without what stands around it.
        checksum::write(&folder)?;
        sync_directory(&folder)?;
    }
    write_synced(&staging.join(STATE), &serde_json::to_vec_pretty(state).map_err(io::Error::other)?)?;
    checksum::write(staging)
}

fn finite(policy: &dyn Policy, step: u64) -> Result<(), CheckpointError> {
    for (index, parameter) in policy.parameters().iter().enumerate() {
        let mut all = true;
        policy.read(index, &mut |values| all = values.iter().all(|v| v.is_finite()));
        if !all {
            return Err(CheckpointError::NotFinite { step, tensor: parameter.name.clone() });
        }
    }
    Ok(())
}

/// Reads the weights, and the optimizer's state where one is given, after [`verify`]. Returns the stage's state.
pub fn read<S: DeserializeOwned>(
    directory: &Path,
    policy: &mut dyn Policy,
    optimizer: Option<&mut Optimizer>,
) -> Result<S, CheckpointError> {
    verify(directory)?;
    model_files::read(directory, policy)?;
    let parameters = policy.parameters();
    if let Some(optimizer) = optimizer {
        let shapes: Vec<_> = optimizer.tensors(parameters).into_iter().map(|(name, shape, _)| (name, shape)).collect();
        let entries = shapes.into_iter().enumerate().map(|(i, (name, shape))| (name, shape, i));
        read_tensors(&directory.join(OPTIMIZER), entries, |index, values| optimizer.restore(index, values))?;
    }
    let path = directory.join(STATE);
    let bytes = fs::read(&path).map_err(|source| CheckpointError::Read { path: path.clone(), source })?;
    serde_json::from_slice(&bytes).map_err(|e| CheckpointError::Corrupt { path, tensor: None, problem: e.to_string() })
}

/// Reads the averaged weights of a checkpoint that [`read`] has verified: its sums are also of them.
pub fn read_ema(directory: &Path, average: &mut dyn Policy) -> Result<(), CheckpointError> {
    model_files::read(&directory.join(EMA), average)
}

/// Writes a file so that it is on the disk when the call returns.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Replaces a file in one step: readers see the old one or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut staging = path.as_os_str().to_owned();
    staging.push(".tmp");
    let staging = PathBuf::from(staging);
    write_synced(&staging, bytes)?;
    fs::rename(&staging, path)?;
    sync_directory(path.parent().unwrap_or(Path::new(".")))
}

pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    fs::File::open(path)?.sync_all()
}
