//! Whether updates happen, and how large they are.

use super::finding::{Finding, Level, Subject};
use crate::report::{Run, count, percent, short};

/// From this share of clipped steps on, the clipping norm and not the gradient decides how far a step goes.
const ALWAYS_CLIPPED: f64 = 0.95;
/// From this share of steps without any gradient on, the run mostly stands still.
const MANY_DEAD: f64 = 0.5;

pub fn check(run: &Run) -> Vec<Finding> {
    [learning_rate(run), norm(run), skipped(run)].into_iter().flatten().collect()
}

fn learning_rate(run: &Run) -> Option<Finding> {
    let rates = run.values("lr");
    let is_zero = !rates.is_empty() && rates.iter().all(|&lr| lr == 0.0);
    is_zero.then(|| {
        let what = "The learning rate is 0 at every step.";
        let why = "The policy cannot change: every curve shows the noise of sampling alone.";
        Finding::new(Level::Warning, Subject::LearningRate, what, why, "Set train.lr above 0.")
    })
}

fn norm(run: &Run) -> Option<Finding> {
    let norms = run.values("grad_norm");
    if norms.is_empty() {
        return None;
    }
    let share = |is: &dyn Fn(f64) -> bool| norms.iter().filter(|&&norm| is(norm)).count() as f64 / norms.len() as f64;
    let dead = share(&|norm| norm == 0.0);
    if dead >= MANY_DEAD {
        let what = format!("The gradient is exactly 0 at {} of the steps.", percent(dead));
        let why = "No group of such a step has a difference in reward, or every action of it is masked: nothing is learned from it.";
        let to_do = "See the finding on groups with signal; check weight.truncated if most completions are cut.";
        return Some(Finding::new(Level::Warning, Subject::GradientNorm, what, why, to_do));
    }
    let bound = run.recipe.as_ref()?.optimizer.clip_norm;
    let clipped = share(&|norm| norm > bound);
    (clipped >= ALWAYS_CLIPPED).then(|| {
        let what = format!("The gradient is clipped at {} of the steps (train.clip_norm = {}).", percent(clipped), short(bound));
        let why = "Its size no longer counts, only its direction: batches with much and with little signal move the policy alike.";
        let to_do = "Raise train.clip_norm above the usual norm, and lower train.lr if the run then swings.";
        Finding::new(Level::Note, Subject::GradientNorm, what, why, to_do)
    })
}

fn skipped(run: &Run) -> Option<Finding> {
    let skipped: f64 = run.values("updates/skipped").iter().sum();
    (skipped > 0.0).then(|| {
        let what = format!("{} updates were skipped because a number in them was not finite.", count(skipped as u64));
        let why = "Each is counted and its batch dumped; the third in a row ends the run.";
        Finding::new(
            Level::Warning,
            Subject::SkippedUpdates,
            what,
            why,
            "Look at dumps/ in the run directory, and lower train.lr.",
        )
    })
}
