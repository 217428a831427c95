//! Which stages a recipe has, and those that are not the rl stage.

use std::collections::BTreeSet;

use cohort_env::VerifierConfig;

use super::check::Check;
use crate::recipe::{
    OptimizerConfig, RecipeError, Score, Supervised,
    low::{Low, RewardModelSection, StageName},
};

/// The stages in their order.
pub(super) fn stages(check: &Check<'_>, low: &Low) -> Result<Vec<StageName>, RecipeError> {
    let stages = low.stages.clone().unwrap_or_else(|| vec![StageName::Rl]);
    let hint =
        "any of supervised, reward_model, rl and score, in this order: for example stages = [\"supervised\", \"rl\"]";
    if stages.is_empty() {
        return check.fail("stages", "must name a stage", "none", hint);
    }
    match stages.is_sorted_by(|a, b| a < b) {
        true => Ok(stages),
        false => check.fail("stages", "must be in order, and each once", "another order", hint),
    }
}

pub(super) fn supervised(
    check: &Check<'_>,
    low: &Low,
    stages: &[StageName],
) -> Result<Option<Supervised>, RecipeError> {
    if !stages.contains(&StageName::Supervised) {
        let hint = "stages = [\"supervised\", \"rl\"], or leave the section out";
        return match low.supervised {
            None => Ok(None),
            Some(_) => {
                check.fail("supervised", "is given, and is no stage of the recipe", "a [supervised] section", hint)
            }
        };
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

/// The models that a run trains, and the terms that read them.
pub(super) fn reward_model(
    check: &Check<'_>,
    low: &Low,
    stages: &[StageName],
) -> Result<Option<RewardModelSection>, RecipeError> {
    let is_stage = stages.contains(&StageName::RewardModel);
    let section = match (&low.reward_model, is_stage) {
        (None, false) => None,
        (Some(section), true) => Some(section),
        (None, true) => {
            let hint = "give [reward_model.models.NAME] with its family and the column of what is right";
            return check.fail("reward_model", "is a stage, and trains nothing", "no [reward_model] section", hint);
        }
        (Some(_), false) => {
            let hint = "stages = [\"supervised\", \"reward_model\", \"rl\"], or leave the section out";
            let got = "a [reward_model] section";
            return check.fail("reward_model", "is given, and is no stage of the recipe", got, hint);
        }
    };
    let trained = section.map_or_else(BTreeSet::new, |section| section.models.keys().collect());
    let mut read = BTreeSet::new();
    for (name, term) in &low.reward.terms {
        let Some(VerifierConfig::Trained(reader)) = &term.verifier else { continue };
        if !trained.contains(&reader.model) {
            let key = format!("reward.terms.{name}.verifier.trained.model");
            let hint = "reward_model.models names them, and stages must have reward_model";
            return check.fail(&key, "must name a model that the run trains", format!("{:?}", reader.model), hint);
        }
        read.insert(&reader.model);
    }
    let Some(section) = section else { return Ok(None) };
    if !stages.contains(&StageName::Rl) {
        let hint = "stages = [\"supervised\", \"reward_model\", \"rl\"]";
        return check.fail("stages", "must have rl behind reward_model: its terms read the models", "no rl", hint);
    }
    check.at_least("reward_model.models", section.models.len(), 1, "give [reward_model.models.NAME]")?;
    check.at_least("reward_model.steps", section.steps as usize, 1, "steps of the stage")?;
    check.at_least("reward_model.batch_size", section.batch_size, 1, "rows a step")?;
    check.at_least("reward_model.samples", section.samples, 1, "answers of the policy a row")?;
    check.at_least("reward_model.save_every", section.save_every as usize, 1, "steps between checkpoints")?;
    for (name, model) in &section.models {
        if let Err((key, problem)) = model.family.check() {
            let (key, hint) =
                (format!("reward_model.models.{name}.family.{key}"), "`cohort explain` lists the parameters");
            return check.fail(&key, &problem, "what is written", hint);
        }
        if !read.contains(name) {
            let hint = format!(
                "give a term verifier.trained = {{ model = \"{name}\" }}, of weight 0 where it is only looked at"
            );
            return check.fail(&format!("reward_model.models.{name}"), "is read by no reward term", name, &hint);
        }
    }
    Ok(Some(section.clone()))
}

/// What a score is: for the stage, for evaluations, or for both.
pub(super) fn score(check: &Check<'_>, low: &Low, stages: &[StageName]) -> Result<Option<Score>, RecipeError> {
    let is_stage = stages.contains(&StageName::Score);
    if let Some(look) = &low.eval.score {
        check.at_least("eval.score.k", look.k, 1, "places of a list that count, for example 10")?;
    }
    let section = match (&low.score, is_stage, low.eval.score.is_some()) {
        (None, false, false) => return Ok(None),
        (None, false, true) => {
            let hint = "give [score] with its alternatives, label and group";
            return check.fail("eval.score", "needs [score]: what a score is", "no [score] section", hint);
        }
        (Some(_), false, false) => {
            let hint =
                "stages = [\"rl\", \"score\"] trains scores, eval.score = {} measures them; or leave the section out";
            return check.fail("score", "is given, and nothing reads it", "a [score] section", hint);
        }
        (section, ..) => section.clone().unwrap_or_default(),
    };
    let [yes, no] = &section.alternatives;
    if yes == no || yes.is_empty() || no.is_empty() {
        let hint = "yes and no, such as [\"1\", \"0\"]";
        return check.fail("score.alternatives", "must be two different texts", format!("{yes:?}, {no:?}"), hint);
    }
    check.at_least("score.steps", section.steps as usize, 1, "steps of the score stage")?;
    check.at_least("score.batch_size", section.batch_size, 1, "lists a step")?;
    check.at_least("score.save_every", section.save_every as usize, 1, "steps between checkpoints")?;
    if let Some(candidates) = section.candidates {
        check.at_least("score.candidates", candidates, 1, "candidates of a list, for example 8")?;
        if section.group.is_none() {
            let hint = "give score.group, or leave the key out: without a group each row is a list of its own";
            return check.fail("score.candidates", "needs lists", candidates, hint);
        }
    }
    let optimizer = OptimizerConfig::from(&section);
    optimizer_of(check, "score", &optimizer)?;
    if let Err((key, problem)) = section.loss.check() {
        let hint = "`cohort methods score.NAME` lists a loss's parameters";
        return check.fail(&format!("score.loss.{key}"), &problem, "what is written", hint);
    }
    if is_stage && section.loss.compares() && section.group.is_none() {
        let hint =
            "give score.group, the column that the rows of one list share, or a loss of single rows: score.loss.bce";
        return check.fail(
            "score.loss",
            "compares the candidates of a list, and there are no lists",
            "no score.group",
            hint,
        );
    }
    if is_stage && section.loss.compares() && section.candidates == Some(1) {
        let hint = "at least 2, or leave it out";
        return check.fail("score.candidates", "must be more than one for a loss that compares", 1, hint);
    }
    Ok(Some(Score { section, optimizer }))
}

/// An average of weights is of the last stage, or of none.
pub(super) fn unaveraged(check: &Check<'_>, low: &Low, stages: &[StageName]) -> Result<(), RecipeError> {
    match low.train.ema {
        Some(_) if stages.contains(&StageName::Score) => {
            let hint =
                "leave it out: the average is of the rl stage, and the score stage goes on from the last weights";
            check.fail("train.ema", "contradicts the score stage", "both", hint)
        }
        _ => Ok(()),
    }
}

/// The optimizer of a stage, whose keys stand in `section`.
pub(super) fn optimizer_of(check: &Check<'_>, section: &str, config: &OptimizerConfig) -> Result<(), RecipeError> {
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
