//! Stages, and the loop that drives every one of them.

mod draw;
mod pool;
pub(crate) mod record;
mod reward_model;
mod rl;
mod score;
mod supervised;

use std::time::Instant;

use cohort_core::metric::Metrics;
use serde_json::{Value, json};

pub use reward_model::{RewardModelStage, hold_columns, untrained};
pub use rl::{Reference, RlStage};
pub(crate) use score::CANDIDATES_PER_BLOCK;
pub use score::ScoreStage;
pub(crate) use supervised::ROWS_PER_BLOCK;
pub use supervised::SupervisedStage;

use crate::{
    account::Account,
    error::Error,
    memory::peak_rss_bytes,
    observe::Event,
    run_dir::{LogName, Tokens},
    session::Session,
    timing::{Seconds, seconds},
};

/// Name of the reinforcement stage, whose steps are the run's steps.
pub const RL: &str = "rl";
pub const SUPERVISED: &str = "supervised";
pub const REWARD_MODEL: &str = "reward_model";
pub const SCORE: &str = "score";

/// What a step gave.
pub struct Report {
    pub metrics: Metrics,
    /// Lines for `rollouts.jsonl`.
    pub rollouts: String,
    /// What of single rows is written beside the metrics.
    pub rows: Vec<Value>,
    pub seconds: Seconds,
    pub tokens: Tokens,
    /// Rows of the train split that it took.
    pub examples: u64,
    /// What its verdicts took.
    pub account: Account,
}

/// Whether a stage goes on after a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    Go,
    /// A checkpoint is wanted now.
    Save,
    /// The stage is over, for this reason.
    End(String),
}

/// One stage of a run. A step leaves policy, optimizer and state as they are after it, or fails before it
/// touched them in a way that a checkpoint could see.
pub trait Stage {
    fn name(&self) -> &'static str;

    /// The log that its metrics go to.
    fn log(&self) -> LogName;

    /// Most steps.
    fn steps(&self) -> u64;

    fn save_every(&self) -> u64;

    fn step(&mut self, session: &mut Session<'_>, step: u64) -> Result<Report, Error>;

    /// Why the stage is over before its last step, where what it may spend is spent. Asked before a step, too: a
    /// run that was killed after its last commit ends there again.
    fn spent(&self, _: &Session<'_>) -> Option<String> {
        None
    }

    /// Looks at the policy after a step: periodic evaluation, the stage's own end.
    fn after(&mut self, session: &mut Session<'_>, step: u64) -> Result<Next, Error>;
}

/// Runs a stage from the session's step to its end, committing as it goes.
pub fn drive(stage: &mut dyn Stage, session: &mut Session<'_>) -> Result<(), Error> {
    let steps = stage.steps();
    session.observer.event(Event::StageStarted { stage: stage.name(), from: session.state.step, steps });
    session.state.stage = stage.name().to_owned();
    while session.state.step < steps && (session.state.step == 0 || stage.spent(session).is_none()) {
        if session.is_interrupted() {
            return Err(interrupted(session)?);
        }
        let step = session.state.step + 1;
        let begun = Instant::now();
        let mut report = stage.step(session, step)?;
        session.state.step = step;
        report.seconds.total = seconds(begun.elapsed());
        write_step(stage, session, step, &report)?;
        let next = match (stage.after(session, step)?, stage.spent(session)) {
            (Next::Go | Next::Save, Some(reason)) => Next::End(reason),
            (Next::Go | Next::Save, None) if step == steps => Next::End("all steps are done".to_owned()),
            (next, _) => next,
        };
        match next {
            Next::End(reason) => {
                session.state.ended = Some(reason.clone());
                session.commit()?;
                session.observer.event(Event::StageEnded { stage: stage.name(), step, reason: &reason });
                break;
            }
            Next::Save => session.commit()?,
            Next::Go if step.is_multiple_of(stage.save_every()) => session.commit()?,
            Next::Go => {}
        }
    }
    Ok(())
}

/// Saves what is done, and says so. A step that is committed is not written again: a kill meanwhile would leave
/// neither.
fn interrupted(session: &mut Session<'_>) -> Result<Error, Error> {
    let step = session.state.step;
    if step > 0 && !session.is_committed() {
        session.commit()?;
    }
    Ok(Error::Interrupted { step })
}

fn write_step(stage: &dyn Stage, session: &mut Session<'_>, step: u64, report: &Report) -> Result<(), Error> {
    let mut line = serde_json::Map::new();
    line.insert("stage".to_owned(), json!(stage.name()));
    line.insert("step".to_owned(), json!(step));
    line.extend(report.metrics.values().map(|(name, value)| (name.to_owned(), json!(value))));
    if !report.rows.is_empty() {
        line.insert("rows".to_owned(), json!(report.rows));
    }
    session.directory.append(stage.log(), &format!("{}\n", Value::Object(line)))?;
    session.directory.append(LogName::Rollouts, &report.rollouts)?;
    let mut timing = json!({
        "stage": stage.name(),
        "step": step,
        "seconds": report.seconds,
        "peak_rss_bytes": peak_rss_bytes(),
    });
    if !report.account.is_empty() {
        timing["rewards"] = json!(report.account);
    }
    session.directory.append(LogName::Timings, &format!("{timing}\n"))?;
    // The total is the wall clock's, not a sum of steps.
    session.seconds += Seconds { total: 0.0, ..report.seconds };
    session.tokens += report.tokens;
    session.examples += report.examples;
    let metrics: Vec<(&str, f64)> = report.metrics.values().collect();
    session.observer.event(Event::Step {
        stage: stage.name(),
        step,
        steps: stage.steps(),
        metrics: &metrics,
        seconds: report.seconds,
        tokens: report.tokens.completion,
    });
    Ok(())
}
