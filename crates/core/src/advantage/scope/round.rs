//! MOTIF: the first round answers for the futures.

use super::{Compared, Numbers, Rule, Table};
use crate::{
    memory::Memory,
    method_error::MethodError,
    registry::{Axis, Entry, Parameter},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Scope,
    name: "round",
    summary: "the comparison of the group, for the actions of one round alone",
    formula: "A_i = (r_i - baseline) / scale over the scored episodes of the group, at actions of segment `round`; 0 at all others (which stay in \
              a denominator of tokens: mask them to leave it).",
    parameters: &[Parameter {
        name: "round",
        default: "0",
        range: "a segment's number",
        meaning: "the round that is trained",
    }],
    reads: &["segment"],
    source: "MOTIF: arXiv 2507.02851; gradient on round-1 tokens alone, the reward is that of the multi-round futures",
    ..Entry::NONE
};

pub(super) fn of(table: &Table<'_>, round: u32, rule: Rule<'_>, memory: &mut Memory) -> Result<Compared, MethodError> {
    let field = table.field("", table.rewards(), table.by_group());
    rule.check(table, &field.values, "reward")?;
    let numbers = rule.compare(&[&field], memory)?.remove(0);
    let actions = table.each(|g, e, trajectory| {
        let segments = table.segments(g, e, trajectory)?;
        Ok(segments.iter().map(|k| if *k == round { numbers[g][e] } else { 0.0 }).collect())
    })?;
    Ok(Compared::new(Numbers::Actions(actions), [&field.values]))
}

#[cfg(test)]
mod tests {
    use super::super::Scope;
    use crate::{
        advantage::{Advantage, Scale, tests::group},
        memory::Memory,
    };

    #[test]
    fn later_rounds_get_nothing() {
        let mut batch = group(&[1.0, 0.0]);
        for trajectory in &mut batch.trajectories {
            trajectory.segment = vec![0, 1, 2];
            trajectory.mask = vec![1.0; 3];
        }
        let advantage = Advantage { scope: Scope::Round { round: 0 }, scale: Scale::None, ..Advantage::default() };
        let credits = advantage.credit(&[batch], &mut Memory::default()).unwrap();
        assert_eq!(credits[0][0].coefficient, [0.5, 0.0, 0.0]);
        assert_eq!(credits[0][1].coefficient, [-0.5, 0.0, 0.0]);
    }
}
