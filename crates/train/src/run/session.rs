//! A run under way: the policy, its optimizer, the directory, and what commits a step.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use cohort_core::{
    Memory, Policy,
    curriculum::CurriculumState,
    metric::{Metric, Metrics},
};
use cohort_env::text_model::TextModels;
use cohort_kernels::Team;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    checkpoint::{self, CHECKSUMS, CheckpointError, Parts, SHARD_BYTES},
    ema::Ema,
    error::Error,
    evaluate::Evaluation,
    mask::Masks,
    observe::{Event, Observer},
    optimizer::Optimizer,
    outside::Outside,
    recipe::{OptimizerConfig, Recipe, hex},
    run_dir::{LogName, Modelled, Reinforced, RunDir, Tokens},
    timing::{Seconds, seconds, timed},
    update::{Division, Pass, Passed},
    worker::Workers,
    world::World,
};

/// Set from outside to end a run after the step under way.
pub type Interrupt = Arc<AtomicBool>;

/// What a stage carries from step to step, besides weights and moments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StageState {
    pub stage: String,
    /// Last step that is over.
    pub step: u64,
    /// Optimizer updates made.
    pub updates: u64,
    /// Updates in a row that were skipped for a gradient that is not finite.
    pub skipped_in_a_row: u64,
    pub sampled_tokens: u64,
    /// Largest difference seen between sampler and trainer in a log-probability.
    pub logp_gap_max: f64,
    /// What the method remembers.
    pub memory: Memory,
    pub curriculum: CurriculumState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
    /// Looks at dev since the best one.
    #[serde(skip_serializing_if = "is_zero")]
    pub looks_without_gain: u64,
    /// Why the stage is over, once it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

/// The best checkpoint on dev so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    pub step: u64,
    /// Of `eval.metric`.
    #[serde(alias = "accuracy")]
    pub value: f64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A run under way.
pub struct Session<'a> {
    pub recipe: &'a Recipe,
    pub world: &'a World,
    pub workers: Workers,
    /// Of the training passes.
    pub division: Division,
    pub directory: RunDir,
    pub policy: Box<dyn Policy>,
    /// What samples in the policy's place in the rl stage, where the recipe says so.
    pub outside: Option<Outside>,
    pub optimizer: Optimizer,
    /// The averaged weights of the rl stage.
    pub ema: Option<Ema>,
    pub masks: Masks,
    /// The models that the run trains for its terms; empty before their stage.
    pub models: TextModels,
    pub state: StageState,
    pub observer: &'a mut dyn Observer,
    pub interrupt: Interrupt,
    /// Seconds that are not in the manifest yet.
    pub seconds: Seconds,
    /// Tokens that are not in the manifest yet.
    pub tokens: Tokens,
    /// Examples that are not in the manifest yet.
    pub examples: u64,
    /// When the manifest last took the time.
    pub mark: Instant,
    /// When the stage began in this process.
    pub started: Instant,
}

