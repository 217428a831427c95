//! `[rollout]`: how the answers to a prompt are sampled.

use cohort_rollout::{HintConfig, RoundConfig, ServerConfig, StrategyConfig, ThinkingConfig};
use serde::{Deserialize, Serialize};

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
