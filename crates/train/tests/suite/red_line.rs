//! The gap between sampler and trainer: a metric of every run, and above its red line an end or a correction.

use crate::toys::{self, bandit::Bandit};
use cohort_core::{
    ParameterInfo, Policy, PolicyError, Precision, Request, RowSpec, Rows, Sample, Sampler, Tape, policy::Asset,
};
use cohort_env::{View, from_fn};
use cohort_train::{
    Error, MaskSource, Setup, Summary,
    observe::{Event, Observer},
    run_dir::Start,
    train,
};
use serde_json::Value;

/// A bandit whose sampler says that every action was less likely than it was.
struct Apart {
    inner: Bandit,
    gap: f64,
    precision: Precision,
}

impl Sampler for Apart {
    fn sample(&self, requests: &[Request]) -> Result<Vec<Sample>, PolicyError> {
        let mut samples = self.inner.sample(requests)?;
        for sample in &mut samples {
            sample.behaviour.logp.iter_mut().for_each(|logp| *logp -= self.gap);
        }
        Ok(samples)
    }

    fn position_limit(&self) -> Option<usize> {
        None
    }

    fn precision(&self) -> Precision {
        self.precision
    }
}

impl Policy for Apart {
    fn rows(&self, samples: &[&Sample], spec: RowSpec) -> Result<Vec<Rows>, PolicyError> {
        self.inner.rows(samples, spec)
    }

    fn forward<'a>(
        &'a self,
        samples: &[&Sample],
        spec: RowSpec,
    ) -> Result<(Vec<Rows>, Box<dyn Tape + 'a>), PolicyError> {
        self.inner.forward(samples, spec)
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
}

#[derive(Default)]
struct Heard(Vec<String>);

impl Observer for Heard {
    fn event(&mut self, event: Event<'_>) {
        if let Event::Warning(warning) = event {
            self.0.push(warning.to_owned());
        }
    }
}

struct Ran {
    result: Result<Summary, Error>,
    warnings: Vec<String>,
    metrics: Vec<Value>,
    weights: Option<Vec<u8>>,
}

fn run(gap: f64, precision: Precision, more: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let recipe = toys::recipe(&[&["train.steps=3"][..], more].concat());
    let policy = Apart { inner: Bandit::new(), gap, precision };
    let verifier = from_fn("toy", (0.0, 10.0), |view: &View<'_>| f64::from(view.payloads[0][0]));
    let setup = Setup { policy: Box::new(policy), world: toys::world(&recipe, verifier), masks: MaskSource::default() };
    let mut heard = Heard::default();
    let result = train(&recipe, setup, &toys::options(&run, Start::Fresh, 1), &mut heard);
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    let metrics = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let weights = std::fs::read(run.join("checkpoints/last/model.safetensors")).ok();
    Ran { result, warnings: heard.0, metrics, weights }
}

const CORRECTED: &str = "objective.mismatch.truncate.cap=2";

#[test]
fn below_the_line_it_is_a_metric() {
    let ran = run(5e-6, Precision::F32, &[]);
    let summary = ran.result.unwrap();
    assert!((summary.logp_gap_max.unwrap() - 5e-6).abs() < 1e-12);
    assert_eq!(ran.metrics.len(), 3);
    for line in &ran.metrics {
        assert!((line["logp_gap"].as_f64().unwrap() - 5e-6).abs() < 1e-12, "{line}");
        assert!(line.get("logp_gap/corrected").is_none());
    }
    assert!(ran.warnings.is_empty(), "{:?}", ran.warnings);
}

#[test]
fn above_it_the_run_ends() {
    let ran = run(2e-5, Precision::F32, &[]);
    let error = ran.result.unwrap_err();
    assert!(matches!(error, Error::Mismatch { step: 1, red_line: 1e-5, .. }), "{error}");
    assert_eq!(error.exit_status(), 1);
    assert!(error.to_string().contains("objective.mismatch"), "{error}");
}

#[test]
fn above_it_a_recipe_that_corrects_goes_on_and_says_so() {
    let ran = run(0.5, Precision::F32, &[CORRECTED]);
    ran.result.unwrap();
    let [warning] = &ran.warnings[..] else { panic!("{:?}", ran.warnings) };
    assert!(["step 1", "1e-5", "objective.mismatch"].iter().all(|part| warning.contains(part)), "{warning}");
    assert_eq!(ran.metrics.len(), 3);
    assert!(ran.metrics.iter().all(|line| line["logp_gap/corrected"] == 1.0), "{:?}", ran.metrics);
    // The correction is in the updates: without a gap they are others.
    let none = run(0.0, Precision::F32, &[CORRECTED]);
    assert!(none.warnings.is_empty() && none.metrics.iter().all(|line| line.get("logp_gap/corrected").is_none()));
    let plain = run(0.0, Precision::F32, &[]);
    assert_eq!(none.weights.unwrap(), plain.weights.unwrap(), "a gap of 0 is a weight of 1");
}

#[test]
fn low_precision_is_held_to_a_mean() {
    let ran = run(4e-3, Precision::Bf16, &[]);
    ran.result.unwrap();
    assert!(ran.metrics.iter().all(|line| (line["logp_gap/mean"].as_f64().unwrap() - 4e-3).abs() < 1e-9));
    let error = run(6e-3, Precision::Bf16, &[]).result.unwrap_err();
    assert!(matches!(error, Error::OutsideMismatch { red_line: 5e-3, .. }), "{error}");
}

#[test]
fn it_is_measured_whatever_is_trained() {
    // Rows at temperature 1 are not the sampler's; those of the comparison are computed for it.
    let keys = ["objective.at=one", "rollout.temperature=0.8"];
    let ran = run(5e-6, Precision::F32, &keys);
    assert!((ran.result.unwrap().logp_gap_max.unwrap() - 5e-6).abs() < 1e-12);
    assert!(matches!(run(2e-5, Precision::F32, &keys).result, Err(Error::Mismatch { .. })));
}
