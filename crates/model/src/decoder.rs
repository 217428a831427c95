//! Sampling: prefill through the packed kernels, then batched steps over cached keys and values.
//!
//! A row of the batch depends on its own request alone (the kernels' law), so neither the size of the
//! batch, nor who else is in it, nor when a request enters changes a bit of a sample. Requests enter in
//! their order, as places become free, which is a function of the requests and not of time.

use std::{collections::HashMap, rc::Rc};

use cohort_core::{Action, Controls, Decoding, PolicyError, Request, Rows, Sample, StopReason};
use cohort_kernels::{KvCache, attend, categorical, greedy, logits_row};

use crate::{
    pack::{Limits, Pack, context_ids},
    slices::{Buffers, Model},
};

/// Rows decoded together.
const BATCH: usize = 64;
/// Tokens prefilled together.
const PREFILL: usize = 4096;

/// A context that was run once: the caches of its layers and the logits at its end.
struct Prefilled {
    caches: Vec<KvCache>,
    logits: Vec<f32>,
}

/// The requests that share one context.
struct Shared<'a> {
    context: &'a [u32],
    /// Requests that have not entered yet.
    waiting: usize,
    prefilled: Option<Rc<Prefilled>>,
}

/// A request that is being decoded.
struct Active<'a> {
    index: usize,
    request: &'a Request,
    caches: Vec<KvCache>,
    /// The last token, not yet run.
    token: u32,
    position: u32,
    sample: Sample,
}

impl Active<'_> {
    /// Draws the next action from logits; says whether the sample goes on.
    fn draw(&mut self, logits: &[f32]) -> Result<bool, PolicyError> {
        let controls: &Controls = &self.request.controls;
        let drawn = self.sample.actions.len();
        let inverse = 1.0 / controls.decoding.row_temperature();
        let id = match controls.decoding {
            Decoding::Greedy => greedy(logits, &controls.forbidden),
            Decoding::Temperature(_) => {
                categorical(logits, inverse, &controls.forbidden, self.request.dice.uniform(drawn))
            }
        };
        let (logp, entropy) = logits_row(logits, id, inverse);
        for (column, value) in [("logp", logp), ("entropy", entropy)] {
            if !value.is_finite() {
                return Err(PolicyError::NotFinite { sample: self.index, action: drawn, column });
            }
        }
        self.sample.actions.push(Action::sampled(id));
        self.sample.behaviour.logp.push(f64::from(logp));
        self.sample.behaviour.entropy.push(f64::from(entropy));
        self.token = id;
        if controls.stop.contains(&id) {
            self.sample.stop = StopReason::End(id);
            return Ok(false);
        }
        Ok(self.sample.actions.len() < controls.max_actions)
    }
}

/// One sample a request, in their order.
pub(crate) fn sample(model: &Model, limits: Limits, requests: &[Request]) -> Result<Vec<Sample>, PolicyError> {
    let mut groups: Vec<Shared> = Vec::new();
    let mut by_context: HashMap<&[u32], usize> = HashMap::new();
    let mut group_of = Vec::with_capacity(requests.len());
    for request in requests {
        let context = context_ids(&request.context)?;
        check_controls(&request.controls, limits)?;
        limits.check_context(context, request.controls.max_actions)?;
        let group = *by_context.entry(context).or_insert_with(|| {
            groups.push(Shared { context, waiting: 0, prefilled: None });
            groups.len() - 1
        });
        groups[group].waiting += 1;
        group_of.push(group);
    }
    Decoder {
        model,
        requests,
        groups,
        group_of,
        buffers: Buffers::default(),
        logits: Vec::new(),
        scratch: Vec::new(),
        done: requests.iter().map(|_| None).collect(),
    }
    .run()
}

fn check_controls(controls: &Controls, limits: Limits) -> Result<(), PolicyError> {
    let unsupported = |what: String| Err(PolicyError::Unsupported { what });
    if let Decoding::Temperature(t) = controls.decoding
        && !(t.is_finite() && t > 0.0)
    {
        return unsupported(format!("sampling temperature of {t}; it must be above 0 (greedy decoding is a mode)"));
    }
    if controls.forbidden.len() >= limits.vocabulary {
        let mut distinct: Vec<u32> = controls.forbidden.clone();
        distinct.retain(|&id| (id as usize) < limits.vocabulary);
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() >= limits.vocabulary {
            return unsupported("request that forbids every id".to_owned());
        }
    }
    Ok(())
}

struct Decoder<'a> {
    model: &'a Model<'a>,
    requests: &'a [Request],
    groups: Vec<Shared<'a>>,
    group_of: Vec<usize>,
    buffers: Buffers,
    logits: Vec<f32>,
    scratch: Vec<f32>,
    done: Vec<Option<Sample>>,
}

impl<'a> Decoder<'a> {
    fn run(mut self) -> Result<Vec<Sample>, PolicyError> {
        let mut active: Vec<Active<'a>> = Vec::with_capacity(BATCH);
        let mut next = 0;
        while next < self.requests.len() || !active.is_empty() {
            let free = BATCH - active.len();
            // Prefill a few requests at a time, not one for each that leaves.
            if next < self.requests.len() && (free >= BATCH / 4 || active.is_empty()) {
                let until = (next + free).min(self.requests.len());
                self.prefill(next..until);
                for index in next..until {
                    self.enter(index, &mut active)?;
                }
                next = until;
            }
            if !active.is_empty() {
                self.step(&mut active)?;
            }
        }
        Ok(self.done.into_iter().flatten().collect())
    }

