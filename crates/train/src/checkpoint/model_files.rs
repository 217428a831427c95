//! A policy's weights in the Hugging Face layout: one file, or shards with an index.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use cohort_core::{ParameterInfo, Policy, StoredAs, StoredTensor};
use serde_json::{Map, Value, json};

use super::{
    CheckpointError,
    tensors::{read_tensors, write_tensors},
    write_synced,
};

/// The largest weights file that is written, in bytes.
pub const SHARD_BYTES: u64 = 4 << 30;

/// What weights files are called, before a shard's number.
fn stem(stored: StoredAs) -> &'static str {
    match stored {
        StoredAs::Model => "model",
        StoredAs::Adapter => "adapter_model",
    }
}

/// Cuts tensors, in their order, into runs of at most `most` bytes; a tensor that is larger has a run of its own.
fn shards(tensors: &[StoredTensor], most: u64) -> Vec<std::ops::Range<usize>> {
    let mut runs = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (index, tensor) in tensors.iter().enumerate() {
        let size = tensor.byte_count() as u64;
        if index > from && bytes + size > most {
            runs.push(from..index);
            (from, bytes) = (index, 0);
        }
        bytes += size;
    }
    runs.push(from..tensors.len());
    runs
}

/// Writes the weights and what stands beside them: every asset of the policy, then `model.safetensors`, or
/// `model-00001-of-00002.safetensors` and so on with `model.safetensors.index.json`. An adapter is one file.
pub(super) fn write(directory: &Path, policy: &dyn Policy, shard_bytes: u64) -> io::Result<()> {
    for asset in policy.assets() {
        let path = directory.join(&asset.name);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        write_synced(&path, &asset.bytes)?;
    }
    let (tensors, stem) = (policy.stored(), stem(policy.stored_as()));
    let most = match policy.stored_as() {
        StoredAs::Model => shard_bytes,
        StoredAs::Adapter => u64::MAX,
    };
    let runs = shards(&tensors, most);
    if runs.len() == 1 {
        return write_tensors(&directory.join(format!("{stem}.safetensors")), &tensors, |index, look| {
            policy.read_stored(index, look);
        });
    }
    let mut map = Map::new();
    for (number, run) in runs.iter().enumerate() {
        let name = format!("{stem}-{:05}-of-{:05}.safetensors", number + 1, runs.len());
        let part = &tensors[run.clone()];
        part.iter().for_each(|tensor| drop(map.insert(tensor.name.clone(), Value::from(name.clone()))));
        write_tensors(&directory.join(name), part, |index, look| policy.read_stored(run.start + index, look))?;
    }
    map.sort_keys();
    let total: usize = tensors.iter().map(StoredTensor::byte_count).sum();
    let index = json!({ "metadata": { "total_size": total }, "weight_map": map });
    write_synced(&directory.join(format!("{stem}.safetensors.index.json")), format!("{index:#}\n").as_bytes())
}

