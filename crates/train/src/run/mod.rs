//! A run from its recipe to its summary.

pub mod cold_start;
pub(crate) mod ledger;
mod live;
pub(crate) mod lock;
pub mod observe;
pub(crate) mod origin;
pub mod run_dir;
pub mod session;
pub(crate) mod timing;

pub use timing::Seconds;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use cohort_core::{Policy, Stream};
use cohort_env::{Sandbox, Split, text_model::TextModels};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    checkpoint::{self, CHECKSUMS},
    cold_start::ColdStart,
    ema::{Ema, HeldOut},
    error::Error,
    evaluate::{DevMetric, Evaluation, Plan},
    ledger::Ledger,
    lock::Lock,
    mask::{MaskSource, Masks},
    memory::{self, Load, MemoryPlan, Peak, Wish, available_bytes, peak_rss_bytes},
    observe::{Event, Observer},
    optimizer::Optimizer,
    origin::origin_sum,
    outside::Outside,
    preflight::{Preflight, preflight},
    recipe::{
        Recipe, Score, hex,
        low::{MeasuredOn, ReferenceSection, RewardModelSection, StageName},
    },
    run_dir::{Reinforced, RunDir, RunState, Start, Tokens, read_manifest},
    sampling::Actors,
    session::{Interrupt, Session, StageState, checkpoint_name, hold_sum, sum_of},
    stage::{
        Reference, RewardModelStage, RlStage, SCORE, SUPERVISED, ScoreStage, SupervisedStage, drive, hold_columns,
        untrained,
    },
    timing::timed,
    update::Division,
    worker::Workers,
    world::World,
};

/// What a run works on.
pub struct Setup {
    /// With its initial weights.
    pub policy: Box<dyn Policy>,
    pub world: World,
    /// What of it the rl stage may not move.
    pub masks: MaskSource,
}

/// Where and how a run goes.
pub struct Options {
    pub run_dir: PathBuf,
    pub start: Start,
    /// One a core unless told.
    pub workers: Option<usize>,
    /// Folder of caches; without it nothing is cached.
    pub cache: Option<PathBuf>,
    pub interrupt: Interrupt,
}

/// `summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub status: RunState,
    pub name: String,
    /// Steps of the rl stage.
    pub steps: u64,
    /// What the reward_model stage took, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward_model: Option<RewardModelSpent>,
    /// Steps of the score stage, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_steps: Option<u64>,
    /// Rows of the train split that the stages after the cold start took, with repetitions.
    #[serde(default)]
    pub examples: u64,
    pub seed: u64,
    /// Why the last stage ended.
    pub ended: String,
    pub eval: BeforeAfter,
    pub seconds: Seconds,
    pub tokens: Tokens,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    /// The same without pages of mapped files; of this process, where a run was resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_anonymous_bytes: Option<u64>,
    /// What was expected of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_plan: Option<MemoryPlan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logp_gap_max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<BestCheckpoint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preflight: Option<Preflight>,
    /// Absent where generated programs would run in a jail.
    #[serde(default, skip_serializing_if = "Sandbox::is_jail")]
    pub sandbox: Sandbox,
    pub recipe_hash: String,
    pub cohort_version: String,
    pub cpu: String,
}

/// What a reward_model stage took; its tokens are not among those of the rl stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewardModelSpent {
    pub steps: u64,
    pub tokens: Tokens,
}

/// The checkpoint that `checkpoints/best` names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestCheckpoint {
    pub step: u64,
    /// What was compared on dev.
    #[serde(default)]
    pub metric: String,
    #[serde(alias = "accuracy")]
    pub value: f64,
}

/// Evaluations on the test split, which nothing else looks at; absent where the task has none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BeforeAfter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Evaluation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Evaluation>,
    /// The averaged weights, where `train.ema.evaluate` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<Evaluation>,
}

