//! Rewards and gradients that are no numbers: counted, shown, survived, and the end of a run when they are many.

use std::{
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::toys::{self, bandit::Bandit, gaussian::Gaussian};
use cohort_core::{
    Gradient, ParameterInfo, PayloadKey, Policy, PolicyError, Request, RowGradients, RowSpec, Rows, Sample, Sampler,
    Tape, policy::Asset,
};
use cohort_env::{Verifier, View, from_fn};
use cohort_train::{Error, MaskSource, Setup, Summary, observe::Event, observe::Observer, run_dir::Start, train};
use serde_json::Value;

fn lines(run: &Path, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join(name)).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Keeps what a run says.
#[derive(Default)]
struct Heard {
    warnings: Vec<String>,
    /// Steps in which a reward failed, as the watcher was shown them.
    failures: Vec<(u64, f64)>,
}

impl Observer for Heard {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Warning(text) => self.warnings.push(text.to_owned()),
            Event::Step { step, metrics, .. } => {
                let count = metrics.iter().find(|(name, _)| *name == "reward/toy/error");
                self.failures.extend(count.map(|(_, count)| (step, *count)));
            }
            _ => {}
        }
    }
}

/// Episodes of a step: 4 prompts of 8.
const EPISODES: usize = 32;

fn gaussian(run: &Path, verifier: Box<dyn Verifier>, heard: &mut Heard) -> Result<Summary, Error> {
    let recipe = toys::recipe(&["train.steps=5"]);
    let setup = Setup {
        policy: Box::new(Gaussian::new([0.0, 0.0])),
        world: toys::world(&recipe, verifier),
        masks: MaskSource::default(),
    };
    train(&recipe, setup, &toys::options(run, Start::Fresh, 1), heard)
}

/// The points of the third step, in the order in which they are judged.
fn points_of_the_third_step(folder: &Path) -> Vec<Vec<f32>> {
    let seen: Arc<Mutex<Vec<Vec<f32>>>> = Arc::default();
    let keep = seen.clone();
    let score = move |view: &View<'_>| {
        keep.lock().unwrap().push(view.payloads[0].clone());
        f64::from(view.payloads[0][0])
    };
    gaussian(&folder.join("seen"), from_fn("toy", (-1e9, 1e9), score), &mut Heard::default()).unwrap();
    let seen = seen.lock().unwrap();
    // Two prompts of 8 in the look before, 8 prompts with one greedy and two other samples, then the steps.
    let start = 2 * 8 + 8 * 3 + 2 * EPISODES;
    seen[start..start + EPISODES].to_vec()
}

/// How a reward fails.
#[derive(Clone, Copy, Debug)]
enum Failing {
    Nan,
    Infinite,
    Panics,
}

/// Fails on some points.
fn failing(at: &[Vec<f32>], how: Failing) -> Box<dyn Verifier> {
    let at = at.to_vec();
    from_fn("toy", (-1e9, 1e9), move |view: &View<'_>| match how {
        _ if !at.contains(&view.payloads[0]) => f64::from(view.payloads[0][0]),
        Failing::Nan => f64::NAN,
        Failing::Infinite => f64::INFINITY,
        Failing::Panics => panic!("out of luck"),
    })
}

#[test]
fn one_reward_that_fails_is_counted_and_stands_aside() {
    let folder = tempfile::tempdir().unwrap();
    let points = points_of_the_third_step(folder.path());
    for (how, reason) in
        [(Failing::Nan, "NaN"), (Failing::Infinite, "inf"), (Failing::Panics, "`toy` panicked: out of luck")]
    {
        let run = folder.path().join(format!("{how:?}"));
        let mut heard = Heard::default();
        gaussian(&run, failing(&points[10..11], how), &mut heard).unwrap();
        assert_eq!(heard.failures, [(3, 1.0)], "{how:?} is shown");
        let metrics = lines(&run, "metrics.jsonl");
        assert_eq!(metrics.len(), 5, "the run goes on");
        for (step, line) in (1..).zip(&metrics) {
            let expected = (step == 3).then_some(1.0);
            assert_eq!(line["reward/toy/error"].as_f64(), expected, "{line}");
            assert_eq!(line["reward/unscored"], expected.unwrap_or(0.0) / EPISODES as f64, "{line}");
            assert!(line.as_object().unwrap().values().all(|value| !value.is_null()), "{line}");
        }
        let rollouts = lines(&run, "rollouts.jsonl");
        let failed: Vec<&Value> = rollouts.iter().filter(|line| line["rewards"]["toy"]["outcome"] == "error").collect();
        let [line] = failed[..] else { panic!("{failed:?}") };
        assert_eq!((&line["step"], &line["slot"], &line["episode"]), (&3.into(), &1.into(), &2.into()));
        assert!(line["rewards"]["toy"]["reason"].as_str().unwrap().contains(reason), "{line}");
        assert!(line["reward"].is_null());
        assert_eq!(line["advantage"], 0.0);
        assert_eq!(line["samples"][0]["d_logp"][0], 0.0, "it moves nothing");
        let rest = rollouts.iter().filter(|other| other["rewards"]["toy"]["outcome"] == "scored").count();
        assert_eq!(rest, 5 * EPISODES - 1);
    }
}

