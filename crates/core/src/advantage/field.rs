//! What is compared: one number an episode, and who is compared with whom.

use super::{Baseline, Scale, statistic::mean};
use crate::memory::Memory;

/// The span of what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// One number for every prompt, by the group's key.
    Prompt,
    /// One number for the run.
    Run,
}

/// Numbers of a batch, by group; the inner vectors have one entry an episode (a plan, where plans are compared).
pub(super) struct Field<'a> {
    /// What the memory calls it: empty for the reward.
    pub name: String,
    /// Names of the prompts, one a group.
    pub keys: Vec<&'a str>,
    /// `None` is compared with nobody.
    pub values: Vec<Vec<Option<f64>>>,
    /// Trained actions of the episodes.
    pub lengths: Vec<Vec<f64>>,
    /// Entries of one number are compared with each other; numbers are small and without gaps.
    pub parts: Vec<Vec<usize>>,
}

/// Scored entries that are compared with each other, and what stands outside of them.
pub(super) struct Part<'a> {
    pub values: &'a [f64],
    pub lengths: &'a [f64],
    /// The mean that comes from beyond the part (of the batch, of the past), an entry each.
    pub mean: &'a [f64],
    /// The spread that comes from beyond the part.
    pub spread: &'a [f64],
}

impl Field<'_> {
    pub fn scored(&self, g: usize) -> Vec<f64> {
        self.values[g].iter().flatten().copied().collect()
    }

    /// All scored numbers of the batch.
    pub fn all(&self) -> Vec<f64> {
        self.values.iter().flatten().flatten().copied().collect()
    }

    fn members(&self) -> Vec<Vec<(usize, usize)>> {
        let parts = self.parts.iter().flatten().max().map_or(0, |last| last + 1);
        let mut members = vec![Vec::new(); parts];
        for (g, values) in self.values.iter().enumerate() {
            for (e, value) in values.iter().enumerate() {
                if value.is_some() {
                    members[self.parts[g][e]].push((g, e));
                }
            }
        }
        members
    }

    /// Calls `f` for every part with its scored entries; what it returns becomes their numbers. Unscored: 0.
    pub fn map_parts(
        &self,
        baseline: Baseline,
        scale: &Scale,
        memory: &Memory,
        mut f: impl FnMut(&Part<'_>) -> Vec<f64>,
    ) -> Vec<Vec<f64>> {
        let means = baseline.outside(self, memory);
        let spreads = scale.outside(self, memory);
        let mut result: Vec<Vec<f64>> = self.values.iter().map(|values| vec![0.0; values.len()]).collect();
        for members in self.members().into_iter().filter(|members| !members.is_empty()) {
            let column = |of: &dyn Fn(usize, usize) -> f64| members.iter().map(|&(g, e)| of(g, e)).collect::<Vec<_>>();
            let part = Part {
                values: &column(&|g, e| self.values[g][e].unwrap_or_default()),
                lengths: &column(&|g, e| self.lengths[g][e]),
                mean: &column(&|g, _| means[g]),
                spread: &column(&|g, _| spreads[g]),
            };
            for (&(g, e), value) in members.iter().zip(f(&part)) {
                result[g][e] = value;
            }
        }
        result
    }

    /// `(value - baseline) / scale` in every part; 0 where fewer than `least` of a part are scored.
    pub fn compare(&self, baseline: Baseline, scale: &Scale, least: usize, memory: &Memory) -> Vec<Vec<f64>> {
        self.map_parts(baseline, scale, memory, |part| {
            if part.values.len() < least {
                return vec![0.0; part.values.len()];
            }
            let baselines = baseline.of(part);
            let scales = scale.of(part);
            let centred = part.values.iter().zip(baselines).map(|(value, baseline)| value - baseline);
            centred.zip(scales).map(|(centred, scale)| divided(centred, scale)).collect()
        })
    }

    /// Carries a statistic of each group, or of the batch, into the memory.
    pub fn carry(&self, what: &str, per: Per, decay: f64, statistic: impl Fn(&[f64]) -> f64, memory: &mut Memory) {
        let name = self.remembered(what);
        let blend = |old: Option<f64>, new: f64| old.map_or(new, |old| decay * old + (1.0 - decay) * new);
        match per {
            Per::Run => {
                let all = self.all();
                if !all.is_empty() {
                    memory.set_run(&name, blend(memory.run(&name), statistic(&all)));
                }
            }
            Per::Prompt => {
                for (g, key) in self.keys.iter().enumerate() {
                    let scored = self.scored(g);
                    if !scored.is_empty() {
                        memory.set_prompt(key, &name, blend(memory.prompt(key, &name), statistic(&scored)));
                    }
                }
            }
        }
    }

    /// What is remembered for each group.
    pub fn recall(&self, what: &str, per: Per, start: f64, memory: &Memory) -> Vec<f64> {
        let name = self.remembered(what);
        let of = |key: &str| match per {
            Per::Run => memory.run(&name),
            Per::Prompt => memory.prompt(key, &name),
        };
        self.keys.iter().map(|key| of(key).unwrap_or(start)).collect()
    }

    fn remembered(&self, what: &str) -> String {
        if self.name.is_empty() { format!("advantage.{what}") } else { format!("advantage.{what}.{}", self.name) }
    }

    pub fn batch_mean(&self) -> f64 {
        mean(&self.all())
    }
}

/// A quotient; what is exactly 0 stays 0, and a scale of 0 leaves the number as it is.
pub(super) fn divided(value: f64, scale: f64) -> f64 {
    if value == 0.0 || scale == 0.0 { value } else { value / scale }
}
