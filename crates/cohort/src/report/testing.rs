//! Run directories made by hand.

use std::{fs, path::Path};

use cohort_train::{
    Seconds,
    evaluate::Evaluation,
    preflight::Preflight,
    run::{BeforeAfter, Summary},
    run_dir::{Manifest, RunState, Tokens},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A recipe that can be read, with a few lines to change.
pub const RECIPE: &str = include_str!("../../../../recipes/quickstart.toml");

/// A run of `steps` steps that went well; tests change what they are about.
pub struct Synthetic {
    pub folder: TempDir,
    pub manifest: Manifest,
    pub recipe: String,
    /// Whole lines of `metrics.jsonl`.
    pub metrics: Vec<Value>,
    pub rollouts: Vec<Value>,
    pub timings: Vec<Value>,
}

impl Synthetic {
    pub fn new(steps: u64) -> Self {
        let manifest = Manifest {
            format: 1,
            name: "quickstart".to_owned(),
            state: RunState::Complete,
            stage: "rl".to_owned(),
            step: steps,
            seed: 7,
            recipe_hash: "ab12".to_owned(),
            cohort_version: "0.1.0".to_owned(),
            cpu: "avx2".to_owned(),
            tokens: Tokens { prompt: 1200, completion: 34567 },
            seconds: Seconds {
                total: 100.0,
                sample: 30.0,
                reward: 1.0,
                train: 60.0,
                save: 2.0,
                eval: 5.0,
                ..Seconds::default()
            },
            asked_steps: steps,
            preflight: Some(Preflight {
                prompts: 16,
                completions: 128,
                pass_rate: 0.25,
                signal: 0.875,
                ..Preflight::default()
            }),
            before: Some(evaluation(0.25)),
            after: Some(evaluation(0.75)),
            ..Manifest::default()
        };
        let recipe = RECIPE.to_owned();
        let metrics = (1..=steps).map(|step| Self::step(step, steps)).collect();
        let rollouts = (1..=steps).flat_map(|step| (0..4).map(move |episode| Self::episode(step, episode))).collect();
        let timing = |step| json!({ "stage": "rl", "step": step, "seconds": { "total": 1.5, "sample": 0.5, "train": 1.0 }, "peak_rss_bytes": 1 << 28 });
        let timings = (1..=steps).map(timing).collect();
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder, manifest, recipe, metrics, rollouts, timings }
    }

    /// Metrics that rise with a little ripple.
    fn step(step: u64, steps: u64) -> Value {
        let done = step as f64 / steps as f64;
        let ripple = 0.02 * (step as f64 * 2.3).sin();
        let correct = 0.25 + 0.5 * done + ripple;
        json!({ "stage": "rl", "step": step, "clip_fraction": 0.0, "correct": correct, "entropy": 0.2 - 0.1 * done,
            "grad_norm": 0.3 + ripple, "groups/signal": 0.8 - 0.3 * done, "length/mean": 20.0 + ripple, "logp_gap": 0.0,
            "lr": 2e-4, "ratio_max": 1.0, "reward/answer": correct, "reward/format": 0.99, "reward/mean": correct + 0.99,
            "reward/unscored": 0.0, "truncated": 0.0 })
    }

    fn episode(step: u64, episode: usize) -> Value {
        let value = (episode % 2) as f64;
        json!({ "step": step, "key": 3, "origin": "arithmetic item 3", "prompt": "1+2=", "completion": format!("<b>{episode}</b>"),
            "stop": { "end": 1 }, "correct": value == 1.0,
            "rewards": { "answer": { "outcome": "scored", "value": value }, "format": { "outcome": "scored", "value": 1.0 } },
            "reward": value + 1.0, "cost": {}, "slot": 0, "episode": episode,
            "samples": [{ "context_tokens": 4, "tokens": [8, 9, 1], "text": "12", "stop": { "end": 1 }, "policy_version": step - 1,
                "coefficient": [value - 0.5], "logp": [-0.5, -0.25, -0.125], "entropy": [0.5, 0.25, 0.1], "d_logp": [0.01, 0.02, 0.03] }],
            "advantage": value - 0.5 })
    }

    /// Sets a metric of every step.
    pub fn with(mut self, name: &str, value: impl Fn(u64) -> f64) -> Self {
        for line in &mut self.metrics {
            let step = line["step"].as_u64().unwrap_or(0);
            line[name] = json!(value(step));
        }
        self
    }

    /// Replaces a line of the recipe.
    pub fn recipe(mut self, from: &str, to: &str) -> Self {
        assert!(self.recipe.contains(from), "{from}");
        self.recipe = self.recipe.replace(from, to);
        self
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes all files but the summary.
    pub fn write(self) -> Self {
        let lines = |values: &[Value]| values.iter().map(|v| format!("{v}\n")).collect::<String>();
        self.put("manifest.json", &json!(self.manifest).to_string());
        self.put("recipe.toml", &self.recipe);
        self.put("metrics.jsonl", &lines(&self.metrics));
        self.put("rollouts.jsonl", &lines(&self.rollouts));
        self.put("timings.jsonl", &lines(&self.timings));
        self
    }

    /// Writes the summary too.
    pub fn finish(self) -> Self {
        let run = self.write();
        let m = &run.manifest;
        let summary = Summary {
            status: m.state,
            name: m.name.clone(),
            steps: m.step,
            seed: m.seed,
            ended: "all steps are done".to_owned(),
            eval: BeforeAfter { before: m.before.clone(), after: m.after.clone(), ema: None },
            seconds: m.seconds,
            tokens: m.tokens,
            peak_rss_bytes: Some(3 << 28),
            peak_anonymous_bytes: Some(2 << 28),
            memory_plan: None,
            reward_model: None,
            score_steps: None,
            examples: 0,
            logp_gap_max: Some(0.0),
            best: None,
            preflight: m.preflight.clone(),
            sandbox: cohort_env::Sandbox::Jail,
            recipe_hash: m.recipe_hash.clone(),
            cohort_version: m.cohort_version.clone(),
            cpu: m.cpu.clone(),
        };
        run.put("summary.json", &json!(summary).to_string());
        run
    }

    pub fn put(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
}

/// An evaluation of 512 prompts with an interval of five points on either side.
pub fn evaluation(greedy: f64) -> Evaluation {
    let mut e = Evaluation { n: 512, mean_length: 20.0, ..Evaluation::default() };
    for (name, value) in [("greedy", greedy), ("pass@1", greedy - 0.1), ("pass@8", 0.9)] {
        e.accuracy.insert(name.to_owned(), value);
        e.interval.insert(name.to_owned(), [value - 0.05, value + 0.05]);
    }
    e
}
