//! By which number on dev checkpoints are compared, and when a run has stopped getting better.

use cohort_core::{Context, Decoding, Group, Policy, RowSpec, Sample, Stream, pass_at_k};
use cohort_env::Split;
use serde::{Deserialize, Serialize};

use super::{Evaluated, Evaluation, Greedy, Plan};
use crate::{error::Error, recipe::Recipe, worker::Workers, world::World};

/// What is looked at on dev, and compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DevMetric {
    /// Share of prompts whose most probable completion is right. More is better.
    #[default]
    Greedy,
    /// The probability that at least one of `k` samples is right, unbiased from `samples` (Chen et al. 2021,
    /// arXiv 2107.03374). More is better.
    PassAt {
        /// Samples of which one must be right; at least 1.
        k: usize,
        /// At least `k`, which it is unless told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<usize>,
    },
    /// Mean value of a reward term over the most probable completions; those that it could not score are left out. More
    /// is better.
    Reward {
        /// Its name.
        term: String,
    },
    /// Mean of `-logp` over the tokens of the worked solutions, in nats, at temperature 1. Less is better.
    Loss,
}

impl DevMetric {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// For people and logs.
    pub fn name(&self) -> String {
        match self {
            DevMetric::Greedy => "greedy".to_owned(),
            DevMetric::PassAt { k, .. } => format!("pass@{k}"),
            DevMetric::Reward { term } => format!("reward/{term}"),
            DevMetric::Loss => "loss".to_owned(),
        }
    }

    /// How much better `value` is than `than`.
    pub fn gain(&self, value: f64, than: f64) -> f64 {
        match self {
            DevMetric::Loss => than - value,
            DevMetric::Greedy | DevMetric::PassAt { .. } | DevMetric::Reward { .. } => value - than,
        }
    }

    /// Evaluates `policy` on the first `eval.dev_limit` prompts of dev. The metric is among the evaluation's numbers under
    /// its name; `None` where nothing of it could be measured.
    pub fn measure(
        &self,
        recipe: &Recipe,
        world: &World,
        policy: &dyn Policy,
        workers: Workers,
        step: u64,
    ) -> Result<(Evaluation, Option<f64>), Error> {
        let samples = match self {
            DevMetric::PassAt { k, samples } => samples.unwrap_or(*k),
            DevMetric::Greedy | DevMetric::Reward { .. } | DevMetric::Loss => 0,
        };
        let plan = Plan {
            split: Split::Dev,
            limit: recipe.eval.dev_limit,
            by: recipe.eval.by.as_deref(),
            places: recipe.eval.score.map(|score| score.k),
            greedy: Greedy::Yes,
            samples,
            decoding: recipe.rollout.decoding,
            max_actions: recipe.rollout.max_new_tokens,
            stream: Stream::new(recipe.seed, "rl/dev"),
            step,
        };
        let Evaluated { mut evaluation, greedy, sampled } = plan.run(world, policy, workers)?;
        let value = match self {
            DevMetric::Greedy => return Ok((evaluation.clone(), evaluation.get("greedy"))),
            DevMetric::PassAt { k, .. } => {
                let right = |group: &Group| group.episodes.iter().filter(|e| world.is_correct(e)).count();
                let of = |group: &Group| pass_at_k::pass_at_k(samples, right(group), *k);
                mean(sampled.iter().filter_map(of))
            }
            DevMetric::Reward { term } => {
                let index = world.terms.iter().position(|t| t.name == *term);
                let rewards = greedy.iter().flat_map(|group| &group.episodes).map(|episode| &episode.rewards);
                mean(index.into_iter().flat_map(|i| rewards.clone().filter_map(move |r| r.get(i)?.value())))
            }
            DevMetric::Loss => self.loss(recipe, world, policy, workers, step)?,
        };
        if let Some(value) = value {
            evaluation.accuracy.insert(self.name(), value);
        }
        Ok((evaluation, value))
    }

    /// Rows of the worked solutions, in blocks; the sum runs in the order of the items.
    fn loss(
        &self,
        recipe: &Recipe,
        world: &World,
        policy: &dyn Policy,
        workers: Workers,
        step: u64,
    ) -> Result<Option<f64>, Error> {
        const ITEMS_PER_BLOCK: usize = 16;
        let items = world.task.items(Split::Dev);
        let limit = recipe.eval.dev_limit.unwrap_or(items.len());
        let given = |item: &cohort_env::Item| -> Option<Sample> {
            let context: Context = item.context.clone();
            Some(Sample::given(context, item.solution.as_ref()?))
        };
        let samples: Vec<Sample> = items.iter().take(limit).filter_map(given).collect();
        let blocks: Vec<&[Sample]> = samples.chunks(ITEMS_PER_BLOCK).collect();
        let spec = RowSpec::at(Decoding::Greedy.row_temperature());
        let rows = workers.map("the loss on dev", blocks.len(), |block| {
            let samples: Vec<&Sample> = blocks[block].iter().collect();
            policy.rows(&samples, spec).map_err(|source| Error::Policy { step, source })
        })?;
        Ok(mean(rows.iter().flatten().flat_map(|rows| &rows.logp).map(|logp| -logp)))
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_gets_better_downwards() {
        assert_eq!(DevMetric::Greedy.gain(0.75, 0.5), 0.25);
        assert_eq!(DevMetric::Loss.gain(0.75, 0.5), -0.25);
    }

    #[test]
    fn a_choice_is_read_as_it_is_written() {
        let read = |text: &str| toml::from_str::<toml::Table>(text).unwrap()["metric"].clone().try_into::<DevMetric>();
        assert_eq!(read("metric = \"loss\"").unwrap(), DevMetric::Loss);
        assert_eq!(read("metric.pass_at = { k = 4 }").unwrap(), DevMetric::PassAt { k: 4, samples: None });
        assert!(read("metric.pass_at = { k = 4, n = 2 }").is_err());
        assert!(read("metric = \"accuracy\"").is_err());
        assert_eq!(DevMetric::PassAt { k: 4, samples: Some(8) }.name(), "pass@4");
    }

    #[test]
    fn nothing_has_no_mean() {
        assert_eq!(mean([].into_iter()), None);
        assert_eq!(mean([1.0, 2.0].into_iter()), Some(1.5));
    }
}
