//! Reinforcement from groups: sample, compare, reinforce.

use cohort_core::{
    AboveRedLine, Against, Author, Comparison, Cost, Gap, Group, Method, Noise, Policy, Precision, RedLine, RowSpec,
    Rows, Sample, Stream,
    metric::{Metric, Metrics},
    objective::{Estimator, RatioContext},
    schedule::Budget,
};
use cohort_env::Split;

use super::{Next, RL, Report, Stage, draw::draw, pool::Pool, record};
use crate::{
    ema::HeldOut,
    error::Error,
    ledger::Ledger,
    observe::Event,
    recipe::Recipe,
    run_dir::{LogName, Tokens},
    sampling::Clocks,
    session::{Best, Session},
    timing::timed,
    update::{Batch, Pass, Passed, blocks_of},
    world::World,
};

/// What divergences are measured from.
pub enum Reference {
    /// The recipe measures none.
    None,
    /// The policy that the stage started from.
    Frozen(Box<dyn Policy>),
    /// The session's averaged weights, as they are before the step.
    Average,
}

/// The rl stage of a recipe.
pub struct RlStage<'a> {
    recipe: &'a Recipe,
    /// The recipe's, with the weights of the world's terms.
    method: Method,
    reference: Reference,
    /// What prompts are drawn from.
    pool: Pool,
    /// Verdicts of steps that were begun before a crash, so that no clock is asked twice.
    ledger: Ledger,
    /// Seconds of the stage before this process.
    seconds_before: f64,
    /// Whether a gap above the red line was told.
    has_warned: bool,
}

impl<'a> RlStage<'a> {
    /// # Errors
    /// No row of the train split is what the recipe draws from.
    pub fn new(
        recipe: &'a Recipe,
        world: &World,
        reference: Reference,
        ledger: Ledger,
        seconds_before: f64,
    ) -> Result<Self, Error> {
        let (method, pool) = (world.method(&recipe.method), Pool::of(recipe, world)?);
        Ok(Self { recipe, method, reference, pool, ledger, seconds_before, has_warned: false })
    }

    /// Of a step's training passes.
    fn spec(&self, session: &Session<'_>, step: u64) -> RowSpec {
        let noise = || Noise { stream: Stream::new(self.recipe.seed, "rl/dropout"), step: step as u32 };
        RowSpec { noise: session.policy.is_noisy().then(noise), ..self.noiseless() }
    }

    /// The same without noise: of the reference, and of what sampled.
    fn noiseless(&self) -> RowSpec {
        RowSpec::at(self.recipe.row_temperature)
    }

    /// The reference's log-probabilities of every sample, group by group: in the loss beside the trainer's rows, in the
    /// reward beside the sampler's.
    fn reference_logp(&self, session: &Session<'_>, groups: &[Group], step: u64) -> Result<Vec<Vec<Vec<f64>>>, Error> {
        let Some(reference) = self.reference(session).filter(|_| self.recipe.scores_reference()) else {
            return Ok(Vec::new());
        };
        let spec = match self.method.reward_kl {
            Some(_) => RowSpec::at(self.recipe.rollout.decoding.row_temperature()),
            None => self.noiseless(),
        };
        let rows = session.workers.map("scoring", groups.len(), |g| {
            let samples: Vec<&Sample> = groups[g].samples().collect();
            reference.rows(&samples, spec).map_err(|source| Error::Policy { step, source })
        })?;
        Ok(rows.into_iter().map(|group| group.into_iter().map(|rows| rows.logp).collect()).collect())
    }

