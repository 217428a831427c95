//! Groups that are no flat list of answers: trees, exits, rounds, explanations, hints. Every one of them holds the laws of a run.

use serde_json::{Value, json};

use crate::common::{Place, Running, TINY, assert_same_run, line_count};

/// [`TINY`] with other keys before its sections.
fn recipe(keys: &str, group_size: usize) -> String {
    let small = TINY.replace("group_size = 4", &format!("group_size = {group_size}"));
    // A dotted key at the top opens a table that a header may not open again.
    small.replace("[rollout]\n", &format!("[rollout]\n{keys}\n"))
}

const EXITS: &str = r#"strategy.exits = { ends_with = "=", say = "=", answer_tokens = 3 }"#;
const TREE: &str = r#"strategy.tree = { share = [[0, 0.75]], top = 3, branch_at.uncertain = { above = 0.01, within = 0.05 }, prune = { ages = [2, 4], below = 0.6 }, until = 6 }"#;
const EXPLAINED: &str = r#"strategy.explained = { ask = "+{{ answer }}=", count = 2 }"#;
const ROUNDS: &str = r#"strategy.branching = { widths = [3, 2] }
rounds = [{ stop = ["+"], max_new_tokens = 5 }, { say = "=", carry = "latest" }]"#;
const SOFT: &str = r#"thinking.soft = { until = "=", top_k = 4, top_p = 1.0, tau = 0.5 }"#;
const LADDER: &str = r#"hint.levels.texts = ["+{{ answer }}", "={{ solution }}"]"#;
const WRITTEN: &str =
    r#"hint = { scored = "plain", levels.written = { asks = ["+{{ answer }}="], before = "=", max_new_tokens = 3 } }"#;

/// A curriculum under which no group ever succeeds.
const CLIMB: &str = "\n[curriculum.hint.ladder]\nlevels = 2\nsuccess_above = 9.0\n";
const BESIDE: &str = "\n[curriculum.hint.all_fail]\nsuccess_above = 9.0\n";

fn cases() -> Vec<(&'static str, String)> {
    vec![
        ("exits", recipe(EXITS, 4)),
        ("tree", recipe(TREE, 4)),
        ("explained", recipe(EXPLAINED, 3) + "\n[objective]\nauxiliary = { coefficient = 0.04, apply = \"always\" }\n"),
        ("rounds", recipe(ROUNDS, 6)),
        ("soft", recipe(SOFT, 4) + "\n[objective]\nkl = { coefficient = 0.01, estimator = \"k3\" }\n"),
        ("ladder", recipe(LADDER, 3) + CLIMB),
        ("beside", recipe(WRITTEN, 3) + BESIDE + "\n[objective]\ncontext = \"sampled\"\n"),
    ]
}

fn tokens(lines: &[Value], key: &str) -> u64 {
    let of = |line: &Value, part: &str| line[part][key].as_u64().unwrap_or(0);
    lines.iter().map(|line| of(line, "cost") + of(line, "spent")).sum()
}

#[test]
fn every_strategy_keeps_the_laws_of_a_run() {
    for (name, recipe) in cases() {
        let place = Place::of(&recipe);
        place.train("whole", &["--workers", "1"]).well();
        let summary = place.json("whole/summary.json");
        let lines = place.lines("whole/rollouts.jsonl");
        assert_eq!(summary["logp_gap_max"], 0.0, "{name}: the sampler's rows are the trainer's");
        assert_eq!(summary["tokens"]["completion"], tokens(&lines, "sampled_actions"), "{name}");
        assert_eq!(summary["tokens"]["prompt"], tokens(&lines, "context_tokens"), "{name}");

        let metrics = place.path("killed/metrics.jsonl");
        let mut running = Running::start(&mut place.train_command("killed", &["--workers", "3"]));
        running.until(|| line_count(&metrics) >= 3);
        running.kill();
        place.train("killed", &["--resume", "--workers", "2"]).well();
        assert_same_run(&place.path("whole"), &place.path("killed"));
    }
}

/// The lines of the first step, and what is said of its first sample.
fn first_step(recipe: &str) -> (Vec<Value>, Value, String) {
    let place = Place::of(recipe);
    place.train("run", &["--set", "train.steps=1"]).well();
    let metrics = place.lines("run/metrics.jsonl").swap_remove(0);
    let last = place.cohort(&["inspect", "run", "--sample", "1"]).well().stdout;
    (place.lines("run/rollouts.jsonl"), metrics, last)
}