/// Runs a recipe, or goes on with a run of it. A complete run is left as it is.
///
/// A failure is written to the manifest; what was committed before it stays.
pub fn train(recipe: &Recipe, setup: Setup, options: &Options, observer: &mut dyn Observer) -> Result<Summary, Error> {
    check_dev(recipe, &setup.world)?;
    hold_columns(recipe, &setup.world)?;
    // Asked twice: what may not start here makes no lock, and before there is one another process may change the answer.
    RunDir::admit(&options.run_dir, options.start, recipe)?;
    let _lock = Lock::of_run(&options.run_dir)?;
    let recorded = RunDir::admit(&options.run_dir, options.start, recipe)?;
    if let Some(manifest) = &recorded
        && manifest.state == RunState::Complete
        && recipe.train.steps <= manifest.asked_steps
    {
        return read_summary(&options.run_dir);
    }
    let workers = Workers::new(options.workers.or(recipe.workers()));
    let start = origin_sum(setup.policy.as_ref(), workers)?;
    let origin = match setup.masks.changed() {
        Some(changed) => format!("{start} masked by {}", origin_sum(changed, workers)?),
        None => start.clone(),
    };
    if let Some(manifest) = &recorded {
        manifest.hold_origin(&options.run_dir, &origin)?;
    }
    let committed = recorded.as_ref().map_or(0, |m| m.committed.rollouts);
    let ledger = match options.start {
        Start::Fresh => Ledger::default(),
        Start::Resume => Ledger::collect(&options.run_dir, committed)?,
    };
    let mut directory = RunDir::open(&options.run_dir, recorded, recipe)?;
    if let Some(change) = directory.changed_machine() {
        observer.event(Event::Warning(&change));
    }
    directory.manifest.state = RunState::Running;
    directory.manifest.reason = None;
    directory.manifest.asked_steps = recipe.train.steps;
    directory.manifest.origin_sha256 = Some(origin);
    directory.save_manifest()?;
    let result = go(recipe, setup, options, workers, Opened { directory, ledger, start }, observer);
    if let Err(error) = &result
        && !matches!(error, Error::Interrupted { .. })
    {
        record_failure(&options.run_dir, error);
    }
    result
}

/// Marks the run as failed. What was committed stays; a failure to write this hides nothing of the first one.
fn record_failure(path: &Path, error: &Error) {
    let Ok(Some(mut manifest)) = read_manifest(path) else { return };
    manifest.state = RunState::Failed;
    manifest.reason = Some(error.to_string());
    if let Ok(text) = serde_json::to_vec_pretty(&manifest) {
        let _ = checkpoint::replace(&path.join("manifest.json"), &text);
    }
}

fn read_summary(path: &Path) -> Result<Summary, Error> {
    let path = path.join("summary.json");
    let bytes = fs::read(&path).map_err(Error::io(path.display().to_string()))?;
    serde_json::from_slice(&bytes).map_err(|e| Error::io(path.display().to_string())(e.into()))
}

/// A run directory that is this process's.
struct Opened {
    directory: RunDir,
    ledger: Ledger,
    /// The sum of the policy's initial weights.
    start: String,
}

fn go(
    recipe: &Recipe,
    setup: Setup,
    options: &Options,
    workers: Workers,
    Opened { directory, ledger, start }: Opened,
    observer: &mut dyn Observer,
) -> Result<Summary, Error> {
    let world = &setup.world;
    let skipped = &world.task.skipped;
    if !skipped.is_empty() {
        observer.event(Event::Warning(&format!("rows left out of the data: {skipped}")));
    }
    recipe.notes().iter().for_each(|note| observer.event(Event::Note(note)));
    let peak = Peak::watch();
    let (division, plan) = divide(recipe, &setup, workers, &peak, observer);
    let optimizer = Optimizer::new(recipe.optimizer, setup.policy.parameters());
    let mut session = Session {
        recipe,
        world,
        workers,
        division,
        directory,
        policy: setup.policy,
        outside: Outside::of_recipe(recipe).map_err(|source| Error::Policy { step: 0, source })?,
        optimizer,
        ema: None,
        masks: Masks::default(),
        models: TextModels::new(),
        state: StageState::default(),
        observer,
        interrupt: options.interrupt.clone(),
        seconds: Seconds::default(),
        tokens: Tokens::default(),
        examples: 0,
        mark: Instant::now(),
        started: Instant::now(),
    };
    cold_start(&mut session, options, &start)?;
    if let Some(config) = &recipe.reward_model {
        reward_models(&mut session, config)?;
    }
    session.masks = setup.masks.masks(session.policy.as_ref()).map_err(|problem| recipe.refuse_mask(&problem))?;
    let reinforces = recipe.has(StageName::Rl);
    let reference = match (reinforces && recipe.has_reference(), recipe.train.reference) {
        (false, _) => Reference::None,
        (true, ReferenceSection::Frozen) => Reference::Frozen(session.policy.reference()),
        (true, ReferenceSection::Ema) => Reference::Average,
    };
    session.ema =
        recipe.train.ema.as_ref().filter(|_| reinforces).map(|section| Ema::new(section, session.policy.as_ref()));
    before(&mut session)?;
    if reinforces && !session.restore_rl()? {
        reinforce(&mut session, reference, ledger)?;
    }
    if let Some(config) = recipe.score.as_ref().filter(|_| recipe.has(StageName::Score)) {
        score(&mut session, config)?;
    }
    let after = evaluate_test(&mut session, "after", |s| s.policy.as_ref())?;
    let is_asked = recipe.train.ema.as_ref().is_some_and(|ema| ema.evaluate.contains(&HeldOut::Test));
    let ema = match &session.ema {
        Some(_) if is_asked => evaluate_test(&mut session, "after, averaged weights", |s| {
            s.ema.as_ref().map_or(s.policy.as_ref(), Ema::policy)
        })?,
        _ => None,
    };
    finish(session, after, ema, plan, &peak)
}

