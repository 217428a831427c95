//! Every term measured by its own spread before the sum.

use super::prelude::*;

parameters! {
    /// The weighted sum of the terms' z-scores within the group.
    NormaliseThenSum {
        ddof: f64 = 1.0, ZERO_OR_ONE, "1 for the sample's standard deviation, 0 for the population's";
        eps: f64 = 1e-4, POSITIVE, "added to the standard deviation";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Combine,
    name: "normalise_then_sum",
    summary: "GDPO: each term's z-score in the group, then the weighted sum",
    formula: "sum_k w_k (r_k - mean r_k)/(std r_k + eps), mean and std over the group's episodes that the term scored; exact 0 for \
              a term that is equal in the group; abstentions and failures as in weighted_sum",
    parameters: NormaliseThenSum::PARAMETERS,
    source: "GDPO: TRL multi_objective_aggregation = normalize_then_sum, verl's and NeMo's gdpo; Pref-GRPO: arXiv 2508.20751",
    ..Entry::NONE
};

impl NormaliseThenSum {
    pub(super) fn of(&self, weights: &BTreeMap<String, f64>, groups: &[Group<'_>]) -> Rewards {
        let terms = Selected::all(weights);
        groups.iter().map(|group| self.of_group(&terms, group)).collect()
    }

    fn of_group(&self, terms: &Selected<'_>, group: &Group<'_>) -> Result<Vec<Option<f64>>, MethodError> {
        let mut sums: Vec<Option<f64>> = vec![None; group.len()];
        let mut failed = vec![false; group.len()];
        for (name, weight) in &terms.terms {
            let outcomes = group.outcomes(name)?;
            let scores: Vec<f64> = outcomes.iter().filter_map(|o| o.value()).collect();
            let (centre, scale) = (mean(&scores), deviation(&scores, self.ddof) + self.eps);
            for (e, outcome) in outcomes.into_iter().enumerate() {
                match outcome {
                    Outcome::Scored { value } => *sums[e].get_or_insert(0.0) += weight * ((value - centre) / scale),
                    Outcome::Abstain => {}
                    Outcome::Timeout | Outcome::Error { .. } => failed[e] = true,
                }
            }
        }
        Ok(sums.into_iter().zip(failed).map(|(sum, failed)| sum.filter(|_| !failed)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::Combine;

    #[test]
    fn scales_of_terms_do_not_matter() {
        let group = group(&[("a", [0.0, 1.0, 2.0]), ("b", [100.0, 0.0, 200.0]), ("c", [0.3; 3])], &[]);
        let by = Combine::NormaliseThenSum(NormaliseThenSum { eps: 1e-12, ..NormaliseThenSum::default() });
        close(&rewards(&by, &[("a", 1.0), ("b", 2.0), ("c", 9.0)], &group), &[-1.0, -2.0, 3.0], 1e-9);
    }
}
