//! From a judge's words to verdicts.

use cohort_core::Outcome;
use minijinja::{Value, context, value::Serde};

use super::{
    chat::{Chat, Heard},
    mode::{Calls, Criterion, Mode, Pairwise, Rubric, pairs},
    prompt::Prompt,
    reading::{self, Reader},
};
use crate::verifier::{Asked, Reach, Verdict, Verifier, View, program::together};

pub(super) struct Scorer {
    pub chat: Chat,
    pub prompt: Prompt,
    pub reader: Reader,
    pub mode: Mode,
    pub range: [f64; 2],
}

impl Scorer {
    /// Asks one question about a view.
    fn ask<R>(&self, view: &View, more: Value, read: impl Fn(&str) -> Result<R, String>) -> Heard<R> {
        match self.prompt.messages(view, self.range, more) {
            Ok(messages) => self.chat.ask(&messages, read),
            Err(reason) => {
                let reason = format!("{reason} ({})", view.item.origin);
                Heard { read: Err(Outcome::error(reason)), asked: Asked::default(), tokens: [0, 0] }
            }
        }
    }

    fn score_in_range(&self, said: &str) -> Result<f64, String> {
        self.held(self.reader.score(said).ok_or("gave no score that can be read")?)
    }

    /// A judge that leaves the range has not done what it was asked.
    fn held(&self, score: f64) -> Result<f64, String> {
        let [low, high] = self.range;
        match (low..=high).contains(&score) {
            true => Ok(score),
            false => Err(format!("gave {score}, outside {low} to {high}")),
        }
    }

    fn scored(&self, view: &View) -> Verdict {
        let heard = self.ask(view, context! {}, |said| self.score_in_range(said));
        let outcome = heard.read.map_or_else(|failed| failed, Outcome::scored);
        self.with_tokens(outcome.into(), heard.tokens, heard.asked)
    }

    /// The weighted mean of the criteria's scores; without one of them there is none.
    fn by_rubric(&self, rubric: &Rubric, view: &View) -> Verdict {
        let Rubric { criteria, calls } = rubric;
        let (scores, tokens, asked) = match calls {
            Calls::Once => {
                let names: Vec<&str> = criteria.iter().map(|c| c.name.as_str()).collect();
                let more = context! { criteria => Value::from(Serde(criteria)) };
                let Heard { read, tokens, asked } = self.ask(view, more, |said| {
                    let scores = reading::scores(said, &names).ok_or("gave no score for each criterion")?;
                    scores.into_iter().map(|score| self.held(score)).collect::<Result<Vec<f64>, String>>()
                });
                (read, tokens, asked)
            }
            Calls::Each => {
                let heard = together(criteria.len(), self.chat.service.concurrency(), |at| {
                    let more = context! { criterion => Value::from(Serde(&criteria[at])) };
                    self.ask(view, more, |said| self.score_in_range(said))
                });
                let (tokens, asked) = sum(&heard);
                let named = heard.into_iter().zip(criteria).map(|(heard, criterion)| {
                    heard.read.map_err(|failed| match failed {
                        Outcome::Error { reason } => Outcome::error(format!("`{}`: {reason}", criterion.name)),
                        other => other,
                    })
                });
                (named.collect(), tokens, asked)
            }
        };
        let verdict = match scores {
            Err(failed) => failed.into(),
            Ok(scores) => {
                let weights: f64 = criteria.iter().map(|c| c.weight).sum();
                let total: f64 = criteria.iter().zip(&scores).map(|(c, score)| c.weight * score).sum();
                let [low, high] = self.range;
                // A mean of numbers of the range is in it, but for its last bit.
                let outcome = Outcome::scored((total / weights).clamp(low, high));
                let named = criteria.iter().zip(scores);
                named.fold(Verdict::from(outcome), |v, (Criterion { name, .. }, score)| v.with(name, score))
            }
        };
        self.with_tokens(verdict, tokens, asked)
    }

