//! Who is compared with whom, and which actions the comparison is for.

mod granularity;
mod group;
mod plan;
mod round;
mod segment;
mod step;
mod stratum;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use segment::Lacking;

use super::{
    Baseline, Scale,
    field::Field,
    statistic::all_equal,
    table::{Table, Values},
};
use crate::{
    memory::Memory,
    method_error::{MethodError, Problem},
    registry::Entry,
};

pub(super) const ENTRIES: [&Entry; 8] = [
    &group::GROUP,
    &group::BATCH,
    &stratum::ENTRY,
    &segment::ENTRY,
    &granularity::ENTRY,
    &step::ENTRY,
    &plan::ENTRY,
    &round::ENTRY,
];

/// The comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scope {
    /// The episodes of one prompt.
    #[default]
    Group,
    /// All episodes of the batch.
    Batch,
    /// The episodes of a group with the same fact, blended with the group.
    Stratum {
        #[serde(default = "stratum::by")]
        by: String,
        #[serde(default = "stratum::blend")]
        blend: f64,
    },
    /// Segment by segment, by the rewards of segments.
    Segment {
        #[serde(default)]
        missing: Lacking,
    },
    /// Reward term by reward term; the advantages are added up.
    Granularity {
        #[serde(default)]
        weights: BTreeMap<String, f64>,
    },
    /// The episodes of a group with the same step.
    Step {
        #[serde(default = "step::by")]
        by: String,
    },
    /// Plans among plans, for the actions of the plan.
    Plan {
        #[serde(default = "plan::by")]
        by: String,
        #[serde(default)]
        segment: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        term: Option<String>,
    },
    /// The group, for the actions of one round alone.
    Round {
        #[serde(default)]
        round: u32,
    },
}

/// What the scopes need of the recipe.
#[derive(Clone, Copy)]
pub(super) struct Rule<'a> {
    pub baseline: Baseline,
    pub scale: &'a Scale,
    pub least: usize,
}

impl Rule<'_> {
    /// Compares, and remembers after that.
    fn compare(&self, fields: &[&Field<'_>], memory: &mut Memory) -> Result<Vec<Vec<Vec<f64>>>, MethodError> {
        let compared =
            fields.iter().map(|field| field.compare(self.baseline, self.scale, self.least, memory)).collect();
        for field in fields {
            self.remember(field, memory);
        }
        Ok(compared)
    }

    pub fn remember(&self, field: &Field<'_>, memory: &mut Memory) {
        self.baseline.remember(field, memory);
        self.scale.remember(field, memory);
    }

    /// # Errors
    /// A number that is below 0, under a scale that is the mean.
    pub fn check(&self, table: &Table<'_>, values: &Values, name: &str) -> Result<(), MethodError> {
        let Scale::Mean { .. } = self.scale else { return Ok(()) };
        for (g, values) in values.iter().enumerate() {
            if let Some(e) = values.iter().position(|value| value.is_some_and(|value| value < 0.0)) {
                let got = values[e].unwrap_or_default();
                return Err(MethodError::unfit(table.place(g, e), name, "at least 0 where the scale is the mean", got));
            }
        }
        Ok(())
    }
}

/// What a comparison came to.
pub(super) struct Compared {
    pub numbers: Numbers,
    /// By group and episode: whether it was compared at all.
    pub scored: Vec<Vec<bool>>,
    /// By group: whether all that was compared was equal.
    pub constant: Vec<bool>,
}

pub(super) enum Numbers {
    /// By group and episode.
    Episodes(Vec<Vec<f64>>),
    /// By group, trajectory and action.
    Actions(Vec<Vec<Vec<f64>>>),
}

impl Compared {
    /// Of the values compared.
    pub fn new<'f>(numbers: Numbers, fields: impl IntoIterator<Item = &'f Values>) -> Self {
        let mut scored: Vec<Vec<bool>> = Vec::new();
        let mut equal: Vec<Option<bool>> = Vec::new();
        for values in fields {
            scored.resize(values.len(), Vec::new());
            equal.resize(values.len(), None);
            for (g, of_group) in values.iter().enumerate() {
                scored[g].resize(of_group.len(), false);
                scored[g].iter_mut().zip(of_group).for_each(|(scored, value)| *scored |= value.is_some());
                let present: Vec<f64> = of_group.iter().flatten().copied().collect();
                if !present.is_empty() {
                    equal[g] = Some(equal[g].unwrap_or(true) && all_equal(&present));
                }
            }
        }
        Self { numbers, scored, constant: equal.into_iter().map(|equal| equal.unwrap_or(false)).collect() }
    }
}

impl Scope {
    /// Whether every action of an episode has the same advantage.
    pub(super) fn is_of_episodes(&self) -> bool {
        !matches!(self, Scope::Segment { .. } | Scope::Plan { .. } | Scope::Round { .. })
    }

    pub(super) fn compare(
        &self,
        table: &Table<'_>,
        rule: Rule<'_>,
        memory: &mut Memory,
    ) -> Result<Compared, MethodError> {
        match self {
            Scope::Group => group::of(table, table.by_group(), rule, memory),
            Scope::Batch => group::of(table, table.together(), rule, memory),
            Scope::Step { by } => group::of(table, table.by_fact(by, &table.rewards())?, rule, memory),
            Scope::Stratum { by, blend } => stratum::of(table, by, *blend, rule, memory),
            Scope::Segment { missing } => segment::of(table, *missing, rule, memory),
            Scope::Granularity { weights } => granularity::of(table, weights, rule, memory),
            Scope::Plan { by, segment, term } => plan::of(table, by, *segment, term.as_deref(), rule, memory),
            Scope::Round { round } => round::of(table, *round, rule, memory),
        }
    }

    /// # Errors
    /// Fewer episodes than the comparison needs, in a group or (for the scope `batch`) in the batch.
    pub(super) fn check_size(&self, table: &Table<'_>, least: usize) -> Result<(), MethodError> {
        if *self == Scope::Batch {
            let got = table.episodes.iter().map(Vec::len).sum();
            if got < least && got > 0 {
                let problem = Problem::TooFew { least, got };
                return Err(MethodError { place: Default::default(), field: "trajectories".to_owned(), problem });
            }
            return Ok(());
        }
        for (g, episodes) in table.episodes.iter().enumerate() {
            if episodes.len() < least && !episodes.is_empty() {
                return Err(MethodError::too_few(g, least, episodes.len()));
            }
        }
        Ok(())
    }

    /// # Errors
    /// The parameter that is out of range, and the range.
    pub fn check(&self) -> Result<(), (String, String)> {
        match self {
            Scope::Stratum { blend, .. } if !(0.0..=1.0).contains(blend) => {
                Err(("stratum.blend".into(), "must lie in [0, 1]".into()))
            }
            Scope::Granularity { weights } => match weights.iter().find(|(_, weight)| !weight.is_finite()) {
                Some((name, _)) => Err((format!("granularity.weights.{name}"), "must be finite".into())),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}
