//! Terms multiplied.

use super::prelude::*;

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Combine,
    name: "product",
    summary: "the product of the weighted terms",
    formula: "product of w_k r_k over the terms that scored; an abstaining term leaves the product; no reward where a term \
              failed or none scored. A term of weight 0 is not read",
    source: "AlphaDrive, Algorithm 1 (March 2025); OTC-PO (April 2025)",
    ..Entry::NONE
};

pub(super) fn of(terms: &Selected<'_>, group: &Group<'_>, e: usize) -> Result<Option<f64>, MethodError> {
    let mut product = None;
    for (outcome, weight) in terms.outcomes(group, e)? {
        match outcome {
            Outcome::Scored { value } => *product.get_or_insert(1.0) *= weight * value,
            Outcome::Abstain => {}
            Outcome::Timeout | Outcome::Error { .. } => return Ok(None),
        }
    }
    Ok(product)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::Combine;

    #[test]
    fn one_zero_is_enough() {
        let group = group(&[("a", [2.0, 0.0]), ("b", [0.5, 3.0])], &[]);
        close(&rewards(&Combine::Product, &[("a", 1.0), ("b", 4.0)], &group), &[4.0, 0.0], 0.0);
    }
}