    /// The share of its comparisons that each completion wins. Each pair is shown in both orders; who is better wherever it stands
    /// wins, and a judge that prefers a place says that they are equal.
    fn by_comparison(&self, Pairwise { opponents }: &Pairwise, views: &[View]) -> Vec<Verdict> {
        let pairs = pairs(views.len(), *opponents);
        // The same text cannot be better than itself.
        let is_tie = |&(a, b): &(usize, usize)| views[a].completion == views[b].completion;
        let heard = together(2 * pairs.len(), self.chat.service.concurrency(), |at| {
            let pair @ (a, b) = pairs[at / 2];
            if is_tie(&pair) {
                return Heard { read: Ok(0.5), asked: Asked::default(), tokens: [0, 0] };
            }
            let (first, second) = if at % 2 == 0 { (a, b) } else { (b, a) };
            let more = context! { first => views[first].completion, second => views[second].completion };
            self.ask(&views[first], more, |said| {
                reading::winner(said).ok_or_else(|| "said neither A nor B nor tie".to_owned())
            })
        });
        (0..views.len())
            .map(|i| {
                let (mut wins, mut count, mut failed) = (0.0, 0.0, None);
                let (mut tokens, mut asked) = ([0, 0], Asked::default());
                for (&(a, b), orders) in pairs.iter().zip(heard.chunks_exact(2)) {
                    if i != a && i != b {
                        continue;
                    }
                    for (order, heard) in orders.iter().enumerate() {
                        let is_first = (order == 0) == (i == a);
                        match &heard.read {
                            Ok(first_wins) => wins += if is_first { *first_wins } else { 1.0 - first_wins },
                            Err(outcome) => failed = failed.or(Some(outcome.clone())),
                        }
                        count += 1.0;
                        asked.seconds = asked.seconds.max(heard.asked.seconds);
                        // What a comparison took is booked to the one that stood first.
                        if is_first {
                            tokens = [tokens[0] + heard.tokens[0], tokens[1] + heard.tokens[1]];
                            let seconds = asked.seconds;
                            asked += heard.asked;
                            asked.seconds = seconds;
                        }
                    }
                }
                let verdict = match failed {
                    Some(failed) => failed.into(),
                    // Nobody to compare it with.
                    None if count == 0.0 => Outcome::Abstain.into(),
                    None => Verdict::from(Outcome::scored(wins / count)).with("comparisons", count),
                };
                self.with_tokens(verdict, tokens, asked)
            })
            .collect()
    }

    fn with_tokens(&self, verdict: Verdict, tokens @ [prompt, completion]: [u64; 2], asked: Asked) -> Verdict {
        let mut verdict = verdict.asked(asked);
        if tokens != [0, 0] {
            verdict = verdict.with("prompt_tokens", prompt).with("completion_tokens", completion);
            if let Some(price) = self.chat.price {
                verdict = verdict.with("cost", price.of(tokens));
            }
        }
        verdict
    }
}

/// Tokens and requests of several questions; they were asked at once, so the time is that of the slowest.
fn sum<R>(heard: &[Heard<R>]) -> ([u64; 2], Asked) {
    let mut asked = Asked::default();
    let mut tokens = [0, 0];
    let mut slowest = 0.0f64;
    for one in heard {
        asked += one.asked;
        tokens = [tokens[0] + one.tokens[0], tokens[1] + one.tokens[1]];
        slowest = slowest.max(one.asked.seconds);
    }
    (tokens, Asked { seconds: slowest, ..asked })
}

impl Verifier for Scorer {
    fn name(&self) -> &str {
        "judge"
    }

    fn range(&self) -> (f64, f64) {
        self.range.into()
    }

    /// The whole group in every mode: its completions are asked about at once.
    fn reach(&self) -> Reach {
        Reach::Group
    }

    fn at_once(&self) -> usize {
        self.chat.service.concurrency()
    }

    fn score(&self, view: &View) -> Verdict {
        match &self.mode {
            Mode::Score => self.scored(view),
            Mode::Rubric(rubric) => self.by_rubric(rubric, view),
            // Nobody to compare it with.
            Mode::Pairwise(_) => Outcome::Abstain.into(),
        }
    }

    fn score_group(&self, views: &[View]) -> Vec<Verdict> {
        match &self.mode {
            Mode::Pairwise(pairwise) => self.by_comparison(pairwise, views),
            Mode::Score | Mode::Rubric(_) => {
                together(views.len(), self.chat.service.concurrency(), |at| self.score(&views[at]))
            }
        }
    }
}
