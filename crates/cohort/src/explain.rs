//! A choice explained: formula, parameters, source, and what it computes on a few numbers.

use cohort_core::registry::{Axis, Entry};
use cohort_train::Recipe;
use serde_json::{Value, json};

use crate::calc::{Document, calculate};

/// The page of one choice.
pub fn page(entry: &Entry) -> String {
    let mut text = format!("{}.{}: {}\n\n", entry.axis, entry.name, entry.summary);
    let mut line =
        |title: &str, body: &str| text.push_str(&format!("{title:<11}{}\n", body.replace('\n', "\n           ")));
    line("recipe", &format!("{} = {}", entry.axis.key(), written(entry)));
    line("formula", entry.formula);
    for parameter in entry.parameters {
        line(
            "parameter",
            &format!("{} = {}  ({}): {}", parameter.name, parameter.default, parameter.range, parameter.meaning),
        );
    }
    if !entry.reads.is_empty() {
        line("reads", &entry.reads.join(", "));
    }
    line("source", entry.source);
    if !entry.unverified.is_empty() {
        line("unverified", entry.unverified);
    }
    for (name, why) in entry.equals {
        line("equals", &format!("{name}: {why}"));
    }
    if let Some(example) = example(entry) {
        line("example", &example);
    }
    text
}

/// How a recipe writes the choice with its defaults.
fn written(entry: &Entry) -> String {
    let parameters: Vec<String> = entry.parameters.iter().map(|p| format!("{} = {}", p.name, p.default)).collect();
    if parameters.is_empty() {
        format!("\"{}\"", entry.name)
    } else {
        format!("{{ {} = {{ {} }} }}", entry.name, parameters.join(", "))
    }
}

/// What the choice, with its defaults and all others at theirs, computes on three trajectories; `None` where no
/// batch says anything of it.
pub fn example(entry: &Entry) -> Option<String> {
    let document = Document::parse(&batch(entry.axis).to_string()).ok()?;
    let recipe = ["{ NAME = {} }", "\"NAME\""].iter().find_map(|form| {
        let choice = form.replace("NAME", entry.name);
        Recipe::method_of_text("example", "", &overrides(entry.axis, &choice)?).ok()
    })?;
    let answer = calculate(&recipe, &document).ok()?;
    let rounded = |value: &Value| -> Value { round(value) };
    Some(match entry.axis {
        Axis::Derive | Axis::Combine => {
            format!("terms {}  ->  advantages {}", terms(entry.axis), rounded(&answer["advantage"][0]))
        }
        Axis::Estimator | Axis::Baseline | Axis::Scale | Axis::Scope | Axis::Drop | Axis::Shape => {
            format!("rewards 0, 1, 3  ->  advantages {}", rounded(&answer["advantage"][0]))
        }
        _ => format!(
            "advantages {}, logp {}, old_logp {}\n->  loss {}, d_logp {}",
            rounded(&answer["advantage"][0]),
            LOGP,
            OLD_LOGP,
            rounded(&answer["loss"]),
            rounded(&answer["d_logp"][0])
        ),
    })
}

const LOGP: &str = "[[-0.5,-1.0],[-0.7],[-0.2,-0.9]]";
const OLD_LOGP: &str = "[[-0.9,-1.0],[-0.6],[-0.3,-0.5]]";

fn terms(axis: Axis) -> &'static str {
    match axis {
        Axis::Combine => "answer 0, 1, 1 and format 1, 1, 0",
        _ => "answer 0, 1, 1",
    }
}

fn overrides(axis: Axis, choice: &str) -> Option<Vec<String>> {
    Some(match axis {
        Axis::Derive => vec![
            format!("reward.derive=[{{ into = \"derived\", with = {choice} }}]"),
            "advantage.scale=none".to_owned(),
            "advantage.baseline=none".to_owned(),
        ],
        Axis::Combine => vec![
            "reward.terms.answer.weight=1.0".to_owned(),
            "reward.terms.format.weight=0.5".to_owned(),
            format!("reward.combine={choice}"),
            "advantage.scale=none".to_owned(),
            "advantage.baseline=none".to_owned(),
        ],
        Axis::Divergence => vec![
            format!("objective.kl={{ estimator = {choice}, coefficient = 0.1 }}"),
            "train.inner_epochs=2".to_owned(),
        ],
        Axis::Curriculum | Axis::Weight => return None,
        _ => vec![format!("{}={choice}", axis.key()), "train.inner_epochs=2".to_owned()],
    })
}

/// Three trajectories with every column, and the facts that choices read by default.
fn batch(axis: Axis) -> Value {
    let given = |text: &str| serde_json::from_str::<Vec<Vec<f64>>>(text).expect("a constant");
    let (logp, old) = (given(LOGP), given(OLD_LOGP));
    let rewards: [f64; 3] = match axis {
        Axis::Estimator | Axis::Baseline | Axis::Scale | Axis::Scope | Axis::Drop | Axis::Shape => [0.0, 1.0, 3.0],
        _ => [0.0, 1.0, 1.0],
    };
    let trajectory = |t: usize| {
        let n = logp[t].len();
        let column = |x: f64| vec![x; n];
        let mut value = json!({
            "logp": logp[t],
            "old_logp": old[t],
            "ref_logp": logp[t].iter().map(|x| x - 0.1).collect::<Vec<_>>(),
            "behaviour_logp": old[t],
            "kl_old": column(0.02),
            "kl_ref": column(0.05),
            "entropy": column(0.6 + 0.1 * t as f64),
            "segment": (0..n).collect::<Vec<_>>(),
            "segment_rewards": {"0": rewards[t], "1": 1.0 - rewards[t]},
            "facts": {
                "length": n, "position": t, "calls": t, "answer": (["7", "12", "12"][t]), "plan": t / 2,
                "noise_scale": column(0.5), "step_size": column(0.1),
            },
        });
        match axis {
            Axis::Derive => value["rewards"] = json!({"answer": rewards[t]}),
            Axis::Combine => value["rewards"] = json!({"answer": rewards[t], "format": ([1.0, 1.0, 0.0][t])}),
            _ => value["reward"] = json!(rewards[t]),
        }
        value
    };
    json!({"groups": [{"facts": {}, "trajectories": (0..3).map(trajectory).collect::<Vec<_>>()}]})
}

/// Four decimals, for people.
fn round(value: &Value) -> Value {
    match value {
        Value::Number(x) => json!((x.as_f64().unwrap_or(0.0) * 1e4).round() / 1e4 + 0.0),
        Value::Array(list) => list.iter().map(round).collect(),
        other => other.clone(),
    }
}
