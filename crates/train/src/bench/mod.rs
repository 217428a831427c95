//! Whole training steps on given prompts, timed by phase: what `cohort bench step` measures.
//!
//! A step is that of a run: groups are sampled and judged, rows and their derivatives computed, summed, and applied by AdamW. Only the
//! advantages are synthetic, +1 and -1 by turns and so never 0, since a dead group costs less than a living one.

mod peak;

use std::time::Instant;

use cohort_core::{
    Comparison, Context, Controls, Decoding, Gap, Group, Method, Policy, RowSpec, Sample, SingleTurn, Stream,
    advantage::Credit,
    schedule::{Decay, Schedule},
};
use cohort_env::{Item, Origin, Split, Task, from_fn, text_model::TrainedModels};
use cohort_kernels::Team;
use cohort_model::{Device, DevicePeak, DevicePolicy, Flops, ModelError, Prompts, TextPolicy};
use serde::Serialize;
use serde_json::Map;

use crate::{
    build::codec,
    error::Error,
    mask::Masks,
    memory::{self, Block, Load, Wish, available_bytes, peak_rss_bytes},
    optimizer::Optimizer,
    recipe::{
        OptimizerConfig,
        low::{ActivationsChoice, ParallelChoice, StopInText, TrainSection},
    },
    sampling::{Actors, Blocks, Clocks, Sampling},
    timing::{Seconds, timed},
    update::{Batch, DeadSamples, Division, Passed, blocks_of},
    worker::Workers,
    world::{Term, World},
};

/// How long completions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lengths {
    /// Until the policy ends them, or the cap.
    Natural,
    /// All as long as the cap: the ids that end or pad are never drawn.
    Fixed,
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct StepBench {
    /// Ids; steps take them in order, and begin again where they end.
    pub prompts: Vec<Vec<u32>>,
    /// Of one step.
    pub prompts_per_step: usize,
    pub group_size: usize,
    pub max_new_tokens: usize,
    pub lengths: Lengths,
    /// Steps that count; one before them does not.
    pub steps: u64,
    pub workers: Workers,
    /// Where the policy samples and is trained.
    pub device: Device,
}

/// Means over the steps; see the fields.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepReport {
    /// Of each step that counts.
    pub step_seconds: Vec<f64>,
    pub seconds: StepSeconds,
    pub tokens: StepTokens,
    /// Medians over the steps: completion tokens by the seconds of the phase.
    pub tokens_per_s: Phases,
    pub gflops: StepGflops,
    /// Of `gflops.sgemm_peak`.
    pub share: Phases,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    /// Largest difference between sampler and trainer in a log-probability, in nats.
    pub logp_gap_max: f64,
    pub workers: usize,
    /// Where the policy was.
    pub device: Device,
    /// Of a device beside the processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
}

/// What decoding moves, beside what a device moves at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bandwidth {
    /// GB/s of a copy in the device's memory, read and written, measured in the same run.
    pub copy_peak: f64,
    /// GB/s that sampling had to move at least: every weight once for each token of the longest completion of a batch, keys and values
    /// of each token's past once.
    pub sample: f64,
    /// The latter as a share of the former.
    pub share: f64,
}

/// Seconds of a step: means over the steps that count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct StepSeconds {
    pub sample: f64,
    pub reward: f64,
    /// Rows, derivatives, the sum and the update.
    pub train: f64,
}

/// Tokens of a step: means over the steps that count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct StepTokens {
    /// Of each prompt once.
    pub prompt: f64,
    pub completion: f64,
    /// Whose derivative is not 0.
    pub trained: f64,
}

/// A number of each phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Phases {
    pub sample: f64,
    pub train: f64,
}

/// Arithmetic that was done, by the seconds of the phase (medians over the steps), beside what the machine, or the device, gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct StepGflops {
    pub sample: f64,
    pub train: f64,
    pub sgemm_peak: f64,
}

/// One step, measured.
struct Step {
    total: f64,
    seconds: Seconds,
    tokens: StepTokens,
    /// GFLOP of each phase.
    work: Phases,
    /// GB that sampling moves at least.
    moved: f64,
    gap: f64,
}