    fn reference<'s>(&'s self, session: &'s Session<'_>) -> Option<&'s dyn Policy> {
        match (&self.reference, &session.ema) {
            (Reference::Frozen(policy), _) => Some(policy.as_ref()),
            (Reference::Average, Some(ema)) => Some(ema.policy()),
            (Reference::None, _) | (Reference::Average, None) => None,
        }
    }

    /// What the exact divergences of a step are measured from, where its objective reads any: for every pass over the batch
    /// the weights as they are before the first.
    fn against(&self, session: &Session<'_>, batch: &Batch<'_>, step: u64) -> Result<Vec<Against>, Error> {
        let objective = &self.method.objective;
        let (reads_old, reads_ref) = (objective.reads_kl_old(), objective.reads_kl_ref());
        if !reads_old && !reads_ref {
            return Ok(Vec::new());
        }
        let (policy, reference) = (session.policy.as_ref(), self.reference(session).filter(|_| reads_ref));
        session.workers.map("scoring", batch.blocks.len(), |block| {
            let samples: Vec<&Sample> = batch.samples[batch.blocks[block].clone()].iter().flatten().copied().collect();
            let keep = |policy: &dyn Policy, samples: &[&Sample], spec| {
                policy.distributions(samples, spec).map_err(|source| Error::Policy { step, source })
            };
            let old = match (reads_old, objective.context) {
                (false, _) => None,
                (true, RatioContext::Scored) => Some(keep(policy, &samples, batch.spec)?),
                (true, RatioContext::Sampled) => {
                    let drawn: Vec<Sample> = samples.iter().map(|sample| as_drawn(sample)).collect();
                    let drawn: Vec<&Sample> = drawn.iter().collect();
                    Some(keep(policy, &drawn, self.noiseless())?)
                }
            };
            let reference = reference.map(|reference| keep(reference, &samples, self.noiseless())).transpose()?;
            Ok(Against { old, reference })
        })
    }

    /// What the stage may spend.
    fn budget(&self, session: &Session<'_>) -> Budget {
        let train = &self.recipe.train;
        match train.max_tokens {
            Some(total) => Budget::Tokens { spent: session.state.sampled_tokens, total },
            None => Budget::Steps { total: train.steps },
        }
    }

    /// What methods see of the groups.
    fn comparisons(&self, world: &World, groups: &[Group], ref_logp: Vec<Vec<f64>>) -> Vec<Comparison> {
        let mut comparisons = record::comparisons(&self.recipe.reward, world, groups);
        let trajectories = comparisons.iter_mut().flat_map(|c| &mut c.trajectories);
        trajectories.zip(ref_logp).for_each(|(trajectory, logp)| trajectory.ref_logp = Some(logp));
        comparisons
    }

    /// All updates on one batch. The first pass is returned; `None` where it was not finite.
    fn reinforce(
        &mut self,
        session: &mut Session<'_>,
        groups: &[Group],
        batch: &Batch<'_>,
        step: u64,
        metrics: &mut Metrics,
    ) -> Result<Option<Pass>, Error> {
        let mut first: Option<Pass> = None;
        if batch.samples.is_empty() {
            // Every group was discarded: there is nothing to update by.
            return Ok(None);
        }
        let sampled = self.sampled_rows(session, batch, step)?;
        for epoch in 0..self.recipe.train.inner_epochs {
            let old = sampled.as_deref().or(first.as_ref().map(|pass| pass.rows.as_slice()));
            let passed = batch.pass(session.policy.as_ref(), &self.method, old, session.division, step)?;
            if let (0, Passed::Finite(pass)) = (epoch, &passed) {
                self.hold_gap(session, batch, &pass.rows, step, metrics)?;
            }
            let rate = session.optimizer.learning_rate(step, self.budget(session));
            let world = session.world;
            let dump = || record::batch(world, step, groups, Split::Train);
            let Some(pass) = session.update(passed, rate, step, metrics, dump)? else { break };
            first.get_or_insert(pass);
        }
        Ok(first)
    }

    /// Old rows under the contexts that the samples were drawn in, where the objective's ratio is against these and they
    /// are others than those that are trained.
    fn sampled_rows(
        &self,
        session: &Session<'_>,
        batch: &Batch<'_>,
        step: u64,
    ) -> Result<Option<Vec<Vec<Rows>>>, Error> {
        let moved = batch.samples.iter().flatten().any(|sample| sample.scored_under.is_some());
        if self.method.objective.context == RatioContext::Scored || !moved {
            return Ok(None);
        }
        let rows = session.workers.map("scoring", batch.samples.len(), |g| {
            let drawn: Vec<Sample> = batch.samples[g].iter().map(|sample| as_drawn(sample)).collect();
            let drawn: Vec<&Sample> = drawn.iter().collect();
            session.policy.rows(&drawn, self.noiseless()).map_err(|source| Error::Policy { step, source })
        })?;
        Ok(Some(rows))
    }

    /// Measures how far sampler and trainer are apart. Above the red line the run ends, unless its objective corrects for it.
    fn hold_gap(
        &mut self,
        session: &mut Session<'_>,
        batch: &Batch<'_>,
        rows: &[Vec<Rows>],
        step: u64,
        metrics: &mut Metrics,
    ) -> Result<(), Error> {
        let sampled = RowSpec::at(self.recipe.rollout.decoding.row_temperature());
        // Rows of another temperature, or with noise, are not the sampler's: those of the first group are computed for the comparison.
        let at_sampling = match (batch.samples.first(), sampled == batch.spec) {
            (Some(group), false) => {
                let rows = session.policy.rows(group, sampled).map_err(|source| Error::Policy { step, source })?;
                Some([rows])
            }
            _ => None,
        };
        let rows = at_sampling.as_ref().map_or(rows, |rows| rows.as_slice());
        let pairs = batch
            .samples
            .iter()
            .zip(rows)
            .flat_map(|(samples, rows)| samples.iter().zip(rows))
            .filter(|(sample, _)| sample.scored_under.is_none())
            .flat_map(|(sample, rows)| sample.behaviour.logp.iter().zip(&rows.logp).zip(&sample.actions))
            .filter(|(_, action)| action.author == Author::Policy)
            .map(|((&sampled, &trained), _)| (sampled, trained));
        let gap = Gap::of(pairs);
        metrics.add("logp_gap", Metric::Max(gap.max));
        session.state.logp_gap_max = session.state.logp_gap_max.max(gap.max);
        let precision = match session.outside {
            None => session.policy.precision(),
            Some(_) => {
                // A server computes in a precision of its own, and may be some updates behind.
                for sample in batch.samples.iter().flatten() {
                    let lag = session.optimizer.updates.saturating_sub(sample.policy_version);
                    metrics.add("policy_lag", Metric::mean_of(lag as f64));
                }
                Precision::Bf16
            }
        };
        let parameters = session.policy.parameters().iter().map(|p| p.element_count()).sum();
        let red_line = RedLine::of(precision, parameters);
        if let RedLine::Mean(_) = red_line {
            metrics.add("logp_gap/mean", Metric::mean_of(gap.mean));
        }
        if !red_line.is_crossed_by(gap) {
            return Ok(());
        }
        match (AboveRedLine::of(&self.method.objective), red_line) {
            (AboveRedLine::Stop, RedLine::Max(red_line)) => Err(Error::Mismatch { step, gap: gap.max, red_line }),
            (AboveRedLine::Stop, RedLine::Mean(red_line)) => {
                Err(Error::OutsideMismatch { step, gap: gap.mean, red_line })
            }
            (AboveRedLine::Correct, _) => {
                metrics.add("logp_gap/corrected", Metric::Sum(1.0));
                if !self.has_warned {
                    self.has_warned = true;
                    let (line, gap) = red_line.compare(gap);
                    let warning = format!(
                        "step {step}: sampler and trainer differ by {gap:.3e} nats in a log-probability, above the red line of {line:.0e}; objective.mismatch weighs every action for it"
                    );
                    session.observer.event(Event::Warning(&warning));
                }
                Ok(())
            }
        }
    }
}

