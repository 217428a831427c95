//! How episodes are drawn, by whom, and of which distribution their rows are.

use cohort_core::{
    Decoding, Truncation,
    curriculum::Hint,
    objective::{Mismatch, RowsAt},
};
use cohort_rollout::{Fault, RoundConfig, ScoredUnder, StrategyConfig, server::Push};

use super::check::Check;
use crate::{
    recipe::{
        RecipeError, Rollout,
        low::{BadWord, Low, SamplerSource},
    },
    sampling::MAX_TURNS,
};

pub(super) fn rollout(check: &Check<'_>, low: &Low) -> Result<Rollout, RecipeError> {
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
    strategy(check, low)?;
    thinking(check, low)?;
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
        strategy: section.strategy.clone(),
        rounds: section.rounds.clone(),
        hint: section.hint.clone(),
        sampler: section.sampler.clone(),
        group_size: section.group_size,
        thinking: section.thinking.clone(),
        decoding: Decoding::Temperature(section.temperature),
        truncation,
        max_new_tokens: section.max_new_tokens,
        stop: section.stop.clone(),
        stop_in_text: section.stop_in_text,
        bad_words: section.bad_words.clone(),
        ignore_eos: section.ignore_eos,
    })
}

/// The strategy, its rounds and its hints, and whether they go together.
fn strategy(check: &Check<'_>, low: &Low) -> Result<(), RecipeError> {
    let section = &low.rollout;
    let refuse = |Fault { key, problem }: Fault| {
        let key = match key.split('.').next() {
            Some("rounds" | "hint") => format!("rollout.{key}"),
            _ => format!("rollout.strategy.{key}"),
        };
        check.fail(&key, &problem, "what is written", "`cohort explain rollout` lists the keys")
    };
    section.strategy.check(section.group_size, section.rounds.len(), section.temperature).or_else(refuse)?;
    section.rounds.iter().try_for_each(RoundConfig::check).or_else(refuse)?;
    if section.rounds.len() > MAX_TURNS {
        let got = section.rounds.len();
        return check.fail("rollout.rounds", &format!("must be at most {MAX_TURNS}"), got, "leave some away");
    }
    let levels = match low.curriculum.hint {
        Hint::None => 0,
        Hint::Adaptive { levels, .. } | Hint::Ladder { levels, .. } => levels,
        Hint::AllFail { .. } => 1,
    };
    match &section.hint {
        None if levels == 0 => {}
        None => {
            let hint = "for example rollout.hint.levels.texts = [\" hint: {{ hint }}\"]";
            return check.fail("curriculum.hint", "needs rollout.hint: what a hint says", "no rollout.hint", hint);
        }
        Some(_) if levels == 0 => {
            let hint = "give curriculum.hint, for example ladder = { levels = 2 }, or leave rollout.hint away";
            return check.fail("rollout.hint", "is read by nothing: the curriculum gives no hint", "a section", hint);
        }
        Some(hint) => {
            hint.check().or_else(refuse)?;
            if hint.levels() < levels as usize {
                let problem = format!("must have {levels} levels, as curriculum.hint has");
                return check.fail("rollout.hint.levels", &problem, hint.levels(), "add texts, or lower the levels");
            }
            if hint.scored == ScoredUnder::Plain && section.rounds.len() > 1 {
                let problem = "must be \"hinted\" with several rounds: later ones stand behind the hinted prompt";
                return check.fail("rollout.hint.scored", problem, "plain", "leave it away");
            }
        }
    }
    let is_plain =
        section.strategy == StrategyConfig::Independent && section.rounds.is_empty() && section.hint.is_none();
    if !is_plain && section.sampler != SamplerSource::Own {
        let problem = "draws independent answers of one turn alone: what a strategy asks of it cannot be drawn again after a kill";
        return check.fail("rollout.sampler", problem, "a server with another strategy", "leave rollout.sampler away");
    }
    Ok(())
}

/// What thoughts are made of, and whether everything else knows soft tokens.
fn thinking(check: &Check<'_>, low: &Low) -> Result<(), RecipeError> {
    let (section, key) = (&low.rollout, "rollout.thinking");
    if let Err(Fault { key, problem }) = section.thinking.check() {
        let hint = "for example rollout.thinking.soft = { until = \"</think>\", top_k = 5, top_p = 0.95, tau = 0.1 }";
        return check.fail(&format!("rollout.{key}"), &problem, "what is written", hint);
    }
    if section.thinking.is_discrete() {
        return Ok(());
    }
    let hint = "leave rollout.thinking away";
    if !section.strategy.draws_whole_samples() {
        let problem = "cannot be soft with a strategy whose samples go on from parts of others";
        return check.fail(key, problem, "soft, with exits, tree or explained", hint);
    }
    if section.sampler != SamplerSource::Own {
        return check.fail(key, "cannot be soft where a server samples: it is fed ids", "soft", hint);
    }
    if section.hint.is_some() {
        return check.fail(key, "cannot be soft with hints", "soft, with rollout.hint", hint);
    }
    if low.objective.reads_kl_old() || low.objective.reads_kl_ref() {
        let hint = "take an estimator of log-probabilities: k1, k2 or k3";
        let problem = "cannot be soft where an exact divergence is measured: that is of distributions over tokens";
        return check.fail(key, problem, "soft, with an objective that reads kl_old or kl_ref", hint);
    }
    Ok(())
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
pub(super) fn rows_at(check: &Check<'_>, low: &Low, rollout: &Rollout) -> Result<RowsAt, RecipeError> {
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
