//! From a recipe to what it names: the policy, the task, the rewards, the strategy.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    sync::Arc,
};

use cohort_core::{Controls, Policy, Sampler, SingleTurn, Soft, Stream, Turns};
use cohort_env::{
    Codec, CodecError, Data, Limits, Means, Sandbox, Source, Split, TaskError, VerifierConfig, VerifierError, locate,
    text_model::TrainedModels,
};
use cohort_hub::{Hub, HubError, Reference, Settings};
use cohort_model::{
    AdapterConfig, Architecture, Blueprint, ConfigError, DeviceError, DevicePolicy, ModelError, Opening, Selection,
    TextPolicy, TextTokenizer, arithmetic_tokenizer, characters_tokenizer,
};
use cohort_rollout::Rounds;

use crate::{
    chat_templates::chat_templates,
    checkpoint,
    error::Error,
    mask::MaskSource,
    phrases::Phrases,
    recipe::{
        PolicySource, Recipe, TaskSource, Trained,
        low::{BuiltinTokenizer, NewPolicy},
    },
    run::{Setup, cold_start::cache_folder},
    sampling::{MAX_TURNS, bad_words::bad_words},
    world::{Scores, Term, World},
};

/// Where things outside the recipe are.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// What `data:NAME` is below: the value of `COHORT_DATA`.
    pub data: Option<PathBuf>,
    /// Where things are kept between runs.
    pub cache: Option<PathBuf>,
    /// The directory of the run, where there is one.
    pub run_dir: Option<PathBuf>,
    /// Where `hf:org/name` is.
    pub hub: Hub,
}

impl Places {
    /// From the environment.
    pub fn of_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        Self {
            data: std::env::var_os("COHORT_DATA").filter(|v| !v.is_empty()).map(PathBuf::from),
            cache: cache_folder(variable),
            run_dir: None,
            hub: Hub::new(Settings::of_environment()),
        }
    }

    /// What verifiers may use of it. A recipe may ask for less of a sandbox.
    pub fn means(&self) -> Means {
        Means {
            data: self.data.clone(),
            cache: self.cache.as_ref().map(|cache| cache.join("verifiers")),
            run_dir: self.run_dir.clone(),
            sandbox: Sandbox::Jail,
            variables: Arc::new(|name| std::env::var(name).ok()),
            hub: self.encoders(),
            trained: TrainedModels::default(),
        }
    }

    /// The Hub as verifiers ask it.
    fn encoders(&self) -> cohort_env::verifier::Hub {
        let hub = self.hub.clone();
        Arc::new(move |parameter, name| {
            let found = Reference::parse(name).and_then(|reference| hub.encoder(&reference));
            found.map_err(|error| match error.is_of_the_name() {
                true => VerifierError::BadText { parameter, got: name.to_owned(), expected: "hf:org/name[@revision]" },
                false => VerifierError::Unreachable { parameter, name: name.to_owned(), reason: error.to_string() },
            })
        })
    }

    /// The directory of the model that `key` names: a path, `data:NAME`, or `hf:org/name[@revision]`.
    ///
    /// # Errors
    /// A name that leads nowhere; whether a plain path is a model is for who reads it.
    pub fn model(&self, key: &'static str, path: &str) -> Result<PathBuf, Error> {
        if Reference::is_one(path) {
            return self.of_hub(key, path, Hub::model);
        }
        Ok(locate(key, path, self.data.as_deref()).map_err(TaskError::from)?)
    }

    /// The data file that `key` names: a path, `data:NAME`, or `hf:datasets/org/name[@revision]/path/to/file`.
    ///
    /// # Errors
    /// As those of [`Places::model`].
    pub fn file(&self, key: &'static str, path: &str) -> Result<PathBuf, Error> {
        if Reference::is_one(path) {
            return self.of_hub(key, path, Hub::file);
        }
        Ok(locate(key, path, self.data.as_deref()).map_err(TaskError::from)?)
    }

    fn of_hub(
        &self,
        key: &'static str,
        name: &str,
        find: fn(&Hub, &Reference) -> Result<PathBuf, HubError>,
    ) -> Result<PathBuf, Error> {
        Reference::parse(name).and_then(|name| find(&self.hub, &name)).map_err(|source| Error::Hub { key, source })
    }

    /// The data with the files of the Hub in the cache.
    fn data<'d>(&self, data: &'d Data) -> Result<Cow<'d, Data>, Error> {
        let mut here = Cow::Borrowed(data);
        if Reference::is_one(&data.path) {
            here.to_mut().path = text(self.file("data.path", &data.path)?);
        }
        if let Some(path) = data.test_path.as_deref().filter(|path| Reference::is_one(path)) {
            here.to_mut().test_path = Some(text(self.file("data.test_path", path)?));
        }
        Ok(here)
    }
}

