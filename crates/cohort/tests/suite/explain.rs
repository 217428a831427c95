//! `cohort explain`: what each key of a recipe means.

use crate::common::Place;

#[test]
fn keys_are_explained() {
    let place = Place::new();
    let lr = place.cohort(&["explain", "train.lr", "--json"]).well().json();
    assert_eq!((&lr["key"], &lr["default"]), (&"train.lr".into(), &1e-6.into()));
    let page = place.cohort(&["explain", "rollout.temperature"]).well().stdout;
    assert!(page.contains("must be a finite number above 0") && page.contains("1.0"), "{page}");
    let gates = place.cohort(&["explain", "objective.surrogate.policy_gradient.gate"]).well().stdout;
    assert!(gates.contains("clip"), "{gates}");
    place.cohort(&["explain", "train.lrr"]).failed(2, &["no key of a recipe is named `train.lrr`", "train.lr"]);
    let schema = place.cohort(&["explain", "--schema"]).well().json();
    assert!(schema["properties"]["train"].is_object());
    assert!(place.cohort(&["explain"]).well().stdout.contains("objective"));
}
