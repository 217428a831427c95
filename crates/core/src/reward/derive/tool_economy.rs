//! Right with as few calls as it takes.

use std::f64::consts::PI;

use super::prelude::*;

choice! {
    /// Where the fewest calls that suffice are taken from.
    Fewest {
        /// The right ones of every group of this prompt so far, this one among them.
        Prompt,
        /// The right ones of this group.
        Group,
        /// Nowhere: fewer is better, down to none.
        Unknown,
    }
}

parameters! {
    /// `alpha * coefficient(calls) * of`.
    ToolEconomy {
        of: String = "answer", TERM, "right or wrong";
        right: f64 = 0.5, ANY, "least score of a right one";
        calls: String = "calls", FACT, "calls that were run, malformed ones too";
        limit: f64 = 4.0, POSITIVE, "c: the most calls an episode can make";
        alpha: f64 = 1.0, ANY, "the factor of the whole";
        fewest: Fewest = Fewest::Prompt => "\"prompt\"", words("`prompt`, `group` or `unknown`"), "where the optimum n comes from";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "tool_economy",
    summary: "OTC: correctness times a coefficient that is 1 at the fewest calls that suffice",
    formula: "alpha * k(m) * of, m = calls, c = limit, n = fewest calls of a right episode (of the group, or of the prompt \
              over the run). fewest unknown, or n = 0: k = cos(m pi / (2m + c)), 1 at m = 0; n > 0: k = sin(f pi / (2n)), f = \
              2nm/(m + n). While nothing was right n is undefined: k = 0, and nothing is remembered",
    parameters: ToolEconomy::PARAMETERS,
    reads: &["facts.<calls>"],
    source: "OTC-PO (April 2025), version 1: OTC-PPO (unknown), OTC-GRPO (group and prompt)",
    ..Entry::NONE
};

impl Term for ToolEconomy {
    fn of_group(&self, into: &str, group: &Group<'_>, memory: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let name = format!("reward.{into}.fewest");
        let mut fewest = match self.fewest {
            Fewest::Prompt => memory.prompt(group.key(), &name),
            Fewest::Group | Fewest::Unknown => None,
        };
        for (e, score) in group.scores(&self.of)?.into_iter().enumerate() {
            if score.is_some_and(|of| of >= self.right) {
                let calls = group.amount(e, &self.calls)?;
                fewest = Some(fewest.map_or(calls, |n| n.min(calls)));
            }
        }
        let optimum = match (self.fewest, fewest) {
            (Fewest::Unknown, _) => Some(0.0),
            (Fewest::Prompt, Some(n)) => {
                memory.set_prompt(group.key(), &name, n);
                fewest
            }
            (Fewest::Prompt | Fewest::Group, _) => fewest,
        };
        group.map(&self.of, |e, of| {
            let m = group.amount(e, &self.calls)?;
            Ok(self.alpha * optimum.map_or(0.0, |n| coefficient(m, n, self.limit)) * of)
        })
    }
}

/// 1 at `m = n` calls.
fn coefficient(m: f64, n: f64, limit: f64) -> f64 {
    if n > 0.0 {
        let f = 2.0 * n * m / (m + n);
        (f * PI / (2.0 * n)).sin()
    } else {
        (m * PI / (2.0 * m + limit)).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_values() {
        let root = std::f64::consts::FRAC_1_SQRT_2;
        let of = |n: f64, from: usize, want: &[f64]| {
            let got: Vec<f64> = (from..5).map(|m| coefficient(m as f64, n, 4.0)).collect();
            close(&got, want, 5e-5);
        };
        of(0.0, 0, &[1.0, 0.8660, root, 0.5878, 0.5]);
        of(1.0, 1, &[1.0, 0.8660, root, 0.5878]);
        of(2.0, 0, &[0.0, 0.8660, 1.0, 0.9511, 0.8660]);
    }

    #[test]
    fn what_nobody_solved_is_not_remembered_as_needing_no_calls() {
        let mut memory = Memory::default();
        let wrong = group(&[("answer", [0.0, 0.0])], &[("calls", [0.0, 2.0])]);
        close(&values(&ToolEconomy::default(), &wrong, &mut memory), &[0.0, 0.0], 0.0);
        assert_eq!(memory, Memory::default());
        // A wrong episode with fewer calls does not set the optimum.
        let solved = group(&[("answer", [1.0, 0.0])], &[("calls", [2.0, 1.0])]);
        close(&values(&ToolEconomy::default(), &solved, &mut memory), &[1.0, 0.0], 1e-15);
        let worse = group(&[("answer", [1.0, 1.0])], &[("calls", [3.0, 4.0])]);
        close(&values(&ToolEconomy::default(), &worse, &mut memory), &[0.9511, 0.8660], 5e-5);
        let local = ToolEconomy { fewest: Fewest::Group, ..ToolEconomy::default() };
        assert!((values(&local, &worse, &mut memory)[0] - 1.0).abs() < 1e-15);
    }
}
