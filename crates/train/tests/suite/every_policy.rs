//! One loop for every policy: a Gaussian in the plane and a bandit over a frozen generator learn in it,
//! and learn nothing from shuffled rewards or a learning rate of 0.

use crate::toys::{
    self,
    bandit::{ARMS, Bandit, generate},
    gaussian::Gaussian,
};
use cohort_core::{Fact, Outcome, Policy, Stream};
use cohort_env::{Origin, Verdict, Verifier, View, from_fn};
use cohort_train::{MaskSource, Setup, observe::Silent, run_dir::Start, train};

const TARGET: [f64; 2] = [1.5, -1.0];

fn distance(point: &[f64]) -> f64 {
    point.iter().zip(TARGET).map(|(x, t)| (x - t).powi(2)).sum::<f64>()
}

/// A number in [0, 1) that has nothing to do with what was chosen but its bits: what is left of a reward
/// when it is shuffled over the samples.
fn shuffled(payload: &[f32]) -> f64 {
    let word = |i: usize| payload.get(i).map_or(0, |x| x.to_bits());
    Stream::new(1, "shuffled").dice(word(0), word(1), 0).uniform(0)
}

/// Runs a toy to its end and gives the parameters that its last checkpoint holds.
fn trained(policy: Box<dyn Policy>, verifier: Box<dyn Verifier>, more: &[&str]) -> Vec<f32> {
    let folder = tempfile::tempdir().unwrap();
    let recipe = toys::recipe(more);
    let mut world = toys::world(&recipe, verifier);
    world.terms[0].facts = recipe.reward.facts["toy"].clone();
    let setup = Setup { policy, world, masks: MaskSource::default() };
    let run_dir = folder.path().join("run");
    let summary = train(&recipe, setup, &toys::options(&run_dir, Start::Fresh, 2), &mut Silent).unwrap();
    assert_eq!(summary.steps, 60);
    let bytes = std::fs::read(run_dir.join("checkpoints/last/model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let (_, tensor) = file.iter().next().unwrap();
    tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

mod a_gaussian {
    use super::*;

    fn end(reward: fn(&[f32]) -> f64, more: &[&str]) -> f64 {
        let verifier = from_fn("toy", (-1e9, 1e9), move |view: &View<'_>| reward(&view.payloads[0]));
        let mean = trained(Box::new(Gaussian::new([0.0, 0.0])), verifier, more);
        distance(&mean.iter().map(|&x| f64::from(x)).collect::<Vec<_>>()).sqrt()
    }

    fn squared_error(point: &[f32]) -> f64 {
        -distance(&point.iter().map(|&x| f64::from(x)).collect::<Vec<_>>())
    }

    #[test]
    fn finds_its_target() {
        assert!(end(squared_error, &[]) < 0.3);
    }

    /// What is rewarded is one part of the sample, told as a list of one.
    struct Parts;

    impl Verifier for Parts {
        fn name(&self) -> &str {
            "parts"
        }

        fn range(&self) -> (f64, f64) {
            (-1e9, 1e9)
        }

        fn score(&self, view: &View) -> Verdict {
            let error = squared_error(&view.payloads[0]);
            Verdict::from(Outcome::scored(error)).telling("gains", Fact::List(vec![error]))
        }
    }

    #[test]
    fn learns_by_the_reward_of_a_part_and_not_by_one_that_was_dealt_out() {
        let end = |more: &[&str]| {
            let keys = [
                "reward.terms.toy.facts={gains=\"gains\"}",
                "reward.segments={cut={lines={most=1}},rewards=\"gains\"}",
                "advantage.scope={segment={missing=\"zero\"}}",
            ];
            let mean = trained(Box::new(Gaussian::new([0.0, 0.0])), Box::new(Parts), &[&keys[..], more].concat());
            distance(&mean.iter().map(|&x| f64::from(x)).collect::<Vec<_>>()).sqrt()
        };
        assert!(end(&[]) < 0.3);
        assert!(end(&["reward.control=\"permuted\""]) > 1.0);
    }

    #[test]
    fn finds_nothing_in_shuffled_rewards() {
        assert!(end(shuffled, &[]) > 1.0);
    }

    #[test]
    fn stays_where_it_is_without_a_learning_rate() {
        assert_eq!(end(squared_error, &["train.lr=0.0"]), distance(&[0.0, 0.0]).sqrt());
    }
}

mod a_bandit {
    use super::*;

    fn best() -> usize {
        (0..ARMS).min_by(|&a, &b| distance(&generate(a)).total_cmp(&distance(&generate(b)))).unwrap()
    }

    /// The probability of the best arm at the end.
    fn end(reward: fn(&View<'_>) -> f64, more: &[&str]) -> f64 {
        let verifier = from_fn("toy", (-1e9, 1e9), move |view: &View<'_>| reward(view));
        let logits = trained(Box::new(Bandit::new()), verifier, more);
        let sum: f64 = logits.iter().map(|&z| f64::from(z).exp()).sum();
        f64::from(logits[best()]).exp() / sum
    }

    fn closeness(view: &View<'_>) -> f64 {
        -distance(&generate(view.payloads[0][0] as usize))
    }

    #[test]
    fn finds_the_best_output_of_a_frozen_generator() {
        assert!(end(closeness, &[]) > 0.8);
    }

    /// The reward of an arm that some other choice made.
    fn shuffled(view: &View<'_>) -> f64 {
        let Origin::Generated { index, .. } = view.item.origin else { return 0.0 };
        let other = Stream::new(1, "shuffled").dice(index as u32, view.payloads[0][0] as u32, 0).below(0, ARMS as u64);
        -distance(&generate(other as usize))
    }

    #[test]
    fn finds_nothing_in_shuffled_rewards() {
        assert!(end(shuffled, &[]) < 0.4);
    }

    #[test]
    fn stays_where_it_is_without_a_learning_rate() {
        assert_eq!(end(closeness, &["train.lr=0.0"]), 1.0 / ARMS as f64);
    }
}
