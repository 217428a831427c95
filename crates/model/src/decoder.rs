//! Sampling: contexts first, then batched steps over what they left.
//!
//! An [`Engine`] runs the model; who enters when, what is drawn and when a sample ends is decided here for every engine. Requests
//! enter in their order, as places become free, which is a function of the requests and not of time.

use std::{borrow::Cow, collections::HashMap, ops::Range, rc::Rc, sync::Arc};

use cohort_core::{
    Action, Alternative, Controls, Decoding, Mixture, PolicyError, Request, Rows, Sample, Soft, StopReason,
};
use cohort_kernels::{Truncation, categorical, greedy, logits_relative, logits_row, logits_statistics};

use crate::{
    given::Given,
    pack::{Limits, Prompts, context_ids},
    slices::Model,
    stop_text::StopText,
    tokenizer::TextTokenizer,
};

/// Tokens prefilled together.
const PREFILL: usize = 4096;

/// The forward passes that sampling is made of.
pub(crate) trait Engine {
    /// Rows decoded together.
    const BATCH: usize;

    /// A context that was run once.
    type Prefilled;
    /// A row of the batch: what its tokens so far left for those to come.
    type Row;

    /// Runs contexts.
    fn prefill(&mut self, contexts: &[&[u32]]) -> Vec<Self::Prefilled>;

    /// The logits at the end of a context.
    fn logits(prefilled: &Self::Prefilled) -> &[f32];

    /// A row that goes on from a context, with room for `capacity` tokens in all.
    fn begin(&mut self, prefilled: &Self::Prefilled, capacity: usize) -> Self::Row;

    /// Runs one token more of each row, at its position: the logits after it, `[rows, vocabulary]`. Some tokens are fed as what
    /// is given for them.
    fn step(&mut self, rows: Vec<&mut Self::Row>, tokens: &[u32], given: &Given, positions: &[u32]) -> &[f32];
}

/// The requests that share one context.
struct Shared<'a, P> {
    context: &'a [u32],
    /// Requests that have not entered yet.
    waiting: usize,
    prefilled: Option<Rc<P>>,
}

/// A request that is being decoded.
struct Active<'a> {
    index: usize,
    request: &'a Request,
    /// Where the request has stop strings.
    watch: Option<(&'a TextTokenizer, StopText)>,
    /// The actions so far; the last was not run yet.
    ids: Vec<u32>,
    position: u32,
    /// How soft tokens are drawn, until one ends the thought.
    thinking: Option<&'a Soft>,
    sample: Sample,
}

/// An action with its row.
struct Draw {
    id: u32,
    logp: f32,
    /// Under what was left to draw from.
    drawn_logp: f64,
    entropy: f32,
    /// Where it is a soft token.
    mixture: Option<Arc<Mixture>>,
}

impl Active<'_> {
    /// A token.
    fn token(&self, logits: &[f32], banned: &[u32]) -> Draw {
        let controls = &self.request.controls;
        let inverse = 1.0 / controls.decoding.row_temperature();
        let (id, drawn_logp) = match controls.decoding {
            Decoding::Greedy => (greedy(logits, banned), 0.0),
            Decoding::Temperature(_) => {
                let uniform = self.request.dice.uniform(self.ids.len());
                let drawn = categorical(logits, inverse, truncation(controls), banned, uniform);
                (drawn.id, drawn.logp)
            }
        };
        let (logp, entropy) = logits_row(logits, id, inverse);
        // A share of the distribution has no less of each of its actions; only rounding could say otherwise.
        Draw { id, logp, drawn_logp: drawn_logp.max(f64::from(logp)), entropy, mixture: None }
    }

    /// A soft token; `model` has the embeddings that it mixes.
    fn soft(&self, soft: &Soft, logits: &[f32], banned: &[u32], model: &Model) -> Draw {
        let controls = &self.request.controls;
        let inverse = 1.0 / controls.decoding.row_temperature();
        let ids = largest(logits, soft.top_k, banned);
        let relative = logits_relative(logits, &ids, inverse);
        let noise = match controls.decoding {
            Decoding::Greedy => None,
            Decoding::Temperature(_) => Some((self.request.dice, self.ids.len())),
        };
        let mixture = soft.draw(&ids, &relative, noise);
        let logp = mixture.log_density(&relative[..mixture.ids().len()]).0 as f32;
        let mixture = match mixture.id() == soft.until {
            true => mixture,
            false => {
                let embedding = model.mixed(mixture.ids(), mixture.weights());
                mixture.fed_as(embedding)
            }
        };
        let entropy = logits_statistics(logits, inverse).entropy;
        Draw { id: mixture.id(), logp, drawn_logp: f64::from(logp), entropy, mixture: Some(Arc::new(mixture)) }
    }

    /// The soft token that was drawn last.
    fn mixture(&self) -> Option<&Arc<Mixture>> {
        self.sample.mixture(self.ids.len() - 1)
    }

    /// Draws the next action from logits; says whether the sample goes on.
    fn draw(&mut self, logits: &[f32], model: &Model) -> Result<bool, PolicyError> {
        let controls: &Controls = &self.request.controls;
        let drawn = self.ids.len();
        let banned = banned(controls, &self.ids);
        if leaves_nothing(&banned, logits.len()) {
            return Err(PolicyError::NothingLeft { sample: self.index, action: drawn });
        }
        let draw = match self.thinking {
            None => self.token(logits, &banned),
            Some(soft) => self.soft(soft, logits, &banned, model),
        };
        let Draw { id, logp, drawn_logp, entropy, mixture } = draw;
        if self.thinking.is_some_and(|soft| soft.until == id) {
            self.thinking = None;
        }
        for (column, value) in [("logp", logp), ("entropy", entropy)] {
            if !value.is_finite() {
                return Err(PolicyError::NotFinite { sample: self.index, action: drawn, column });
            }
        }
        self.ids.push(id);
        if let Some(column) = &mut self.sample.alternatives {
            column.push(most_probable(logits, controls.alternatives));
        }
        self.sample.actions.push(Action::sampled(id));
        self.sample.behaviour.logp.push(f64::from(logp));
        self.sample.behaviour.entropy.push(f64::from(entropy));
        if let Some(column) = &mut self.sample.truncated_logp {
            column.push(drawn_logp);
        }
        if let Some(column) = &mut self.sample.mixtures {
            column.push(mixture);
        }
        if controls.stop.contains(&id) {
            self.sample.stop = StopReason::End(id);
            return Ok(false);
        }
        if let Some((tokenizer, text)) = &mut self.watch
            && let Some(stop) = text.push(tokenizer, &controls.stop_texts, &self.ids)
        {
            self.sample.stop = StopReason::Text(stop);
            return Ok(false);
        }
        Ok(self.ids.len() < controls.max_actions)
    }
}

