//! The `[claim]` section of a recipe: what is claimed, against what, and how it will be judged. It is written before the
//! first verdict and read by [`crate::arms`] and [`crate::verdict`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// What a recipe's system claims, at our scale: an ablation, its metric, and the smallest effect that counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The claim in one sentence.
    pub text: String,
    /// The plain recipe that the baseline arm must be, `recipes/base/NAME.toml`: its method sections, with this task.
    #[serde(default = "grpo")]
    pub base: String,
    /// A number of `summary.json`'s `eval.after` on the test split, for example `greedy`.
    pub metric: String,
    /// Which direction of the metric is better.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prefer: Prefer,
    /// Whether the method is claimed to be better than the baseline, or as good.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: Kind,
    /// The smallest effect that counts, in the metric's unit; above 0.
    pub effect: f64,
    /// Whether the arms are two methods on one policy, or two policies under one method.
    #[serde(default, skip_serializing_if = "is_default")]
    pub compares: Compares,
    /// What is told beside the metric, before and after the rl stage, and judges nothing: numbers of the evaluation, or metrics of its first and
    /// last step (`router_load_balance`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
    /// What both arms have the same of.
    #[serde(default, skip_serializing_if = "is_default")]
    pub budget: Budget,
    /// All sampled tokens of the rl stage; it is `train.max_tokens` of both arms, and only `budget = "tokens"` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Paired seeds, 0 to this less one; at least 2.
    #[serde(default = "five")]
    pub seeds: u64,
    /// More seeds, by a rule that was fixed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<UpTo>,
    /// The run that shows whether the metric can rise without the claim.
    #[serde(default)]
    pub control: Control,
    /// What makes the method arm the baseline: dotted key (in quotes) to its value there. The value takes the key's place
    /// whole, and `{}` gives a section its defaults.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub switch: Table,
    /// Keys that may differ besides, at most three, chosen on dev in as many trials for both arms.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tuned: BTreeMap<String, Tuned>,
}

fn grpo() -> String {
    "grpo".to_owned()
}

fn five() -> u64 {
    5
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Which direction of a metric is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Prefer {
    /// A difference is the method's value less the baseline's.
    #[default]
    Higher,
    /// A difference is the baseline's value less the method's.
    Lower,
}

impl Prefer {
    /// How much better `method` is than `baseline`: above 0 where it is.
    pub fn gain(self, method: f64, baseline: f64) -> f64 {
        match self {
            Prefer::Higher => method - baseline,
            Prefer::Lower => baseline - method,
        }
    }
}

/// What is claimed of the difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The method is better, by `effect` or more.
    #[default]
    Better,
    /// The method is not worse by `effect` or more.
    NoWorse,
}

/// What the arms are two of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compares {
    /// Methods: both arms, and all seeds, start from one cold start.
    #[default]
    Methods,
    /// Policies, a study: the switch is of `policy.new`, and either policy has a cold start of its own for every seed, from the same items in the same
    /// order and as many updates. The seed of a run is that of its weights and of its supervised stage too, so that seeds are whole repetitions.
    Policies,
}

impl Compares {
    /// Keys of a run with this seed, over its arm's.
    pub fn keys_of_seed(self, seed: u64) -> Vec<String> {
        match self {
            Compares::Methods => Vec::new(),
            Compares::Policies => vec![format!("policy.new.seed={seed}"), format!("supervised.seed={seed}")],
        }
    }
}

/// What both arms have the same of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// All sampled tokens of the rl stage, to one step.
    #[default]
    Tokens,
    /// Steps of the rl stage; for a mechanism that changes lengths itself. The tokens are a result then.
    Updates,
    /// Rows of the train split that the stages after the cold start took, with repetitions, to one step: for arms that have other stages. Steps and
    /// tokens are a result then.
    Examples,
}

impl Budget {
    /// The recipe's word.
    pub fn word(self) -> &'static str {
        match self {
            Budget::Tokens => "tokens",
            Budget::Updates => "updates",
            Budget::Examples => "examples",
        }
    }
}

/// More seeds than `seeds`, by a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpTo {
    /// The most seeds; at most 12.
    pub seeds: u64,
    /// As long as what holds, another seed is run.
    #[serde(rename = "while")]
    pub while_: While,
}

/// What another seed is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum While {
    /// The verdict of the seeds so far is inconclusive.
    Inconclusive,
}

/// A run that must not show what the claim says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected \"permuted\", or { named = \"..\", set = { \"KEY\" = value } }")]
pub enum Control {
    Word(ControlWord),
    Named(NamedControl),
}

impl Default for Control {
    fn default() -> Self {
        Control::Word(ControlWord::Permuted)
    }
}

/// A control without parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ControlWord {
    /// The method arm with its rewards permuted over the batch.
    Permuted,
}

/// The method arm with keys set otherwise, where no reward moves the metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedControl {
    /// What it is, in a few words.
    pub named: String,
    /// Dotted key (in quotes) to its value in the control.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub set: Table,
    /// What the control must not be better than.
    #[serde(default, skip_serializing_if = "is_default")]
    pub against: Against,
}

/// What a control is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The baseline arm of the same seed: a control of which the claim holds as well shows that the claim says nothing.
    #[default]
    Baseline,
    /// The cold start, as the permuted control is: it must not rise over it by `effect` or more.
    ColdStart,
}

