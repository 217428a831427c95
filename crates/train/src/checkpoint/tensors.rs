//! Safetensors files of f32 tensors, one tensor in memory at a time.

use std::{borrow::Cow, fs::File, io, path::Path};

use safetensors::{Dtype, SafeTensors, View};

use super::CheckpointError;

/// A tensor whose bytes are copied out only when they are written.
struct Lazy<'a, T, R> {
    shape: Vec<usize>,
    of: T,
    read: &'a R,
}

impl<T, R: Fn(&T, &mut dyn FnMut(&[f32]))> View for Lazy<'_, T, R> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = Vec::with_capacity(self.data_len());
        (self.read)(&self.of, &mut |values| bytes.extend(values.iter().flat_map(|v| v.to_le_bytes())));
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * size_of::<f32>()
    }
}

/// Writes `(name, shape, of)` tensors; `read(of, look)` shows the values of one. The header is sorted by name.
pub(super) fn write_tensors<T>(
    path: &Path,
    tensors: impl Iterator<Item = (String, Vec<usize>, T)>,
    read: impl Fn(&T, &mut dyn FnMut(&[f32])),
) -> io::Result<()> {
    let permissions = File::create(path)?.metadata()?.permissions();
    let views = tensors.map(|(name, shape, of)| (name, Lazy { shape, of, read: &read }));
    let format = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize_to_file(views, Some(format), path).map_err(|e| match e {
        safetensors::SafeTensorError::IoError(e) => e,
        other => io::Error::other(other),
    })?;
    let file = File::open(path)?;
    // The library makes its file for the owner alone; weights are to be read by whoever reads what stands beside them.
    file.set_permissions(permissions)?;
    file.sync_all()
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
