//! A text policy: what the rest of Cohort sees of a model.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use cohort_core::{
    Execution, Footprint, NumberType, ParameterInfo, Policy, PolicyError, Request, RowSpec, Rows, Sample, Sampler,
    StoredAs, StoredTensor, Stream, Tape,
    policy::{Asset, show_bytes},
};
use cohort_kernels::Matrix;
use half::bf16;

use crate::{
    adapter::{AdapterConfig, AdapterTensors, CONFIG},
    assets::{read_assets, with_dtype},
    config::Architecture,
    decoder,
    dropout::Dropout,
    error::{ConfigError, ModelError},
    flops::Flops,
    footprint::footprint,
    frozen::{Frozen, widened},
    graph::{GraphTape, Sink},
    init::random_weights,
    layer::{Adapter, ModelParameters},
    load::{Keep, WeightFiles, load_weights},
    lora::{add_product, start},
    pack::{Limits, Pack, Prompts},
    rope::Rotations,
    selection::{Selection, SelectionError},
    slices::{Buffers, Model},
    tokenizer::TextTokenizer,
    weights::{Held, Weights},
};

/// Tokens that are scored together when no tape is kept.
const SCORED_TOGETHER: usize = 4096;

/// The files that make a directory a model's, and not an adapter's.
const OF_MODELS: [&str; 2] = ["config.json", "generation_config.json"];

/// How a model directory becomes a policy.
#[derive(Clone, Debug)]
pub struct Opening {
    /// What is trained; `None` where nothing is: a policy that samples and scores.
    pub selection: Option<Selection>,
    /// What frozen matrices are held in, whatever they are stored in; trained ones are f32. `None` for what they are stored
    /// in (f16, which is not computed with, as f32).
    pub numbers: Option<NumberType>,
    /// The directory of an adapter of the model, to start from.
    pub adapter: Option<PathBuf>,
    /// The model's name, as an adapter's configuration has it.
    pub base: String,
}

impl Default for Opening {
    fn default() -> Self {
        Self { selection: Some(Selection::All), numbers: Some(NumberType::F32), adapter: None, base: String::new() }
    }
}

/// What adapters start from.
#[derive(Default)]
struct AdapterStart {
    modules: Vec<String>,
    /// By name; drawn where there is none.
    values: BTreeMap<String, Vec<f32>>,
    seed: u64,
}

impl AdapterStart {
    fn values(&self, info: &ParameterInfo, index: usize) -> Vec<f32> {
        let drawn = || start(info, index, Stream::new(self.seed, "adapter"));
        self.values.get(&info.name).cloned().unwrap_or_else(drawn)
    }
}

impl Opening {
    /// The adapter of a model with these parameters: the given one, a new one, or none.
    fn adapter_of(&self, parameters: &ModelParameters) -> Result<(Option<AdapterConfig>, AdapterStart), ModelError> {
        match (&self.adapter, &self.selection) {
            (Some(directory), _) => {
                let config = AdapterConfig::read(directory)?;
                let path = || directory.join(CONFIG);
                let missing = || ConfigError::MissingFile { path: path(), expected: "the configuration of an adapter" };
                let mut config = config.ok_or_else(missing)?;
                config.base.clone_from(&self.base);
                let AdapterTensors { modules, values } = AdapterTensors::read(directory, config.lora.rank, parameters)?;
                if modules.is_empty() {
                    return Err(SelectionError::Nothing.into());
                }
                Ok((Some(config), AdapterStart { modules, values, seed: 0 }))
            }
            (None, Some(Selection::Lora(lora))) => {
                let modules = lora.targets.modules(parameters)?;
                if modules.is_empty() {
                    return Err(SelectionError::Nothing.into());
                }
                let config = AdapterConfig { base: self.base.clone(), lora: lora.clone() };
                Ok((Some(config), AdapterStart { modules, values: BTreeMap::new(), seed: lora.seed }))
            }
            (None, _) => Ok((None, AdapterStart::default())),
        }
    }
}

/// A decoder language model as a trainable policy, on the CPU, computed in f32.
///
/// Every call runs on the thread that makes it. Several threads may sample, score and go back at once:
/// they share the weights and nothing else.
#[derive(Debug)]
pub struct TextPolicy {
    architecture: Architecture,
    /// Those of the model, then those of its adapters.
    parameters: ModelParameters,
    weights: Weights,
    /// Those that are trained.
    trained: Vec<ParameterInfo>,
    adapter: Option<AdapterConfig>,
    rotations: Rotations,
    assets: Vec<Asset>,
    /// The files of an adapter's base that do not stand beside the adapter.
    base_assets: Vec<Asset>,
    /// What all numbers are written in; each in what it is held in, unless told.
    written: Option<NumberType>,
    tokenizer: Option<TextTokenizer>,
    prompts: Prompts,
}

