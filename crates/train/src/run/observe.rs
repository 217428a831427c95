//! What a run tells whoever watches it.

use crate::{evaluate::Evaluation, preflight::Preflight, timing::Seconds};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    StageStarted {
        stage: &'a str,
        from: u64,
        steps: u64,
    },
    /// A step is over. Metrics in the order in which they are to be shown.
    Step {
        stage: &'a str,
        step: u64,
        steps: u64,
        metrics: &'a [(&'a str, f64)],
        seconds: Seconds,
        tokens: u64,
    },
    StageEnded {
        stage: &'a str,
        step: u64,
        reason: &'a str,
    },
    Preflight(&'a Preflight),
    Evaluation {
        when: &'a str,
        split: &'a str,
        evaluation: &'a Evaluation,
    },
    Saved {
        step: u64,
    },
    Note(&'a str),
    /// Something that a user should look at.
    Warning(&'a str),
}

/// Watches a run. Called from the thread that runs it.
pub trait Observer {
    fn event(&mut self, event: Event<'_>);
}

/// Watches nothing.
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _: Event<'_>) {}
}
