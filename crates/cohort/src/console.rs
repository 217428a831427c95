//! What a run looks like while it goes on: a bar on a terminal, one plain line a step elsewhere.

use std::{fmt::Write, path::Path};

use cohort_train::{
    Recipe, Seconds, Setup, Summary,
    evaluate::Evaluation,
    observe::{Event, Observer},
    preflight::Preflight,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Metrics that a step's line shows, with their short names; a bare loss is not among them, since on-policy it is
/// 0 by construction.
const SHOWN: [(&str, &str); 9] = [
    ("reward/mean", "reward"),
    ("correct", "right"),
    ("groups/signal", "signal"),
    ("clip_fraction", "clip"),
    ("kl", "kl"),
    ("entropy", "entropy"),
    ("grad_norm", "grad"),
    ("length/mean", "len"),
    ("truncated", "cut"),
];

/// Watches a run on stderr.
pub struct Console {
    is_terminal: bool,
    bar: Option<ProgressBar>,
    spent: Seconds,
}

impl Console {
    pub fn new(is_terminal: bool) -> Self {
        Self { is_terminal, bar: None, spent: Seconds::default() }
    }

    /// The opening lines: what will run, where.
    pub fn head(&self, recipe: &Recipe, setup: &Setup, run_dir: &Path) {
        let parameters: usize = setup.policy.parameters().iter().map(|p| p.element_count()).sum();
        let task = &setup.world.task;
        self.line(&format!("{}: {}", recipe.name, recipe.about));
        self.line(&format!(
            "policy {:.2} M parameters; prompts {} train, {} dev, {} test; run {}",
            parameters as f64 / 1e6,
            task.train.len(),
            task.dev.len(),
            task.test.len(),
            run_dir.display()
        ));
        if recipe.train.inner_epochs == 1 {
            self.line("one update a batch: every ratio is exactly 1, so the clip is inert and the surrogate is 0 by construction");
        }
    }

    /// Takes the bar away.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    fn start(&mut self, stage: &str, from: u64, steps: u64) {
        self.finish();
        self.spent = Seconds::default();
        if !self.is_terminal {
            return self.line(&format!("stage {stage}: steps {} to {steps}", from + 1));
        }
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
        // The first line is how far it is and where the time goes, the second what the step showed.
        let style = ProgressStyle::with_template(&format!(
            "{stage} {{bar:20}} {{pos}}/{{len}}  eta {{eta}}  {{prefix}}\n{{wide_msg}}"
        ));
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_position(from);
        self.bar = Some(bar);
    }

    fn step(&mut self, stage: &str, step: u64, steps: u64, metrics: &[(&str, f64)], seconds: Seconds, tokens: u64) {
        let mut text = String::new();
        let value = |name: &str| metrics.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        for (name, short) in SHOWN {
            if let Some(value) = value(name) {
                let _ = write!(text, "{short} {value:.3}  ");
            }
        }
        for (name, value) in metrics.iter().filter(|(n, _)| is_part(n)) {
            let _ = write!(text, "{} {value:.3}  ", name.trim_start_matches("reward/"));
        }
        if let Some(nll) = value("negative_log_likelihood") {
            let _ = write!(text, "nll {nll:.4}  ");
        }
        let rate = match tokens {
            0 => String::new(),
            _ => format!("{:.0} tok/s  ", tokens as f64 / seconds.total.max(1e-9)),
        };
        self.spent += seconds;
        match &self.bar {
            Some(bar) => {
                bar.set_position(step);
                bar.set_prefix(format!("{rate}{}", budget(&self.spent)));
                bar.set_message(text);
            }
            None => self.line(&format!("{stage} {step}/{steps}  {text}{rate}{:.2} s", seconds.total)),
        }
    }
}

/// Whether a metric is a reward term's mean or a count of verdicts that were none.
fn is_part(name: &str) -> bool {
    name.starts_with("reward/") && !matches!(name, "reward/mean" | "reward/unscored")
}

