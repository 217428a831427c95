//! The recipe as typed: every key, its default, and nothing checked beyond its type.
//!
//! Choices are externally tagged (`scale = "none"`, `scale = { std = { ddof = 1 } }`), so that a choice's
//! parameters exist only beside it. An unknown key anywhere is an error.

mod reward_model;

use std::collections::BTreeMap;

use cohort_core::{
    NumberType, Precision,
    advantage::Advantage,
    curriculum::Curriculum,
    objective::Objective,
    reward::{Combine, Control, Derived},
    schedule::Decay,
    score::ScoreLoss,
    weight::Weighting,
};
use cohort_env::{
    Codec, Limits, Sandbox, Task, TaskError, task::arithmetic::Arithmetic, task::dataset::Data,
    verifier::VerifierConfig,
};
use cohort_model::{Device, ExpertsBlueprint, Prompts, Selection};
use cohort_rollout::{HintConfig, RoundConfig, ServerConfig, StrategyConfig, ThinkingConfig};
use cohort_zoo::{
    claim::Claim,
    system::System,
    task::{
        Catalogue, Chains, Circuits, Fractions, Judging, Lookup, Pairs, Queries, Records, Refusals, Relevance,
        Rewording, Screening,
    },
};
use serde::{Deserialize, Serialize};

pub use self::reward_model::{ModelSection, Negative, RewardModelSection};
use crate::{
    ema::EmaSection,
    evaluate::DevMetric,
    stage::{REWARD_MODEL, RL, SCORE, SUPERVISED},
    update::DeadSamples,
};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Low {
    /// A word for the recipe; names its runs.
    pub name: String,
    /// One line for people.
    pub about: String,
    /// Seeds the rl stage: prompt order, sampling, its evaluations.
    pub seed: u64,
    /// Where the policy's passes run, sampling and training alike: `cpu`, or a GPU that this program was built with (`vulkan`, `wgpu`, `metal`,
    /// `cuda`, `rocm`; `cuda:1` is the second). The optimizer, rewards and everything else are on the processor.
    pub device: Device,
    /// Any of `supervised`, `reward_model`, `rl` and `score`, in this order. `rl` alone unless told.
    pub stages: Option<Vec<StageName>>,
    /// Where the policy comes from: exactly one of `model` and `new`.
    pub policy: PolicySection,
    /// A task that makes its own data; excludes `data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskSection>,
    /// Which files, and how a row becomes a prompt with its answer; excludes `task`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// A stage of likelihood before the rl stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supervised: Option<SupervisedSection>,
    /// Models that the run trains for its own reward terms, in a stage before the rl stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reward_model: Option<RewardModelSection>,
    /// What the score of a prompt is, for a score stage and for `eval.score`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<ScoreSection>,
    /// How the answers to a prompt are sampled.
    pub rollout: RolloutSection,
    /// What an answer is worth.
    pub reward: RewardSection,
    /// How the rewards of a group are compared.
    pub advantage: Advantage,
    /// What is minimised.
    pub objective: Objective,
    /// Which actions count, and how much.
    pub weight: Weighting,
    /// Which prompts come next, and which groups are trained.
    pub curriculum: Curriculum,
    /// The rl stage: its length, its batches, its optimizer.
    pub train: TrainSection,
    /// A look before the rl stage whether there is anything to learn.
    pub preflight: PreflightSection,
    /// Held-out evaluations before, during and after.
    pub eval: EvalSection,
    /// What is written beside the metrics of the run directory.
    #[serde(skip_serializing_if = "LogSection::is_default")]
    pub log: LogSection,
    /// Of a zoo recipe: the published system that it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<System>,
    /// Of a zoo recipe: what is claimed, against which baseline, and how that is judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StageName {
    /// Likelihood of the task's worked solutions.
    Supervised,
    /// Models of texts that reward terms read; the policy stands still.
    RewardModel,
    /// Reinforcement from groups.
    Rl,
    /// The gap between two given answers, held against labels.
    Score,
}

impl StageName {
    /// The recipe's word, which names its checkpoints and its lines in logs.
    pub fn word(self) -> &'static str {
        match self {
            StageName::Supervised => SUPERVISED,
            StageName::RewardModel => REWARD_MODEL,
            StageName::Rl => RL,
            StageName::Score => SCORE,
        }
    }
}

