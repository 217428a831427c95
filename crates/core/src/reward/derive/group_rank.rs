//! The place within the group.

use super::prelude::*;

choice! {
    /// Which end is the best.
    Best {
        /// A higher score is better.
        Highest,
        /// A lower score is better.
        Lowest,
    }
}

parameters! {
    /// The rank among the group, in [0, 1].
    GroupRank {
        of: String = "answer", TERM, "the score";
        best: Best = Best::Highest => "\"highest\"", words("`highest` or `lowest`"), "which end gets 1";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "group_rank",
    summary: "the rank among the group, ties averaged",
    formula: "(number of worse + half the number of equal others) / (n - 1) over the n scored; 1/2 where n = 1",
    parameters: GroupRank::PARAMETERS,
    source: "ours",
    ..Entry::NONE
};

impl Term for GroupRank {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let mut sorted: Vec<f64> = group.scores(&self.of)?.into_iter().flatten().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        group.map(&self.of, |_, of| {
            let below = sorted.partition_point(|x| *x < of) as f64;
            let upto = sorted.partition_point(|x| *x <= of) as f64;
            let others = sorted.len() as f64 - 1.0;
            let rank = if others > 0.0 { (below + 0.5 * (upto - below - 1.0)) / others } else { 0.5 };
            Ok(match self.best {
                Best::Highest => rank,
                Best::Lowest => 1.0 - rank,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_their_places() {
        let group1 = group(&[("answer", [3.0, 1.0, 3.0, 7.0, -1.0])], &[]);
        let term = GroupRank::default();
        close(&values(&term, &group1, &mut Memory::default()), &[0.625, 0.25, 0.625, 1.0, 0.0], 0.0);
        let low = GroupRank { best: Best::Lowest, ..term.clone() };
        close(&values(&low, &group1, &mut Memory::default()), &[0.375, 0.75, 0.375, 0.0, 1.0], 0.0);
        close(&values(&term, &group(&[("answer", [0.0])], &[]), &mut Memory::default()), &[0.5], 0.0);
    }
}
