//! Every verifier that a recipe can name, one line each.

use serde::{Deserialize, Serialize};

use super::{
    Described, Means, Verifier, VerifierError, answer::Answer, code, format, geometry, json, judge, length,
    math::MathAnswer, pattern::Pattern, program, ranking, signal, text,
};

/// The parameters of a verifier, as a recipe writes them.
pub trait Configured {
    const DESCRIBED: Described;

    /// What can be said of the parameters alone: nothing is opened, nothing is asked.
    ///
    /// # Errors
    /// Parameters that contradict each other or do not parse.
    fn check(&self) -> Result<(), VerifierError>;

    /// # Errors
    /// Those of [`Configured::check`], and what the verifier needs and `means` do not give.
    fn build(&self, means: &Means) -> Result<Box<dyn Verifier>, VerifierError>;
}

macro_rules! verifiers {
    ($($variant:ident($config:ty),)*) => {
        /// The verifiers that a recipe can name.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case", deny_unknown_fields)]
        pub enum VerifierConfig {
            $($variant($config),)*
        }

        /// Every verifier in words, in the order of the recipe's enum.
        pub const DESCRIBED: &[Described] = &[$(<$config as Configured>::DESCRIBED,)*];

        impl VerifierConfig {
            /// See [`Configured::check`].
            pub fn check(&self) -> Result<(), VerifierError> {
                match self {
                    $(VerifierConfig::$variant(config) => config.check(),)*
                }
            }

            /// See [`Configured::build`].
            pub fn build(&self, means: &Means) -> Result<Box<dyn Verifier>, VerifierError> {
                match self {
                    $(VerifierConfig::$variant(config) => config.build(means),)*
                }
            }
        }
    };
}

verifiers! {
    Regex(Pattern),
    Answer(Answer),
    MathAnswer(MathAnswer),
    Ndcg(ranking::ndcg::Ndcg),
    RecallAtK(ranking::recall::RecallAtK),
    Mrr(ranking::mrr::Mrr),
    ScoreDivergence(ranking::divergence::ScoreDivergence),
    Catalogue(ranking::catalogue::Catalogue),
    RankGains(ranking::gains::RankGains),
    JsonSchema(json::schema::JsonSchema),
    FieldF1(json::field_f1::FieldF1),
    PythonTests(code::python::PythonTests),
    Sql(super::sql::Sql),
    VerilogTestbench(super::verilog::VerilogTestbench),
    Tags(format::tags::Tags),
    MultipleChoice(format::choice::MultipleChoice),
    Categorical(format::categorical::Categorical),
    Abstention(format::abstention::Abstention),
    Numeric(format::numeric::Numeric),
    SetMatch(format::sets::SetMatch),
    Coverage(format::coverage::Coverage),
    Metadata(format::coverage::Metadata),
    Length(length::Length),
    EditSimilarity(text::edit::EditSimilarity),
    DifflibRatio(text::difflib::DifflibRatio),
    Wer(text::error_rate::Wer),
    Cer(text::error_rate::Cer),
    Rouge(text::rouge::Rouge),
    Bleu(text::bleu::Bleu),
    NgramJaccard(text::ngram::NgramJaccard),
    Embedding(super::embedding::Embedding),
    Repetition(text::repetition::Repetition),
    Redundancy(text::repetition::Redundancy),
    Iou(geometry::iou::Iou),
    MatchedBoxes(geometry::matched::MatchedBoxes),
    MatchedPoints(geometry::matched::MatchedPoints),
    TemporalIou(geometry::interval::TemporalIou),
    PathFidelity(geometry::path::PathFidelity),
    WeightedActions(geometry::actions::WeightedActions),
    Ssim(signal::image::Ssim),
    EdgeSimilarity(signal::image::EdgeSimilarity),
    ForegroundSimilarity(signal::image::ForegroundSimilarity),
    PitchAccuracy(signal::pitch::PitchAccuracy),
    LogSpectral(signal::spectrum::LogSpectral),
    Command(program::command::Command),
    Http(program::http::Http),
    Judge(judge::Judge),
    Noisy(super::noisy::Noisy),
    Trained(super::trained::TrainedModel),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The descriptions carry the words of the recipe's enum, in its order.
    #[test]
    fn every_verifier_is_described_under_its_own_word() {
        let error = serde_json::from_str::<VerifierConfig>("\"none such\"").unwrap_err().to_string();
        let (_, expected) = error.split_once("expected").unwrap();
        let words: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        let described: Vec<&str> = DESCRIBED.iter().map(|d| d.name).collect();
        assert_eq!(described, words);
        assert!(DESCRIBED.iter().all(|d| !d.source.is_empty() && !d.summary.is_empty() && !d.range.is_empty()));
    }

    #[test]
    fn a_recipe_names_a_verifier_and_its_parameters() {
        let parse = |json| serde_json::from_str::<VerifierConfig>(json);
        let build = |json| parse(json).unwrap().build(&Means::default()).unwrap();
        assert_eq!(build(r#"{"answer": {"tag": "answer"}}"#).name(), "answer");
        assert_eq!(build(r#"{"regex": {"pattern": "x", "mode": "search", "dot": "any"}}"#).name(), "regex");
        for (json, part) in [
            (r#"{"regex": {"patern": "x"}}"#, "patern"),
            (r#"{"answer": {"compare": "about"}}"#, "about"),
            (r#"{"no_such_term": {}}"#, "no_such_term"),
            (r#"{"regex": {}}"#, "pattern"),
        ] {
            let error = parse(json).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
