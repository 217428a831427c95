//! The runs that a claim compares, as tables: the method arm is the recipe; the baseline is the method arm with the keys of
//! `claim.switch` set back and those of `claim.tuned` at its own values; the control is the method arm with the control's keys.
//! Nothing else can differ, since nothing else is written.

use toml::{Table, Value};

use crate::{
    claim::{Budget, Claim, Compares, Trials},
    dotted::{get, set},
};

/// Most keys that may differ because they were tuned.
pub const MOST_TUNED: usize = 3;
/// Most seeds of a claim.
pub const MOST_SEEDS: u64 = 12;
/// Sections that a base recipe may have: the method's.
pub const METHOD_SECTIONS: [&str; 4] = ["advantage", "objective", "weight", "curriculum"];
/// What of a policy a study must not switch: the same items must be the same tokens, and seeds are the study's.
const SAME_OF_POLICIES: [&str; 3] = ["policy.new.tokenizer", "policy.new.positions", "policy.new.seed"];
/// In a text of the method arm: the baseline's run directory of the same seed.
pub const BASELINE_DIRECTORY: &str = "{baseline}";

/// The recipes of a claim, each a whole one without `[claim]` and `[system]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Arms {
    pub method: Table,
    pub baseline: Table,
    pub control: Table,
    /// What the baseline must equal to the bit: `claim.base` with this task.
    pub plain: Table,
}

/// Why a claim cannot be tested as it is written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{key}` {problem}, got {got}\n  hint: {hint}")]
pub struct ArmsError {
    pub key: String,
    pub problem: String,
    pub got: String,
    pub hint: String,
}

fn refuse<T>(key: &str, problem: &str, got: impl ToString, hint: &str) -> Result<T, ArmsError> {
    let [key, problem, hint] = [key, problem, hint].map(str::to_owned);
    Err(ArmsError { key, problem, got: got.to_string(), hint })
}

impl Arms {
    /// The arms of `recipe`, whose claim is `claim`, and whose base recipe is `base`.
    ///
    /// # Errors
    /// [`check`]; a base with other sections; a control or a switch that changes nothing.
    pub fn new(recipe: &Table, claim: &Claim, base: &Table) -> Result<Self, ArmsError> {
        let mut method = recipe.clone();
        ["claim", "system"].iter().for_each(|section| drop(method.remove(*section)));
        check(claim, &method)?;
        if let Some(tokens) = claim.tokens {
            set(&mut method, "train.max_tokens", &Value::Integer(tokens as i64));
        }
        let mut baseline = method.clone();
        for (key, value) in &claim.switch {
            let before = baseline.clone();
            set(&mut baseline, key, value);
            if before == baseline {
                let hint = "the baseline must lack something of the method; leave the key out if it does not matter";
                return refuse(&format!("claim.switch.\"{key}\""), "must change the recipe", value, hint);
            }
        }
        let mut control = method.clone();
        let name = claim.control.name();
        for (key, value) in &claim.control.set() {
            set(&mut control, key, value);
        }
        if control == method {
            let hint = "control = \"permuted\", or the keys that would expose the claim";
            return refuse("claim.control", "must change the recipe", name, hint);
        }
        if let Some(other) = base.keys().find(|key| !METHOD_SECTIONS.contains(&key.as_str())) {
            let hint = "a base recipe is a method alone: [advantage], [objective], [weight], [curriculum]";
            return refuse("claim.base", "must name a recipe of method sections", format!("[{other}]"), hint);
        }
        let mut plain = baseline.clone();
        METHOD_SECTIONS.iter().for_each(|section| drop(plain.remove(*section)));
        plain.extend(base.clone());
        for (key, tuned) in &claim.tuned {
            if let Some(value) = &tuned.baseline {
                set(&mut baseline, key, value);
                set(&mut plain, key, value);
            }
        }
        Ok(Self { method, baseline, control, plain })
    }

    /// The method arm, or another, with the baseline's run directory of its seed written in.
    pub fn with_baseline_directory(arm: &Table, directory: &str) -> Table {
        let mut arm = arm.clone();
        arm.iter_mut().for_each(|(_, value)| write_in(value, directory));
        arm
    }