/// Exactly one of `model` and `new`, and what of it is trained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySection {
    /// A Hugging Face directory: a path, `data:NAME` under `COHORT_DATA`, or `hf:org/name[@revision]` of the Hub and its cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Random weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<NewPolicy>,
    /// The directory of an adapter of `model` (PEFT's layout) to go on with: its configuration says what is trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// What frozen matrices are stored in; what is trained is f32.
    pub dtype: NumberType,
    /// What is multiplied, by sampler and trainer alike: f32, or operands rounded to bf16 and summed in f32. Weights stay f32.
    #[serde(skip_serializing_if = "Precision::is_default")]
    pub compute: Precision,
    /// How often a prompt that the completions of a group share is run, when they are trained or scored: a speed.
    pub prompts: Prompts,
    /// What is trained: everything, unless told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<Selection>,
}

/// A Qwen3-architecture policy with random weights; with experts Qwen3-MoE's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPolicy {
    /// Which tokenizer; it fixes the vocabulary.
    pub tokenizer: BuiltinTokenizer,
    /// Numbers a position in the residual stream.
    pub width: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Query heads; `kv_heads` divides it.
    pub heads: usize,
    /// Key and value heads, each shared by `heads / kv_heads` query heads.
    pub kv_heads: usize,
    /// Numbers a head; even.
    pub head_dim: usize,
    /// Width of the gated MLP.
    pub inner: usize,
    /// Every layer has a mixture of experts in the place of the MLP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experts: Option<ExpertsBlueprint>,
    /// Most tokens in a context with its completion.
    pub positions: usize,
    /// Base of the rotary embedding.
    #[serde(default = "default_theta")]
    pub rope_theta: f64,
    /// Seeds the weights, whatever `seed` is: all seeds of a recipe start from one policy.
    #[serde(default)]
    pub seed: u64,
}

fn default_theta() -> f64 {
    10_000.0
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BuiltinTokenizer {
    /// 64 ids: digits, operators, letters and four tags.
    Arithmetic,
    /// 104 ids: printable ASCII and newline, a character an id, and the four tags.
    Characters,
}

/// A task that makes its own data. A recipe has either this or `[data]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TaskSection {
    /// Two-digit addition with a chain of thought.
    Arithmetic(Arithmetic),
    /// Arithmetic expressions with worked steps: a mixture of levels, solved in a mixture of styles.
    Chains(Chains),
    /// Two fractions put together; solutions are in lowest terms or not.
    Fractions(Fractions),
    /// Pairs of coded responses to judge, in one turn or in two.
    Judging(Judging),
    /// Values to look up by key, some of which are not there.
    Lookup(Lookup),
    /// Users with a taste, and lists of what else they like.
    Catalogue(Catalogue),
    /// Small circuits to be written in Verilog.
    Circuits(Circuits),
    /// Queries, each with a list of documents that a lexical search found, document by document.
    Pairs(Pairs),
    /// Questions to a small database, to be answered by a query.
    Queries(Queries),
    /// Records to be written as JSON of a given form.
    Records(Records),
    /// Requests of seven kinds of harm, and harmless ones, to be refused in the way of their kind or granted.
    Refusals(Refusals),
    /// Documents of a query, to be scored together or put in order.
    Relevance(Relevance),
    /// Passages of a machine to be said in other words, beside a human's of the same facts: for measuring detectors of machine text.
    Rewording(Rewording),
    /// Candidates for a job: what of the job they bring, and yes or no.
    Screening(Screening),
}

