//! What the futures of a prefix came to.

use super::prelude::*;

parameters! {
    /// The mean of the futures' scores.
    Lookahead {
        futures: String = "futures", FACT, "list: the score of every continuation";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "lookahead",
    summary: "the mean score of continuations that were sampled without gradient",
    formula: "(1/m) sum_j futures_j; an empty list is refused",
    parameters: Lookahead::PARAMETERS,
    reads: &["facts.<futures>"],
    source: "MOTIF: arXiv 2507.02851, future accuracy",
    ..Entry::NONE
};

impl Term for Lookahead {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        group.each(|e| Ok(mean(group.list(e, &self.futures)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;

    #[test]
    fn boxed_outside_the_answer_counts_half() {
        let mut group = group(&[], &[("x", [0.0])]);
        group.trajectories[0].facts.insert("futures", Fact::List(vec![2.0, 1.0, 0.0, 2.0]));
        close(&values(&Lookahead::default(), &group, &mut Memory::default()), &[1.25], 0.0);
        group.trajectories[0].facts.insert("futures", Fact::List(vec![]));
        let fault = Lookahead::default().of_group("t", &Group::new(0, &group), &mut Memory::default()).unwrap_err();
        assert_eq!(fault.field, "facts.futures");
    }
}
