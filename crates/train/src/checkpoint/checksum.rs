//! Sums of every file, and of every tensor so that a flipped byte has a name.

use std::{collections::BTreeMap, fs, io, path::Path};

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{CheckpointError, tensors::map, write_synced};
use crate::recipe::hex;

pub(crate) const CHECKSUMS: &str = "checksums.json";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Checksums {
    files: BTreeMap<String, FileSum>,
}

#[derive(Debug, Serialize, Deserialize)]
struct FileSum {
    bytes: u64,
    sha256: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tensors: BTreeMap<String, String>,
}

fn sum(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Sums all files of `directory`, and of the folders in it, into its `checksums.json`.
pub(super) fn write(directory: &Path) -> io::Result<()> {
    let mut checksums = Checksums::default();
    add(&mut checksums, directory, "")?;
    write_synced(&directory.join(CHECKSUMS), &serde_json::to_vec_pretty(&checksums).map_err(io::Error::other)?)
}

/// Adds the files of `folder`, which the checkpoint knows as `prefix`.
fn add(checksums: &mut Checksums, folder: &Path, prefix: &str) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
        let name = &format!("{prefix}{name}");
        if path.is_dir() {
            add(checksums, &path, &format!("{name}/"))?;
            continue;
        }
        let bytes = map(&path).map_err(io::Error::other)?;
        let tensors = match SafeTensors::deserialize(&bytes) {
            Ok(file) if name.ends_with(".safetensors") => {
                file.iter().map(|(name, tensor)| (name.to_owned(), sum(tensor.data()))).collect()
            }
            _ => BTreeMap::new(),
        };
        checksums.files.insert(name.to_owned(), FileSum { bytes: bytes.len() as u64, sha256: sum(&bytes), tensors });
    }
    Ok(())
}

/// Holds every file of a checkpoint against its sums. A directory without sums (one that Cohort did not
/// write) passes: there is nothing to hold it against.
pub fn verify(directory: &Path) -> Result<(), CheckpointError> {
    let path = directory.join(CHECKSUMS);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(CheckpointError::Read { path, source }),
    };
    let checksums: Checksums = serde_json::from_slice(&bytes).map_err(|e| CheckpointError::Corrupt {
        path: path.clone(),
        tensor: None,
        problem: format!("not the sums of a checkpoint: {e}"),
    })?;
    for (name, expected) in &checksums.files {
        let path = directory.join(name);
        let bytes = map(&path)?;
        if bytes.len() as u64 != expected.bytes {
            let problem = format!("expected {} bytes, got {}", expected.bytes, bytes.len());
            let tensor = first_cut(&bytes, expected);
            return Err(CheckpointError::Corrupt { path, tensor, problem });
        }
        if sum(&bytes) != expected.sha256 {
            let tensor = first_changed(&bytes, expected);
            return Err(CheckpointError::Corrupt { path, tensor, problem: "its checksum differs".to_owned() });
        }
    }
    Ok(())
}

fn first_changed(bytes: &[u8], expected: &FileSum) -> Option<String> {
    let file = SafeTensors::deserialize(bytes).ok()?;
    let changed = |(name, sha256): &(&String, &String)| file.tensor(name).is_ok_and(|t| sum(t.data()) != **sha256);
    expected.tensors.iter().find(changed).map(|(name, _)| name.clone())
}

/// The first tensor that a cut file no longer holds whole.
fn first_cut(bytes: &[u8], expected: &FileSum) -> Option<String> {
    let length = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?) as usize;
    let header: serde_json::Value = serde_json::from_slice(bytes.get(8..8usize.checked_add(length)?)?).ok()?;
    let held = bytes.len() - 8 - length;
    let end = |name: &String| header[name]["data_offsets"][1].as_u64().unwrap_or(0) as usize;
    expected.tensors.keys().filter(|name| end(name) > held).min_by_key(|name| end(name)).cloned()
}