impl Control {
    /// What the control is called.
    pub fn name(&self) -> &str {
        match self {
            Control::Word(ControlWord::Permuted) => "permuted",
            Control::Named(control) => &control.named,
        }
    }

    /// Its keys, over the method arm's.
    pub fn set(&self) -> Table {
        match self {
            Control::Word(ControlWord::Permuted) => {
                Table::from_iter([("reward.control".to_owned(), "permuted".into())])
            }
            Control::Named(control) => control.set.clone(),
        }
    }

    pub fn against(&self) -> Against {
        match self {
            Control::Word(ControlWord::Permuted) => Against::ColdStart,
            Control::Named(control) => control.against,
        }
    }
}

/// A key that was tuned, each arm's value chosen on dev.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tuned {
    /// What was tried. All combinations of the tuned keys are trials; both arms must have as many.
    pub trials: Trials,
    /// The method arm's value: the recipe's own. Absent where only the baseline has the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub method: Option<Value>,
    /// The baseline's value. Absent where only the method has the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    pub baseline: Option<Value>,
}

/// The values that were tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a list of values, or { method = [..], baseline = [..] }")]
pub enum Trials {
    /// The same for both arms.
    Both(#[schemars(with = "Vec<serde_json::Value>")] Vec<Value>),
    Each(TrialsOfArms),
}

/// The values that were tried of each arm; an arm that lacks the key has none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrialsOfArms {
    /// Of the method arm.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub method: Vec<Value>,
    /// Of the baseline.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub baseline: Vec<Value>,
}

impl Trials {
    pub fn method(&self) -> &[Value] {
        match self {
            Trials::Both(values) => values,
            Trials::Each(arms) => &arms.method,
        }
    }

    pub fn baseline(&self) -> &[Value] {
        match self {
            Trials::Both(values) => values,
            Trials::Each(arms) => &arms.baseline,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
        text = "Medians beat means at four samples."
        base = "grpo"
        metric = "greedy"
        prefer = "higher"
        kind = "better"
        effect = 0.03
        budget = "tokens"
        tokens = 400_000
        seeds = 5
        up_to = { seeds = 12, while = "inconclusive" }
        control = "permuted"
        [switch]
        advantage = { baseline = "mean", scale.std = { ddof = 1, eps = 1e-4 } }
        "reward.combine" = {}
        [tuned."train.lr"]
        trials = [1e-4, 2e-4, 4e-4]
        method = 2e-4
        baseline = 4e-4
    "#;

    #[test]
    fn a_claim_says_the_same_when_it_is_written_and_read_again() {
        let claim: Claim = toml::from_str(WHOLE).unwrap();
        assert_eq!(claim.up_to, Some(UpTo { seeds: 12, while_: While::Inconclusive }));
        assert_eq!(claim.tuned["train.lr"].trials.baseline().len(), 3);
        assert_eq!(claim.switch.keys().collect::<Vec<_>>(), ["advantage", "reward.combine"]);
        assert_eq!(toml::from_str::<Claim>(&toml::to_string(&claim).unwrap()).unwrap(), claim);
    }

    #[test]
    fn what_is_left_out_has_the_rules_of_the_zoo() {
        let claim: Claim = toml::from_str("text = \"t\"\nmetric = \"greedy\"\neffect = 0.1").unwrap();
        assert_eq!((claim.base.as_str(), claim.seeds, claim.kind), ("grpo", 5, Kind::Better));
        assert_eq!((claim.control.name(), claim.control.against()), ("permuted", Against::ColdStart));
        assert_eq!(claim.control.set()["reward.control"].as_str(), Some("permuted"));
        assert_eq!((claim.prefer, claim.budget), (Prefer::Higher, Budget::Tokens));
        assert_eq!((claim.compares, claim.compares.keys_of_seed(3)), (Compares::Methods, Vec::new()));
        // What claims were before there were studies: their sums stay.
        let text = toml::to_string(&claim).unwrap();
        assert!(!text.contains("compares") && !text.contains("beside"), "{text}");
    }

    #[test]
    fn unknown_keys_and_words_are_refused() {
        let with = |line: &str| format!("text = \"t\"\nmetric = \"greedy\"\neffect = 0.1\n{line}");
        for (line, word) in [
            ("effekt = 1", "effekt"),
            ("kind = \"equal\"", "equal"),
            ("compares = \"tasks\"", "policies"),
            ("control = \"shuffled\"", "permuted"),
            ("control = { named = \"a\", set = {}, keys = 1 }", "permuted"),
            ("up_to = { seeds = 9, while = \"close\" }", "close"),
            ("tuned.a = { trials = 3, method = 1, baseline = 1 }", "a list of values"),
        ] {
            let error = toml::from_str::<Claim>(&with(line)).unwrap_err().to_string();
            assert!(error.contains(word), "{line}: {error}");
        }
    }

    #[test]
    fn arms_may_have_trials_of_their_own() {
        let text = "trials = { method = [0.1, 0.2], baseline = [] }\nmethod = 0.1";
        let tuned: Tuned = toml::from_str(text).unwrap();
        assert_eq!((tuned.trials.method().len(), tuned.trials.baseline().len(), tuned.baseline), (2, 0, None));
    }
}
