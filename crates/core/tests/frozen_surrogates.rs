//! Surrogates that carry a framework's name against that framework's own numbers.

use cohort_core::{
    Rows, Trajectory,
    advantage::Credit,
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

const TRL: &str = include_str!("golden/trl.json");
const VERL: &str = include_str!("golden/verl.json");

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
