//! How undecided the group is.

use super::{prelude::*, votes::counts};

choice! {
    /// What the entropy is measured in.
    EntropyUnit {
        /// The entropy of as many answers, all equally frequent: 1 at most.
        UniqueAnswers,
        /// Nats.
        Nats,
    }
}

parameters! {
    /// `-alpha * H / log M`.
    FrequencyEntropy {
        answer: String = "answer", FACT, "the answer; an empty one is an answer too";
        alpha: f64 = 0.75, NOT_NEGATIVE, "the coefficient";
        unit: EntropyUnit = EntropyUnit::UniqueAnswers => "\"unique_answers\"", words("`unique_answers` or `nats`"),
            "what the entropy is divided by: log of the number of different answers, or 1";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "frequency_entropy",
    summary: "minus the entropy of the group's answers: one number for all of a group",
    formula: "-alpha * H / log M, H = -sum p log p over the M different answers, 0 for M = 1; unit nats: -alpha * H. Equal in \
              a group: centring within the group takes it off exactly",
    parameters: FrequencyEntropy::PARAMETERS,
    reads: &["facts.<answer>"],
    source: "TTRV (October 2025): nats in the paper, log M in the code",
    ..Entry::NONE
};

impl Term for FrequencyEntropy {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let labels = group.labels(&self.answer)?;
        let counts = counts(&labels);
        if counts.len() < 2 {
            return group.each(|_| Ok(0.0));
        }
        let n = labels.len() as f64;
        let entropy: f64 = counts.values().map(|&c| -(c as f64 / n) * (c as f64 / n).ln()).sum();
        let unit = match self.unit {
            EntropyUnit::UniqueAnswers => (counts.len() as f64).ln(),
            EntropyUnit::Nats => 1.0,
        };
        group.each(|_| Ok(-self.alpha * entropy / unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undecided_is_minus_alpha_and_unanimous_is_zero() {
        let mut group = group(&[], &[("x", [0.0; 2])]);
        label(&mut group, "answer", ["a", "b"]);
        close(&values(&FrequencyEntropy::default(), &group, &mut Memory::default()), &[-0.75; 2], 1e-15);
        let nats = FrequencyEntropy { unit: EntropyUnit::Nats, ..FrequencyEntropy::default() };
        close(&values(&nats, &group, &mut Memory::default()), &[-0.75 * 2f64.ln(); 2], 1e-15);
        label(&mut group, "answer", ["a", "a"]);
        close(&values(&FrequencyEntropy::default(), &group, &mut Memory::default()), &[0.0; 2], 0.0);
    }
}
