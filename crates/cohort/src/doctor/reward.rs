//! Whether the reward rises, and whether it could be given.

use super::{
    finding::{Finding, Level, Subject},
    window::{change, mean},
};
use crate::report::{Run, count, percent, short};

/// Above this share of episodes whose reward gave no number, curves of the reward show a selection.
const MANY_UNSCORED: f64 = 0.01;

pub fn check(run: &Run) -> Vec<Finding> {
    [trend(run), failures(run)].into_iter().flatten().collect()
}

fn trend(run: &Run) -> Option<Finding> {
    let rewards = run.values("reward/mean");
    let steps = rewards.len();
    if steps == 0 {
        return None;
    }
    let subject = Subject::Reward;
    let Some(c) = change(&rewards) else {
        let what = format!("{steps} steps are too few to say whether the reward rises.");
        let why = "The first fifth is compared with the last, and each needs three steps.";
        return Some(Finding::new(Level::Note, subject, what, why, "Look again after more steps."));
    };
    let interval = format!(
        "The change from the first to the last fifth of {steps} steps is {:+.3}, with a 95 % interval of {:+.3} to {:+.3} (steps taken as independent)",
        c.to - c.from,
        c.low,
        c.high
    );
    let went = format!("from {} to {}", short(c.from), short(c.to));
    Some(if c.low > 0.0 {
        Finding::new(Level::Good, subject, format!("The mean reward rises, {went}."), format!("{interval}."), "")
    } else if c.high < 0.0 {
        let to_do = "Lower train.lr, or look at what the completions have become in report.html.";
        Finding::new(Level::Warning, subject, format!("The mean reward falls, {went}."), format!("{interval}."), to_do)
    } else {
        let to_do = "Look at the share of groups with signal first; then raise train.lr or train.prompts_per_step, or train longer.";
        let why = format!("{interval}: it holds 0.");
        Finding::new(Level::Note, subject, format!("The mean reward is flat, {went}."), why, to_do)
    })
}

/// Rewards that gave no number, by term and kind.
fn failures(run: &Run) -> Option<Finding> {
    let names = run.metric_names();
    let counts: Vec<String> = names
        .iter()
        .filter_map(|name| {
            let (term, kind) = name.strip_prefix("reward/")?.rsplit_once('/')?;
            let total: f64 = run.values(name).iter().sum();
            (total > 0.0).then(|| format!("`{term}` {kind}: {}", count(total as u64)))
        })
        .collect();
    if counts.is_empty() {
        return None;
    }
    let share = mean(&run.values("reward/unscored")).unwrap_or(0.0);
    let level = if share > MANY_UNSCORED { Level::Warning } else { Level::Note };
    let what = format!("Some rewards gave no number ({}).", counts.join(", "));
    let why = format!(
        "{} of the episodes have no combined reward. Such an episode is never counted as 0; it is not compared.",
        percent(share)
    );
    let to_do = "Read the reasons under \"Without a reward\" in report.html; the run ends above reward.error_budget.";
    Some(Finding::new(level, Subject::RewardFailures, what, why, to_do))
}