impl Stage for RlStage<'_> {
    fn name(&self) -> &'static str {
        RL
    }

    fn log(&self) -> LogName {
        LogName::Metrics
    }

    fn steps(&self) -> u64 {
        self.recipe.train.steps
    }

    fn save_every(&self) -> u64 {
        self.recipe.train.save_every
    }

    fn step(&mut self, session: &mut Session<'_>, step: u64) -> Result<Report, Error> {
        let mut clocks = Clocks::default();
        let mut metrics = Metrics::default();
        let world = session.world;
        session.state.memory.set_run("step", step as f64);
        let mut curriculum = session.state.curriculum.clone();
        let mut drawn = draw(self.recipe, &self.ledger, &self.pool, session, &mut curriculum, step, &mut clocks)?;
        let Clocks { mut seconds, account } = clocks;
        let ref_logp = timed(&mut seconds.score, || self.reference_logp(session, &drawn.groups, step))?;
        let divergences = divergences(&drawn.groups, &ref_logp);
        let trained_divergences: Vec<Option<f64>> = drawn.trained().iter().map(|&slot| divergences[slot]).collect();
        drawn.admit(&self.recipe.curriculum.admit_kl(&trained_divergences, &curriculum));
        let observe = |(slot, rewards): (usize, &[Option<f64>])| {
            (self.pool.prompt(drawn.groups[slot].key), rewards.to_vec(), divergences[slot])
        };
        let observed: Vec<_> = drawn.first().map(observe).collect();
        self.recipe.curriculum.observe(step, &observed, &mut curriculum);
        session.state.curriculum = curriculum;
        drawn.measure(&mut metrics);
        if self.method.reward_kl.is_some() {
            trained_divergences.iter().flatten().for_each(|&kl| metrics.add("kl", Metric::mean_of(kl)));
        }
        let slots = drawn.trained();
        let mut groups: Vec<Group> = slots.iter().map(|&slot| drawn.groups[slot].clone()).collect();
        let ref_logp = match ref_logp.is_empty() {
            true => Vec::new(),
            false => slots.iter().flat_map(|&slot| ref_logp[slot].iter().cloned()).collect(),
        };
        let mut comparisons = self.comparisons(world, &groups, ref_logp);
        let credits = self.method.credit(&mut comparisons, &mut session.state.memory);
        let credits = credits.map_err(|source| Error::Method { step, source })?;
        record::outcomes(&comparisons, &mut groups);
        let mut batch = Batch {
            samples: groups.iter().map(|group| group.samples().collect()).collect(),
            comparisons: &comparisons,
            credits: &credits,
            blocks: blocks_of(groups.len(), self.recipe.train.groups_per_block),
            spec: self.spec(session, step),
            dead: self.recipe.train.dead_samples,
            against: Vec::new(),
        };
        batch.against = timed(&mut seconds.score, || self.against(session, &batch, step))?;
        let pass = timed(&mut seconds.train, || self.reinforce(session, &groups, &batch, step, &mut metrics))?;
        record::measure(session.world, &groups, &mut metrics);
        let lines = record::Lines { step, drawn: &drawn, credits: &credits, pass: pass.as_ref(), split: Split::Train };
        let rollouts = lines.write(session.world);
        let cost = drawn.groups.iter().fold(Cost::default(), |mut sum, group| {
            sum += group.cost();
            sum
        });
        session.state.sampled_tokens += cost.sampled_actions;
        session.policy.clear_payloads();
        Ok(Report {
            metrics,
            rollouts,
            rows: Vec::new(),
            seconds,
            examples: drawn.groups.len() as u64,
            tokens: Tokens { prompt: cost.context_tokens, completion: cost.sampled_actions },
            account,
        })
    }

    fn spent(&self, session: &Session<'_>) -> Option<String> {
        let sampled = session.state.sampled_tokens;
        if self.recipe.train.max_tokens.is_some_and(|most| sampled >= most) {
            return Some(format!("{sampled} tokens were sampled"));
        }
        let looks = session.state.looks_without_gain;
        if let (Some(patience), Some(best)) = (self.recipe.eval.patience, session.state.best)
            && looks >= patience
        {
            let metric = self.recipe.eval.metric.name();
            let Best { step, value } = best;
            return Some(format!(
                "{metric} on dev was best at step {step} ({value:.4}), and no better in {looks} looks since"
            ));
        }
        let seconds = self.seconds_before + session.started.elapsed().as_secs_f64();
        let over = self.recipe.train.max_seconds.is_some_and(|most| seconds >= most);
        over.then(|| format!("{seconds:.0} seconds are over"))
    }

    fn after(&mut self, session: &mut Session<'_>, step: u64) -> Result<Next, Error> {
        let (recipe, eval) = (self.recipe, &self.recipe.eval);
        let has_dev = !session.world.task.items(Split::Dev).is_empty();
        if eval.every == 0 || !has_dev || !step.is_multiple_of(eval.every) {
            return Ok(Next::Go);
        }
        let look = |s: &Session<'_>, policy: &dyn Policy| eval.metric.measure(recipe, s.world, policy, s.workers, step);
        let (evaluation, value) = session.timed_eval(|s| look(s, s.policy.as_ref()))?;
        session.note_evaluation(RL, "dev", step, &evaluation, LogName::Metrics)?;
        let is_asked = recipe.train.ema.as_ref().is_some_and(|ema| ema.evaluate.contains(&HeldOut::Dev));
        let averaged = session.timed_eval(|s| s.ema.as_ref().filter(|_| is_asked).map(|ema| look(s, ema.policy())));
        if let Some((evaluation, _)) = averaged.transpose()? {
            session.note_evaluation(RL, "ema/dev", step, &evaluation, LogName::Metrics)?;
        }
        let gains =
            |value: &f64| session.state.best.is_none_or(|best| eval.metric.gain(*value, best.value) > eval.min_delta);
        match value.filter(gains) {
            Some(value) => {
                session.state.best = Some(Best { step, value });
                session.state.looks_without_gain = 0;
                Ok(Next::Save)
            }
            None => {
                session.state.looks_without_gain += 1;
                Ok(Next::Go)
            }
        }
    }
}

/// The sample under the context that it was drawn in.
fn as_drawn(sample: &Sample) -> Sample {
    Sample { scored_under: None, ..sample.clone() }
}

/// The mean divergence (k3) of every group from the reference, where it was measured.
fn divergences(groups: &[Group], ref_logp: &[Vec<Vec<f64>>]) -> Vec<Option<f64>> {
    let of = |(group, reference): (&Group, &Vec<Vec<f64>>)| {
        let (mut total, mut actions) = (0.0, 0.0);
        for (sample, reference) in group.samples().zip(reference) {
            let drawn = sample.actions.iter().zip(&sample.behaviour.logp).zip(reference);
            for ((_, logp), reference) in drawn.filter(|((action, _), _)| action.author == Author::Policy) {
                total += Estimator::K3.of(*logp, *reference, *logp).map_or(0.0, |(value, _)| value);
                actions += 1.0;
            }
        }
        (actions > 0.0).then(|| total / actions)
    };
    match ref_logp {
        [] => vec![None; groups.len()],
        ref_logp => groups.iter().zip(ref_logp).map(of).collect(),
    }
}
