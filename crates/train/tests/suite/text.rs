//! The loop with a language model in it: a single turn, and two turns with an observation between them. Each learns,
//! and neither learns from shuffled rewards or without a learning rate.

use crate::toys;
use std::sync::Arc;

use cohort_core::{Context, Controls, GroupKey, Policy, Sample, SingleTurn, Stream, Turn, Turns};
use cohort_env::{Item, Origin, Task, Verifier, View, from_fn};
use cohort_model::{Architecture, Blueprint, TextPolicy};
use cohort_rollout::Independent;
use cohort_train::{
    MaskSource, Recipe, Setup,
    observe::Silent,
    recipe::low::StopInText,
    run_dir::Start,
    train,
    world::{Term, World},
};
use serde_json::Value;

const VOCABULARY: usize = 16;
/// What is seen between the turns: one of these, by the prompt.
const SEEN: [u32; 4] = [8, 9, 10, 11];
/// Ends nothing; marks where an observation begins.
const MARK: u32 = 15;

fn policy() -> TextPolicy {
    let blueprint = Blueprint {
        vocabulary: VOCABULARY,
        width: 32,
        layers: 1,
        query_heads: 2,
        kv_heads: 1,
        head_dim: 16,
        inner: 64,
        experts: None,
        positions: 32,
        rope_theta: 10_000.0,
        norm_eps: 1e-6,
        tied: true,
        end_ids: vec![1],
        pad_id: Some(0),
    };
    TextPolicy::new(Architecture::new(&blueprint).unwrap(), Vec::new(), Stream::new(7, "policy")).unwrap()
}

/// Prompts of two ids; nothing in them tells what will be seen.
fn task() -> Task {
    let item = |index: usize| Item {
        prompt: format!("prompt {index}"),
        context: Context::of_tokens([2, 3]),
        columns: serde_json::Map::new(),
        solution: None,
        origin: Origin::Generated { generator: "text", index },
    };
    Task { train: (0..512).map(item).collect(), test: (0..32).map(item).collect(), ..Task::default() }
}

/// After the first answer the policy sees a mark and an id that the prompt decides.
struct Observe;

fn observation(key: u64) -> u32 {
    SEEN[Stream::new(5, "seen").dice(key as u32, 0, 0).below(0, 4) as usize]
}

impl Turns for Observe {
    fn turn(&self, key: GroupKey, samples: &[Sample]) -> Turn {
        let [first] = samples else { return Turn::End };
        let mut context = first.sampled_under.clone();
        context.push_tokens(&first.tokens().collect::<Vec<_>>());
        context.push_tokens(&[MARK, observation(key.0)]);
        Turn::Continue(context)
    }
}

