//! What a prompt counts for, by its success rate.

use serde::{Deserialize, Serialize};

use super::{Rows, Table, each_row, statistic::mean};
use crate::{
    method_error::MethodError,
    registry::{Axis, Entry, Parameter},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Shape,
    name: "prompt_weight",
    summary: "a factor on all advantages of a prompt, from its success rate",
    formula: "A <- w(p) A, p = mean reward of the group's scored episodes, held to [edge, 1 - edge]; rewards must lie in [0, 1]. hard: w = 1 - p; \
              sqrt: w = sqrt((1-p)/p); flat: w = 1/sqrt(p (1-p)), the population std's weight of 0/1 rewards.",
    parameters: &[
        Parameter { name: "form", default: "hard", range: "hard, sqrt, flat", meaning: "the function of p" },
        Parameter { name: "edge", default: "0.02", range: "in (0, 0.5)", meaning: "how near p comes to 0 and 1" },
    ],
    reads: &["reward"],
    source: "NFT: arXiv 2505.18116, omega(q) (hard, sqrt; edge from its repository); DisCO: arXiv 2505.12366, section 3 (the weights of a question)",
    ..Entry::NONE
};

/// The function of the success rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// `1 - p`
    #[default]
    Hard,
    /// `sqrt((1 - p) / p)`
    Sqrt,
    /// `1 / sqrt(p (1 - p))`
    Flat,
}

pub(super) fn edge() -> f64 {
    0.02
}

fn weight(form: Form, p: f64) -> f64 {
    match form {
        Form::Hard => 1.0 - p,
        Form::Sqrt => ((1.0 - p) / p).sqrt(),
        Form::Flat => 1.0 / (p * (1.0 - p)).sqrt(),
    }
}

pub(super) fn apply(table: &Table<'_>, rows: &mut Rows, form: Form, edge: f64) -> Result<(), MethodError> {
    let mut weights = Vec::with_capacity(table.groups.len());
    for (g, rewards) in table.rewards().iter().enumerate() {
        for (e, reward) in rewards.iter().enumerate() {
            if let Some(got) = reward.filter(|r| !(0.0..=1.0).contains(r)) {
                return Err(MethodError::unfit(table.place(g, e), "reward", "in [0, 1] for prompt_weight", got));
            }
        }
        let rate = mean(&rewards.iter().flatten().copied().collect::<Vec<_>>());
        weights.push(weight(form, rate.clamp(edge, 1.0 - edge)));
    }
    each_row(table, rows, |g, _, _, row| {
        row.iter_mut().for_each(|value| *value *= weights[g]);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::super::Shape;
    use super::*;
    use crate::{
        advantage::tests::group,
        advantage::{Advantage, Scale, tests::advantages},
        memory::Memory,
    };

    #[test]
    fn sqrt_of_a_success_rate_of_a_fifth() {
        assert_eq!(weight(Form::Sqrt, 0.2), 2.0);
        assert_eq!(weight(Form::Hard, 0.25), 0.75);
    }

    #[test]
    fn flat_makes_std_of_a_centred_reward() {
        let shape = vec![Shape::PromptWeight { form: Form::Flat, edge: 0.02 }];
        let flat = Advantage { scale: Scale::None, shape, ..Advantage::default() };
        let std = Advantage { scale: Scale::Std { ddof: 0, eps: 0.0 }, ..Advantage::default() };
        let rewards = [1.0, 0.0, 0.0, 1.0, 1.0];
        for (a, b) in advantages(&flat, &rewards).iter().zip(advantages(&std, &rewards)) {
            assert!((a - b).abs() < 1e-14);
        }
        assert!(flat.credit(&[group(&[1.0, -1.0])], &mut Memory::default()).is_err(), "no rate of -1");
    }
}
