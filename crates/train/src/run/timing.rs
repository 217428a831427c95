//! Where the seconds of a run went.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Wall seconds by phase. Phases may overlap and then sum to more than `total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seconds {
    pub total: f64,
    pub cold_start: f64,
    pub sample: f64,
    /// What verdicts took after the last sample was drawn; those before it cost no time of their own.
    pub reward: f64,
    pub score: f64,
    pub train: f64,
    pub save: f64,
    pub eval: f64,
}

impl std::ops::AddAssign for Seconds {
    fn add_assign(&mut self, other: Self) {
        self.total += other.total;
        self.cold_start += other.cold_start;
        self.sample += other.sample;
        self.reward += other.reward;
        self.score += other.score;
        self.train += other.train;
        self.save += other.save;
        self.eval += other.eval;
    }
}

/// Runs `work` and adds its wall time to `phase`.
pub fn timed<R>(phase: &mut f64, work: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = work();
    *phase += seconds(start.elapsed());
    result
}

pub fn seconds(duration: Duration) -> f64 {
    // Microseconds are enough, and print short.
    (duration.as_secs_f64() * 1e6).round() / 1e6
}
