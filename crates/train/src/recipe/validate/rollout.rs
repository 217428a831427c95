//! How episodes are drawn, by whom, and of which distribution their rows are.

use cohort_core::{
    Decoding, Truncation,
    objective::{Mismatch, RowsAt},
};
use cohort_rollout::server::Push;

use super::check::Check;
use crate::recipe::{
    RecipeError, Rollout,
    low::{BadWord, Low, SamplerSource},
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
