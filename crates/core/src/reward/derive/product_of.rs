//! Several terms multiplied into one.

use super::prelude::*;

parameters! {
    /// The product of terms.
    ProductOf {
        of: Vec<String> = names(["answer", "format"]) => "[\"answer\", \"format\"]", TERMS, "the terms";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "product_of",
    summary: "a product inside a sum",
    formula: "product of the terms; a failure of one is a failure, else an abstention of one an abstention",
    parameters: ProductOf::PARAMETERS,
    source: "AlphaDrive, Algorithm 1 (March 2025): accuracy * action weight * diversity",
    ..Entry::NONE
};

impl Term for ProductOf {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let product = |e| {
            let mut product = 1.0;
            let mut silent: Option<Outcome> = None;
            for name in &self.of {
                match group.outcome(e, name)? {
                    Outcome::Scored { value } => product *= value,
                    other if silent.as_ref().is_none_or(|s| !s.is_failure() && other.is_failure()) => {
                        silent = Some(other.clone());
                    }
                    Outcome::Abstain | Outcome::Timeout | Outcome::Error { .. } => {}
                }
            }
            Ok(silent.unwrap_or_else(|| Outcome::scored(product)))
        };
        (0..group.len()).map(product).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_goes_before_an_abstention() {
        let mut group = group(&[("answer", [0.5, 1.0, 1.0]), ("format", [0.5, 1.0, 0.0])], &[]);
        group.trajectories[1].rewards.insert("answer".to_owned(), Outcome::Abstain);
        group.trajectories[1].rewards.insert("format".to_owned(), Outcome::Timeout);
        let got = ProductOf::default().of_group("t", &Group::new(0, &group), &mut Memory::default()).unwrap();
        assert_eq!(got, [Outcome::scored(0.25), Outcome::Timeout, Outcome::scored(0.0)]);
    }
}
