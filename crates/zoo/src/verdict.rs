//! From paired numbers to a verdict, by rules that know no system.
//!
//! With the interval `[low, high]` of the paired gains (above 0 where the method is better) and the smallest effect `d`:
//!
//! - `better`: reproduced if `low > 0` and `mean >= d`; not reproduced if `high < d`;
//! - `no_worse`: reproduced if `low > -d`; not reproduced if `high < -d`;
//! - else inconclusive;
//! - invalid, whatever else, if the control rises over the cold start by `d` or more on every one of its seeds (or is, against
//!   the baseline, what the claim says of the method).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    claim::{Against, Claim, Kind},
    statistics::{LEVEL, Paired, holm},
};

/// What came of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Reproduced,
    NotReproduced,
    Inconclusive,
    /// The control shows what the claim says.
    Invalid,
    NotRun,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Reproduced => "reproduced",
            Verdict::NotReproduced => "not_reproduced",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Invalid => "invalid",
            Verdict::NotRun => "not_run",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The metric of a control's seed, and what it is held against: the cold start's, or the baseline's of that seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ControlSeed {
    pub value: f64,
    pub against: f64,
}

/// Gains of the method over the baseline, one a seed, above 0 where it is better.
pub fn gains(claim: &Claim, method: &[f64], baseline: &[f64]) -> Vec<f64> {
    method.iter().zip(baseline).map(|(m, b)| claim.prefer.gain(*m, *b)).collect()
}

/// What the mean must be above for the claim: 0, or `-d` where equality is claimed.
pub fn bound(claim: &Claim) -> f64 {
    match claim.kind {
        Kind::Better => 0.0,
        Kind::NoWorse => -claim.effect,
    }
}

/// The verdict of paired gains without regard to a control. Fewer than two seeds decide nothing.
pub fn of_gains(claim: &Claim, paired: &Paired) -> Verdict {
    let Some([low, high]) = paired.interval() else { return Verdict::Inconclusive };
    let d = claim.effect;
    let (reproduced, not) = match claim.kind {
        Kind::Better => (low > 0.0 && paired.mean >= d, high < d),
        Kind::NoWorse => (low > -d, high < -d),
    };
    match (reproduced, not) {
        (true, _) => Verdict::Reproduced,
        (false, true) => Verdict::NotReproduced,
        (false, false) => Verdict::Inconclusive,
    }
}

/// Whether the control shows what it must not, on every one of its seeds. Without seeds it shows nothing.
pub fn is_exposed(claim: &Claim, control: &[ControlSeed]) -> bool {
    let d = claim.effect;
    let shows = |seed: &ControlSeed| {
        let gain = claim.prefer.gain(seed.value, seed.against);
        match (claim.control.against(), claim.kind) {
            (Against::ColdStart, _) | (Against::Baseline, Kind::Better) => gain >= d,
            (Against::Baseline, Kind::NoWorse) => gain > -d,
        }
    };
    !control.is_empty() && control.iter().all(shows)
}

/// The verdict of a claim.
pub fn verdict(claim: &Claim, paired: &Paired, control: &[ControlSeed]) -> Verdict {
    if is_exposed(claim, control) { Verdict::Invalid } else { of_gains(claim, paired) }
}

