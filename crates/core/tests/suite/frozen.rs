//! The losses and gradients that TRL and verl compute themselves, on frozen batches (`golden/*.json`, made by
//! `scripts/golden_losses.py`), against the choices here that should be the same.

use cohort_core::{
    Rows, Trajectory,
    advantage::Credit,
    objective::{Objective, Seen},
    weight::Weighting,
};
use serde_json::{Value, json};

/// How a framework's case is said here.
struct Said {
    /// The parts of its loss.
    parts: Vec<Part>,
    /// Who counts as a sequence, and which small numbers a framework adds to its counts.
    counts: Counts,
    tolerance: f64,
}

struct Part {
    objective: Objective,
    /// With all advantages 0, so that only divergence and entropy are left.
    surrogate: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Counts {
    Ours,
    /// A fully masked trajectory is not counted as a sequence.
    Unmasked,
    /// And 1e-8 is added to the number of trained actions of a trajectory.
    UnmaskedEps,
}

fn recipe(ratio: Value, gate: Value, denominator: &Value, rest: &Value) -> Part {
    let mut value =
        json!({"surrogate": {"policy_gradient": {"ratio": ratio, "gate": gate}}, "denominator": denominator});
    let more = rest.as_object().cloned().unwrap_or_default();
    value.as_object_mut().unwrap().extend(more);
    Part {
        objective: serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{value}: {e}")),
        surrogate: true,
    }
}

/// `None` for losses that are no choice of these axes.
fn trl(name: &str, o: &Value) -> Option<Said> {
    let (sequence, tokens) = (json!("sequence"), json!("tokens"));
    let clip = json!({"clip": {"low": o["epsilon"], "high": o["epsilon_high"]}});
    let k3 = json!({"kl": {"coefficient": o["beta"]}});
    let none = json!({});
    let nats = json!({"geometric_clip": {"low": o["epsilon"], "high": o["epsilon_high"]}});
    let bound = |word: &str, level: &str| {
        let mut of = json!({ "level": level });
        let (low, high) = if word == "mask" { ("low", "high") } else { ("floor", "cap") };
        of[low] = o.get("vllm_importance_sampling_clip_min").cloned().unwrap_or(json!(0));
        of[high] = o["vllm_importance_sampling_clip_max"].clone();
        json!({"mismatch": {word: of}})
    };
    let part = |ratio: &str, gate: &Value, denominator: &Value, rest: &Value| {
        Some(vec![recipe(json!(ratio), gate.clone(), denominator, rest)])
    };
    let cispo = || json!({"cispo": {"low": 1.0, "high": o["epsilon_high"].as_f64().unwrap() - 1.0}});
    let parts = match name {
        "grpo" | "grpo_token_advantage" => part("token", &clip, &sequence, &none),
        "bnpo" | "dapo" => part("token", &clip, &tokens, &none),
        "dr_grpo" => part("token", &clip, &json!({"constant": {"length": o["max_completion_length"]}}), &none),
        "cispo" => part("token", &cispo(), &tokens, &none),
        "cispo_sequence" => part("geometric", &cispo(), &tokens, &none),
        "sapo" => {
            let soft = json!({"soft": {"positive": o["sapo_temperature_pos"], "negative": o["sapo_temperature_neg"]}});
            part("token", &soft, &sequence, &none)
        }
        "luspo" => part("geometric", &clip, &json!({"constant": {"length": 1}}), &none),
        "luspo_token" => part("token", &clip, &json!({"constant": {"length": 1}}), &none),
        "gspo" => part("geometric", &clip, &sequence, &none),
        "gspo_dapo" => part("geometric", &clip, &tokens, &none),
        "delta" => {
            let dual = json!({"dual_clip": {"low": o["epsilon"], "high": o["epsilon_high"], "c": o["delta"]}});
            part("token", &dual, &sequence, &none)
        }
        "beta" => part("token", &clip, &sequence, &k3),
        "beta_dapo" => part("token", &clip, &tokens, &k3),
        "beta_bias_correction" => {
            let kl = json!({"kl": {"coefficient": o["beta"], "estimator": "corrected"}});
            part("token", &clip, &sequence, &kl)
        }
        // The bonus is a mean over tokens whatever the loss is.
        "entropy_coef" => {
            let bonus = json!({"entropy": {"bonus": {"coefficient": o["entropy_coef"]}}});
            let mut bonus = recipe(json!("token"), json!("none"), &tokens, &bonus);
            bonus.surrogate = false;
            Some(vec![recipe(json!("token"), clip, &sequence, &none), bonus])
        }
        "off_policy_mask" | "off_policy_mask_behaviour" => {
            let behaviour = name.ends_with("behaviour");
            let mask = json!({"sequence_mask": {
                "delta": o["off_policy_mask_threshold"], "low": o["epsilon"], "high": o["epsilon_high"],
                "against": if behaviour { "behaviour" } else { "old" },
            }});
            if behaviour { part("token", &mask, &tokens, &k3) } else { part("token", &mask, &sequence, &none) }
        }
        "vllm_token_truncate" => part("token", &clip, &sequence, &bound("truncate", "token")),
        "vllm_token_mask" => part("token", &clip, &sequence, &bound("mask", "token")),
        "vllm_sequence_truncate" => part("token", &clip, &sequence, &bound("truncate", "sequence")),
        "vllm_sequence_mask" => part("token", &clip, &sequence, &bound("mask", "sequence")),
        "gmpo" => Some(vec![recipe(nats, json!("none"), &sequence, &none)]),
        "gmpo_beta" => Some(vec![recipe(nats, json!("none"), &sequence, &k3)]),
        "rloo_loss" => part("sequence", &clip, &sequence, &none),
        // A surrogate of its own; a weighting.
        "vespo" | "vespo_vllm" | "top_entropy_quantile" | "top_entropy_quantile_beta" => None,
        other => panic!("TRL's {other} is neither said here nor set aside"),
    };
    Some(Said { parts: parts?, counts: Counts::Ours, tolerance: 1e-9 })
}

fn verl(name: &str, o: &Value) -> Option<Said> {
    let (low, high) = (&o["clip_ratio_low"], &o["clip_ratio_high"]);
    let clip = json!({"clip": {"low": low, "high": high}});
    let dual = json!({"dual_clip": {"low": low, "high": high, "c": o["clip_ratio_c"]}});
    let none = json!({});
    let weighted = |level: &str| json!({"mismatch": {"truncate": {"cap": 1e9, "level": level}}});
    let (denominator, counts) = match (name, o["loss_agg_mode"].as_str()) {
        ("geo_mean" | "geo_mean_is_weight", _) => (json!("sequence"), Counts::Ours),
        ("sapo" | "gspo" | "gspo_token_advantage", _) | (_, Some("seq-mean-token-mean")) => {
            (json!("sequence"), Counts::UnmaskedEps)
        }
        (_, Some("token-mean")) => (json!("tokens"), Counts::Ours),
        (_, Some("token-sum")) => (json!({"fixed": {"divisor": 1}}), Counts::Ours),
        (_, Some("seq-mean-token-sum")) => (json!({"constant": {"length": 1}}), Counts::Unmasked),
        (_, Some("seq-mean-token-sum-norm")) => {
            (json!({"constant": {"length": o["loss_scale_factor"]}}), Counts::Unmasked)
        }
        other => panic!("how does verl aggregate {other:?}?"),
    };
    let part = |ratio: Value, gate: &Value, rest: &Value| Some(vec![recipe(ratio, gate.clone(), &denominator, rest)]);
    let token = || json!("token");
    let kl = |estimator: Value| json!({"kl": {"coefficient": o["kl_loss_coef"], "estimator": estimator}});
    let clamped = || json!({"k3_clamped": {"difference": 20, "value": 10}});
    let both = |estimator: Value| {
        let mut rest = kl(estimator);
        rest["entropy"] = json!({"bonus": {"coefficient": o["entropy_coeff"]}});
        rest
    };
    let nats = || json!({"geometric_clip": {"low": low, "high": high}});
    let divergence = |estimator: Value| {
        part(token(), &json!("none"), &kl(estimator)).map(|mut parts| {
            parts[0].surrogate = false;
            parts
        })
    };
    let mask = |word: &str| json!({word: {"low": low, "high": high, "cap": o["clip_ratio_c"]}});
    let parts = match name {
        "vanilla_is_weight" => part(token(), &dual, &weighted("token")),
        "vanilla_entropy_kl" => part(token(), &dual, &both(clamped())),
        "vanilla_entropy_kl_seq" => part(token(), &dual, &both(json!("k2"))),
        vanilla if vanilla.starts_with("vanilla") => part(token(), &dual, &none),
        "gspo" | "gspo_token_advantage" => part(json!("sequence_token"), &clip, &none),
        "sapo" => part(token(), &json!({"soft": {"positive": o["tau_pos"], "negative": o["tau_neg"]}}), &none),
        // Its value is that of the likelihood, which a constant weight of 1 gives.
        "gpg" => part(json!("none"), &json!({"cispo": {}}), &none),
        "clip_cov" | "clip_cov_some" => {
            let gate = json!({"clip_cov": {
                "fraction": o["clip_cov_ratio"], "least": o["clip_cov_lb"], "most": o["clip_cov_ub"],
                "low": low, "high": high, "order": "first",
            }});
            part(token(), &gate, &none)
        }
        "kl_cov" => {
            let gate = json!({"kl_cov": {"fraction": o["kl_cov_ratio"], "coefficient": o["ppo_kl_coef"]}});
            part(token(), &gate, &none)
        }
        "geo_mean" => part(nats(), &json!("none"), &none),
        "geo_mean_is_weight" => part(nats(), &json!("none"), &weighted("geometric")),
        "cispo" => part(token(), &json!({"cispo": {"low": low, "high": high}}), &none),
        "dppo_tv" => part(token(), &mask("tv_mask"), &none),
        "dppo_kl" => part(token(), &mask("kl_mask"), &none),
        "kl_k1" => divergence(json!("k1")),
        "kl_abs" => divergence(json!("abs")),
        "kl_mse" => divergence(json!("k2")),
        "kl_low_var_kl" => divergence(clamped()),
        // A surrogate of its own; the value of one estimator with the gradient of another.
        "dro" | "kl_k3+" => None,
        other => panic!("verl's {other} is neither said here nor set aside"),
    };
    // verl adds 1e-8 and 1e-10 to counts and weights inside of the geometric mean's exponent.
    let tolerance = if name.starts_with("geo_mean") { 1e-7 } else { 1e-9 };
    Some(Said { parts: parts?, counts, tolerance })
}

struct Case {
    t: Trajectory,
    credit: Credit,
    rows: Rows,
    old: Vec<f64>,
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn case(value: &Value) -> Case {
    let column = |name: &str| value.get(name).map(numbers);
    let logp = column("logp").unwrap();
    let n = logp.len();
    let old = column("old_logp").unwrap_or_else(|| logp.clone());
    // A given weight is the ratio of trainer to sampler.
    let behaviour = column("is_weight").map(|w| old.iter().zip(w).map(|(p, w)| p - w.ln()).collect());
    let advantage = &value["advantage"];
    let coefficient = advantage.as_f64().map_or_else(|| numbers(advantage), |a| vec![a; n]);
    Case {
        t: Trajectory {
            mask: column("mask").unwrap_or_else(|| vec![1.0; n]),
            ref_logp: column("ref_logp"),
            behaviour_logp: column("behaviour_logp").or(behaviour),
            ..Trajectory::default()
        },
        credit: Credit { coefficient, ..Credit::uniform(0.0, n) },
        rows: Rows { logp, entropy: column("entropy").unwrap_or_else(|| vec![0.0; n]), ..Rows::default() },
        old,
    }
}

fn same(got: f64, want: f64, tolerance: f64, what: &str) {
    assert!((got - want).abs() <= tolerance * want.abs() + 1e-12, "{what}: {got} and not {want}");
}

fn compare(framework: &str, golden: &Value, said: &Said) {
    let name = format!("{framework} {}", golden["name"]);
    let groups: Vec<Vec<Case>> =
        golden["groups"].as_array().unwrap().iter().map(|g| g.as_array().unwrap().iter().map(case).collect()).collect();
    let trained = |c: &Case| c.t.mask.iter().sum::<f64>();
    let sequences = groups.iter().flatten().count() as f64;
    let unmasked = groups.iter().flatten().filter(|c| trained(c) > 0.0).count() as f64;
    let mut loss = 0.0;
    let mut by_logp: Vec<Vec<Vec<f64>>> =
        groups.iter().map(|g| g.iter().map(|c| vec![0.0; c.old.len()]).collect()).collect();
    let mut by_entropy = by_logp.clone();
    for part in &said.parts {
        let zeros: Vec<Vec<Credit>> =
            groups.iter().map(|g| g.iter().map(|c| Credit::uniform(0.0, c.old.len())).collect()).collect();
        let see = |g: usize, t: usize| {
            let Case { t: trajectory, credit, rows, old } = &groups[g][t];
            Seen { trajectory, credit: if part.surrogate { credit } else { &zeros[g][t] }, rows, old_logp: old }
        };
        let batch: Vec<Vec<Seen<'_>>> =
            (0..groups.len()).map(|g| (0..groups[g].len()).map(|t| see(g, t)).collect()).collect();
        let weighting = Weighting::default();
        let survey = part.objective.survey(&weighting, &batch).unwrap();
        for (g, group) in batch.iter().enumerate() {
            let evaluations = part.objective.evaluate(&weighting, g, group, &survey).unwrap();
            for (t, evaluation) in evaluations.into_iter().enumerate() {
                let n = trained(&groups[g][t]);
                let factor = match said.counts {
                    Counts::Ours => 1.0,
                    Counts::Unmasked => sequences / unmasked,
                    Counts::UnmaskedEps => sequences / unmasked * n / (n + 1e-8),
                };
                loss += factor * evaluation.loss;
                for (sum, d) in by_logp[g][t].iter_mut().zip(evaluation.gradients.logp) {
                    *sum += factor * d;
                }
                for (sum, d) in by_entropy[g][t].iter_mut().zip(evaluation.gradients.entropy.unwrap_or_default()) {
                    *sum += factor * d;
                }
            }
        }
    }
    let mut want = golden["loss"].as_f64().unwrap();
    if name.starts_with("trl \"gmpo") {
        // TRL's mean over a fully masked trajectory is 0 and its ratio 1: it adds -A without a gradient.
        let masked = groups.iter().flatten().filter(|c| trained(c) == 0.0);
        want += masked.map(|c| c.credit.coefficient[0] / sequences).sum::<f64>();
    }
    same(loss, want, said.tolerance, &name);
    for (field, got) in [("d_logp", by_logp), ("d_entropy", by_entropy)] {
        for (g, group) in got.iter().enumerate() {
            for (t, got) in group.iter().enumerate() {
                let want = golden.get(field).map_or_else(|| vec![0.0; got.len()], |d| numbers(&d[g][t]));
                assert_eq!(got.len(), want.len());
                for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                    same(*got, *want, said.tolerance, &format!("{name} {field} {g} {t} {i}"));
                }
            }
        }
    }
}

fn all(framework: &str, golden: &str, say: fn(&str, &Value) -> Option<Said>) -> usize {
    let golden: Value = serde_json::from_str(golden).unwrap();
    let mut compared = 0;
    for case in golden["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap().split('/').next().unwrap();
        if name.starts_with("advantage_") {
            continue;
        }
        if let Some(said) = say(name, &case["options"]) {
            compare(framework, case, &said);
            compared += 1;
        }
    }
    compared
}

#[test]
fn losses_and_gradients_are_trls() {
    assert_eq!(all("trl", include_str!("../golden/trl.json"), trl), 47);
}

#[test]
fn losses_and_gradients_are_verls() {
    assert_eq!(all("verl", include_str!("../golden/verl.json"), verl), 46);
}
