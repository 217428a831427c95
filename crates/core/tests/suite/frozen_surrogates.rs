//! Surrogates that carry a framework's name against that framework's own numbers, and those of the systems against
//! theirs.

use cohort_core::{
    Comparison, Memory, Method, Role, Rows, Trajectory,
    advantage::Credit,
    method::Study,
    objective::{Denominator, Objective, Seen},
    weight::Weighting,
};
use serde_json::{Value, json};

type Held = (Trajectory, Credit, Rows, Vec<f64>);

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// Loss and derivatives, group by group, trajectory by trajectory.
fn compute(objective: &Objective, case: &Value) -> (f64, Vec<Vec<Vec<f64>>>) {
    let held: Vec<Vec<Held>> = case["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| {
            let group = group.as_array().unwrap();
            group
                .iter()
                .enumerate()
                .map(|(episode, t)| {
                    let logp = numbers(&t["logp"]);
                    let old = t.get("old_logp").map_or_else(|| logp.clone(), numbers);
                    let trajectory = Trajectory {
                        episode,
                        mask: t.get("mask").map_or_else(|| vec![1.0; logp.len()], numbers),
                        segment: vec![0; logp.len()],
                        ..Trajectory::default()
                    };
                    let credit = Credit::uniform(t["advantage"].as_f64().unwrap(), logp.len());
                    let rows = Rows { entropy: vec![0.0; logp.len()], logp, ..Rows::default() };
                    (trajectory, credit, rows, old)
                })
                .collect()
        })
        .collect();
    let batch: Vec<Vec<Seen<'_>>> = held
        .iter()
        .map(|group| {
            group
                .iter()
                .map(|(trajectory, credit, rows, old_logp)| Seen { trajectory, credit, rows, old_logp })
                .collect()
        })
        .collect();
    let survey = objective.survey(&Weighting::default(), &batch).unwrap();
    let parts: Vec<_> =
        (0..batch.len()).map(|g| objective.evaluate(&Weighting::default(), g, &batch[g], &survey).unwrap()).collect();
    let loss = parts.iter().flatten().map(|part| part.loss).sum();
    let slopes = parts.iter().map(|group| group.iter().map(|part| part.gradients.logp.clone()).collect()).collect();
    (loss, slopes)
}

fn close(got: f64, want: f64) -> bool {
    (got - want).abs() <= 1e-9 * want.abs().max(1e-3)
}