#[test]
fn exits_say_where_they_left_and_who_wrote_what() {
    let (lines, _, inspected) = first_step(&recipe(EXITS, 4));
    let first = &lines[0];
    assert!(first["facts"]["position"].is_number(), "{first}");
    for line in &lines {
        let sample = &line["samples"][0];
        let Some(said) = sample["authors"].as_array() else { continue };
        assert!(said.iter().all(|said| said[1] == "environment"), "{sample}");
        let position = said[0][0].as_u64().expect("a place") as usize;
        assert_eq!(line["facts"]["position"], position as f64, "{line}");
        let Some(d_logp) = sample["d_logp"].as_array() else { continue };
        assert_eq!(d_logp[position], 0.0, "what nobody drew is not trained: {sample}");
    }
    assert!(lines.iter().any(|line| line["samples"][0]["authors"].is_array()), "{first}");
    assert!(inspected.contains("position") && inspected.contains("environment"), "{inspected}");
}

#[test]
fn a_tree_says_who_left_whom() {
    let (lines, metrics, _) = first_step(&recipe(TREE, 4));
    let branches = lines.iter().filter(|line| line["facts"]["branch"].is_number()).count();
    assert!(branches > 4 && branches <= 12, "three of four are the tree's at most, in four groups: {branches}");
    assert!(lines.iter().any(|line| line["facts"]["parent"].is_number()));
    assert!(metrics["groups/branches"].as_f64().is_some_and(|mean| mean > 1.0), "{metrics}");
}

#[test]
fn rounds_show_what_they_were_drawn_under() {
    let (lines, _, inspected) = first_step(&recipe(ROUNDS, 6));
    let (plan, chain) = (&lines[0]["samples"][0], &lines[0]["samples"][1]);
    assert_eq!((&plan["segments"], &chain["segments"]), (&Value::Null, &json!([1])));
    let context = chain["context"].as_str().expect("another context than the prompt");
    let wrote = format!("{}{}", lines[0]["prompt"].as_str().unwrap(), plan["text"].as_str().unwrap());
    assert_eq!(context, format!("{wrote}="));
    assert_eq!(lines[1]["samples"][0], *plan, "two chains of one plan");
    assert_eq!(lines[1]["cost"]["sampled_actions"], lines[1]["samples"][1]["tokens"].as_array().unwrap().len());
    assert!(inspected.contains("drawn under") && inspected.contains("turn 1"), "{inspected}");
}

#[test]
fn a_soft_thought_shows_what_it_is_mixed_of() {
    let (lines, metrics, inspected) = first_step(&recipe(SOFT, 4));
    assert_eq!(metrics["logp_gap"], 0.0);
    let mut discrete = 0;
    for line in &lines {
        let sample = &line["samples"][0];
        let (tokens, mixtures) = (sample["tokens"].as_array().unwrap(), sample["mixtures"].as_array().unwrap());
        assert_eq!(tokens.len(), mixtures.len());
        let text = sample["text"].as_str().unwrap();
        let ended = mixtures.iter().position(Value::is_null).unwrap_or(mixtures.len());
        discrete += mixtures.len() - ended;
        assert!(mixtures[ended..].iter().all(Value::is_null) && (ended == mixtures.len() || text.contains('=')));
        for (token, mixture) in tokens.iter().zip(&mixtures[..ended]) {
            let all = mixture.as_array().unwrap();
            let heaviest = all.iter().max_by(|a, b| a[1].as_f64().partial_cmp(&b[1].as_f64()).unwrap()).unwrap();
            assert!(all.len() <= 4 && heaviest[0] == *token, "{mixture} recorded as {token}");
        }
    }
    assert!(discrete > 0, "no thought ended");
    assert!(inspected.contains("mixture"), "{inspected}");
}

/// Evaluations think softly too, so with weights that stay they stay; and nothing but the learning rate moves a weight.
#[test]
fn a_soft_run_without_a_learning_rate_learns_nothing() {
    let place = Place::of(&recipe(SOFT, 4));
    place.train("still", &["--set", "train.lr=0", "--set", "train.keep_checkpoints=9"]).well();
    let weights = |run: &str, step: u64| place.bytes(&format!("{run}/checkpoints/step-{step:06}/model.safetensors"));
    assert_eq!(weights("still", 2), weights("still", 6));
    let eval = &place.json("still/summary.json")["eval"];
    assert_eq!(eval["before"], eval["after"]);
    place.train("moved", &["--set", "train.keep_checkpoints=9"]).well();
    assert_ne!(weights("moved", 2), weights("still", 2));
    place.train("plain", &["--set", "rollout.thinking=discrete", "--set", "train.keep_checkpoints=9"]).well();
    assert_ne!(weights("moved", 2), weights("plain", 2));
}

#[test]
fn an_explanation_stands_beside_its_group() {
    let (lines, _, _) = first_step(&(recipe(EXPLAINED, 3) + "\n[objective]\nauxiliary.coefficient = 0.04\n"));
    let beside: Vec<&Value> = lines.iter().filter_map(|line| line["auxiliary"].as_array()).flatten().collect();
    assert!(!beside.is_empty(), "some are not cut");
    for sample in beside {
        let [drawn, scored] = ["context", "scored_under"].map(|key| sample[key].as_str().expect(key));
        assert!(drawn.starts_with(scored) && drawn.len() > scored.len() && drawn.ends_with('='), "{drawn} {scored}");
        assert!(sample["d_logp"].as_array().is_some_and(|all| all.iter().any(|d| d.as_f64() < Some(0.0))), "{sample}");
    }
}