/// The models that terms of the later stages read: trained, or as the run trained them before.
fn reward_models(session: &mut Session<'_>, config: &RewardModelSection) -> Result<(), Error> {
    let (recipe, world) = (session.recipe, session.world);
    session.models = untrained(recipe, world);
    if !session.restore_models()? {
        let mut stage = RewardModelStage::new(recipe, config, world);
        session.started = Instant::now();
        session.restore()?;
        drive(&mut stage, session)?;
        session.leave_reward_models(StageName::Rl.word(), recipe.optimizer)?;
    }
    world.trained.set(session.models.clone());
    Ok(())
}

/// The rl stage, and where a stage follows the step to it.
fn reinforce(session: &mut Session<'_>, reference: Reference, ledger: Ledger) -> Result<(), Error> {
    let (recipe, spent) = (session.recipe, session.directory.manifest.seconds);
    let mut stage = RlStage::new(recipe, session.world, reference, ledger, spent.total - spent.cold_start)?;
    session.started = Instant::now();
    session.restore()?;
    drive(&mut stage, session)?;
    Ledger::discard(session.directory.path())?;
    match recipe.score.as_ref().filter(|_| recipe.has(StageName::Score)) {
        Some(next) => session.leave_rl(SCORE, next.optimizer),
        None => Ok(()),
    }
}

/// The score stage, from the weights that the session has.
fn score(session: &mut Session<'_>, config: &Score) -> Result<(), Error> {
    let world = session.world;
    let Some(scores) = &world.scores else {
        let problem = "needs a world that knows what a score is";
        return Err(Error::Recipe(session.recipe.refuse("score", problem, "none", "build the world from this recipe")));
    };
    let mut stage = ScoreStage::new(session.recipe, config, world, scores);
    session.begin(config.optimizer);
    session.restore()?;
    drive(&mut stage, session)
}

/// Whether dev has what the recipe wants to see there.
fn check_dev(recipe: &Recipe, world: &World) -> Result<(), Error> {
    let (dev, eval) = (world.task.items(Split::Dev), &recipe.eval);
    let refuse = |key, problem, got: &str, hint| Err(Error::Recipe(recipe.refuse(key, problem, got, hint)));
    if eval.every > 0 && eval.patience.is_some() && dev.is_empty() {
        return refuse("eval.patience", "needs a dev split", "none", "set rows aside with data.dev");
    }
    match &eval.metric {
        DevMetric::Reward { term } if !world.term_names().contains(&term.as_str()) => {
            refuse("eval.metric.reward.term", "must name a reward term", term, "`reward.terms` names them")
        }
        DevMetric::Loss if eval.every > 0 && !dev.is_empty() && dev.iter().all(|item| item.solution.is_none()) => {
            refuse("eval.metric", "needs worked solutions on dev", "loss", "give data.solution, or another metric")
        }
        _ => Ok(()),
    }
}

/// How training passes use the cores and what they hold: by the recipe, and where it leaves that open by the memory
/// plan. A policy that cannot say what it takes is divided among workers.
fn divide(
    recipe: &Recipe,
    setup: &Setup,
    workers: Workers,
    peak: &Peak,
    observer: &mut dyn Observer,
) -> (Division, Option<MemoryPlan>) {
    let wish = Wish { parallel: recipe.train.parallel, activations: recipe.train.activations };
    let Some(footprint) = setup.policy.footprint() else { return (wish.division(workers), None) };
    let available = available_bytes().map(|bytes| bytes + peak.bytes().unwrap_or(0));
    let (division, plan) = memory::plan(&footprint, &Load::of(recipe, &setup.world), workers, wish, available);
    observer.event(Event::Note(&plan.note()));
    if let Some(warning) = plan.warning() {
        observer.event(Event::Warning(&warning));
    }
    (division, Some(plan))
}