fn with(run: &Path, more: &[&str], verifier: Box<dyn Verifier>) -> Result<Summary, Error> {
    let more: Vec<&str> = ["train.steps=5"].iter().chain(more).copied().collect();
    let recipe = toys::recipe(&more);
    let setup = Setup {
        policy: Box::new(Gaussian::new([0.0, 0.0])),
        world: toys::world(&recipe, verifier),
        masks: MaskSource::default(),
    };
    train(&recipe, setup, &toys::options(run, Start::Fresh, 1), &mut Heard::default())
}

#[test]
fn a_recipe_says_what_a_failure_does() {
    let folder = tempfile::tempdir().unwrap();
    let points = points_of_the_third_step(folder.path());
    let failing = || failing(&points[10..11], Failing::Panics);
    // As 0 it is compared with the others; the verdict itself stays what it was.
    for (name, keys) in [
        ("zero", &["reward.on_failure=zero"][..]),
        ("of the term", &["reward.on_failure=abort", "reward.terms.toy.on_failure=zero"]),
    ] {
        let run = folder.path().join(name);
        with(&run, keys, failing()).unwrap();
        let rollouts = lines(&run, "rollouts.jsonl");
        let [line] = rollouts.iter().filter(|l| l["rewards"]["toy"]["outcome"] == "error").collect::<Vec<_>>()[..]
        else {
            panic!("one fails")
        };
        assert_eq!((&line["step"], &line["reward"]), (&3.into(), &0.0.into()), "{name}");
        assert_ne!(line["advantage"], 0.0, "{name}");
        assert_eq!(lines(&run, "metrics.jsonl")[2]["reward/toy/error"], 1.0, "it is counted all the same");
    }
    // The budget holds all the same.
    let wide = self::failing(&points[10..12], Failing::Panics);
    let error = with(&folder.path().join("many zeros"), &["reward.on_failure=zero"], wide).unwrap_err();
    assert!(matches!(error, Error::RewardBudget { step: 3, .. }), "{error}");
    // The first ends the run.
    let error = with(&folder.path().join("abort"), &["reward.on_failure=abort"], failing()).unwrap_err();
    assert_eq!(error.exit_status(), 6);
    let Error::RewardFailed { step: 3, ref term, ref dump, .. } = error else { panic!("{error}") };
    assert_eq!(term, "toy");
    assert!(error.to_string().contains("out of luck") && error.to_string().contains("toy item "), "{error}");
    let dump: Value = serde_json::from_slice(&std::fs::read(dump).unwrap()).unwrap();
    assert_eq!(dump["rewards"]["toy"]["outcome"], "error");
}

#[test]
fn what_was_judged_before_a_crash_is_not_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let points = points_of_the_third_step(folder.path());
    let run = folder.path().join("run");
    with(&run, &[], failing(&points[10..12], Failing::Nan)).unwrap_err();
    let asked: Arc<Mutex<std::collections::BTreeSet<u64>>> = Arc::default();
    let keep = asked.clone();
    let score = move |view: &View<'_>| {
        keep.lock().unwrap().insert(view.step);
        f64::from(view.payloads[0][0])
    };
    let recipe = toys::recipe(&["train.steps=5"]);
    let setup = Setup {
        policy: Box::new(Gaussian::new([0.0, 0.0])),
        world: toys::world(&recipe, from_fn("toy", (-1e9, 1e9), score)),
        masks: MaskSource::default(),
    };
    train(&recipe, setup, &toys::options(&run, Start::Resume, 1), &mut Heard::default()).unwrap();
    // Two steps were judged and not committed; 0 is the evaluation after.
    assert!(asked.lock().unwrap().iter().eq(&[0, 3, 4, 5]), "{asked:?}");
    let metrics = |run: &str| std::fs::read(folder.path().join(run).join("metrics.jsonl")).unwrap();
    assert_eq!(metrics("run"), metrics("seen"), "the same run all the same");
}

