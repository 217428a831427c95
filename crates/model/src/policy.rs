//! A text policy: what the rest of Cohort sees of a model.

use std::{collections::BTreeMap, path::Path};

use cohort_core::{
    Against, Distributions, Execution, Footprint, NumberType, ParameterInfo, Policy, PolicyError, Precision, Request,
    RowSpec, Rows, Sample, Sampler, StoredAs, StoredTensor, Stream, Tape, policy::Asset,
};

use crate::{
    adapter::{AdapterConfig, CONFIG},
    assets::{read_assets, with_dtype},
    config::Architecture,
    decoder,
    error::{ConfigError, ModelError},
    flops::Flops,
    footprint::footprint,
    frozen::{Frozen, widened},
    graph::Sink,
    init::random_weights,
    layer::{Adapter, ModelParameters},
    load::{Keep, WeightFiles, load_weights},
    lora::add_product,
    opening::Opening,
    pack::{Limits, Prompts},
    rope::Rotations,
    selection::{Selection, SelectionError},
    slice_engine::SliceEngine,
    slices::{Buffers, Model},
    stored::show,
    tokenizer::TextTokenizer,
    weights::{Held, Weights},
};

/// The files that make a directory a model's, and not an adapter's.
const OF_MODELS: [&str; 2] = ["config.json", "generation_config.json"];

/// A decoder language model as a trainable policy, on the CPU. It multiplies in f32 or, of the same weights in f32, in bf16.
///
/// Every call runs on the thread that makes it. Several threads may sample, score and go back at once:
/// they share the weights and nothing else.
#[derive(Debug)]
pub struct TextPolicy {
    architecture: Architecture,
    /// Those of the model, then those of its adapters.
    pub(crate) parameters: ModelParameters,
    pub(crate) weights: Weights,
    /// Those that are trained.
    trained: Vec<ParameterInfo>,
    pub(crate) adapter: Option<AdapterConfig>,
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
        let precision = self.precision();
        self.weights = self.weights.freeze(&self.parameters, |index| !trained[index]);
        let Self { architecture, parameters, weights, adapter, assets, tokenizer, prompts, .. } = self;
        let policy = Self::assemble(architecture, parameters, weights, adapter, assets, tokenizer);
        Ok(policy.with_prompts(prompts).with_precision(precision))
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

    /// The same policy, which multiplies so: both its sampler and its trainer. In bf16 the operands of every projection and of the
    /// head are rounded and summed in f32, forward and back; weights, norms, softmaxes, the residual stream and the derivatives of
    /// parameters stay f32, as do routers and adapters. The weights are rounded once for each change of them.
    pub fn with_precision(self, precision: Precision) -> Self {
        let places = match precision {
            Precision::F32 => Vec::new(),
            Precision::Bf16 => self.parameters.rounded_places(),
        };
        Self { weights: self.weights.rounded_at(places), ..self }
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

    pub(crate) fn model(&self) -> Model<'_> {
        Model {
            architecture: &self.architecture,
            parameters: &self.parameters,
            weights: &self.weights,
            rotations: &self.rotations,
            dropout: None,
        }
    }

    /// A slot for each trained parameter.
    pub(crate) fn sink(&self) -> Sink {
        let length = |index: usize| self.weights.slot(index).map(|_| self.weights.values(index).len());
        Sink::new((0..self.weights.count()).map(length))
    }

    /// [`Policy::duplicate`].
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::assemble(
            self.architecture.clone(),
            self.parameters.clone(),
            self.weights.duplicate(),
            self.adapter.clone(),
            self.assets.clone(),
            self.tokenizer.clone(),
        );
        Self { base_assets: self.base_assets.clone(), written: self.written, prompts: self.prompts, ..copy }
    }

    /// [`Policy::reference`]: the base alone where an adapter has not begun, which shares every number; else a copy of what is
    /// trained.
    pub(crate) fn as_reference(&self) -> Self {
        if self.adapter.is_none() || !self.is_base() {
            return self.copy();
        }
        let parameters = self.architecture.parameters();
        let weights = self.weights.first(&parameters);
        let (architecture, tokenizer) = (self.architecture.clone(), self.tokenizer.clone());
        let base = Self::assemble(architecture, parameters, weights, None, self.assets.clone(), tokenizer);
        base.with_prompts(self.prompts)
    }

    /// Whether every adapter adds 0, as it does at its start.
    fn is_base(&self) -> bool {
        let adapters = self.parameters.layers.iter().flat_map(|layer| layer.projections()).filter_map(|p| p.adapter);
        adapters.into_iter().all(|adapter| self.weights.slice(adapter.b).iter().all(|&b| b == 0.0))
    }

    pub(crate) fn limits(&self) -> Limits {
        let Architecture { vocabulary, positions, .. } = self.architecture;
        Limits { vocabulary, positions, width: self.architecture.layer.width }
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

impl Sampler for TextPolicy {
    fn sample(&self, requests: &[Request]) -> Result<Vec<Sample>, PolicyError> {
        let engine = SliceEngine::new(self.model());
        decoder::sample(engine, self.model(), self.limits(), self.prompts, self.tokenizer.as_ref(), requests)
    }

    fn position_limit(&self) -> Option<usize> {
        Some(self.architecture.positions)
    }

    fn precision(&self) -> Precision {
        if self.weights.is_rounded() { Precision::Bf16 } else { Precision::F32 }
    }
}

impl Policy for TextPolicy {
    fn is_noisy(&self) -> bool {
        self.dropout_share().is_some()
    }

    fn rows(&self, samples: &[&Sample], spec: RowSpec) -> Result<Vec<Rows>, PolicyError> {
        self.rows_against(samples, spec, &Against::default())
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
        self.forward_against(samples, spec, execution, &Against::default())
    }

    fn distributions(&self, samples: &[&Sample], spec: RowSpec) -> Result<Distributions, PolicyError> {
        self.keep_distributions(samples, spec)
    }

    fn rows_against(&self, samples: &[&Sample], spec: RowSpec, against: &Against) -> Result<Vec<Rows>, PolicyError> {
        self.score(samples, spec, against)
    }

    fn forward_against<'a>(
        &'a self,
        samples: &[&Sample],
        spec: RowSpec,
        execution: Execution,
        against: &Against,
    ) -> Result<(Vec<Rows>, Box<dyn Tape + 'a>), PolicyError> {
        let (rows, tape) = self.score_with_tape(samples, spec, execution, against)?;
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
        self.weights.write(index, change);
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
        Box::new(self.copy())
    }

    fn reference(&self) -> Box<dyn Policy> {
        Box::new(self.as_reference())
    }
}
