//! One sample from stretches that were drawn apart, with what was put between them.

use cohort_core::{Action, Alternative, Author, Context, Sample, StopReason};

/// A sample as it is put together, under the context of its first stretch.
#[derive(Clone, Debug)]
pub(crate) struct Splice(Sample);

impl Splice {
    /// Begins with the first `count` actions of `sample`.
    pub(crate) fn of(sample: &Sample, count: usize) -> Self {
        let mut begun = sample.clone();
        begun.actions.truncate(count);
        begun.behaviour.logp.truncate(count);
        begun.behaviour.entropy.truncate(count);
        if let Some(column) = &mut begun.truncated_logp {
            column.truncate(count);
        }
        if let Some(column) = &mut begun.alternatives {
            column.truncate(count);
        }
        if let Some(column) = &mut begun.mixtures {
            column.truncate(count);
        }
        if count < sample.actions.len() {
            begun.stop = StopReason::Length;
        }
        Self(begun)
    }

    /// Puts ids in that nobody drew: their author is the environment, so they are not trained, and their row is 0.
    pub(crate) fn say(mut self, ids: &[u32]) -> Self {
        let sample = &mut self.0;
        let said = |&id: &u32| Action { author: Author::Environment, ..Action::given(id) };
        sample.actions.extend(ids.iter().map(said));
        let zeros = || std::iter::repeat_n(0.0, ids.len());
        sample.behaviour.logp.extend(zeros());
        if !sample.is_from_outside() {
            sample.behaviour.entropy.extend(zeros());
        }
        if let Some(column) = &mut sample.truncated_logp {
            column.extend(zeros());
        }
        if let Some(column) = &mut sample.mixtures {
            column.extend(ids.iter().map(|_| None));
        }
        self
    }

    /// One action more, with its row, what else stood there, and whether it ends the sample.
    pub(crate) fn push(
        mut self,
        action: Action,
        logp: f64,
        entropy: f64,
        alternatives: Option<Vec<Alternative>>,
        stop: StopReason,
    ) -> Self {
        let sample = &mut self.0;
        sample.actions.push(action);
        sample.behaviour.logp.push(logp);
        sample.behaviour.entropy.push(entropy);
        if let (Some(column), Some(more)) = (&mut sample.alternatives, alternatives) {
            column.push(more);
        }
        if let Some(column) = &mut sample.mixtures {
            column.push(None);
        }
        sample.stop = stop;
        self
    }

    /// Goes on with a stretch that was drawn under [`Splice::context`].
    pub(crate) fn then(mut self, next: Sample) -> Self {
        let sample = &mut self.0;
        sample.actions.extend(next.actions);
        sample.behaviour.logp.extend(next.behaviour.logp);
        sample.behaviour.entropy.extend(next.behaviour.entropy);
        if let (Some(column), Some(more)) = (&mut sample.truncated_logp, next.truncated_logp) {
            column.extend(more);
        }
        if let (Some(column), Some(more)) = (&mut sample.alternatives, next.alternatives) {
            column.extend(more);
        }
        if let (Some(column), Some(more)) = (&mut sample.mixtures, next.mixtures) {
            column.extend(more);
        }
        sample.stop = next.stop;
        self
    }

    /// What the next stretch is drawn under: context and actions so far.
    pub(crate) fn context(&self) -> Context {
        let mut context = self.0.sampled_under.clone();
        context.push_tokens(&self.0.tokens().collect::<Vec<_>>());
        context
    }

    /// Actions so far.
    pub(crate) fn len(&self) -> usize {
        self.0.actions.len()
    }

    pub(crate) fn sample(&self) -> &Sample {
        &self.0
    }

    pub(crate) fn done(self) -> Sample {
        self.0
    }
}
