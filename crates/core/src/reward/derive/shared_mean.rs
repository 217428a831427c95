//! What a shared plan came to.

use std::collections::BTreeMap;

use super::prelude::*;

parameters! {
    /// The mean of the term over the members with the same plan.
    SharedMean {
        of: String = "answer", TERM, "the term";
        plan: String = "plan", FACT, "names the plan of an episode";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "shared_mean",
    summary: "the mean of a term over the members that share a plan",
    formula: "(1/z) sum of `of` over the z scored members of the group with the same `plan`, itself among them",
    parameters: SharedMean::PARAMETERS,
    reads: &["facts.<plan>"],
    source: "PTA-GRPO (October 2025), r_analytic",
    ..Entry::NONE
};

impl Term for SharedMean {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let mut plans: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (e, score) in group.scores(&self.of)?.into_iter().enumerate() {
            if let Some(score) = score {
                plans.entry(group.label(e, &self.plan)?).or_default().push(score);
            }
        }
        let means: BTreeMap<String, f64> = plans.iter().map(|(plan, of)| (plan.clone(), mean(of))).collect();
        group.map(&self.of, |e, _| Ok(means[&group.label(e, &self.plan)?]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_of_one_plan_share_its_quality() {
        let group = group(&[("answer", [1.0, 0.0, 1.0, 1.0, 0.0])], &[("plan", [0.0, 0.0, 0.0, 1.0, 2.0])]);
        let third = 2.0 / 3.0;
        close(&values(&SharedMean::default(), &group, &mut Memory::default()), &[third, third, third, 1.0, 0.0], 1e-15);
    }
}
