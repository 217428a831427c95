//! A bonus for what helps the next task of a chain.

use super::prelude::*;

parameters! {
    /// `bonus` where this task and the later one succeeded and the later one used a skill of this one; else 0.
    ChainBonus {
        of: String = "answer", TERM, "success of this task";
        right: f64 = 0.5, ANY, "least score of a right one";
        later: String = "later_success", FACT, "1 where the later task of the chain succeeded; for the last task: its own success";
        used: String = "skill_used", FACT, "1 where the later task ran a skill made in the earlier one";
        bonus: f64 = 1.0, ANY, "the bonus";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "chain_bonus",
    summary: "a bonus for a skill that the next task of the chain used with success",
    formula: "bonus * 1[of >= right] * 1[later] * 1[used]; the bonus alone, to be added to `of`. The last task of a chain \
              records its own success as `later`",
    parameters: ChainBonus::PARAMETERS,
    reads: &["facts.<later>", "facts.<used>"],
    source: "SAGE (skill library): arXiv 2512.17102, skill-integrated reward",
    ..Entry::NONE
};

impl Term for ChainBonus {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        group.map(&self.of, |e, of| {
            let (later, used) = (group.flag(e, &self.later)?, group.flag(e, &self.used)?);
            Ok(if of >= self.right && later && used { self.bonus } else { 0.0 })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_three_pay() {
        let group = group(
            &[("answer", [1.0, 0.0, 1.0, 1.0])],
            &[("later_success", [1.0, 1.0, 0.0, 1.0]), ("skill_used", [1.0, 1.0, 1.0, 0.0])],
        );
        close(&values(&ChainBonus::default(), &group, &mut Memory::default()), &[1.0, 0.0, 0.0, 0.0], 0.0);
    }
}
