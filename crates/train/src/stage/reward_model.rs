//! Models of texts that reward terms read, trained on the task's columns and on what the policy says.

use std::collections::BTreeMap;

use cohort_core::{
    Stream,
    curriculum::shuffled,
    metric::{Metric, Metrics},
};
use cohort_env::{
    Item, Split,
    text_model::{Labelled, TextModel, TextModels},
};

use super::{Next, REWARD_MODEL, Report, Stage};
use crate::{
    account::Account,
    error::Error,
    recipe::{
        Recipe,
        low::{ModelSection, Negative, RewardModelSection},
    },
    run_dir::{LogName, Tokens},
    sampling::{Actors, Blocks, Sampling},
    session::Session,
    timing::{Seconds, timed},
    world::World,
};

/// The reward_model stage of a recipe.
pub struct RewardModelStage<'a> {
    config: &'a RewardModelSection,
    recipe: &'a Recipe,
    /// Train items, by the value that the recipe balances; one list of all where it balances nothing.
    strata: Vec<(Stream, Vec<usize>)>,
}

/// Whether the rows of the train split have what the models of a recipe learn from.
///
/// # Errors
/// A row without a text that a model learns from, without the column that it is one of several by, or without the one that is balanced.
pub fn hold_columns(recipe: &Recipe, world: &World) -> Result<(), Error> {
    let Some(section) = &recipe.reward_model else { return Ok(()) };
    let items = world.task.items(Split::Train);
    let hold = |key: &str, problem: &str, column: &str, lacking: Option<&Item>| {
        let Some(item) = lacking else { return Ok(()) };
        let (key, got) = (format!("reward_model.{key}"), format!("{column:?} in {}", item.origin));
        let hint = "name a column that every row of the train split has";
        Err(Error::Recipe(recipe.refuse(&key, problem, &got, hint)))
    };
    let without = |column: &str| items.iter().find(|item| item.label(column).is_none());
    for (name, model) in &section.models {
        let with_text = |key: &str, column: &str| {
            let lacking = items.iter().find(|item| text(item, column).is_none());
            hold(&format!("models.{name}.{key}"), "must be a column with a text", column, lacking)
        };
        with_text("positive", &model.positive)?;
        if let Negative::Column(column) = &model.negative {
            with_text("negative.column", column)?;
        }
        if let Some(by) = &model.by {
            hold(&format!("models.{name}.by"), "must be a column of every row", by, without(by))?;
        }
    }
    let balance = section.balance.as_deref();
    balance.map_or(Ok(()), |column| hold("balance", "must be a column of every row", column, without(column)))
}

/// The models of a recipe before they are trained: what there is to train, and to read again.
pub fn untrained(recipe: &Recipe, world: &World) -> TextModels {
    let models = recipe.reward_model.iter().flat_map(|section| &section.models);
    let items = world.task.items(Split::Train);
    let of = |(name, model): (&String, &ModelSection)| {
        (name.clone(), TextModel::untrained(model.family, model.by.clone(), items))
    };
    models.map(of).collect()
}

fn text<'a>(item: &'a Item, column: &str) -> Option<&'a str> {
    item.columns.get(column)?.as_str()
}

impl<'a> RewardModelStage<'a> {
    /// Of a world whose rows have what it takes ([`hold_columns`]).
    pub fn new(recipe: &'a Recipe, config: &'a RewardModelSection, world: &World) -> Self {
        let mut strata: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, item) in world.task.items(Split::Train).iter().enumerate() {
            let value = config.balance.as_ref().and_then(|column| item.label(column));
            strata.entry(value.unwrap_or_default()).or_default().push(index);
        }
        let stream = |value: &str| Stream::new(recipe.seed, &format!("reward_model/order/{value}"));
        Self { config, recipe, strata: strata.into_iter().map(|(v, rows)| (stream(&v), rows)).collect() }
    }

    /// The rows of a step: of each stratum as many, the first ones one more where it does not go up.
    fn chosen(&self, step: u64) -> Vec<usize> {
        let (size, strata) = (self.config.batch_size, self.strata.len());
        let of = |(place, (stream, rows)): (usize, &(Stream, Vec<usize>))| {
            let count = size / strata + usize::from(place < size % strata);
            shuffled(rows.len(), count, step, *stream).into_iter().map(|at| rows[at]).collect::<Vec<_>>()
        };
        self.strata.iter().enumerate().flat_map(of).collect()
    }

    fn wants_samples(&self) -> bool {
        self.config.models.values().any(|model| model.negative == Negative::Policy)
    }

    /// What the policy says to each of the rows, and how many tokens that is.
    fn said(&self, session: &Session<'_>, chosen: &[usize], step: u64) -> Result<(Vec<Vec<String>>, Tokens), Error> {
        let (world, rollout) = (session.world, &self.recipe.rollout);
        if !self.wants_samples() {
            return Ok((vec![Vec::new(); chosen.len()], Tokens::default()));
        }
        let sampling = Sampling {
            decoding: rollout.decoding,
            max_actions: rollout.max_new_tokens,
            stream: Stream::new(self.recipe.seed, "reward_model/answers"),
            step,
            policy_version: 0,
            split: Split::Train,
            blocks: Blocks::Workers,
            ledger: None,
        };
        let strategy = Sampling::independent(self.config.samples);
        let prompts = world.prompts(Split::Train, chosen);
        let groups =
            sampling.unjudged(world, &strategy, Actors::own(session.policy.as_ref()), &prompts, session.workers)?;
        let mut tokens = Tokens::default();
        for group in &groups {
            tokens.prompt += group.samples().next().map_or(0, |s| s.sampled_under.token_count()) as u64;
            tokens.completion += group.samples().map(|s| s.actions.len() as u64).sum::<u64>();
        }
        let said = |group: &cohort_core::Group| {
            let last = group.episodes.iter().filter_map(|episode| episode.samples.last());
            last.map(|sample| world.completion(sample)).collect()
        };
        Ok((groups.iter().map(said).collect(), tokens))
    }
}