impl TaskSection {
    /// The recipe's word.
    pub fn name(&self) -> &'static str {
        match self {
            TaskSection::Arithmetic(_) => "arithmetic",
            TaskSection::Chains(_) => "chains",
            TaskSection::Fractions(_) => "fractions",
            TaskSection::Judging(_) => "judging",
            TaskSection::Lookup(_) => "lookup",
            TaskSection::Catalogue(_) => "catalogue",
            TaskSection::Circuits(_) => "circuits",
            TaskSection::Pairs(_) => "pairs",
            TaskSection::Queries(_) => "queries",
            TaskSection::Records(_) => "records",
            TaskSection::Refusals(_) => "refusals",
            TaskSection::Relevance(_) => "relevance",
            TaskSection::Rewording(_) => "rewording",
            TaskSection::Screening(_) => "screening",
        }
    }

    /// What can be said against its parameters before anything is made.
    ///
    /// # Errors
    /// [`TaskError::Refused`], with the key.
    pub fn check(&self) -> Result<(), TaskError> {
        match self {
            TaskSection::Arithmetic(_) => Ok(()),
            TaskSection::Chains(task) => task.check(),
            TaskSection::Fractions(task) => task.check(),
            TaskSection::Judging(task) => task.check(),
            TaskSection::Lookup(task) => task.check(),
            TaskSection::Catalogue(task) => task.check(),
            TaskSection::Circuits(task) => task.check(),
            TaskSection::Pairs(task) => task.check(),
            TaskSection::Queries(task) => task.check(),
            TaskSection::Records(task) => task.check(),
            TaskSection::Refusals(task) => task.check(),
            TaskSection::Relevance(task) => task.check(),
            TaskSection::Rewording(task) => task.check(),
            TaskSection::Screening(task) => task.check(),
        }
    }

    /// # Errors
    /// What the generator refuses; a tokenizer or a model that cannot hold an item.
    pub fn build(&self, codec: &dyn Codec, limits: Limits) -> Result<Task, TaskError> {
        match self {
            TaskSection::Arithmetic(task) => task.build(codec, limits),
            TaskSection::Chains(task) => task.build(codec, limits),
            TaskSection::Fractions(task) => task.build(codec, limits),
            TaskSection::Judging(task) => task.build(codec, limits),
            TaskSection::Lookup(task) => task.build(codec, limits),
            TaskSection::Catalogue(task) => task.build(codec, limits),
            TaskSection::Circuits(task) => task.build(codec, limits),
            TaskSection::Pairs(task) => task.build(codec, limits),
            TaskSection::Queries(task) => task.build(codec, limits),
            TaskSection::Records(task) => task.build(codec, limits),
            TaskSection::Refusals(task) => task.build(codec, limits),
            TaskSection::Relevance(task) => task.build(codec, limits),
            TaskSection::Rewording(task) => task.build(codec, limits),
            TaskSection::Screening(task) => task.build(codec, limits),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SupervisedSection {
    /// The most steps; `until` may end it earlier.
    pub steps: u64,
    /// Worked solutions a step.
    pub batch_size: usize,
    /// Learning rate of AdamW at its highest.
    pub lr: f64,
    /// Steps in which the learning rate rises linearly from 0.
    pub warmup_steps: u64,
    /// How the learning rate falls after the warmup.
    pub decay: Decay,
    /// Decay rates of the first and the second moment.
    pub betas: [f64; 2],
    /// Added to the root of the second moment; above 0.
    pub eps: f64,
    /// Decoupled decay of the weights a step, times the learning rate.
    pub weight_decay: f64,
    /// Largest norm of the gradient; above 0.
    pub clip_norm: f64,
    /// Steps between checkpoints.
    pub save_every: u64,
    /// Seeds the order of its rows and its own evaluations.
    pub seed: u64,
    /// Ends the stage early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
}

impl Default for SupervisedSection {
    fn default() -> Self {
        Self {
            steps: 100,
            batch_size: 64,
            lr: 1e-3,
            warmup_steps: 0,
            decay: Decay::Constant,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            clip_norm: 1.0,
            save_every: 50,
            seed: 0,
            until: None,
        }
    }
}

/// Ends a supervised stage at a sampled accuracy on dev.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Until {
    /// Share of right answers at which the stage ends.
    pub accuracy: f64,
    /// Steps between checks.
    pub check_every: u64,
    /// Dev prompts a check.
    pub prompts: usize,
}

/// The score of a prompt is the gap between two answers of one token at its end, `logp(yes) - logp(no)` at temperature 1: what a reranker orders by. A score
/// stage trains it on labels, after the rl stage where there is one; `eval.score` measures it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreSection {
    /// The two answers, yes and no, each one token.
    pub alternatives: [String; 2],
    /// The column with the label of a row: a number.
    pub label: String,
    /// The column whose value the rows of one list share, such as their query. Without it each row is a list of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What scores are held against.
    pub loss: ScoreLoss,
    /// Steps of the score stage.
    pub steps: u64,
    /// Lists a step: rows, where `group` is left out.
    pub batch_size: usize,
    /// Most candidates that a step takes of a list, drawn anew each time; all unless told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<usize>,
    /// Learning rate of AdamW at its highest.
    pub lr: f64,
    /// Steps in which the learning rate rises linearly from 0.
    pub warmup_steps: u64,
    /// How the learning rate falls after the warmup.
    pub decay: Decay,
    /// Decay rates of the first and the second moment.
    pub betas: [f64; 2],
    /// Added to the root of the second moment; above 0.
    pub eps: f64,
    /// Decoupled decay of the weights a step, times the learning rate.
    pub weight_decay: f64,
    /// Largest norm of the gradient; above 0.
    pub clip_norm: f64,
    /// Steps between checkpoints.
    pub save_every: u64,
}

