//! One set of terms or another, by how well it goes.

use serde::{Deserialize, Serialize};

use super::prelude::*;

/// What decides, and over what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum By {
    /// The groups with the highest mean of `of`: `share` of those that the batch has, at least one; earlier ones where
    /// the means are equal. A chosen group where no score reaches `right` is as one that is not chosen.
    TopFraction {
        #[serde(default = "answer")]
        of: String,
        #[serde(default = "fifth")]
        share: f64,
        #[serde(default = "half")]
        right: f64,
    },
    /// The groups whose mean of `of` is at least the threshold.
    Group {
        #[serde(default = "answer")]
        of: String,
        #[serde(default = "half")]
        threshold: f64,
    },
    /// All groups of a batch whose mean of `of` is at least the threshold.
    Batch {
        #[serde(default = "answer")]
        of: String,
        #[serde(default = "half")]
        threshold: f64,
    },
    /// All groups from the step on at which the running mean of `of` reaches `on`, until it falls below `off`.
    Run {
        #[serde(default = "answer")]
        of: String,
        #[serde(default = "half")]
        on: f64,
        #[serde(default = "two_fifths")]
        off: f64,
        #[serde(default = "nine_tenths")]
        decay: f64,
    },
}

fn answer() -> String {
    "answer".to_owned()
}

fn fifth() -> f64 {
    0.2
}

fn two_fifths() -> f64 {
    0.4
}

fn half() -> f64 {
    0.5
}

fn nine_tenths() -> f64 {
    0.9
}

impl Default for By {
    fn default() -> Self {
        By::TopFraction { of: answer(), share: fifth(), right: half() }
    }
}

/// What is decided by, and by which terms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Switch {
    /// What decides.
    pub by: By,
    /// The terms where it says yes.
    pub then: Vec<String>,
    /// The terms where it says no.
    pub otherwise: Vec<String>,
}

