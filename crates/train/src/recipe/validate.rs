//! From the recipe as typed to one that can be run.

use std::fmt::Display;

use cohort_core::{
    Curriculum, Decoding, Method, Truncation,
    curriculum::{Augment, Defer, Hint},
    objective::{Mismatch, RowsAt, Staleness, Surrogate},
    reward::RewardRule,
};
use cohort_rollout::server::Push;

use cohort_model::{Selection, Targets};

use super::{
    OptimizerConfig, PolicySource, Recipe, Reward, Rollout, Source, Supervised, TaskSource, Trained,
    error::RecipeError,
    low::{BadWord, Low, ReferenceSection, SamplerSource, StageName},
};
use crate::evaluate::DevMetric;

/// Names what is wrong with a key.
struct Check<'a> {
    source: &'a Source,
}

impl Check<'_> {
    fn fail<T>(&self, key: &str, problem: &str, got: impl Display, hint: &str) -> Result<T, RecipeError> {
        Err(RecipeError::Value {
            place: self.source.place(key),
            key: key.to_owned(),
            problem: problem.to_owned(),
            got: got.to_string(),
            hint: hint.to_owned(),
        })
    }

    fn at_least(&self, key: &str, got: usize, least: usize, hint: &str) -> Result<(), RecipeError> {
        if got < least { self.fail(key, &format!("must be at least {least}"), got, hint) } else { Ok(()) }
    }

    fn finite_from(&self, key: &str, got: f64, least: f64) -> Result<(), RecipeError> {
        if got.is_finite() && got >= least {
            return Ok(());
        }
        self.fail(key, &format!("must be a finite number of at least {least}"), got, "give a number in that range")
    }

    fn above_zero(&self, key: &str, got: f64) -> Result<(), RecipeError> {
        if got.is_finite() && got > 0.0 {
            return Ok(());
        }
        self.fail(key, "must be a finite number above 0", got, "give a number in that range")
    }

    fn share(&self, key: &str, got: f64) -> Result<(), RecipeError> {
        if (0.0..=1.0).contains(&got) {
            return Ok(());
        }
        self.fail(key, "must be between 0 and 1", got, "give a share, for example 0.05")
    }
}

pub(super) fn validate(source: Source) -> Result<Recipe, RecipeError> {
    let check = Check { source: &source };
    let low = &source.low;
    if i64::try_from(low.seed).is_err() {
        return check.fail("seed", &format!("must be at most {}", i64::MAX), low.seed, "TOML has no larger integers");
    }
    let policy = policy(&check, low)?;
    let trained = trained(&check, low)?;
    let task = task(&check, low)?;
    let supervised = supervised(&check, low)?;
    let rollout = rollout(&check, low)?;
    let reward = reward(&check, low)?;
    let method = method(&source)?;
    group_size(&check, low)?;
    let optimizer = train(&check, low)?;
    let correct = correct(&check, low)?;
    evaluation(&check, low)?;
    average(&check, low, method.reads_reference() || low.curriculum.defer != Defer::None)?;
    let at = rows_at(&check, low, &rollout)?;
    let row_temperature = match at {
        RowsAt::One => 1.0,
        RowsAt::SamplingTemperature | RowsAt::Truncated => rollout.decoding.row_temperature(),
    };
    let mut low = low.clone();
    low.eval.correct = Some(correct.clone());
    low.objective.at = Some(at);
    low.stages = Some(supervised.iter().map(|_| StageName::Supervised).chain([StageName::Rl]).collect());
    Ok(Recipe {
        name: low.name.clone(),
        about: low.about.clone(),
        seed: low.seed,
        policy,
        trained,
        prompts: low.policy.prompts,
        task,
        supervised,
        rollout,
        reward,
        method,
        curriculum: curriculum(&check, &low)?,
        row_temperature,
        train: low.train.clone(),
        optimizer,
        preflight: low.preflight,
        eval: low.eval.clone(),
        log: low.log.clone(),
        correct,
        low,
    })
}

