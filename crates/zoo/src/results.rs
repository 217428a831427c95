//! The lines of `results/NAME.jsonl`: one a verify, appended and never replaced. A line is what `cohort zoo verify NAME --json`
//! prints.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    claim::{Budget, Claim, Kind, Prefer},
    statistics::Paired,
    verdict::{ControlSeed, Verdict, bound, gains, is_exposed, verdict},
};

/// What a verify showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultLine {
    pub name: String,
    pub verdict: Verdict,
    pub metric: String,
    /// The metric on the test split after training, one a seed.
    pub method: Vec<f64>,
    pub baseline: Vec<f64>,
    /// Of the paired gains, above 0 where the method is better.
    pub difference: Difference,
    /// Of wall time, all runs and their cold start together.
    pub minutes: f64,
    /// All sampled tokens of the rl stages.
    pub tokens: OfArms<u64>,
    pub seeds: Vec<u64>,
    /// Of the method arm at seed 0, without its `[claim]` and `[system]`.
    pub recipe_hash: String,
    /// Of the claim: what was said before it was tested.
    pub claim_hash: String,
    /// Of the working directory; `+` after it where files were changed.
    pub commit: Option<String>,
    pub machine: String,
    pub control: ControlResult,
    /// Fewer seeds than the claim's: it never counts.
    #[serde(default, skip_serializing_if = "is_false")]
    pub trial: bool,
    pub system: Option<u32>,
    pub kind: Kind,
    pub prefer: Prefer,
    pub effect: f64,
    pub budget: Budget,
    /// The metric of the cold start on the test split, one a seed (the seed draws the evaluation's samples).
    pub before: Vec<f64>,
    /// Steps of the rl stages.
    pub steps: OfArms<u64>,
    /// Every number of the evaluations on the test split after training.
    pub evaluations: OfArms<BTreeMap<String, f64>>,
    /// What `claim.beside` names: before and after the rl stage, one pair a seed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<String, OfArms<[f64; 2]>>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A list for each arm, one element a seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OfArms<T> {
    pub method: Vec<T>,
    pub baseline: Vec<T>,
}

/// The paired gains, summed up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    pub mean: f64,
    /// Ends of Student's 95 % interval; `null` of fewer than two seeds.
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// One-sided, of what the claim must exclude: a mean of 0, or of `-effect` where equality is claimed.
    pub p: Option<f64>,
}

/// The control's runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ControlResult {
    pub name: String,
    pub seeds: Vec<u64>,
    /// The metric, one a seed.
    pub values: Vec<f64>,
    /// What each is held against: the cold start, or the baseline.
    pub against: Vec<f64>,
    /// The control shows what the claim says, on every seed.
    pub exposed: bool,
    pub tokens: Vec<u64>,
}

impl Difference {
    pub fn of(claim: &Claim, paired: &Paired) -> Self {
        let interval = paired.interval();
        let [low, high] = [interval.map(|i| i[0]), interval.map(|i| i[1])];
        Self { mean: paired.mean, low, high, p: paired.p_above(bound(claim)) }
    }
}

/// A trial of an arm on dev: a line of `results/NAME.dev.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DevLine {
    pub name: String,
    /// `dev`, always: nothing else is tuned on.
    pub split: String,
    /// `method` or `baseline`.
    pub arm: String,
    /// The tuned keys with their values.
    pub trial: BTreeMap<String, serde_json::Value>,
    pub metric: String,
    /// From 1000.
    pub seeds: Vec<u64>,
    /// On dev after training, one a seed.
    pub values: Vec<f64>,
    pub mean: f64,
    /// The best mean of its arm.
    pub best: bool,
    pub tokens: Vec<u64>,
    pub commit: Option<String>,
}

/// The newest line of each trial, in the order of their first ones.
pub fn newest_trials(lines: &[DevLine]) -> Vec<DevLine> {
    let mut trials: Vec<DevLine> = Vec::new();
    for line in lines {
        match trials.iter_mut().find(|t| t.arm == line.arm && t.trial == line.trial) {
            Some(old) => *old = line.clone(),
            None => trials.push(line.clone()),
        }
    }
    trials
}