/// Brings the policy to where the rl stage starts: by its own weights, a supervised stage, or the cache of one.
/// `origin` is the sum of what it starts from.
fn cold_start(session: &mut Session<'_>, options: &Options, origin: &str) -> Result<(), Error> {
    let Some(config) = &session.recipe.supervised else { return Ok(()) };
    if let Some(initial) = session.directory.manifest.initial.clone() {
        let path = session.directory.checkpoints().join(initial);
        hold_sum(&path, session.directory.manifest.initial_sha256.as_deref())?;
        checkpoint::read::<StageState>(&path, session.policy.as_mut(), None)?;
        return Ok(());
    }
    let begun = Instant::now();
    let task = task_sum(session.world);
    let entry = options.cache.as_deref().and_then(|cache| ColdStart::entry(session.recipe, cache, origin, &task));
    session.optimizer = Optimizer::new(config.optimizer, session.policy.parameters());
    let cached = entry.as_ref().and_then(|entry| match entry.load(session.policy.as_mut())? {
        Ok(state) => Some(state),
        Err(e) => {
            session.observer.event(Event::Warning(&format!("the cached cold start is broken and was removed: {e}")));
            None
        }
    });
    match cached {
        Some(state) => {
            let at = entry.as_ref().map_or(String::new(), |e| e.path().display().to_string());
            session.observer.event(Event::Note(&format!("cold start of {} steps from the cache ({at})", state.step)));
            session.optimizer.updates = state.updates;
            session.state = state;
            session.commit()?;
        }
        None => {
            session.restore()?;
            let mut stage = SupervisedStage::new(config, session.world, &session.recipe.name)?;
            if session.state.ended.is_none() {
                drive(&mut stage, session)?;
            }
            if let Some(entry) = &entry
                && let Err(e) = entry.store(
                    session.policy.as_ref(),
                    &session.state,
                    &session.recipe.provenance(SUPERVISED, session.state.step),
                )
            {
                session.observer.event(Event::Warning(&format!("the cold start could not be cached: {e}")));
            }
        }
    }
    let initial = checkpoint_name(SUPERVISED, session.state.step);
    let sums = session.directory.checkpoints().join(&initial).join(CHECKSUMS);
    session.directory.manifest.initial_sha256 = Some(sum_of(&sums)?);
    session.directory.manifest.initial = Some(initial);
    session.directory.manifest.stage = session.recipe.first_stage().word().to_owned();
    session.directory.manifest.step = 0;
    session.directory.manifest.checkpoint = None;
    session.directory.manifest.checkpoint_sha256 = None;
    session.seconds.cold_start += begun.elapsed().as_secs_f64();
    session.begin(session.recipe.optimizer);
    session.commit_logs()
}

/// The look before the rl stage, and the evaluation that its end is compared with.
fn before(session: &mut Session<'_>) -> Result<(), Error> {
    if session.directory.manifest.preflight.is_some() || session.directory.manifest.before.is_some() {
        return Ok(());
    }
    let look = match session.recipe.has(StageName::Rl) {
        true => Some(look(session)?),
        // Nothing is sampled that has to show a difference.
        false => None,
    };
    let evaluation = evaluate_test(session, "before", |s| s.policy.as_ref())?;
    let last_before =
        if session.recipe.reward_model.is_some() { StageName::RewardModel } else { StageName::Supervised };
    let stage = session.recipe.stage_after(last_before).word();
    session.directory.manifest.stage = stage.to_owned();
    session.directory.manifest.preflight = look;
    session.directory.manifest.before = evaluation;
    session.commit_logs()
}

