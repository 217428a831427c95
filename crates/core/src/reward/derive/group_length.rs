//! Shorter than the others of the group.

use super::prelude::*;

parameters! {
    /// `coefficient * (1/2 - (length - min) / (max - min))`; a wrong one gets no more than 0.
    GroupLength {
        of: String = "answer", TERM, "right or wrong";
        right: f64 = 0.5, ANY, "least score of a right one";
        length: String = "length", FACT, "length";
        coefficient: f64 = 0.05, NOT_NEGATIVE, "twice the greatest reward";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "group_length",
    summary: "the shortest of the group gains, the longest loses",
    formula: "v = coefficient * (1/2 - (length - min)/(max - min)) with min and max over the scored of the group; v for right, \
              min(0, v) for wrong; 0 for all where all lengths are equal",
    parameters: GroupLength::PARAMETERS,
    reads: &["facts.<length>"],
    source: "Reason-RFT: arXiv 2503.20752, length reward of its code",
    unverified: "0 for equal lengths",
    ..Entry::NONE
};

impl Term for GroupLength {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for (e, score) in group.scores(&self.of)?.into_iter().enumerate() {
            if score.is_some() {
                let length = group.amount(e, &self.length)?;
                (least, most) = (least.min(length), most.max(length));
            }
        }
        group.map(&self.of, |e, of| {
            if most <= least {
                return Ok(0.0);
            }
            let v = self.coefficient * (0.5 - (group.amount(e, &self.length)? - least) / (most - least));
            Ok(if of >= self.right { v } else { v.min(0.0) })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_wrong_one_gains_nothing() {
        let group1 = group(&[("answer", [1.0, 0.0, 1.0, 0.0])], &[("length", [10.0, 10.0, 20.0, 30.0])]);
        close(&values(&GroupLength::default(), &group1, &mut Memory::default()), &[0.025, 0.0, 0.0, -0.025], 1e-15);
        let equal = group(&[("answer", [1.0, 0.0])], &[("length", [7.0; 2])]);
        close(&values(&GroupLength::default(), &equal, &mut Memory::default()), &[0.0, 0.0], 0.0);
    }
}