/// The numbers of a claim's runs, judged: difference, verdict, and whether the control exposed it. `None` where there is no
/// seed, or a number is not finite.
pub fn judge(
    claim: &Claim,
    method: &[f64],
    baseline: &[f64],
    control: &[ControlSeed],
) -> Option<(Difference, Verdict, bool)> {
    let paired = Paired::new(&gains(claim, method, baseline))?;
    Some((Difference::of(claim, &paired), verdict(claim, &paired, control), is_exposed(claim, control)))
}

/// What a file of results says: the newest line that counts, and how many count.
pub fn newest(lines: &[ResultLine]) -> (usize, Option<&ResultLine>) {
    let full = || lines.iter().filter(|line| !line.trial);
    (full().count(), full().next_back())
}

/// The lines of a results file.
///
/// # Errors
/// The number of the line (from 1), and what is wrong with it.
pub fn read_lines<T: serde::de::DeserializeOwned>(text: &str) -> Result<Vec<T>, (usize, String)> {
    let numbered = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    numbered.map(|(i, line)| serde_json::from_str(line).map_err(|e| (i + 1, e.to_string()))).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A line of made-up numbers.
    pub(crate) fn line(name: &str, method: &[f64], baseline: &[f64]) -> ResultLine {
        let claim: Claim = toml::from_str("text = \"t\"\nmetric = \"greedy\"\neffect = 0.03").unwrap();
        let (difference, verdict, exposed) = judge(&claim, method, baseline, &[]).unwrap();
        ResultLine {
            name: name.to_owned(),
            verdict,
            metric: claim.metric.clone(),
            method: method.to_vec(),
            baseline: baseline.to_vec(),
            difference,
            minutes: 3.5,
            tokens: OfArms { method: vec![400_100; method.len()], baseline: vec![400_050; method.len()] },
            seeds: (0..method.len() as u64).collect(),
            recipe_hash: "abc".into(),
            claim_hash: "def".into(),
            commit: Some("0123456".into()),
            machine: "a test".into(),
            control: ControlResult { name: "permuted".into(), exposed, ..ControlResult::default() },
            trial: false,
            system: crate::systems::by_name(name).map(|s| s.number),
            kind: claim.kind,
            prefer: claim.prefer,
            effect: claim.effect,
            budget: claim.budget,
            before: vec![0.2; method.len()],
            steps: OfArms::default(),
            evaluations: OfArms::default(),
            beside: BTreeMap::new(),
        }
    }

    const METHOD: [f64; 5] = [0.53, 0.54, 0.55, 0.56, 0.57];

    #[test]
    fn a_line_begins_as_scripts_expect_and_is_read_again() {
        let line = line("mc-grpo", &METHOD, &[0.5; 5]);
        let text = serde_json::to_string(&line).unwrap();
        let keys: Vec<String> = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text)
            .unwrap()
            .keys()
            .take(13)
            .cloned()
            .collect();
        let order =
            "name verdict metric method baseline difference minutes tokens seeds recipe_hash claim_hash commit machine";
        assert_eq!(keys.join(" "), order);
        assert!(text.contains("\"verdict\":\"reproduced\""), "{text}");
        assert!(!text.contains("trial") && !text.contains("beside"), "{text}");
        assert_eq!(read_lines::<ResultLine>(&format!("{text}\n\n{text}\n")).unwrap(), [line.clone(), line]);
    }

    #[test]
    fn trials_never_count_and_the_newest_line_does() {
        let old = line("nft", &METHOD, &[0.5; 5]);
        let new = line("nft", &[0.5; 5], &[0.5; 5]);
        let trial = ResultLine { trial: true, ..old.clone() };
        assert_eq!(newest(&[old, new.clone(), trial.clone()]), (2, Some(&new)));
        assert_eq!(newest(&[trial]), (0, None));
    }

    #[test]
    fn a_broken_line_is_named() {
        assert_eq!(read_lines::<ResultLine>("\n{\"name\":1}\n").unwrap_err().0, 2);
    }

    #[test]
    fn one_seed_has_no_interval() {
        let line = line("nft", &[0.6], &[0.5]);
        assert_eq!((line.difference.low, line.difference.p, line.verdict), (None, None, Verdict::Inconclusive));
    }
}