impl Default for ScoreSection {
    fn default() -> Self {
        Self {
            alternatives: ["1", "0"].map(str::to_owned),
            label: "label".to_owned(),
            group: None,
            loss: ScoreLoss::default(),
            steps: 100,
            batch_size: 16,
            candidates: None,
            lr: 1e-4,
            warmup_steps: 0,
            decay: Decay::Constant,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            clip_norm: 1.0,
            save_every: 50,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutSection {
    /// How the group of a prompt comes about.
    pub strategy: StrategyConfig,
    /// The turns of an episode, in training and in evaluations; one turn unless told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<RoundConfig>,
    /// What hints say, where `curriculum.hint` gives any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<HintConfig>,
    /// What draws: the policy itself, or a server that has its weights.
    pub sampler: SamplerSource,
    /// Episodes a prompt.
    pub group_size: usize,
    /// What thoughts are made of, in training and in evaluations: tokens, or soft tokens.
    #[serde(skip_serializing_if = "ThinkingConfig::is_discrete")]
    pub thinking: ThinkingConfig,
    /// Logits are divided by it before the softmax.
    pub temperature: f32,
    /// Draw from the `k` most probable tokens alone; from all unless told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
    /// Then from the most probable ones that hold this share of the probability; 1 for all.
    pub top_p: f64,
    /// Then from those of at least this share of the largest probability; 0 for all.
    pub min_p: f64,
    /// The cap on a completion, in tokens.
    pub max_new_tokens: usize,
    /// Texts that end a completion, as they come to stand in it; special tokens count as they are written.
    pub stop: Vec<String>,
    /// Whether rewards see the stop string that ended a completion. Its tokens are trained either way.
    pub stop_in_text: StopInText,
    /// What must not come to stand in a completion.
    pub bad_words: Vec<BadWord>,
    /// Never draw an end-of-sequence or padding id: every completion has the full length.
    pub ignore_eos: bool,
}

impl Default for RolloutSection {
    fn default() -> Self {
        Self {
            strategy: StrategyConfig::Independent,
            rounds: Vec::new(),
            hint: None,
            sampler: SamplerSource::Own,
            group_size: 8,
            thinking: ThinkingConfig::Discrete,
            temperature: 1.0,
            top_k: None,
            top_p: 1.0,
            min_p: 0.0,
            max_new_tokens: 256,
            stop: Vec::new(),
            stop_in_text: StopInText::Exclude,
            bad_words: Vec::new(),
            ignore_eos: false,
        }
    }
}

/// What draws the episodes of the rl stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SamplerSource {
    /// The policy itself.
    Own,
    Server(Box<ServerConfig>),
}

/// What rewards read of a completion that a stop string ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopInText {
    /// The text before it, as inference servers give it.
    #[default]
    Exclude,
    /// The text with it, and with what its last token brought: for a closing tag that a reward looks for.
    Include,
}

/// Something that is not drawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged, expecting = "expected a text, or a list of token ids")]
pub enum BadWord {
    /// Its tokens, as they are at the beginning of a text and after a space. Other tokens may spell it too.
    Text(String),
    /// The ids themselves.
    Ids(Vec<u32>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RewardSection {
    /// How the terms become one number.
    pub combine: Combine,
    /// Terms that a verifier scores, by name.
    pub terms: BTreeMap<String, TermSection>,
    /// Terms that are computed from terms, facts and the group, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub derive: Vec<Derived>,
    /// Divergence from the reference, taken off the reward. Excludes `objective.kl`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kl: Option<RewardKl>,
    /// Numbered parts of a completion with a reward each, for methods that compare or train part by part (`advantage.scope.segment`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<SegmentsSection>,
    /// What is done to the combined rewards of a step's batch, to see what learns without them.
    #[serde(skip_serializing_if = "Control::is_none")]
    pub control: Control,
    /// Share of a step's episodes whose reward may fail before the run ends.
    pub error_budget: f64,
    /// What stands between generated programs and this machine, for the terms that run them. `"none"` runs them with your rights.
    #[serde(skip_serializing_if = "Sandbox::is_jail")]
    pub sandbox: Sandbox,
    /// What becomes of a completion when a term times out or fails; a term may say otherwise.
    #[serde(skip_serializing_if = "OnFailure::is_default")]
    pub on_failure: OnFailure,
}

/// What a verdict that is none does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The completion has no reward, and its group is compared without it.
    #[default]
    Exclude,
    /// The term counts as 0. It still counts against `reward.error_budget`.
    Zero,
    /// The run ends with exit status 6 at the first.
    Abort,
}

impl OnFailure {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The recipe's word.
    pub fn word(self) -> &'static str {
        match self {
            OnFailure::Exclude => "exclude",
            OnFailure::Zero => "zero",
            OnFailure::Abort => "abort",
        }
    }
}

impl Default for RewardSection {
    fn default() -> Self {
        Self {
            combine: Combine::default(),
            terms: BTreeMap::new(),
            derive: Vec::new(),
            kl: None,
            segments: None,
            control: Control::None,
            error_budget: 0.05,
            sandbox: Sandbox::default(),
            on_failure: OnFailure::Exclude,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TermSection {
    /// Factor of the term in the combined reward.
    #[serde(default = "default_weight")]
    pub weight: f64,
    /// Only `cohort calc`, which is given the term's values, does without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verifier: Option<VerifierConfig>,
    /// Facts that methods read, each by the name that they read it under and the name that the verifier tells it under:
    /// `{ decision = "label" }` gives `asymmetric_penalty` the label that `categorical` read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
    /// In place of `reward.on_failure`, for this term.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
}

fn default_weight() -> f64 {
    1.0
}

/// Numbered parts of a completion, and what each is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentsSection {
    /// Where one part ends and the next begins.
    pub cut: Cut,
    /// The fact that holds a list of numbers, one a part: a name of some term's `facts`. A completion with an empty list has a reward of 0 for
    /// its first part.
    pub rewards: String,
}

/// Where one part of a completion ends and the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Cut {
    /// Part k is the k-th line that holds anything, from 0, with the end of line and what blank lines follow it. What stands beyond `most`
    /// lines, and the end of the sequence wherever it comes, is part `most`.
    Lines {
        /// Lines of a full list.
        most: u32,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RewardKl {
    /// Factor of the divergence, above 0.
    pub coefficient: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSection {
    /// Steps of the rl stage; the only key that may grow when a run is resumed.
    pub steps: u64,
    /// Ends the stage at the first step that has sampled this many tokens; `decay` then runs over them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Ends the stage at the first step that ends after this many seconds of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_seconds: Option<f64>,
    /// Which rows of the train split the stage draws its prompts from; all unless told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub among: Option<Among>,
    /// Groups a step.
    pub prompts_per_step: usize,
    /// Optimizer updates on one batch of rollouts.
    pub inner_epochs: usize,
    /// Learning rate of AdamW at its highest.
    pub lr: f64,
    /// Steps in which the learning rate rises linearly from 0.
    pub warmup_steps: u64,
    /// How the learning rate falls after the warmup.
    pub decay: Decay,
    /// Decay rates of the first and the second moment.
    pub betas: [f64; 2],
    /// Added to the root of the second moment; above 0.
    pub eps: f64,
    /// Decoupled decay of the weights a step, times the learning rate.
    pub weight_decay: f64,
    /// Largest norm of the gradient; above 0.
    pub clip_norm: f64,
    /// Groups of one micro-batch: what a worker holds at a time, and a leaf of the tree of summation.
    pub groups_per_block: usize,
    /// Steps between checkpoints.
    pub save_every: u64,
    /// Checkpoints kept beside the best one.
    pub keep_checkpoints: usize,
    /// An average of the weights, kept beside them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<EmaSection>,
    /// What divergences are measured from, where the recipe has one.
    #[serde(skip_serializing_if = "ReferenceSection::is_default")]
    pub reference: ReferenceSection,
    /// One a core unless told. Changes no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,
    /// What becomes of samples without a derivative, such as those of a group with equal rewards. Changes no number.
    pub dead_samples: DeadSamples,
    /// How the cores share a training pass. Changes no number.
    pub parallel: ParallelChoice,
    /// What a training pass holds between forward and backward. Changes no number.
    pub activations: ActivationsChoice,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParallelChoice {
    /// `workers`, or `rows` where the memory plan says that a gradient a worker does not fit, or a batch has fewer
    /// micro-batches than there are workers.
    #[default]
    Auto,
    /// A micro-batch a core.
    Workers,
    /// One micro-batch at a time, its rows split over the cores.
    Rows,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActivationsChoice {
    /// `keep`, or `recompute` where the memory plan says that they do not fit.
    #[default]
    Auto,
    /// All that the way back needs is held from the way there.
    Keep,
    /// What goes into each layer alone; the layer is computed again on the way back.
    Recompute,
}

impl Default for TrainSection {
    fn default() -> Self {
        Self {
            steps: 100,
            max_tokens: None,
            max_seconds: None,
            among: None,
            prompts_per_step: 32,
            inner_epochs: 1,
            lr: 1e-6,
            warmup_steps: 0,
            decay: Decay::Constant,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            clip_norm: 1.0,
            groups_per_block: 4,
            save_every: 10,
            keep_checkpoints: 2,
            ema: None,
            reference: ReferenceSection::default(),
            workers: None,
            dead_samples: DeadSamples::Skip,
            parallel: ParallelChoice::Auto,
            activations: ActivationsChoice::Auto,
        }
    }
}

/// Rows by the value of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Among {
    /// Its name.
    pub column: String,
    /// The values that are drawn from, as texts.
    pub values: Vec<String>,
}

/// How the reference policy moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceSection {
    /// It stays what the rl stage started from.
    #[default]
    Frozen,
    /// It is the average of `train.ema`, as it is before the step.
    Ema,
}

impl ReferenceSection {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PreflightSection {
    /// Prompts that are sampled before the rl stage.
    pub prompts: usize,
    /// What happens when no group shows any difference in reward.
    pub no_signal: NoSignal,
}

impl Default for PreflightSection {
    fn default() -> Self {
        Self { prompts: 16, no_signal: NoSignal::Stop }
    }
}

/// What happens when no group shows any difference in reward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoSignal {
    /// The run ends with exit status 4.
    Stop,
    /// The run says so and goes on.
    Warn,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvalSection {
    /// The reward term that says whether a completion is right (its value is 1).
    /// The last term by name unless told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correct: Option<String>,
    /// The split of the evaluations before and after. A choice is made on `dev`, so that `test` is not read for it.
    #[serde(skip_serializing_if = "MeasuredOn::is_default")]
    pub split: MeasuredOn,
    /// Samples a prompt beside the greedy one.
    pub samples: usize,
    /// Most prompts of the evaluations before and after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Steps between evaluations on dev; 0 for none.
    pub every: u64,
    /// The number on dev that chooses the best checkpoint.
    #[serde(skip_serializing_if = "DevMetric::is_default")]
    pub metric: DevMetric,
    /// Ends the rl stage after so many looks at dev without a gain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// A gain is more than this.
    #[serde(skip_serializing_if = "is_zero")]
    pub min_delta: f64,
    /// Most dev prompts of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev_limit: Option<usize>,
    /// A column of the rows: evaluations are told for each of its values too, as `greedy/VALUE`, and the least of these as `least/greedy`. Where it is
    /// the column of the answers, `said/VALUE` and `precision/VALUE` tell how often greedy completions say it, and how often they are right then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Evaluations order each list of the split by scores too, and tell `score/ndcg@K`, `score/ties` and `score/valid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<ScoreLook>,
    /// Reward terms that tell a policy's texts from a human's: evaluations tell of each `auroc/TERM`, `auroc@right/TERM` (a completion that is not right counts as detected) and `tpr@0.01/TERM`, its values of the greedy completions
    /// against those of the rows' human texts. The verifier must tell these as its fact `against`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub detectors: Vec<String>,
}

/// How a list that is ordered by scores is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreLook {
    /// Places that count.
    pub k: usize,
}

impl Default for ScoreLook {
    fn default() -> Self {
        Self { k: 10 }
    }
}

impl Default for EvalSection {
    fn default() -> Self {
        Self {
            correct: None,
            split: MeasuredOn::Test,
            samples: 8,
            limit: None,
            every: 0,
            metric: DevMetric::default(),
            patience: None,
            min_delta: 0.0,
            dev_limit: None,
            by: None,
            score: None,
            detectors: Vec::new(),
        }
    }
}

/// The split that a run is measured on before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MeasuredOn {
    /// What nothing else looks at.
    #[default]
    Test,
    /// What choices are made on.
    Dev,
}

impl MeasuredOn {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn is_zero(x: &f64) -> bool {
    *x == 0.0
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// What else the metrics are written as.
    pub also: Vec<Also>,
}

impl LogSection {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Metrics for other tools; `cohort export` makes the same of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Also {
    /// `tensorboard/` of the run directory: an event file that grows with each commit.
    Tensorboard,
    /// `metrics.csv`: a table, written when the run is complete.
    Csv,
}
