//! A group as reward functions see it: one entry an episode.

use crate::{
    memory::Memory,
    method_error::{MethodError, Place, Problem},
    outcome::Outcome,
    trajectory::{Comparison, Trajectory},
};

/// The members' episodes of a comparison that have no reward yet. What is asked of an episode is asked of the first of its trajectories that
/// holds it: a term or a fact is recorded once an episode.
pub(super) struct Group<'a> {
    index: usize,
    comparison: &'a Comparison,
    pub(super) episodes: Vec<Vec<usize>>,
}

impl<'a> Group<'a> {
    pub(super) fn new(index: usize, comparison: &'a Comparison) -> Self {
        let unrewarded = |of: &Vec<usize>| comparison.trajectories[of[0]].reward.is_none();
        Self { index, comparison, episodes: comparison.episodes().into_iter().filter(unrewarded).collect() }
    }

    pub(super) fn all(comparisons: &'a [Comparison]) -> Vec<Self> {
        comparisons.iter().enumerate().map(|(g, comparison)| Self::new(g, comparison)).collect()
    }

    /// The number of episodes.
    pub(super) fn len(&self) -> usize {
        self.episodes.len()
    }

    pub(super) fn key(&self) -> &'a str {
        &self.comparison.key
    }

    pub(super) fn place(&self, episode: usize) -> Place {
        Place::trajectory(self.index, self.episodes[episode][0])
    }

    fn trajectories(&self, episode: usize) -> impl Iterator<Item = &'a Trajectory> + '_ {
        self.episodes[episode].iter().map(|&t| &self.comparison.trajectories[t])
    }

    /// The first trajectory of the episode that records the fact, else its first.
    fn holder(&self, episode: usize, fact: &str) -> &'a Trajectory {
        let first = &self.comparison.trajectories[self.episodes[episode][0]];
        self.trajectories(episode).find(|t| t.facts.get(fact).is_some()).unwrap_or(first)
    }

    /// What the term said of an episode; a score is finite.
    pub(super) fn outcome(&self, episode: usize, term: &str) -> Result<&'a Outcome, MethodError> {
        let place = self.place(episode);
        let field = || format!("rewards.{term}");
        let outcome = self.trajectories(episode).find_map(|t| t.rewards.get(term));
        let outcome = outcome.ok_or_else(|| MethodError::missing(place, field()))?;
        match outcome.value() {
            Some(got) if !got.is_finite() => {
                Err(MethodError { place, field: field(), problem: Problem::NotFinite { got } })
            }
            Some(_) | None => Ok(outcome),
        }
    }

    /// What the term said of every episode.
    pub(super) fn outcomes(&self, term: &str) -> Result<Vec<&'a Outcome>, MethodError> {
        (0..self.len()).map(|e| self.outcome(e, term)).collect()
    }

    /// The scores of the term; `None` where it did not score.
    pub(super) fn scores(&self, term: &str) -> Result<Vec<Option<f64>>, MethodError> {
        (0..self.len()).map(|e| Ok(self.outcome(e, term)?.value())).collect()
    }

    /// A number of an episode; `length` without a fact is the number of its actions.
    pub(super) fn number(&self, episode: usize, fact: &str) -> Result<f64, MethodError> {
        let holder = self.holder(episode, fact);
        if fact == "length" && holder.facts.get(fact).is_none() {
            return Ok(self.trajectories(episode).map(Trajectory::len).sum::<usize>() as f64);
        }
        holder.number(fact, self.place(episode))
    }

    /// A number of an episode that counts something or is one of its measures: at least 0.
    pub(super) fn amount(&self, episode: usize, fact: &str) -> Result<f64, MethodError> {
        let amount = self.number(episode, fact)?;
        if amount < 0.0 {
            return Err(MethodError::unfit(self.place(episode), format!("facts.{fact}"), "at least 0", amount));
        }
        Ok(amount)
    }

    /// A number that may be absent.
    pub(super) fn number_if_any(&self, episode: usize, fact: &str) -> Result<Option<f64>, MethodError> {
        match self.holder(episode, fact).facts.get(fact) {
            Some(_) => self.number(episode, fact).map(Some),
            None => Ok(None),
        }
    }

    /// A number of an episode, or of the whole group where the episodes do not record it.
    pub(super) fn number_or_shared(&self, episode: usize, fact: &str) -> Result<f64, MethodError> {
        match self.number_if_any(episode, fact)? {
            Some(number) => Ok(number),
            None if self.comparison.facts.get(fact).is_some() => self.shared_number(fact),
            None => self.number(episode, fact),
        }
    }

    /// Whether a flag is up: a number of at least 1/2.
    pub(super) fn flag(&self, episode: usize, fact: &str) -> Result<bool, MethodError> {
        Ok(self.number(episode, fact)? >= 0.5)
    }

    pub(super) fn label(&self, episode: usize, fact: &str) -> Result<String, MethodError> {
        self.holder(episode, fact).label(fact, self.place(episode))
    }

    /// The labels of every episode.
    pub(super) fn labels(&self, fact: &str) -> Result<Vec<String>, MethodError> {
        (0..self.len()).map(|e| self.label(e, fact)).collect()
    }

    /// A list of finite numbers, of any length but 0.
    pub(super) fn list(&self, episode: usize, fact: &str) -> Result<&'a [f64], MethodError> {
        let (place, field) = (self.place(episode), format!("facts.{fact}"));
        let facts = &self.holder(episode, fact).facts;
        let Some(list) = facts.list(fact) else {
            return Err(match facts.get(fact) {
                None => MethodError::missing(place, field),
                Some(got) => MethodError::unfit(place, field, "a list of numbers", format!("{got:?}")),
            });
        };
        if list.is_empty() {
            return Err(MethodError::unfit(place, field, "a list with at least one number", "empty"));
        }
        finite(list, place, field)
    }

    /// A number of the whole group.
    pub(super) fn shared_number(&self, fact: &str) -> Result<f64, MethodError> {
        let (place, field) = (Place::group(self.index), format!("facts.{fact}"));
        match (self.comparison.facts.number(fact), self.comparison.facts.get(fact)) {
            (Some(got), _) if !got.is_finite() => {
                Err(MethodError { place, field, problem: Problem::NotFinite { got } })
            }
            (Some(number), _) => Ok(number),
            (None, Some(got)) => Err(MethodError::unfit(place, field, "a number", format!("{got:?}"))),
            (None, None) => Err(MethodError::missing(place, field)),
        }
    }

    /// Row `episode` of a table of the group, or the episode's own list: one number a member.
    pub(super) fn row(&self, episode: usize, fact: &str) -> Result<&'a [f64], MethodError> {
        let row = match self.comparison.facts.table(fact) {
            Some(rows) if rows.len() != self.len() => {
                let problem = Problem::Length { expected: self.len(), got: rows.len() };
                return Err(MethodError { place: Place::group(self.index), field: format!("facts.{fact}"), problem });
            }
            Some(rows) => finite(&rows[episode], self.place(episode), format!("facts.{fact}"))?,
            None => self.list(episode, fact)?,
        };
        if row.len() != self.len() {
            let problem = Problem::Length { expected: self.len(), got: row.len() };
            return Err(MethodError { place: self.place(episode), field: format!("facts.{fact}"), problem });
        }
        Ok(row)
    }

    /// A new term from the scores of an old one; what did not score stays what it is.
    pub(super) fn map(
        &self,
        of: &str,
        mut f: impl FnMut(usize, f64) -> Result<f64, MethodError>,
    ) -> Result<Vec<Outcome>, MethodError> {
        (0..self.len())
            .map(|e| match self.outcome(e, of)? {
                Outcome::Scored { value } => Ok(Outcome::scored(f(e, *value)?)),
                other => Ok(other.clone()),
            })
            .collect()
    }

    /// A new term that needs no other.
    pub(super) fn each(&self, f: impl FnMut(usize) -> Result<f64, MethodError>) -> Result<Vec<Outcome>, MethodError> {
        (0..self.len()).map(f).map(|value| Ok(Outcome::scored(value?))).collect()
    }
}