impl TextPolicy {
    /// Loads a Hugging Face directory, to train all of it.
    ///
    /// # Errors
    /// As those of [`TextPolicy::open`].
    pub fn load(directory: &Path) -> Result<Self, ModelError> {
        Self::open(directory, &Opening::default())
    }

    /// Loads a Hugging Face directory: configuration first, then tokenizer, then the adapter, then weights.
    ///
    /// # Errors
    /// [`ModelError::Config`] where the directory is not a model that can be run, found before a weights file
    /// is opened; [`ModelError::Weights`] where the weights are damaged or of another model;
    /// [`ModelError::Selection`] where the model lacks what is to be trained.
    pub fn open(directory: &Path, opening: &Opening) -> Result<Self, ModelError> {
        let mut architecture = Architecture::read(directory)?;
        let assets = read_assets(directory)?;
        let tokenizer = tokenizer_of(directory, &architecture, &assets)?;
        let files = WeightFiles::find(directory)?;
        architecture.experts = files.expert_layout(&architecture)?;
        let mut parameters = architecture.parameters();
        let all = parameters.linear_modules();
        let (adapter, start) = opening.adapter_of(&parameters)?;
        let trained = match (&adapter, &opening.selection) {
            (None, Some(selection)) => selection.of(&parameters)?,
            (Some(_), _) | (None, None) => vec![false; parameters.infos.len()],
        };
        let keep = Keep { trained: &trained, numbers: opening.numbers };
        let mut held = load_weights(&files, &parameters, keep)?;
        let mut assets = assets;
        if let Some(AdapterConfig { lora, .. }) = &adapter {
            let base = parameters.infos.len();
            parameters.adapt(&start.modules, lora.rank, lora.scale());
            for (index, info) in parameters.infos.iter().enumerate().skip(base) {
                let values = start.values(info, index);
                held.push(match opening.selection {
                    Some(_) => Held::trained(values, &info.shape),
                    None => Held::Frozen(Frozen::from(values)),
                });
            }
        }
        let mut base_assets = Vec::new();
        if let Some(adapter) = &adapter {
            (base_assets, assets) = assets.into_iter().partition(|asset| OF_MODELS.contains(&asset.name.as_str()));
            assets.insert(0, Asset { name: CONFIG.to_owned(), bytes: adapter.render(&start.modules, &all) });
        }
        let weights = Weights::of(&parameters, held);
        let policy = Self::assemble(architecture, parameters, weights, adapter, assets, tokenizer);
        Ok(Self { base_assets, ..policy })
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
        Ok(Self::assemble(architecture, parameters, weights, None, assets, loaded))
    }

    /// The same policy with what `selection` leaves out frozen.
    ///
    /// # Errors
    /// The model lacks what is selected; or it is an adapter, whose base is a directory.
    pub fn select(mut self, selection: &Selection) -> Result<Self, SelectionError> {
        if let Selection::Lora(_) = selection {
            return Err(SelectionError::NoBase);
        }
        let trained = selection.of(&self.parameters)?;
        self.weights = self.weights.freeze(&self.parameters, |index| !trained[index]);
        let Self { architecture, parameters, weights, adapter, assets, tokenizer, prompts, .. } = self;
        Ok(Self::assemble(architecture, parameters, weights, adapter, assets, tokenizer).with_prompts(prompts))
    }

    /// The model that base and adapter are together, `W + scale * B A` computed in f32, to be written in `numbers`.
    pub fn merged(&self, numbers: NumberType) -> Self {
        let parameters = self.architecture.parameters();
        let projections = self.parameters.layers.iter().flat_map(|layer| layer.projections());
        let adapters: BTreeMap<usize, Adapter> =
            projections.filter_map(|p| Some((p.weight.parameter, p.adapter?))).collect();
        let weights = self.weights.first(&parameters).map_frozen(&parameters, |index, values| {
            let Adapter { a, b, scale } = *adapters.get(&index)?;
            let mut sum = widened(values);
            add_product(&mut sum, self.weights.slice(a), self.weights.slice(b), scale, self.weights.shape(index)[1]);
            Some(sum)
        });
        let assets = self.base_assets.iter().chain(&self.assets).filter(|asset| asset.name != CONFIG);
        let assets = assets.cloned().map(|asset| match asset.name.as_str() {
            "config.json" => Asset { bytes: with_dtype(asset.bytes, numbers), ..asset },
            _ => asset,
        });
        let (architecture, tokenizer) = (self.architecture.clone(), self.tokenizer.clone());
        let merged = Self::assemble(architecture, parameters, weights, None, assets.collect(), tokenizer);
        Self { written: Some(numbers), ..merged }
    }

