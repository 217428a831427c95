//! `cohort eval`

use std::path::Path;

use clap::{Args, ValueEnum};
use cohort_core::Stream;
use cohort_env::Split;
use cohort_train::{
    Recipe, Workers,
    build::{load_policy, world},
    checkpoint::{has_reward_models, read_reward_models},
    evaluate::{Greedy, Plan},
    stage::untrained,
    world::World,
};

use super::{drawing::Drawing, places, print_json, print_line, recipe_text};
use crate::{console, exit::Failure};

#[derive(Clone, Copy, ValueEnum)]
enum SplitName {
    Train,
    Dev,
    Test,
}

/// Evaluate a model on a recipe's task.
///
/// Without --greedy and --samples: greedily, and with as many samples a prompt as the recipe says. Samples are drawn as the
/// recipe's [rollout] says, where no flag says otherwise.
#[derive(Args)]
#[command(
    after_help = "Example:\n  cohort eval --model runs/quickstart-seed0/checkpoints/last --task recipes/quickstart.toml --greedy"
)]
pub struct Eval {
    /// A model directory (Hugging Face's layout, or a checkpoint of a run), data:NAME below COHORT_DATA, or hf:org/name[@revision]
    #[arg(long, value_name = "DIR")]
    model: String,
    /// The recipe whose task and rewards are used
    #[arg(long, value_name = "RECIPE")]
    task: String,
    #[arg(long, value_enum, default_value = "test")]
    split: SplitName,
    /// Samples a prompt, for pass@k
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    samples: Option<u32>,
    /// Look at the most probable completion
    #[arg(long)]
    greedy: bool,
    /// Most prompts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    #[command(flatten)]
    drawing: Drawing,
    /// Seeds the samples
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Set a key of the recipe
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    #[arg(long)]
    json: bool,
}

/// The models that the recipe's terms read, where the directory is a checkpoint that holds them.
fn read_models(recipe: &Recipe, world: &World, directory: &Path) -> Result<(), Failure> {
    if recipe.reward_model.is_none() || !has_reward_models(directory) {
        return Ok(());
    }
    let mut models = untrained(recipe, world);
    read_reward_models(directory, &mut models).map_err(cohort_train::Error::from)?;
    world.trained.set(models);
    Ok(())
}

impl Eval {
    pub fn run(self) -> Result<(), Failure> {
        let mut overrides = self.overrides.clone();
        overrides.extend(self.drawing.overrides());
        let recipe = {
            let source = recipe_text(&self.task)?;
            Recipe::of_text_for_model(&source.file, &source.text, &overrides, &self.model)?
        };
        let policy = load_policy("--model", &self.model, &places())?;
        let world = world(&recipe, &policy, &places())?;
        read_models(&recipe, &world, &places().model("--model", &self.model)?)?;
        let split = match self.split {
            SplitName::Train => Split::Train,
            SplitName::Dev => Split::Dev,
            SplitName::Test => Split::Test,
        };
        if world.task.items(split).is_empty() {
            return Err(Failure::data(format!(
                "the task has no {split} split\n  hint: set rows aside with data.test or data.dev"
            )));
        }
        let mut plan = Plan::of_recipe(&recipe, split, Stream::new(self.seed, "eval"));
        plan.limit = self.limit.map(|limit| limit as usize).or(plan.limit);
        match (self.greedy, self.samples) {
            (false, None) => {}
            (true, None) => plan.samples = 0,
            (true, Some(samples)) => plan.samples = samples as usize,
            (false, Some(samples)) => (plan.greedy, plan.samples) = (Greedy::No, samples as usize),
        }
        let evaluation = plan.run(&world, &policy, Workers::new(recipe.train.workers))?.evaluation;
        if self.json { print_json(&evaluation) } else { print_line(&console::evaluation(&evaluation)) }
    }
}