/// Builds the policy and the world of a recipe. The configuration is checked before the weights, these before
/// the rows.
pub fn setup(recipe: &Recipe, places: &Places) -> Result<Setup, Error> {
    let policy = policy(recipe, places)?;
    let masks = masks(recipe, &policy, places)?;
    let world = world(recipe, &policy, places)?;
    Ok(Setup { policy: on_device(recipe, policy)?, world, masks })
}

/// The policy where the recipe wants it.
fn on_device(recipe: &Recipe, policy: TextPolicy) -> Result<Box<dyn Policy>, Error> {
    if recipe.device.is_host() {
        return Ok(Box::new(policy));
    }
    let refused = |error: DeviceError| {
        let hint = "set device = \"cpu\", or what `cohort doctor` lists";
        recipe.refuse("device", &format!("cannot be used: {error}"), &format!("\"{}\"", recipe.device), hint)
    };
    Ok(Box::new(DevicePolicy::open(policy, recipe.device).map_err(refused)?))
}

/// What a recipe's masks are made from, where it names an earlier run. Without a stage before the rl stage the policy is its
/// start, and what is wrong shows at once.
fn masks(recipe: &Recipe, policy: &TextPolicy, places: &Places) -> Result<MaskSource, Error> {
    let Selection::Mask(masked) = &recipe.trained.selection else { return Ok(MaskSource::None) };
    let opening = Opening::default();
    let changed = open_policy("policy.train.mask.changed", &masked.changed, opening, places)?;
    let source = MaskSource::Changed { policy: Box::new(changed), how: masked.clone() };
    if recipe.supervised.is_none() {
        source.masks(policy).map_err(|problem| recipe.refuse_mask(&problem))?;
    }
    Ok(source)
}

/// The policy that a recipe starts from.
pub fn policy(recipe: &Recipe, places: &Places) -> Result<TextPolicy, Error> {
    match &recipe.policy {
        PolicySource::Directory(path) => {
            let Trained { selection, adapter, numbers } = recipe.trained.clone();
            let adapter = adapter.map(|path| places.model("policy.adapter", &path)).transpose()?;
            if let Some(directory) = &adapter {
                checkpoint::verify(directory)?;
            }
            let opening = Opening { selection: Some(selection), numbers: Some(numbers), adapter, base: String::new() };
            let policy = open_policy("policy.model", path, opening, places)?.with_prompts(recipe.prompts);
            Ok(policy.with_precision(recipe.compute))
        }
        PolicySource::New(new) => {
            let policy = new_policy(new)?.with_prompts(recipe.prompts);
            let policy = policy.select(&recipe.trained.selection).map_err(ModelError::from)?;
            Ok(policy.with_precision(recipe.compute))
        }
    }
}

/// Loads the model directory that `key` names ([`Places::model`]) to sample and score: nothing of it is trained. The
/// directory of an adapter loads its base, which it names, with it.
pub fn load_policy(key: &'static str, path: &str, places: &Places) -> Result<TextPolicy, Error> {
    open_policy(key, path, Opening { selection: None, ..Opening::default() }, places)
}

/// Opens the directory of an adapter, which `key` names, with its base: `base`, or what the adapter names.
pub fn open_adapter(
    key: &'static str,
    path: &str,
    base: Option<&str>,
    opening: Opening,
    places: &Places,
) -> Result<TextPolicy, Error> {
    let directory = places.model(key, path)?;
    let expected = "the configuration of an adapter";
    let missing = || ConfigError::MissingFile { path: directory.join("adapter_config.json"), expected };
    let config = AdapterConfig::read(&directory).map_err(ModelError::from)?;
    let config = config.ok_or_else(missing).map_err(ModelError::from)?;
    let base = match base {
        Some(base) => places.model("--base", base)?,
        None => base_of(&directory, &config.base, places)?,
    };
    // A directory is named whole, so that what is written next to another place still finds it.
    let name = if is_hub_name(&config.base) { config.base } else { base_path("", &base) };
    Architecture::read(&base).map_err(ModelError::from)?;
    checkpoint::verify(&directory)?;
    checkpoint::verify(&base)?;
    Ok(TextPolicy::open(&base, &Opening { base: name, adapter: Some(directory), ..opening })?)
}

/// Opens the model directory that `key` names. One that Cohort wrote is held against its checksums, after its
/// configuration.
pub fn open_policy(key: &'static str, path: &str, opening: Opening, places: &Places) -> Result<TextPolicy, Error> {
    let directory = places.model(key, path)?;
    let config = match directory.join("config.json").is_file() {
        true => None,
        false => AdapterConfig::read(&directory).map_err(ModelError::from)?,
    };
    let (directory, opening) = match config {
        None => {
            let base = base_path(path, &directory);
            (directory, Opening { base, ..opening })
        }
        Some(_) => {
            if opening.adapter.is_some() || !matches!(opening.selection, None | Some(Selection::All)) {
                return Err(ModelError::from(ConfigError::AdapterOnAdapter { path: directory }).into());
            }
            return open_adapter(key, path, None, opening, places);
        }
    };
    Architecture::read(&directory).map_err(ModelError::from)?;
    checkpoint::verify(&directory)?;
    Ok(TextPolicy::open(&directory, &opening)?)
}

