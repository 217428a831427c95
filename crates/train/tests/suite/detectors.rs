//! Evaluations tell how well a reward term tells a policy's texts from a human's, and which value of a column is the worst.

use crate::toys::{self, gaussian::Gaussian};
use cohort_core::{Fact, Outcome};
use cohort_env::{Origin, Verdict, Verifier, View};
use cohort_train::{MaskSource, Setup, Summary, observe::Silent, run_dir::Start, train};

/// Of item i its number, 4 at most, and of a human's text `(i - 3) / 2`. Item 8 has no verdict, item 9 no human's text.
struct Numbered;

fn index(view: &View) -> usize {
    match view.item.origin {
        Origin::Generated { index, .. } => index,
        _ => panic!("a toy's items are generated"),
    }
}

impl Verifier for Numbered {
    fn name(&self) -> &str {
        "numbered"
    }

    fn range(&self) -> (f64, f64) {
        (0.0, 4.0)
    }

    fn score(&self, view: &View) -> Verdict {
        let i = index(view);
        let outcome = if i == 8 { Outcome::Abstain } else { Outcome::scored(i.min(4) as f64) };
        let verdict = Verdict::from(outcome);
        if i == 9 { verdict } else { verdict.telling("against", Fact::Number((i as f64 - 3.0) / 2.0)) }
    }
}

fn run(more: &[&str]) -> Summary {
    let keys = ["train.steps=1", "preflight.no_signal=warn", "eval.samples=0"];
    let recipe = toys::recipe(&[&keys[..], more].concat());
    let mut world = toys::world(&recipe, Box::new(Numbered));
    world.terms[0].facts = recipe.reward.facts["toy"].clone();
    world.task = toys::task(8, 10);
    for (i, item) in world.task.test.iter_mut().enumerate() {
        item.columns.insert("class".to_owned(), if i < 5 { "first" } else { "last" }.into());
    }
    let setup = Setup { policy: Box::new(Gaussian::new([0.0, 0.0])), world, masks: MaskSource::default() };
    let folder = tempfile::tempdir().unwrap();
    train(&recipe, setup, &toys::options(&folder.path().join("run"), Start::Fresh, 2), &mut Silent).unwrap()
}

#[test]
fn a_detector_is_told_by_its_values_of_both_sources() {
    let after = run(&["eval.detectors=[\"toy\"]", "eval.by=class"]).eval.after.unwrap();
    let close = |name: &str, expected: f64| {
        let found = after.get(name).unwrap_or_else(|| panic!("{name}: {:?}", after.accuracy));
        assert!((found - expected).abs() < 1e-12, "{name}: {found}");
        let [low, high] = after.interval[name];
        assert!(low <= expected && expected <= high && low < high, "{name}: {low} {high}");
    };
    // 0, 1, 2, 3 and four times 4, against -1.5, -1 .. 2: 0 is above three of eight and even with one, 1 above five, 2 above seven, the others above all.
    close("auroc/toy", (3.5 + 5.5 + 7.5 + 5.0 * 8.0) / 64.0);
    // Four completions have full marks and are above all; the other four count as found.
    assert_eq!(after.get("auroc@right/toy"), Some(1.0));
    // Of fewer than a hundred none may be taken for a policy's: five of eight are above 2.
    close("tpr@0.01/toy", 5.0 / 8.0);
    // Of the first five items alone, whose human texts end at 0.5.
    close("auroc/toy/first", (3.5 + 4.0 * 5.0) / 25.0);
    close("tpr@0.01/toy/first", 4.0 / 5.0);
    assert_eq!((after.get("greedy/first"), after.get("greedy/last")), (Some(0.2), Some(0.8)));
    assert_eq!(after.get("least/greedy"), Some(0.2));
    assert_eq!(after.interval["least/greedy"], after.interval["greedy/first"]);
}

#[test]
fn what_is_not_asked_for_is_absent() {
    let after = run(&[]).eval.after.unwrap();
    let told = |part: &str| after.accuracy.keys().any(|name| name.contains(part));
    assert!(told("greedy") && !told("auroc") && !told("tpr@") && !told("least"), "{:?}", after.accuracy);
}