fn policy(check: &Check<'_>, low: &Low) -> Result<PolicySource, RecipeError> {
    match (&low.policy.model, &low.policy.new) {
        (Some(model), None) => Ok(PolicySource::Directory(model.clone())),
        (None, Some(new)) => {
            let sizes = [new.width, new.layers, new.heads, new.kv_heads, new.head_dim, new.inner, new.positions];
            for (key, size) in
                ["width", "layers", "heads", "kv_heads", "head_dim", "inner", "positions"].iter().zip(sizes)
            {
                check.at_least(&format!("policy.new.{key}"), size, 1, "give a size")?;
            }
            if new.heads % new.kv_heads != 0 {
                return check.fail(
                    "policy.new.kv_heads",
                    "must divide policy.new.heads",
                    new.kv_heads,
                    "for example heads = 4, kv_heads = 2",
                );
            }
            check.above_zero("policy.new.rope_theta", new.rope_theta)?;
            if new.head_dim % 2 != 0 {
                return check.fail("policy.new.head_dim", "must be even", new.head_dim, "rotary embeddings turn pairs");
            }
            Ok(PolicySource::New(new.clone()))
        }
        (None, None) => check.fail(
            "policy",
            "must say where the policy comes from",
            "neither `model` nor `new`",
            "give policy.model = \"DIR\" (a Hugging Face directory), for example with --set policy.model=DIR",
        ),
        (Some(_), Some(_)) => check.fail("policy", "must have one source", "both `model` and `new`", "remove one"),
    }
}

fn trained(check: &Check<'_>, low: &Low) -> Result<Trained, RecipeError> {
    let section = &low.policy;
    if section.adapter.is_some() {
        if section.train.is_some() {
            let hint = "remove policy.train: the adapter's configuration says what is trained; `cohort merge` makes a model of it";
            return check.fail("policy.train", "contradicts policy.adapter", "both", hint);
        }
        if section.model.is_none() {
            return check.fail(
                "policy.adapter",
                "needs the model that it is of",
                "no `model`",
                "give policy.model = \"DIR\"",
            );
        }
    }
    let selection = section.train.clone().unwrap_or_default();
    match &selection {
        Selection::All => {}
        Selection::Only(patterns) | Selection::Freeze(patterns) => {
            if patterns.is_empty() {
                let hint =
                    "for example policy.train.only = [\"model.layers.*.self_attn.*\"]; `*` stands for any characters";
                return check.fail("policy.train", "must have a pattern of parameter names", "an empty list", hint);
            }
        }
        Selection::Lora(lora) => {
            check.at_least("policy.train.lora.rank", lora.rank, 1, "for example 16")?;
            check.above_zero("policy.train.lora.alpha", lora.alpha)?;
            if !(0.0..1.0).contains(&lora.dropout) {
                let hint = "a share, for example 0.05";
                return check.fail("policy.train.lora.dropout", "must lie in [0, 1)", lora.dropout, hint);
            }
            if lora.targets == Targets::Named(Vec::new()) {
                let hint = "\"all-linear\", or a list of names such as [\"q_proj\", \"v_proj\"]";
                return check.fail("policy.train.lora.targets", "must name a linear map", "an empty list", hint);
            }
            if section.model.is_none() {
                let hint = "an adapter is stored beside a base that it names: give policy.model = \"DIR\"";
                return check.fail("policy.train.lora", "needs policy.model", "random weights", hint);
            }
        }
        Selection::Mask(masked) => check.finite_from("policy.train.mask.tolerance", masked.tolerance, 0.0)?,
    }
    Ok(Trained { selection, adapter: section.adapter.clone(), numbers: section.dtype })
}

fn task(check: &Check<'_>, low: &Low) -> Result<TaskSource, RecipeError> {
    use super::low::TaskSection;
    match (&low.task, &low.data) {
        (Some(TaskSection::Arithmetic(arithmetic)), None) => Ok(TaskSource::Arithmetic(*arithmetic)),
        (None, Some(data)) => Ok(TaskSource::Data(Box::new(data.clone()))),
        (None, None) => check.fail(
            "data",
            "must say what is trained on",
            "neither [task] nor [data]",
            "give data.path = \"FILE.jsonl\"",
        ),
        (Some(_), Some(_)) => check.fail("data", "contradicts [task]", "both", "remove one: a task makes its own data"),
    }
}

