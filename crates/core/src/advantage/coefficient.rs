//! One number an action: what the objective multiplies its row with.

use crate::group::Group;

/// The coefficients of a group, in its shape: `episodes[e][s][a]` belongs to action `a` of sample `s` of
/// episode `e`, `auxiliary[s][a]` to an auxiliary sample's.
#[derive(Clone, Debug, PartialEq)]
pub struct Coefficients {
    pub episodes: Vec<Vec<Vec<f64>>>,
    pub auxiliary: Vec<Vec<f64>>,
}

impl Coefficients {
    /// Every action of an episode gets the episode's advantage.
    pub fn of_episodes(group: &Group, advantages: &[f64]) -> Self {
        debug_assert_eq!(group.episodes.len(), advantages.len());
        let episodes = group
            .episodes
            .iter()
            .zip(advantages)
            .map(|(episode, &a)| episode.samples.iter().map(|s| vec![a; s.actions.len()]).collect())
            .collect();
        let auxiliary = group.auxiliary.iter().map(|x| vec![x.coefficient; x.sample.actions.len()]).collect();
        Self { episodes, auxiliary }
    }

    /// Sample by sample, episodes first: the order in which a group's samples are trained.
    pub fn by_sample(self) -> impl Iterator<Item = Vec<f64>> {
        self.episodes.into_iter().flatten().chain(self.auxiliary)
    }
}
