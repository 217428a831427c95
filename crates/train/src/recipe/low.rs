//! The recipe as typed: every key, its default, and nothing checked beyond its type.
//!
//! Choices are externally tagged (`scale = "none"`, `scale = { std = { ddof = 1 } }`), so that a choice's
//! parameters exist only beside it. An unknown key anywhere is an error.

mod eval;
mod log;
mod policy;
mod preflight;
mod reward;
mod reward_model;
mod rollout;
mod score;
mod supervised;
mod task;
mod train;

use cohort_core::{advantage::Advantage, curriculum::Curriculum, objective::Objective, weight::Weighting};
use cohort_env::task::dataset::Data;
use cohort_model::Device;
use cohort_zoo::{claim::Claim, system::System};
use serde::{Deserialize, Serialize};

pub use self::{
    eval::{EvalSection, MeasuredOn, ScoreLook},
    log::{Also, LogSection},
    policy::{BuiltinTokenizer, NewPolicy, PolicySection},
    preflight::{NoSignal, PreflightSection},
    reward::{Cut, OnFailure, RewardKl, RewardSection, SegmentsSection, TermSection},
    reward_model::{ModelSection, Negative, RewardModelSection},
    rollout::{BadWord, RolloutSection, SamplerSource, StopInText},
    score::ScoreSection,
    supervised::{SupervisedSection, Until},
    task::TaskSection,
    train::{ActivationsChoice, Among, ParallelChoice, ReferenceSection, TrainSection},
};
use crate::stage::{REWARD_MODEL, RL, SCORE, SUPERVISED};

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
