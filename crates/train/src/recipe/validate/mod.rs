//! From the recipe as typed to one that can be run.

mod check;
mod method;
mod policy;
mod rollout;
mod stages;

use std::collections::BTreeMap;

use cohort_core::{
    Precision,
    advantage::Scope,
    curriculum::Defer,
    objective::{RowsAt, Surrogate},
};
use cohort_env::TaskError;

pub(super) use self::method::method;
use self::{
    check::Check,
    method::{curriculum, group_size},
    policy::{policy, trained},
    rollout::{rollout, rows_at},
    stages::{optimizer_of, reward_model, score, stages, supervised, unaveraged},
};
use super::{
    OptimizerConfig, Recipe, Reward, Source, TaskSource,
    error::RecipeError,
    low::{Low, ReferenceSection},
};
use crate::evaluate::{DevMetric, detectors};

pub(super) fn validate(source: Source) -> Result<Recipe, RecipeError> {
    let check = Check { source: &source };
    let low = &source.low;
    if i64::try_from(low.seed).is_err() {
        return check.fail("seed", &format!("must be at most {}", i64::MAX), low.seed, "TOML has no larger integers");
    }
    device(&check, low)?;
    let policy = policy(&check, low)?;
    let trained = trained(&check, low)?;
    let task = task(&check, low)?;
    let stages = stages(&check, low)?;
    let supervised = supervised(&check, low, &stages)?;
    let reward_model = reward_model(&check, low, &stages)?;
    let score = score(&check, low, &stages)?;
    let rollout = rollout(&check, low)?;
    let reward = reward(&check, low)?;
    let method = method(&source)?;
    group_size(&check, low)?;
    let optimizer = train(&check, low)?;
    let max_tokens = max_tokens(&check, low)?;
    let correct = correct(&check, low)?;
    evaluation(&check, low)?;
    let has_reference = method.reads_reference() || method.objective.reads_kl_ref();
    average(&check, low, has_reference || low.curriculum.defer != Defer::None)?;
    unaveraged(&check, low, &stages)?;
    let at = rows_at(&check, low, &rollout)?;
    let row_temperature = match at {
        RowsAt::One => 1.0,
        RowsAt::SamplingTemperature | RowsAt::Truncated => rollout.decoding.row_temperature(),
    };
    let mut low = low.clone();
    low.eval.correct = Some(correct.clone());
    low.objective.at = Some(at);
    low.train.max_tokens = max_tokens;
    low.stages = Some(stages.clone());
    low.score = score.as_ref().map(|score| score.section.clone());
    Ok(Recipe {
        name: low.name.clone(),
        about: low.about.clone(),
        seed: low.seed,
        device: low.device,
        policy,
        trained,
        compute: low.policy.compute,
        prompts: low.policy.prompts,
        task,
        stages,
        supervised,
        reward_model,
        score,
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

/// The device is built in, and nothing is asked of it that the processor alone does.
fn device(check: &Check<'_>, low: &Low) -> Result<(), RecipeError> {
    let (device, objective) = (low.device, &low.objective);
    if !device.kind.is_built() {
        let name = device.kind.name();
        let hint = format!(
            "build it in with `cargo build --release --features {name}`; `cohort doctor` lists the devices of a program"
        );
        return check.fail(
            "device",
            "names a device that this program was built without",
            format!("\"{device}\""),
            &hint,
        );
    }
    if device.is_host() {
        return Ok(());
    }
    let hint =
        format!("leave it away, or set device = \"cpu\"; {device} runs products in f32 and rows of logp and entropy");
    if low.policy.compute != Precision::F32 {
        return check.fail("policy.compute", &format!("is not known to {device}"), "\"bf16\"", &hint);
    }
    if objective.reads_kl_old() || objective.reads_kl_ref() {
        let problem = format!("measures an exact divergence, which {device} does not");
        return check.fail("objective", &problem, "one that reads kl_old or kl_ref", &hint);
    }
    Ok(())
}

fn task(check: &Check<'_>, low: &Low) -> Result<TaskSource, RecipeError> {
    match (&low.task, &low.data) {
        (Some(task), None) => match task.check() {
            Err(TaskError::Refused { key, problem, got, hint }) => check.fail(&key, &problem, got, &hint),
            // What else there may be is known when the items are made.
            Ok(()) | Err(_) => Ok(TaskSource::Generated(task.clone())),
        },
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

/// The tokens that the rl stage may sample: a claim's budget is one.
fn max_tokens(check: &Check<'_>, low: &Low) -> Result<Option<u64>, RecipeError> {
    let claimed = low.claim.as_ref().and_then(|claim| claim.tokens);
    match (claimed, low.train.max_tokens) {
        (Some(claimed), Some(given)) if claimed != given => check.fail(
            "train.max_tokens",
            "contradicts claim.tokens",
            given,
            &format!("leave it out: a claim's budget is the stage's, {claimed} tokens"),
        ),
        (claimed, given) => Ok(claimed.or(given)),
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
    let mut facts: BTreeMap<String, BTreeMap<String, String>> =
        section.terms.iter().map(|(name, term)| (name.clone(), term.facts.clone())).collect();
    for name in &low.eval.detectors {
        let Some(of_term) = facts.get_mut(name) else {
            let names: Vec<&str> = section.terms.keys().map(String::as_str).collect();
            let hint = format!("the terms are: {}", names.join(", "));
            return check.fail("eval.detectors", "must name reward terms", format!("{name:?}"), &hint);
        };
        of_term.entry(detectors::fact(name)).or_insert_with(|| detectors::AGAINST.to_owned());
    }
    let told: Vec<&String> = facts.values().flat_map(BTreeMap::keys).collect();
    if let Some(twice) = told.iter().enumerate().find(|(i, name)| told[..*i].contains(name)).map(|(_, name)| *name) {
        let hint = "give one of them another name, and the method that reads it too";
        return check.fail("reward.terms", "must not give one fact twice", twice, hint);
    }
    if let Some(segments) = section.segments.as_ref().filter(|segments| !told.contains(&&segments.rewards)) {
        let hint =
            "reward.terms.NAME.facts = { gains = \"gains\" } takes the list that a verifier such as rank_gains tells";
        return check.fail("reward.segments.rewards", "must name a fact of a term", &segments.rewards, hint);
    }
    let scope = &low.advantage.scope;
    if matches!(scope, Scope::Segment { .. }) && section.segments.is_none() {
        let hint = "give reward.segments, for example { cut.lines = { most = 5 }, rewards = \"gains\" }";
        return check.fail("advantage.scope", "compares parts, and none is rewarded", "segment", hint);
    }
    Ok(Reward {
        terms,
        facts,
        segments: section.segments.clone(),
        error_budget: section.error_budget,
        on_failure: section.on_failure,
        on_failure_of,
        sandbox: section.sandbox,
    })
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
