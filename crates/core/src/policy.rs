//! What a policy is to everything else: it samples, it gives rows, it takes row gradients.

use std::{fmt, num::NonZeroUsize, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    action::PayloadKey,
    context::Context,
    controls::Controls,
    distributions::{Against, Distributions},
    footprint::Footprint,
    metric::Metrics,
    random::{Dice, Stream},
    red_line::Precision,
    row::{RowGradients, Rows},
    sample::Sample,
};

/// Asks for one sample.
#[derive(Clone, Debug)]
pub struct Request {
    pub context: Context,
    pub controls: Arc<Controls>,
    /// All the randomness of the sample; nothing else may decide a draw.
    pub dice: Dice,
}

/// Which rows are wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowSpec {
    /// Temperature of the distribution, above 0.
    pub temperature: f32,
    /// What a training pass leaves out at random. Samplers, references and evaluations have none.
    pub noise: Option<Noise>,
}

impl RowSpec {
    /// Without noise.
    pub const fn at(temperature: f32) -> Self {
        Self { temperature, noise: None }
    }
}

/// The noise of the training passes of one step: every pass over the same sample in the step has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    pub stream: Stream,
    pub step: u32,
}

/// What a training pass holds between forward and backward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activations {
    /// Everything that the way back needs.
    #[default]
    Keep,
    /// What goes into each layer alone; the rest is computed again on the way back.
    Recompute,
}

/// How a training pass is carried out. It changes no bit of what the pass gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execution {
    pub activations: Activations,
    /// Threads that one pass may use.
    pub threads: NonZeroUsize,
}

impl Default for Execution {
    fn default() -> Self {
        Self { activations: Activations::Keep, threads: NonZeroUsize::MIN }
    }
}

/// Name and shape of a trained parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterInfo {
    pub name: String,
    pub shape: Vec<usize>,
}

impl ParameterInfo {
    pub fn element_count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A gradient: one flat vector a parameter, in the order of [`Policy::parameters`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gradient(pub Vec<Vec<f32>>);

impl Gradient {
    /// Adds `other` to it, entry by entry.
    pub fn add(&mut self, other: &Gradient) {
        debug_assert_eq!(self.0.len(), other.0.len());
        for (a, b) in self.0.iter_mut().zip(&other.0) {
            debug_assert_eq!(a.len(), b.len());
            for (x, y) in a.iter_mut().zip(b) {
                *x += *y;
            }
        }
    }

    /// Euclidean norm over all entries, in f64, summed in the order of the parameters.
    pub fn norm(&self) -> f64 {
        self.0.iter().map(|p| p.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>()).sum::<f64>().sqrt()
    }

    /// Index of the first parameter with an entry that is not finite.
    pub fn first_not_finite(&self) -> Option<usize> {
        self.0.iter().position(|p| p.iter().any(|g| !g.is_finite()))
    }
}

/// A file that belongs beside a policy's weights: its configuration, its tokenizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// The type that a tensor's numbers are stored in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NumberType {
    /// 4 bytes.
    #[default]
    F32,
    /// 2 bytes: f32 without the lower half.
    Bf16,
}

impl NumberType {
    /// Bytes of a number.
    pub fn size(self) -> usize {
        match self {
            NumberType::F32 => 4,
            NumberType::Bf16 => 2,
        }
    }
}

/// A tensor of a directory of weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTensor {
    pub name: String,
    pub shape: Vec<usize>,
    pub numbers: NumberType,
}

impl StoredTensor {
    /// Bytes of all its numbers.
    pub fn byte_count(&self) -> usize {
        self.shape.iter().product::<usize>() * self.numbers.size()
    }
}

/// What a directory of a policy's weights is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoredAs {
    /// A whole model: `model.safetensors`.
    #[default]
    Model,
    /// What is added to a model that stands elsewhere: `adapter_model.safetensors`.
    Adapter,
}

