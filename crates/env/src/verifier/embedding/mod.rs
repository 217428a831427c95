//! `embedding`: how near in meaning a completion is to what the row has.

mod scorer;

use cohort_encoder::Encoder;
use serde::{Deserialize, Serialize};

use super::{Configured, Described, Means, Verifier, VerifierError, reading};
use scorer::Scorer;

/// What a cosine in -1..1 becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mapping {
    /// `max(0, cosine)`.
    #[default]
    Clipped,
    /// `(1 + cosine) / 2`.
    Affine,
}

impl Mapping {
    pub(crate) fn of(self, cosine: f64) -> f64 {
        match self {
            Mapping::Clipped => cosine.max(0.0),
            Mapping::Affine => (1.0 + cosine) / 2.0,
        }
    }
}

/// The cosine of the embeddings of completion and reference, `a . b / (|a| |b|)`, by a sentence encoder of the BERT family on this machine
/// ([`Encoder`]); the nearest of several references. Mapped to 0..1, or 1 and 0 at a threshold.
///
/// The encoder reads so many tokens of a text and no more: what of a long completion lies behind them has no part in the score, and
/// `cut` among the parts says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// The encoder's directory, of transformers or sentence-transformers: a path, `data:NAME` or `hf:org/name[@revision]`.
    pub model: String,
    /// The row's column that the completion is compared with: a text, or a list of texts.
    #[serde(default = "answer")]
    pub against: String,
    /// What a cosine becomes.
    #[serde(default)]
    pub mapping: Mapping,
    /// The least cosine that counts as right: the score is then 1 or 0, and `mapping` is not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// What stands before every text that is encoded, such as `query: `; what the directory says unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// What stands before the row's texts, such as `passage: `; `prefix` unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against_prefix: Option<String>,
    /// The tag whose text is compared, worst where it is missing; the whole completion unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

fn answer() -> String {
    "answer".to_owned()
}

impl Configured for Embedding {
    const DESCRIBED: Described = Described {
        name: "embedding",
        summary: "cosine of the sentence embeddings of the completion and the row's text, by a local encoder",
        range: "0..1",
        reads: &["completion", "the column `answer`, or the one that `against` names: a text or several"],
        parameters: &[
            (
                "model",
                "the encoder's directory (bert, roberta, xlm-roberta, mpnet, distilbert): a path, data:NAME or hf:org/name",
            ),
            ("against", "the row's column; answer unless told. Of several texts the nearest counts"),
            ("mapping", "\"clipped\" (default): max(0, cosine); \"affine\": (1 + cosine) / 2"),
            ("threshold", "the least cosine that is right, in -1..1: the score is then 1 or 0"),
            ("prefix", "what stands before every text, such as \"query: \"; what the directory says unless told"),
            ("against_prefix", "what stands before the row's texts; prefix unless told"),
            ("tag", "the tag that is compared; without it, the whole completion"),
        ],
        source: "Reimers and Gurevych 2019, Sentence-BERT, section 3; sentence-transformers",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())?;
        match self.threshold {
            Some(got) if !(-1.0..=1.0).contains(&got) => {
                Err(VerifierError::BadNumber { parameter: "threshold", got, expected: "a cosine, from -1 to 1" })
            }
            _ => Ok(()),
        }
    }

    fn build(&self, means: &Means) -> Result<Box<dyn Verifier>, VerifierError> {
        self.check()?;
        let encoder = Encoder::open(&means.model("model", &self.model)?)?;
        Ok(Box::new(Scorer::new(encoder, self.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_mappings_end_in_0_and_1() {
        let of = |mapping: Mapping| [-1.0, -0.5, 0.0, 0.5, 1.0].map(|cosine| mapping.of(cosine));
        assert_eq!(of(Mapping::Clipped), [0.0, 0.0, 0.0, 0.5, 1.0]);
        assert_eq!(of(Mapping::Affine), [0.0, 0.25, 0.5, 0.75, 1.0]);
    }
}
