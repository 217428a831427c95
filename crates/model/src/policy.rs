//! A text policy: what the rest of Cohort sees of a model.

use std::path::Path;

use cohort_core::{
    Execution, Footprint, ParameterInfo, Policy, PolicyError, Request, RowSpec, Rows, Sample, Sampler, Stream, Tape,
    policy::Asset,
};

use crate::{
    assets::read_assets,
    config::Architecture,
    decoder,
    error::{ConfigError, ModelError},
    footprint::footprint,
    graph::{GraphTape, Sink},
    init::random_weights,
    layer::ModelParameters,
    load::{WeightFiles, load_weights},
    pack::{Limits, Pack},
    rope::Rotations,
    slices::{Buffers, Model},
    tokenizer::TextTokenizer,
    weights::Weights,
};

/// Tokens that are scored together when no tape is kept.
const SCORED_TOGETHER: usize = 4096;

/// A decoder language model as a trainable policy, on the CPU in f32.
///
/// Every call runs on the thread that makes it. Several threads may sample, score and go back at once:
/// they share the weights and nothing else.
#[derive(Debug)]
pub struct TextPolicy {
    architecture: Architecture,
    parameters: ModelParameters,
    weights: Weights,
    rotations: Rotations,
    assets: Vec<Asset>,
    tokenizer: Option<TextTokenizer>,
}

impl TextPolicy {
    /// Loads a Hugging Face directory: configuration first, then tokenizer, then weights.
    ///
    /// # Errors
    /// [`ModelError::Config`] where the directory is not a model that can be run, found before a weights file
    /// is opened; [`ModelError::Weights`] where the weights are damaged or of another model.
    pub fn load(directory: &Path) -> Result<Self, ModelError> {
        let mut architecture = Architecture::read(directory)?;
        let assets = read_assets(directory)?;
        let tokenizer = tokenizer_of(directory, &architecture, &assets)?;
        let files = WeightFiles::find(directory)?;
        architecture.experts = files.expert_layout(&architecture)?;
        let parameters = architecture.parameters();
        let weights = load_weights(&files, &parameters)?;
        Ok(Self::assemble(architecture, parameters, weights, assets, tokenizer))
    }

    /// A new policy with random weights, drawn from `stream`. `tokenizer` holds the tokenizer's files
    /// (such as [`arithmetic_tokenizer`](crate::arithmetic_tokenizer)); the configuration is rendered.
    ///
    /// # Errors
    /// The tokenizer is broken, or larger than the vocabulary.
    pub fn new(architecture: Architecture, tokenizer: Vec<Asset>, stream: Stream) -> Result<Self, ModelError> {
        let loaded = tokenizer_of(Path::new("(the recipe's tokenizer)"), &architecture, &tokenizer)?;
        let parameters = architecture.parameters();
        let weights = random_weights(&parameters, stream);
        let mut assets = architecture.config_assets();
        assets.extend(tokenizer);
        Ok(Self::assemble(architecture, parameters, weights, assets, loaded))
    }

    fn assemble(
        architecture: Architecture,
        parameters: ModelParameters,
        weights: Weights,
        assets: Vec<Asset>,
        tokenizer: Option<TextTokenizer>,
    ) -> Self {
        let rotations = Rotations::new(architecture.layer.attention.rope);
        Self { architecture, parameters, weights, rotations, assets, tokenizer }
    }

    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The tokenizer, where the directory has a `tokenizer.json`.
    pub fn tokenizer(&self) -> Option<&TextTokenizer> {
        self.tokenizer.as_ref()
    }

    /// The weights, in the order of [`Policy::parameters`].
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Logits after every position of `ids`, `[ids, vocabulary]` row-major, at temperature 1: for looking into a
    /// model. Training and scoring never hold so many numbers.
    ///
    /// # Errors
    /// `ids` is empty, longer than the model's positions, or holds an id beyond the vocabulary.
    pub fn logits(&self, ids: &[u32]) -> Result<Vec<f32>, PolicyError> {
        self.limits().check_context(ids, 0)?;
        Ok(self.model().all_logits(&mut Buffers::default(), ids))
    }

    fn model(&self) -> Model<'_> {
        Model {
            architecture: &self.architecture,
            parameters: &self.parameters,
            weights: &self.weights,
            rotations: &self.rotations,
        }
    }

    /// A slot for each trained parameter.
    fn sink(&self) -> Sink {
        Sink::new((0..self.weights.count()).map(|index| Some(self.weights.slice(index).len())))
    }

    fn limits(&self) -> Limits {
        Limits { vocabulary: self.architecture.vocabulary, positions: self.architecture.positions }
    }
}

