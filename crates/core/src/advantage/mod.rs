//! How good an episode was, compared: an estimator with its baseline, its scale and the scope of both.

mod baseline;
mod constant;
mod credit;
mod drop;
mod estimator;
mod field;
mod scale;
mod scope;
mod shape;
mod statistic;
mod table;

use serde::{Deserialize, Serialize};

pub use baseline::Baseline;
pub use constant::Constant;
pub use credit::{Credit, Kept};
pub use drop::{By, Drop, Renormalise};
pub use estimator::{Estimator, Reweight};
pub use field::Per;
pub use scale::Scale;
pub use scope::{Lacking, Scope};
pub use shape::{Form, Mode, Shape};

use self::{
    scope::{Compared, Numbers, Rule},
    table::Table,
};
use crate::{
    memory::Memory,
    method_error::MethodError,
    registry::Entry,
    trajectory::{Comparison, Role},
};

/// The choices of these axes that a recipe can name.
pub const ENTRIES: &[&Entry] = &joined();

const COUNT: usize = estimator::ENTRIES.len()
    + baseline::ENTRIES.len()
    + scale::ENTRIES.len()
    + scope::ENTRIES.len()
    + drop::ENTRIES.len()
    + shape::ENTRIES.len();

const fn joined() -> [&'static Entry; COUNT] {
    let axes: [&[&'static Entry]; 6] =
        [&estimator::ENTRIES, &baseline::ENTRIES, &scale::ENTRIES, &scope::ENTRIES, &drop::ENTRIES, &shape::ENTRIES];
    let mut all = [&Entry::NONE; COUNT];
    let (mut axis, mut next) = (0, 0);
    while axis < axes.len() {
        let mut i = 0;
        while i < axes[axis].len() {
            all[next] = axes[axis][i];
            next += 1;
            i += 1;
        }
        axis += 1;
    }
    all
}

/// The advantage of a recipe. By default GRPO's: `(r - mean) / (std + 1e-4)` in the group.
///
/// `baseline = mean` with `scale = none` is Dr. GRPO's; `leave_one_out` with `none` RLOO's; `median`, `mad` and
/// `drop = pivot` MC-GRPO's; `mean` with `mean` MaxRL's; `none` with `whitened` REINFORCE++'s.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Advantage {
    pub estimator: Estimator,
    pub baseline: Baseline,
    pub scale: Scale,
    pub scope: Scope,
    pub drop: Drop,
    /// Advantages are held to [-clip, clip], before `shape`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
    /// Of groups whose rewards are all equal.
    pub constant: Constant,
    /// In the order in which they act.
    pub shape: Vec<Shape>,
}

impl Advantage {
    /// Fewest episodes that a comparison (of the scope `batch`: a batch) must have for the estimator to say anything.
    fn least(&self) -> usize {
        let compared = match self.estimator {
            Estimator::Compared => self.baseline.least().max(self.scale.least()),
            Estimator::PassAtK { .. } | Estimator::BestOnly | Estimator::Tree { .. } => self.estimator.least(),
        };
        compared.max(self.drop.least())
    }

    /// Fewest episodes that a group must have. `drop = pivot` needs an odd number besides.
    pub fn least_group(&self) -> usize {
        if self.scope == Scope::Batch { self.drop.least() } else { self.least() }
    }

    /// Whether groups must have an odd number of episodes: one of them is the median, and leaves.
    pub fn needs_odd_group(&self) -> bool {
        matches!(self.drop, Drop::Pivot { .. })
    }

    /// Whether the segments of actions matter.
    pub fn reads_segments(&self) -> bool {
        let scope = matches!(self.scope, Scope::Segment { .. } | Scope::Plan { .. } | Scope::Round { .. });
        scope || self.shape.iter().any(|shape| matches!(shape, Shape::Overflow { .. }))
    }

    /// # Errors
    /// The key, relative to `advantage`, of a parameter that is out of range or of a choice that cannot stand beside
    /// another, and the problem.
    pub fn check(&self) -> Result<(), (String, String)> {
        fn under(axis: &str, checked: Result<(), (String, String)>) -> Result<(), (String, String)> {
            checked.map_err(|(key, problem)| (format!("{axis}.{key}"), problem))
        }
        let no = |key: &str, problem: &str| Err((key.to_owned(), problem.to_owned()));
        under("estimator", self.estimator.check())?;
        under("baseline", self.baseline.check())?;
        under("scale", self.scale.check())?;
        under("scope", self.scope.check())?;
        under("constant", self.constant.check())?;
        for (i, shape) in self.shape.iter().enumerate() {
            under(&format!("shape[{i}]"), shape.check())?;
        }
        if self.clip.is_some_and(|clip| !(clip.is_finite() && clip > 0.0)) {
            return no("clip", "must be above 0 and finite");
        }
        let compared = self.estimator == Estimator::Compared;
        if !compared && self.baseline != Baseline::Mean {
            return no("baseline", "is not read by this estimator: leave it out");
        }
        if !compared && self.scope != Scope::Group {
            return no("scope", "must be group for this estimator");
        }
        if matches!(self.estimator, Estimator::PassAtK { .. }) && !matches!(self.scale, Scale::None | Scale::Std { .. })
        {
            return no("scale", "must be none or std for pass_at_k, which has a scale of its own");
        }
        let of_episodes = self.scope.is_of_episodes() && !matches!(self.estimator, Estimator::Tree { .. });
        if matches!(self.scale, Scale::WhitenedEpisodes { .. }) && !of_episodes {
            return no("scale", "must not be whitened_episodes where the actions of an episode differ: take whitened");
        }
        if self.drop != Drop::None && !of_episodes {
            return no("drop", "must be none where the actions of an episode differ in their advantage");
        }
        if self.needs_odd_group() && !(compared && self.baseline == Baseline::Median && self.scope == Scope::Group) {
            return no("drop", "pivot needs the estimator compared, the baseline median and the scope group");
        }
        if matches!(self.constant, Constant::Raw { .. })
            && (!of_episodes || matches!(self.scope, Scope::Granularity { .. }))
        {
            return no("constant", "must not be raw where it is not the reward that is compared");
        }
        Ok(())
    }

    /// The coefficients of every trajectory of a batch, in its shape.
    ///
    /// # Errors
    /// A reward that is not finite, a group with fewer scored episodes than the estimator compares, and a
    /// fact or segment reward that it reads and does not find.
    pub fn credit(&self, groups: &[Comparison], memory: &mut Memory) -> Result<Vec<Vec<Credit>>, MethodError> {
        let table = Table::read(groups)?;
        self.scope.check_size(&table, self.least())?;
        self.check_odd(&table)?;
        let least = self.baseline.least().max(self.scale.least());
        let rule = Rule { baseline: self.baseline, scale: &self.scale, least };
        let Compared { mut numbers, scored, constant } = match self.estimator {
            Estimator::Compared => self.scope.compare(&table, rule, memory)?,
            _ => self.estimator.of_groups(&table, rule, memory)?,
        };
        if let (Scale::WhitenedEpisodes { ddof, eps }, Numbers::Episodes(numbers)) = (&self.scale, &mut numbers) {
            scale::whiten_episodes(numbers, &scored, *ddof, *eps);
        }
        let (of_episodes, mut rows) = match numbers {
            Numbers::Episodes(numbers) => {
                let rows = table.spread(&numbers);
                (Some(numbers), rows)
            }
            Numbers::Actions(rows) => (None, rows),
        };
        if let Scale::Whitened { eps } = self.scale {
            let mut scored_rows = Vec::new();
            for (g, of_group) in rows.iter_mut().enumerate() {
                let mut is_scored = vec![false; of_group.len()];
                for (episode, _) in table.episodes[g].iter().zip(&scored[g]).filter(|(_, scored)| **scored) {
                    episode.iter().for_each(|&t| is_scored[t] = true);
                }
                for ((row, trajectory), _) in
                    of_group.iter_mut().zip(&groups[g].trajectories).zip(is_scored).filter(|(_, scored)| *scored)
                {
                    scored_rows.push((row, trajectory.mask.as_slice()));
                }
            }
            scale::whiten_actions(&mut scored_rows, eps);
        }
        let mut kept: Vec<Vec<Kept>> = rows.iter().map(|rows| vec![Kept::Trained; rows.len()]).collect();
        self.settle_constant(&table, &constant, &mut rows, &mut kept);
        if let Some(numbers) = &of_episodes {
            self.settle_drop(&table, numbers, &mut rows, &mut kept);
        }
        if let Some(clip) = self.clip {
            rows.iter_mut().flatten().flatten().for_each(|value| *value = value.clamp(-clip, clip));
        }
        for shape in &self.shape {
            shape.apply(&table, &mut rows)?;
        }
        Ok(credits(groups, rows, &kept))
    }

    fn check_odd(&self, table: &Table<'_>) -> Result<(), MethodError> {
        let even = |episodes: &Vec<Vec<usize>>| !episodes.is_empty() && episodes.len().is_multiple_of(2);
        match table.episodes.iter().position(even).filter(|_| self.needs_odd_group()) {
            Some(g) => {
                let place = crate::method_error::Place::group(g);
                let got = table.episodes[g].len();
                Err(MethodError::unfit(
                    place,
                    "trajectories",
                    "an odd number of episodes where the pivot is dropped",
                    got,
                ))
            }
            None => Ok(()),
        }
    }

    fn settle_constant(
        &self,
        table: &Table<'_>,
        constant: &[bool],
        rows: &mut [Vec<Vec<f64>>],
        kept: &mut [Vec<Kept>],
    ) {
        for (g, episodes) in table.episodes.iter().enumerate() {
            let members = || episodes.iter().flatten().copied();
            match self.constant {
                Constant::Drop if constant[g] => members().for_each(|t| kept[g][t] = Kept::Dropped),
                Constant::Downweight { factor } if constant[g] => {
                    members().for_each(|t| rows[g][t].iter_mut().for_each(|value| *value *= factor));
                }
                Constant::Raw { tolerance } => {
                    let rewards: Vec<Option<f64>> = (0..episodes.len()).map(|e| table.first(g, e).reward).collect();
                    let of = |pick: fn(f64, f64) -> f64| rewards.iter().flatten().copied().reduce(pick).unwrap_or(0.0);
                    if of(f64::max) - of(f64::min) <= tolerance {
                        for (episode, reward) in episodes.iter().zip(&rewards) {
                            episode.iter().for_each(|&t| rows[g][t].fill(reward.unwrap_or(0.0)));
                        }
                    }
                }
                Constant::Keep | Constant::Drop | Constant::Downweight { .. } => {}
            }
        }
    }

    fn settle_drop(&self, table: &Table<'_>, numbers: &[Vec<f64>], rows: &mut [Vec<Vec<f64>>], kept: &mut [Vec<Kept>]) {
        if self.drop == Drop::None {
            return;
        }
        for (g, rewards) in table.rewards().iter().enumerate() {
            let Some(dropped) = self.drop.of(rewards, &numbers[g]) else { continue };
            table.episodes[g][dropped.episode].iter().for_each(|&t| kept[g][t] = Kept::Dropped);
            if dropped.factor != 1.0 {
                rows[g].iter_mut().flatten().for_each(|value| *value *= dropped.factor);
            }
        }
    }
}

/// Rows become credits: 0 for the dropped, their own coefficient for auxiliaries.
fn credits(groups: &[Comparison], rows: Vec<Vec<Vec<f64>>>, kept: &[Vec<Kept>]) -> Vec<Vec<Credit>> {
    let of = |g: usize, t: usize, row: Vec<f64>| {
        let trajectory = &groups[g].trajectories[t];
        match (trajectory.role, kept[g][t]) {
            (Role::Auxiliary, _) => Credit::uniform(trajectory.weight.unwrap_or(1.0), trajectory.len()),
            (Role::Member, Kept::Trained) => Credit { coefficient: row, kept: Kept::Trained },
            (Role::Member, Kept::Dropped) => Credit { coefficient: vec![0.0; row.len()], kept: Kept::Dropped },
        }
    };
    rows.into_iter()
        .enumerate()
        .map(|(g, rows)| rows.into_iter().enumerate().map(|(t, row)| of(g, t, row)).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trajectory::Trajectory;

    /// Episodes of one action each.
    pub(super) fn group(rewards: &[f64]) -> Comparison {
        let trajectories = rewards.iter().enumerate().map(|(episode, &reward)| Trajectory {
            episode,
            reward: Some(reward),
            mask: vec![1.0],
            segment: vec![0],
            ..Trajectory::default()
        });
        Comparison { trajectories: trajectories.collect(), ..Comparison::default() }
    }

    /// The advantages of one group, one an episode.
    pub(super) fn advantages(advantage: &Advantage, rewards: &[f64]) -> Vec<f64> {
        let credits = advantage.credit(&[group(rewards)], &mut Memory::default()).expect("they are computed");
        credits[0].iter().map(|credit| credit.coefficient[0]).collect()
    }

    #[test]
    fn the_unscored_stand_aside() {
        let mut batch = group(&[1.0, 9.0, 0.0]);
        batch.trajectories[1].reward = None;
        let credits = Advantage::default().credit(&[batch], &mut Memory::default()).unwrap().remove(0);
        let without = advantages(&Advantage::default(), &[1.0, 0.0]);
        assert_eq!(credits.iter().map(|c| c.coefficient[0]).collect::<Vec<_>>(), [without[0], 0.0, without[1]]);
    }

    #[test]
    fn a_lone_scored_episode_is_compared_with_nobody() {
        let mut batch = group(&[3.0, 9.0]);
        batch.trajectories[1].reward = None;
        for baseline in [Baseline::Mean, Baseline::None, Baseline::LeaveOneOut] {
            let advantage = Advantage { baseline, ..Advantage::default() };
            let credits = advantage.credit(std::slice::from_ref(&batch), &mut Memory::default()).unwrap();
            assert!(credits[0].iter().all(|c| c.coefficient == [0.0]), "{baseline:?}");
        }
    }

    #[test]
    fn constant_groups() {
        let of = |constant, baseline| {
            let advantage = Advantage { constant, baseline, scale: Scale::None, ..Advantage::default() };
            let credits = advantage.credit(&[group(&[2.0, 2.0])], &mut Memory::default()).unwrap().remove(0);
            (credits[0].coefficient[0], credits[0].is_kept())
        };
        assert_eq!(of(Constant::Keep, Baseline::Mean), (0.0, true));
        assert_eq!(of(Constant::Drop, Baseline::None), (0.0, false));
        assert_eq!(of(Constant::Downweight { factor: 0.5 }, Baseline::None), (1.0, true));
        assert_eq!(of(Constant::Raw { tolerance: 1e-6 }, Baseline::Mean), (2.0, true));
    }

    #[test]
    fn clip_comes_before_shape() {
        let shape = vec![Shape::Added { fact: "x".into(), coefficient: 1.0 }];
        let advantage = Advantage { clip: Some(0.25), scale: Scale::None, shape, ..Advantage::default() };
        let mut batch = group(&[1.0, 0.0]);
        for trajectory in &mut batch.trajectories {
            trajectory.facts.insert("x", crate::facts::Fact::List(vec![1.0]));
        }
        let credits = advantage.credit(&[batch], &mut Memory::default()).unwrap();
        assert_eq!((credits[0][0].coefficient[0], credits[0][1].coefficient[0]), (1.25, 0.75));
    }

    #[test]
    fn what_cannot_stand_together_is_refused_with_its_key() {
        let key = |advantage: Advantage| advantage.check().unwrap_err().0;
        let base = Advantage::default;
        assert_eq!(base().check(), Ok(()));
        assert_eq!(key(Advantage { clip: Some(0.0), ..base() }), "clip");
        assert_eq!(key(Advantage { drop: Drop::Pivot { renormalise: Renormalise::None }, ..base() }), "drop");
        assert_eq!(key(Advantage { estimator: Estimator::BestOnly, baseline: Baseline::Median, ..base() }), "baseline");
        assert_eq!(key(Advantage { scale: Scale::Std { ddof: 2, eps: 0.0 }, ..base() }), "scale.std.ddof");
        assert_eq!(
            key(Advantage { scope: Scope::Stratum { by: "x".into(), blend: 1.5 }, ..base() }),
            "scope.stratum.blend"
        );
        let drop = Drop::LeastMagnitude { by: By::Reward };
        assert_eq!(key(Advantage { scope: Scope::Round { round: 0 }, drop, ..base() }), "drop");
        let shape = vec![Shape::PositiveOnly, Shape::PromptWeight { form: Form::Hard, edge: 0.5 }];
        assert_eq!(key(Advantage { shape, ..base() }), "shape[1].prompt_weight.edge");
    }

    #[test]
    fn a_reward_that_is_not_finite_is_named() {
        let error = Advantage::default().credit(&[group(&[0.0, f64::NAN])], &mut Memory::default()).unwrap_err();
        assert_eq!(error.to_string(), "group 0, trajectory 1: `reward` is NaN, and must be finite");
    }

    #[test]
    fn a_small_group_is_named() {
        let error = Advantage::default().credit(&[group(&[0.0])], &mut Memory::default()).unwrap_err();
        assert!(error.to_string().contains("group 0"), "{error}");
    }
}