fn finite(list: &[f64], place: Place, field: String) -> Result<&[f64], MethodError> {
    match list.iter().find(|x| !x.is_finite()) {
        Some(&got) => Err(MethodError { place, field, problem: Problem::NotFinite { got } }),
        None => Ok(list),
    }
}

/// All scores, or what is said in their place: the first failure, else an abstention.
pub(super) fn judged<const N: usize>(inputs: [&Outcome; N]) -> Result<[f64; N], Outcome> {
    if let Some(failure) = inputs.iter().find(|o| o.is_failure()) {
        return Err((*failure).clone());
    }
    let mut values = [0.0; N];
    for (value, input) in values.iter_mut().zip(inputs) {
        *value = input.value().ok_or(Outcome::Abstain)?;
    }
    Ok(values)
}

/// A function that makes a term.
pub(super) trait Term {
    /// What must be known of the whole batch before the first group.
    fn observe(&self, into: &str, groups: &[Group<'_>], memory: &mut Memory) -> Result<(), MethodError> {
        let _ = (into, groups, memory);
        Ok(())
    }

    /// The term of every episode of a group. `into` names what is put down in memory.
    fn of_group(&self, into: &str, group: &Group<'_>, memory: &mut Memory) -> Result<Vec<Outcome>, MethodError>;
}

/// The mean, exact where all values are equal; 0 for none.
pub(super) fn mean(values: &[f64]) -> f64 {
    match values {
        [] => 0.0,
        [first, ..] => first + values.iter().map(|v| v - first).sum::<f64>() / values.len() as f64,
    }
}

/// `x >= bar`, where a rounding error of the bar (a mean, a product) excludes nobody who stands on it.
pub(super) fn reaches(x: f64, bar: f64) -> bool {
    x >= bar - 1e-12 * bar.abs()
}

/// `sqrt(sum (x - mean)^2 / (n - ddof))`; 0 where `n <= ddof`.
pub(super) fn deviation(values: &[f64], ddof: f64) -> f64 {
    let free = values.len() as f64 - ddof;
    if free <= 0.0 {
        return 0.0;
    }
    let centre = mean(values);
    (values.iter().map(|v| (v - centre) * (v - centre)).sum::<f64>() / free).sqrt()
}

/// A group of members with these terms and facts, for tests.
#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::facts::Fact;

    pub fn group<const N: usize>(terms: &[(&str, [f64; N])], facts: &[(&str, [f64; N])]) -> Comparison {
        let mut comparison = Comparison { key: "p".to_owned(), ..Comparison::default() };
        for i in 0..N {
            let mut trajectory = Trajectory { episode: i, mask: vec![1.0; 3], ..Trajectory::default() };
            for (name, values) in terms {
                trajectory.rewards.insert((*name).to_owned(), Outcome::scored(values[i]));
            }
            for (name, values) in facts {
                trajectory.facts.insert(*name, Fact::Number(values[i]));
            }
            comparison.trajectories.push(trajectory);
        }
        comparison
    }

    pub fn label<const N: usize>(comparison: &mut Comparison, fact: &str, labels: [&str; N]) {
        for (trajectory, label) in comparison.trajectories.iter_mut().zip(labels) {
            trajectory.facts.insert(fact, Fact::Text(label.to_owned()));
        }
    }

    pub fn values(term: &impl Term, comparison: &Comparison, memory: &mut Memory) -> Vec<f64> {
        let groups = [Group::new(0, comparison)];
        term.observe("t", &groups, memory).unwrap();
        term.of_group("t", &groups[0], memory).unwrap().iter().map(|o| o.value().unwrap_or(f64::NAN)).collect()
    }

    #[track_caller]
    pub fn close(got: &[f64], want: &[f64], tolerance: f64) {
        assert_eq!(got.len(), want.len());
        for (g, w) in got.iter().zip(want) {
            assert!((g - w).abs() <= tolerance, "{got:?} {want:?}");
        }
    }
}
