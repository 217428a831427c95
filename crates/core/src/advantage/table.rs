//! A batch as its episodes.

use std::collections::BTreeMap;

use super::field::Field;
use crate::{
    method_error::{MethodError, Place, Problem},
    trajectory::{Comparison, Trajectory},
};

/// The members of a batch, checked.
pub(super) struct Table<'a> {
    pub groups: &'a [Comparison],
    /// By group: the trajectories of every episode.
    pub episodes: Vec<Vec<Vec<usize>>>,
    /// Trained actions of every episode.
    pub lengths: Vec<Vec<f64>>,
}

/// One number an episode, by group; `None` is compared with nobody.
pub(super) type Values = Vec<Vec<Option<f64>>>;

impl<'a> Table<'a> {
    pub fn read(groups: &'a [Comparison]) -> Result<Self, MethodError> {
        for (g, group) in groups.iter().enumerate() {
            for (t, trajectory) in group.trajectories.iter().enumerate().filter(|(_, t)| t.is_member()) {
                let segments = trajectory.segment_rewards.iter();
                let fault = |field: String, got| MethodError {
                    place: Place::trajectory(g, t),
                    field,
                    problem: Problem::NotFinite { got },
                };
                if let Some(got) = trajectory.reward.filter(|r| !r.is_finite()) {
                    return Err(fault("reward".to_owned(), got));
                }
                if let Some((k, &got)) = segments.into_iter().find(|(_, r)| !r.is_finite()) {
                    return Err(fault(format!("segment_rewards.{k}"), got));
                }
                let terms = trajectory.rewards.iter().filter_map(|(name, outcome)| Some((name, outcome.value()?)));
                if let Some((name, got)) = terms.into_iter().find(|(_, r)| !r.is_finite()) {
                    return Err(fault(format!("rewards.{name}"), got));
                }
            }
        }
        let episodes: Vec<Vec<Vec<usize>>> = groups.iter().map(Comparison::episodes).collect();
        let trained = |t: &Trajectory| t.mask.iter().filter(|m| **m > 0.0).count() as f64;
        let length = |group: &Comparison, of: &[usize]| of.iter().map(|&t| trained(&group.trajectories[t])).sum();
        let lengths = groups
            .iter()
            .zip(&episodes)
            .map(|(group, episodes)| episodes.iter().map(|of| length(group, of)).collect())
            .collect();
        Ok(Self { groups, episodes, lengths })
    }

    /// The trajectory that speaks for an episode.
    pub fn first(&self, g: usize, e: usize) -> &'a Trajectory {
        &self.groups[g].trajectories[self.episodes[g][e][0]]
    }

    pub fn place(&self, g: usize, e: usize) -> Place {
        Place::trajectory(g, self.episodes[g][e][0])
    }

    /// A number of every episode.
    pub fn values(&self, of: impl Fn(&Trajectory) -> Option<f64>) -> Values {
        let groups = self.episodes.iter().enumerate();
        groups.map(|(g, episodes)| (0..episodes.len()).map(|e| of(self.first(g, e))).collect()).collect()
    }

    pub fn rewards(&self) -> Values {
        self.values(|trajectory| trajectory.reward)
    }

    /// Each group by itself.
    pub fn by_group(&self) -> Vec<Vec<usize>> {
        self.episodes.iter().enumerate().map(|(g, episodes)| vec![g; episodes.len()]).collect()
    }

    /// The whole batch together.
    pub fn together(&self) -> Vec<Vec<usize>> {
        self.episodes.iter().map(|episodes| vec![0; episodes.len()]).collect()
    }

    /// The scored episodes of a group with the same fact together.
    pub fn by_fact(&self, fact: &str, values: &Values) -> Result<Vec<Vec<usize>>, MethodError> {
        let mut next = 0;
        let mut parts = Vec::with_capacity(self.groups.len());
        for (g, values) in values.iter().enumerate() {
            let mut seen: BTreeMap<String, usize> = BTreeMap::new();
            let mut row = Vec::with_capacity(values.len());
            for (e, value) in values.iter().enumerate() {
                if value.is_none() {
                    row.push(0);
                    continue;
                }
                let label = self.first(g, e).label(fact, self.place(g, e))?;
                row.push(*seen.entry(label).or_insert_with(|| {
                    next += 1;
                    next - 1
                }));
            }
            parts.push(row);
        }
        Ok(parts)
    }

    pub fn field(&self, name: impl Into<String>, values: Values, parts: Vec<Vec<usize>>) -> Field<'_> {
        let keys = self.groups.iter().map(|group| group.key.as_str()).collect();
        Field { name: name.into(), keys, values, lengths: self.lengths.clone(), parts }
    }

    /// One number an action from one an episode; trajectories that are no member get zeros.
    pub fn spread(&self, numbers: &[Vec<f64>]) -> Vec<Vec<Vec<f64>>> {
        self.each(|g, e, trajectory| Ok(vec![numbers[g][e]; trajectory.len()])).unwrap_or_default()
    }

    /// One row a trajectory, from its group, its episode and itself.
    pub fn each(
        &self,
        mut of: impl FnMut(usize, usize, &Trajectory) -> Result<Vec<f64>, MethodError>,
    ) -> Result<Vec<Vec<Vec<f64>>>, MethodError> {
        let mut rows = Vec::with_capacity(self.groups.len());
        for (g, group) in self.groups.iter().enumerate() {
            let mut of_group = vec![Vec::new(); group.trajectories.len()];
            for (e, episode) in self.episodes[g].iter().enumerate() {
                for &t in episode {
                    of_group[t] = of(g, e, &group.trajectories[t])?;
                }
            }
            for (row, trajectory) in of_group.iter_mut().zip(&group.trajectories).filter(|(_, t)| !t.is_member()) {
                *row = vec![0.0; trajectory.len()];
            }
            rows.push(of_group);
        }
        Ok(rows)
    }

    /// The segments of a trajectory, one an action.
    pub fn segments<'t>(&self, g: usize, e: usize, trajectory: &'t Trajectory) -> Result<&'t [u32], MethodError> {
        if trajectory.segment.len() == trajectory.len() {
            return Ok(&trajectory.segment);
        }
        let problem = Problem::Length { expected: trajectory.len(), got: trajectory.segment.len() };
        Err(MethodError { place: self.place(g, e), field: "segment".to_owned(), problem })
    }
}
