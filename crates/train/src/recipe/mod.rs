//! One choice on each axis, read once and validated once.

#[cfg(test)]
mod any_text;
mod difference;
mod error;
pub mod low;
mod read;
mod validate;

use std::{collections::BTreeMap, path::Path};

use cohort_core::{
    Curriculum, Decoding, Method, NumberType, Precision, Truncation, curriculum::Defer, objective::Staleness,
    schedule::Schedule,
};
use cohort_env::{Sandbox, task::dataset::Data, verifier::VerifierConfig};
use cohort_model::{Device, Prompts, Selection};
use cohort_rollout::{HintConfig, RoundConfig, Rounds, ServerConfig, StrategyConfig, ThinkingConfig};
use cohort_zoo::{claim::Claim, system::System};
use sha2::{Digest, Sha256};

use crate::{
    checkpoint::{Provenance, base_name},
    sampling::Blocks,
    stage::SUPERVISED,
};

pub use difference::{differing_keys, first_difference};
pub use error::{Place, RecipeError};
pub use low::SamplerSource;
use low::{
    BadWord, EvalSection, LogSection, Low, NewPolicy, OnFailure, PolicySection, PreflightSection, RewardModelSection,
    RewardSection, RolloutSection, ScoreSection, StageName, StopInText, SupervisedSection, TaskSection, TrainSection,
};
pub use read::{Source, table_of};

/// A recipe that can be run: every choice made, every contradiction refused.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub name: String,
    pub about: String,
    pub seed: u64,
    /// Where the policy's passes run.
    pub device: Device,
    pub policy: PolicySource,
    pub trained: Trained,
    /// What its products are computed in.
    pub compute: Precision,
    /// How often shared prompts are run.
    pub prompts: Prompts,
    pub task: TaskSource,
    /// Its stages, in order; at least one.
    pub stages: Vec<StageName>,
    /// Runs before the others.
    pub supervised: Option<Supervised>,
    /// The models that the run trains for its terms.
    pub reward_model: Option<RewardModelSection>,
    /// What a score is, and how a score stage trains it.
    pub score: Option<Score>,
    pub rollout: Rollout,
    pub reward: Reward,
    /// The mathematics: reward, advantage, weights, objective.
    pub method: Method,
    pub curriculum: Curriculum,
    /// Temperature of the rows that are trained.
    pub row_temperature: f32,
    pub train: TrainSection,
    pub optimizer: OptimizerConfig,
    pub preflight: PreflightSection,
    pub eval: EvalSection,
    pub log: LogSection,
    /// The term that says whether a completion is right.
    pub correct: String,
    low: Low,
}

#[derive(Clone, Debug, PartialEq)]
pub enum PolicySource {
    Directory(String),
    New(NewPolicy),
}

