//! How many of the others an episode beats.

use super::prelude::*;

parameters! {
    /// The mean of the pairwise verdicts against the others.
    WinRate {
        wins: String = "wins", FACT,
            "table of the group, or a list of every episode: entry j of row i is 1 where i beats j, 0 where it loses, 1/2 for a tie";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "win_rate",
    summary: "pairwise preferences within the group",
    formula: "(1/(G-1)) sum over j != i of wins_ij, a tie 1/2; the diagonal is not read. A single episode abstains",
    parameters: WinRate::PARAMETERS,
    reads: &["group facts.<wins> (a table), or facts.<wins> (a list)"],
    source: "Pref-GRPO: arXiv 2508.20751",
    unverified: "the code rounds to three decimals, which is not done here",
    ..Entry::NONE
};

impl Term for WinRate {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        if group.len() == 1 {
            return Ok(vec![Outcome::Abstain]);
        }
        group.each(|e| {
            let row = group.row(e, &self.wins)?;
            let mut won = 0.0;
            for (_, verdict) in row.iter().enumerate().filter(|(j, _)| *j != e) {
                if !(0.0..=1.0).contains(verdict) {
                    let field = format!("facts.{}", self.wins);
                    return Err(MethodError::unfit(group.place(e), field, "a table of numbers in [0, 1]", verdict));
                }
                won += verdict;
            }
            Ok(won / (row.len() - 1) as f64)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;

    #[test]
    fn a_tie_is_half_a_win_for_both() {
        let mut group = group(&[], &[("x", [0.0; 3])]);
        let mut rows = vec![vec![9.0, 1.0, 0.5], vec![0.0, 9.0, 1.0], vec![0.5, 0.0, 9.0]];
        group.facts.insert("wins", Fact::Table(rows.clone()));
        close(&values(&WinRate::default(), &group, &mut Memory::default()), &[0.75, 0.5, 0.25], 0.0);
        rows[0][1] = 2.0;
        group.facts.insert("wins", Fact::Table(rows));
        let fault = WinRate::default().of_group("t", &Group::new(0, &group), &mut Memory::default()).unwrap_err();
        assert_eq!(fault.field, "facts.wins");
        let short = vec![vec![9.0, 1.0, 0.5]; 2];
        group.facts.insert("wins", Fact::Table(short));
        let fault = WinRate::default().of_group("t", &Group::new(0, &group), &mut Memory::default()).unwrap_err();
        assert_eq!(fault.to_string(), "group 0: `facts.wins` has 2 entries, and must have 3");
    }
}