#[test]
fn the_opening_lines_say_what_a_failure_does() {
    let notes = |more: &[&str]| toys::recipe(more).notes().join("\n");
    let said = notes(&[]);
    assert!(said.contains("left out of its group's comparison (reward.on_failure = \"exclude\")"), "{said}");
    assert!(said.contains("more than 5 % of a step's end the run"), "{said}");
    let said = notes(&["reward.on_failure=zero", "reward.terms.toy.on_failure=abort"]);
    assert!(said.contains("counts as 0") && said.contains("of `toy` it ends the run"), "{said}");
}

#[test]
fn clocks_of_verdicts_are_in_a_file_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let score = |view: &View<'_>| match view.payloads[0][0] {
        x if x > 2.5 => cohort_core::Outcome::Abstain,
        x => cohort_core::Outcome::scored(f64::from(x)),
    };
    with(&run, &[], from_fn("toy", (-1e9, 1e9), score)).unwrap();
    let timings = lines(&run, "timings.jsonl");
    assert_eq!(timings.len(), 5);
    for (step, line) in (1..).zip(&timings) {
        let term = &line["rewards"]["toy"];
        assert_eq!(term["scored"].as_u64().unwrap() + term["abstain"].as_u64().unwrap(), EPISODES as u64, "{line}");
        let buckets = term["latency"].as_array().unwrap();
        assert_eq!(buckets.iter().map(|b| b[1].as_u64().unwrap()).sum::<u64>(), EPISODES as u64);
        let slowest = term["slowest"].as_array().unwrap();
        assert!(slowest.len() == 5 && slowest.iter().all(|s| s["step"] == step), "{line}");
    }
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert!(!metrics.contains("latency") && !metrics.contains("seconds"), "equal runs have equal metrics");
}

#[test]
fn many_that_fail_end_the_run_with_a_sample() {
    let folder = tempfile::tempdir().unwrap();
    let points = points_of_the_third_step(folder.path());
    // One in 32 is within 5 %, two are not.
    let run = folder.path().join("run");
    let error = gaussian(&run, failing(&points[10..12], Failing::Nan), &mut Heard::default()).unwrap_err();
    assert_eq!(error.exit_status(), 6);
    let Error::RewardBudget { step: 3, failed: 2, episodes: EPISODES, ref dump, .. } = error else {
        panic!("{error}");
    };
    assert!(error.to_string().contains("2 of 32 episodes"), "{error}");
    assert!(error.to_string().contains("`toy`: the reward is NaN"), "{error}");
    let dump: Value = serde_json::from_slice(&std::fs::read(dump).unwrap()).unwrap();
    assert_eq!(dump["rewards"]["toy"]["outcome"], "error");
    assert!(dump["origin"].as_str().unwrap().starts_with("toy item "), "{dump}");
    let manifest: Value = serde_json::from_slice(&std::fs::read(run.join("manifest.json")).unwrap()).unwrap();
    assert_eq!((&manifest["state"], &manifest["step"]), (&"failed".into(), &0.into()));
    // The same with a wider budget goes on.
    let mended = failing(&points[10..11], Failing::Nan);
    let recipe = toys::recipe(&["train.steps=5"]);
    let setup = Setup {
        policy: Box::new(Gaussian::new([0.0, 0.0])),
        world: toys::world(&recipe, mended),
        masks: MaskSource::default(),
    };
    let summary = train(&recipe, setup, &toys::options(&run, Start::Resume, 2), &mut Heard::default()).unwrap();
    assert_eq!(summary.steps, 5, "a failed run goes on once its verifier is mended");
}

/// Dies as the seventh step is shown: its lines are written, and the last commit is that of the fifth.
struct Dying;

impl Observer for Dying {
    fn event(&mut self, event: Event<'_>) {
        if let Event::Step { step: 7, .. } = event {
            panic!("the power is gone");
        }
    }
}