/// The ids that must not be drawn after `actions`.
fn banned<'a>(controls: &'a Controls, actions: &[u32]) -> Cow<'a, [u32]> {
    let mut more = controls.banned_after(actions).peekable();
    match more.peek() {
        None => Cow::Borrowed(&controls.forbidden),
        Some(_) => controls.forbidden.iter().copied().chain(more).collect(),
    }
}

/// The most probable actions with their log-probabilities.
fn most_probable(logits: &[f32], count: usize) -> Vec<Alternative> {
    largest(logits, count, &[]).into_iter().map(|id| Alternative { id, logp: logits_row(logits, id, 1.0).0 }).collect()
}

/// The `count` ids of the largest logits that are not banned, the largest first and of equal ones the lower id.
fn largest(logits: &[f32], count: usize, banned: &[u32]) -> Vec<u32> {
    let mut largest: Vec<u32> = Vec::with_capacity(count.min(logits.len()) + 1);
    for id in (0..logits.len() as u32).filter(|id| !banned.contains(id)) {
        let at = largest.partition_point(|&other| logits[other as usize] >= logits[id as usize]);
        if at < count {
            largest.insert(at, id);
            largest.truncate(count);
        }
    }
    largest
}

fn leaves_nothing(banned: &[u32], vocabulary: usize) -> bool {
    if banned.len() < vocabulary {
        return false;
    }
    let mut distinct: Vec<u32> = banned.iter().copied().filter(|&id| (id as usize) < vocabulary).collect();
    distinct.sort_unstable();
    distinct.dedup();
    distinct.len() >= vocabulary
}

fn truncation(controls: &Controls) -> Truncation {
    let cohort_core::Truncation { top_k, top_p, min_p } = controls.truncation;
    Truncation { top_k, top_p, min_p }
}

/// One sample a request, in their order.
pub(crate) fn sample<E: Engine>(
    engine: E,
    model: Model<'_>,
    limits: Limits,
    prompts: Prompts,
    tokenizer: Option<&TextTokenizer>,
    requests: &[Request],
) -> Result<Vec<Sample>, PolicyError> {
    let mut groups: Vec<Shared<E::Prefilled>> = Vec::new();
    let mut by_context: HashMap<&[u32], usize> = HashMap::new();
    let mut group_of = Vec::with_capacity(requests.len());
    for request in requests {
        let context = context_ids(&request.context)?;
        check_controls(&request.controls, limits, tokenizer)?;
        limits.check_context(context, request.controls.max_actions)?;
        let mut begin = || {
            groups.push(Shared { context, waiting: 0, prefilled: None });
            groups.len() - 1
        };
        let group = match prompts {
            Prompts::Shared => *by_context.entry(context).or_insert_with(begin),
            Prompts::Repeated => begin(),
        };
        groups[group].waiting += 1;
        group_of.push(group);
    }
    Decoder {
        engine,
        model,
        vocabulary: limits.vocabulary,
        tokenizer,
        requests,
        groups,
        group_of,
        done: requests.iter().map(|_| None).collect(),
    }
    .run()
}

