//! A weight by what was done.

use std::collections::BTreeMap;

use super::prelude::*;

parameters! {
    /// The weight of the episode's word.
    ClassWeight {
        action: String = "action", FACT, "the word";
        weights: BTreeMap<String, f64> = table([("keep", 0.8), ("straight", 0.8)]) => "{ keep = 0.8, straight = 0.8 }",
            TABLE, "weight of every word";
        otherwise: f64 = 1.0, ANY, "weight of any other word";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "class_weight",
    summary: "rare actions weigh more",
    formula: "weights[action], `otherwise` for a word that is not in the table; the word is the predicted one, so it must be \
              multiplied with the accuracy",
    parameters: ClassWeight::PARAMETERS,
    reads: &["facts.<action>"],
    source: "AlphaDrive, Algorithm 1 (March 2025)",
    unverified: "the weights but for 0.8 (keep, straight) and 1 (accelerate, left turn), which a figure shows",
    ..Entry::NONE
};

impl Term for ClassWeight {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        group.each(|e| Ok(self.weights.get(&group.label(e, &self.action)?).copied().unwrap_or(self.otherwise)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_only() {
        let mut group = group(&[], &[("x", [0.0; 3])]);
        label(&mut group, "action", ["keep", "keep_left", "stop"]);
        close(&values(&ClassWeight::default(), &group, &mut Memory::default()), &[0.8, 1.0, 1.0], 0.0);
    }
}