/// Whether the rl stage has anything to learn.
fn look(session: &mut Session<'_>) -> Result<Preflight, Error> {
    let mut spent = 0.0;
    let (look, warning) = timed(&mut spent, || {
        let policy = session.policy.as_ref();
        let outside = session.outside.as_ref().map(|outside| outside.of_step(policy, 0, HashMap::new()));
        let actors = outside.as_ref().map_or(Actors::own(policy), |outside| Actors { sampler: outside, policy });
        preflight(session.recipe, session.world, actors, session.workers, &session.directory)
    })?;
    session.seconds.eval += spent;
    session.observer.event(Event::Preflight(&look));
    if let Some(warning) = warning {
        session.observer.event(Event::Warning(&warning));
    }
    Ok(look)
}

/// Evaluates weights of the session on the split that the recipe is measured on, with the same draws before and after; `None` where the task has
/// none.
fn evaluate_test(
    session: &mut Session<'_>,
    when: &str,
    weights: impl for<'s> Fn(&'s Session<'_>) -> &'s dyn Policy,
) -> Result<Option<Evaluation>, Error> {
    let recipe = session.recipe;
    let split = match recipe.eval.split {
        MeasuredOn::Test => Split::Test,
        MeasuredOn::Dev => Split::Dev,
    };
    if session.world.task.items(split).is_empty() {
        return Ok(None);
    }
    let plan = Plan::of_recipe(recipe, split, Stream::new(recipe.seed, "rl/test"));
    let evaluation = session.timed_eval(|s| plan.run(s.world, weights(s), s.workers))?.evaluation;
    session.observer.event(Event::Evaluation { when, split: &split.to_string(), evaluation: &evaluation });
    Ok(Some(evaluation))
}

fn finish(
    mut session: Session<'_>,
    after: Option<Evaluation>,
    ema: Option<Evaluation>,
    memory_plan: Option<MemoryPlan>,
    peak: &Peak,
) -> Result<Summary, Error> {
    let peak_anonymous_bytes = peak.bytes();
    if let (Some(plan), Some(peak)) = (&memory_plan, peak_anonymous_bytes) {
        session.observer.event(Event::Note(&plan.compared(peak)));
    }
    session.directory.manifest.after = after.clone();
    session.commit_logs()?;
    let manifest = &session.directory.manifest;
    let recipe = session.recipe;
    let state = &session.state;
    let reinforced = manifest.reinforced.clone().unwrap_or_else(|| Reinforced {
        step: state.step,
        logp_gap_max: state.logp_gap_max,
        best: state.best,
        ..Reinforced::default()
    });
    let has_rl = recipe.has(StageName::Rl);
    let summary = Summary {
        status: RunState::Complete,
        name: session.recipe.name.clone(),
        steps: if has_rl { reinforced.step } else { 0 },
        reward_model: manifest.modelled.as_ref().map(|end| RewardModelSpent { steps: end.step, tokens: end.tokens }),
        score_steps: recipe.has(StageName::Score).then_some(state.step),
        examples: manifest.examples,
        seed: session.recipe.seed,
        ended: session.state.ended.clone().unwrap_or_default(),
        eval: BeforeAfter { before: manifest.before.clone(), after, ema },
        seconds: manifest.seconds,
        tokens: manifest.tokens,
        peak_rss_bytes: peak_rss_bytes(),
        peak_anonymous_bytes,
        memory_plan,
        logp_gap_max: has_rl.then_some(reinforced.logp_gap_max),
        best: reinforced.best.map(|best| BestCheckpoint {
            step: best.step,
            metric: session.recipe.eval.metric.name(),
            value: best.value,
        }),
        preflight: manifest.preflight.clone(),
        sandbox: session.recipe.reward.sandbox,
        recipe_hash: manifest.recipe_hash.clone(),
        cohort_version: manifest.cohort_version.clone(),
        cpu: manifest.cpu.clone(),
    };
    let text = serde_json::to_string_pretty(&summary).expect("a summary is JSON");
    session.directory.write("summary.json", format!("{text}\n").as_bytes())?;
    session.directory.write_table(session.recipe)?;
    // Last: a complete run is never looked at again, so all of it must be there.
    session.directory.manifest.state = RunState::Complete;
    session.directory.save_manifest()?;
    Ok(summary)
}

/// SHA-256 of what a stage can see of a task.
fn task_sum(world: &World) -> String {
    let mut sum = Sha256::new();
    for split in [Split::Train, Split::Dev] {
        for item in world.task.items(split) {
            let columns = serde_json::to_string(&item.columns).unwrap_or_default();
            sum.update(format!("{:?}{:?}{columns}\n", item.context, item.solution));
        }
    }
    hex(&sum.finalize())
}