struct Case {
    turns: Box<dyn Turns>,
    max_turns: usize,
    max_new_tokens: usize,
    reward: fn(&View<'_>) -> f64,
}

struct Outcome {
    /// The mean reward, step by step.
    rewards: Vec<f64>,
    before: f64,
    after: f64,
    first: Vec<u8>,
    last: Vec<u8>,
    rollouts: Vec<Value>,
}

fn run(case: Case, more: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let cap = format!("rollout.max_new_tokens={}", case.max_new_tokens);
    let keys: Vec<&str> = ["train.lr=0.01", "train.prompts_per_step=8", "train.keep_checkpoints=99", &cap]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    let recipe: Recipe = toys::recipe(&keys);
    let verifier: Box<dyn Verifier> = from_fn("toy", (0.0, 1.0), case.reward);
    let world = World {
        task: task(),
        codec: Arc::new(toys::Mute),
        turns: case.turns,
        strategy: Box::new(Independent { group_size: recipe.rollout.group_size, max_turns: case.max_turns }),
        hints: None,
        terms: vec![Term::new("toy", 1.0, verifier)],
        correct: 0,
        controls: Controls { stop: vec![1], ..Controls::new(recipe.rollout.decoding, case.max_new_tokens) },
        stop_in_text: StopInText::Exclude,
        scores: None,
        trained: Default::default(),
    };
    let setup = Setup { policy: Box::new(policy()) as Box<dyn Policy>, world, masks: MaskSource::default() };
    let run = folder.path().join("run");
    let summary = train(&recipe, setup, &toys::options(&run, Start::Fresh, 2), &mut Silent).unwrap();
    let lines = |name: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(run.join(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let metrics = lines("metrics.jsonl");
    assert!(metrics.iter().all(|line| line["logp_gap"] == 0.0), "sampler and trainer are one");
    let greedy = |e: &Option<cohort_train::evaluate::Evaluation>| e.as_ref().unwrap().get("greedy").unwrap();
    let weights = |step: &str| std::fs::read(run.join("checkpoints").join(step).join("model.safetensors")).unwrap();
    Outcome {
        rewards: metrics.iter().map(|line| line["reward/mean"].as_f64().unwrap()).collect(),
        before: greedy(&summary.eval.before),
        after: greedy(&summary.eval.after),
        first: weights("step-000005"),
        last: weights("last"),
        rollouts: lines("rollouts.jsonl"),
    }
}

fn mean(part: &[f64]) -> f64 {
    part.iter().sum::<f64>() / part.len() as f64
}

/// A number that has nothing to do with what is asked for, and that comes from the same values.
fn shuffled(view: &View<'_>) -> u32 {
    let Origin::Generated { index, .. } = view.item.origin else { return 0 };
    let sum = view.tokens.iter().fold(0u32, |sum, &id| sum.wrapping_mul(31).wrapping_add(id));
    Stream::new(9, "shuffled").dice(index as u32, sum, 0).below(0, VOCABULARY as u64) as u32
}

mod one_turn {
    use super::*;

    fn case(reward: fn(&View<'_>) -> f64) -> Case {
        Case { turns: Box::new(SingleTurn), max_turns: 1, max_new_tokens: 4, reward }
    }

    fn wanted(id: u32) -> bool {
        (8..12).contains(&id)
    }

    fn share(view: &View<'_>) -> f64 {
        view.tokens.iter().filter(|&&id| wanted(id)).count() as f64 / 4.0
    }

    /// The share of wanted ids in what the last steps sampled, whatever it was rewarded with.
    fn wanted_in_the_end(outcome: &Outcome) -> f64 {
        let late = outcome.rollouts.iter().filter(|line| line["step"].as_u64() > Some(50));
        let ids: Vec<u64> =
            late.flat_map(|l| l["samples"][0]["tokens"].as_array().unwrap()).filter_map(Value::as_u64).collect();
        ids.iter().filter(|&&id| wanted(id as u32)).count() as f64 / ids.len() as f64
    }

    #[test]
    fn learns() {
        let outcome = run(case(share), &[]);
        assert!(mean(&outcome.rewards[..5]) < 0.4, "{:?}", outcome.rewards);
        assert!(mean(&outcome.rewards[55..]) > 0.9, "{:?}", outcome.rewards);
        assert!(wanted_in_the_end(&outcome) > 0.9);
    }

    #[test]
    fn learns_nothing_from_shuffled_rewards() {
        let outcome = run(case(|view| f64::from(u8::from(wanted(shuffled(view))))), &[]);
        let share = wanted_in_the_end(&outcome);
        assert!(share < 0.6, "{share}");
    }

    #[test]
    fn stays_as_it_is_without_a_learning_rate() {
        let outcome = run(case(share), &["train.lr=0.0"]);
        assert_eq!(outcome.first, outcome.last);
        assert!(mean(&outcome.rewards[55..]) < 0.4, "{:?}", outcome.rewards);
    }
}

mod two_turns {
    use super::*;

    fn case(reward: fn(&View<'_>) -> f64) -> Case {
        Case { turns: Box::new(Observe), max_turns: 2, max_new_tokens: 1, reward }
    }

    /// What is right to say after an observation: another id than the one that was seen.
    fn right(seen: u32) -> u32 {
        4 + (seen - 8 + 1) % 4
    }

    fn second_answer(view: &View<'_>) -> f64 {
        let Origin::Generated { index, .. } = view.item.origin else { return 0.0 };
        f64::from(u8::from(view.turns == 2 && view.tokens.last() == Some(&right(observation(index as u64)))))
    }

    #[test]
    fn learns_to_answer_what_it_sees() {
        let outcome = run(case(second_answer), &["train.steps=80", "train.decay=linear"]);
        assert!(outcome.before < 0.3, "{}", outcome.before);
        assert!(outcome.after > 0.9, "{} {:?}", outcome.after, outcome.rewards);
        // Two samples an episode: the second under the first, its answer and what was seen.
        for line in &outcome.rollouts {
            let samples = line["samples"].as_array().unwrap();
            let counts: Vec<u64> = samples.iter().filter_map(|s| s["context_tokens"].as_u64()).collect();
            assert_eq!(counts, [2, 5], "{line}");
            assert!(samples.iter().all(|s| s["tokens"].as_array().unwrap().len() == 1), "what was seen is not trained");
            assert_eq!(samples[0]["coefficient"], samples[1]["coefficient"], "one advantage an episode");
        }
    }

    #[test]
    fn learns_nothing_from_shuffled_rewards() {
        let reward = |view: &View<'_>| f64::from(u8::from(shuffled(view) < 4));
        let outcome = run(case(reward), &["train.steps=80"]);
        let late = outcome.rollouts.iter().filter(|line| line["step"].as_u64() > Some(70));
        let answers: Vec<bool> = late
            .map(|line| {
                let key = line["key"].as_u64().unwrap();
                line["samples"][1]["tokens"][0].as_u64() == Some(u64::from(right(observation(key))))
            })
            .collect();
        let share = answers.iter().filter(|&&right| right).count() as f64 / answers.len() as f64;
        assert!(share < 0.5, "{share}");
    }

    #[test]
    fn stays_as_it_is_without_a_learning_rate() {
        let outcome = run(case(second_answer), &["train.lr=0.0"]);
        assert_eq!(outcome.first, outcome.last);
        assert_eq!(outcome.before, outcome.after);
    }
}
