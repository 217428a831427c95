//! The verifiers in words: what `cohort rewards` prints.

/// A verifier that a recipe can name.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// The recipe's word.
    pub name: &'static str,
    pub summary: &'static str,
    pub range: &'static str,
    /// Columns of the row and parts of the completion that it reads.
    pub reads: &'static [&'static str],
    /// Name and meaning of every parameter.
    pub parameters: &'static [(&'static str, &'static str)],
}

/// Every verifier, in the order of the recipe's enum.
pub const DESCRIBED: &[Described] = &[
    Described {
        name: "regex",
        summary: "1 where the completion has a form, else 0",
        range: "0 or 1",
        reads: &["completion"],
        parameters: &[
            ("pattern", "a regular expression, in linear time: no look-around, no back-references"),
            ("mode", "\"full\" (default): all of the completion must match; \"search\": any part"),
            ("dot", "what a `.` matches: \"line\" (default), all but a newline; \"any\""),
        ],
    },
    Described {
        name: "answer",
        summary: "1 where the completion's answer is the row's, else 0",
        range: "0 or 1",
        reads: &["completion", "the column `answer`, or the one that `column` names"],
        parameters: &[
            ("tag", "the tag that holds the answer, such as answer; without tag and after, the last number"),
            ("after", "the mark that the answer follows, such as ####"),
            ("compare", "\"exact\" (default), or \"number\""),
            ("column", "the row's column that holds the right answer; answer unless told"),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::VerifierConfig;

    /// The list and the recipe's enum name the same verifiers.
    #[test]
    fn every_verifier_is_described() {
        let error = serde_json::from_str::<VerifierConfig>("\"none such\"").unwrap_err().to_string();
        for described in DESCRIBED {
            assert!(error.contains(&format!("`{}`", described.name)), "{error}");
        }
        assert_eq!(error.matches('`').count(), 2 * (DESCRIBED.len() + 1), "{error}");
    }
}
