//! Rows of given samples: without a tape, with one, and with exact divergences from distributions that were kept.

use cohort_core::{Against, Distributions, Execution, PolicyError, RowSpec, Rows, Sample};

use crate::{
    divergence::{Column, Kept, Measured, Read},
    dropout::Dropout,
    graph::GraphTape,
    pack::Pack,
    policy::TextPolicy,
    slices::{Buffers, HeadRows, Model},
};

/// Tokens that are scored together when no tape is kept.
const SCORED_TOGETHER: usize = 4096;

impl TextPolicy {
    /// Rows of `samples`, without a tape.
    pub(crate) fn score(
        &self,
        samples: &[&Sample],
        spec: RowSpec,
        against: &Against,
    ) -> Result<Vec<Rows>, PolicyError> {
        let temperature = check_temperature(spec)?;
        let from = self.read(against, samples)?;
        let mut buffers = Buffers::default();
        let (mut out, mut done) = (Vec::with_capacity(samples.len()), 0);
        for run in runs(samples) {
            let pack = Pack::of(run, self.limits(), self.prompts())?;
            let dropout = self.dropout(spec, &pack);
            let model = Model { dropout: dropout.as_ref(), ..self.model() };
            let measured = from.rows(&(done..done + pack.chosen.ids.len()));
            done += pack.chosen.ids.len();
            let rows = model.score(&mut buffers, &pack, temperature, &measured);
            let first = out.len();
            deal(&pack.counts, first, rows, &measured, &mut out)?;
        }
        Ok(out)
    }

    /// The same rows, and the tape to go back.
    pub(crate) fn score_with_tape(
        &self,
        samples: &[&Sample],
        spec: RowSpec,
        execution: Execution,
        against: &Against,
    ) -> Result<(Vec<Rows>, GraphTape<'_>), PolicyError> {
        let temperature = check_temperature(spec)?;
        let pack = Pack::of(samples, self.limits(), self.prompts())?;
        let measured = self.read(against, samples)?.rows(&(0..pack.chosen.ids.len()));
        let dropout = self.dropout(spec, &pack);
        let tape =
            GraphTape::forward(self.model(), &pack, temperature, dropout, measured.clone(), self.sink(), execution);
        let packed = tape.rows();
        let columns = 2 + measured.0.len();
        let column = |index: usize| packed.iter().skip(index).step_by(columns).copied().collect();
        let rows = HeadRows {
            logp: column(0),
            entropy: column(1),
            log_sum_exp: Vec::new(),
            divergences: (2..columns).map(column).collect(),
        };
        let mut out = Vec::with_capacity(samples.len());
        deal(&pack.counts, 0, rows, &measured, &mut out)?;
        Ok((out, tape))
    }

    /// The distributions of `samples`, `width + 1` numbers an action.
    pub(crate) fn keep_distributions(&self, samples: &[&Sample], spec: RowSpec) -> Result<Distributions, PolicyError> {
        let temperature = check_temperature(spec)?;
        check_exact(samples)?;
        let head = self.parameters.head;
        let mut kept = Kept {
            hidden: Vec::new(),
            log_sum_exp: Vec::new(),
            width: self.architecture().layer.width,
            inverse_temperature: 1.0 / temperature,
            weight: self.weights.view_of(head),
        };
        let mut buffers = Buffers::default();
        for run in runs(samples) {
            let pack = Pack::of(run, self.limits(), self.prompts())?;
            let dropout = self.dropout(spec, &pack);
            let model = Model { dropout: dropout.as_ref(), ..self.model() };
            model.keep(&mut buffers, &pack, temperature, &mut kept);
        }
        Ok(Distributions::new(kept))
    }

    fn read(&self, against: &Against, samples: &[&Sample]) -> Result<Read, PolicyError> {
        if !against.is_nothing() {
            check_exact(samples)?;
        }
        let rows = samples.iter().map(|sample| sample.actions.len()).sum();
        Read::of(against, rows, self.architecture().vocabulary)
    }

    /// The share of adapters' inputs that a pass with noise leaves out; `None` where there is none.
    pub(crate) fn dropout_share(&self) -> Option<f64> {
        self.adapter.as_ref().map(|adapter| adapter.lora.dropout).filter(|&share| share > 0.0)
    }

    fn dropout(&self, spec: RowSpec, pack: &Pack) -> Option<Dropout> {
        Some(Dropout::new(spec.noise?, self.dropout_share()?, pack))
    }
}

pub(crate) fn check_temperature(spec: RowSpec) -> Result<f32, PolicyError> {
    let t = spec.temperature;
    if t.is_finite() && t > 0.0 {
        return Ok(t);
    }
    Err(PolicyError::Unsupported { what: format!("row temperature of {t}; it must be above 0") })
}

/// A soft token's distribution is over noise, and what is kept of samples are distributions over ids.
fn check_exact(samples: &[&Sample]) -> Result<(), PolicyError> {
    if samples.iter().all(|sample| sample.mixtures.is_none()) {
        return Ok(());
    }
    let what = "exact divergence of a soft token (rollout.thinking): take one that is estimated from log-probabilities";
    Err(PolicyError::Unsupported { what: what.to_owned() })
}

/// Cuts samples into runs of about [`SCORED_TOGETHER`] tokens, at least one sample each.
pub(crate) fn runs<'s>(samples: &'s [&'s Sample]) -> Vec<&'s [&'s Sample]> {
    let mut runs = Vec::new();
    let (mut from, mut tokens) = (0, 0);
    for (at, sample) in samples.iter().enumerate() {
        // A context that the run has already is counted again only where a run begins.
        let is_shared = at > from && samples[at - 1].scored_context() == sample.scored_context();
        let context = if is_shared { 0 } else { sample.scored_context().token_count() };
        let size = context + sample.actions.len();
        if at > from && tokens + size > SCORED_TOGETHER {
            runs.push(&samples[from..at]);
            (from, tokens) = (at, 0);
        }
        tokens += size;
    }
    if from < samples.len() {
        runs.push(&samples[from..]);
    }
    runs
}

/// Deals out packed columns to samples, the first of which is sample `first` of the call.
pub(crate) fn deal(
    counts: &[usize],
    first: usize,
    packed: HeadRows,
    measured: &Measured,
    out: &mut Vec<Rows>,
) -> Result<(), PolicyError> {
    let mut from = 0;
    for (index, &count) in counts.iter().enumerate() {
        let part = from..from + count;
        from += count;
        let of = |column: &[f32]| column[part.clone()].iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
        let mut rows = Rows { logp: of(&packed.logp), entropy: of(&packed.entropy), kl_old: None, kl_ref: None };
        for ((column, _), values) in measured.0.iter().zip(&packed.divergences) {
            match column {
                Column::Old => rows.kl_old = Some(of(values)),
                Column::Reference => rows.kl_ref = Some(of(values)),
            }
        }
        if let Some((action, column)) = rows.first_not_finite() {
            return Err(PolicyError::NotFinite { sample: first + index, action, column });
        }
        out.push(rows);
    }
    Ok(())
}
