//! `rank_gains`: what each place of a list of recommendations is worth.

use std::collections::HashSet;

use cohort_core::{Fact, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    super::{
        Described, Verdict, VerifierError, View, columns,
        columns::Fault,
        pure::{Pure, at_least},
        reading,
    },
    catalogue::Shelf,
    titles::{self, Title},
};

/// What place k is worth, with `hit_k` 1 where its title is one of the answers that no earlier place took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// `r_k = hit_k`.
    #[default]
    Indicator,
    /// `r_k = sum_{j >= k} hit_j d_j`, `d_1 = 1`, `d_j = 1 / log2(j + 1)`: what this place and those below it bring.
    LogDecay,
}

/// A hit is a title that is in the catalogue (where there is one), was not seen before, and is an answer not yet taken; the part and fact `gains` has
/// `r_k` of every place. The score is the discounted gain of the list, `sum hit_j d_j`, over that of the best list of the same length
/// with these answers; for `indicator` d is 1, so it is the share of hits among min(answers, places); in 0..1. A line that is no
/// title makes the list unreadable: all zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RankGains {
    pub shape: Shape,
    pub places: usize,
    pub years: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for RankGains {
    fn default() -> Self {
        Self { shape: Shape::default(), places: 20, years: 2, tag: None }
    }
}

impl Pure for RankGains {
    const DESCRIBED: Described = Described {
        name: "rank_gains",
        summary: "hits of a list of recommendations, with the gain of every place in the part `gains`",
        range: "0..1",
        reads: &[
            "completion: a title a line, as `Title (1999)`",
            "answer: a list of titles",
            "catalogue, seen: lists of titles, where there are any",
        ],
        parameters: &[
            (
                "shape",
                "\"indicator\" (default): a place's own hit; \"log_decay\": this place's and all later ones', discounted",
            ),
            ("places", "places that count; 20 unless told"),
            ("years", "how far years may lie apart; 2 unless told"),
            ("tag", "the tag that holds the list; without it, the whole completion"),
        ],
        source: "Rank-GRPO (ConvRec-R1), exp_inf and log_decay",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        at_least("places", self.places as f64, 1.0, "at least 1")
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let mut answers: Vec<Option<Title>> =
            columns::texts(view, "answer")?.iter().filter_map(|line| Title::read(line)).map(Some).collect();
        let wanted = answers.len().min(self.places);
        if wanted == 0 {
            return Err(columns::fault(view, "answer", "a list of titles, not empty"));
        }
        let catalogue = columns::texts_if_any(view, "catalogue")?;
        let catalogue = (!catalogue.is_empty()).then(|| Shelf::of(catalogue));
        let seen = Shelf::of(columns::texts_if_any(view, "seen")?);
        let text = reading::part(self.tag.as_deref(), view.completion).unwrap_or("");
        let lines: Option<Vec<Title>> = titles::lines(text).into_iter().take(self.places).collect();
        let mut said = HashSet::new();
        let mut hit = |title: &Title| {
            let known = catalogue.as_ref().is_none_or(|shelf| shelf.has(title, self.years));
            let new = said.insert(title.clone()) && !seen.has(title, self.years);
            let taken = answers.iter_mut().find(|a| a.as_ref().is_some_and(|a| a.is(title, self.years)));
            match taken {
                Some(answer) if known && new => {
                    *answer = None;
                    1.0
                }
                _ => 0.0,
            }
        };
        let hits: Vec<f64> = lines.unwrap_or_default().iter().map(&mut hit).collect();
        let worth = |place: usize| match self.shape {
            Shape::Indicator => 1.0,
            Shape::LogDecay => 1.0 / (place as f64 + 2.0).log2(),
        };
        let worths: Vec<f64> = hits.iter().enumerate().map(|(place, hit)| hit * worth(place)).collect();
        let best: f64 = (0..wanted).map(worth).sum();
        let mut gains = worths.clone();
        if self.shape == Shape::LogDecay {
            for place in (1..gains.len()).rev() {
                gains[place - 1] += gains[place];
            }
        }
        let score = (worths.iter().sum::<f64>() / best).clamp(0.0, 1.0);
        let shown: Vec<Value> = gains.iter().copied().map(Value::from).collect();
        Ok(Verdict::from(Outcome::scored(score)).with("gains", shown).telling("gains", Fact::List(gains)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, error, score, verdict},
        *,
    };

    #[test]
    fn every_place_has_its_gain() {
        let row =
            json!({"answer": ["A (2000)", "B (2001)"], "catalogue": ["A (2000)", "B (2001)", "C"], "seen": ["D"]});
        let found = verdict(&RankGains::default(), &row, "A (2001)\nC\nA (2000)\nB (2001)");
        assert_eq!(found.parts["gains"], json!([1.0, 0.0, 0.0, 1.0]));
        assert_eq!(found.outcome, Outcome::scored(1.0));
        let decay = RankGains { shape: Shape::LogDecay, ..RankGains::default() };
        let found = verdict(&decay, &row, "C\nA\nB");
        let (second, third) = (1.0 / 3f64.log2(), 0.5);
        assert_eq!(found.parts["gains"], json!([second + third, second + third, third]));
        close(found.outcome.value().unwrap(), (second + third) / (1.0 + second));
    }

    #[test]
    fn what_is_unknown_late_or_unreadable_is_no_hit() {
        let row = json!({"answer": ["A (2000)", "E"], "catalogue": ["A (2000)"]});
        close(score(&RankGains::default(), &row, "E\nA (2005)"), 0.0);
        close(score(&RankGains { places: 1, ..RankGains::default() }, &row, "x\nA"), 0.0);
        close(score(&RankGains::default(), &row, "A\n(2000)"), 0.0);
        close(score(&RankGains::default(), &row, ""), 0.0);
        assert!(error(&RankGains::default(), &json!({"answer": []}), "x").contains("`answer`"));
    }
}