fn supervised(check: &Check<'_>, low: &Low) -> Result<Option<Supervised>, RecipeError> {
    let stages = low.stages.as_deref();
    let hint = "stages = [\"rl\"] or stages = [\"supervised\", \"rl\"]";
    match (stages, &low.supervised) {
        (None | Some([StageName::Rl]), None) => return Ok(None),
        (None | Some([StageName::Rl]), Some(_)) => {
            return check.fail("supervised", "is given, and is no stage of the recipe", "a [supervised] section", hint);
        }
        (Some([StageName::Supervised, StageName::Rl]), _) => {}
        (Some(_), _) => {
            return check.fail(
                "stages",
                "must be the rl stage, or a supervised stage and then it",
                "another order",
                hint,
            );
        }
    }
    let section = low.supervised.clone().unwrap_or_default();
    check.at_least("supervised.steps", section.steps as usize, 1, "the most steps of the stage")?;
    check.at_least("supervised.batch_size", section.batch_size, 1, "rows a step")?;
    check.at_least("supervised.save_every", section.save_every as usize, 1, "steps between checkpoints")?;
    let optimizer = OptimizerConfig::from(&section);
    optimizer_of(check, "supervised", &optimizer)?;
    if let Some(until) = &section.until {
        check.share("supervised.until.accuracy", until.accuracy)?;
        check.at_least("supervised.until.check_every", until.check_every as usize, 1, "steps between checks")?;
        check.at_least("supervised.until.prompts", until.prompts, 1, "dev prompts a check")?;
    }
    Ok(Some(Supervised { section, optimizer }))
}

/// The optimizer of a stage, whose keys stand in `section`.
fn optimizer_of(check: &Check<'_>, section: &str, config: &OptimizerConfig) -> Result<(), RecipeError> {
    check.finite_from(&format!("{section}.lr"), config.lr, 0.0)?;
    check.above_zero(&format!("{section}.clip_norm"), config.clip_norm)?;
    check.above_zero(&format!("{section}.eps"), config.eps)?;
    check.finite_from(&format!("{section}.weight_decay"), config.weight_decay, 0.0)?;
    if config.betas.iter().all(|b| (0.0..1.0).contains(b)) {
        return Ok(());
    }
    let hint = "for example [0.9, 0.999]";
    check.fail(&format!("{section}.betas"), "must both lie in [0, 1)", format!("{:?}", config.betas), hint)
}

fn rollout(check: &Check<'_>, low: &Low) -> Result<Rollout, RecipeError> {
    let section = &low.rollout;
    check.at_least("rollout.group_size", section.group_size, 1, "episodes a prompt")?;
    check.at_least("rollout.max_new_tokens", section.max_new_tokens, 1, "the cap on a completion")?;
    if !(section.temperature.is_finite() && section.temperature > 0.0) {
        return check.fail(
            "rollout.temperature",
            "must be a finite number above 0",
            section.temperature,
            "greedy episodes of one prompt are all the same, and compare with nothing",
        );
    }
    sampler(check, low)?;
    let truncation = Truncation { top_k: section.top_k, top_p: section.top_p, min_p: section.min_p };
    if let Err((name, problem)) = truncation.check() {
        let hint = "for example rollout.top_k = 50, rollout.top_p = 0.95, rollout.min_p = 0.05";
        return check.fail(&format!("rollout.{name}"), &problem, "what is written", hint);
    }
    if section.stop.iter().any(String::is_empty) {
        return check.fail("rollout.stop", "must hold texts", "an empty one", "every text contains the empty one");
    }
    if section
        .bad_words
        .iter()
        .any(|word| matches!(word, BadWord::Text(t) if t.is_empty()) || *word == BadWord::Ids(Vec::new()))
    {
        let hint = "for example rollout.bad_words = [\"\\\\boxed\", [12, 7]]: texts, and sequences of token ids";
        return check.fail("rollout.bad_words", "must hold texts and lists of ids", "an empty one", hint);
    }
    Ok(Rollout {
        strategy: section.strategy,
        sampler: section.sampler.clone(),
        group_size: section.group_size,
        decoding: Decoding::Temperature(section.temperature),
        truncation,
        max_new_tokens: section.max_new_tokens,
        stop: section.stop.clone(),
        stop_in_text: section.stop_in_text,
        bad_words: section.bad_words.clone(),
        ignore_eos: section.ignore_eos,
    })
}

