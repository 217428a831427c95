//! A group, and the batch as one.

use super::{Compared, Numbers, Rule, Table};
use crate::{
    memory::Memory,
    method_error::MethodError,
    registry::{Axis, Entry},
};

pub(super) const GROUP: Entry = Entry {
    axis: Axis::Scope,
    name: "group",
    summary: "the episodes of one prompt are compared with each other",
    formula: "A_i = (r_i - baseline) / scale, both over the scored episodes of the group; every action of the episode gets A_i. \
              Trajectories of one episode number are one entry. Without a reward: 0, and no part in any statistic.",
    source: "GRPO: Shao et al. 2024, arXiv 2402.03300, section 4.1.2",
    ..Entry::NONE
};

pub(super) const BATCH: Entry = Entry {
    axis: Axis::Scope,
    name: "batch",
    summary: "all episodes of the batch are one comparison, whatever their prompt",
    formula: "A_i = (r_i - baseline) / scale, both over all N scored episodes of the batch. Easy prompts get positive advantages and hard ones \
              negative ones; with `mean` and no scale the expectation of A grad log pi is (N-1)/N times the policy gradient.",
    source: "AReaL `adv_norm` with batch mean and batch std",
    ..Entry::NONE
};

/// Compares the rewards of those that share a part.
pub(super) fn of(
    table: &Table<'_>,
    parts: Vec<Vec<usize>>,
    rule: Rule<'_>,
    memory: &mut Memory,
) -> Result<Compared, MethodError> {
    let field = table.field("", table.rewards(), parts);
    rule.check(table, &field.values, "reward")?;
    let numbers = rule.compare(&[&field], memory)?.remove(0);
    Ok(Compared::new(Numbers::Episodes(numbers), [&field.values]))
}

#[cfg(test)]
mod tests {
    use super::super::Scope;
    use crate::{
        advantage::{Advantage, Scale, tests::group},
        memory::Memory,
    };

    #[test]
    fn the_turns_of_a_dialogue_are_one_entry() {
        let mut batch = group(&[1.0, 1.0, 0.0]);
        batch.trajectories[1].episode = batch.trajectories[0].episode;
        let advantage = Advantage { scale: Scale::None, ..Advantage::default() };
        let credits = advantage.credit(&[batch], &mut Memory::default()).unwrap();
        let got: Vec<f64> = credits[0].iter().map(|c| c.coefficient[0]).collect();
        assert_eq!(got, [0.5, 0.5, -0.5]);
    }

    #[test]
    fn a_batch_sees_easy_prompts() {
        let advantage = Advantage { scope: Scope::Batch, scale: Scale::None, ..Advantage::default() };
        let credits = advantage.credit(&[group(&[1.0, 1.0]), group(&[0.0])], &mut Memory::default()).unwrap();
        assert!((credits[0][0].coefficient[0] - 1.0 / 3.0).abs() < 1e-15);
        assert!((credits[1][0].coefficient[0] + 2.0 / 3.0).abs() < 1e-15);
    }
}