fn check_controls(controls: &Controls, limits: Limits, tokenizer: Option<&TextTokenizer>) -> Result<(), PolicyError> {
    let unsupported = |what: String| Err(PolicyError::Unsupported { what });
    if let Err(what) = controls.check() {
        return unsupported(what);
    }
    if !controls.stop_texts.is_empty() && tokenizer.is_none() {
        return unsupported("stop string: the model has no tokenizer.json, so there is no text".to_owned());
    }
    if let Some(Soft { until, .. }) = &controls.soft {
        limits.check_ids(&[*until])?;
    }
    if leaves_nothing(&controls.forbidden, limits.vocabulary) {
        return unsupported("request that forbids every id".to_owned());
    }
    Ok(())
}

struct Decoder<'a, E: Engine> {
    engine: E,
    model: Model<'a>,
    vocabulary: usize,
    tokenizer: Option<&'a TextTokenizer>,
    requests: &'a [Request],
    groups: Vec<Shared<'a, E::Prefilled>>,
    group_of: Vec<usize>,
    done: Vec<Option<Sample>>,
}

/// A row of the batch: the request, and what the engine has of it.
type Pair<'a, E> = (Active<'a>, <E as Engine>::Row);

impl<'a, E: Engine> Decoder<'a, E> {
    fn run(mut self) -> Result<Vec<Sample>, PolicyError> {
        let mut active: Vec<Pair<'a, E>> = Vec::with_capacity(E::BATCH);
        let mut next = 0;
        while next < self.requests.len() || !active.is_empty() {
            let free = E::BATCH - active.len();
            // Prefill a few requests at a time, not one for each that leaves.
            if next < self.requests.len() && (free >= E::BATCH / 4 || active.is_empty()) {
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
    fn prefill(&mut self, entering: Range<usize>) {
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
        for (&group, prefilled) in now.iter().zip(self.engine.prefill(&contexts)) {
            self.groups[group].prefilled = Some(Rc::new(prefilled));
        }
    }

    /// Takes a request into the batch with its first action drawn, or ends it there.
    fn enter(&mut self, index: usize, active: &mut Vec<Pair<'a, E>>) -> Result<(), PolicyError> {
        let request = &self.requests[index];
        let controls = &request.controls;
        let is_drawn = matches!(controls.decoding, Decoding::Temperature(_));
        let group = &mut self.groups[self.group_of[index]];
        group.waiting -= 1;
        // The last one to come takes the context's run with it.
        let prefilled = if group.waiting == 0 { group.prefilled.take() } else { group.prefilled.clone() };
        let context = group.context.len();
        let mut entering = Active {
            index,
            request,
            watch: self.tokenizer.filter(|_| !controls.stop_texts.is_empty()).map(|it| (it, StopText::default())),
            ids: Vec::new(),
            position: context as u32,
            thinking: controls.soft.as_ref(),
            sample: Sample {
                sampled_under: request.context.clone(),
                scored_under: None,
                actions: Vec::new(),
                behaviour: Rows::default(),
                truncated_logp: (is_drawn && !controls.truncation.is_off()).then(Vec::new),
                alternatives: (controls.alternatives > 0).then(Vec::new),
                mixtures: controls.soft.is_some().then(Vec::new),
                policy_version: controls.policy_version,
                stop: StopReason::Length,
            },
        };
        if let Some(prefilled) = prefilled
            && controls.max_actions > 0
            && entering.draw(E::logits(&prefilled), &self.model)?
        {
            // The last action is drawn and never run.
            let row = self.engine.begin(&prefilled, context + controls.max_actions - 1);
            active.push((entering, row));
        } else {
            self.done[index] = Some(entering.sample);
        }
        Ok(())
    }

    /// Runs the last token of every row and draws the next.
    fn step(&mut self, active: &mut Vec<Pair<'a, E>>) -> Result<(), PolicyError> {
        let tokens: Vec<u32> = active.iter().map(|(row, _)| row.ids[row.ids.len() - 1]).collect();
        let positions: Vec<u32> = active.iter().map(|(row, _)| row.position).collect();
        let given = (0..).zip(active.iter()).filter_map(|(at, (row, _))| Some((at, Arc::clone(row.mixture()?))));
        let given = Given::new(given);
        let logits = self.engine.step(active.iter_mut().map(|(_, row)| row).collect(), &tokens, &given, &positions);
        let mut going = Vec::with_capacity(active.len());
        for ((row, _), logits) in active.iter_mut().zip(logits.chunks_exact(self.vocabulary)) {
            row.position += 1;
            going.push(row.draw(logits, &self.model)?);
        }
        for ((row, held), going) in std::mem::take(active).into_iter().zip(going) {
            if going {
                active.push((row, held));
            } else {
                self.done[row.index] = Some(row.sample);
            }
        }
        Ok(())
    }
}