    /// The modules that have an adapter.
    pub fn adapted_modules(&self) -> Vec<String> {
        self.parameters.adapted_modules()
    }

    fn assemble(
        architecture: Architecture,
        parameters: ModelParameters,
        weights: Weights,
        adapter: Option<AdapterConfig>,
        assets: Vec<Asset>,
        tokenizer: Option<TextTokenizer>,
    ) -> Self {
        let rotations = Rotations::new(architecture.layer.attention.rope);
        let trained = weights.trained().iter().map(|&index| parameters.infos[index].clone()).collect();
        Self {
            architecture,
            parameters,
            weights,
            trained,
            adapter,
            rotations,
            assets,
            base_assets: Vec::new(),
            written: None,
            tokenizer,
            prompts: Prompts::default(),
        }
    }

    /// How often shared contexts are run.
    pub fn prompts(&self) -> Prompts {
        self.prompts
    }

    /// The same policy, which runs shared contexts so.
    pub fn with_prompts(self, prompts: Prompts) -> Self {
        Self { prompts, ..self }
    }

    /// The adapter, where the policy is a base with one.
    pub fn adapter(&self) -> Option<&AdapterConfig> {
        self.adapter.as_ref()
    }

    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The arithmetic of a pass.
    pub fn flops(&self) -> Flops {
        Flops::of(&self.architecture)
    }

    /// The tokenizer, where the directory has a `tokenizer.json`.
    pub fn tokenizer(&self) -> Option<&TextTokenizer> {
        self.tokenizer.as_ref()
    }

    /// All parameters, trained and frozen, in the order of the weights.
    pub fn all_parameters(&self) -> &[ParameterInfo] {
        &self.parameters.infos
    }