    /// Runs the contexts of these requests that were not run before.
    fn prefill(&mut self, entering: std::ops::Range<usize>) {
        let mut wanted: Vec<usize> = self.group_of[entering].to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        wanted.retain(|&group| self.groups[group].prefilled.is_none());
        while !wanted.is_empty() {
            let mut tokens = 0;
            let fits = wanted.iter().take_while(|&&group| {
                tokens += self.groups[group].context.len();
                tokens <= PREFILL
            });
            let count = fits.count().max(1);
            let now: Vec<usize> = wanted.drain(..count).collect();
            self.prefill_together(&now);
        }
    }

    fn prefill_together(&mut self, now: &[usize]) {
        let contexts: Vec<&[u32]> = now.iter().map(|&group| self.groups[group].context).collect();
        let pack = Pack::of_contexts(&contexts);
        let attention = self.model.architecture.layer.attention;
        let width = attention.kv_heads * attention.head_dim;
        let mut caches: Vec<Vec<KvCache>> = vec![Vec::new(); now.len()];
        self.model.run_pack(&mut self.buffers, &pack, |projected| {
            for (caches, pair) in caches.iter_mut().zip(pack.starts.windows(2)) {
                let range = pair[0] * width..pair[1] * width;
                let mut cache = KvCache::new(self.model.attention_shape(projected.layer), pair[1] - pair[0]);
                cache.extend(&projected.keys[range.clone()], &projected.values[range]);
                caches.push(cache);
            }
        });
        let vocabulary = self.model.architecture.vocabulary;
        let logits = self.model.logits(&mut self.buffers, &pack.scored, &mut self.logits);
        for ((&group, caches), logits) in now.iter().zip(caches).zip(logits.chunks_exact(vocabulary)) {
            self.groups[group].prefilled = Some(Rc::new(Prefilled { caches, logits: logits.to_vec() }));
        }
    }

    /// Takes a request into the batch with its first action drawn, or ends it there.
    fn enter(&mut self, index: usize, active: &mut Vec<Active<'a>>) -> Result<(), PolicyError> {
        let request = &self.requests[index];
        let group = &mut self.groups[self.group_of[index]];
        group.waiting -= 1;
        // The last one to come takes the context's run with it.
        let prefilled = if group.waiting == 0 { group.prefilled.take() } else { group.prefilled.clone() };
        let context = group.context.len();
        let mut entering = Active {
            index,
            request,
            caches: Vec::new(),
            token: 0,
            position: context as u32,
            sample: Sample {
                sampled_under: request.context.clone(),
                scored_under: None,
                actions: Vec::new(),
                behaviour: Rows::default(),
                policy_version: request.controls.policy_version,
                stop: StopReason::Length,
            },
        };
        if let Some(prefilled) = prefilled
            && request.controls.max_actions > 0
            && entering.draw(&prefilled.logits)?
        {
            // The last action is drawn and never run.
            let capacity = context + request.controls.max_actions - 1;
            entering.caches = prefilled.caches.iter().map(|cache| cache.extended(capacity)).collect();
            active.push(entering);
        } else {
            self.done[index] = Some(entering.sample);
        }
        Ok(())
    }

    /// Runs the last token of every row and draws the next.
    fn step(&mut self, active: &mut Vec<Active<'a>>) -> Result<(), PolicyError> {
        let attention = self.model.architecture.layer.attention;
        let (q_width, kv_width) = (attention.query_heads * attention.head_dim, attention.kv_heads * attention.head_dim);
        let tokens: Vec<u32> = active.iter().map(|row| row.token).collect();
        let positions: Vec<u32> = active.iter().map(|row| row.position).collect();
        let scratch = &mut self.scratch;
        self.model.run(&mut self.buffers, &tokens, &positions, |projected, out| {
            let keys = projected.keys.chunks_exact(kv_width);
            let values = projected.values.chunks_exact(kv_width);
            let queries = projected.queries.chunks_exact(q_width);
            let outs = out.chunks_exact_mut(q_width);
            for ((((row, key), value), query), out) in active.iter_mut().zip(keys).zip(values).zip(queries).zip(outs) {
                let cache = &mut row.caches[projected.layer];
                cache.push(key, value);
                attend(query, cache, cache.shape(), scratch, out);
            }
        });
        let every: Vec<u32> = (0..active.len() as u32).collect();
        let vocabulary = self.model.architecture.vocabulary;
        let logits = self.model.logits(&mut self.buffers, &every, &mut self.logits);
        let mut going = Vec::with_capacity(active.len());
        for (row, logits) in active.iter_mut().zip(logits.chunks_exact(vocabulary)) {
            row.position += 1;
            going.push(row.draw(logits)?);
        }
        for (mut row, going) in std::mem::take(active).into_iter().zip(going) {
            if going {
                active.push(row);
            } else {
                row.caches.clear();
                self.done[row.index] = Some(row.sample);
            }
        }
        Ok(())
    }
}
