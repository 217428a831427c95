//! Policies that fit on a page, for laws of the loop: no language model in sight.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod bandit;
pub mod gaussian;

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use cohort_core::{Context, Controls, SingleTurn};
use cohort_env::{Codec, CodecError, Item, Origin, Task, Verifier};
use cohort_rollout::Independent;
use cohort_train::{
    Options, Recipe,
    recipe::low::StopInText,
    run_dir::Start,
    world::{Term, World},
};

/// For policies that do not speak.
pub struct Mute;

impl Codec for Mute {
    fn encode(&self, _: &str) -> Result<Vec<u32>, CodecError> {
        Ok(Vec::new())
    }

    fn decode(&self, _: &[u32]) -> String {
        String::new()
    }

    fn end_of_sequence(&self) -> Option<u32> {
        None
    }
}

/// `train` and `test` empty prompts.
pub fn task(train: usize, test: usize) -> Task {
    let item = |index| Item {
        prompt: String::new(),
        context: Context::default(),
        columns: serde_json::Map::new(),
        solution: None,
        origin: Origin::Generated { generator: "toy", index },
    };
    Task { train: (0..train).map(item).collect(), test: (0..test).map(item).collect(), ..Task::default() }
}

/// A recipe for a toy: its policy, data and verifier come from the test. `more` is added to it.
pub fn recipe(more: &[&str]) -> Recipe {
    let text = r#"
        name = "toy"
        policy.model = "a toy"
        data.path = "a toy"
        rollout.max_new_tokens = 1
        reward.terms.toy.verifier.regex.pattern = "unused"
        eval.samples = 2
        preflight.prompts = 2
        [train]
        lr = 0.05
        steps = 60
        prompts_per_step = 4
        groups_per_block = 1
        save_every = 5
    "#;
    let more: Vec<String> = more.iter().map(|s| (*s).to_owned()).collect();
    Recipe::parse("toy.toml", text, &more).unwrap()
}

pub fn world(recipe: &Recipe, verifier: Box<dyn Verifier>) -> World {
    World {
        task: task(4096, 8),
        codec: Arc::new(Mute),
        turns: Box::new(SingleTurn),
        strategy: Box::new(Independent { group_size: recipe.rollout.group_size, max_turns: 1 }),
        hints: None,
        terms: vec![Term::new("toy", 1.0, verifier)],
        correct: 0,
        controls: Controls::new(recipe.rollout.decoding, recipe.rollout.max_new_tokens),
        stop_in_text: StopInText::Exclude,
        scores: None,
        trained: Default::default(),
    }
}

pub fn options(run_dir: &Path, start: Start, workers: usize) -> Options {
    Options {
        run_dir: run_dir.to_owned(),
        start,
        workers: Some(workers),
        cache: None,
        interrupt: Arc::new(AtomicBool::new(false)),
    }
}
