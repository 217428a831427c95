use super::*;
use crate::{testing, verifier::judge};

fn noisy(toml: &str) -> Box<dyn Verifier> {
    let config: Noisy = serde_json::from_str(toml).unwrap();
    config.build(&Means::default()).unwrap()
}

const OF: &str = r#""of": {"answer": {"compare": "exact"}}"#;

/// Mean score over `groups` groups of 8 copies of a completion, and how many differ within their group.
fn mean(verifier: &dyn Verifier, completion: &str, groups: u64) -> (f64, usize) {
    let item = testing::item("p", r#"{"answer": "7"}"#);
    let (mut sum, mut mixed) = (0.0, 0);
    for step in 1..=groups {
        let view = View { step, ..testing::view(&item, completion) };
        let scores: Vec<f64> = judge(verifier, &[view; 8]).iter().map(|v| v.outcome.value().unwrap()).collect();
        sum += scores.iter().sum::<f64>();
        mixed += usize::from(scores.iter().any(|s| *s != scores[0]));
    }
    (sum / (8 * groups) as f64, mixed)
}

#[test]
fn marks_are_wrong_at_the_given_rates() {
    let verifier = noisy(&format!(r#"{{{OF}, "flip": {{"false_positive": 0.1, "false_negative": 0.3}}}}"#));
    let (right, mixed) = mean(verifier.as_ref(), "7", 500);
    let (wrong, _) = mean(verifier.as_ref(), "8", 500);
    // Five standard deviations of 4,000 draws.
    assert!((right - 0.7).abs() < 0.037, "{right}");
    assert!((wrong - 0.1).abs() < 0.024, "{wrong}");
    assert!(mixed > 300, "members of a group err apart: {mixed}");
}

#[test]
fn by_text_an_error_is_made_always_or_never() {
    let verifier =
        noisy(&format!(r#"{{{OF}, "by": "text", "flip": {{"false_positive": 0.5, "false_negative": 0.5}}}}"#));
    let means: Vec<f64> = (0..40).map(|i| mean(verifier.as_ref(), &format!("no {i}"), 5).0).collect();
    assert!(means.iter().all(|m| *m == 0.0 || *m == 1.0), "{means:?}");
    assert!(means.contains(&0.0) && means.contains(&1.0));
}

#[test]
fn heavy_tails_are_centred_and_cut() {
    let verifier = noisy(&format!(r#"{{{OF}, "student": {{"scale": 0.3, "degrees": 2}}}}"#));
    assert_eq!(verifier.range(), (-3.0, 4.0));
    let item = testing::item("p", r#"{"answer": "7"}"#);
    let mut far = 0;
    let mut scores: Vec<f64> = Vec::new();
    for step in 1..=500 {
        let view = View { step, ..testing::view(&item, "7") };
        for verdict in judge(verifier.as_ref(), &[view; 8]) {
            assert_eq!(verdict.parts["unspoilt"], 1.0);
            let value = verdict.outcome.value().unwrap();
            far += usize::from((value - 1.0).abs() > 0.3 * 4.303);
            scores.push(value);
        }
    }
    scores.sort_by(f64::total_cmp);
    assert!((scores[2000] - 1.0).abs() < 0.03, "the median is the truth: {}", scores[2000]);
    // 4.303 is the 97.5 % quantile of two degrees: 200 of 4,000 lie beyond, give or take five deviations.
    assert!((far as f64 - 200.0).abs() < 70.0, "{far}");
}

#[test]
fn no_verdict_stays_none_and_answers_pass_through() {
    let verifier = noisy(&format!(r#"{{{OF}, "flip": {{"false_positive": 1.0, "false_negative": 1.0}}}}"#));
    let item = testing::item("p", "{}");
    assert!(judge(verifier.as_ref(), &[testing::view(&item, "7")])[0].outcome.is_failure(), "no answer column");
    assert_eq!(verifier.answer("7").as_deref(), Some("7"));
}

#[test]
fn rates_that_are_none_are_refused() {
    for (text, parameter) in [
        (r#""flip": {"false_positive": 1.5, "false_negative": 0.0}"#, "false_positive"),
        (r#""flip": {"false_positive": 0.0, "false_negative": -0.1}"#, "false_negative"),
        (r#""student": {"scale": 0.0, "degrees": 2}"#, "scale"),
        (r#""student": {"scale": 1.0, "degrees": 0}"#, "degrees"),
    ] {
        let config: Noisy = serde_json::from_str(&format!("{{{OF}, {text}}}")).unwrap();
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains(parameter), "{error}");
    }
}
