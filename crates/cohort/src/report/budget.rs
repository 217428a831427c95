//! Where the time of a run went, as one stacked bar.

use cohort_train::Seconds;
use serde::Serialize;

use super::{
    data::Run,
    ticks::{duration, percent},
};

/// A phase with its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phase {
    pub name: &'static str,
    pub what: &'static str,
    pub seconds: f64,
}

/// A row of the budget, ready to be shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Slice {
    pub name: &'static str,
    pub what: &'static str,
    pub seconds: String,
    pub percent: String,
    /// Width in percent of the bar.
    pub width: f64,
    pub colour: usize,
}

/// The phases that took any time, in the order of a run. What the wall clock saw beside them is `other`.
///
/// A cold start is one phase; what its own steps and evaluations took is not counted again.
pub fn phases(run: &Run) -> Vec<Phase> {
    let recorded = run.summary.as_ref().map(|s| s.seconds).or_else(|| run.manifest.as_ref().map(|m| m.seconds));
    // A run that has not committed yet has written timings.
    let s =
        recorded.filter(|s| s.total > 0.0 && s.train + s.sample >= run.step_seconds.sample).unwrap_or(run.step_seconds);
    let train = if s.cold_start > 0.0 { (s.train - run.supervised_seconds.train).max(0.0) } else { s.train };
    // So are its evaluations, whose seconds nobody recorded apart: what it took beside its steps, at most.
    let beside_steps = Some(s.cold_start - run.supervised_seconds.total).filter(|_| run.supervised_seconds.total > 0.0);
    let claimed = s.cold_start + s.sample + s.reward + s.score + train + s.save + s.eval;
    let twice = (claimed - s.total).clamp(0.0, beside_steps.unwrap_or(0.0).max(0.0));
    let eval = (s.eval - twice).max(0.0);
    let named = [
        ("cold start", "the supervised stage before", s.cold_start),
        ("sample", "the policy writes completions", s.sample),
        ("reward", "verifiers judge them", s.reward),
        ("score", "rows of the reference", s.score),
        ("train", "forward, backward, update", train),
        ("save", "checkpoints", s.save),
        ("eval", "preflight and evaluations", eval),
    ];
    let other = other(&s, &named);
    named
        .into_iter()
        .chain([("other", "what no phase claims", other)])
        .filter(|(_, _, seconds)| *seconds > 0.0)
        .map(|(name, what, seconds)| Phase { name, what, seconds })
        .collect()
}

fn other(s: &Seconds, named: &[(&str, &str, f64)]) -> f64 {
    let claimed: f64 = named.iter().map(|(_, _, seconds)| seconds).sum();
    // Less than a thousandth is rounding.
    Some(s.total - claimed).filter(|rest| *rest > 1e-3 * s.total).unwrap_or(0.0)
}

/// The phases as slices of their sum.
pub fn slices(run: &Run) -> Vec<Slice> {
    let phases = phases(run);
    let sum: f64 = phases.iter().map(|p| p.seconds).sum();
    let order = ["cold start", "sample", "reward", "score", "train", "save", "eval", "other"];
    phases
        .into_iter()
        .map(|p| Slice {
            name: p.name,
            what: p.what,
            seconds: duration(p.seconds),
            percent: percent(p.seconds / sum),
            width: (1e4 * p.seconds / sum).round() / 100.0,
            colour: order.iter().position(|name| *name == p.name).unwrap_or_default(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cohort_train::run_dir::Manifest;

    fn run(seconds: Seconds, step_seconds: Seconds, supervised_seconds: Seconds) -> Run {
        let manifest = Some(Manifest { seconds, ..Manifest::default() });
        Run { manifest, step_seconds, supervised_seconds, ..Run::default() }
    }

    #[test]
    fn a_cold_start_is_counted_once_and_the_rest_is_other() {
        let seconds = Seconds { total: 100.0, cold_start: 30.0, sample: 20.0, train: 50.0, ..Seconds::default() };
        let supervised = Seconds { train: 25.0, ..Seconds::default() };
        let of = phases(&run(seconds, Seconds { sample: 20.0, ..Seconds::default() }, supervised));
        let seen: Vec<(&str, f64)> = of.iter().map(|p| (p.name, p.seconds)).collect();
        assert_eq!(seen, [("cold start", 30.0), ("sample", 20.0), ("train", 25.0), ("other", 25.0)]);
    }

    #[test]
    fn evaluations_of_a_cold_start_are_not_counted_again() {
        let seconds = Seconds { total: 49.0, cold_start: 30.0, train: 35.0, eval: 9.0, ..Seconds::default() };
        let supervised = Seconds { total: 25.0, train: 25.0, ..Seconds::default() };
        let of = phases(&run(seconds, Seconds::default(), supervised));
        assert_eq!(of.iter().map(|p| p.seconds).collect::<Vec<_>>(), [30.0, 10.0, 9.0], "nothing overlaps");
        let seconds = Seconds { total: 46.0, ..seconds };
        let of = phases(&run(seconds, Seconds::default(), supervised));
        assert_eq!(of.iter().map(|p| p.seconds).collect::<Vec<_>>(), [30.0, 10.0, 6.0]);
    }

    #[test]
    fn before_the_first_commit_the_steps_tell() {
        let steps = Seconds { total: 3.0, sample: 2.0, train: 1.0, ..Seconds::default() };
        let of = slices(&run(Seconds::default(), steps, Seconds::default()));
        assert_eq!(of.iter().map(|s| s.width).collect::<Vec<_>>(), [66.67, 33.33]);
    }
}
