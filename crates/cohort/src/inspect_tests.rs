//! Inspection of runs that tests make up.

use serde_json::json;

use super::*;
use crate::report::testing::Synthetic;

fn with_tokenizer(run: &Synthetic) {
    for file in cohort_model::arithmetic_tokenizer() {
        let text = String::from_utf8(file.bytes.to_vec()).unwrap();
        run.put(&format!("checkpoints/last/{}", file.name), &text);
    }
}

#[test]
fn the_default_is_the_first_episode_of_the_last_step() {
    let run = Synthetic::new(3).write();
    let seen = inspect(run.path(), None, None).unwrap();
    assert_eq!((seen.step, seen.sample, seen.episode, seen.samples_in_step), (3, 0, 0, 4));
    let seen = inspect(run.path(), Some(2), Some(3)).unwrap();
    assert_eq!((seen.step, seen.episode, seen.reward), (2, 3, Some(2.0)));
    assert_eq!(seen.rewards["answer"], Outcome::Scored { value: 1.0 });
}

#[test]
fn every_action_has_its_row_coefficient_and_gradient() {
    let run = Synthetic::new(1).write();
    let ids = inspect(run.path(), None, None).unwrap();
    assert!(ids.turns[0].actions.iter().all(|a| a.text.is_none()), "no tokenizer, no text");
    with_tokenizer(&run);
    let seen = inspect(run.path(), None, None).unwrap();
    let turn = &seen.turns[0];
    assert_eq!(turn.rows, RowsOf::Trainer);
    let second = &turn.actions[1];
    assert_eq!((second.token, second.text.as_deref()), (Some(9), Some("2")));
    assert_eq!((second.logp, second.entropy, second.ratio), (Some(-0.25), Some(0.25), Some(1.0)));
    assert_eq!((second.coefficient, second.d_logp), (Some(-0.5), Some(0.02)));
    assert_eq!(turn.actions[2].text.as_deref(), Some("<eos>"));
}

#[test]
fn what_was_truncated_and_what_stopped_it_is_shown() {
    let plain = Synthetic::new(1).write();
    assert!(!inspect(plain.path(), None, None).unwrap().text().contains("truncated"));
    let mut run = Synthetic::new(1);
    run.rollouts[0]["samples"][0]["truncated_logp"] = json!([-0.125, -0.0625, 0.0]);
    run.rollouts[0]["samples"][0]["stop"] = json!({ "text": 1 });
    run.rollouts[0]["samples"][0]["stop_text"] = json!("</a>");
    run.rollouts[0]["stop"] = json!({ "text": 1 });
    let run = run.write();
    let seen = inspect(run.path(), None, Some(0)).unwrap();
    assert_eq!(seen.turns[0].actions[1].truncated_logp, Some(-0.0625));
    let text = seen.text();
    assert!(text.contains("truncated") && text.contains("-0.062500"), "{text}");
    assert!(text.contains("ended by stop string \"</a>\""), "{text}");
}

#[test]
fn a_soft_token_is_shown_as_its_mixture() {
    let plain = Synthetic::new(1).write();
    assert!(!inspect(plain.path(), None, None).unwrap().text().contains("mixture"));
    let mut run = Synthetic::new(1);
    run.rollouts[0]["samples"][0]["mixtures"] = json!([[[8, 0.25], [9, 0.7425], [3, 0.0075]], null, null]);
    let run = run.write();
    let seen = inspect(run.path(), None, Some(0)).unwrap();
    let mixture = seen.turns[0].actions[0].mixture.as_ref().unwrap();
    assert_eq!((mixture.len(), mixture[1].token, mixture[1].weight), (3, 9, 0.7425));
    assert_eq!(seen.turns[0].actions[1].mixture, None);
    let text = seen.text();
    assert!(text.contains("mixture") && text.contains("9 0.74, 8 0.25"), "{text}");
}

#[test]
fn authors_choices_and_missing_passes_are_shown() {
    let mut run = Synthetic::new(1);
    run.rollouts[0]["samples"][0]["authors"] = json!([[1, "environment"]]);
    run.rollouts[0]["samples"][0]["d_logp"] = json!(null);
    run.rollouts[0]["samples"][0]["coefficient"] = json!([0.5, 0.0, 0.25]);
    run.rollouts[1]["samples"][0]["tokens"] = json!([]);
    run.rollouts[1]["samples"][0]["choices"] = json!([{ "option": 4 }]);
    let run = run.write();
    let seen = inspect(run.path(), None, Some(0)).unwrap();
    let actions = &seen.turns[0].actions;
    assert_eq!(actions[1].author, Author::Environment);
    assert_eq!(seen.turns[0].rows, RowsOf::Sampler);
    assert!(actions.iter().all(|a| a.ratio.is_none() && a.d_logp.is_none()));
    assert_eq!(actions[2].coefficient, Some(0.25));
    let seen = inspect(run.path(), None, Some(1)).unwrap();
    assert_eq!(seen.turns[0].actions.len(), 1);
    assert_eq!(seen.turns[0].actions[0].choice, Some(Choice::Option(4)));
}

#[test]
fn errors_say_what_there_is() {
    let run = Synthetic::new(3).write();
    let error = inspect(run.path(), Some(9), None).unwrap_err();
    assert!(error.to_string().contains("expected one of 1-3"), "{error}");
    let error = inspect(run.path(), Some(2), Some(4)).unwrap_err();
    assert!(error.to_string().contains("expected 0 to 3"), "{error}");
    let error = inspect(run.path(), None, Some(4)).unwrap_err();
    assert!(matches!(error, InspectError::NoSample { step: 3, .. }), "{error}");
    let error = inspect(Synthetic::new(0).write().path(), None, None).unwrap_err();
    assert!(matches!(error, InspectError::NoRollouts { .. }), "{error}");
    let error = inspect(Path::new("/nonexistent/run"), None, None).unwrap_err();
    assert!(matches!(error, InspectError::Run(RunError::NotARun { .. })), "{error}");
    assert_eq!(ranges(&[1, 2, 3, 7, 9, 10]), "1-3, 7, 9-10");
}

#[test]
fn a_torn_last_line_hides_nothing() {
    let run = Synthetic::new(2).write();
    let whole = std::fs::read_to_string(run.path().join("rollouts.jsonl")).unwrap();
    run.put("rollouts.jsonl", &whole[..whole.len() - 20]);
    assert_eq!(inspect(run.path(), None, None).unwrap().samples_in_step, 3);
}

#[test]
fn the_table_is_aligned_and_json_leaves_out_what_is_absent() {
    let run = Synthetic::new(1).write();
    with_tokenizer(&run);
    let seen = inspect(run.path(), None, None).unwrap();
    let text = seen.text();
    let lines: Vec<&str> = text.lines().skip_while(|l| !l.contains("coefficient")).collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines.iter().all(|l| l.chars().count() == lines[0].chars().count()), "{text}");
    assert!(lines[1].contains("\"1\"") && lines[1].contains("1.000000"), "{text}");
    let json = serde_json::to_value(&seen).unwrap();
    assert!(json["turns"][0]["actions"][0].get("choice").is_none());
    assert_eq!(json["rewards"]["answer"]["outcome"], "scored");
}
