//! A recorded number of every action, added.

use super::{Rows, Table, each_row};
use crate::{
    method_error::{MethodError, Place},
    registry::{Axis, Entry, Parameter},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Shape,
    name: "added",
    summary: "a recorded number of every action is added to its advantage",
    formula: "A_t <- A_t + coefficient x_t, x the fact, a list of one number an action; a member without it is an error.",
    parameters: &[
        Parameter { name: "fact", default: "shaping", range: "a fact's name", meaning: "a list, one number an action" },
        Parameter { name: "coefficient", default: "1", range: "finite", meaning: "what it is multiplied with" },
    ],
    reads: &["facts.shaping"],
    source: "Rank-GRPO's repository: arXiv 2510.20150 (token shaping after normalisation)",
    ..Entry::NONE
};

pub(super) fn fact() -> String {
    "shaping".to_owned()
}

pub(super) fn one() -> f64 {
    1.0
}

pub(super) fn apply(table: &Table<'_>, rows: &mut Rows, fact: &str, coefficient: f64) -> Result<(), MethodError> {
    each_row(table, rows, |g, _, t, row| {
        let list = table.groups[g].trajectories[t].list(fact, Place::trajectory(g, t))?;
        row.iter_mut().zip(list).for_each(|(value, x)| *value += coefficient * x);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::super::Shape;
    use crate::{
        advantage::{Advantage, tests::group},
        facts::Fact,
        memory::Memory,
    };

    #[test]
    fn it_is_added_after_normalisation_and_never_guessed() {
        let shape = vec![Shape::Added { fact: "x".into(), coefficient: 2.0 }];
        let advantage = Advantage { shape, ..Advantage::default() };
        let mut batch = group(&[3.0, 3.0]);
        batch.trajectories[0].facts.insert("x", Fact::List(vec![0.25]));
        let error = advantage.credit(&[batch.clone()], &mut Memory::default()).unwrap_err();
        assert!(error.to_string().contains("trajectory 1: `facts.x`"), "{error}");
        batch.trajectories[1].facts.insert("x", Fact::List(vec![0.0]));
        let credits = advantage.credit(&[batch], &mut Memory::default()).unwrap();
        assert_eq!((credits[0][0].coefficient[0], credits[0][1].coefficient[0]), (0.5, 0.0));
    }
}