/// A server's samples may be of older weights than the trainer's; a correction must then say what becomes of them.
fn sampler(check: &Check<'_>, low: &Low) -> Result<(), RecipeError> {
    let SamplerSource::Server(server) = &low.rollout.sampler else { return Ok(()) };
    if let Err((key, problem, got, hint)) = server.check(low.rollout.temperature) {
        return check.fail(&format!("rollout.sampler.server.{key}"), problem, got, hint);
    }
    let rollout = &low.rollout;
    let truncation = Truncation { top_k: rollout.top_k, top_p: rollout.top_p, min_p: rollout.min_p };
    if !truncation.is_off() || !rollout.stop.is_empty() || !rollout.bad_words.is_empty() {
        let problem = "takes no top_k, top_p, min_p, stop and bad_words: what they leave is not recorded by a server";
        let hint = "leave these keys away, or sample in this process (rollout.sampler = \"own\")";
        return check.fail("rollout.sampler", problem, "a server with one of them", hint);
    }
    if low.objective.mismatch != Mismatch::None {
        return Ok(());
    }
    let hint = "for example objective.mismatch = { truncate = { cap = 2.0 } }, or { mask = {} }";
    let problem = "must be corrected: the server samples with weights that the trainer has left behind";
    match server.push {
        Push::None => {
            check.fail("objective.mismatch", problem, "none, with rollout.sampler.server.push = \"none\"", hint)
        }
        _ if server.every > 1 => {
            let got = format!("none, with rollout.sampler.server.every = {}", server.every);
            check.fail("objective.mismatch", problem, got, hint)
        }
        _ => Ok(()),
    }
}

/// Which distribution is trained; one that is drawn from truncated must be told.
fn rows_at(check: &Check<'_>, low: &Low, rollout: &Rollout) -> Result<RowsAt, RecipeError> {
    let key = "objective.at";
    let hint = "objective.at = \"sampling_temperature\" trains the whole distribution, and records beside each log-probability \
                that under the truncated one, which objective.mismatch takes as the sampler's";
    match low.objective.at {
        Some(RowsAt::Truncated) => check.fail(
            key,
            "cannot be the truncated distribution: what is left to draw from changes with every update, and an action \
             that falls out of it has no log-probability",
            "truncated",
            hint,
        ),
        Some(at) => Ok(at),
        None if rollout.truncation.is_off() => Ok(RowsAt::default()),
        None => check.fail(
            key,
            "must say which distribution is trained, since completions are drawn from a truncated one (rollout.top_k, rollout.top_p, rollout.min_p)",
            "nothing",
            hint,
        ),
    }
}

