//! A score measured by all scores before it.

use super::prelude::*;

parameters! {
    /// The z-score by the run's mean and standard deviation so far, clipped.
    RunningZ {
        of: String = "detector", TERM, "the score";
        start_mean: f64 = 0.5, ANY, "mean before anything was seen";
        start_std: f64 = 0.15, POSITIVE, "standard deviation before two scores were seen";
        floor: f64 = 1e-6, POSITIVE, "least standard deviation";
        clip: f64 = 3.0, POSITIVE, "greatest absolute value";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "running_z",
    summary: "a z-score by everything seen so far in the run",
    formula: "clip((of - m)/max(s, floor), -clip, clip), m and s (ddof 1) of all scores before this one (Welford, kept in \
              memory), start_mean before the first and start_std before the second; group by group, episode by episode: \
              the reward depends on that order",
    parameters: RunningZ::PARAMETERS,
    source: "StealthRL (February 2026), its code: Welford, start 0.5/0.15, clip 3",
    unverified: "whether a score counts in its own mean (here: no), how the start fades, and ddof",
    ..Entry::NONE
};

impl Term for RunningZ {
    fn of_group(&self, into: &str, group: &Group<'_>, memory: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let [count, mean, squares] = ["count", "mean", "squares"].map(|part| format!("reward.{into}.{part}"));
        let kept = |name: &str| memory.run(name).unwrap_or(0.0);
        let mut seen = Welford { count: kept(&count), mean: kept(&mean), squares: kept(&squares) };
        let scored = group.map(&self.of, |_, of| {
            let centre = if seen.count > 0.0 { seen.mean } else { self.start_mean };
            let spread = if seen.count > 1.0 { (seen.squares / (seen.count - 1.0)).sqrt() } else { self.start_std };
            seen.add(of);
            Ok(((of - centre) / spread.max(self.floor)).clamp(-self.clip, self.clip))
        })?;
        memory.set_run(&count, seen.count);
        memory.set_run(&mean, seen.mean);
        memory.set_run(&squares, seen.squares);
        Ok(scored)
    }
}

/// Mean and sum of squared deviations of a stream.
struct Welford {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Welford {
    fn add(&mut self, x: f64) {
        self.count += 1.0;
        let before = x - self.mean;
        self.mean += before / self.count;
        self.squares += before * (x - self.mean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_score_is_measured_by_those_before_it() {
        let group1 = group(&[("detector", [0.65, 0.35, 0.5, 9.0])], &[]);
        let mut memory = Memory::default();
        let s = (0.3f64 * 0.3 / 2.0).sqrt();
        close(&values(&RunningZ::default(), &group1, &mut memory), &[1.0, -2.0, 0.0, 3.0], 1e-12);
        assert!((s - 0.2121).abs() < 1e-4);
        let mean = (0.65 + 0.35 + 0.5 + 9.0) / 4.0;
        assert!((memory.run("reward.t.mean").unwrap() - mean).abs() < 1e-12, "it goes on where it stopped");
        let backwards = group(&[("detector", [0.5, 0.35, 0.65])], &[]);
        let got = values(&RunningZ::default(), &backwards, &mut Memory::default());
        assert!((got[2] - 1.0).abs() > 0.1, "another order is another reward: {got:?}");
    }
}