    /// Whether an arm reads what the baseline's run of its seed made.
    pub fn reads_baseline(arm: &Table) -> bool {
        arm.to_string().contains(BASELINE_DIRECTORY)
    }
}

fn write_in(value: &mut Value, directory: &str) {
    match value {
        Value::String(text) => *text = text.replace(BASELINE_DIRECTORY, directory),
        Value::Array(list) => list.iter_mut().for_each(|v| write_in(v, directory)),
        Value::Table(table) => table.iter_mut().for_each(|(_, v)| write_in(v, directory)),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}

/// What of a claim can be told without reading the recipe's types.
fn check(claim: &Claim, method: &Table) -> Result<(), ArmsError> {
    if !(claim.effect > 0.0 && claim.effect.is_finite()) {
        let hint = "the smallest difference that counts, in the metric's unit";
        return refuse("claim.effect", "must be above 0", claim.effect, hint);
    }
    if claim.seeds < 2 || claim.seeds > MOST_SEEDS {
        return refuse("claim.seeds", "must lie in 2 to 12", claim.seeds, "5 unless there is a reason");
    }
    if let Some(up_to) = claim.up_to.filter(|up_to| up_to.seeds <= claim.seeds || up_to.seeds > MOST_SEEDS) {
        return refuse("claim.up_to.seeds", "must be more than claim.seeds, and at most 12", up_to.seeds, "12");
    }
    if claim.switch.is_empty() {
        return refuse("claim.switch", "must say what the baseline lacks", "no key", "KEY = the baseline's value");
    }
    if claim.compares == Compares::Policies {
        study(claim, method)?;
    }
    budget(claim, method)?;
    if claim.tuned.len() > MOST_TUNED {
        let hint = "tune a learning rate, and a coefficient of one arm's own";
        return refuse("claim.tuned", "must have at most 3 keys", claim.tuned.len(), hint);
    }
    let mut trials = [1, 1];
    for (key, tuned) in &claim.tuned {
        let own = get(method, key);
        let arms =
            [("method", &tuned.method, tuned.trials.method()), ("baseline", &tuned.baseline, tuned.trials.baseline())];
        for (i, (arm, chosen, tried)) in arms.into_iter().enumerate() {
            let at = format!("claim.tuned.\"{key}\".{arm}");
            match (chosen, tried) {
                (None, []) => {}
                (None, _) => {
                    return refuse(&at, "must be one of its trials", "nothing", "the value that was best on dev");
                }
                (Some(value), tried) if !tried.iter().any(|t| same(t, value)) => {
                    let hint = "a value that was not tried on dev was not chosen there";
                    return refuse(&at, "must be one of its trials", value, hint);
                }
                _ => trials[i] *= tried.len(),
            }
        }
        let is_own = match (&tuned.method, own) {
            (Some(value), Some(own)) => same(value, own),
            (None, None) => true,
            _ => false,
        };
        if !is_own {
            let got = tuned.method.as_ref().map_or("nothing".to_owned(), Value::to_string);
            let own = own.map_or("lacks the key".to_owned(), |own| format!("has {own}"));
            let hint = format!("the recipe {own}; the recipe is the method arm");
            return refuse(&format!("claim.tuned.\"{key}\".method"), "must be the recipe's own value", got, &hint);
        }
    }
    let [method, baseline] = trials;
    if method != baseline {
        let hint = "all combinations of the tuned keys are trials; give the arm with fewer more values of a key that both have";
        return refuse(
            "claim.tuned",
            "must have as many trials for both arms",
            format!("{method} of the method and {baseline} of the baseline"),
            hint,
        );
    }
    Ok(())
}

/// A study's policies learn from the same items in the same order, by as many updates, and by a rate that may be tuned.
fn study(claim: &Claim, method: &Table) -> Result<(), ArmsError> {
    let is_of_policy = |key: &String| key.starts_with("policy.new.") && !SAME_OF_POLICIES.contains(&key.as_str());
    if let Some((key, value)) = claim.switch.iter().find(|(key, _)| !is_of_policy(key)) {
        let hint = "a study switches what its policies are, such as policy.new.experts.count; methods are compared without claim.compares";
        return refuse(
            &format!("claim.switch.\"{key}\""),
            "must be of policy.new, but for its tokenizer, its positions and its seed",
            value,
            hint,
        );
    }
    if let Some(key) = claim.tuned.keys().find(|key| !key.starts_with("train.") && *key != "supervised.lr") {
        let hint = "policies of a study have the same items and updates before the rl stage";
        return refuse("claim.tuned", "must be supervised.lr or of train in a study", key, hint);
    }
    for key in ["policy.new", "supervised"] {
        if !get(method, key).is_some_and(Value::is_table) {
            return refuse(
                key,
                "must be there in a study",
                "nothing",
                "its policies are new, and have cold starts of their own",
            );
        }
    }
    for (key, hint) in [
        ("supervised.until", "both policies have as many updates: give supervised.steps alone"),
        ("supervised.seed", "the seed of a run is that of its supervised stage: leave it out"),
        ("policy.new.seed", "the seed of a run is that of its weights: leave it out"),
    ] {
        if let Some(value) = get(method, key) {
            return refuse(key, "contradicts claim.compares = \"policies\"", value, hint);
        }
    }
    Ok(())
}

fn budget(claim: &Claim, method: &Table) -> Result<(), ArmsError> {
    let own = get(method, "train.max_tokens");
    match (claim.budget, claim.tokens) {
        (Budget::Tokens, None | Some(0)) => {
            refuse("claim.tokens", "must be above 0", "nothing", "all sampled tokens that an arm may spend")
        }
        (Budget::Tokens, Some(tokens)) => match own.filter(|own| own.as_integer() != Some(tokens as i64)) {
            Some(own) => {
                let hint = "claim.tokens sets it in both arms; leave train.max_tokens out, or give both the same";
                refuse("claim.tokens", "must be the recipe's train.max_tokens", format!("{tokens} and {own}"), hint)
            }
            None => Ok(()),
        },
        (Budget::Updates | Budget::Examples, Some(tokens)) => {
            let problem = format!("contradicts claim.budget = \"{}\"", claim.budget.word());
            refuse("claim.tokens", &problem, tokens, "leave it out: both arms run their steps")
        }
        (Budget::Updates | Budget::Examples, None) => match own {
            Some(own) => {
                let problem = format!("contradicts claim.budget = \"{}\"", claim.budget.word());
                refuse("train.max_tokens", &problem, own, "leave it out: both arms run their steps")
            }
            None => Ok(()),
        },
    }
}

/// Whether two values are one: 1 is 1.0.
fn same(a: &Value, b: &Value) -> bool {
    let number = |v: &Value| v.as_float().or_else(|| v.as_integer().map(|i| i as f64));
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// An arm's trials: every combination of its tuned keys' values, each a list of keys and values. One without keys where
/// nothing is tuned.
pub fn trials(claim: &Claim, of: fn(&Trials) -> &[Value]) -> Vec<Vec<(String, Value)>> {
    let mut all = vec![Vec::new()];
    for (key, tuned) in claim.tuned.iter().filter(|(_, tuned)| !of(&tuned.trials).is_empty()) {
        let with = |so_far: &Vec<(String, Value)>, value: &Value| {
            so_far.iter().cloned().chain([(key.clone(), value.clone())]).collect::<Vec<_>>()
        };
        all = all
            .iter()
            .flat_map(|so_far| of(&tuned.trials).iter().map(|value| with(so_far, value)).collect::<Vec<_>>())
            .collect();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A policy of several turns that samples with hints, and its plain sampling.
    const TURNS: &str = r#"
        seed = 0
        [policy.toy]
        turns = 3
        [rollout]
        strategy.hints = { levels = 2 }
        group_size = 8
        [reward.terms.goal]
        verifier.toy = {}
        [advantage]
        scale = "none"
        [objective]
        surrogate.policy_gradient = { ratio = "sequence" }
        [train]
        lr = 2e-4
        steps = 1000
        [system]
        number = 38
        [claim]
        text = "Hints help."
        metric = "greedy"
        effect = 0.02
        tokens = 1000
        [claim.switch]
        "rollout.strategy" = "independent"
        advantage = {}
        "objective.surrogate.policy_gradient.ratio" = "token"
        [claim.tuned."train.lr"]
        trials = [1e-4, 2e-4]
        method = 0.0002
        baseline = 1e-4
    "#;

    /// A flow policy: transitions in place of tokens, a step size in place of a temperature.
    const FLOW: &str = r#"
        [policy.flow]
        steps = 8
        [reward.terms.aesthetic]
        verifier.toy = {}
        [objective]
        surrogate.policy_gradient = { ratio = "norm", dt = true }
        [train]
        steps = 40
        [claim]
        text = "Norms keep ratios at 1."
        metric = "reward/aesthetic"
        effect = 0.1
        budget = "updates"
        control = { named = "dt as it is", set = { "objective.surrogate.policy_gradient.dt" = false } }
        [claim.switch]
        "objective.surrogate.policy_gradient" = { ratio = "step" }
        [claim.tuned."policy.flow.noise"]
        trials = { method = [], baseline = [] }
    "#;

    fn table(text: &str) -> Table {
        toml::from_str(text).unwrap()
    }

    fn claim(recipe: &Table) -> Claim {
        recipe["claim"].clone().try_into().unwrap()
    }

    fn arms(text: &str) -> Result<Arms, ArmsError> {
        let base =
            table("[advantage]\nscale.std = { ddof = 1 }\n[objective]\nsurrogate.policy_gradient.ratio = \"token\"");
        let recipe = table(text);
        Arms::new(&recipe, &claim(&recipe), &base)
    }

    #[test]
    fn the_baseline_is_the_method_with_its_keys_set_back() {
        let arms = arms(TURNS).unwrap();
        assert!(arms.method.get("claim").is_none() && arms.method.get("system").is_none());
        for arm in [&arms.method, &arms.baseline, &arms.control, &arms.plain] {
            assert_eq!(get(arm, "train.max_tokens"), Some(&Value::Integer(1000)));
            assert_eq!(get(arm, "policy.toy.turns"), Some(&Value::Integer(3)));
        }
        assert_eq!(get(&arms.baseline, "rollout.strategy").unwrap().as_str(), Some("independent"));
        assert_eq!(get(&arms.baseline, "rollout.group_size"), Some(&Value::Integer(8)));
        assert_eq!(get(&arms.baseline, "advantage"), None);
        assert_eq!(get(&arms.baseline, "train.lr"), Some(&Value::Float(1e-4)));
        assert_eq!(get(&arms.method, "train.lr"), Some(&Value::Float(2e-4)));
        // The plain recipe has the base's method, and all else from the baseline.
        assert!(get(&arms.plain, "advantage.scale.std.ddof").is_some());
        assert_eq!(get(&arms.plain, "train.lr"), Some(&Value::Float(1e-4)));
        assert_eq!(get(&arms.control, "reward.control").unwrap().as_str(), Some("permuted"));
        assert_eq!(get(&arms.control, "train.lr"), Some(&Value::Float(2e-4)));
    }

    #[test]
    fn a_flow_policy_goes_through_the_same_arms() {
        let arms = arms(FLOW).unwrap();
        assert_eq!(get(&arms.baseline, "objective.surrogate.policy_gradient.ratio").unwrap().as_str(), Some("step"));
        assert_eq!(
            get(&arms.baseline, "objective.surrogate.policy_gradient.dt"),
            None,
            "the value takes the key's place whole"
        );
        assert_eq!(get(&arms.control, "objective.surrogate.policy_gradient.dt"), Some(&Value::Boolean(false)));
        assert_eq!(get(&arms.method, "train.max_tokens"), None);
    }

    #[track_caller]
    fn refused(text: &str, old: &str, new: &str, parts: &[&str]) {
        assert!(text.contains(old), "{old}");
        let error = arms(&text.replace(old, new)).unwrap_err().to_string();
        parts.iter().for_each(|part| assert!(error.contains(part), "no `{part}` in {error}"));
    }

    #[test]
    fn what_cannot_be_tested_is_refused() {
        refused(TURNS, "effect = 0.02", "effect = 0.0", &["`claim.effect` must be above 0", "got 0"]);
        refused(TURNS, "effect = 0.02", "effect = -1.0", &["`claim.effect`", "got -1"]);
        refused(TURNS, "effect = 0.02", "effect = inf", &["`claim.effect`"]);
        refused(TURNS, "tokens = 1000", "", &["`claim.tokens` must be above 0"]);
        refused(TURNS, "tokens = 1000", "tokens = 1000\nseeds = 1", &["`claim.seeds`", "got 1"]);
        refused(TURNS, "tokens = 1000", "tokens = 1000\nseeds = 13", &["`claim.seeds`", "got 13"]);
        refused(
            TURNS,
            "tokens = 1000",
            "tokens = 1000\nup_to = { seeds = 4, while = \"inconclusive\" }",
            &["`claim.up_to.seeds` must be more than claim.seeds"],
        );
        refused(TURNS, "steps = 1000", "max_tokens = 7", &["train.max_tokens", "1000 and 7"]);
        refused(FLOW, "steps = 40", "max_tokens = 7", &["`train.max_tokens` contradicts"]);
        refused(FLOW, "budget = \"updates\"", "budget = \"updates\"\ntokens = 4", &["`claim.tokens` contradicts"]);
        let examples = &["`claim.tokens` contradicts claim.budget = \"examples\""];
        refused(FLOW, "budget = \"updates\"", "budget = \"examples\"\ntokens = 4", examples);
        refused(
            TURNS,
            "\"rollout.strategy\" = \"independent\"",
            "\"rollout.group_size\" = 8",
            &["`claim.switch.\"rollout.group_size\"` must change the recipe", "got 8"],
        );
        refused(TURNS, "advantage = {}", "weight = {}", &["`claim.switch.\"weight\"` must change the recipe"]);
        refused(FLOW, "\"objective.surrogate.policy_gradient.dt\" = false", "", &["`claim.control` must change"]);
        let own = "set = { \"objective.surrogate.policy_gradient.dt\" = false }";
        refused(FLOW, own, "set = { \"train.steps\" = 40 }", &["`claim.control` must change", "got dt as it is"]);
        let recipe = table(TURNS);
        let error = Arms::new(&recipe, &claim(&recipe), &table("[train]\nlr = 1")).unwrap_err().to_string();
        assert!(error.contains("`claim.base`") && error.contains("got [train]"), "{error}");
    }

    #[test]
    fn tuned_keys_were_tried_as_often_in_both_arms() {
        refused(TURNS, "method = 0.0002", "method = 1e-4", &["must be the recipe's own value", "has 0.0002"]);
        refused(
            TURNS,
            "method = 0.0002",
            "method = 3e-4",
            &["`claim.tuned.\"train.lr\".method` must be one of its trials"],
        );
        refused(TURNS, "baseline = 1e-4", "baseline = 3e-4", &[".baseline` must be one of its trials", "got 0.0003"]);
        refused(TURNS, "baseline = 1e-4", "", &[".baseline` must be one of its trials", "got nothing"]);
        refused(TURNS, "lr = 2e-4\n", "", &["must be the recipe's own value", "lacks the key"]);
        let unequal = "trials = { method = [1e-4, 2e-4, 3e-4], baseline = [1e-4] }";
        refused(TURNS, "trials = [1e-4, 2e-4]", unequal, &["as many trials", "3 of the method and 1 of the baseline"]);
        let four = "[claim.tuned]\n".to_owned()
            + &["a", "b", "c", "d"]
                .map(|k| format!("{k} = {{ trials = {{ method = [], baseline = [] }} }}\n"))
                .concat();
        let start = TURNS.find("[claim.tuned").unwrap();
        refused(TURNS, &TURNS[start..], &four, &["`claim.tuned` must have at most 3 keys", "got 4"]);
    }

    #[test]
    fn a_coefficient_of_one_arm_is_made_up_for_by_the_other() {
        let own = "trials = { method = [2e-4], baseline = [1e-4, 2e-4] }";
        let more = "\n[claim.tuned.\"rollout.strategy.hints.levels\"]\ntrials = { method = [1, 2], baseline = [] }\nmethod = 2\n";
        let text = TURNS.replace("trials = [1e-4, 2e-4]", own) + more;
        let claim = claim(&table(&text));
        assert!(arms(&text).is_ok(), "{:?}", arms(&text));
        let method = trials(&claim, Trials::method);
        assert_eq!(method.len(), 2);
        assert_eq!(method[1][0], ("rollout.strategy.hints.levels".to_owned(), Value::Integer(2)));
        assert_eq!(trials(&claim, Trials::baseline).len(), 2);
    }

    /// Two policies under one method.
    const STUDY: &str = r#"
        [policy.new]
        inner = 64
        experts = { count = 8, top_k = 2, inner = 16 }
        [supervised]
        steps = 100
        lr = 1e-3
        [train]
        lr = 1e-4
        steps = 9
        [claim]
        text = "More experts know more."
        metric = "greedy/facts"
        effect = 0.05
        tokens = 1000
        compares = "policies"
        [claim.switch]
        "policy.new.experts.count" = 2
    "#;

    #[test]
    fn policies_of_a_study_differ_in_what_they_are_and_in_no_more() {
        let arms = arms(STUDY).unwrap();
        assert_eq!(get(&arms.baseline, "policy.new.experts.count"), Some(&Value::Integer(2)));
        assert_eq!(get(&arms.plain, "policy.new.experts.count"), Some(&Value::Integer(2)));
        assert_eq!(arms.method["supervised"], arms.baseline["supervised"]);
        let seeds = claim(&table(STUDY)).compares.keys_of_seed(4);
        assert_eq!(seeds, ["policy.new.seed=4", "supervised.seed=4"]);
        let switch = "\"policy.new.experts.count\" = 2";
        for other in ["train.lr", "policy.new", "policy.new.tokenizer", "policy.new.seed", "supervised.steps", "task"] {
            let parts = ["`claim.switch.\"", other, "must be of policy.new"];
            refused(STUDY, switch, &format!("{switch}\n\"{other}\" = 2e-4"), &parts);
        }
        let tuned = |key: &str| {
            format!("{switch}\n[claim.tuned.\"{key}\"]\ntrials = [1e-3, 100]\nmethod = 1e-3\nbaseline = 100")
        };
        assert!(self::arms(&STUDY.replace(switch, &tuned("supervised.lr"))).is_ok());
        refused(
            STUDY,
            switch,
            &tuned("supervised.steps"),
            &["must be supervised.lr or of train", "got supervised.steps"],
        );
        refused(STUDY, "[supervised]\n", "[other]\n", &["`supervised` must be there in a study"]);
        refused(STUDY, "[policy.new]\n", "[policy.old]\n", &["`policy.new` must be there in a study"]);
        refused(STUDY, "steps = 100", "until = { accuracy = 0.1 }", &["`supervised.until` contradicts claim.compares"]);
        refused(STUDY, "steps = 100", "seed = 1", &["`supervised.seed` contradicts claim.compares"]);
        refused(STUDY, "inner = 64", "seed = 1", &["`policy.new.seed` contradicts claim.compares"]);
        // Of methods nothing of this holds.
        assert!(self::arms(&STUDY.replace("compares = \"policies\"", "").replace("steps = 100", "seed = 1")).is_ok());
    }

    #[test]
    fn the_baseline_run_of_a_seed_is_written_in() {
        let text = TURNS.replace("turns = 3", "turns = 3\nmask = [\"{baseline}/checkpoints/last\"]");
        let arms = arms(&text).unwrap();
        assert!(Arms::reads_baseline(&arms.method));
        let method = Arms::with_baseline_directory(&arms.method, "/runs/baseline-3");
        assert_eq!(get(&method, "policy.toy.mask").unwrap()[0].as_str(), Some("/runs/baseline-3/checkpoints/last"));
        assert!(!Arms::reads_baseline(&method));
    }
}
