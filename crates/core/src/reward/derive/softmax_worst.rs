//! A chain is judged by its worst windows.

use super::prelude::*;

parameters! {
    /// The mean of the windows' scores, weighted towards the worst.
    SoftmaxWorst {
        windows: String = "windows", FACT, "list: the score of every window, 1 at best";
        temperature: f64 = 0.1, POSITIVE, "tau: small for the worst alone, large for the mean";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "softmax_worst",
    summary: "windows pooled so that the worst counts most",
    formula: "sum_i w_i s_i, w = softmax((1 - s_i)/tau); an empty list is refused",
    parameters: SoftmaxWorst::PARAMETERS,
    reads: &["facts.<windows>"],
    source: "MIND-V: arXiv 2512.06628, physical foresight coherence",
    unverified: "tau",
    ..Entry::NONE
};

impl Term for SoftmaxWorst {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        group.each(|e| {
            let windows = group.list(e, &self.windows)?;
            let worst = windows.iter().copied().fold(f64::INFINITY, f64::min);
            let (mut above, mut below) = (0.0, 0.0);
            for s in windows {
                // Measured from the worst, so that no exponential overflows.
                let weight = ((worst - s) / self.temperature).exp();
                above += weight * (s - worst);
                below += weight;
            }
            Ok(worst + above / below)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;

    #[test]
    fn between_the_worst_and_the_mean() {
        let mut group = group(&[], &[("x", [0.0])]);
        group.trajectories[0].facts.insert("windows", Fact::List(vec![0.9, 0.5, 1.0]));
        let at = |temperature| {
            let term = SoftmaxWorst { temperature, ..SoftmaxWorst::default() };
            values(&term, &group, &mut Memory::default())[0]
        };
        assert!((at(1e-3) - 0.5).abs() < 1e-12);
        assert!((at(1e6) - 0.8).abs() < 1e-6);
        assert!(0.5 < at(0.1) && at(0.1) < 0.8);
    }
}