/// Compares every case of `file` whose name is `name/..`; `choice` reads the surrogate from the case's options.
fn compare(file: &str, name: &str, denominator: Denominator, choice: impl Fn(&Value) -> Value) {
    let file: Value = serde_json::from_str(file).unwrap();
    let cases: Vec<&Value> = file["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["name"].as_str().unwrap().split('/').next() == Some(name))
        .collect();
    assert!(!cases.is_empty(), "no case of {name}");
    for case in cases {
        let surrogate = serde_json::from_value(choice(&case["options"])).unwrap();
        let (loss, slopes) = compute(&Objective { surrogate, denominator, ..Objective::default() }, case);
        assert!(close(loss, case["loss"].as_f64().unwrap()), "{}: {loss} {}", case["name"], case["loss"]);
        for (g, group) in slopes.iter().enumerate() {
            for (t, got) in group.iter().enumerate() {
                let want = numbers(&case["d_logp"][g][t]);
                assert_eq!(got.len(), want.len());
                assert!(got.iter().zip(&want).all(|(g, w)| close(*g, *w)), "{}: {got:?} {want:?}", case["name"]);
            }
        }
    }
}

const TRL: &str = include_str!("../golden/trl.json");
const VERL: &str = include_str!("../golden/verl.json");

/// The mean over trajectories of sums over actions.
#[test]
fn luspo_is_that_of_trl() {
    compare(
        TRL,
        "luspo",
        Denominator::Sequence,
        |options| json!({ "luspo": { "low": options["epsilon"], "high": options["epsilon_high"] } }),
    );
}

#[test]
fn vespo_is_that_of_trl() {
    compare(TRL, "vespo", Denominator::Tokens, |options| {
        json!({ "vespo": {
            "k_pos": options["vespo_k_pos"],
            "lambda_pos": options["vespo_lambda_pos"],
            "k_neg": options["vespo_k_neg"],
            "lambda_neg": options["vespo_lambda_neg"],
        } })
    });
    // And these are the defaults.
    compare(TRL, "vespo", Denominator::Tokens, |_| json!({ "vespo": {} }));
}

/// GPG is the likelihood with the advantage as its coefficient; it has no word of its own.
#[test]
fn the_likelihood_is_gpg_of_verl() {
    compare(VERL, "gpg", Denominator::Tokens, |_| json!("likelihood"));
}

#[test]
fn dro_is_that_of_verl() {
    compare(VERL, "dro", Denominator::Tokens, |options| json!({ "dro": { "beta": options["dro_beta"] } }));
}

/// The batch of a system's frozen case; several terms are summed into the reward.
fn study(case: &Value) -> Study {
    let mut study = Study::default();
    for group in case["batch"]["groups"].as_array().unwrap() {
        let (mut trajectories, mut rows, mut old) = (Vec::new(), Vec::new(), Vec::new());
        for (episode, t) in group["trajectories"].as_array().unwrap().iter().enumerate() {
            let logp = numbers(&t["logp"]);
            let terms = t.get("rewards").and_then(Value::as_object);
            let summed = terms.map(|terms| terms.values().map(|r| r.as_f64().unwrap()).sum());
            trajectories.push(Trajectory {
                role: if t.get("role").is_some() { Role::Auxiliary } else { Role::Member },
                episode,
                reward: t.get("reward").map(|r| r.as_f64().unwrap()).or(summed),
                weight: t.get("weight").map(|w| w.as_f64().unwrap()),
                mask: t.get("mask").map_or_else(|| vec![1.0; logp.len()], numbers),
                segment: vec![0; logp.len()],
                ref_logp: t.get("ref_logp").map(numbers),
                ..Trajectory::default()
            });
            old.push(t.get("old_logp").map(numbers));
            rows.push(Rows { entropy: vec![0.0; logp.len()], logp, ..Rows::default() });
        }
        study.groups.push(Comparison { trajectories, ..Comparison::default() });
        study.rows.push(rows);
        study.old_logp.push(old);
    }
    study
}

/// A system's frozen loss and derivatives, made from naive arithmetic by others.
fn compare_system(case: &str, advantage: Value, objective: Value) {
    let case: Value = serde_json::from_str(case).unwrap();
    let method = Method {
        advantage: serde_json::from_value(advantage).unwrap(),
        objective: serde_json::from_value(objective).unwrap(),
        ..Method::default()
    };
    let got = method.calculate(&study(&case), &mut Memory::default()).unwrap();
    let want = &case["expected"];
    assert!(close(got.loss, want["loss"].as_f64().unwrap()), "{}: {} {}", case["recipe"], got.loss, want["loss"]);
    for (g, group) in got.parts.iter().enumerate() {
        for (t, part) in group.iter().enumerate() {
            let slopes = numbers(&want["d_logp"][g][t]);
            assert_eq!(part.gradients.logp.len(), slopes.len());
            for (g, w) in part.gradients.logp.iter().zip(&slopes) {
                assert!(close(*g, *w), "{}: {g} {w}", case["recipe"]);
            }
        }
    }
}

#[test]
fn system_23_disco() {
    let case = include_str!("../../../cohort/tests/golden/algorithms/disco.json");
    compare_system(case, json!({}), json!({ "surrogate": { "disco": {} } }));
}

#[test]
fn system_43_expo() {
    let case = include_str!("../../../cohort/tests/golden/algorithms/expo.json");
    compare_system(case, json!({}), json!({ "kl": { "coefficient": 0.04 }, "auxiliary": { "coefficient": 0.04 } }));
}

#[test]
fn system_48_nft() {
    let case = include_str!("../../../cohort/tests/golden/algorithms/nft.json");
    let denominator = json!({ "constant": { "length": 1000.0 } });
    compare_system(case, json!({}), json!({ "surrogate": { "nft": {} }, "denominator": denominator }));
}

#[test]
fn system_59_guide_grpo() {
    let case = include_str!("../../../cohort/tests/golden/algorithms/guide-grpo.json");
    compare_system(case, json!({ "scale": { "std": { "eps": 1e-6 } } }), json!({ "context": "sampled" }));
}

#[test]
fn system_63_reg_grpo() {
    let case = include_str!("../../../cohort/tests/golden/algorithms/reg-grpo.json");
    let objective = json!({ "surrogate": { "regression": {} }, "kl": { "coefficient": 0.1 } });
    compare_system(case, json!({ "scale": { "std": { "ddof": 0 } } }), objective);
}
