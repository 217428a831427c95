//! The batch as JSON, and as methods see it.

use std::collections::BTreeMap;

use cohort_core::{
    Comparison, Facts, Method, MethodError, Outcome, Place, Problem, Role, Rows, Trajectory, method::Study,
    trajectory::check_column,
};
use serde::{Deserialize, Deserializer};

/// `{"groups": [{"key", "facts", "trajectories": [..]}]}`. Keys that no recipe reads are ignored.
#[derive(Clone, Debug, Deserialize)]
pub struct Document {
    groups: Vec<GivenGroup>,
}

#[derive(Clone, Debug, Deserialize)]
struct GivenGroup {
    key: Option<String>,
    #[serde(default)]
    facts: Facts,
    trajectories: Vec<Given>,
}

#[derive(Clone, Debug, Deserialize)]
struct Given {
    /// Absent: the combiner makes it. `null`: there is none, and the member is compared with nobody.
    #[serde(default, deserialize_with = "present")]
    reward: Option<Option<f64>>,
    rewards: Option<BTreeMap<String, GivenOutcome>>,
    logp: Vec<f64>,
    old_logp: Option<Vec<f64>>,
    ref_logp: Option<Vec<f64>>,
    behaviour_logp: Option<Vec<f64>>,
    kl_old: Option<Vec<f64>>,
    kl_ref: Option<Vec<f64>>,
    entropy: Option<Vec<f64>>,
    mask: Option<Vec<Masked>>,
    segment: Option<Vec<u32>>,
    #[serde(default)]
    segment_rewards: BTreeMap<u32, f64>,
    episode: Option<usize>,
    #[serde(default)]
    role: GivenRole,
    weight: Option<f64>,
    #[serde(default)]
    facts: Facts,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum GivenRole {
    #[default]
    Member,
    Auxiliary,
}

/// A mask entry: a number, or a flag.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Masked {
    Number(f64),
    Flag(bool),
}

/// A number, an outcome in words, or `null` for a term that has nothing to say.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum GivenOutcome {
    Value(f64),
    Outcome(Outcome),
    Nothing,
}

/// Tells `null` from a key that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<f64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A batch that cannot be computed on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InputError {
    #[error(
        "{reason}\n  hint: one JSON document, {{\"groups\":[{{\"trajectories\":[{{\"reward\":1,\"logp\":[-0.5]}}]}}]}}"
    )]
    Syntax { reason: String },
    #[error("{0}\n  hint: groups and trajectories count from 0; `cohort methods NAME` says what a choice reads")]
    Method(#[from] MethodError),
}

impl Document {
    /// # Errors
    /// Text that is no such document; the reason names line and column.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        serde_json::from_str(text).map_err(|e| InputError::Syntax { reason: e.to_string() })
    }

    pub(super) fn study(&self, method: &Method) -> Result<Study, InputError> {
        let mut study = Study::default();
        for (g, given) in self.groups.iter().enumerate() {
            let mut group = Comparison {
                key: given.key.clone().unwrap_or_else(|| g.to_string()),
                facts: given.facts.clone(),
                trajectories: Vec::with_capacity(given.trajectories.len()),
            };
            let (mut rows, mut old) = (Vec::new(), Vec::new());
            for (t, given) in given.trajectories.iter().enumerate() {
                let place = Place::trajectory(g, t);
                group.trajectories.push(given.trajectory(t, place, method)?);
                rows.push(given.rows(place)?);
                old.push(given.old_logp.clone());
            }
            study.groups.push(group);
            study.rows.push(rows);
            study.old_logp.push(old);
        }
        Ok(study)
    }
}

impl Given {
    fn trajectory(&self, t: usize, place: Place, method: &Method) -> Result<Trajectory, MethodError> {
        let role = match self.role {
            GivenRole::Member => Role::Member,
            GivenRole::Auxiliary => Role::Auxiliary,
        };
        // Derived terms may come from facts alone, and segments have rewards of their own.
        let is_made = !method.reward.derive.is_empty() || !self.segment_rewards.is_empty() || self.rewards.is_some();
        if role == Role::Member && self.reward.is_none() && !is_made {
            let first = method.reward.weights.keys().next();
            let field = first.map_or("reward".to_owned(), |term| format!("rewards.{term}"));
            return Err(MethodError::missing(place, field));
        }
        if self.segment.is_none() && method.reads_segments() {
            return Err(MethodError::missing(place, "segment"));
        }
        let actions = self.logp.len();
        let mask: Vec<f64> = match &self.mask {
            None => vec![1.0; actions],
            Some(mask) => mask
                .iter()
                .map(|m| match m {
                    Masked::Number(x) => *x,
                    Masked::Flag(flag) => f64::from(u8::from(*flag)),
                })
                .collect(),
        };
        check_column("mask", &mask, actions, place)?;
        if let Some(negative) = mask.iter().find(|m| **m < 0.0) {
            return Err(MethodError::unfit(place, "mask", "0 or more", negative));
        }
        let segment = self.segment.clone().unwrap_or_else(|| vec![0; actions]);
        if segment.len() != actions {
            let problem = Problem::Length { expected: actions, got: segment.len() };
            return Err(MethodError { place, field: "segment".to_owned(), problem });
        }
        Ok(Trajectory {
            role,
            // Whoever names no episode is one.
            episode: self.episode.unwrap_or(usize::MAX - t),
            reward: self.reward.flatten(),
            rewards: self.rewards.iter().flatten().map(|(name, given)| (name.clone(), given.outcome())).collect(),
            segment_rewards: self.segment_rewards.clone(),
            weight: self.weight,
            facts: self.facts.clone(),
            mask,
            segment,
            ref_logp: self.ref_logp.clone(),
            behaviour_logp: self.behaviour_logp.clone(),
            truncated_logp: None,
        })
    }

    fn rows(&self, place: Place) -> Result<Rows, MethodError> {
        let actions = self.logp.len();
        check_column("logp", &self.logp, actions, place)?;
        for (name, column) in [
            ("old_logp", &self.old_logp),
            ("ref_logp", &self.ref_logp),
            ("behaviour_logp", &self.behaviour_logp),
            ("kl_old", &self.kl_old),
            ("kl_ref", &self.kl_ref),
            ("entropy", &self.entropy),
        ] {
            if let Some(column) = column {
                check_column(name, column, actions, place)?;
            }
        }
        Ok(Rows {
            logp: self.logp.clone(),
            entropy: self.entropy.clone().unwrap_or_default(),
            kl_old: self.kl_old.clone(),
            kl_ref: self.kl_ref.clone(),
        })
    }
}

impl GivenOutcome {
    fn outcome(&self) -> Outcome {
        match self {
            GivenOutcome::Value(value) => Outcome::scored(*value),
            GivenOutcome::Outcome(outcome) => outcome.clone(),
            GivenOutcome::Nothing => Outcome::Abstain,
        }
    }
}
