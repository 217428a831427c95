//! How well a split's lists are ordered by scores.

use cohort_core::{Group, Policy, RowSpec, Sample, gain};

use super::{ACCURACY, Evaluation, Plan};
use crate::{
    error::Error,
    worker::Workers,
    world::{Scores, World},
};

/// Items whose rows are computed together.
const ITEMS_PER_BLOCK: usize = 16;

/// Adds what scores tell of the first `n` items of a plan's split: `score/ndcg@K`, the mean over the lists that hold anything relevant, with gains
/// that are labels and equal scores sharing their places; `score/ties`, the share of a list's pairs that have equal scores; and, of greedy completions,
/// `score/valid`, the share that are one of the two answers and nothing else.
pub(super) fn tell(
    plan: &Plan<'_>,
    world: &World,
    (policy, workers): (&dyn Policy, Workers),
    n: usize,
    greedy: &[Group],
    result: &mut Evaluation,
) -> Result<(), Error> {
    let (Some(scores), Some(k)) = (&world.scores, plan.places) else { return Ok(()) };
    let items = &world.task.items(plan.split)[..n];
    let of_items = score(scores, world, plan, (policy, workers), n)?;
    let (mut gains, mut ties) = (Vec::new(), Vec::new());
    for list in scores.lists(items) {
        let of_list: Vec<f64> = list.iter().map(|&i| of_items[i]).collect();
        let labels: Vec<f64> = list.iter().filter_map(|&i| scores.label(&items[i])).collect();
        gains.extend(gain::ndcg_of_scores(&of_list, &labels, k));
        ties.extend(gain::ties(&of_list));
    }
    result.mean(&format!("score/ndcg@{k}"), &gains, ACCURACY);
    result.mean("score/ties", &ties, ACCURACY);
    let is_valid = |group: &Group| {
        let said = group.episodes.first().and_then(|episode| episode.samples.last());
        said.is_some_and(|sample| scores.texts.contains(&world.completion(sample)))
    };
    let valid: Vec<f64> = greedy.iter().map(|group| f64::from(u8::from(is_valid(group)))).collect();
    result.mean("score/valid", &valid, ACCURACY);
    Ok(())
}

/// The score of each of the first `n` items, in nats at temperature 1.
fn score(
    scores: &Scores,
    world: &World,
    plan: &Plan<'_>,
    (policy, workers): (&dyn Policy, Workers),
    n: usize,
) -> Result<Vec<f64>, Error> {
    let items = &world.task.items(plan.split)[..n];
    let blocks: Vec<_> = items.chunks(ITEMS_PER_BLOCK).collect();
    let rows = workers.map("the scores of an evaluation", blocks.len(), |block| {
        let samples: Vec<Sample> = blocks[block].iter().flat_map(|item| scores.samples(item)).collect();
        let rows = policy.rows(&samples.iter().collect::<Vec<_>>(), RowSpec::at(1.0));
        rows.map_err(|source| Error::Policy { step: plan.step, source })
    })?;
    let rows: Vec<f64> = rows.into_iter().flatten().map(|rows| rows.logp[0]).collect();
    Ok(rows.chunks(2).map(|answers| answers[0] - answers[1]).collect())
}
