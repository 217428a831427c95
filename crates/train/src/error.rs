//! Everything that can end a run, by kind.

use std::path::PathBuf;

use cohort_core::{MethodError, PolicyError};
use cohort_env::{Fault, TaskError, VerifierError};
use cohort_hub::HubError;
use cohort_model::ModelError;

use crate::{checkpoint::CheckpointError, recipe::RecipeError, run_dir::RunDirError};

/// Why a run could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("`{key}`: {source}")]
    Hub { key: &'static str, source: HubError },
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("reward.terms.{term}: {source}")]
    Verifier { term: String, source: VerifierError },
    #[error("nothing can be learned: {reason}\n  hint: {hint}")]
    NoSignal { reason: String, hint: String },
    #[error(
        "step {step}: {failed} of {episodes} episodes have a reward that failed (more than {percent:.0} %)\n  first: {first}\n  \
         the offending sample is in {}\n  hint: mend the verifier or the data, or raise reward.error_budget", dump.display()
    )]
    RewardBudget { step: u64, failed: usize, episodes: usize, percent: f64, first: String, dump: PathBuf },
    #[error(
        "step {step}: `{term}` gave no verdict on a completion for {origin}: {what}\n  the offending sample is in {}\n  \
         hint: reward.on_failure = \"abort\" ends a run at the first; mend the verifier or the data, or say \"exclude\"", dump.display()
    )]
    RewardFailed { step: u64, term: String, origin: String, what: String, dump: PathBuf },
    #[error(
        "step {step}: the third update in a row with a gradient that is not finite ({what}); the batch is in {}\n  \
         hint: lower train.lr, or look at the dumped rows", dump.display()
    )]
    NotFinite { step: u64, what: String, dump: PathBuf },
    #[error(
        "step {step}: sampler and trainer differ by {gap:.3e} nats in a log-probability, above the red line of {red_line:.0e}\n  \
         hint: with this engine's own sampler this is a fault, please report it with the output of `cohort doctor`; for another \
         sampler, objective.mismatch = {{ truncate = {{ cap = 2.0 }} }} weighs every action for it"
    )]
    Mismatch { step: u64, gap: f64, red_line: f64 },
    #[error(
        "step {step}: the sampler's log-probabilities differ from the trainer's by {gap:.3e} nats in the mean, above the red line of {red_line:.0e}\n  \
         hint: with this engine's own sampler this is a fault, please report it with the output of `cohort doctor`. Of a server: are its \
         weights the run's (push), and its log-probabilities those of the sampling temperature (logprobs)? if so, correct for the rest: \
         objective.mismatch"
    )]
    OutsideMismatch { step: u64, gap: f64, red_line: f64 },
    #[error("{} is not empty\n  hint: give another directory, or an empty one", path.display())]
    NotEmpty { path: PathBuf },
    #[error("interrupted; {}", goes_on(*step))]
    Interrupted { step: u64 },
    #[error(
        "step {step}: {source}\n  hint: the recipe's method reads what its task and rollout do not record; `cohort methods NAME` says what it reads"
    )]
    Method { step: u64, source: MethodError },
    #[error("step {step}: {source}")]
    Policy { step: u64, source: PolicyError },
    #[error("a worker panicked in {what}: {message}")]
    Panic { what: &'static str, message: String },
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
}

impl Error {
    /// The process's exit status: a contract of the command line.
    pub fn exit_status(&self) -> u8 {
        match self {
            Error::Recipe(_)
            | Error::RunDir(
                RunDirError::NotADirectory { .. }
                | RunDirError::NotEmpty { .. }
                | RunDirError::Differs { .. }
                | RunDirError::StageOver { .. }
                | RunDirError::OtherWeights { .. }
                | RunDirError::Busy { .. },
            ) => 2,
            Error::Method { .. } | Error::NotEmpty { .. } => 2,
            Error::Verifier { source: VerifierError::Missing { .. }, .. } => 6,
            Error::Verifier { source: VerifierError::Encoder(e), .. } if e.is_of_weights() => 5,
            Error::Verifier { source: VerifierError::Encoder(_) | VerifierError::Unreachable { .. }, .. } => 3,
            Error::Verifier { .. } => 2,
            Error::Task(e) if e.fault() == Fault::Recipe => 2,
            Error::Hub { source, .. } if source.is_of_the_name() => 2,
            Error::Hub { .. } => 3,
            Error::Task(_) => 3,
            Error::Model(ModelError::Selection(_) | ModelError::Device(_)) => 2,
            Error::Model(ModelError::Config(_)) => 3,
            Error::Model(ModelError::Weights(_)) => 5,
            Error::NoSignal { .. } => 4,
            Error::Checkpoint(_) | Error::RunDir(RunDirError::Manifest { .. } | RunDirError::Write { .. }) => 5,
            Error::RewardBudget { .. } | Error::RewardFailed { .. } => 6,
            Error::Interrupted { .. } => 130,
            Error::RunDir(RunDirError::Io { .. })
            | Error::NotFinite { .. }
            | Error::Mismatch { .. }
            | Error::OutsideMismatch { .. }
            | Error::Policy { .. }
            | Error::Panic { .. }
            | Error::Io { .. } => 1,
        }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Error::Io { what, source }
    }
}

fn goes_on(step: u64) -> String {
    match step {
        0 => "no step was done yet, `--resume` starts from the stage's beginning".to_owned(),
        step => format!("a checkpoint was written at step {step}, `--resume` goes on from there"),
    }
}