#[test]
fn a_failed_group_is_drawn_again_with_more_of_a_hint() {
    let (lines, metrics, _) = first_step(&(recipe(LADDER, 3) + CLIMB));
    let of_slot = |slot: u64| lines.iter().filter(move |line| line["slot"] == slot).collect::<Vec<_>>();
    // Four prompts, three levels; the last are trained.
    for slot in 0..12u64 {
        let group = of_slot(slot);
        assert_eq!(group.len(), 3, "slot {slot}");
        let first = group[0];
        assert_eq!(first["discarded"].as_str(), (slot < 8).then_some("redrawn"), "slot {slot}");
        let prompt = first["prompt"].as_str().unwrap();
        match first["samples"][0]["context"].as_str() {
            None => assert!(slot < 4, "slot {slot} has a hint"),
            Some(hinted) => {
                let mark = if slot < 8 { '+' } else { '=' };
                assert!(hinted.strip_prefix(prompt).is_some_and(|hint| hint.starts_with(mark)), "{hinted}");
            }
        }
    }
    assert_eq!(metrics["groups/hint_level"], 2.0);
    assert_eq!(metrics["groups/discarded/redrawn"], 8.0);
}

#[test]
fn a_hinted_group_joins_the_one_that_failed() {
    let (lines, metrics, inspected) =
        first_step(&(recipe(WRITTEN, 3) + BESIDE + "\n[objective]\ncontext = \"sampled\"\n"));
    let (hinted, plain): (Vec<&Value>, Vec<&Value>) = lines.iter().partition(|line| line["drawn"].is_null());
    assert_eq!((hinted.len(), plain.len(), lines.len()), (12, 12, 24));
    for line in &plain {
        let slot = line["slot"].as_u64().unwrap();
        assert_eq!(line["drawn"][0], slot - 4, "{line}");
        assert!(line["samples"][0]["context"].is_null());
    }
    for line in &hinted {
        let sample = &line["samples"][0];
        assert_eq!(sample["scored_under"], line["prompt"], "trained without the hint");
        assert_ne!(sample["context"], line["prompt"]);
    }
    assert_eq!(metrics["groups/discarded/joined"], 4.0);
    assert!(metrics["tokens/discarded"].as_f64().is_some_and(|spent| spent > 0.0), "hints were paid for: {metrics}");
    assert!(inspected.contains("scored under"), "{inspected}");
}

#[test]
fn what_a_recipe_cannot_mean_is_refused() {
    let refused = |keys: &str, more: &str, group_size, parts: &[&str]| {
        Place::of(&(recipe(keys, group_size) + more)).train("run", &[]).failed(2, parts);
    };
    refused(EXITS, "", 1, &["rollout.strategy.exits", "group_size"]);
    refused(ROUNDS, "", 4, &["rollout.strategy.branching.widths", "must multiply to group_size, 4"]);
    refused("strategy.branching = { widths = [2, 2] }", "", 4, &["rollout.strategy.branching.widths", "rounds"]);
    refused(r#"rounds = [{ say = "{{ answer }}" }]"#, "", 4, &["rollout.rounds.say", "no template"]);
    refused(LADDER, "", 4, &["rollout.hint", "curriculum.hint"]);
    refused("", CLIMB, 4, &["curriculum.hint", "needs rollout.hint"]);
    refused(r#"hint.levels.texts = ["+"]"#, CLIMB, 4, &["rollout.hint.levels", "2"]);
    let soft = |rest: &str| format!("{SOFT}\n{rest}");
    refused(&soft(EXITS), "", 4, &["rollout.thinking", "strategy"]);
    refused(&soft(LADDER), CLIMB, 4, &["rollout.thinking", "hint"]);
    refused(SOFT, "\n[objective]\nkl = { coefficient = 0.1, estimator = \"exact\" }\n", 4, &["rollout.thinking", "k3"]);
    refused(r#"thinking.soft = { until = "" }"#, "", 4, &["rollout.thinking.soft.until", "empty"]);
    refused(r#"thinking.soft = { until = "=", tau = 0.0 }"#, "", 4, &["rollout.thinking.soft.tau", "above 0"]);
    refused(r#"thinking.soft = { until = "1+1" }"#, "", 4, &["rollout.thinking.soft.until", "one token", "3 tokens"]);
    let unknown = r#"strategy.explained = { ask = "{{ reason }}" }"#;
    Place::of(&recipe(unknown, 4)).train("run", &[]).failed(3, &["rollout.strategy.explained.ask", "reason"]);
    let long = format!(r#"strategy.explained = {{ ask = "{}" }}"#, "+".repeat(60));
    Place::of(&recipe(&long, 4)).train("run", &[]).failed(3, &["rollout.strategy.explained.ask", "positions"]);
}
