//! Parameters out of their range, and choices that cannot stand beside each other: refused with the key.

use cohort_core::{
    Author, Comparison, Context, Memory, Method, Outcome, Sample, Trajectory,
    advantage::Advantage,
    objective::{Divergence, Objective},
    reward::{Combine, RewardRule},
    weight::Weighting,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn method(key: &str, value: Value) -> Method {
    fn parse<T: DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{value}: {e}"))
    }
    let mut method = Method::default();
    match key {
        "advantage" => method.advantage = parse::<Advantage>(value),
        "objective" => method.objective = parse::<Objective>(value),
        "weight" => method.weight = parse::<Weighting>(value),
        "combine" => method.reward = RewardRule { combine: parse::<Combine>(value), ..RewardRule::default() },
        _ => unreachable!("{key}"),
    }
    method
}

#[track_caller]
fn refused(section: &str, value: Value, key: &str) {
    let (named, problem) = method(section, value.clone()).check().expect_err(&format!("{value} is refused"));
    assert_eq!(named, key, "{value}: {problem}");
    assert!(!problem.is_empty());
}

#[track_caller]
fn taken(section: &str, value: Value) {
    assert_eq!(method(section, value.clone()).check(), Ok(()), "{value}");
}

#[test]
fn advantages() {
    let cases = [
        (json!({"estimator": {"pass_at_k": {"k": 0}}}), "advantage.estimator.pass_at_k.k"),
        (json!({"estimator": {"pass_at_k": {}}, "scale": {"mad": {}}}), "advantage.scale"),
        (json!({"estimator": "best_only", "baseline": "median"}), "advantage.baseline"),
        (json!({"estimator": "best_only", "scope": "batch"}), "advantage.scope"),
        (json!({"baseline": {"running": {"decay": 1.0}}}), "advantage.baseline.running.decay"),
        (json!({"baseline": {"running": {"decay": -0.1}}}), "advantage.baseline.running.decay"),
        (json!({"scale": {"std": {"ddof": 2}}}), "advantage.scale.std.ddof"),
        (json!({"scale": {"std": {"eps": -1.0}}}), "advantage.scale.std.eps"),
        (json!({"scale": {"floored_std": {"ddof": 2}}}), "advantage.scale.floored_std.ddof"),
        (json!({"scale": {"floored_std": {"floor": -0.1}}}), "advantage.scale.floored_std.floor"),
        (json!({"scale": {"global_std": {"ddof": 3}}}), "advantage.scale.global_std.ddof"),
        (json!({"scale": {"whitened_episodes": {"ddof": 2}}}), "advantage.scale.whitened_episodes.ddof"),
        (json!({"scale": {"mad": {"floor": -1.0}}}), "advantage.scale.mad.floor"),
        (json!({"scale": {"fixed": {"value": 0.0}}}), "advantage.scale.fixed.value"),
        (json!({"scale": {"running": {"decay": 1.5}}}), "advantage.scale.running.decay"),
        (json!({"scope": {"stratum": {"blend": 1.1}}}), "advantage.scope.stratum.blend"),
        (json!({"scope": {"segment": {}}, "scale": {"whitened_episodes": {}}}), "advantage.scale"),
        (json!({"scope": {"segment": {}}, "drop": {"least_magnitude": {}}}), "advantage.drop"),
        (json!({"drop": {"pivot": {}}}), "advantage.drop"),
        (json!({"drop": {"pivot": {}}, "baseline": "median", "scope": "batch"}), "advantage.drop"),
        (json!({"clip": 0.0}), "advantage.clip"),
        (json!({"constant": {"downweight": {"factor": 1.5}}}), "advantage.constant.downweight.factor"),
        (json!({"constant": {"raw": {"tolerance": -1.0}}}), "advantage.constant.raw.tolerance"),
        (json!({"constant": {"raw": {}}, "scope": {"granularity": {}}}), "advantage.constant"),
        (json!({"constant": {"raw": {}}, "scope": {"segment": {}}}), "advantage.constant"),
        (json!({"shape": [{"malformed": {"penalty": -1.0}}]}), "advantage.shape[0].malformed.penalty"),
        (json!({"shape": ["positive_only", {"hardness": {"tau": -1.0}}]}), "advantage.shape[1].hardness.tau"),
        (json!({"shape": [{"prompt_weight": {"edge": 0.5}}]}), "advantage.shape[0].prompt_weight.edge"),
        (json!({"shape": [{"overflow": {"penalty": -0.1}}]}), "advantage.shape[0].overflow.penalty"),
    ];
    for (value, key) in cases {
        refused("advantage", value, key);
    }
    let half = method("advantage", json!({"constant": {"downweight": {}}})).advantage.constant;
    assert_eq!(serde_json::to_value(half).expect("plain numbers"), json!({"downweight": {"factor": 0.5}}));
    for value in [
        json!({"drop": {"pivot": {}}, "baseline": "median"}),
        json!({"constant": {"raw": {}}}),
        json!({"constant": {"downweight": {"factor": 1.0}}}),
        json!({"estimator": {"pass_at_k": {"k": 1}}}),
        json!({"estimator": "best_only"}),
        json!({"baseline": {"running": {"decay": 0.0}}}),
        json!({"scope": {"stratum": {"blend": 1.0}}}),
        json!({"drop": {"least_magnitude": {}}}),
        json!({"scale": {"whitened_episodes": {}}}),
        json!({"clip": 5.0}),
    ] {
        taken("advantage", value);
    }
}

