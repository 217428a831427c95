//! A term that varies too much counts by its logarithm.

use super::prelude::*;

parameters! {
    /// The weighted sum of the terms, of `log(1 + r)` for those whose coefficient of variation is high.
    LogTame {
        delta: f64 = 0.2, NOT_NEGATIVE, "coefficient of variation above which a term is tamed";
        ddof: f64 = 1.0, ZERO_OR_ONE, "1 for the sample's standard deviation, 0 for the population's";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Combine,
    name: "log_tame",
    summary: "PaCo: volatile terms count by log(1 + r)",
    formula: "sum_k w_k f_k(r_k), f_k = log(1 + r) where std(r_k)/|mean(r_k)| > delta over all scored episodes of the batch (not \
              of the group), else r. Without bound where the mean is 0. A score of -1 or less of a tamed term is refused",
    parameters: LogTame::PARAMETERS,
    source: "PaCo-RL: arXiv 2512.04784",
    unverified: "ddof, and the absolute value of the mean, as the source's rewards are not negative",
    ..Entry::NONE
};

impl LogTame {
    pub(super) fn of(&self, weights: &BTreeMap<String, f64>, groups: &[Group<'_>]) -> Rewards {
        let terms = Selected::all(weights);
        let mut tamed = Vec::with_capacity(terms.terms.len());
        for (name, _) in &terms.terms {
            let mut scores = Vec::new();
            for group in groups {
                scores.extend(group.scores(name)?.into_iter().flatten());
            }
            let (spread, centre) = (deviation(&scores, self.ddof), mean(&scores));
            // 0/0, a term that is 0 everywhere, is not above anything.
            tamed.push(spread / centre.abs() > self.delta);
        }
        super::episode_by_episode(groups, |group, e| {
            let mut sum = None;
            for (((name, weight), tamed), (outcome, _)) in terms.terms.iter().zip(&tamed).zip(terms.outcomes(group, e)?)
            {
                match outcome {
                    Outcome::Scored { value } if *tamed && *value <= -1.0 => {
                        return Err(MethodError::unfit(group.place(e), format!("rewards.{name}"), "above -1", value));
                    }
                    Outcome::Scored { value } => {
                        *sum.get_or_insert(0.0) += weight * if *tamed { value.ln_1p() } else { *value };
                    }
                    Outcome::Abstain => {}
                    Outcome::Timeout | Outcome::Error { .. } => return Ok(None),
                }
            }
            Ok(sum)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_batch_decides() {
        // Constant within each group, volatile over the batch.
        let (a, b) = (group(&[("a", [1.0, 1.0])], &[]), group(&[("a", [3.0, 3.0])], &[]));
        let weights = table_of(&[("a", 1.0)]);
        let got = LogTame::default().of(&weights, &[Group::new(0, &a), Group::new(1, &b)]).unwrap();
        assert_eq!(got, [vec![Some(2f64.ln()); 2], vec![Some(4f64.ln()); 2]]);
        let alone = LogTame::default().of(&weights, &[Group::new(0, &a)]).unwrap();
        assert_eq!(alone, [vec![Some(1.0); 2]]);
    }

    #[test]
    fn a_logarithm_of_nothing_is_refused() {
        let batch = group(&[("a", [-1.0, 5.0])], &[]);
        let fault = LogTame::default().of(&table_of(&[("a", 1.0)]), &[Group::new(0, &batch)]).unwrap_err();
        assert_eq!((fault.field.as_str(), fault.place.trajectory), ("rewards.a", Some(0)));
        // A calm term of the same values is not tamed, and not refused.
        let calm = group(&[("a", [-1.0, -1.0])], &[]);
        assert!(LogTame::default().of(&table_of(&[("a", 1.0)]), &[Group::new(0, &calm)]).is_ok());
    }
}