/// What of the policy is trained, and how the rest is stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trained {
    /// Of an adapter, when one is given, its own.
    pub selection: Selection,
    pub adapter: Option<String>,
    pub numbers: NumberType,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TaskSource {
    /// A task that makes its own data.
    Generated(TaskSection),
    Data(Box<Data>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Supervised {
    pub section: SupervisedSection,
    pub optimizer: OptimizerConfig,
}

/// What a score is, and the optimizer of a stage that trains it.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    pub section: ScoreSection,
    pub optimizer: OptimizerConfig,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    pub strategy: StrategyConfig,
    pub rounds: Vec<RoundConfig>,
    pub hint: Option<HintConfig>,
    pub sampler: SamplerSource,
    pub group_size: usize,
    pub thinking: ThinkingConfig,
    pub decoding: Decoding,
    pub truncation: Truncation,
    pub max_new_tokens: usize,
    pub stop: Vec<String>,
    pub stop_in_text: StopInText,
    pub bad_words: Vec<BadWord>,
    pub ignore_eos: bool,
}

impl Rollout {
    /// The most tokens of an episode behind its prompt; `words` counts those of a text.
    pub fn longest(&self, words: impl Fn(&str) -> usize) -> usize {
        Rounds::longest(&self.rounds, self.max_new_tokens, &words) + self.strategy.more(words)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Reward {
    /// Name, weight and verifier of every term, by name.
    pub terms: Vec<(String, f64, VerifierConfig)>,
    /// What of the terms' verdicts methods read: by term, the methods' name and the verifier's.
    pub facts: BTreeMap<String, BTreeMap<String, String>>,
    pub segments: Option<low::SegmentsSection>,
    pub error_budget: f64,
    /// What generated programs run in.
    pub sandbox: Sandbox,
    pub on_failure: OnFailure,
    /// What terms say of it themselves.
    pub on_failure_of: BTreeMap<String, OnFailure>,
}

impl Reward {
    /// What becomes of a completion on which `term` times out or fails.
    pub fn on_failure(&self, term: &str) -> OnFailure {
        self.on_failure_of.get(term).copied().unwrap_or(self.on_failure)
    }

    /// How failures are handled, in words: for the opening lines of a run.
    fn note(&self) -> String {
        let of = |how| match how {
            OnFailure::Exclude => "is left out of its group's comparison",
            OnFailure::Zero => "counts as 0 in that term",
            OnFailure::Abort => "ends the run",
        };
        let percent = 100.0 * self.error_budget;
        let mut note = format!(
            "a completion whose reward times out or fails {} (reward.on_failure = \"{}\"); more than {percent:.0} % of a step's end the run",
            of(self.on_failure),
            self.on_failure.word(),
        );
        for (term, how) in &self.on_failure_of {
            note += &format!("; of `{term}` it {}", of(*how));
        }
        note
    }
}

/// AdamW with gradient clipping and a schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimizerConfig {
    pub lr: f64,
    pub schedule: Schedule,
    pub betas: [f64; 2],
    pub eps: f64,
    pub weight_decay: f64,
    pub clip_norm: f64,
}

/// The optimizer that a stage's section describes.
macro_rules! optimizer_of_section {
    ($section:ty) => {
        impl From<&$section> for OptimizerConfig {
            fn from(section: &$section) -> Self {
                Self {
                    lr: section.lr,
                    schedule: Schedule { warmup_steps: section.warmup_steps, decay: section.decay },
                    betas: section.betas,
                    eps: section.eps,
                    weight_decay: section.weight_decay,
                    clip_norm: section.clip_norm,
                }
            }
        }
    };
}

optimizer_of_section!(ScoreSection);
optimizer_of_section!(SupervisedSection);
optimizer_of_section!(TrainSection);

impl Recipe {
    /// Reads and validates a recipe file; `seed` replaces the recipe's own.
    pub fn read(path: &Path, overrides: &[String], seed: Option<u64>) -> Result<Self, RecipeError> {
        Self::from_source(Source::read(path, overrides)?, seed)
    }

    /// A recipe as the task of another model: its policy is `directory` on the processor, whatever it names.
    pub fn of_text_for_model(
        name: &str,
        text: &str,
        overrides: &[String],
        directory: &str,
    ) -> Result<Self, RecipeError> {
        let mut source = Source::parse(name.to_owned(), text.to_owned(), overrides)?;
        source.low.policy = PolicySection { model: Some(directory.to_owned()), ..PolicySection::default() };
        source.low.device = Device::CPU;
        // Nothing is trained, so it need not be said at which distribution.
        source.low.objective.at.get_or_insert_default();
        Self::from_source(source, None)
    }

    /// [`Recipe::read`] from a text that `name` stands for in errors.
    pub fn of_text(name: &str, text: &str, overrides: &[String], seed: Option<u64>) -> Result<Self, RecipeError> {
        Self::from_source(Source::parse(name.to_owned(), text.to_owned(), overrides)?, seed)
    }

    /// The same from a text that `name` stands for in errors.
    pub fn parse(name: &str, text: &str, overrides: &[String]) -> Result<Self, RecipeError> {
        Self::from_source(Source::parse(name.to_owned(), text.to_owned(), overrides)?, None)
    }

    /// The method of a recipe that may have no policy, no task and no verifiers, and its updates a batch.
    pub fn method_of(path: &Path, overrides: &[String]) -> Result<(Method, usize), RecipeError> {
        let source = Source::read(path, overrides)?;
        validate::method(&source).map(|method| (method, source.low.train.inner_epochs))
    }

    /// The same from a text that `name` stands for in errors.
    pub fn method_of_text(name: &str, text: &str, overrides: &[String]) -> Result<Method, RecipeError> {
        validate::method(&Source::parse(name.to_owned(), text.to_owned(), overrides)?)
    }

    fn from_source(mut source: Source, seed: Option<u64>) -> Result<Self, RecipeError> {
        if let Some(seed) = seed {
            source.low.seed = seed;
        }
        validate::validate(source)
    }

    /// A key that cannot be had from what the recipe names.
    pub(crate) fn refuse(&self, key: &str, problem: &str, got: &str, hint: &str) -> RecipeError {
        let place = Place::Absent { file: self.name.clone() };
        let [key, problem, got, hint] = [key, problem, got, hint].map(str::to_owned);
        RecipeError::Value { place, key, problem, got, hint }
    }

    /// A mask that cannot be had from the run that `policy.train.mask.changed` names.
    pub(crate) fn refuse_mask(&self, problem: &str) -> RecipeError {
        let got = match &self.trained.selection {
            Selection::Mask(masked) => masked.changed.as_str(),
            Selection::All | Selection::Only(_) | Selection::Freeze(_) | Selection::Lora(_) => "no mask",
        };
        let hint = "name the directory that an rl stage from the same start ended with";
        self.refuse("policy.train.mask.changed", problem, got, hint)
    }

    /// Whether it has the stage.
    pub fn has(&self, stage: StageName) -> bool {
        self.stages.contains(&stage)
    }

    /// The stage that follows the cold start; where none does, the supervised one.
    pub fn first_stage(&self) -> StageName {
        self.stage_after(StageName::Supervised)
    }

    /// The first stage behind this one; where none is, this one.
    pub fn stage_after(&self, stage: StageName) -> StageName {
        self.stages.iter().find(|other| **other > stage).copied().unwrap_or(stage)
    }

    /// What of the recipe does nothing as it stands, in words: for the opening lines of a run.
    pub fn notes(&self) -> Vec<String> {
        let objective = &self.method.objective;
        let mut notes = vec![self.reward.note()];
        if let Staleness::Inert(what) = objective.staleness()
            && self.train.inner_epochs == 1
        {
            notes.push(format!("with train.inner_epochs = 1 every ratio is exactly 1: {what}"));
        }
        if self.rollout.sampler != SamplerSource::Own {
            notes.push(
                "a server samples: this run is gone on with from its own records, and another one like it differs"
                    .to_owned(),
            );
        }
        if !self.device.is_host() {
            notes.push(format!(
                "the policy's passes run on {}: a run on it is as repeatable as its kernels are, and differs from one on the processor by rounding",
                self.device
            ));
        }
        if self.reward.sandbox == Sandbox::None {
            notes.push("reward.sandbox is none: generated programs run with the rights of this user".to_owned());
        }
        if self.trained.numbers == NumberType::Bf16 {
            let what = "policy.dtype is the storage of frozen matrices";
            notes.push(match &self.trained {
                Trained { selection: Selection::All | Selection::Mask(_), adapter: None, .. } => {
                    format!("{what}, and everything is trained: it changes nothing")
                }
                _ => format!("{what}; trained parameters are f32"),
            });
        }
        let typed = toml::Value::try_from(&self.low).expect("a recipe is a TOML table");
        let default = toml::Value::try_from(Low::default()).expect("a recipe is a TOML table");
        let at = |value: &toml::Value, key: &str| {
            key.split('.').try_fold(value.clone(), |value, part| value.get(part).cloned())
        };
        if !self.rollout.truncation.is_off() && !objective.mismatch.reads_behaviour() {
            let note = "completions are drawn from a truncated distribution and the whole one is trained; objective.mismatch weighs the difference";
            notes.push(note.to_owned());
        }
        for key in objective.surrogate.ignores() {
            if at(&typed, key) != at(&default, key) {
                notes.push(format!("{key} is not read by this surrogate"));
            }
        }
        notes
    }

    /// How the prompts of a step are dealt out: a server and a device draw all of them at once.
    pub(crate) fn blocks(&self) -> Blocks {
        match (&self.rollout.sampler, self.device.is_host()) {
            (SamplerSource::Own, true) => Blocks::Workers,
            (SamplerSource::Own, false) | (SamplerSource::Server(_), _) => Blocks::Whole,
        }
    }

    /// The threads that the recipe asks for: one where all wait for one device. `None`: one a core.
    pub(crate) fn workers(&self) -> Option<usize> {
        self.train.workers.or((!self.device.is_host()).then_some(1))
    }

    /// What is claimed of it, and of which system it is.
    pub fn claim(&self) -> Option<&Claim> {
        self.low.claim.as_ref()
    }

    /// The published system that it is of.
    pub fn system(&self) -> Option<&System> {
        self.low.system.as_ref()
    }

    /// What a checkpoint's card says.
    pub fn provenance(&self, stage: &str, step: u64) -> Provenance {
        let base = match &self.policy {
            PolicySource::Directory(model) => Some(base_name(model)),
            PolicySource::New(_) => None,
        };
        // All seeds share one cold start.
        let cold_start = self.cold_start_text().filter(|_| stage == SUPERVISED);
        let recipe_hash = cold_start.map_or_else(|| self.hash(), |text| hex(&Sha256::digest(text)));
        Provenance {
            recipe: self.name.clone(),
            recipe_hash,
            base,
            stage: stage.to_owned(),
            step,
            sandbox: self.reward.sandbox,
        }
    }

    /// Whether a reference policy is needed.
    pub fn has_reference(&self) -> bool {
        self.scores_reference() || self.method.objective.reads_kl_ref()
    }

    /// Whether the reference's log-probabilities of the sampled actions are.
    pub fn scores_reference(&self) -> bool {
        self.method.reads_reference() || self.curriculum.defer != Defer::None
    }

    /// The resolved recipe: every key with its value, as TOML.
    pub fn resolved(&self) -> String {
        toml::to_string_pretty(&self.low).expect("a recipe is a TOML table")
    }

    /// Hash of the resolved recipe without what may differ between the parts of one run.
    pub fn hash(&self) -> String {
        let mut low = self.low.clone();
        low.train.steps = 0;
        low.train.workers = None;
        // What is said of a run changes nothing in it.
        (low.system, low.claim) = (None, None);
        (low.train.parallel, low.train.activations) = Default::default();
        if let SamplerSource::Server(server) = &mut low.rollout.sampler {
            // Only what is drawn and pushed is of the run; where and how patiently the server is asked is not.
            **server = ServerConfig {
                logprobs: server.logprobs,
                model: server.model.take(),
                every: server.every,
                ..ServerConfig::new(server.protocol, server.push.clone())
            };
        }
        hex(&Sha256::digest(toml::to_string(&low).expect("a recipe is a TOML table")))
    }

    /// What determines a cold start: policy, task and the supervised stage. `None` without such a stage.
    pub fn cold_start_text(&self) -> Option<String> {
        let supervised = self.low.supervised.clone().filter(|_| self.supervised.is_some())?;
        // How completions are drawn and the term that says whether they are right decide when `until` is reached.
        let mut rollout = self.low.rollout.clone();
        let RolloutSection { strategy, sampler, group_size, hint, .. } = RolloutSection::default();
        (rollout.strategy, rollout.sampler, rollout.group_size, rollout.hint) = (strategy, sampler, group_size, hint);
        let mut correct = self.low.reward.terms.clone();
        correct.retain(|name, _| *name == self.correct);
        correct.values_mut().for_each(|term| (term.weight, term.on_failure) = (1.0, None));
        let reward = RewardSection { terms: correct, sandbox: self.low.reward.sandbox, ..RewardSection::default() };
        if supervised.until.is_none() && self.low.data.is_none() {
            // Nothing is sampled, and no row is left out for its length.
            rollout.rounds.clear();
            rollout.thinking = ThinkingConfig::Discrete;
        }
        // A mask is of the rl stage alone; without one all is trained.
        let train = self.low.policy.train.clone().filter(|train| !matches!(train, Selection::Mask(_) | Selection::All));
        let part = Low {
            device: self.low.device,
            policy: PolicySection { train, ..self.low.policy.clone() },
            task: self.low.task.clone(),
            data: self.low.data.clone(),
            supervised: Some(supervised),
            rollout,
            reward,
            eval: EvalSection { correct: Some(self.correct.clone()), ..EvalSection::default() },
            ..Low::default()
        };
        Some(toml::to_string(&part).expect("a recipe is a TOML table"))
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}