/// Why a policy could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("a context of {context} tokens with {new} new ones is longer than the model's {limit} positions")]
    TooLong { context: usize, new: usize, limit: usize },
    #[error("token id {id} is outside the vocabulary of {vocabulary}")]
    UnknownToken { id: u32, vocabulary: usize },
    #[error("an empty context: the policy needs at least one token before it acts")]
    EmptyContext,
    #[error("the policy cannot score this {what}")]
    Unsupported { what: String },
    /// A sampler outside this process failed.
    #[error("{source}")]
    Outside { source: Box<dyn std::error::Error + Send + Sync> },
    #[error("sample {sample}: forbidden ids and bad words leave nothing to draw for action {action}")]
    NothingLeft { sample: usize, action: usize },
    #[error("sample {sample}: {column} of action {action} is not finite")]
    NotFinite { sample: usize, action: usize, column: &'static str },
}

/// Shows the little-endian bytes of values, some at a time.
pub fn show_bytes(values: &[f32], look: &mut dyn FnMut(&[u8])) {
    let mut bytes = Vec::with_capacity(4 * values.len().min(16_384));
    for part in values.chunks(16_384) {
        bytes.clear();
        bytes.extend(part.iter().flat_map(|v| v.to_le_bytes()));
        look(&bytes);
    }
}

/// Holds what a forward pass needs for its backward; used once.
pub trait Tape {
    /// What the policy has to say of its own pass (how evenly experts were used), each number with its reduction over
    /// the passes of a step.
    fn metrics(&self) -> Metrics {
        Metrics::default()
    }

    /// The gradient of `sum over actions and columns of row * row gradient`, for the samples of
    /// the forward pass, in their order.
    fn backward(self: Box<Self>, gradients: &[RowGradients]) -> Gradient;
}

/// Where samples come from, and all that a rollout strategy knows of it: a policy of this process, or a server that
/// has its weights.
///
/// Laws, held by tests for every implementation in this process:
/// - `sample` is a function of weights and requests; a request's sample does not depend on the others.
pub trait Sampler: Send + Sync {
    /// One sample a request, in their order.
    ///
    /// # Errors
    /// A request that cannot be met as it stands: a control that the sampler does not have is refused, never left out.
    fn sample(&self, requests: &[Request]) -> Result<Vec<Sample>, PolicyError>;

    /// Longest context plus actions, where there is a limit.
    fn position_limit(&self) -> Option<usize>;

    /// What it computes its rows in: decides what their gap to the trainer's is held to.
    fn precision(&self) -> Precision {
        Precision::F32
    }
}

/// A trainable distribution over actions, which samples itself. It knows nothing of methods.
///
/// Laws, held by tests for every implementation:
/// - `rows`, `forward` and the `behaviour` that `sample` recorded agree within the run's red line, without noise,
///   and `rows` and `forward` of one spec to the bit.
/// - a sample's rows do not depend on the other samples of the call.
pub trait Policy: Sampler {
    /// Whether its training passes have noise, where they are asked for with one.
    fn is_noisy(&self) -> bool {
        false
    }

    /// Rows of the actions of `samples` under their scored contexts, without a tape.
    fn rows(&self, samples: &[&Sample], spec: RowSpec) -> Result<Vec<Rows>, PolicyError>;

