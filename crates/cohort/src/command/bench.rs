//! `cohort bench`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use cohort_core::{Precision, Sampler, Stream};
use cohort_model::{Device, Opening, Prompts, Selection, TextPolicy};
use cohort_train::{
    Workers,
    bench::{Lengths, StepBench, StepReport},
    build::open_policy,
};
use serde::Deserialize;

use super::{places, print_json, print_line};
use crate::{
    exit::Failure,
    rows::{self, Row},
};

pub const EXAMPLES: &str = "Examples:\n  cohort bench step --model DIR --json\n  cohort bench step --model DIR --input prompts.jsonl --natural --steps 10";

#[derive(Subcommand)]
pub enum Bench {
    /// Whole training steps: seconds and tokens by phase, GFLOP/s and their share of the machine's, memory
    Step(Step),
}

impl Bench {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Bench::Step(step) => step.run(),
        }
    }
}

/// Measure whole training steps of a model: sample, reward, rows, backward, AdamW.
///
/// Advantages are synthetic and never 0, so that every completion token is trained. The model's files are read and never written.
/// One step more is run first, and not counted.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Step {
    /// A model directory, data:NAME below COHORT_DATA, or hf:org/name[@revision]
    #[arg(long, value_name = "DIR")]
    model: String,
    /// Prompts a step
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = positive())]
    prompts: u32,
    /// Completions a prompt
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = positive())]
    group: u32,
    /// The most tokens of a completion
    #[arg(long, value_name = "N", default_value_t = 48, value_parser = positive())]
    max_new_tokens: u32,
    /// Completions as long as the cap: ids that end or pad are never drawn (the default)
    #[arg(long, conflicts_with = "natural")]
    fixed_length: bool,
    /// Completions that end where the model ends them
    #[arg(long)]
    natural: bool,
    /// Ids of a random prompt; 6 unless told
    #[arg(long, value_name = "N", conflicts_with = "input", value_parser = positive())]
    prompt_len: Option<u32>,
    /// Rows with a `prompt` or `prompt_ids`, taken in order; random ids unless given
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Run a group's prompt once for each of its completions
    #[arg(long)]
    no_share_prompt: bool,
    /// What products are computed in, by sampler and trainer alike; a bf16 figure says little without the learning curve in bf16
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    dtype: Dtype,
    /// Threads; one a core unless told
    #[arg(long, value_name = "N", value_parser = positive())]
    workers: Option<u32>,
    /// Where the policy samples and is trained: `cohort doctor` lists what there is
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    device: Device,
    /// Steps that count
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = positive())]
    steps: u32,
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Dtype {
    F32,
    Bf16,
}

impl From<Dtype> for Precision {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Precision::F32,
            Dtype::Bf16 => Precision::Bf16,
        }
    }
}

fn positive() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..)
}

#[derive(Deserialize)]
struct Prompt {
    prompt: Option<String>,
    prompt_ids: Option<Vec<u32>>,
}

impl Step {
    fn run(self) -> Result<(), Failure> {
        let opening = Opening { selection: Some(Selection::All), ..Opening::default() };
        let prompts = if self.no_share_prompt { Prompts::Repeated } else { Prompts::Shared };
        let policy = open_policy("--model", &self.model, opening, &places())?;
        let policy = policy.with_prompts(prompts).with_precision(self.dtype.into());
        let prompts = match &self.input {
            Some(path) => given(path, &policy)?,
            None => self.random(&policy),
        };
        let room = policy.position_limit().unwrap_or(usize::MAX).saturating_sub(self.max_new_tokens as usize);
        if let Some(at) = prompts.iter().position(|ids| ids.is_empty() || ids.len() > room) {
            return Err(Failure::data(format!(
                "prompt {}: has {} ids, and must have from 1 to {room}, so that --max-new-tokens {} fit into the model's positions\n  \
                 hint: give shorter prompts or fewer new tokens",
                at + 1,
                prompts[at].len(),
                self.max_new_tokens
            )));
        }
        let bench = StepBench {
            prompts,
            prompts_per_step: self.prompts as usize,
            group_size: self.group as usize,
            max_new_tokens: self.max_new_tokens as usize,
            lengths: if self.natural { Lengths::Natural } else { Lengths::Fixed },
            steps: u64::from(self.steps),
            workers: Workers::new(self.workers.map(|n| n as usize).or((!self.device.is_host()).then_some(1))),
            device: self.device,
        };
        let report = bench.run(policy)?;
        match self.json {
            true => print_json(&report),
            false => print_line(&words(&report)),
        }
    }

