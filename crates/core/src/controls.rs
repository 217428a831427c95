//! How a sampler draws and when it stops.

use crate::{sample::StopReason, soft::Soft};

/// How an action is drawn from its distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decoding {
    /// The most probable action; rows are those of temperature 1.
    Greedy,
    /// A draw at this temperature, above 0.
    Temperature(f32),
}

impl Decoding {
    /// The temperature that rows are computed at.
    pub fn row_temperature(self) -> f32 {
        match self {
            Decoding::Greedy => 1.0,
            Decoding::Temperature(t) => t,
        }
    }
}

/// Which actions may be drawn, of a distribution `p` that is at the sampling temperature already.
///
/// The three are applied in this order, each to the distribution that the one before left, renormalised:
///
/// 1. `top_k`: the `k` most probable actions;
/// 2. `top_p`: the actions before which less than `top_p` of the probability stands, the most probable first;
/// 3. `min_p`: the actions of at least `min_p` times the largest probability.
///
/// Actions of equal probability stay or go together, so `top_k` may keep more than `k`. The most probable action always
/// stays. This is the order of transformers' warpers; vLLM applies `min_p` first, which differs where `top_p` is on too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truncation {
    /// At least 1; `None` for all.
    pub top_k: Option<usize>,
    /// In (0, 1]; 1 for all.
    pub top_p: f64,
    /// In [0, 1]; 0 for all.
    pub min_p: f64,
}

impl Truncation {
    /// Every action may be drawn.
    pub const OFF: Self = Self { top_k: None, top_p: 1.0, min_p: 0.0 };

    pub fn is_off(&self) -> bool {
        *self == Self::OFF
    }

    /// Whether the numbers are in range: the name of one that is not, and what is wrong with it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let off = "leave it away to draw from all";
        if self.top_k == Some(0) {
            return Err(("top_k", format!("is 0, and must be at least 1; {off}")));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(("top_p", format!("is {}, and must lie in (0, 1]; {off}", self.top_p)));
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return Err(("min_p", format!("is {}, and must lie in [0, 1]; {off}", self.min_p)));
        }
        Ok(())
    }
}

impl Default for Truncation {
    fn default() -> Self {
        Self::OFF
    }
}

/// How a sampler draws and when it stops: shared by the requests of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Controls {
    pub decoding: Decoding,
    /// Rows are taken before it.
    pub truncation: Truncation,
    /// Cap on new actions a sample, at least 1.
    pub max_actions: usize,
    /// Ids that end a sample, itself included as the last action.
    pub stop: Vec<u32>,
    /// Texts that end a sample: at the first action after which its text, special tokens written out, contains one.
    /// All actions stay as they were drawn, the one that completed the text among them.
    pub stop_texts: Vec<String>,
    /// Ids that are never drawn. A truncation: rows are taken before it.
    pub forbidden: Vec<u32>,
    /// Sequences of ids that never stand in a sample: the last id of one is not drawn where the actions before it are the
    /// others. Sequences of one id are as [`forbidden`](Self::forbidden). Contexts are not looked at. Rows are taken before it.
    pub bad_words: Vec<Vec<u32>>,
    /// How many of the most probable actions are recorded at each position; 0 for none.
    pub alternatives: usize,
    /// How a sample begins, where that is with soft tokens. Bans hold for their candidates, stops for what is recorded of them, and the
    /// [`truncation`](Self::truncation) for what follows.
    pub soft: Option<Soft>,
    /// Recorded in every sample.
    pub policy_version: u64,
}

impl Controls {
    /// Draws without any restriction, at most `max_actions`.
    pub fn new(decoding: Decoding, max_actions: usize) -> Self {
        Self {
            decoding,
            truncation: Truncation::OFF,
            max_actions,
            stop: Vec::new(),
            stop_texts: Vec::new(),
            forbidden: Vec::new(),
            bad_words: Vec::new(),
            alternatives: 0,
            soft: None,
            policy_version: 0,
        }
    }