    /// The same rows, and the tape to go back.
    fn forward<'a>(
        &'a self,
        samples: &[&Sample],
        spec: RowSpec,
    ) -> Result<(Vec<Rows>, Box<dyn Tape + 'a>), PolicyError>;

    /// [`Policy::forward`], carried out in this way. A policy that knows one way takes that.
    fn forward_by<'a>(
        &'a self,
        samples: &[&Sample],
        spec: RowSpec,
        _execution: Execution,
    ) -> Result<(Vec<Rows>, Box<dyn Tape + 'a>), PolicyError> {
        self.forward(samples, spec)
    }

    /// The distributions of the actions of `samples`, as they are now: what later divergences are measured from.
    ///
    /// # Errors
    /// The policy has no exact divergence.
    fn distributions(&self, _samples: &[&Sample], _spec: RowSpec) -> Result<Distributions, PolicyError> {
        Err(no_divergence())
    }

    /// [`Policy::rows`] with a column for each divergence from what `against` holds: distributions of these samples, in their
    /// order.
    ///
    /// # Errors
    /// The policy has no exact divergence, or `against` is of other samples.
    fn rows_against(&self, samples: &[&Sample], spec: RowSpec, against: &Against) -> Result<Vec<Rows>, PolicyError> {
        if against.is_nothing() { self.rows(samples, spec) } else { Err(no_divergence()) }
    }

    /// [`Policy::forward_by`] with the same columns, whose derivatives the tape takes.
    ///
    /// # Errors
    /// As those of [`Policy::rows_against`].
    fn forward_against<'a>(
        &'a self,
        samples: &[&Sample],
        spec: RowSpec,
        execution: Execution,
        against: &Against,
    ) -> Result<(Vec<Rows>, Box<dyn Tape + 'a>), PolicyError> {
        if against.is_nothing() { self.forward_by(samples, spec, execution) } else { Err(no_divergence()) }
    }

    /// The trained parameters; their order is fixed for the life of the policy.
    fn parameters(&self) -> &[ParameterInfo];

    /// Shows the values of parameter `index`, row-major.
    fn read(&self, index: usize, look: &mut dyn FnMut(&[f32]));

    /// Changes the values of parameter `index` in place.
    fn write(&mut self, index: usize, change: &mut dyn FnMut(&mut [f32]));

    /// What it occupies in memory, where it can say.
    fn footprint(&self) -> Option<Footprint> {
        None
    }

    /// The files that make a directory of its weights loadable.
    fn assets(&self) -> &[Asset];

    /// What a directory of its weights is.
    fn stored_as(&self) -> StoredAs {
        StoredAs::Model
    }

    /// Every tensor that a directory of its weights holds, frozen ones too. Trained ones have the names of
    /// [`Policy::parameters`] and are f32.
    fn stored(&self) -> Vec<StoredTensor> {
        let stored = |info: &ParameterInfo| StoredTensor {
            name: info.name.clone(),
            shape: info.shape.clone(),
            numbers: NumberType::F32,
        };
        self.parameters().iter().map(stored).collect()
    }

    /// Shows the bytes of tensor `index` of [`Policy::stored`], little-endian and row-major, in one piece or several.
    fn read_stored(&self, index: usize, look: &mut dyn FnMut(&[u8])) {
        self.read(index, &mut |values| show_bytes(values, look));
    }

    /// Every tensor that is computed with and not trained, as it is held. Nothing where a policy trains all that it has.
    fn frozen(&self) -> Vec<StoredTensor> {
        Vec::new()
    }

    /// Shows the bytes of tensor `index` of [`Policy::frozen`], as [`Policy::read_stored`] does.
    fn read_frozen(&self, _index: usize, _look: &mut dyn FnMut(&[u8])) {}

    /// A copy whose trained parameters have storage of their own; what is frozen is shared.
    fn duplicate(&self) -> Box<dyn Policy>;

    /// The policy as it is now, never to change: what divergences are measured from. Shares what it can.
    fn reference(&self) -> Box<dyn Policy> {
        self.duplicate()
    }

    /// The payload behind a key that this policy gave out.
    fn payload(&self, _key: PayloadKey) -> Option<Vec<f32>> {
        None
    }

    /// Forgets all payloads: called when a step is over.
    fn clear_payloads(&mut self) {}
}

fn no_divergence() -> PolicyError {
    PolicyError::Unsupported { what: "divergence: it has no exact one".to_owned() }
}

impl fmt::Debug for dyn Policy + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({} parameters)", self.parameters().len())
    }
}