/// What the steps of a bench share.
struct Bench<'a> {
    plan: &'a StepBench,
    world: World,
    method: Method,
    division: Division,
    flops: Flops,
    prompts: Prompts,
    /// Of all weights, and of the keys and values of a token.
    weights: u64,
    cached_token: u64,
}

impl StepBench {
    /// Measures steps of `policy`, whose weights are the worse for it.
    ///
    /// # Errors
    /// What the policy refuses: prompts without ids, or longer than it has positions; a step that is not finite. A device that cannot
    /// be had.
    pub fn run(&self, policy: TextPolicy) -> Result<StepReport, Error> {
        let footprint = policy.footprint().unwrap_or_default();
        let bench = Bench {
            plan: self,
            world: self.world(&policy),
            method: Method::default(),
            division: self.division(&policy),
            flops: policy.flops(),
            prompts: policy.prompts(),
            weights: footprint.weights,
            cached_token: footprint.cached_token,
        };
        let mut peak = None;
        let mut policy: Box<dyn Policy> = match self.device.is_host() {
            true => Box::new(policy),
            false => {
                let policy = DevicePolicy::open(policy, self.device).map_err(ModelError::from)?;
                peak = Some(policy.peak());
                Box::new(policy)
            }
        };
        let mut optimizer = Optimizer::new(OPTIMIZER, policy.parameters());
        let mut steps = Vec::new();
        for step in 0..=self.steps {
            let measured = bench.step(policy.as_mut(), &mut optimizer, step)?;
            if step > 0 {
                steps.push(measured);
            }
        }
        let sgemm_peak = peak.map_or_else(|| peak::sgemm_peak(self.workers), |peak: DevicePeak| peak.gflops);
        Ok(StepReport {
            device: self.device,
            bandwidth: peak.map(|peak| {
                let sample = median(&steps, |step| step.moved / step.seconds.sample);
                Bandwidth { copy_peak: peak.gigabytes, sample, share: sample / peak.gigabytes }
            }),
            ..report(&steps, sgemm_peak, self.workers)
        })
    }

    /// Prompts and a reward of no weight in time: whether a completion has an even number of tokens.
    fn world(&self, policy: &TextPolicy) -> World {
        let architecture = policy.architecture();
        let item = |(index, ids): (usize, &Vec<u32>)| Item {
            prompt: String::new(),
            context: Context::of_tokens(ids.clone()),
            columns: Map::new(),
            solution: None,
            origin: Origin::Generated { generator: "bench", index },
        };
        let ends = &architecture.end_ids;
        let controls = Controls::new(Decoding::Temperature(1.0), self.max_new_tokens);
        let even = from_fn("even", (0.0, 1.0), |view| view.tokens.len() % 2 == 0);
        World {
            task: Task { train: self.prompts.iter().enumerate().map(item).collect(), ..Task::default() },
            codec: codec(policy),
            turns: Box::new(SingleTurn),
            strategy: Box::new(Sampling::independent(self.group_size)),
            hints: None,
            terms: vec![Term::new("even", 1.0, even)],
            correct: 0,
            controls: match self.lengths {
                Lengths::Natural => Controls { stop: ends.clone(), ..controls },
                Lengths::Fixed => {
                    Controls { forbidden: ends.iter().copied().chain(architecture.pad_id).collect(), ..controls }
                }
            },
            stop_in_text: StopInText::Exclude,
            scores: None,
            trained: TrainedModels::default(),
        }
    }

    /// The one that a run of such prompts would plan.
    fn division(&self, policy: &TextPolicy) -> Division {
        let wish = Wish { parallel: ParallelChoice::Auto, activations: ActivationsChoice::Auto };
        let Some(footprint) = policy.footprint() else { return wish.division(self.workers) };
        let prompt = self.prompts.iter().map(Vec::len).max().unwrap_or(0) as u64;
        let (groups, new) = (groups_per_block().min(self.prompts_per_step), self.max_new_tokens as u64);
        let count = self.prompts_per_step.div_ceil(groups_per_block()) as u64;
        let block = Block { count, ..Block::of(groups, self.group_size, prompt, new, policy.prompts()) };
        let load = Load::of_block(block, (groups * self.group_size) as u64, prompt + new);
        memory::plan(&footprint, &load, self.workers, wish, available_bytes()).0
    }
}

