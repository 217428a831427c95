//! Likelihood of a task's worked solutions: a cold start.

use cohort_core::{
    Comparison, Method, Noise, RowSpec, Sample, Stream, Trajectory,
    advantage::Credit,
    curriculum,
    metric::{Metric, Metrics},
    objective::Objective,
    schedule::Budget,
};
use cohort_env::Split;
use serde_json::json;

use super::{Next, Report, SUPERVISED, Stage};
use crate::{
    account::Account,
    error::Error,
    evaluate::{Greedy, Plan},
    recipe::{Place, RecipeError, Supervised},
    run_dir::{LogName, Tokens},
    session::Session,
    timing::{Seconds, timed},
    update::{Batch, DeadSamples},
};

/// Rows of one micro-batch: a leaf of the tree of summation.
pub(crate) const ROWS_PER_BLOCK: usize = 32;

pub struct SupervisedStage<'a> {
    config: &'a Supervised,
    order: Stream,
    method: Method,
    /// Train items with a worked solution.
    rows: Vec<usize>,
}

impl<'a> SupervisedStage<'a> {
    /// # Errors
    /// The task has no worked solution at all, or no dev split where one decides the end.
    pub fn new(config: &'a Supervised, world: &crate::world::World, name: &str) -> Result<Self, Error> {
        let items = world.task.items(Split::Train);
        let rows: Vec<usize> = (0..items.len()).filter(|&i| items[i].solution.is_some()).collect();
        let missing = |key: &str, problem: &str, hint: &str| {
            let place = Place::Absent { file: name.to_owned() };
            let (key, problem, hint) = (key.to_owned(), problem.to_owned(), hint.to_owned());
            Error::Recipe(RecipeError::Value { place, key, problem, got: "none".to_owned(), hint })
        };
        if rows.is_empty() {
            return Err(missing(
                "supervised",
                "needs worked solutions",
                "give data.solution, or leave the supervised stage out",
            ));
        }
        if config.section.until.is_some() && world.task.items(Split::Dev).is_empty() {
            return Err(missing("supervised.until", "needs a dev split", "set rows aside with data.dev"));
        }
        let order = Stream::new(config.section.seed, "supervised/order");
        let method = Method { objective: Objective::likelihood(), ..Method::default() };
        Ok(Self { config, order, method, rows })
    }
}

impl Stage for SupervisedStage<'_> {
    fn name(&self) -> &'static str {
        SUPERVISED
    }

    fn log(&self) -> LogName {
        LogName::Supervised
    }

    fn steps(&self) -> u64 {
        self.config.section.steps
    }

    fn save_every(&self) -> u64 {
        self.config.section.save_every
    }

    fn step(&mut self, session: &mut Session<'_>, step: u64) -> Result<Report, Error> {
        let chosen = curriculum::shuffled(self.rows.len(), self.config.section.batch_size, step, self.order);
        let items = session.world.task.items(Split::Train);
        let samples: Vec<Sample> = chosen
            .iter()
            .filter_map(|&i| {
                let item = &items[self.rows[i]];
                Some(Sample::given(item.context.clone(), item.solution.as_ref()?))
            })
            .collect();
        let groups: Vec<Vec<&Sample>> = samples.chunks(ROWS_PER_BLOCK).map(|chunk| chunk.iter().collect()).collect();
        let compare = |group: &Vec<&Sample>| Comparison {
            trajectories: group.iter().map(|sample| Trajectory::of_sample(sample)).collect(),
            ..Comparison::default()
        };
        let comparisons: Vec<Comparison> = groups.iter().map(compare).collect();
        let ones = |group: &Vec<&Sample>| group.iter().map(|s| Credit::uniform(1.0, s.actions.len())).collect();
        let credits: Vec<Vec<Credit>> = groups.iter().map(ones).collect();
        let blocks = (0..groups.len()).map(|g| g..g + 1).collect();
        let mut seconds = Seconds::default();
        let noise = || Noise { stream: Stream::new(self.config.section.seed, "supervised/dropout"), step: step as u32 };
        let spec = RowSpec { noise: session.policy.is_noisy().then(noise), ..RowSpec::at(1.0) };
        let batch = Batch {
            samples: groups,
            comparisons: &comparisons,
            credits: &credits,
            blocks,
            spec,
            dead: DeadSamples::Skip,
            against: Vec::new(),
        };
        let mut metrics = Metrics::default();
        timed(&mut seconds.train, || -> Result<(), Error> {
            let passed = batch.pass(session.policy.as_ref(), &self.method, None, session.division, step)?;
            let dump = || json!({ "rows": chosen.iter().map(|&i| items[self.rows[i]].origin.to_string()).collect::<Vec<_>>() });
            let rate = session.optimizer.learning_rate(step, Budget::Steps { total: self.config.section.steps });
            session.update(passed, rate, step, &mut metrics, dump).map(drop)
        })?;
        let trained: usize = samples.iter().map(|s| s.actions.len()).sum();
        metrics.add("tokens/trained", Metric::Sum(trained as f64));
        Ok(Report {
            metrics,
            rollouts: String::new(),
            rows: Vec::new(),
            seconds,
            tokens: Tokens::default(),
            // All seeds share one cold start, which may come from the cache.
            examples: 0,
            account: Account::default(),
        })
    }

    fn after(&mut self, session: &mut Session<'_>, step: u64) -> Result<Next, Error> {
        let Some(until) = self.config.section.until.filter(|u| step.is_multiple_of(u.check_every)) else {
            return Ok(Next::Go);
        };
        let plan = Plan {
            split: Split::Dev,
            limit: Some(until.prompts),
            by: None,
            places: None,
            greedy: Greedy::No,
            samples: 1,
            decoding: session.recipe.rollout.decoding,
            max_actions: session.recipe.rollout.max_new_tokens,
            stream: Stream::new(self.config.section.seed, "supervised/dev"),
            step,
        };
        let evaluation = session.timed_eval(|s| plan.run(s.world, s.policy.as_ref(), s.workers))?.evaluation;
        session.note_evaluation(self.name(), "dev", step, &evaluation, LogName::Supervised)?;
        let accuracy = evaluation.get("pass@1").unwrap_or(0.0);
        if accuracy >= until.accuracy {
            let reason = format!("{:.1} % of the sampled dev answers are right", 100.0 * accuracy);
            return Ok(Next::End(reason));
        }
        Ok(Next::Go)
    }
}