fn tokenizer_of(
    directory: &Path,
    architecture: &Architecture,
    assets: &[Asset],
) -> Result<Option<TextTokenizer>, ConfigError> {
    let Some(asset) = assets.iter().find(|asset| asset.name == "tokenizer.json") else { return Ok(None) };
    let path = directory.join(&asset.name);
    let tokenizer = TextTokenizer::from_bytes(&path, &asset.bytes)?;
    let size = tokenizer.vocabulary();
    if size > architecture.vocabulary {
        let vocabulary = architecture.vocabulary;
        return Err(ConfigError::TokenizerTooLarge { path, largest: size as u32 - 1, vocabulary });
    }
    Ok(Some(tokenizer))
}

fn check_temperature(spec: RowSpec) -> Result<f32, PolicyError> {
    let t = spec.temperature;
    if t.is_finite() && t > 0.0 {
        return Ok(t);
    }
    Err(PolicyError::Unsupported { what: format!("row temperature of {t}; it must be above 0") })
}

/// Cuts samples into runs of about [`SCORED_TOGETHER`] tokens, at least one sample each.
fn runs<'s>(samples: &'s [&'s Sample]) -> Vec<&'s [&'s Sample]> {
    let mut runs = Vec::new();
    let (mut from, mut tokens) = (0, 0);
    for (at, sample) in samples.iter().enumerate() {
        let size = sample.scored_context().token_count() + sample.actions.len();
        if at > from && tokens + size > SCORED_TOGETHER {
            runs.push(&samples[from..at]);
            (from, tokens) = (at, 0);
        }
        tokens += size;
    }
    if from < samples.len() {
        runs.push(&samples[from..]);
    }
    runs
}

/// Deals out the packed columns to samples, the first of which is sample `first` of the call.
fn deal(
    counts: &[usize],
    first: usize,
    packed: impl Iterator<Item = (f32, f32)>,
    out: &mut Vec<Rows>,
) -> Result<(), PolicyError> {
    let mut packed = packed;
    for (index, &count) in counts.iter().enumerate() {
        let (logp, entropy) = packed.by_ref().take(count).map(|(l, e)| (f64::from(l), f64::from(e))).unzip();
        let rows = Rows { logp, entropy, kl_old: None, kl_ref: None };
        if let Some((action, column)) = rows.first_not_finite() {
            return Err(PolicyError::NotFinite { sample: first + index, action, column });
        }
        out.push(rows);
    }
    Ok(())
}

impl Sampler for TextPolicy {
    fn sample(&self, requests: &[Request]) -> Result<Vec<Sample>, PolicyError> {
        decoder::sample(&self.model(), self.limits(), requests)
    }

    fn position_limit(&self) -> Option<usize> {
        Some(self.architecture.positions)
    }
}

impl Policy for TextPolicy {
    fn rows(&self, samples: &[&Sample], spec: RowSpec) -> Result<Vec<Rows>, PolicyError> {
        let temperature = check_temperature(spec)?;
        let mut buffers = Buffers::default();
        let mut out = Vec::with_capacity(samples.len());
        for run in runs(samples) {
            let pack = Pack::of(run, self.limits())?;
            let rows = self.model().score(&mut buffers, &pack, temperature);
            let first = out.len();
            deal(&pack.counts, first, rows.logp.into_iter().zip(rows.entropy), &mut out)?;
        }
        Ok(out)
    }

    fn forward<'a>(
        &'a self,
        samples: &[&Sample],
        spec: RowSpec,
    ) -> Result<(Vec<Rows>, Box<dyn Tape + 'a>), PolicyError> {
        self.forward_by(samples, spec, Execution::default())
    }

    fn forward_by<'a>(
        &'a self,
        samples: &[&Sample],
        spec: RowSpec,
        execution: Execution,
    ) -> Result<(Vec<Rows>, Box<dyn Tape + 'a>), PolicyError> {
        let temperature = check_temperature(spec)?;
        let pack = Pack::of(samples, self.limits())?;
        let tape = GraphTape::forward(self.model(), &pack, temperature, self.sink(), execution);
        let mut rows = Vec::with_capacity(samples.len());
        deal(&pack.counts, 0, tape.rows().chunks_exact(2).map(|row| (row[0], row[1])), &mut rows)?;
        Ok((rows, Box::new(tape)))
    }

    fn parameters(&self) -> &[ParameterInfo] {
        &self.parameters.infos
    }

    fn read(&self, index: usize, look: &mut dyn FnMut(&[f32])) {
        look(self.weights.slice(index));
    }

    fn write(&mut self, index: usize, change: &mut dyn FnMut(&mut [f32])) {
        change(self.weights.slice_mut(index));
    }

    fn footprint(&self) -> Option<Footprint> {
        let trained = self.parameters().iter().map(ParameterInfo::element_count).sum();
        Some(footprint(&self.architecture, &self.weights, trained))
    }

    fn assets(&self) -> &[Asset] {
        &self.assets
    }

    fn duplicate(&self) -> Box<dyn Policy> {
        Box::new(Self::assemble(
            self.architecture.clone(),
            self.parameters.clone(),
            self.weights.duplicate(),
            self.assets.clone(),
            self.tokenizer.clone(),
        ))
    }
}