/// As gentle as can be: what is measured is how long an update takes.
const OPTIMIZER: OptimizerConfig = OptimizerConfig {
    lr: 1e-6,
    schedule: Schedule { warmup_steps: 0, decay: Decay::Constant },
    betas: [0.9, 0.999],
    eps: 1e-8,
    weight_decay: 0.0,
    clip_norm: 1.0,
};

fn groups_per_block() -> usize {
    TrainSection::default().groups_per_block
}

impl Bench<'_> {
    fn step(&self, policy: &mut dyn Policy, optimizer: &mut Optimizer, step: u64) -> Result<Step, Error> {
        let started = Instant::now();
        let mut clocks = Clocks::default();
        let groups = self.sample(policy, step, &mut clocks)?;
        let mut seconds = clocks.seconds;
        let passed = timed(&mut seconds.train, || self.update(policy, optimizer, &groups, step))?;
        let total = started.elapsed().as_secs_f64();
        let behaviour = groups.iter().flat_map(Group::samples).flat_map(|sample| &sample.behaviour.logp);
        let trained = passed.rows.iter().flatten().flat_map(|rows| &rows.logp);
        let derivatives = passed.row_gradients.iter().flatten().flat_map(|gradients| &gradients.logp);
        Ok(Step {
            total,
            seconds,
            tokens: StepTokens {
                prompt: groups.iter().filter_map(|group| group.samples().next()).map(context).sum::<usize>() as f64,
                completion: groups.iter().flat_map(Group::samples).map(|s| s.actions.len()).sum::<usize>() as f64,
                trained: derivatives.filter(|d| **d != 0.0).count() as f64,
            },
            work: self.work(&groups),
            moved: self.moved(&groups),
            gap: Gap::of(behaviour.copied().zip(trained.copied())).max,
        })
    }

    fn sample(&self, policy: &dyn Policy, step: u64, clocks: &mut Clocks) -> Result<Vec<Group>, Error> {
        let plan = self.plan;
        let sampling = Sampling {
            decoding: Decoding::Temperature(1.0),
            max_actions: plan.max_new_tokens,
            stream: Stream::new(0, "bench"),
            step,
            policy_version: step,
            split: Split::Train,
            blocks: if plan.device.is_host() { Blocks::Workers } else { Blocks::Whole },
            ledger: None,
        };
        let first = step as usize * plan.prompts_per_step;
        let indices: Vec<usize> = (first..first + plan.prompts_per_step).map(|i| i % plan.prompts.len()).collect();
        let prompts = self.world.prompts(Split::Train, &indices);
        sampling.run(&self.world, self.world.strategy.as_ref(), Actors::own(policy), &prompts, plan.workers, clocks)
    }

    fn update(
        &self,
        policy: &mut dyn Policy,
        optimizer: &mut Optimizer,
        groups: &[Group],
        step: u64,
    ) -> Result<crate::update::Pass, Error> {
        let comparisons: Vec<Comparison> =
            groups.iter().map(|group| Comparison::of_group(group, &self.world.term_names())).collect();
        let credits: Vec<Vec<Credit>> = groups.iter().map(synthetic).collect();
        let batch = Batch {
            samples: groups.iter().map(|group| group.samples().collect()).collect(),
            comparisons: &comparisons,
            credits: &credits,
            blocks: blocks_of(groups.len(), groups_per_block()),
            spec: RowSpec::at(1.0),
            dead: DeadSamples::Skip,
            against: Vec::new(),
        };
        match batch.pass(policy, &self.method, None, self.division, step)? {
            Passed::NotFinite(what) => {
                let hint = "is the checkpoint trained, or from `random_checkpoint`?".to_owned();
                Err(Error::NoSignal { reason: format!("step {step}: {what}"), hint })
            }
            Passed::Finite(mut pass) => {
                let gradient = std::mem::take(&mut pass.gradient);
                let team = Team::new(self.plan.workers.threads());
                optimizer.apply(policy, &gradient, &Masks::default(), gradient.norm(), OPTIMIZER.lr, team);
                Ok(pass)
            }
        }
    }

    /// GB that decoding moves at least, with all samples in one batch.
    fn moved(&self, groups: &[Group]) -> f64 {
        let samples = || groups.iter().flat_map(Group::samples);
        let fed = |sample: &Sample| sample.actions.len().saturating_sub(1);
        let steps = samples().map(fed).max().unwrap_or(0) as u64;
        let seen: usize = samples().map(|sample| (1..=fed(sample)).map(|at| context(sample) + at).sum::<usize>()).sum();
        (steps * self.weights + seen as u64 * self.cached_token) as f64 * 1e-9
    }

    /// GFLOP that the phases did.
    fn work(&self, groups: &[Group]) -> Phases {
        let flops = &self.flops;
        let (mut sampled, mut trained) = (0.0, 0.0);
        for group in groups {
            let Some(prompt) = group.samples().next().map(context) else { continue };
            let runs = match self.prompts {
                Prompts::Shared => 1.0,
                Prompts::Repeated => self.plan.group_size as f64,
            };
            sampled += (flops.run(0, prompt) + flops.row) * runs;
            trained += flops.rows(group.samples(), self.prompts);
            for sample in group.samples() {
                // The last action of a sample is drawn and never run.
                let fed = sample.actions.len().saturating_sub(1);
                sampled += flops.run(prompt, fed) + flops.row * fed as f64;
            }
        }
        // Forward, and twice as much back.
        Phases { sample: sampled * 1e-9, train: 3.0 * trained * 1e-9 }
    }
}