fn reward(check: &Check<'_>, low: &Low) -> Result<Reward, RecipeError> {
    let section = &low.reward;
    if section.terms.is_empty() {
        return check.fail(
            "reward.terms",
            "must have a term",
            "none",
            "for example [reward.terms.answer] with a verifier",
        );
    }
    check.share("reward.error_budget", section.error_budget)?;
    let mut terms = Vec::with_capacity(section.terms.len());
    for (name, term) in &section.terms {
        let key = format!("reward.terms.{name}.verifier");
        let Some(verifier) = &term.verifier else {
            let hint = "give it one; only `cohort calc`, which is given the term's values, does without";
            return check.fail(&key, "must say how the term is scored", "nothing", hint);
        };
        if let Err(e) = verifier.check() {
            return check.fail(&key, "cannot be built", e, "see the verifier's parameters");
        }
        terms.push((name.clone(), term.weight, verifier.clone()));
    }
    if low.objective.surrogate == Surrogate::Likelihood && low.advantage == Default::default() {
        return check.fail(
            "objective.surrogate",
            "is not reinforcement of a compared group",
            "likelihood",
            "train given solutions in a supervised stage; rejection fine-tuning wants advantage.baseline = \"none\" with advantage.scale = \"none\"",
        );
    }
    let on_failure_of =
        section.terms.iter().filter_map(|(name, term)| Some((name.clone(), term.on_failure?))).collect();
    Ok(Reward {
        terms,
        error_budget: section.error_budget,
        on_failure: section.on_failure,
        on_failure_of,
        sandbox: section.sandbox,
    })
}

/// The mathematics of a recipe: all that `cohort calc` needs.
pub(super) fn method(source: &Source) -> Result<Method, RecipeError> {
    let check = Check { source };
    let low = &source.low;
    let mut weights = std::collections::BTreeMap::new();
    for (name, term) in &low.reward.terms {
        if !term.weight.is_finite() {
            let key = format!("reward.terms.{name}.weight");
            return check.fail(&key, "must be a finite number", term.weight, "for example 1.0");
        }
        weights.insert(name.clone(), term.weight);
    }
    for derived in &low.reward.derive {
        if weights.contains_key(&derived.into) {
            let hint = "give the derived term a name of its own";
            return check.fail("reward.derive", "must not make a term that is there", &derived.into, hint);
        }
    }
    if let Some(kl) = low.reward.kl {
        check.above_zero("reward.kl.coefficient", kl.coefficient)?;
        if low.objective.kl.is_some() {
            return check.fail(
                "objective.kl",
                "contradicts reward.kl: the divergence would count twice",
                "both",
                "keep it in the loss (objective.kl) or in the reward (reward.kl)",
            );
        }
    }
    let method = Method {
        reward: RewardRule { derive: low.reward.derive.clone(), combine: low.reward.combine.clone(), weights },
        reward_kl: low.reward.kl.map(|kl| kl.coefficient),
        advantage: low.advantage.clone(),
        weight: low.weight.clone(),
        objective: low.objective,
    };
    if let Err((key, problem)) = low.curriculum.check() {
        let hint = "`cohort methods NAME` lists a choice's parameters";
        return check.fail(&format!("curriculum.{key}"), &problem, "what is written", hint);
    }
    if let Err((key, problem)) = method.check() {
        return check.fail(&key, &problem, "what is written", "`cohort methods NAME` lists a choice's parameters");
    }
    if let Staleness::Second(why) = method.objective.staleness()
        && low.train.inner_epochs < 2
    {
        let problem = format!("must be at least 2 for this objective: {why}");
        return check.fail(
            "train.inner_epochs",
            &problem,
            low.train.inner_epochs,
            "for example train.inner_epochs = 4",
        );
    }
    Ok(method)
}

fn curriculum(check: &Check<'_>, low: &Low) -> Result<Curriculum, RecipeError> {
    let section = &low.curriculum;
    let hint = "hints and changed prompts come with a rollout strategy; `cohort calc` does without";
    if section.hint != Hint::None {
        return check.fail("curriculum.hint", "needs a rollout strategy that draws hints", "another choice", hint);
    }
    if section.augment != Augment::None {
        return check.fail("curriculum.augment", "needs a task that changes its prompts", "another choice", hint);
    }
    Ok(section.clone())
}

fn group_size(check: &Check<'_>, low: &Low) -> Result<(), RecipeError> {
    let least = low.advantage.least_group();
    if low.rollout.group_size < least {
        return check.fail(
            "rollout.group_size",
            &format!(
                "must be at least {least} for this advantage: an episode is compared with the others of its group"
            ),
            low.rollout.group_size,
            "for example rollout.group_size = 8, or advantage.baseline = \"none\" with advantage.scale = \"none\"",
        );
    }
    Ok(())
}

