//! The gap between two given answers as a score, held against labels.

use cohort_core::{
    Comparison, Fact, Noise, RowSpec, Sample, Stream, Trajectory,
    advantage::Credit,
    curriculum,
    metric::{Metric, Metrics},
    random::permutation,
    schedule::Budget,
    score::LABEL,
};
use cohort_env::Split;
use serde_json::{Value, json};

use super::{Next, Report, SCORE, Stage};
use crate::{
    account::Account,
    error::Error,
    recipe::{Recipe, Score},
    run_dir::{LogName, Tokens},
    session::Session,
    timing::{Seconds, timed},
    update::{Batch, DeadSamples, Pass},
    world::{Scores, World},
};

/// Candidates of one micro-batch, unless one list has more: a leaf of the tree of summation.
pub(crate) const CANDIDATES_PER_BLOCK: usize = 16;

/// The score stage of a recipe.
pub struct ScoreStage<'a> {
    config: &'a Score,
    scores: &'a Scores,
    order: Stream,
    draw: Stream,
    noise: Stream,
    /// Train items, list by list.
    lists: Vec<Vec<usize>>,
}

impl<'a> ScoreStage<'a> {
    pub fn new(recipe: &Recipe, config: &'a Score, world: &World, scores: &'a Scores) -> Self {
        let stream = |purpose| Stream::new(recipe.seed, purpose);
        Self {
            config,
            scores,
            order: stream("score/order"),
            draw: stream("score/candidates"),
            noise: stream("score/dropout"),
            lists: scores.lists(world.task.items(Split::Train)),
        }
    }

    /// The items of a step, list by list: of each list as many candidates as the recipe takes, in the order of the rows.
    fn chosen(&self, step: u64) -> Vec<Vec<usize>> {
        let lists = curriculum::shuffled(self.lists.len(), self.config.section.batch_size, step, self.order);
        let some = |(slot, list): (usize, usize)| {
            let all = &self.lists[list];
            let most = self.config.section.candidates.unwrap_or(all.len());
            if all.len() <= most {
                return all.clone();
            }
            let dice = self.draw.dice(step as u32, slot as u32, (step >> 32) as u32);
            let mut some: Vec<usize> = permutation(all.len(), dice).into_iter().take(most).collect();
            some.sort_unstable();
            some.into_iter().map(|c| all[c]).collect()
        };
        lists.into_iter().enumerate().map(some).collect()
    }

    /// What is written of a list: each candidate with its score and the derivative by it.
    fn lines(&self, world: &World, chosen: &[Vec<usize>], pass: Option<&Pass>) -> Vec<Value> {
        let items = world.task.items(Split::Train);
        let mut lines = Vec::new();
        for (slot, list) in chosen.iter().enumerate() {
            for (c, &item) in list.iter().enumerate() {
                let item = &items[item];
                let mut line = json!({
                    "list": slot,
                    "origin": item.origin.to_string(),
                    "prompt": item.prompt,
                    "label": self.scores.label(item),
                });
                if let Some(pass) = pass {
                    let logp = |answer: usize| pass.rows[slot][2 * c + answer].logp[0];
                    line["score"] = json!((logp(0) - logp(1)) as f32);
                    line["d_score"] = json!(pass.row_gradients[slot][2 * c].logp[0] as f32);
                }
                lines.push(line);
            }
        }
        lines
    }
}

impl Stage for ScoreStage<'_> {
    fn name(&self) -> &'static str {
        SCORE
    }

    fn log(&self) -> LogName {
        LogName::Score
    }

    fn steps(&self) -> u64 {
        self.config.section.steps
    }

    fn save_every(&self) -> u64 {
        self.config.section.save_every
    }

    fn step(&mut self, session: &mut Session<'_>, step: u64) -> Result<Report, Error> {
        let (chosen, world) = (self.chosen(step), session.world);
        let items = world.task.items(Split::Train);
        let samples: Vec<Vec<Sample>> =
            chosen.iter().map(|list| list.iter().flat_map(|&i| self.scores.samples(&items[i])).collect()).collect();
        let compare = |(list, samples): (&Vec<usize>, &Vec<Sample>)| {
            let mut trajectories: Vec<Trajectory> = samples.iter().map(Trajectory::of_sample).collect();
            for (c, (&item, answers)) in list.iter().zip(trajectories.chunks_mut(2)).enumerate() {
                for trajectory in answers {
                    trajectory.episode = c;
                    // A row without a label was refused when the task was made.
                    if let Some(label) = self.scores.label(&items[item]) {
                        trajectory.facts.insert(LABEL, Fact::Number(label));
                    }
                }
            }
            Comparison { trajectories, ..Comparison::default() }
        };
        let comparisons: Vec<Comparison> = chosen.iter().zip(&samples).map(compare).collect();
        let credits: Vec<Vec<Credit>> = samples.iter().map(|list| vec![Credit::uniform(1.0, 1); list.len()]).collect();
        let noise = || Noise { stream: self.noise, step: step as u32 };
        let batch = Batch {
            samples: samples.iter().map(|list| list.iter().collect()).collect(),
            comparisons: &comparisons,
            credits: &credits,
            blocks: blocks_of(&chosen),
            spec: RowSpec { noise: session.policy.is_noisy().then(noise), ..RowSpec::at(1.0) },
            dead: DeadSamples::Skip,
            against: Vec::new(),
        };
        let (mut seconds, mut metrics) = (Seconds::default(), Metrics::default());
        let pass = timed(&mut seconds.train, || -> Result<Option<Pass>, Error> {
            let passed =
                batch.pass(session.policy.as_ref(), &self.config.section.loss, None, session.division, step)?;
            let dump = || json!({ "rows": self.lines(world, &chosen, None) });
            let rate = session.optimizer.learning_rate(step, Budget::Steps { total: self.config.section.steps });
            session.update(passed, rate, step, &mut metrics, dump)
        })?;
        let examples: usize = chosen.iter().map(Vec::len).sum();
        metrics.add("examples", Metric::Sum(examples as f64));
        Ok(Report {
            metrics,
            rollouts: String::new(),
            rows: self.lines(world, &chosen, pass.as_ref()),
            seconds,
            tokens: Tokens::default(),
            examples: examples as u64,
            account: Account::default(),
        })
    }

    fn after(&mut self, _: &mut Session<'_>, _: u64) -> Result<Next, Error> {
        Ok(Next::Go)
    }
}

/// Neighbouring lists, as many as have [`CANDIDATES_PER_BLOCK`] candidates.
fn blocks_of(lists: &[Vec<usize>]) -> Vec<std::ops::Range<usize>> {
    let (mut blocks, mut first, mut held) = (Vec::new(), 0, 0);
    for (g, list) in lists.iter().enumerate() {
        if held > 0 && held + list.len() > CANDIDATES_PER_BLOCK {
            blocks.push(first..g);
            (first, held) = (g, 0);
        }
        held += list.len();
    }
    blocks.push(first..lists.len());
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_whole_lists() {
        let lists = |sizes: &[usize]| sizes.iter().map(|&n| vec![0; n]).collect::<Vec<_>>();
        assert_eq!(blocks_of(&lists(&[1; 20])), [0..16, 16..20]);
        assert_eq!(blocks_of(&lists(&[8, 8, 8])), [0..2, 2..3]);
        assert_eq!(blocks_of(&lists(&[40, 3, 40])), [0..1, 1..2, 2..3], "a longer list stands alone");
    }
}