/// The lists that a model learns from in a step, by its vectors: what is right of a row, and what stands against it.
fn lists<'a>(
    section: &ModelSection,
    model: &TextModel,
    rows: impl Iterator<Item = (&'a Item, &'a Vec<String>)>,
) -> BTreeMap<String, Vec<Vec<Labelled<'a>>>> {
    let mut lists: BTreeMap<String, Vec<Vec<Labelled<'a>>>> = Default::default();
    for (item, said) in rows {
        let told = |text: &'a str, label| Labelled { prompt: &item.prompt, text, label };
        let (Some(key), Some(right)) = (model.key(item), text(item, &section.positive)) else { continue };
        let against: Vec<&str> = match &section.negative {
            Negative::Policy => said.iter().map(String::as_str).collect(),
            Negative::Column(column) => text(item, column).into_iter().collect(),
        };
        let list = std::iter::once(told(right, 1.0)).chain(against.into_iter().map(|text| told(text, 0.0)));
        lists.entry(key).or_default().push(list.collect());
    }
    lists
}

/// The share of all pairs of a positive and what it stands against that the model orders rightly, equal scores by half.
fn ordered(model: &TextModel, key: &str, lists: &[Vec<Labelled<'_>>], metrics: &mut Metrics, name: &str) {
    let Some(weights) = model.weights.get(key) else { return };
    for list in lists {
        let scores: Vec<f64> = list.iter().map(|it| model.family.score(weights, it.prompt, it.text)).collect();
        let Some((right, against)) = scores.split_first() else { continue };
        for other in against {
            let half = |holds: bool| if holds { 0.5 } else { 0.0 };
            metrics.add(name, Metric::mean_of(half(right > other) + half(right >= other)));
        }
    }
}

impl Stage for RewardModelStage<'_> {
    fn name(&self) -> &'static str {
        REWARD_MODEL
    }

    fn log(&self) -> LogName {
        LogName::RewardModel
    }

    fn steps(&self) -> u64 {
        self.config.steps
    }

    fn save_every(&self) -> u64 {
        self.config.save_every
    }

    fn step(&mut self, session: &mut Session<'_>, step: u64) -> Result<Report, Error> {
        let (chosen, mut seconds, mut metrics) = (self.chosen(step), Seconds::default(), Metrics::default());
        let (said, tokens) = timed(&mut seconds.sample, || self.said(session, &chosen, step))?;
        let items = session.world.task.items(Split::Train);
        timed(&mut seconds.train, || {
            for (name, section) in &self.config.models {
                let Some(model) = session.models.get_mut(name) else { continue };
                let rows = chosen.iter().map(|&index| &items[index]).zip(&said);
                for (key, lists) in lists(section, model, rows) {
                    ordered(model, &key, &lists, &mut metrics, &format!("{name}/ordered"));
                    let family = model.family;
                    let loss = model.weights.get_mut(&key).and_then(|weights| family.learn(weights, &lists));
                    if let Some(loss) = loss {
                        metrics.add(&format!("{name}/loss"), Metric::mean_of(loss));
                    }
                }
            }
        });
        metrics.add("examples", Metric::Sum(chosen.len() as f64));
        Ok(Report {
            metrics,
            rollouts: String::new(),
            rows: Vec::new(),
            seconds,
            tokens,
            examples: chosen.len() as u64,
            account: Account::default(),
        })
    }

    fn after(&mut self, _: &mut Session<'_>, _: u64) -> Result<Next, Error> {
        Ok(Next::Go)
    }
}
