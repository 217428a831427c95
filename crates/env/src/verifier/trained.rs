//! `trained`: what a model says that the run trained itself.

use cohort_core::{Fact, Outcome};
use serde::{Deserialize, Serialize};

use super::{Configured, Described, Means, Verdict, Verifier, VerifierError, View, columns, columns::Fault, reading};
use crate::text_model::{TrainedModels, hardness, sigmoid};

/// `1 / (1 + exp(-slope s))` of the score s that a model of `[reward_model]` gives the completion, in 0..1. A linear model's is the probability
/// that its loss is about; for the curvature StealthRL takes a slope of 0.5.
///
/// Beside a text of the row (`against`) it tells three facts: `against`, the value of that text; `gap`, `against` less the value; and
/// `hardness`, how far the completion is from that text, clause by clause, in 0..1 ([`hardness`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainedModel {
    /// Its name in `reward_model.models`.
    pub model: String,
    /// What the score is multiplied by; above 0.
    #[serde(default = "one")]
    pub slope: f64,
    /// The column with a text that the completion is compared with, such as a demonstration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    /// The tag whose text is scored, worst where it is missing; the whole completion unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

fn one() -> f64 {
    1.0
}

impl Configured for TrainedModel {
    const DESCRIBED: Described = Described {
        name: "trained",
        summary: "what a model says of the completion that a reward_model stage of the run trained",
        range: "0..1",
        reads: &["completion", "prompt", "the model's column, the column that `against` names"],
        parameters: &[
            ("model", "its name in reward_model.models"),
            ("slope", "what the score is multiplied by before the logistic function; 1 unless told"),
            (
                "against",
                "a column with a text: the facts `against` (its value), `gap` (that less the completion's) and `hardness` are told",
            ),
            ("tag", "the tag that is scored; without it, the whole completion"),
        ],
        source: "DR-IRL, arXiv 2503.18991; StealthRL, 2026",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        if self.slope > 0.0 && self.slope.is_finite() {
            return Ok(());
        }
        Err(VerifierError::BadNumber { parameter: "slope", got: self.slope, expected: "above 0" })
    }

    fn build(&self, means: &Means) -> Result<Box<dyn Verifier>, VerifierError> {
        self.check()?;
        Ok(Box::new(Reader { config: self.clone(), trained: means.trained.clone() }))
    }
}

struct Reader {
    config: TrainedModel,
    trained: TrainedModels,
}

impl Reader {
    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let TrainedModel { model: name, slope, against, tag } = &self.config;
        let Some(model) = self.trained.get(name) else {
            let problem = format!("the model `{name}` is not trained: its stage is not over, or this is no run");
            return Ok(Outcome::error(problem).into());
        };
        let value = |text: &str| {
            let score = model.score(view.item, text).map(|score| sigmoid(slope * score));
            let untold = || Fault::because(view, model.by.as_deref().unwrap_or(""), "no model was trained for it");
            score.ok_or_else(untold)
        };
        let said = reading::part(tag.as_deref(), view.completion);
        let own = said.map_or(Ok(0.0), value)?;
        let verdict = Verdict::from(Outcome::scored(own));
        let Some(column) = against else { return Ok(verdict) };
        let other = columns::text(view, column)?;
        let (of_other, far) = (value(&other)?, hardness(said.unwrap_or(""), &other));
        let verdict = verdict.with("against", of_other).with("hardness", far);
        let verdict = verdict.telling("against", Fact::Number(of_other));
        Ok(verdict.telling("gap", Fact::Number(of_other - own)).telling("hardness", Fact::Number(far)))
    }
}

impl Verifier for Reader {
    fn name(&self) -> &str {
        TrainedModel::DESCRIBED.name
    }

    fn range(&self) -> (f64, f64) {
        (0.0, 1.0)
    }

    fn score(&self, view: &View) -> Verdict {
        self.verdict(view).unwrap_or_else(|fault| fault.outcome().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        testing,
        text_model::{Family, Labelled, Ngrams, TextModel, TextModels},
        verifier::judge_one,
    };

    const CONFIG: &str = r#"{"model": "polite", "against": "shown"}"#;

    fn reader(trained: &TrainedModels) -> Box<dyn Verifier> {
        let config: TrainedModel = serde_json::from_str(CONFIG).unwrap();
        config.build(&Means { trained: trained.clone(), ..Means::default() }).unwrap()
    }

    fn number(verdict: &Verdict, name: &str) -> f64 {
        match verdict.facts.get(name) {
            Some(Fact::Number(number)) => *number,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn it_tells_the_gap_to_the_demonstration_and_how_far_it_is() {
        let item = testing::item("hi?", r#"{"kind": "a", "shown": "hello, please"}"#);
        let mut model =
            TextModel::untrained(Family::Ngrams(Ngrams::default()), Some("kind".into()), std::slice::from_ref(&item));
        let told = |text, label| Labelled { prompt: "hi?", text, label };
        let lists = [vec![told("hello, please", 1.0), told("go away", 0.0)]];
        for _ in 0..20 {
            model.family.learn(model.weights.get_mut("a").unwrap(), &lists);
        }
        let trained = TrainedModels::default();
        let reader = reader(&trained);
        let early = judge_one(reader.as_ref(), &testing::view(&item, "go away")).outcome;
        assert!(matches!(early, Outcome::Error { .. }), "before the stage is over: {early:?}");

        trained.set(TextModels::from([("polite".to_owned(), model)]));
        let of = |completion| judge_one(reader.as_ref(), &testing::view(&item, completion));
        let (good, bad) = (of("hello, please"), of("go away"));
        assert!(good.outcome.value() > Some(0.6) && bad.outcome.value() < Some(0.4));
        assert_eq!(number(&good, "gap"), 0.0);
        assert!(number(&good, "hardness") < 1e-6 && number(&bad, "hardness") > 0.5);
        assert_eq!(number(&bad, "gap"), number(&bad, "against") - bad.outcome.value().unwrap());

        let other = testing::item("hi?", r#"{"kind": "b", "shown": "hello"}"#);
        let outcome = judge_one(reader.as_ref(), &testing::view(&other, "hello")).outcome;
        assert!(format!("{outcome:?}").contains("`kind`"), "{outcome:?}");
    }
}
