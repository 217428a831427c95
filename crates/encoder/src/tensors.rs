//! Tensors of a safetensors file, from a memory map: f32 and bf16 matrices are used where they lie, the rest is widened to f32.

use std::{collections::BTreeSet, fs::File, ops::Range, path::Path, sync::Arc};

use cohort_kernels::Matrix;
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::EncoderError;

/// A matrix: owned, or bytes of the file that were seen to be whole numbers at their alignment.
pub(crate) enum Numbers {
    Owned(Vec<f32>),
    MappedF32(Arc<Mmap>, Range<usize>),
    MappedBf16(Arc<Mmap>, Range<usize>),
}

impl Numbers {
    pub(crate) fn matrix(&self) -> Matrix<'_> {
        match self {
            Numbers::Owned(values) => Matrix::F32(values),
            // Both casts were tried when the value was made.
            Numbers::MappedF32(map, range) => Matrix::F32(bytemuck::cast_slice(&map[range.clone()])),
            Numbers::MappedBf16(map, range) => Matrix::Bf16(bytemuck::cast_slice(&map[range.clone()])),
        }
    }
}

/// A file in memory, read as it is touched.
pub(crate) fn map(file: &Path) -> Result<Arc<Mmap>, EncoderError> {
    let unreadable = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => EncoderError::MissingFile {
            path: file.to_owned(),
            expected: "weights in one safetensors file (`save_pretrained` writes it; pytorch_model.bin is not read)",
        },
        _ => EncoderError::Unreadable { path: file.to_owned(), reason: e.to_string() },
    };
    let handle = File::open(file).map_err(unreadable)?;
    // SAFETY: the map is read-only; a file that another process truncates meanwhile ends the program by a signal, as
    // with every reader of mapped weights.
    #[allow(unsafe_code)]
    let map = unsafe { Mmap::map(&handle) }.map_err(unreadable)?;
    Ok(Arc::new(map))
}

/// The tensors of a mapped file, and which of them were taken.
pub(crate) struct Tensors<'a> {
    file: &'a Path,
    map: &'a Arc<Mmap>,
    tensors: SafeTensors<'a>,
    prefix: String,
    taken: BTreeSet<String>,
}

impl<'a> Tensors<'a> {
    /// The names may all begin with the `family`'s own word and a point, as heads for other tasks write them.
    pub(crate) fn of(file: &'a Path, map: &'a Arc<Mmap>, family: &str, first: &str) -> Result<Self, EncoderError> {
        let broken = |e: safetensors::SafeTensorError| EncoderError::Weights {
            path: file.to_owned(),
            reason: format!("not a whole safetensors file ({e}); copy it anew"),
        };
        let tensors = SafeTensors::deserialize(map).map_err(broken)?;
        let named = format!("{family}.");
        let has = |name: &str| tensors.tensor(name).is_ok();
        let prefix = if !has(first) && has(&format!("{named}{first}")) { named } else { String::new() };
        Ok(Self { file, map, tensors, prefix, taken: BTreeSet::new() })
    }

    fn error(&self, reason: String) -> EncoderError {
        EncoderError::Weights { path: self.file.to_owned(), reason }
    }

    fn checked(&mut self, name: &str, shape: &[usize]) -> Result<TensorView<'a>, EncoderError> {
        let name = format!("{}{name}", self.prefix);
        let Ok(view) = self.tensors.tensor(&name) else {
            return Err(self.error(format!("the tensor `{name}` is missing, expected one of {shape:?}")));
        };
        if view.shape() != shape {
            let got = view.shape();
            return Err(self.error(format!("the tensor `{name}` is {got:?}, expected {shape:?} by the configuration")));
        }
        if let Some(index) = first_not_finite(&view, &name).map_err(|reason| self.error(reason))? {
            return Err(self.error(format!("the tensor `{name}` holds no finite number at {index}")));
        }
        self.taken.insert(name);
        Ok(view)
    }

    /// A matrix, held as it is stored.
    pub(crate) fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Numbers, EncoderError> {
        let view = self.checked(name, &shape)?;
        let start = view.data().as_ptr() as usize - self.map.as_ptr() as usize;
        let range = start..start + view.data().len();
        Ok(match view.dtype() {
            Dtype::F32 if bytemuck::try_cast_slice::<u8, f32>(view.data()).is_ok() => {
                Numbers::MappedF32(Arc::clone(self.map), range)
            }
            Dtype::BF16 if bytemuck::try_cast_slice::<u8, bf16>(view.data()).is_ok() => {
                Numbers::MappedBf16(Arc::clone(self.map), range)
            }
            _ => Numbers::Owned(wide(&view).map(Iterator::collect).unwrap_or_default()),
        })
    }

    pub(crate) fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>, EncoderError> {
        let view = self.checked(name, &[len])?;
        Ok(wide(&view).map(Iterator::collect).unwrap_or_default())
    }

    /// # Errors
    /// A tensor below `parts` was not taken: the configuration describes another model.
    pub(crate) fn end(self, parts: &[&str]) -> Result<(), EncoderError> {
        let is_left = |name: &&&str| {
            let own = name.strip_prefix(self.prefix.as_str()).unwrap_or(name);
            parts.iter().any(|part| own.starts_with(part)) && !own.ends_with("_ids") && !self.taken.contains(**name)
        };
        match self.tensors.names().iter().find(|name| is_left(name)) {
            Some(name) => Err(self.error(format!("the tensor `{name}` is none that the configuration describes"))),
            None => Ok(()),
        }
    }
}

/// The numbers of a tensor, widened; `None` for a dtype that is not supported.
fn wide<'a>(view: &TensorView<'a>) -> Option<Box<dyn Iterator<Item = f32> + 'a>> {
    let bytes = view.data();
    Some(match view.dtype() {
        Dtype::F32 => Box::new(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b))),
        Dtype::BF16 => Box::new(bytes.as_chunks().0.iter().map(|&b| bf16::from_le_bytes(b).to_f32())),
        Dtype::F16 => Box::new(bytes.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32())),
        _ => return None,
    })
}

fn first_not_finite(view: &TensorView, name: &str) -> Result<Option<usize>, String> {
    let mut numbers = wide(view).ok_or_else(|| {
        format!(
            "the tensor `{name}` is stored as {:?}, which is not supported; supported: F32, BF16, F16",
            view.dtype()
        )
    })?;
    Ok(numbers.position(|x| !x.is_finite()))
}
