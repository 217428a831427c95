//! What is said of classes: where the column that an evaluation is told by is the answer itself.

use cohort_core::{Group, interval};
use cohort_env::Split;

use super::Evaluation;
use crate::world::World;

/// For every class `said/CLASS`, the share of the greedy completions that say it, and `precision/CLASS`, the share of those that are right;
/// the recall of a class is `greedy/CLASS`. A collapse shows in the first. Nothing where `column` is not the answer of every row, and no
/// precision of what is never said.
pub(super) fn tell(world: &World, split: Split, column: &str, greedy: &[Group], result: &mut Evaluation) {
    let class = |group: &Group| {
        let item = world.item(split, group.key);
        item.label(column).filter(|label| item.label("answer").as_ref() == Some(label))
    };
    let Some(mut classes) = greedy.iter().map(class).collect::<Option<Vec<String>>>() else { return };
    classes.sort_unstable();
    classes.dedup();
    let verifier = world.terms[world.correct].verifier.as_ref();
    let said = |group: &Group| {
        let sample = group.episodes.first()?.samples.last()?;
        verifier.answer(&world.completion(sample))
    };
    let said: Vec<Option<String>> = greedy.iter().map(said).collect();
    for class in classes {
        let says =
            |said: &Option<String>| said.as_ref().is_some_and(|said| said.to_lowercase() == class.to_lowercase());
        let saying: Vec<&Group> =
            greedy.iter().zip(&said).filter(|(_, said)| says(said)).map(|(group, _)| group).collect();
        let right = saying.iter().filter(|group| group.episodes.iter().any(|e| world.is_correct(e))).count();
        let share = |count: usize, of: usize| count as f64 / of as f64;
        result.set(
            &format!("said/{class}"),
            share(saying.len(), greedy.len()),
            interval::wilson(saying.len(), greedy.len()),
        );
        if !saying.is_empty() {
            let precision = share(right, saying.len());
            result.set(&format!("precision/{class}"), precision, interval::wilson(right, saying.len()));
        }
    }
}