/// A verifier may ask a clock: what it said of a step that is done again stands.
#[test]
fn no_verdict_is_asked_for_twice() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let recipe = toys::recipe(&["train.steps=10"]);
    let setup = |offset: f64| {
        let verifier = from_fn("toy", (-1e9, 1e9), move |view: &View<'_>| f64::from(view.payloads[0][0]) + offset);
        Setup {
            policy: Box::new(Gaussian::new([0.0, 0.0])),
            world: toys::world(&recipe, verifier),
            masks: MaskSource::default(),
        }
    };
    let died = panic::catch_unwind(AssertUnwindSafe(|| {
        train(&recipe, setup(0.0), &toys::options(&run, Start::Fresh, 2), &mut Dying).map(|_| ())
    }));
    assert!(died.is_err());
    let said = lines(&run, "rollouts.jsonl");
    assert_eq!(said.len(), 7 * EPISODES);

    train(&recipe, setup(100.0), &toys::options(&run, Start::Resume, 1), &mut Heard::default()).unwrap();
    let all = lines(&run, "rollouts.jsonl");
    assert_eq!(all.len(), 10 * EPISODES);
    assert_eq!(all[..7 * EPISODES], said, "steps six and seven keep their verdicts");
    let mut others = all[7 * EPISODES..].iter().map(|line| line["reward"].as_f64().unwrap());
    assert!(others.all(|reward| reward > 50.0), "later ones are new");
    assert!(!run.join("verdicts.jsonl").exists(), "what is committed need not be kept twice");
}

/// What is not finite.
#[derive(Clone, Copy, Debug)]
enum Broken {
    Rows,
    Gradient,
    Says,
}

/// A bandit whose passes `from..to` are broken.
struct Faulty {
    inner: Bandit,
    passes: AtomicUsize,
    from: usize,
    to: usize,
    how: Broken,
}

struct Nowhere;

impl Tape for Nowhere {
    fn backward(self: Box<Self>, _: &[RowGradients]) -> Gradient {
        Gradient(vec![vec![f32::NAN; toys::bandit::ARMS]])
    }
}

impl Sampler for Faulty {
    fn sample(&self, requests: &[Request]) -> Result<Vec<Sample>, PolicyError> {
        self.inner.sample(requests)
    }

    fn position_limit(&self) -> Option<usize> {
        None
    }
}

impl Policy for Faulty {
    fn rows(&self, samples: &[&Sample], spec: RowSpec) -> Result<Vec<Rows>, PolicyError> {
        self.inner.rows(samples, spec)
    }

    fn forward<'a>(
        &'a self,
        samples: &[&Sample],
        spec: RowSpec,
    ) -> Result<(Vec<Rows>, Box<dyn Tape + 'a>), PolicyError> {
        let pass = self.passes.fetch_add(1, Ordering::Relaxed);
        let (mut rows, tape) = self.inner.forward(samples, spec)?;
        if !(self.from..self.to).contains(&pass) {
            return Ok((rows, tape));
        }
        match self.how {
            Broken::Rows => {
                rows[0].logp[0] = f64::NAN;
                Ok((rows, tape))
            }
            Broken::Gradient => Ok((rows, Box::new(Nowhere))),
            Broken::Says => Err(PolicyError::NotFinite { sample: 0, action: 0, column: "logp" }),
        }
    }

    fn parameters(&self) -> &[ParameterInfo] {
        self.inner.parameters()
    }

    fn read(&self, index: usize, look: &mut dyn FnMut(&[f32])) {
        self.inner.read(index, look);
    }

    fn write(&mut self, index: usize, change: &mut dyn FnMut(&mut [f32])) {
        self.inner.write(index, change);
    }

    fn assets(&self) -> &[Asset] {
        self.inner.assets()
    }

    fn duplicate(&self) -> Box<dyn Policy> {
        self.inner.duplicate()
    }

    fn payload(&self, key: PayloadKey) -> Option<Vec<f32>> {
        self.inner.payload(key)
    }
}