impl Session<'_> {
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }

    /// Makes the step that is over count: checkpoint, then manifest.
    pub fn commit(&mut self) -> Result<(), Error> {
        let started = Instant::now();
        let name = checkpoint_name(&self.state.stage, self.state.step);
        let path = self.directory.checkpoints().join(&name);
        self.state.updates = self.optimizer.updates;
        let parts = Parts {
            policy: self.policy.as_ref(),
            optimizer: Some(&self.optimizer),
            ema: self.ema.as_ref().map(Ema::policy),
            models: &self.models,
            state: &self.state,
            provenance: &self.recipe.provenance(&self.state.stage, self.state.step),
            shard_bytes: SHARD_BYTES,
        };
        fs::create_dir_all(path.parent().unwrap_or(&path)).map_err(Error::io(path.display().to_string()))?;
        checkpoint::write(&path, self.state.step, &parts)?;
        self.seconds.save += seconds(started.elapsed());

        let best = self.state.best.map(|best| checkpoint_name(&self.state.stage, best.step));
        let manifest = &mut self.directory.manifest;
        manifest.stage = self.state.stage.clone();
        manifest.step = self.state.step;
        manifest.checkpoint_sha256 = Some(sum_of(&path.join(CHECKSUMS))?);
        manifest.checkpoint = Some(name.clone());
        if self.state.stage == crate::stage::RL {
            manifest.best = best.clone();
        }
        self.commit_logs()?;
        // The pointers follow the commit: a reader of `last` never sees more than what counts.
        self.directory.point("last", &name)?;
        if let Some(best) = best {
            self.directory.point("best", &best)?;
        }
        self.retain()?;
        self.observer.event(Event::Saved { step: self.state.step });
        Ok(())
    }

    /// Commits what the logs and the manifest hold, without a checkpoint.
    pub fn commit_logs(&mut self) -> Result<(), Error> {
        self.seconds.total += seconds(self.mark.elapsed());
        self.mark = Instant::now();
        self.directory.manifest.seconds += std::mem::take(&mut self.seconds);
        self.directory.manifest.tokens += std::mem::take(&mut self.tokens);
        self.directory.manifest.examples += std::mem::take(&mut self.examples);
        self.directory.commit()?;
        Ok(())
    }

    /// Leaves the rl stage for one that goes on from its weights. Both are committed: the end of the one, and that the next has begun.
    pub fn leave_rl(&mut self, next: &str, optimizer: OptimizerConfig) -> Result<(), Error> {
        let manifest = &mut self.directory.manifest;
        manifest.reinforced = Some(Reinforced {
            step: self.state.step,
            checkpoint: manifest.checkpoint.take().unwrap_or_default(),
            checkpoint_sha256: manifest.checkpoint_sha256.take().unwrap_or_default(),
            ended: self.state.ended.take().unwrap_or_default(),
            logp_gap_max: self.state.logp_gap_max,
            best: self.state.best,
        });
        (manifest.stage, manifest.step) = (next.to_owned(), 0);
        self.begin(optimizer);
        self.commit_logs()
    }

    /// Leaves the reward_model stage for the one that reads its models. Its end is committed, and that the next has begun.
    pub fn leave_reward_models(&mut self, next: &str, optimizer: OptimizerConfig) -> Result<(), Error> {
        let manifest = &mut self.directory.manifest;
        manifest.modelled = Some(Modelled {
            step: self.state.step,
            checkpoint: manifest.checkpoint.take().unwrap_or_default(),
            checkpoint_sha256: manifest.checkpoint_sha256.take().unwrap_or_default(),
            tokens: std::mem::take(&mut manifest.tokens),
        });
        (manifest.stage, manifest.step) = (next.to_owned(), 0);
        self.begin(optimizer);
        self.commit_logs()
    }

    /// Reads the models that the reward_model stage left, where that is over.
    pub fn restore_models(&mut self) -> Result<bool, Error> {
        let Some(end) = self.directory.manifest.modelled.clone() else { return Ok(false) };
        let path = self.directory.checkpoints().join(&end.checkpoint);
        hold_sum(&path, Some(&end.checkpoint_sha256))?;
        checkpoint::verify(&path)?;
        checkpoint::read_reward_models(&path, &mut self.models)?;
        Ok(true)
    }

    /// Forgets what the stage before carried, but for the weights.
    pub fn begin(&mut self, optimizer: OptimizerConfig) {
        self.state = StageState::default();
        self.optimizer = Optimizer::new(optimizer, self.policy.parameters());
    }

    /// Puts the policy where the rl stage left it, where that is over.
    pub fn restore_rl(&mut self) -> Result<bool, Error> {
        let Some(end) = self.directory.manifest.reinforced.clone() else { return Ok(false) };
        let path = self.directory.checkpoints().join(&end.checkpoint);
        hold_sum(&path, Some(&end.checkpoint_sha256))?;
        checkpoint::read::<StageState>(&path, self.policy.as_mut(), None)?;
        Ok(true)
    }

    /// Removes checkpoints of the stage that are neither among the newest, nor the best, nor the start.
    fn retain(&mut self) -> Result<(), Error> {
        let manifest = &self.directory.manifest;
        let keep = [&manifest.checkpoint, &manifest.initial, &manifest.best];
        let folder = self.directory.checkpoints().join(checkpoint_folder(&self.state.stage));
        let listed = fs::read_dir(&folder).map_err(Error::io(folder.display().to_string()))?;
        let mut steps: Vec<u64> =
            listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_prefix("step-")?.parse().ok()).collect();
        steps.sort_unstable();
        let older = steps.len().saturating_sub(self.recipe.train.keep_checkpoints);
        for &step in &steps[..older] {
            let name = checkpoint_name(&self.state.stage, step);
            if !keep.contains(&&Some(name.clone())) {
                let path = self.directory.checkpoints().join(name);
                fs::remove_dir_all(&path).map_err(Error::io(path.display().to_string()))?;
            }
        }
        Ok(())
    }

    /// Puts the session where the manifest's checkpoint left it.
    pub fn restore(&mut self) -> Result<(), Error> {
        let Some(path) = self.committed_checkpoint() else { return Ok(()) };
        hold_sum(&path, self.directory.manifest.checkpoint_sha256.as_deref())?;
        self.state = checkpoint::read(&path, self.policy.as_mut(), Some(&mut self.optimizer))?;
        self.optimizer.updates = self.state.updates;
        if let Some(ema) = &mut self.ema {
            checkpoint::read_ema(&path, ema.policy_mut())?;
        }
        if !self.models.is_empty() {
            checkpoint::read_reward_models(&path, &mut self.models)?;
        }
        Ok(())
    }

    /// Whether the manifest's checkpoint is that of the session's step.
    pub fn is_committed(&self) -> bool {
        let name = checkpoint_name(&self.state.stage, self.state.step);
        self.directory.manifest.checkpoint.as_ref() == Some(&name)
    }

    pub fn committed_checkpoint(&self) -> Option<PathBuf> {
        self.directory.manifest.checkpoint.as_ref().map(|name| self.directory.checkpoints().join(name))
    }

    /// Applies the update of a pass and hands the pass back without its gradient; skips it where anything in it is not finite. A skip is
    /// counted and dumped, and the third in a row ends the run.
    pub fn update(
        &mut self,
        passed: Passed,
        lr: f64,
        step: u64,
        metrics: &mut Metrics,
        dump: impl FnOnce() -> Value,
    ) -> Result<Option<Pass>, Error> {
        let what = match passed {
            Passed::Finite(mut pass) => {
                // Its work is done here: what is handed back holds no gradient.
                let mut gradient = std::mem::take(&mut pass.gradient);
                self.masks.gradient(&mut gradient);
                let norm = gradient.norm();
                let team = Team::new(self.workers.threads());
                self.optimizer.apply(self.policy.as_mut(), &gradient, &self.masks, norm, lr, team);
                if let Some(ema) = &mut self.ema {
                    ema.follow(self.policy.as_ref(), self.optimizer.updates);
                }
                self.state.skipped_in_a_row = 0;
                metrics.merge(&pass.metrics);
                metrics.add("grad_norm", Metric::mean_of(norm));
                metrics.add("lr", Metric::mean_of(lr));
                return Ok(Some(pass));
            }
            Passed::NotFinite(what) => what,
        };
        self.state.skipped_in_a_row += 1;
        metrics.add("updates/skipped", Metric::Sum(1.0));
        let path = self.directory.dump(&format!("step-{step:06}-not-finite"), &dump())?;
        let text = format!("step {step}: {what}; the update is skipped, the batch is in {}", path.display());
        self.observer.event(Event::Warning(&text));
        if self.state.skipped_in_a_row >= 3 {
            return Err(Error::NotFinite { step, what, dump: path });
        }
        Ok(None)
    }

    /// Writes an evaluation down and shows it.
    pub fn note_evaluation(
        &mut self,
        stage: &str,
        split: &str,
        step: u64,
        evaluation: &Evaluation,
        log: LogName,
    ) -> Result<(), Error> {
        let line = json!({ "stage": stage, "step": step, "split": split, "eval": evaluation });
        self.directory.append(log, &format!("{line}\n"))?;
        self.observer.event(Event::Evaluation { when: &format!("step {step}"), split, evaluation });
        Ok(())
    }

    /// Runs `work` on the session and books its time as evaluation.
    pub fn timed_eval<R>(&mut self, work: impl FnOnce(&Self) -> R) -> R {
        let mut spent = 0.0;
        let result = timed(&mut spent, || work(self));
        self.seconds.eval += spent;
        result
    }
}

/// Holds the sums of a checkpoint against what the manifest committed of them.
pub(super) fn hold_sum(checkpoint: &Path, expected: Option<&str>) -> Result<(), CheckpointError> {
    let Some(expected) = expected else { return Ok(()) };
    let path = checkpoint.join(CHECKSUMS);
    if sum_of(&path)? == expected {
        return Ok(());
    }
    let problem = "differs from what the manifest committed".to_owned();
    Err(CheckpointError::Corrupt { path, tensor: None, problem })
}

/// SHA-256 of a small file.
pub(super) fn sum_of(path: &Path) -> Result<String, CheckpointError> {
    let bytes = fs::read(path).map_err(|source| CheckpointError::Read { path: path.to_owned(), source })?;
    Ok(hex(&Sha256::digest(bytes)))
}

fn checkpoint_folder(stage: &str) -> &str {
    // The rl stage's steps are the run's.
    if stage == crate::stage::RL { "" } else { stage }
}

/// The name of a step's checkpoint, below `checkpoints/`.
pub fn checkpoint_name(stage: &str, step: u64) -> String {
    match checkpoint_folder(stage) {
        "" => format!("step-{step:06}"),
        folder => format!("{folder}/step-{step:06}"),
    }
}