/// How an adapter's configuration names its base, for PEFT to find it: `org/name` of a hub, else the whole path.
fn base_path(path: &str, directory: &Path) -> String {
    match path.strip_prefix("hf:") {
        Some(name) => name.split('@').next().unwrap_or(name).to_owned(),
        None => std::fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned()).display().to_string(),
    }
}

/// Whether a base is named as hubs do, `org/name`, and is no directory here.
fn is_hub_name(base: &str) -> bool {
    let mut parts = base.split('/');
    let is_part = |part: Option<&str>| part.is_some_and(|part| !part.is_empty() && !part.starts_with('.'));
    is_part(parts.next()) && is_part(parts.next()) && parts.next().is_none() && !Path::new(base).exists()
}

/// The directory of the base that an adapter names: a path, from here or from the adapter, or `org/name` of a hub.
fn base_of(adapter: &Path, base: &str, places: &Places) -> Result<PathBuf, Error> {
    let candidates = [PathBuf::from(base), adapter.join(base)];
    if let Some(found) = candidates.into_iter().find(|path| !base.is_empty() && path.is_dir()) {
        return Ok(found);
    }
    if is_hub_name(base) {
        return places.model("base_model_name_or_path", &format!("hf:{base}"));
    }
    let path = adapter.join("adapter_config.json");
    Err(ModelError::from(ConfigError::MissingBase { path, base: base.to_owned() }).into())
}

fn new_policy(new: &NewPolicy) -> Result<TextPolicy, ModelError> {
    let (vocabulary, tokenizer) = match new.tokenizer {
        BuiltinTokenizer::Arithmetic => (64, arithmetic_tokenizer()),
        BuiltinTokenizer::Characters => (104, characters_tokenizer()),
    };
    let blueprint = Blueprint {
        vocabulary,
        width: new.width,
        layers: new.layers,
        query_heads: new.heads,
        kv_heads: new.kv_heads,
        head_dim: new.head_dim,
        inner: new.inner,
        experts: new.experts,
        positions: new.positions,
        rope_theta: new.rope_theta,
        norm_eps: 1e-6,
        tied: true,
        end_ids: vec![1],
        pad_id: Some(0),
    };
    TextPolicy::new(Architecture::new(&blueprint)?, tokenizer, Stream::new(new.seed, "policy"))
}

/// The world of a recipe, in the tokens of `policy`.
pub fn world(recipe: &Recipe, policy: &TextPolicy, places: &Places) -> Result<World, Error> {
    let architecture = policy.architecture();
    policy.tokenizer().ok_or_else(|| missing_tokenizer(recipe))?;
    let codec = codec(policy);
    let positions = policy.position_limit().unwrap_or(usize::MAX);
    let rollout = &recipe.rollout;
    let words = |text: &str| codec.encode(text).map_or(0, |ids| ids.len());
    let most = rollout.longest(words);
    let limits = Limits { prompt: positions.saturating_sub(most), total: positions };
    let task = match &recipe.task {
        TaskSource::Generated(task) => task.build(codec.as_ref(), limits)?,
        TaskSource::Data(data) => {
            let chat_templates = chat_templates(policy.assets());
            places.data(data)?.load(&Source {
                codec: codec.as_ref(),
                limits,
                data_folder: places.data.as_deref(),
                chat_templates: &chat_templates,
            })?
        }
    };
    let means = Means { sandbox: recipe.reward.sandbox, ..places.means() };
    let terms = terms(recipe, &means)?;
    let correct = terms.iter().position(|t| t.name == recipe.correct).expect("the recipe names one of its terms");
    let forbidden = match rollout.ignore_eos {
        true => architecture.end_ids.iter().copied().chain(architecture.pad_id).collect(),
        false => Vec::new(),
    };
    let bad_words = bad_words(policy, &rollout.bad_words).map_err(|problem| {
        let hint = "give texts that the tokenizer has ids for, or lists of ids of its vocabulary";
        Error::Recipe(recipe.refuse("rollout.bad_words", "must be of this policy's vocabulary", &problem, hint))
    })?;
    let soft = soft(recipe, codec.as_ref())?;
    let controls = Controls {
        soft,
        truncation: rollout.truncation,
        stop: architecture.end_ids.clone(),
        stop_texts: rollout.stop.clone(),
        forbidden,
        bad_words,
        ..Controls::new(rollout.decoding, rollout.max_new_tokens)
    };
    let phrases = Phrases { codec: codec.as_ref(), items: task.items(Split::Train), positions };
    let strategy = rollout.strategy.build(rollout.group_size, rollout.max_new_tokens, MAX_TURNS, &phrases)?;
    let turns: Box<dyn Turns> = match rollout.rounds.as_slice() {
        [] => Box::new(SingleTurn),
        rounds => Box::new(Rounds::build(rounds, &phrases)?),
    };
    let hints = rollout.hint.as_ref().map(|hint| hint.build(most, &phrases)).transpose()?;
    let scores = recipe.score.as_ref().map(|score| Scores::of(recipe, &score.section, codec.as_ref())).transpose()?;
    for split in [Split::Train, Split::Dev, Split::Test] {
        scores.iter().try_for_each(|scores| scores.hold_labels(recipe, task.items(split)))?;
    }
    let stop_in_text = rollout.stop_in_text;
    let trained = means.trained;
    Ok(World { task, codec, turns, strategy, hints, terms, correct, controls, stop_in_text, scores, trained })
}