    /// The weights of [`TextPolicy::all_parameters`].
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
            dropout: None,
        }
    }

    /// The share of adapters' inputs that a pass with noise leaves out; `None` where there is none.
    fn dropout_share(&self) -> Option<f64> {
        self.adapter.as_ref().map(|adapter| adapter.lora.dropout).filter(|&share| share > 0.0)
    }

    fn dropout(&self, spec: RowSpec, pack: &Pack) -> Option<Dropout> {
        Some(Dropout::new(spec.noise?, self.dropout_share()?, pack))
    }

    /// A slot for each trained parameter.
    fn sink(&self) -> Sink {
        let length = |index: usize| self.weights.slot(index).map(|_| self.weights.values(index).len());
        Sink::new((0..self.weights.count()).map(length))
    }

    /// The parameters that a directory of the policy's weights holds.
    fn stored_indices(&self) -> impl Iterator<Item = usize> + '_ {
        let is_adapter = self.adapter.is_some();
        (0..self.parameters.infos.len()).filter(move |&index| !is_adapter || self.parameters.is_adapter(index))
    }

    fn frozen_indices(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.weights.count()).filter(|&index| self.weights.slot(index).is_none())
    }

    /// Parameter `index`, in what it is held in unless told.
    fn stored_tensor(&self, index: usize, written: Option<NumberType>) -> StoredTensor {
        let ParameterInfo { name, shape } = self.parameters.infos[index].clone();
        let numbers = written.unwrap_or(match self.weights.values(index) {
            Matrix::F32(_) => NumberType::F32,
            Matrix::Bf16(_) => NumberType::Bf16,
        });
        StoredTensor { name, shape, numbers }
    }

    /// Whether every adapter adds 0, as it does at its start.
    fn is_base(&self) -> bool {
        let adapters = self.parameters.layers.iter().flat_map(|layer| layer.projections()).filter_map(|p| p.adapter);
        adapters.into_iter().all(|adapter| self.weights.slice(adapter.b).iter().all(|&b| b == 0.0))
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
        // A context that the run has already is counted again only where a run begins.
        let is_shared = at > from && samples[at - 1].scored_context() == sample.scored_context();
        let context = if is_shared { 0 } else { sample.scored_context().token_count() };
        let size = context + sample.actions.len();
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

/// Shows values as little-endian bytes of `written`, or of what they are held in.
fn show(values: Matrix, written: Option<NumberType>, look: &mut dyn FnMut(&[u8])) {
    match (values, written) {
        (Matrix::F32(values), Some(NumberType::Bf16)) => values.chunks(16_384).for_each(|part| {
            let bytes: Vec<u8> = part.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect();
            look(&bytes);
        }),
        (Matrix::F32(values), _) => show_bytes(values, look),
        (Matrix::Bf16(values), Some(NumberType::F32)) => values.chunks(16_384).for_each(|part| {
            let wide: Vec<f32> = part.iter().map(|v| v.to_f32()).collect();
            show_bytes(&wide, look);
        }),
        (Matrix::Bf16(values), _) => values.chunks(16_384).for_each(|part| {
            let bytes: Vec<u8> = part.iter().flat_map(|v| v.to_le_bytes()).collect();
            look(&bytes);
        }),
    }
}

impl Sampler for TextPolicy {
    fn sample(&self, requests: &[Request]) -> Result<Vec<Sample>, PolicyError> {
        decoder::sample(&self.model(), self.limits(), self.prompts, self.tokenizer.as_ref(), requests)
    }

    fn position_limit(&self) -> Option<usize> {
        Some(self.architecture.positions)
    }
}

impl Policy for TextPolicy {
    fn is_noisy(&self) -> bool {
        self.dropout_share().is_some()
    }

    fn rows(&self, samples: &[&Sample], spec: RowSpec) -> Result<Vec<Rows>, PolicyError> {
        let temperature = check_temperature(spec)?;
        let mut buffers = Buffers::default();
        let mut out = Vec::with_capacity(samples.len());
        for run in runs(samples) {
            let pack = Pack::of(run, self.limits(), self.prompts)?;
            let dropout = self.dropout(spec, &pack);
            let model = Model { dropout: dropout.as_ref(), ..self.model() };
            let rows = model.score(&mut buffers, &pack, temperature);
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
        let pack = Pack::of(samples, self.limits(), self.prompts)?;
        let tape =
            GraphTape::forward(self.model(), &pack, temperature, self.dropout(spec, &pack), self.sink(), execution);
        let mut rows = Vec::with_capacity(samples.len());
        deal(&pack.counts, 0, tape.rows().chunks_exact(2).map(|row| (row[0], row[1])), &mut rows)?;
        Ok((rows, Box::new(tape)))
    }

    fn parameters(&self) -> &[ParameterInfo] {
        &self.trained
    }

    fn read(&self, index: usize, look: &mut dyn FnMut(&[f32])) {
        look(self.weights.slice(self.weights.trained()[index]));
    }

    fn write(&mut self, index: usize, change: &mut dyn FnMut(&mut [f32])) {
        let index = self.weights.trained()[index];
        change(self.weights.slice_mut(index));
    }

    fn footprint(&self) -> Option<Footprint> {
        let trained = self.parameters().iter().map(ParameterInfo::element_count).sum();
        Some(footprint(&self.architecture, &self.weights, trained))
    }

    fn stored_as(&self) -> StoredAs {
        if self.adapter.is_some() { StoredAs::Adapter } else { StoredAs::Model }
    }

    fn stored(&self) -> Vec<StoredTensor> {
        self.stored_indices().map(|index| self.stored_tensor(index, self.written)).collect()
    }

    fn read_stored(&self, index: usize, look: &mut dyn FnMut(&[u8])) {
        if let Some(index) = self.stored_indices().nth(index) {
            show(self.weights.values(index), self.written, look);
        }
    }

    fn frozen(&self) -> Vec<StoredTensor> {
        self.frozen_indices().map(|index| self.stored_tensor(index, None)).collect()
    }

    fn read_frozen(&self, index: usize, look: &mut dyn FnMut(&[u8])) {
        if let Some(index) = self.frozen_indices().nth(index) {
            show(self.weights.values(index), None, look);
        }
    }

    fn assets(&self) -> &[Asset] {
        &self.assets
    }

    fn duplicate(&self) -> Box<dyn Policy> {
        let copy = Self::assemble(
            self.architecture.clone(),
            self.parameters.clone(),
            self.weights.duplicate(),
            self.adapter.clone(),
            self.assets.clone(),
            self.tokenizer.clone(),
        );
        Box::new(Self { base_assets: self.base_assets.clone(), written: self.written, prompts: self.prompts, ..copy })
    }

    /// The base alone where an adapter has not begun: it shares every number. Else a copy of what is trained.
    fn reference(&self) -> Box<dyn Policy> {
        if self.adapter.is_none() || !self.is_base() {
            return self.duplicate();
        }
        let parameters = self.architecture.parameters();
        let weights = self.weights.first(&parameters);
        let (architecture, tokenizer) = (self.architecture.clone(), self.tokenizer.clone());
        let base = Self::assemble(architecture, parameters, weights, None, self.assets.clone(), tokenizer);
        Box::new(base.with_prompts(self.prompts))
    }
}