#[test]
fn objectives() {
    let gate = |gate: Value| json!({"surrogate": {"policy_gradient": {"gate": gate}}});
    let at = |key: &str| format!("objective.surrogate.policy_gradient.gate.{key}");
    for (value, key) in [
        (json!({"clip": {"low": 1.5}}), "clip.low"),
        (json!({"clip": {"high": 0.0}}), "clip.high"),
        (json!({"clip_higher": {"low": 0.3, "high": 0.2}}), "clip_higher.high"),
        (json!({"dual_clip": {"c": 0.5}}), "dual_clip.c"),
        (json!({"soft": {"positive": 0.0}}), "soft.positive"),
        (json!({"kl_cov": {"fraction": 2.0}}), "kl_cov.fraction"),
    ] {
        refused("objective", gate(value), &at(key));
    }
    refused(
        "objective",
        json!({"denominator": {"constant": {"length": 0.0}}}),
        "objective.denominator.constant.length",
    );
    refused("objective", json!({"kl": {"coefficient": 0.0}}), "objective.kl.coefficient");
    refused("objective", json!({"surrogate": {"regression": {"eps": 0.0}}}), "objective.surrogate.regression.eps");
    refused("objective", json!({"surrogate": {"dpo": {"beta": -1.0}}}), "objective.surrogate.dpo.beta");
    taken("objective", json!({"kl": Divergence { estimator: Default::default(), coefficient: 0.1 }}));
    let mut method = method("objective", json!({"surrogate": {"nft": {}}}));
    assert_eq!(method.check(), Ok(()));
    method.reward_kl = Some(0.1);
    assert_eq!(method.check().expect_err("rewards of 0 and 1 would move").0, "reward.kl");
}

#[test]
fn weights_and_rewards() {
    refused("weight", json!({"tokens": {"top_entropy": {"fraction": 0.0}}}), "weight.tokens.top_entropy.fraction");
    refused("combine", json!({"log_tame": {"delta": -1.0}}), "reward.combine.log_tame.delta");
}

/// The penalty of an episode is that of all its samples, in nats.
#[test]
fn a_divergence_in_the_reward_adds_up_over_an_episode() {
    let sample = |episode, logp: [f64; 2], reference: [f64; 2]| Trajectory {
        episode,
        rewards: [("answer".to_owned(), Outcome::scored(1.0))].into(),
        mask: vec![1.0; 2],
        segment: vec![0; 2],
        behaviour_logp: Some(logp.to_vec()),
        ref_logp: Some(reference.to_vec()),
        ..Trajectory::default()
    };
    let trajectories = vec![
        sample(0, [-1.0, -2.0], [-1.5, -2.5]),
        sample(0, [-1.0, -1.0], [-1.25, -1.0]),
        sample(1, [-1.0, -1.0], [-1.0, -1.0]),
    ];
    let mut groups = [Comparison { trajectories, ..Comparison::default() }];
    let mut method = Method { reward_kl: Some(0.5), ..Method::default() };
    method.reward.weights.insert("answer".to_owned(), 1.0);
    method.credit(&mut groups, &mut Memory::default()).expect("two episodes");
    let rewards: Vec<Option<f64>> = groups[0].trajectories.iter().map(|t| t.reward).collect();
    assert_eq!(rewards, [Some(1.0 - 0.5 * 1.25), Some(1.0 - 0.5 * 1.25), Some(1.0)]);
    groups[0].trajectories[2].ref_logp = None;
    let error = method.credit(&mut groups, &mut Memory::default()).expect_err("no reference");
    assert_eq!(error.to_string(), "group 0, trajectory 2: `ref_logp` is missing, and the recipe reads it");
}

/// A batch is compared as a whole, so that its groups may be small, and the batch may not.
#[test]
fn a_batch_of_one_is_compared_with_nobody() {
    let episode = |reward| Comparison {
        trajectories: vec![Trajectory {
            reward: Some(reward),
            mask: vec![1.0],
            segment: vec![0],
            ..Trajectory::default()
        }],
        ..Comparison::default()
    };
    let credit = |rewards: &[f64]| {
        let mut groups: Vec<Comparison> = rewards.iter().map(|&reward| episode(reward)).collect();
        let rule = method("advantage", json!({"baseline": "leave_one_out", "scale": "none", "scope": "batch"}));
        rule.credit(&mut groups, &mut Memory::default()).map(|_| ())
    };
    assert!(credit(&[1.0]).is_err());
    assert!(credit(&[1.0, 0.0]).is_ok());
}

/// What a recipe leaves out of a derived term, and what methods see of a sample of several authors.
#[test]
fn defaults_and_masks_reach_the_method() {
    let derived: cohort_core::reward::Derived =
        serde_json::from_value(json!({"into": "x", "with": {"win_rate": {}}})).expect("a derived term");
    assert_eq!(derived.weight, 1.0);
    let mut sample = Sample::given(Context::of_tokens([1]), &[2, 3]);
    sample.actions[1].author = Author::Environment;
    assert_eq!(Trajectory::of_sample(&sample).mask, [1.0, 0.0]);
}
