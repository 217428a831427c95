//! The mathematics of a recipe, and what it asks of groups and prompts.

use cohort_core::{Curriculum, Method, curriculum::Augment, objective::Staleness, reward::RewardRule};

use super::check::Check;
use crate::recipe::{RecipeError, Source, low::Low};

/// The mathematics of a recipe: all that `cohort calc` needs.
pub(in crate::recipe) fn method(source: &Source) -> Result<Method, RecipeError> {
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
        reward: RewardRule {
            derive: low.reward.derive.clone(),
            combine: low.reward.combine.clone(),
            weights,
            control: low.reward.control,
        },
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

pub(super) fn curriculum(check: &Check<'_>, low: &Low) -> Result<Curriculum, RecipeError> {
    let section = &low.curriculum;
    let hint = "`cohort calc` does without";
    if section.augment != Augment::None {
        return check.fail("curriculum.augment", "needs a task that changes its prompts", "another choice", hint);
    }
    Ok(section.clone())
}

pub(super) fn group_size(check: &Check<'_>, low: &Low) -> Result<(), RecipeError> {
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
