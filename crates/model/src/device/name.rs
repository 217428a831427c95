//! Devices by name: what a recipe says, and what this program was built with.

use std::{fmt, panic, str::FromStr};

use burn::tensor as burn;
use serde::{Deserialize, Serialize};

/// Where a policy's tensors live and its passes run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Device {
    pub kind: DeviceKind,
    /// Which one of several, from 0; the best one where it is not said.
    pub index: Option<usize>,
}

/// Kinds of devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceKind {
    /// The processor, with kernels of our own.
    #[default]
    Cpu,
    /// A GPU through Vulkan.
    Vulkan,
    /// A GPU through whatever the system has: Vulkan, Metal, DirectX 12 or WebGPU.
    Wgpu,
    /// A GPU of Apple's.
    Metal,
    /// A GPU of NVIDIA's through CUDA.
    Cuda,
    /// A GPU of AMD's through ROCm.
    Rocm,
}

impl DeviceKind {
    pub const ALL: [Self; 6] = [Self::Cpu, Self::Vulkan, Self::Wgpu, Self::Metal, Self::Cuda, Self::Rocm];

    /// In recipes, and of the cargo feature that builds it in.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Vulkan => "vulkan",
            Self::Wgpu => "wgpu",
            Self::Metal => "metal",
            Self::Cuda => "cuda",
            Self::Rocm => "rocm",
        }
    }

    /// Whether this program was built with it.
    pub fn is_built(self) -> bool {
        match self {
            Self::Cpu => true,
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Rocm => cfg!(feature = "rocm"),
        }
    }
}

/// A text that names no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is no device; expected `cpu`, or `vulkan`, `wgpu`, `metal`, `cuda` or `rocm`, each with an index if wanted (`vulkan:1`)"
)]
pub struct DeviceNameError {
    given: String,
}

impl FromStr for Device {
    type Err = DeviceNameError;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        let wrong = || DeviceNameError { given: given.to_owned() };
        let (name, index) = match given.split_once(':') {
            Some((name, index)) => (name, Some(index.parse().map_err(|_| wrong())?)),
            None => (given, None),
        };
        let kind = DeviceKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(wrong)?;
        if kind == DeviceKind::Cpu && index.is_some() {
            return Err(wrong());
        }
        Ok(Self { kind, index })
    }
}

impl TryFrom<String> for Device {
    type Error = DeviceNameError;

    fn try_from(given: String) -> Result<Self, Self::Error> {
        given.parse()
    }
}

impl From<Device> for String {
    fn from(device: Device) -> Self {
        device.to_string()
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        self.index.map_or(Ok(()), |index| write!(f, ":{index}"))
    }
}

impl schemars::JsonSchema for Device {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Device".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "`cpu`, or a GPU: `vulkan`, `wgpu`, `metal`, `cuda` or `rocm`, as far as the program was built with it \
                (`cohort doctor` lists what it has). An index picks one of several: `cuda:1`, or with `vulkan:1` the second discrete GPU.",
            "type": "string",
            "pattern": "^(cpu|(vulkan|wgpu|metal|cuda|rocm)(:[0-9]+)?)$",
            "default": "cpu",
        })
    }
}

/// Why a policy cannot be on a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    #[error("this program was built without `{0}`; build it with `cargo build --release --features {0}`")]
    NotBuilt(&'static str),
    #[error("`{device}` cannot be had on this machine: {reason}")]
    Absent { device: Device, reason: String },
    #[error("`{device}` does not run {what}; the cpu does")]
    Unsupported { device: Device, what: &'static str },
}

impl Device {
    /// The processor.
    pub const CPU: Self = Self { kind: DeviceKind::Cpu, index: None };

    /// Whether it is the processor.
    pub fn is_host(self) -> bool {
        self.kind == DeviceKind::Cpu
    }

    /// Burn's device of this name, after a first product on it.
    pub(crate) fn open(self) -> Result<burn::Device, DeviceError> {
        let device = self.of_burn()?;
        // Burn and what is below it tell of a missing device, or a missing driver, by a panic.
        let first = panic::catch_unwind(panic::AssertUnwindSafe(|| {
            let ones = burn::Tensor::<2>::ones([2, 2], &device);
            ones.clone().matmul(ones).try_into_vec_as::<f32>()
        }));
        let absent = |reason: String| DeviceError::Absent { device: self, reason };
        match first {
            Ok(Ok(product)) if product == [2.0; 4] => Ok(device),
            Ok(Ok(product)) => Err(absent(format!("a product of ones came out as {product:?}"))),
            Ok(Err(error)) => Err(absent(error.to_string())),
            Err(panic) => Err(absent(said(&panic))),
        }
    }

    #[allow(clippy::unnecessary_wraps, reason = "in a program with every device none is missing")]
    fn of_burn(self) -> Result<burn::Device, DeviceError> {
        match self.kind {
            DeviceKind::Cpu => Ok(burn::Device::flex()),
            #[cfg(feature = "vulkan")]
            DeviceKind::Vulkan => Ok(burn::Device::vulkan(self.adapter())),
            #[cfg(feature = "wgpu")]
            DeviceKind::Wgpu => Ok(burn::Device::wgpu(self.adapter())),
            #[cfg(feature = "metal")]
            DeviceKind::Metal => Ok(burn::Device::metal(self.adapter())),
            #[cfg(feature = "cuda")]
            DeviceKind::Cuda => Ok(burn::Device::cuda(self.index.unwrap_or(0))),
            #[cfg(feature = "rocm")]
            DeviceKind::Rocm => Ok(burn::Device::rocm(self.index.unwrap_or(0))),
            #[allow(unreachable_patterns, reason = "in a program with every device none is left")]
            other => Err(DeviceError::NotBuilt(other.name())),
        }
    }

    #[cfg(any(feature = "vulkan", feature = "wgpu", feature = "metal"))]
    fn adapter(self) -> burn::DeviceKind {
        self.index.map_or(burn::DeviceKind::DefaultDevice, burn::DeviceKind::DiscreteGpu)
    }
}

fn said(panic: &Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("the driver gave up without a word").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for name in ["cpu", "vulkan", "wgpu", "metal", "cuda", "rocm", "vulkan:0", "cuda:3"] {
            assert_eq!(name.parse::<Device>().map(String::from), Ok(name.to_owned()));
        }
        for name in ["", "gpu", "CPU", "cpu:0", "vulkan:", "vulkan:-1", "vulkan:one", "cuda:1:2"] {
            assert!(name.parse::<Device>().is_err_and(|error| error.to_string().contains(&format!("`{name}`"))));
        }
        assert_eq!(Device::default(), Device::CPU);
    }

    #[test]
    fn a_device_is_there_exactly_if_it_was_built_in() {
        for kind in DeviceKind::ALL {
            let built = Device { kind, index: None }.of_burn();
            match kind.is_built() {
                true => assert!(built.is_ok(), "{kind:?}"),
                false => assert_eq!(built.err(), Some(DeviceError::NotBuilt(kind.name()))),
            }
        }
        assert!(Device::CPU.open().is_ok());
    }
}
