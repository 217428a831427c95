//! What a download looks like: a bar a file on a terminal, one plain line elsewhere.

use std::sync::Mutex;

use cohort_hub::Progress;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Watches downloads on stderr.
pub struct Download {
    is_terminal: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Download {
    pub fn new(is_terminal: bool) -> Self {
        Self { is_terminal, bar: Mutex::new(None) }
    }

    fn with_bar(&self, act: impl FnOnce(&mut Option<ProgressBar>)) {
        act(&mut self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

impl Progress for Download {
    fn begin(&self, file: &str, bytes: Option<u64>, here: u64) {
        if !self.is_terminal {
            let size = bytes.map(|b| format!(", {}", HumanBytes(b))).unwrap_or_default();
            let from = if here > 0 { format!(", of which {} are here", HumanBytes(here)) } else { String::new() };
            eprintln!("downloading {file}{size}{from}");
            return;
        }
        let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(match bytes {
            Some(_) => "{prefix} {bar:20} {bytes}/{total_bytes}  {bytes_per_sec}  eta {eta}",
            None => "{prefix} {bytes}  {bytes_per_sec}",
        });
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(file.to_owned());
        bar.set_position(here);
        // The rate is of what comes, not of what was here.
        bar.reset_eta();
        self.with_bar(|slot| *slot = Some(bar));
    }

    fn advance(&self, bytes: u64) {
        self.with_bar(|bar| bar.iter().for_each(|bar| bar.inc(bytes)));
    }

    fn end(&self) {
        self.with_bar(|bar| bar.take().iter().for_each(ProgressBar::finish_and_clear));
    }
}
