//! Stratified GRPO's comparison.

use super::{Compared, Numbers, Rule, Table};
use crate::{
    memory::Memory,
    method_error::MethodError,
    registry::{Axis, Entry, Parameter},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Scope,
    name: "stratum",
    summary: "episodes are compared with those of the same structure, blended with the whole group",
    formula: "A_i = blend A_stratum(i) + (1 - blend) A_group(i), each (r_i - baseline) / scale over the scored episodes of the same fact `by`, \
              or of the group. A stratum of one: 0. r_i - mean = (r_i - mean_k) + (mean_k - mean): at blend 1 the second part, the bias between \
              strata, is gone, and with it any gradient towards a better stratum.",
    parameters: &[
        Parameter { name: "by", default: "calls", range: "a fact's name", meaning: "what a stratum has in common" },
        Parameter { name: "blend", default: "1.0", range: "in [0, 1]", meaning: "the share of the stratum (alpha)" },
    ],
    reads: &["facts.calls"],
    source: "Stratified GRPO: arXiv 2510.06214",
    unverified: "blend",
    ..Entry::NONE
};

pub(super) fn by() -> String {
    "calls".to_owned()
}

pub(super) fn blend() -> f64 {
    1.0
}

pub(super) fn of(
    table: &Table<'_>,
    by: &str,
    blend: f64,
    rule: Rule<'_>,
    memory: &mut Memory,
) -> Result<Compared, MethodError> {
    let rewards = table.rewards();
    rule.check(table, &rewards, "reward")?;
    let strata = table.field("", rewards.clone(), table.by_fact(by, &rewards)?);
    let whole = table.field("", rewards, table.by_group());
    let within = strata.compare(rule.baseline, rule.scale, rule.least, memory);
    let mut numbers = rule.compare(&[&whole], memory)?.remove(0);
    for (number, within) in numbers.iter_mut().flatten().zip(within.iter().flatten()) {
        *number = blend * within + (1.0 - blend) * *number;
    }
    Ok(Compared::new(Numbers::Episodes(numbers), [&whole.values]))
}

#[cfg(test)]
mod tests {
    use super::super::Scope;
    use crate::{
        advantage::{Advantage, Scale, tests::group},
        facts::Fact,
        memory::Memory,
    };

    const REWARDS: [f64; 7] = [0.0, 1.0, 0.5, 2.0, 1.0, 3.0, 9.0];
    const CALLS: [f64; 7] = [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 2.0];

    fn of(rewards: &[f64], blend: f64, scale: Scale) -> Vec<f64> {
        let mut batch = group(rewards);
        for (trajectory, calls) in batch.trajectories.iter_mut().zip(CALLS) {
            trajectory.facts.insert("calls", Fact::Number(calls));
        }
        let advantage = Advantage { scope: Scope::Stratum { by: super::by(), blend }, scale, ..Advantage::default() };
        advantage.credit(&[batch], &mut Memory::default()).unwrap()[0].iter().map(|c| c.coefficient[0]).collect()
    }

    #[test]
    fn a_stratum_of_one_is_zero_and_not_nan() {
        assert_eq!(of(&REWARDS, 1.0, Scale::default())[6], 0.0);
    }

    #[test]
    fn mean_0_and_variance_1_in_every_stratum() {
        let got = of(&REWARDS, 1.0, Scale::Std { ddof: 0, eps: 0.0 });
        for stratum in [&got[..2], &got[2..6]] {
            let n = stratum.len() as f64;
            assert!((stratum.iter().sum::<f64>() / n).abs() < 1e-14);
            assert!((stratum.iter().map(|a| a * a).sum::<f64>() / n - 1.0).abs() < 1e-14);
        }
    }

    #[test]
    fn positive_affine_maps_change_nothing() {
        let mapped: Vec<f64> = REWARDS.iter().map(|r| 3.0 * r - 7.0).collect();
        let scale = Scale::Std { ddof: 1, eps: 0.0 };
        for (a, b) in of(&REWARDS, 1.0, scale).iter().zip(of(&mapped, 1.0, scale)) {
            assert!((a - b).abs() < 1e-13);
        }
    }

    #[test]
    fn the_variance_falls_by_that_between_strata() {
        let variance = |values: &[f64]| values.iter().map(|a| a * a).sum::<f64>() / values.len() as f64;
        let (strata, whole) = (of(&REWARDS, 1.0, Scale::None), of(&REWARDS, 0.0, Scale::None));
        let mean = REWARDS.iter().sum::<f64>() / 7.0;
        let between: f64 =
            [(2.0, 0.5), (4.0, 6.5 / 4.0), (1.0, 9.0)].iter().map(|(n, m)| n * (m - mean) * (m - mean)).sum();
        assert!((variance(&whole) - variance(&strata) - between / 7.0).abs() < 1e-13);
    }
}
