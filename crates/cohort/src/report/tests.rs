//! The report of whole and of broken run directories.

use std::path::Path;

use cohort_train::run_dir::RunState;
use serde_json::json;

use super::{ReportError, RunError, curve_svg, render, testing::Synthetic, write};

#[test]
fn a_complete_run_has_every_part() {
    let run = Synthetic::new(30).finish();
    let html = render(run.path()).unwrap();
    for part in ["evaluation", "curves", "time", "completions", "preflight", "facts", "recipe"] {
        assert!(html.contains(&format!("<section id=\"{part}\"")), "{part}");
    }
    for text in ["all steps are done", "75.0 %", "Groups with signal", "Entropy", "768 MiB", "ended by token 1"] {
        assert!(html.contains(text), "{text}");
    }
}

#[test]
fn it_needs_no_network_and_no_script() {
    let html = render(Synthetic::new(30).finish().path()).unwrap();
    let without_namespace = html.replace("http://www.w3.org/2000/svg", "");
    for foreign in ["http:", "https:", "<script", "<link", "@import", "url(", " src="] {
        assert!(!without_namespace.contains(foreign), "{foreign}");
    }
}

#[test]
fn what_was_not_computed_is_absent() {
    let html = render(Synthetic::new(30).finish().path()).unwrap();
    assert!(!html.contains("KL from the reference") && !html.contains("Learning rate"));
    assert!(!html.contains("NaN") && !html.contains("undefined") && !html.contains(">none<"));
    let html = render(Synthetic::new(30).with("kl", |_| 0.1).with("lr", |s| s as f64).finish().path()).unwrap();
    assert!(html.contains("KL from the reference") && html.contains("Learning rate"));
}

#[test]
fn what_others_wrote_is_escaped() {
    let mut run = Synthetic::new(3);
    run.manifest.name = "<script>alert(1)</script>".to_owned();
    run.rollouts[11]["completion"] = json!("</pre><script>alert(2)</script>");
    run.rollouts[11]["rewards"]["answer"] = json!({ "outcome": "error", "reason": "<img onerror=x>" });
    run.metrics.iter_mut().for_each(|line| line["reward/<i>"] = json!(0.5));
    let html = render(run.write().path()).unwrap();
    assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("<i>"));
    assert!(html.contains("error: &lt;img onerror=x&gt;"));
}

#[test]
fn a_failed_run_says_why() {
    let mut run = Synthetic::new(4);
    (run.manifest.state, run.manifest.after) = (RunState::Failed, None);
    run.manifest.reason = Some("step 5: 3 of 8 episodes have a reward that failed".to_owned());
    let html = render(run.write().path()).unwrap();
    assert!(html.contains("Failed") && html.contains("3 of 8 episodes have a reward that failed"));
}

#[test]
fn a_run_without_metrics_says_so() {
    let mut run = Synthetic::new(0);
    run.manifest.state = RunState::Running;
    let html = render(run.write().path()).unwrap();
    assert!(html.contains("there are no curves") && html.contains("Under way"));
    assert!(!html.contains("id=\"curves\"") && !html.contains("id=\"completions\""));
}

#[test]
fn torn_lines_are_left_out_and_counted() {
    let run = Synthetic::new(6).write();
    for name in ["metrics.jsonl", "rollouts.jsonl"] {
        let whole = std::fs::read_to_string(run.path().join(name)).unwrap();
        run.put(name, &whole[..whole.len() - 40]);
    }
    let html = render(run.path()).unwrap();
    assert!(html.contains("metrics.jsonl has 1 torn line, left out."), "{html}");
    assert!(html.contains("rollouts.jsonl has 1 torn line(s), left out."));
    assert!(html.contains("id=\"curves\""));
}

#[test]
fn a_broken_manifest_and_recipe_still_give_a_report() {
    let run = Synthetic::new(6).write();
    run.put("manifest.json", "{\"format\": 1, ");
    run.put("recipe.toml", "[[[");
    let html = render(run.path()).unwrap();
    assert!(html.contains("not a manifest") && html.contains("Unknown") && html.contains("[[["));
}

#[test]
fn an_accuracy_with_only_a_before_shows_no_after() {
    let mut run = Synthetic::new(6);
    (run.manifest.state, run.manifest.after) = (RunState::Running, None);
    let html = render(run.write().path()).unwrap();
    assert!(html.contains("25.0 %") && !html.contains("class=\"value\""));
}

#[test]
fn what_is_no_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path(), Path::new("/nonexistent/run"), &std::env::current_exe().unwrap()] {
        let error = render(path).unwrap_err();
        assert!(matches!(error, ReportError::Run(RunError::NotARun { .. })), "{error}");
        assert!(error.to_string().contains(&path.display().to_string()));
    }
}

#[test]
fn the_file_is_written_whole_and_replaced() {
    let run = Synthetic::new(3).finish();
    run.put("report.html", "old");
    let path = write(run.path()).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), render(run.path()).unwrap());
    assert!(!run.path().join("report.html.tmp").exists());
}

#[test]
fn the_standalone_curve_knows_its_colours() {
    let svg = curve_svg(Synthetic::new(30).write().path()).unwrap();
    assert!(svg.starts_with("<svg xmlns") && !svg.contains("var(") && svg.contains("reward, mean"));
    let error = curve_svg(Synthetic::new(0).write().path()).unwrap_err();
    assert!(matches!(error, ReportError::NoCurve { .. }), "{error}");
}