/// Verdicts after Holm's correction over all claims that were tested, each with its one-sided p value (`None` where it has
/// none): `reproduced` stays where the p value is still small enough, else it is inconclusive. Other verdicts stay.
pub fn corrected(tested: &[(Verdict, Option<f64>)]) -> Vec<Verdict> {
    let p: Vec<f64> = tested.iter().map(|(_, p)| p.unwrap_or(1.0)).collect();
    let keep = |(taken, (verdict, _)): (bool, &(Verdict, Option<f64>))| match verdict {
        Verdict::Reproduced if !taken => Verdict::Inconclusive,
        other => *other,
    };
    holm(&p, LEVEL).into_iter().zip(tested).map(keep).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(more: &str) -> Claim {
        toml::from_str(&format!("text = \"t\"\nmetric = \"greedy\"\neffect = 0.03\n{more}")).unwrap()
    }

    fn of(claim: &Claim, method: &[f64], baseline: &[f64]) -> Verdict {
        of_gains(claim, &Paired::new(&gains(claim, method, baseline)).unwrap())
    }

    const BASE: [f64; 5] = [0.50, 0.52, 0.48, 0.51, 0.49];

    fn shifted(by: [f64; 5]) -> [f64; 5] {
        std::array::from_fn(|i| BASE[i] + by[i])
    }

    #[test]
    fn better_by_worked_examples() {
        let claim = claim("");
        // Mean 0.05, interval 0.0304 .. 0.0696.
        assert_eq!(of(&claim, &shifted([0.03, 0.04, 0.05, 0.06, 0.07]), &BASE), Verdict::Reproduced);
        // Surely above 0, and too small to count: mean 0.01, high 0.013.
        assert_eq!(of(&claim, &shifted([0.008, 0.009, 0.010, 0.011, 0.012]), &BASE), Verdict::NotReproduced);
        // Large on average, and not surely above 0.
        assert_eq!(of(&claim, &shifted([0.30, -0.10, 0.20, -0.05, 0.15]), &BASE), Verdict::Inconclusive);
        // Surely above 0, less than d on average, and d not excluded.
        assert_eq!(of(&claim, &shifted([0.015, 0.02, 0.025, 0.03, 0.045]), &BASE), Verdict::Inconclusive);
        assert_eq!(of(&claim, &shifted([-0.05, -0.04, -0.06, -0.05, -0.05]), &BASE), Verdict::NotReproduced);
    }

    #[test]
    fn no_worse_by_worked_examples() {
        let claim = claim("kind = \"no_worse\"");
        assert_eq!(of(&claim, &shifted([0.0, 0.01, -0.01, 0.005, -0.005]), &BASE), Verdict::Reproduced);
        assert_eq!(of(&claim, &shifted([-0.05, -0.06, -0.05, -0.06, -0.05]), &BASE), Verdict::NotReproduced);
        assert_eq!(of(&claim, &shifted([-0.10, 0.05, -0.08, 0.04, 0.0]), &BASE), Verdict::Inconclusive);
    }

    #[test]
    fn lower_may_be_better() {
        let claim = claim("prefer = \"lower\"");
        assert_eq!(of(&claim, &shifted([-0.03, -0.04, -0.05, -0.06, -0.07]), &BASE), Verdict::Reproduced);
        assert_eq!(of(&claim, &shifted([0.03, 0.04, 0.05, 0.06, 0.07]), &BASE), Verdict::NotReproduced);
    }

    #[test]
    fn one_seed_decides_nothing() {
        assert_eq!(of(&claim(""), &[1.0], &[0.0]), Verdict::Inconclusive);
    }

    #[test]
    fn a_control_that_rises_on_both_seeds_makes_a_claim_invalid() {
        let (better, paired) = (claim(""), Paired::new(&[0.05; 5]).unwrap());
        let seed = |value| ControlSeed { value, against: 0.20 };
        assert_eq!(verdict(&better, &paired, &[seed(0.24), seed(0.25)]), Verdict::Invalid);
        assert_eq!(verdict(&better, &paired, &[seed(0.24), seed(0.21)]), Verdict::Reproduced);
        assert_eq!(verdict(&better, &paired, &[]), Verdict::Reproduced);
        let lower = claim("prefer = \"lower\"");
        assert!(is_exposed(&lower, &[seed(0.10), seed(0.16)]) && !is_exposed(&lower, &[seed(0.24), seed(0.25)]));
    }

    #[test]
    fn a_named_control_must_not_be_what_the_claim_says() {
        let named = "control = { named = \"a random mask\", set = { \"policy.train\" = \"all\" } }";
        let seed = |value| ControlSeed { value, against: 0.50 };
        let equal = claim(&format!("kind = \"no_worse\"\n{named}"));
        assert!(is_exposed(&equal, &[seed(0.49), seed(0.48)]), "a random mask does as well");
        assert!(!is_exposed(&equal, &[seed(0.49), seed(0.40)]));
        let better = claim(named);
        assert!(!is_exposed(&better, &[seed(0.52), seed(0.52)]) && is_exposed(&better, &[seed(0.54), seed(0.53)]));
    }

    #[test]
    fn corrected_verdicts_keep_what_was_not_claimed() {
        use Verdict::{Inconclusive, Invalid, NotReproduced, Reproduced};
        let tested = [
            (Reproduced, Some(0.001)),
            (Reproduced, Some(0.020)),
            (NotReproduced, Some(0.9)),
            (Invalid, Some(0.002)),
            (Inconclusive, None),
        ];
        assert_eq!(corrected(&tested), [Reproduced, Inconclusive, NotReproduced, Invalid, Inconclusive]);
        assert_eq!(corrected(&[(Reproduced, Some(0.020))]), [Reproduced]);
    }

    proptest! {
        #[test]
        fn nothing_is_reproduced_that_may_be_nothing(
            d in prop::collection::vec(-0.2..0.2f64, 2..13), effect in 0.001..0.1f64
        ) {
            let claim = Claim { effect, ..claim("") };
            let paired = Paired::new(&d).unwrap();
            let [low, high] = paired.interval().unwrap();
            match of_gains(&claim, &paired) {
                Verdict::Reproduced => prop_assert!(low > 0.0 && paired.mean >= effect),
                Verdict::NotReproduced => prop_assert!(high < effect),
                _ => prop_assert!(low <= 0.0 || paired.mean < effect),
            }
        }

        #[test]
        fn arms_that_change_places_are_never_both_better(
            m in prop::collection::vec(0.0..1.0f64, 5), b in prop::collection::vec(0.0..1.0f64, 5)
        ) {
            let claim = claim("");
            let there = Paired::new(&gains(&claim, &m, &b)).unwrap();
            let back = Paired::new(&gains(&claim, &b, &m)).unwrap();
            prop_assert!((there.mean + back.mean).abs() < 1e-12);
            let (a, z) = (of_gains(&claim, &there), of_gains(&claim, &back));
            prop_assert!(a != Verdict::Reproduced || z == Verdict::NotReproduced);
        }

        #[test]
        fn the_order_of_seeds_and_a_shift_of_both_arms_change_no_verdict(
            pairs in prop::collection::vec((0.0..1.0f64, 0.0..1.0f64), 2..9), shift in 0.0..0.25f64
        ) {
            let claim = claim("");
            let verdict = |pairs: &[(f64, f64)], shift: f64| {
                let (m, b): (Vec<f64>, Vec<f64>) = pairs.iter().map(|(m, b)| (m + shift, b + shift)).unzip();
                let paired = Paired::new(&gains(&claim, &m, &b)).unwrap();
                (of_gains(&claim, &paired), paired)
            };
            let (here, paired) = verdict(&pairs, 0.0);
            // Rounding may decide only where a number stands at its bound.
            let [low, high] = paired.interval().unwrap();
            prop_assume!(low.abs() > 1e-9 && (paired.mean - 0.03).abs() > 1e-9 && (high - 0.03).abs() > 1e-9);
            let turned: Vec<_> = pairs.iter().rev().copied().collect();
            prop_assert_eq!(verdict(&turned, shift).0, here);
        }
    }
}