impl Default for Switch {
    fn default() -> Self {
        Self { by: By::default(), then: names(["short"]), otherwise: names(["answer"]) }
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Combine,
    name: "switch",
    summary: "one set of terms for what goes well, another for the rest",
    formula: "weighted sum of `then` or of `otherwise`. by.top_fraction: `then` for the ceil(share * B) groups, at least 1, with \
              the highest mean of `of` (B = groups with a score; equal means: the earlier group), `otherwise` for the rest and \
              for a chosen group in which none has of >= right. by.group, by.batch: `then` where the group's or batch's mean \
              >= threshold. by.run: m = decay * m + (1 - decay) * batch mean (the first as it is), kept in memory; on when m \
              >= on, off when m < off, as before between the two; off at the start",
    parameters: &[
        Parameter {
            name: "by",
            default: "{ top_fraction = {} }",
            range: "`top_fraction`, `group`, `batch` or `run`, a table each",
            meaning: "what decides",
        },
        Parameter {
            name: "by.top_fraction.of",
            default: "\"answer\"",
            range: "a term's name",
            meaning: "whose mean ranks the groups",
        },
        Parameter {
            name: "by.top_fraction.share",
            default: "0.2",
            range: "in (0, 1]",
            meaning: "lambda: share of the groups that is chosen",
        },
        Parameter {
            name: "by.top_fraction.right",
            default: "0.5",
            range: "a finite number",
            meaning: "a chosen group needs one score of at least this",
        },
        Parameter { name: "by.group.of", default: "\"answer\"", range: "a term's name", meaning: "whose mean decides" },
        Parameter {
            name: "by.group.threshold",
            default: "0.5",
            range: "a finite number",
            meaning: "least mean of the group",
        },
        Parameter { name: "by.batch.of", default: "\"answer\"", range: "a term's name", meaning: "whose mean decides" },
        Parameter {
            name: "by.batch.threshold",
            default: "0.5",
            range: "a finite number",
            meaning: "least mean of the batch",
        },
        Parameter {
            name: "by.run.of",
            default: "\"answer\"",
            range: "a term's name",
            meaning: "whose running mean decides",
        },
        Parameter {
            name: "by.run.on",
            default: "0.5",
            range: "a finite number",
            meaning: "running mean that turns it on",
        },
        Parameter {
            name: "by.run.off",
            default: "0.4",
            range: "at most `on`",
            meaning: "running mean below which it turns off",
        },
        Parameter {
            name: "by.run.decay",
            default: "0.9",
            range: "in [0, 1)",
            meaning: "how much of the old running mean stays",
        },
        Parameter {
            name: "then",
            default: "[\"short\"]",
            range: "a list of terms' names, at least one",
            meaning: "the terms where it says yes",
        },
        Parameter {
            name: "otherwise",
            default: "[\"answer\"]",
            range: "a list of terms' names, at least one",
            meaning: "the terms where it says no",
        },
    ],
    source: "GRPO-lambda: arXiv 2505.18086 (top_fraction); GRPO-PTR: arXiv 2601.15668 (run)",
    unverified: "hysteresis and smoothing of `run`; group and batch thresholds are ours",
    ..Entry::NONE
};

impl Switch {
    pub(super) fn of(&self, weights: &BTreeMap<String, f64>, groups: &[Group<'_>], memory: &mut Memory) -> Rewards {
        let (then, otherwise) = (Selected::of(weights, &self.then), Selected::of(weights, &self.otherwise));
        let yes = self.by.decide(groups, memory)?;
        let of = |(group, yes): (&Group<'_>, bool)| {
            (0..group.len()).map(|e| if yes { then.sum(group, e) } else { otherwise.sum(group, e) }).collect()
        };
        groups.iter().zip(yes).map(of).collect()
    }

    /// The first parameter out of its range: its key, and what it must be.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        let fault = |key: &str, bound: &Bound| Err((key.to_owned(), format!("must be {}", bound.text)));
        let number = |key: &str, x: f64, bound: &Bound| if x.fits(bound) { Ok(()) } else { fault(key, bound) };
        let (word, of) = match &self.by {
            By::TopFraction { of, share, right } => {
                number("by.top_fraction.share", *share, &ABOVE_ZERO_TO_ONE)?;
                number("by.top_fraction.right", *right, &ANY)?;
                ("top_fraction", of)
            }
            By::Group { of, threshold } => {
                number("by.group.threshold", *threshold, &ANY)?;
                ("group", of)
            }
            By::Batch { of, threshold } => {
                number("by.batch.threshold", *threshold, &ANY)?;
                ("batch", of)
            }
            By::Run { of, on, off, decay } => {
                number("by.run.on", *on, &ANY)?;
                number("by.run.off", *off, &ANY)?;
                number("by.run.decay", *decay, &BELOW_ONE)?;
                if off > on {
                    return Err(("by.run.off".to_owned(), "must not be above `on`".to_owned()));
                }
                ("run", of)
            }
        };
        if !of.fits(&TERM) {
            return fault(&format!("by.{word}.of"), &TERM);
        }
        for (key, terms) in [("then", &self.then), ("otherwise", &self.otherwise)] {
            if !terms.fits(&TERMS) {
                return fault(key, &TERMS);
            }
        }
        Ok(())
    }
}

const RUNNING: &str = "reward.switch.mean";
const ON: &str = "reward.switch.on";

impl By {
    /// `then` or not, for every group.
    fn decide(&self, groups: &[Group<'_>], memory: &mut Memory) -> Result<Vec<bool>, MethodError> {
        let (By::TopFraction { of, .. } | By::Group { of, .. } | By::Batch { of, .. } | By::Run { of, .. }) = self;
        let mut scores = Vec::with_capacity(groups.len());
        for group in groups {
            scores.push(group.scores(of)?.into_iter().flatten().collect::<Vec<f64>>());
        }
        Ok(match self {
            By::TopFraction { share, right, .. } => {
                let mut ranked: Vec<usize> = (0..groups.len()).filter(|&g| !scores[g].is_empty()).collect();
                // The sort is stable: of equal means the earlier group comes first.
                ranked.sort_by(|&a, &b| mean(&scores[b]).total_cmp(&mean(&scores[a])));
                // The product of a share and a count may be a rounding error above a whole number.
                let chosen = (share * ranked.len() as f64 - 1e-9).ceil().max(1.0) as usize;
                let mut yes = vec![false; groups.len()];
                for &g in ranked.iter().take(chosen) {
                    yes[g] = scores[g].iter().any(|of| of >= right);
                }
                yes
            }
            By::Group { threshold, .. } => scores.iter().map(|s| !s.is_empty() && mean(s) >= *threshold).collect(),
            By::Batch { threshold, .. } => {
                let all = scores.concat();
                vec![!all.is_empty() && mean(&all) >= *threshold; groups.len()]
            }
            By::Run { on, off, decay, .. } => {
                let all = scores.concat();
                let mut running = memory.run(RUNNING);
                if !all.is_empty() {
                    let now = mean(&all);
                    running = Some(running.map_or(now, |old| decay * old + (1.0 - decay) * now));
                }
                let was = memory.run(ON).is_some_and(|x| x > 0.0);
                let is = running.map_or(was, |m| if was { m >= *off } else { m >= *on });
                if let Some(running) = running {
                    memory.set_run(RUNNING, running);
                    memory.set_run(ON, if is { 1.0 } else { 0.0 });
                }
                vec![is; groups.len()]
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Comparison;

    fn batch(answers: &[[f64; 2]]) -> Vec<Comparison> {
        answers.iter().map(|a| group(&[("answer", *a), ("short", [7.0; 2])], &[])).collect()
    }

    fn decide(by: &By, batch: &[Comparison], memory: &mut Memory) -> Vec<bool> {
        by.decide(&Group::all(batch), memory).unwrap()
    }

    #[test]
    fn the_best_fifth_and_at_least_one() {
        let mut memory = Memory::default();
        let by = By::default();
        let five = batch(&[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0], [0.0, 1.0]]);
        assert_eq!(decide(&by, &five, &mut memory), [false, false, true, false, false], "of equals the earlier");
        assert_eq!(decide(&by, &five[..2], &mut memory), [false, true]);
        let wrong = batch(&[[0.0, 0.0], [0.0, 0.0]]);
        assert_eq!(decide(&by, &wrong, &mut memory), [false, false], "the best of the hopeless is hopeless");
        let ten = batch(&[[1.0, 1.0]; 10]);
        let three = By::TopFraction { of: answer(), share: 0.3, right: 0.5 };
        assert_eq!(decide(&three, &ten, &mut memory).iter().filter(|y| **y).count(), 3);
    }

    #[test]
    fn a_chosen_group_gets_the_other_terms() {
        let two = batch(&[[1.0, 1.0], [1.0, 0.0]]);
        let got = Switch::default().of(&BTreeMap::new(), &Group::all(&two), &mut Memory::default()).unwrap();
        assert_eq!(got, [[Some(7.0), Some(7.0)], [Some(1.0), Some(0.0)]]);
    }

    #[test]
    fn the_run_remembers_that_it_was_on() {
        let by = By::Run { of: answer(), on: 0.5, off: 0.4, decay: 0.0 };
        let mut memory = Memory::default();
        let mut step = |rights: usize| {
            let one = batch(&(0..10).map(|i| [f64::from(u8::from(i < rights)); 2]).collect::<Vec<_>>());
            decide(&by, &one, &mut memory)[0]
        };
        assert_eq!([4, 5, 4, 3, 4, 5].map(&mut step), [false, true, true, false, false, true]);
    }
}