/// A run of six steps, of one block each, whose steps `steps` have a pass that is not finite.
fn faulty(run: &Path, steps: std::ops::Range<usize>, how: Broken, heard: &mut Heard) -> Result<Summary, Error> {
    let keys = ["train.steps=6", "train.groups_per_block=4", "train.save_every=1", "train.keep_checkpoints=9"];
    let recipe = toys::recipe(&keys);
    let (from, to) = (steps.start - 1, steps.end - 1);
    let policy = Faulty { inner: Bandit::new(), passes: AtomicUsize::new(0), from, to, how };
    let verifier = from_fn("toy", (0.0, 10.0), |view: &View<'_>| f64::from(view.payloads[0][0]));
    let setup = Setup { policy: Box::new(policy), world: toys::world(&recipe, verifier), masks: MaskSource::default() };
    train(&recipe, setup, &toys::options(run, Start::Fresh, 1), heard)
}

fn weights(run: &Path, step: u64) -> Vec<u8> {
    std::fs::read(run.join(format!("checkpoints/step-{step:06}/model.safetensors"))).unwrap()
}

#[test]
fn an_update_that_is_not_finite_is_skipped() {
    for how in [Broken::Rows, Broken::Gradient, Broken::Says] {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let mut heard = Heard::default();
        faulty(&run, 3..4, how, &mut heard).unwrap();
        assert_eq!(weights(&run, 2), weights(&run, 3), "{how:?}: it changes no weight");
        assert_ne!(weights(&run, 1), weights(&run, 2));
        assert_ne!(weights(&run, 3), weights(&run, 4));
        let metrics = lines(&run, "metrics.jsonl");
        let skipped: Vec<Option<f64>> = metrics.iter().map(|line| line["updates/skipped"].as_f64()).collect();
        assert_eq!(skipped, [None, None, Some(1.0), None, None, None], "{how:?}");
        assert!(metrics[2].get("grad_norm").is_none(), "what was not computed is absent");
        assert!(metrics.iter().flat_map(|line| line.as_object().unwrap().values()).all(|value| !value.is_null()));
        let dump = std::fs::read_to_string(run.join("dumps/step-000003-not-finite.json")).unwrap();
        let dump: Value = serde_json::from_str(&dump).unwrap();
        assert_eq!(dump["episodes"].as_array().unwrap().len(), EPISODES);
        let [warning] = &heard.warnings[..] else { panic!("{:?}", heard.warnings) };
        let parts = ["step 3: ", "is not finite", "skipped", "step-000003-not-finite.json"];
        assert!(parts.iter().all(|part| warning.contains(part)), "{warning}");
        assert_eq!(lines(&run, "rollouts.jsonl").len(), 6 * EPISODES, "its rollouts are written");
    }
}

#[test]
fn the_third_in_a_row_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("two");
    faulty(&run, 2..4, Broken::Rows, &mut Heard::default()).unwrap();

    let run = folder.path().join("three");
    let mut heard = Heard::default();
    let error = faulty(&run, 2..5, Broken::Gradient, &mut heard).unwrap_err();
    assert_eq!(error.exit_status(), 1);
    let Error::NotFinite { step: 4, ref dump, .. } = error else { panic!("{error}") };
    assert!(dump.exists());
    assert!(error.to_string().contains("the gradient of `logits` is not finite"), "{error}");
    assert_eq!(heard.warnings.len(), 3);
    let manifest: Value = serde_json::from_slice(&std::fs::read(run.join("manifest.json")).unwrap()).unwrap();
    assert_eq!((&manifest["state"], &manifest["step"]), (&"failed".into(), &3.into()));
    assert_eq!(weights(&run, 1), weights(&run, 3));
}

#[test]
fn a_policy_that_panics_ends_the_run_and_not_the_process() {
    struct Panicking(Bandit);
    impl Sampler for Panicking {
        fn sample(&self, requests: &[Request]) -> Result<Vec<Sample>, PolicyError> {
            self.0.sample(requests)
        }

        fn position_limit(&self) -> Option<usize> {
            None
        }
    }

    impl Policy for Panicking {
        fn rows(&self, samples: &[&Sample], spec: RowSpec) -> Result<Vec<Rows>, PolicyError> {
            self.0.rows(samples, spec)
        }

        fn forward<'a>(&'a self, _: &[&Sample], _: RowSpec) -> Result<(Vec<Rows>, Box<dyn Tape + 'a>), PolicyError> {
            panic!("the graph is broken")
        }

        fn parameters(&self) -> &[ParameterInfo] {
            self.0.parameters()
        }

        fn read(&self, index: usize, look: &mut dyn FnMut(&[f32])) {
            self.0.read(index, look);
        }

        fn write(&mut self, index: usize, change: &mut dyn FnMut(&mut [f32])) {
            self.0.write(index, change);
        }

        fn assets(&self) -> &[Asset] {
            &[]
        }

        fn duplicate(&self) -> Box<dyn Policy> {
            self.0.duplicate()
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let recipe = toys::recipe(&[]);
    let verifier = from_fn("toy", (0.0, 10.0), |view: &View<'_>| f64::from(view.payloads[0][0]));
    let setup = Setup {
        policy: Box::new(Panicking(Bandit::new())),
        world: toys::world(&recipe, verifier),
        masks: MaskSource::default(),
    };
    let options = toys::options(&folder.path().join("run"), Start::Fresh, 2);
    let error = train(&recipe, setup, &options, &mut Heard::default()).unwrap_err();
    assert_eq!(error.to_string(), "a worker panicked in the training pass: the graph is broken");
}
