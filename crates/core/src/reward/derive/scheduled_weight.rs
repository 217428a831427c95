//! A weight that changes along the run.

use super::prelude::*;

parameters! {
    /// `w(step) * of`, from one weight to the other on a line.
    ScheduledWeight {
        of: String = "format", TERM, "the term";
        from: f64 = 2.0, ANY, "weight up to step `start`";
        to: f64 = 1.0, ANY, "weight from step `end`";
        start: f64 = 0.0, NOT_NEGATIVE, "step at which the line begins";
        end: f64 = 100.0, NOT_NEGATIVE, "step at which it ends";
    } where |p| p.start <= p.end => "start", "must not be above `end`";
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "scheduled_weight",
    summary: "a term whose weight moves from one value to another",
    formula: "w * of; w = from up to `start`, to from `end`, a line between; step = the run's `step` in memory. With start = \
              end it jumps there",
    parameters: ScheduledWeight::PARAMETERS,
    reads: &["run.step"],
    source: "Fission-GRPO (January 2026): weights of format and correctness over steps",
    unverified: "the line and its ends",
    ..Entry::NONE
};

impl Term for ScheduledWeight {
    fn of_group(&self, _: &str, group: &Group<'_>, memory: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let step = memory.run("step").ok_or_else(|| MethodError::missing(Default::default(), "run.step"))?;
        let weight = if step >= self.end {
            self.to
        } else if step <= self.start {
            self.from
        } else {
            self.from + (self.to - self.from) * (step - self.start) / (self.end - self.start)
        };
        group.map(&self.of, |_, of| Ok(weight * of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_between_two_weights() {
        let group = group(&[("format", [1.0])], &[]);
        let mut memory = Memory::default();
        for (step, weight) in [(0.0, 2.0), (25.0, 1.75), (100.0, 1.0), (500.0, 1.0)] {
            memory.set_run("step", step);
            close(&values(&ScheduledWeight::default(), &group, &mut memory), &[weight], 0.0);
        }
        let fault = ScheduledWeight::default().of_group("t", &Group::new(0, &group), &mut Memory::default());
        assert_eq!(fault.unwrap_err().field, "run.step");
    }
}