/// Where the seconds went, phase by phase.
fn budget(seconds: &Seconds) -> String {
    let phases = [
        ("sample", seconds.sample),
        ("reward", seconds.reward),
        ("score", seconds.score),
        ("train", seconds.train),
        ("save", seconds.save),
        ("eval", seconds.eval),
    ];
    let all: f64 = phases.iter().map(|(_, s)| s).sum();
    let shares =
        phases.iter().filter(|(_, s)| *s > 0.005 * all).map(|(name, s)| format!("{name} {:.0} %", 100.0 * s / all));
    shares.collect::<Vec<_>>().join(", ")
}

impl Observer for Console {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::StageStarted { stage, from, steps } => self.start(stage, from, steps),
            Event::Step { stage, step, steps, metrics, seconds, tokens } => {
                self.step(stage, step, steps, metrics, seconds, tokens);
            }
            Event::StageEnded { stage, step, reason } => {
                self.finish();
                self.line(&format!("stage {stage} ended at step {step}: {reason}"));
                self.line(&format!("  time: {}", budget(&self.spent)));
            }
            Event::Preflight(look) => self.line(&preflight(look)),
            Event::Evaluation { when, split, evaluation: e } => {
                self.line(&format!("{when}, {split}: {}", accuracies(e)));
            }
            Event::Saved { .. } => {}
            Event::Note(text) => self.line(text),
            Event::Warning(text) => self.line(&format!("warning: {text}")),
        }
    }
}

fn preflight(look: &Preflight) -> String {
    format!(
        "before training, {} prompts with {} completions: {:.1} % right, {:.0} % of the groups have a signal, {:.0} % cut at the cap, \
         mean length {:.1}",
        look.prompts,
        look.completions,
        100.0 * look.pass_rate,
        100.0 * look.signal,
        100.0 * look.truncated,
        look.mean_length
    )
}

fn accuracies(e: &Evaluation) -> String {
    let parts: Vec<String> = e
        .accuracy
        .iter()
        .filter(|(name, _)| !name.contains('/'))
        .map(|(name, value)| format!("{name} {value:.3}"))
        .collect();
    format!("{} ({} prompts)", parts.join("  "), e.n)
}

/// Of the column of names.
fn width(e: &Evaluation) -> usize {
    e.accuracy.keys().map(String::len).max().unwrap_or(0).max(10)
}

/// An evaluation as a table.
pub fn evaluation(e: &Evaluation) -> String {
    let width = width(e);
    let mut text = format!("{:<width$} {:>7}   95 % interval   ({} prompts)\n", "", "", e.n);
    for (name, value) in &e.accuracy {
        let interval = e.interval.get(name).map_or(String::new(), |[low, high]| format!("{low:.3} .. {high:.3}"));
        let _ = writeln!(text, "{name:<width$} {value:>7.3}   {interval}");
    }
    let _ = write!(text, "cut at the cap {:.1} %, mean length {:.1}", 100.0 * e.truncated, e.mean_length);
    text
}

/// The table that a run ends with.
pub fn table(summary: &Summary) -> String {
    let mut text = format!("\n{} (seed {}): {} steps, {}\n", summary.name, summary.seed, summary.steps, summary.ended);
    if let (Some(before), Some(after)) = (&summary.eval.before, &summary.eval.after) {
        let width = width(after);
        let _ = writeln!(
            text,
            "\n{:<width$} {:>8} {:>8}   95 % interval after   ({} held-out prompts)",
            "", "before", "after", after.n
        );
        for (name, value) in &after.accuracy {
            let was = before.get(name).map_or(String::new(), |v| format!("{v:.3}"));
            let interval =
                after.interval.get(name).map_or(String::new(), |[low, high]| format!("{low:.3} .. {high:.3}"));
            let _ = writeln!(text, "{name:<width$} {was:>8} {value:>8.3}   {interval}");
        }
    }
    let _ = write!(
        text,
        "\n{:.0} s in all (cold start {:.0} s; {})",
        summary.seconds.total,
        summary.seconds.cold_start,
        budget(&summary.seconds)
    );
    if let Some(bytes) = summary.peak_rss_bytes {
        let _ = write!(text, "; peak memory {:.0} MB", bytes as f64 / 1e6);
    }
    if let Some(gap) = summary.logp_gap_max {
        let _ = write!(text, "; sampler and trainer differ by at most {gap:.1e} nats");
    }
    text
}