fn train(check: &Check<'_>, low: &Low) -> Result<OptimizerConfig, RecipeError> {
    let section = &low.train;
    check.at_least("train.steps", section.steps as usize, 1, "steps of the rl stage")?;
    check.at_least("train.prompts_per_step", section.prompts_per_step, 1, "groups a step")?;
    check.at_least("train.inner_epochs", section.inner_epochs, 1, "updates on one batch of rollouts")?;
    check.at_least("train.groups_per_block", section.groups_per_block, 1, "groups of a micro-batch")?;
    check.at_least(
        "train.save_every",
        section.save_every as usize,
        1,
        "steps between checkpoints; the last step always gets one",
    )?;
    check.at_least("train.keep_checkpoints", section.keep_checkpoints, 1, "the newest one is always kept")?;
    if let Some(workers) = section.workers {
        check.at_least("train.workers", workers, 1, "leave it out for one a core")?;
    }
    if let Some(seconds) = section.max_seconds {
        check.above_zero("train.max_seconds", seconds)?;
    }
    let optimizer = OptimizerConfig::from(section);
    optimizer_of(check, "train", &optimizer)?;
    check.at_least("preflight.prompts", low.preflight.prompts, 1, "prompts that are sampled before the rl stage")?;
    Ok(optimizer)
}

/// What is looked at on dev.
fn evaluation(check: &Check<'_>, low: &Low) -> Result<(), RecipeError> {
    let eval = &low.eval;
    check.finite_from("eval.min_delta", eval.min_delta, 0.0)?;
    if let DevMetric::PassAt { k, samples } = eval.metric {
        check.at_least("eval.metric.pass_at.k", k, 1, "samples of which one is to be right")?;
        check.at_least("eval.metric.pass_at.samples", samples.unwrap_or(k), k, "samples a prompt, no fewer than k")?;
    }
    if let Some(patience) = eval.patience {
        check.at_least("eval.patience", patience as usize, 1, "looks at dev without a gain")?;
        if eval.every == 0 {
            let hint = "give eval.every, for example 10";
            return check.fail("eval.patience", "needs looks at dev", "eval.every = 0", hint);
        }
    }
    Ok(())
}

/// The averaged weights, and who reads them.
fn average(check: &Check<'_>, low: &Low, has_reference: bool) -> Result<(), RecipeError> {
    if let Some(ema) = &low.train.ema {
        if !(0.0..1.0).contains(&ema.decay) {
            return check.fail("train.ema.decay", "must lie in [0, 1)", ema.decay, "for example 0.999");
        }
        check.at_least("train.ema.every", ema.every as usize, 1, "updates between two moves of the average")?;
    }
    match low.train.reference {
        ReferenceSection::Frozen => Ok(()),
        ReferenceSection::Ema if low.train.ema.is_none() => {
            check.fail("train.reference", "needs averaged weights", "ema", "give train.ema = { decay = 0.99 }")
        }
        ReferenceSection::Ema if !has_reference => {
            let hint = "give objective.kl or reward.kl, or leave the key out";
            check.fail("train.reference", "is read by nothing: the recipe measures no divergence", "ema", hint)
        }
        ReferenceSection::Ema => Ok(()),
    }
}

fn correct(check: &Check<'_>, low: &Low) -> Result<String, RecipeError> {
    let names: Vec<&str> = low.reward.terms.keys().map(String::as_str).collect();
    match (&low.eval.correct, names.as_slice()) {
        (Some(name), names) if names.contains(&name.as_str()) => Ok(name.clone()),
        (Some(name), names) => check.fail(
            "eval.correct",
            "must name a reward term",
            format!("{name:?}"),
            &format!("the terms are: {}", names.join(", ")),
        ),
        (None, [only]) => Ok((*only).to_owned()),
        (None, names) => check.fail(
            "eval.correct",
            "must say which reward term decides whether a completion is right",
            "nothing",
            &format!("one of: {}", names.join(", ")),
        ),
    }
}