/// Reads the trained parameters of `policy` from a directory that [`write`] made.
pub(super) fn read(directory: &Path, policy: &mut dyn Policy) -> Result<(), CheckpointError> {
    let stem = stem(policy.stored_as());
    let parameters: Vec<(usize, ParameterInfo)> = policy.parameters().iter().cloned().enumerate().collect();
    let single = directory.join(format!("{stem}.safetensors"));
    let index = directory.join(format!("{stem}.safetensors.index.json"));
    let files: Vec<(PathBuf, Vec<(usize, ParameterInfo)>)> = if single.exists() || !index.exists() {
        vec![(single, parameters)]
    } else {
        let corrupt = |tensor: Option<String>, problem: &str| CheckpointError::Corrupt {
            path: index.clone(),
            tensor,
            problem: problem.to_owned(),
        };
        let bytes = fs::read(&index).map_err(|source| CheckpointError::Read { path: index.clone(), source })?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|e| corrupt(None, &e.to_string()))?;
        let mut files: Vec<(PathBuf, Vec<(usize, ParameterInfo)>)> = Vec::new();
        for (slot, info) in parameters {
            let file = value["weight_map"][&info.name].as_str();
            let file = file.ok_or_else(|| corrupt(Some(info.name.clone()), "a tensor is missing"))?;
            let path = directory.join(file);
            match files.iter_mut().find(|(known, _)| *known == path) {
                Some((_, of_file)) => of_file.push((slot, info)),
                None => files.push((path, vec![(slot, info)])),
            }
        }
        files
    };
    for (path, of_file) in files {
        let entries = of_file.into_iter().map(|(slot, info)| (info.name, info.shape, slot));
        read_tensors(&path, entries, |slot, values| policy.write(slot, &mut |to| to.copy_from_slice(values)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cohort_core::{NumberType, Stream};
    use cohort_model::{Architecture, Blueprint, TextPolicy};

    fn policy(seed: u64) -> TextPolicy {
        let blueprint = Blueprint {
            vocabulary: 40,
            width: 16,
            layers: 3,
            query_heads: 2,
            kv_heads: 1,
            head_dim: 8,
            inner: 24,
            experts: None,
            positions: 32,
            rope_theta: 10_000.0,
            norm_eps: 1e-6,
            tied: false,
            end_ids: vec![1],
            pad_id: None,
        };
        let architecture = Architecture::new(&blueprint).expect("an architecture");
        TextPolicy::new(architecture, Vec::new(), Stream::new(seed, "policy")).expect("a policy")
    }

    fn bits(policy: &dyn Policy) -> Vec<u32> {
        let mut bits = Vec::new();
        (0..policy.parameters().len())
            .for_each(|index| policy.read(index, &mut |values| bits.extend(values.iter().map(|v| v.to_bits()))));
        bits
    }

    #[test]
    fn shards_that_are_written_are_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let (written, most) = (policy(1), 4000);
        write(folder.path(), &written, most).expect("written");
        let listed = fs::read_dir(folder.path()).expect("a folder").flatten();
        let files: Vec<PathBuf> =
            listed.map(|entry| entry.path()).filter(|p| p.extension().is_some_and(|e| e == "safetensors")).collect();
        assert!(files.len() > 3 && !folder.path().join("model.safetensors").exists(), "{files:?}");
        for file in &files {
            // Beside the numbers there is a header.
            let bytes = fs::metadata(file).expect("a file").len();
            assert!(bytes <= most + 2000, "{bytes} bytes in {}", file.display());
        }
        // By whoever opens the directory, and into a policy that goes on.
        assert_eq!(bits(&TextPolicy::load(folder.path()).expect("a model")), bits(&written));
        let mut other = policy(2);
        assert_ne!(bits(&other), bits(&written));
        read(folder.path(), &mut other).expect("read");
        assert_eq!(bits(&other), bits(&written));
        // An index that has lost a tensor says which.
        let index = folder.path().join("model.safetensors.index.json");
        let mut value: Value = serde_json::from_slice(&fs::read(&index).expect("an index")).expect("JSON");
        value["weight_map"].as_object_mut().expect("a map").remove("lm_head.weight");
        fs::write(&index, value.to_string()).expect("written");
        match read(folder.path(), &mut other) {
            Err(CheckpointError::Corrupt { tensor, .. }) => assert_eq!(tensor.as_deref(), Some("lm_head.weight")),
            found => panic!("{found:?}"),
        }
    }

    #[test]
    fn shards_hold_at_most_what_they_may() {
        let tensors: Vec<StoredTensor> = [3, 2, 9, 1, 4]
            .map(|n| StoredTensor { name: n.to_string(), shape: vec![n], numbers: NumberType::F32 })
            .into();
        assert_eq!(shards(&tensors, u64::MAX), vec![std::ops::Range { start: 0, end: 5 }]);
        assert_eq!(shards(&tensors, 20), [0..2, 2..3, 3..5]);
        assert_eq!(shards(&tensors, 1), [0..1, 1..2, 2..3, 3..4, 4..5]);
    }
}