fn context(sample: &Sample) -> usize {
    sample.sampled_under.token_count()
}

/// +1 and -1 by turns.
fn synthetic(group: &Group) -> Vec<Credit> {
    let sign = |member: usize| if member.is_multiple_of(2) { 1.0 } else { -1.0 };
    group.samples().enumerate().map(|(member, s)| Credit::uniform(sign(member), s.actions.len())).collect()
}

fn report(steps: &[Step], sgemm_peak: f64, workers: Workers) -> StepReport {
    let mean = |of: &dyn Fn(&Step) -> f64| steps.iter().map(of).sum::<f64>() / steps.len().max(1) as f64;
    let gflops = StepGflops {
        sample: median(steps, |step| step.work.sample / step.seconds.sample),
        train: median(steps, |step| step.work.train / step.seconds.train),
        sgemm_peak,
    };
    StepReport {
        step_seconds: steps.iter().map(|step| step.total).collect(),
        seconds: StepSeconds {
            sample: mean(&|step| step.seconds.sample),
            reward: mean(&|step| step.seconds.reward),
            train: mean(&|step| step.seconds.train),
        },
        tokens: StepTokens {
            prompt: mean(&|step| step.tokens.prompt),
            completion: mean(&|step| step.tokens.completion),
            trained: mean(&|step| step.tokens.trained),
        },
        tokens_per_s: Phases {
            sample: median(steps, |step| step.tokens.completion / step.seconds.sample),
            train: median(steps, |step| step.tokens.completion / step.seconds.train),
        },
        gflops,
        share: Phases { sample: gflops.sample / sgemm_peak, train: gflops.train / sgemm_peak },
        peak_rss_bytes: peak_rss_bytes(),
        logp_gap_max: steps.iter().map(|step| step.gap).fold(0.0, f64::max),
        workers: workers.count(),
        device: Device::CPU,
        bandwidth: None,
    }
}

/// The middle one, or the mean of both; 0 of none.
fn median(steps: &[Step], of: impl Fn(&Step) -> f64) -> f64 {
    let mut values: Vec<f64> = steps.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n.is_multiple_of(2) => (values[n / 2 - 1] + values[n / 2]) / 2.0,
        n => values[n / 2],
    }
}
