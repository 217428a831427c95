//! How well reward terms tell a policy's completions from texts that a human wrote.

use cohort_core::{Group, detection, detection::Judged};

use super::Evaluation;
use crate::world::World;

/// The fact under which a verifier tells its value of the row's human text.
pub const AGAINST: &str = "against";

/// Share of human texts that may be taken for a policy's.
const FALSE_POSITIVES: f64 = 0.01;

/// The name under which an episode keeps that fact of a term.
pub fn fact(term: &str) -> String {
    format!("{AGAINST}/{term}")
}

/// Of every term that is asked for as a detector `auroc/TERM`, `auroc@right/TERM` (a completion that is not right counts as found: what has lost its meaning escapes
/// nobody) and `tpr@0.01/TERM`, under names that end with `suffix`: its values of the greedy completions against those
/// of the human texts. An item of which either is missing is left out; nothing of a term that tells of no human text.
pub(super) fn tell(world: &World, greedy: &[&Group], suffix: &str, result: &mut Evaluation) {
    for (index, term) in world.terms.iter().enumerate() {
        let fact = fact(&term.name);
        if !term.facts.contains_key(&fact) {
            continue;
        }
        let episodes = greedy.iter().flat_map(|group| &group.episodes);
        let judged = episodes.filter_map(|episode| {
            let negative = episode.facts.number(&fact).filter(|value| value.is_finite())?;
            let judged = Judged { positive: episode.rewards.get(index)?.value()?, negative };
            let found = if world.is_correct(episode) { judged } else { Judged { positive: f64::MAX, ..judged } };
            Some((judged, found))
        });
        let (judged, right): (Vec<Judged>, Vec<Judged>) = judged.unzip();
        let area_of_right = detection::auroc_with_interval(&right);
        let area = detection::auroc_with_interval(&judged);
        let rate = detection::true_positive_rate_with_interval(&judged, FALSE_POSITIVES);
        for (name, number) in [
            ("auroc".to_owned(), area),
            ("auroc@right".to_owned(), area_of_right),
            (format!("tpr@{FALSE_POSITIVES}"), rate),
        ] {
            if let Some((value, interval)) = number {
                result.set(&format!("{name}/{}{suffix}", term.name), value, interval);
            }
        }
    }
}
