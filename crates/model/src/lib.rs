//! Decoder language models from Hugging Face directories.
//!
//! One description of the model ([`Architecture`], [`layer::Layer`]) is read from `config.json`; two
//! interpreters execute it over one copy of the weights: slice kernels for sampling and
//! scoring, and a graph on Burn's autodiff for training. Both call the same row-independent kernels, so the
//! log-probabilities of sampler and trainer agree to the bit.

mod adapter;
mod assets;
mod blueprint;
mod chosen;
mod config;
mod decoder;
mod device;
mod divergence;
mod dropout;
mod error;
mod experts;
mod fields;
mod flops;
mod footprint;
mod frozen;
mod given;
mod graph;
mod init;
pub mod layer;
mod load;
mod lora;
mod opening;
mod pack;
mod packed;
mod policy;
mod prefix_tree;
mod product;
mod rope;
mod rotary;
mod score;
mod selection;
mod slice_engine;
mod slices;
mod stop_text;
mod stored;
mod tokenizer;
mod weights;

pub use adapter::AdapterConfig;
pub use assets::{CARRIED, arithmetic_tokenizer, characters_tokenizer};
pub use blueprint::{Blueprint, ExpertsBlueprint};
pub use config::{Architecture, Family, StoredDtype};
pub use device::{Device, DeviceError, DeviceKind, DeviceNameError, DevicePeak, DevicePolicy};
pub use error::{ConfigError, ModelError, WeightsError};
pub use flops::Flops;
pub use init::random_weights;
pub use lora::{Lora, Targets};
pub use opening::Opening;
pub use pack::Prompts;
pub use policy::TextPolicy;
pub use selection::{Compared, Masked, Selection, SelectionError, fits};
pub use tokenizer::{EncodeError, SpecialTokens, TextTokenizer};
pub use weights::Weights;