/// How soft tokens are drawn, where a recipe's thoughts are made of them.
fn soft(recipe: &Recipe, codec: &dyn Codec) -> Result<Option<Soft>, Error> {
    let Some(soft) = recipe.rollout.thinking.soft() else { return Ok(None) };
    let refused = |got: &str| {
        let hint = "name a special token of the tokenizer, or another text that is one token";
        let key = "rollout.thinking.soft.until";
        Error::Recipe(recipe.refuse(key, "must be one token of this policy's vocabulary", got, hint))
    };
    match codec.encode(&soft.until) {
        Ok(ids) => match ids.as_slice() {
            [until] => Ok(Some(soft.ending_at(*until))),
            ids => Err(refused(&format!("{:?}, which is {} tokens", soft.until, ids.len()))),
        },
        Err(error) => Err(refused(&format!("{:?}: {error}", soft.until))),
    }
}

/// The reward terms of a recipe, ready to score.
fn terms(recipe: &Recipe, means: &Means) -> Result<Vec<Term>, Error> {
    let build = |(name, weight, verifier): &(String, f64, VerifierConfig)| {
        let verifier = verifier.build(means).map_err(|source| Error::Verifier { term: name.clone(), source })?;
        let facts = recipe.reward.facts.get(name).cloned().unwrap_or_default();
        Ok(Term { name: name.clone(), weight: *weight, verifier, facts })
    };
    recipe.reward.terms.iter().map(build).collect()
}

/// A path as recipes hold it.
fn text(path: PathBuf) -> String {
    path.to_string_lossy().into_owned()
}

fn missing_tokenizer(recipe: &Recipe) -> Error {
    let path = match &recipe.policy {
        PolicySource::Directory(path) => PathBuf::from(path).join("tokenizer.json"),
        PolicySource::New(_) => PathBuf::from("tokenizer.json"),
    };
    let expected = "the fast tokenizer of the model";
    Error::Model(ModelError::Config(cohort_model::ConfigError::MissingFile { path, expected }))
}

/// A policy's ids as text; where it has no tokenizer, its ids in figures.
pub(crate) fn codec(policy: &TextPolicy) -> Arc<dyn Codec> {
    let end = policy.architecture().end_ids.first().copied();
    match policy.tokenizer() {
        Some(tokenizer) => Arc::new(TokenizerCodec { tokenizer: tokenizer.clone(), end }),
        None => Arc::new(Figures { end }),
    }
}

/// Ids in figures: what there is to read without a tokenizer.
struct Figures {
    end: Option<u32>,
}

impl Codec for Figures {
    fn encode(&self, text: &str) -> Result<Vec<u32>, CodecError> {
        let ids = text.split_whitespace().map(str::parse);
        ids.collect::<Result<_, _>>().map_err(|e| CodecError { reason: format!("`{text}` is no list of ids: {e}") })
    }

    fn decode(&self, tokens: &[u32]) -> String {
        tokens.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
    }

    fn end_of_sequence(&self) -> Option<u32> {
        self.end
    }
}

/// A model's tokenizer, as tasks and rewards need it.
struct TokenizerCodec {
    tokenizer: TextTokenizer,
    end: Option<u32>,
}

impl Codec for TokenizerCodec {
    fn encode(&self, text: &str) -> Result<Vec<u32>, CodecError> {
        self.tokenizer.encode(text).map_err(|e| CodecError { reason: e.to_string() })
    }

    fn decode(&self, tokens: &[u32]) -> String {
        self.tokenizer.decode(tokens)
    }

    fn end_of_sequence(&self) -> Option<u32> {
        self.end
    }
}