    /// Whether every control means something, whatever the policy: what does not.
    pub fn check(&self) -> Result<(), String> {
        if let Decoding::Temperature(t) = self.decoding
            && !(t.is_finite() && t > 0.0)
        {
            return Err(format!("sampling temperature of {t}; it must be above 0 (greedy decoding is a mode)"));
        }
        self.truncation.check().map_err(|(name, problem)| format!("{name}: it {problem}"))?;
        if let Some(soft) = &self.soft {
            soft.check().map_err(|(name, problem)| format!("soft tokens: {name} {problem}"))?;
        }
        if self.stop_texts.iter().any(String::is_empty) {
            return Err("empty stop string: every text contains it".to_owned());
        }
        if self.bad_words.iter().any(Vec::is_empty) {
            return Err("bad word without ids: every text contains it".to_owned());
        }
        Ok(())
    }

    /// The text of a sample without the stop string that ended it, and what its last action brought behind it. `text` may
    /// lack special tokens.
    pub fn without_stop(&self, mut text: String, stop: StopReason) -> String {
        if let StopReason::Text(stop) = stop
            && let Some(stop) = self.stop_texts.get(stop as usize)
            && let Some(at) = text.find(stop.as_str())
        {
            text.truncate(at);
        }
        text
    }

    /// The ids that must not be drawn after `actions`, those of [`forbidden`](Self::forbidden) apart.
    pub fn banned_after<'a>(&'a self, actions: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
        self.bad_words.iter().filter_map(|word| {
            let (last, before) = word.split_last()?;
            actions.ends_with(before).then_some(*last)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_nothing_is_named() {
        let usual = Controls::new(Decoding::Temperature(1.0), 8);
        assert_eq!(usual.check(), Ok(()));
        let named = |controls: Controls, word: &str| {
            let problem = controls.check().unwrap_err();
            assert!(problem.contains(word), "{problem}");
        };
        for t in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            named(Controls { decoding: Decoding::Temperature(t), ..usual.clone() }, "temperature");
        }
        let truncated =
            |top_k, top_p, min_p| Controls { truncation: Truncation { top_k, top_p, min_p }, ..usual.clone() };
        named(truncated(Some(0), 1.0, 0.0), "top_k");
        for top_p in [0.0, -0.5, 1.01, f64::NAN] {
            named(truncated(None, top_p, 0.0), "top_p");
        }
        for min_p in [-0.1, 1.01, f64::NAN] {
            named(truncated(None, 1.0, min_p), "min_p");
        }
        assert_eq!(truncated(Some(1), 1e-9, 1.0).check(), Ok(()));
        named(Controls { stop_texts: vec!["a".into(), String::new()], ..usual.clone() }, "stop string");
        named(Controls { bad_words: vec![vec![]], ..usual }, "bad word");
    }

    #[test]
    fn a_stop_string_is_no_part_of_the_text_that_it_ended() {
        let stop_texts = vec!["\n\n".to_owned(), "</a>".to_owned()];
        let controls = Controls { stop_texts, ..Controls::new(Decoding::Greedy, 8) };
        let text = |text: &str, stop| controls.without_stop(text.to_owned(), stop);
        assert_eq!(text("1</a>\n\nx", StopReason::Text(0)), "1</a>");
        assert_eq!(text("1</a>é", StopReason::Text(1)), "1");
        assert_eq!(text("1</a>", StopReason::Length), "1</a>");
        // A special token that was a stop string is not in the text.
        assert_eq!(text("1", StopReason::Text(1)), "1");
    }

    #[test]
    fn a_bad_word_bans_its_last_id_after_the_others() {
        let controls =
            Controls { bad_words: vec![vec![7], vec![1, 2], vec![1, 1, 3]], ..Controls::new(Decoding::Greedy, 8) };
        let after = |actions: &[u32]| controls.banned_after(actions).collect::<Vec<_>>();
        assert_eq!(after(&[]), [7]);
        assert_eq!(after(&[1]), [7, 2]);
        assert_eq!(after(&[5, 1, 1]), [7, 2, 3]);
        assert_eq!(after(&[1, 5]), [7]);
    }
}
