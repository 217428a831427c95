//! Claims about policies that do not speak: an episode of several turns, and a policy whose action is a point, go through the
//! same arms, runs and verdicts as language models do.

use crate::toys::{
    self,
    bandit::{Bandit, generate},
    gaussian::Gaussian,
};
use cohort_core::{GroupKey, Sample, Turn, Turns};
use cohort_env::{View, from_fn};
use cohort_rollout::Independent;
use cohort_train::{MaskSource, Recipe, Setup, observe::Silent, run_dir::Start, train};
use cohort_zoo::{Arms, Claim, Verdict, results::judge, verdict::ControlSeed};
use toml::Table;

const TARGET: [f64; 2] = [1.5, -1.0];

fn distance(point: &[f64]) -> f64 {
    point.iter().zip(TARGET).map(|(x, t)| (x - t).powi(2)).sum::<f64>()
}

/// What a claim is about.
#[derive(Clone, Copy)]
enum Kind {
    /// The action is a point, its reward how near it is: one step of a flow, without its network.
    Flow,
    /// Three turns with an environment; each pulls an arm, and the mean of what came out counts.
    Dialogue,
}

/// An environment that asks again until it has three answers.
struct ThreeTurns;

impl Turns for ThreeTurns {
    fn turn(&self, _: GroupKey, samples: &[Sample]) -> Turn {
        match samples {
            [.., last] if samples.len() < 3 => Turn::Continue(last.sampled_under.clone()),
            _ => Turn::End,
        }
    }
}

fn near(view: &View<'_>) -> f64 {
    -distance(&view.payloads[0].iter().map(|&x| f64::from(x)).collect::<Vec<_>>())
}

fn mean_of_turns(view: &View<'_>) -> f64 {
    assert_eq!((view.turns, view.payloads.len()), (3, 3), "three turns, and all of them are judged");
    view.payloads.iter().map(|payload| -distance(&generate(payload[0] as usize))).sum::<f64>() / 3.0
}

/// `reward/toy` before and after a run.
fn run(kind: Kind, arm: &Table, seed: u64) -> (f64, f64) {
    let recipe = Recipe::of_text("arm", &arm.to_string(), &[], Some(seed)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let setup = match kind {
        Kind::Flow => Setup {
            policy: Box::new(Gaussian::new([0.0, 0.0])),
            world: toys::world(&recipe, from_fn("toy", (-1e9, 1e9), near)),
            masks: MaskSource::default(),
        },
        Kind::Dialogue => {
            let mut world = toys::world(&recipe, from_fn("toy", (-1e9, 1e9), mean_of_turns));
            world.turns = Box::new(ThreeTurns);
            world.strategy = Box::new(Independent { group_size: recipe.rollout.group_size, max_turns: 3 });
            Setup { policy: Box::new(Bandit::new()), world, masks: MaskSource::default() }
        }
    };
    let options = toys::options(&folder.path().join("run"), Start::Fresh, 1);
    let summary = train(&recipe, setup, &options, &mut Silent).unwrap();
    let of = |evaluation: &Option<cohort_train::evaluate::Evaluation>| {
        evaluation.as_ref().unwrap().get("avg@4/toy").unwrap()
    };
    (of(&summary.eval.before), of(&summary.eval.after))
}

const RECIPE: &str = r#"
    name = "toy"
    policy.model = "a toy"
    data.path = "a toy"
    rollout.max_new_tokens = 1
    reward.terms.toy.verifier.regex.pattern = "unused"
    eval.samples = 4
    preflight.prompts = 2
    [advantage]
    baseline = "mean"
    [train]
    lr = 0.05
    steps = 40
    prompts_per_step = 4
    groups_per_block = 1
    save_every = 50
    [claim]
    text = "Learning helps."
    metric = "avg@4/toy"
    effect = 0.2
    budget = "updates"
    seeds = 3
    [claim.switch]
    "train.lr" = 0.0
"#;

/// The verdict of a claim, with its runs.
fn verdict(kind: Kind, text: &str) -> Verdict {
    let recipe: Table = text.parse().unwrap();
    let claim: Claim = recipe["claim"].clone().try_into().unwrap();
    let arms = Arms::new(&recipe, &claim, &Table::new()).unwrap();
    let seeds = 0..claim.seeds;
    let after = |arm: &Table| seeds.clone().map(|seed| run(kind, arm, seed).1).collect::<Vec<f64>>();
    let control = |seed| {
        let (against, value) = run(kind, &arms.control, seed);
        ControlSeed { value, against }
    };
    judge(&claim, &after(&arms.method), &after(&arms.baseline), &[control(0), control(1)]).unwrap().1
}

#[test]
fn a_policy_of_points_learns() {
    assert_eq!(verdict(Kind::Flow, RECIPE), Verdict::Reproduced);
}

#[test]
fn a_policy_of_several_turns_learns() {
    assert_eq!(verdict(Kind::Dialogue, RECIPE), Verdict::Reproduced);
}

/// What changes nothing is not better, whatever the policy.
#[test]
fn what_makes_no_difference_is_not_reproduced() {
    let idle = RECIPE.replace("\"train.lr\" = 0.0", "\"train.save_every\" = 7");
    assert_eq!(verdict(Kind::Flow, &idle), Verdict::NotReproduced);
    assert_eq!(verdict(Kind::Dialogue, &idle), Verdict::NotReproduced);
    let equal = idle.replace("effect = 0.2", "effect = 0.2\nkind = \"no_worse\"");
    assert_eq!(verdict(Kind::Dialogue, &equal), Verdict::Reproduced);
}

/// A control that learns as the method does: its claim says nothing.
#[test]
fn a_control_that_rises_makes_a_claim_invalid() {
    let named = "effect = 0.2\ncontrol = { named = \"half the rate\", set = { \"train.lr\" = 0.04 }, against = \"cold_start\" }";
    assert_eq!(verdict(Kind::Flow, &RECIPE.replace("effect = 0.2", named)), Verdict::Invalid);
}
