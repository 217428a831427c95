//! Safetensors files, written some kilobytes at a time and read from a map.
//!
//! The format: 8 bytes of header length, a JSON header of names, dtypes, shapes and byte ranges, the bytes
//! (github.com/huggingface/safetensors, README, "Format").

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use cohort_core::{NumberType, StoredTensor, policy::show_bytes};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};

use super::CheckpointError;

/// Writes tensors; `show(index, look)` gives the bytes of one. Wider numbers stand first so that all are aligned, and
/// names are sorted: same tensors, same bytes.
pub(super) fn write_tensors(
    path: &Path,
    tensors: &[StoredTensor],
    mut show: impl FnMut(usize, &mut dyn FnMut(&[u8])),
) -> io::Result<()> {
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    order.sort_by_key(|&index| (std::cmp::Reverse(tensors[index].numbers.size()), tensors[index].name.as_str()));
    let mut header = Map::from_iter([("__metadata__".to_owned(), json!({ "format": "pt" }))]);
    let mut end = 0;
    for tensor in order.iter().map(|&index| &tensors[index]) {
        let dtype = match tensor.numbers {
            NumberType::F32 => "F32",
            NumberType::Bf16 => "BF16",
        };
        let start = end;
        end += tensor.byte_count();
        let entry = json!({ "dtype": dtype, "shape": tensor.shape, "data_offsets": [start, end] });
        header.insert(tensor.name.clone(), entry);
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    // Numbers begin at a multiple of 8 bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = BufWriter::with_capacity(1 << 16, File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for index in order {
        let (mut result, mut written) = (Ok(()), 0);
        show(index, &mut |bytes| {
            written += bytes.len();
            if result.is_ok() {
                result = file.write_all(bytes);
            }
        });
        result?;
        if written != tensors[index].byte_count() {
            let (name, expected) = (&tensors[index].name, tensors[index].byte_count());
            return Err(io::Error::other(format!("the tensor `{name}` showed {written} bytes of {expected}")));
        }
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Writes f32 tensors that are in memory, `(name, shape, values)`, as [`write_tensors`] does.
pub(super) fn write_values(path: &Path, values: &[(String, Vec<usize>, &[f32])]) -> io::Result<()> {
    let stored = |(name, shape, _): &(String, Vec<usize>, &[f32])| StoredTensor {
        name: name.clone(),
        shape: shape.clone(),
        numbers: NumberType::F32,
    };
    let tensors: Vec<StoredTensor> = values.iter().map(stored).collect();
    write_tensors(path, &tensors, |index, look| show_bytes(values[index].2, look))
}

/// Reads `(name, shape, key)` tensors and gives each to `take(key, values)`.
pub(super) fn read_tensors<K>(
    path: &Path,
    tensors: impl Iterator<Item = (String, Vec<usize>, K)>,
    mut take: impl FnMut(K, &[f32]),
) -> Result<(), CheckpointError> {
    let corrupt =
        |tensor: Option<String>, problem: String| CheckpointError::Corrupt { path: path.to_owned(), tensor, problem };
    let mapped = map(path)?;
    let file =
        SafeTensors::deserialize(&mapped).map_err(|e| corrupt(None, format!("not a whole safetensors file: {e}")))?;
    let mut values = Vec::new();
    for (name, shape, key) in tensors {
        let tensor = file.tensor(&name).map_err(|_| corrupt(Some(name.clone()), "a tensor is missing".to_owned()))?;
        if tensor.shape() != shape || tensor.dtype() != Dtype::F32 {
            let problem = format!("expected F32 {shape:?}, got {:?} {:?}", tensor.dtype(), tensor.shape());
            return Err(corrupt(Some(name), problem));
        }
        values.clear();
        values.extend(tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        take(key, &values);
    }
    Ok(())
}

/// Maps a file into memory.
#[expect(unsafe_code, reason = "memory-mapping is the point; see SAFETY")]
pub(super) fn map(path: &Path) -> Result<memmap2::Mmap, CheckpointError> {
    let read = |source| CheckpointError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read)?;
    // SAFETY: a run owns its directory; a checkpoint is never written to after its rename.
    unsafe { memmap2::Mmap::map(&file) }.map_err(read)
}
