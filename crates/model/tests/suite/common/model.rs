//! A model directory of random weights, and ways to open it.

use std::{fs, path::Path};

use cohort_core::{NumberType, Policy, StoredAs, Stream};
use cohort_model::{Lora, Opening, Selection, TextPolicy};
use tempfile::TempDir;

/// A directory with a model of random weights, stored in `numbers`.
pub fn base(numbers: NumberType) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    write(folder.path(), &super::tiny(5, true), Some(numbers));
    folder
}

/// Writes a policy as one safetensors file with its assets; every number in `numbers`, where given.
pub fn write(directory: &Path, policy: &dyn Policy, numbers: Option<NumberType>) {
    for asset in policy.assets() {
        fs::write(directory.join(&asset.name), &asset.bytes).expect("an asset");
    }
    let mut tensors = std::collections::BTreeMap::new();
    for (index, tensor) in policy.stored().into_iter().enumerate() {
        let mut bytes = Vec::new();
        policy.read_stored(index, &mut |part| bytes.extend_from_slice(part));
        let mut dtype = match tensor.numbers {
            NumberType::F32 => safetensors::Dtype::F32,
            NumberType::Bf16 => safetensors::Dtype::BF16,
        };
        if numbers == Some(NumberType::Bf16) && dtype == safetensors::Dtype::F32 {
            let narrow = |b: &[u8; 4]| half::bf16::from_f32(f32::from_le_bytes(*b)).to_le_bytes();
            bytes = bytes.as_chunks::<4>().0.iter().flat_map(narrow).collect();
            dtype = safetensors::Dtype::BF16;
        }
        tensors.insert(tensor.name, (dtype, tensor.shape, bytes));
    }
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
        (name, safetensors::tensor::TensorView::new(*dtype, shape.clone(), bytes).expect("a view"))
    });
    let name = match policy.stored_as() {
        StoredAs::Model => "model.safetensors",
        StoredAs::Adapter => "adapter_model.safetensors",
    };
    fs::write(directory.join(name), safetensors::serialize(views, None).expect("bytes")).expect("a file");
}

pub fn opening(selection: Selection) -> Opening {
    Opening { selection: Some(selection), base: "base".to_owned(), ..Opening::default() }
}

pub fn lora() -> Lora {
    Lora { rank: 4, alpha: 8.0, ..Lora::default() }
}

pub fn open(directory: &Path, opening: &Opening) -> TextPolicy {
    TextPolicy::open(directory, opening).expect("a policy")
}

/// Changes every trained number.
pub fn update(policy: &mut TextPolicy) {
    for index in 0..policy.parameters().len() {
        let dice = Stream::new(11, "update").dice(0, index as u32, 0);
        policy.write(index, &mut |values| {
            values.iter_mut().enumerate().for_each(|(i, x)| *x += 0.3 * (dice.uniform(i) as f32 - 0.5));
        });
    }
}