    /// Prompts of a few steps, all different: of ids that neither end nor pad.
    fn random(&self, policy: &TextPolicy) -> Vec<Vec<u32>> {
        let architecture = policy.architecture();
        let special: Vec<u32> = architecture.end_ids.iter().copied().chain(architecture.pad_id).collect();
        let ids: Vec<u32> = (0..architecture.vocabulary as u32).filter(|id| !special.contains(id)).collect();
        let length = self.prompt_len.unwrap_or(6) as usize;
        let stream = Stream::new(0, "bench/prompts");
        let prompt = |index| {
            let dice = stream.dice(0, index, 0);
            (0..length).map(|at| ids[dice.below(at, ids.len() as u64) as usize]).collect()
        };
        (0..4 * self.prompts).map(prompt).collect()
    }
}

/// The prompts of a file, in its order.
fn given(path: &std::path::Path, policy: &TextPolicy) -> Result<Vec<Vec<u32>>, Failure> {
    let mut prompts = Vec::new();
    for row in rows::read(Some(path))? {
        let Row { place, row: Prompt { prompt, prompt_ids }, .. } = row?;
        let failed = |reason: &str| Failure::data(format!("{place}: {reason}"));
        prompts.push(match (prompt_ids, prompt) {
            (Some(ids), _) => ids,
            (None, Some(text)) => {
                let none = "the model has no tokenizer.json\n  hint: give prompt_ids";
                let tokenizer = policy.tokenizer().ok_or_else(|| failed(none))?;
                tokenizer.encode(&text).map_err(|e| failed(&e.to_string()))?
            }
            (None, None) => return Err(failed("expected `prompt` or `prompt_ids`")),
        });
    }
    match prompts.is_empty() {
        true => Err(Failure::data(format!("{}: no rows", path.display()))),
        false => Ok(prompts),
    }
}

/// For people.
fn words(report: &StepReport) -> String {
    let mut seconds = report.step_seconds.clone();
    seconds.sort_by(f64::total_cmp);
    let (n, s, t) = (seconds.len(), &report.seconds, &report.tokens);
    let mut lines = vec![
        format!(
            "step       {:.3} s (median of {n}; {:.3} to {:.3}), {} workers",
            seconds[n / 2],
            seconds[0],
            seconds[n - 1],
            report.workers
        ),
        format!("phases     sample {:.3} s, reward {:.3} s, train {:.3} s", s.sample, s.reward, s.train),
        format!("tokens     {:.0} of prompts, {:.0} of completions, {:.0} trained", t.prompt, t.completion, t.trained),
        format!("tokens/s   sample {:.0}, train {:.0}", report.tokens_per_s.sample, report.tokens_per_s.train),
        format!(
            "GFLOP/s    sample {:.0} ({:.0} %), train {:.0} ({:.0} %) of {:.0}",
            report.gflops.sample,
            100.0 * report.share.sample,
            report.gflops.train,
            100.0 * report.share.train,
            report.gflops.sgemm_peak
        ),
    ];
    if let Some(moved) = &report.bandwidth {
        lines.push(format!(
            "GB/s       sample {:.0} ({:.0} %) of {:.0}, on {}",
            moved.sample,
            100.0 * moved.share,
            moved.copy_peak,
            report.device
        ));
    }
    if let Some(bytes) = report.peak_rss_bytes {
        lines.push(format!("memory     {:.0} MB at the peak", bytes as f64 * 1e-6));
    }
    lines.push(format!("logp gap   {:.1e} nats at most between sampler and trainer", report.logp_gap_max));
    lines.join("\n")
}
