//! A choice explained: formula, parameters, source, and what it computes on a few numbers.

use cohort_core::{
    Curriculum, Stream,
    curriculum::{CurriculumState, Verdict},
    registry::{Axis, Entry},
    score::{ScoreLoss, Scored},
};
use cohort_train::Recipe;
use serde_json::{Value, json};

use crate::calc::{Document, calculate};

/// The page of one choice.
pub fn page(entry: &Entry) -> String {
    let mut text = format!("{}.{}: {}\n\n", entry.axis, entry.name, entry.summary);
    let mut line =
        |title: &str, body: &str| text.push_str(&format!("{title:<11}{}\n", body.replace('\n', "\n           ")));
    line("recipe", &format!("{} = {}", key(entry), written(entry)));
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

/// The recipe's key; where an axis has several, the one that takes the word.
fn key(entry: &Entry) -> String {
    let keys: &[&str] = match entry.axis {
        Axis::Weight => &["truncated", "tokens", "roles", "step", "malformed"],
        Axis::Curriculum => &["order", "choose", "filter", "defer", "hint", "augment"],
        _ => &[],
    };
    let takes = |key: &&&str| {
        forms(entry).iter().any(|choice| {
            Recipe::method_of_text("example", "", &[format!("{}.{key}={choice}", entry.axis.key())]).is_ok()
        })
    };
    match keys.iter().find(takes) {
        Some(key) => format!("{}.{key}", entry.axis.key()),
        None => entry.axis.key().to_owned(),
    }
}

/// The two ways to write a choice with its defaults.
fn forms(entry: &Entry) -> [String; 2] {
    [format!("{{ {} = {{}} }}", entry.name), format!("\"{}\"", entry.name)]
}

/// How a recipe writes the choice with its defaults.
fn written(entry: &Entry) -> String {
    let parameters: Vec<String> = entry.parameters.iter().map(|p| format!("{} = {}", p.name, p.default)).collect();
    let choice = match parameters.as_slice() {
        [] => format!("\"{}\"", entry.name),
        some => format!("{{ {} = {{ {} }} }}", entry.name, some.join(", ")),
    };
    match entry.axis {
        Axis::Derive => format!("[{{ into = \"TERM\", with = {choice} }}]"),
        Axis::Shape => format!("[{choice}]"),
        _ => choice,
    }
}

/// What the choice, with its defaults and all others at theirs, computes on three trajectories; `None` where no
/// batch says anything of it.
pub fn example(entry: &Entry) -> Option<String> {
    if entry.axis == Axis::Curriculum {
        return curriculum(entry);
    }
    if entry.axis == Axis::Score {
        return scores(entry);
    }
    let document = Document::parse(&batch(entry).to_string()).ok()?;
    let recipe = forms(entry)
        .iter()
        .find_map(|choice| Recipe::method_of_text("example", "", &overrides(entry, choice)?).ok())?;
    let answer = calculate(&recipe, &document).ok()?;
    let rounded = |value: &Value| -> Value { round(value) };
    Some(match entry.axis {
        Axis::Derive | Axis::Combine => {
            format!("terms {}  ->  advantages {}", terms(entry.axis), rounded(&answer["advantage"][0]))
        }
        Axis::Estimator | Axis::Baseline | Axis::Scale | Axis::Scope | Axis::Drop | Axis::Shape => {
            format!("rewards {:?}  ->  advantages {}", rewards(entry), rounded(&answer["advantage"][0]))
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

fn overrides(entry: &Entry, choice: &str) -> Option<Vec<String>> {
    // Three trajectories hold no four.
    let choice = if entry.name == "pass_at_k" { "{ pass_at_k = { k = 2 } }" } else { choice };
    Some(match entry.axis {
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
        Axis::Curriculum | Axis::Score => return None,
        Axis::Shape => vec![format!("advantage.shape=[{choice}]"), "train.inner_epochs=2".to_owned()],
        Axis::Drop => vec![
            format!("advantage.drop={choice}"),
            "advantage.baseline=median".to_owned(),
            "train.inner_epochs=2".to_owned(),
        ],
        _ => vec![format!("{}={choice}", key(entry)), "train.inner_epochs=2".to_owned()],
    })
}

/// What a loss says of a list of three.
fn scores(entry: &Entry) -> Option<String> {
    let loss: ScoreLoss = serde_json::from_value(json!({ entry.name: {} })).ok()?;
    let list = [(0.5, 1.0), (1.5, 0.0), (-1.0, 0.0)].map(|(score, label)| Scored { score, label });
    let of = loss.of(&list).ok()?;
    let units = loss.units(&list.map(|it| it.label)) as f64;
    let slopes: Vec<f64> = of.slopes.iter().map(|slope| slope / units).collect();
    Some(format!(
        "scores [0.5,1.5,-1.0], labels [1,0,0]\n->  loss {}, d_score {}",
        round(&json!(of.loss / units)),
        round(&json!(slopes))
    ))
}

/// The rewards of the example: 0 and 1 where a choice reads successes.
fn rewards(entry: &Entry) -> [f64; 3] {
    let compares =
        matches!(entry.axis, Axis::Estimator | Axis::Baseline | Axis::Scale | Axis::Scope | Axis::Drop | Axis::Shape);
    let successes = matches!(entry.name, "pass_at_k" | "prompt_weight");
    if compares && !successes { [0.0, 1.0, 3.0] } else { [0.0, 1.0, 1.0] }
}

/// What a curriculum does with three prompts that were seen twice.
fn curriculum(entry: &Entry) -> Option<String> {
    let field = key(entry).rsplit('.').next()?.to_owned();
    let choices = [json!({ entry.name: {} }), json!(entry.name)];
    let parse = |choice: &Value| serde_json::from_value::<Curriculum>(json!({ field.as_str(): choice })).ok();
    let curriculum = choices.iter().find_map(parse)?;
    let rewards = [vec![Some(0.0), Some(0.0)], vec![Some(0.0), Some(1.0)], vec![Some(1.0), Some(1.0)]];
    let observed: Vec<_> = rewards.iter().cloned().enumerate().map(|(prompt, r)| (prompt, r, Some(0.01))).collect();
    let mut state = CurriculumState::default();
    curriculum.observe(1, &observed, &mut state);
    curriculum.observe(2, &observed, &mut state);
    let next = curriculum.choose(3, 3, 3, Stream::new(0, "example"), &state);
    let trained: Vec<bool> = curriculum.admit(&rewards).iter().map(|v| *v == Verdict::Keep).collect();
    let levels: Vec<u32> = (0..3).map(|prompt| curriculum.level(prompt, &state)).collect();
    Some(format!(
        "prompts 0, 1, 2 with rewards (0,0), (0,1), (1,1) at steps 1 and 2\n->  prompts of step 3: {next:?}, groups trained: {trained:?}, hint levels: {levels:?}"
    ))
}

/// Three trajectories with every column, and the facts that choices read by default.
fn batch(entry: &Entry) -> Value {
    let axis = entry.axis;
    let given = |text: &str| serde_json::from_str::<Vec<Vec<f64>>>(text).expect("a constant");
    let (logp, old) = (given(LOGP), given(OLD_LOGP));
    let rewards = rewards(entry);
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
                "noise_scale": column(0.5), "step_size": column(0.1), "pivot": column(1.0), "malformed": column(0.0),
                "shaping": column(0.1), "hardness": 0.1 * t as f64, "gap": 0.2, "step": 0, "branch": (0..n).collect::<Vec<_>>(),
                "confidence": 0.9 - 0.1 * t as f64, "appeal": false, "action": "keep", "decision": "selected",
                "abstained": false, "later_success": 1.0, "skill_used": 1.0, "futures": [1.0, 0.0], "windows": [0.9, 0.2],
                "distance": t, "recalls": 0, "asks": 1, "kind": "qa",
            },
        });
        match axis {
            Axis::Derive => {
                value["rewards"] = json!({"answer": rewards[t], "format": 1.0, "detector": 0.5 * rewards[t], "rubric": 0.4 + 0.2 * t as f64, "judge": 0.6 - 0.2 * t as f64, "success": rewards[t], "short": 0.5, "similarity": 0.5})
            }
            Axis::Combine => {
                value["rewards"] = json!({
                    "answer": rewards[t], "format": ([1.0, 1.0, 0.0][t]), "short": 0.5 * rewards[t], "tags": 1.0, "json": 1.0,
                    "syntax": 1.0, "testbench": rewards[t], "similarity": 0.5,
                })
            }
            _ => value["reward"] = json!(rewards[t]),
        }
        value
    };
    let facts = json!({
        "wins": [[0.0, 0.0, 0.5], [1.0, 0.0, 1.0], [0.5, 0.0, 0.0]], "degraded_accuracy": 0.5,
    });
    json!({"groups": [{"facts": facts, "trajectories": (0..3).map(trajectory).collect::<Vec<_>>()}]})
}

/// Four decimals, for people.
fn round(value: &Value) -> Value {
    match value {
        Value::Number(x) => json!((x.as_f64().unwrap_or(0.0) * 1e4).round() / 1e4 + 0.0),
        Value::Array(list) => list.iter().map(round).collect(),
        other => other.clone(),
    }
}
