//! From texts to verdicts: what a group needs goes through the encoder at once.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use cohort_core::Outcome;
use cohort_encoder::{EncodeError, Encoder, cosine};

use super::Embedding;
use crate::verifier::{
    Reach, Verdict, Verifier, View,
    cache::{Cache, Key},
    columns::{self, Fault},
    reading,
};

/// References whose embeddings are kept; at 384 numbers each, 25 MB.
const ROOM: usize = 16_384;

type Embedded = Result<Arc<cohort_encoder::Embedding>, EncodeError>;

pub(super) struct Scorer {
    encoder: Encoder,
    config: Embedding,
    /// Before a completion, and before a reference.
    prefixes: [String; 2],
    /// Embeddings of references by their text: a prompt comes back in every epoch.
    kept: Cache<Embedded>,
}

/// One completion and what it is compared with, as they are encoded.
struct Question {
    said: String,
    references: Vec<String>,
}

impl Scorer {
    pub fn new(encoder: Encoder, config: Embedding) -> Self {
        let prefix = config.prefix.clone().unwrap_or_else(|| encoder.prompt().to_owned());
        let against = config.against_prefix.clone().unwrap_or_else(|| prefix.clone());
        Self { encoder, config, prefixes: [prefix, against], kept: Cache::new(ROOM) }
    }

    /// What is to be encoded for a view; `None` where the completion has no tag, and nothing to compare.
    fn question(&self, view: &View) -> Result<Option<Question>, Fault> {
        let references = columns::texts(view, &self.config.against)?;
        if references.is_empty() {
            return Err(Fault::because(view, &self.config.against, "an empty list: there is nothing to compare with"));
        }
        let [prefix, against] = &self.prefixes;
        let part = reading::part(self.config.tag.as_deref(), view.completion);
        Ok(part.map(|part| Question {
            said: format!("{prefix}{part}"),
            references: references.iter().map(|text| format!("{against}{}", text.trim())).collect(),
        }))
    }

    fn verdict(&self, Question { said, references }: &Question, embedded: &HashMap<&str, Embedded>) -> Verdict {
        let of = |text: &str| embedded[text].clone();
        let failed = |e: EncodeError| Verdict::from(Outcome::error(e.to_string()));
        let said = match of(said) {
            Ok(said) => said,
            Err(e) => return failed(e),
        };
        let (mut best, mut nearest) = (f64::NEG_INFINITY, 0);
        for (at, reference) in references.iter().enumerate() {
            match of(reference) {
                Err(e) => return failed(e),
                Ok(reference) => {
                    let cosine = cosine(&said.vector, &reference.vector);
                    if cosine.is_nan() {
                        return Outcome::error("an embedding is not finite: the encoder's numbers overflow").into();
                    }
                    if cosine > best {
                        (best, nearest) = (cosine, at);
                    }
                }
            }
        }
        let outcome = match self.config.threshold {
            Some(threshold) => Outcome::pass_if(best >= threshold),
            None => Outcome::scored(self.config.mapping.of(best)),
        };
        let verdict = Verdict::from(outcome).with("cosine", best).with("nearest", nearest).with("tokens", said.tokens);
        if said.is_cut { verdict.with("cut", true) } else { verdict }
    }
}

impl Verifier for Scorer {
    fn name(&self) -> &str {
        "embedding"
    }

    fn range(&self) -> (f64, f64) {
        (0.0, 1.0)
    }

    /// The whole group: its texts are encoded at once, each of them once.
    fn reach(&self) -> Reach {
        Reach::Group
    }

    fn score(&self, view: &View) -> Verdict {
        self.score_group(std::slice::from_ref(view)).pop().unwrap_or_else(|| Outcome::error("no verdict").into())
    }

    fn score_group(&self, views: &[View]) -> Vec<Verdict> {
        let questions: Vec<Result<Option<Question>, Fault>> = views.iter().map(|view| self.question(view)).collect();
        let whole = || questions.iter().filter_map(|question| question.as_ref().ok()?.as_ref());
        let mut embedded: HashMap<&str, Embedded> = HashMap::new();
        // Each text once, with the key that it is kept under.
        let (mut asked, mut keys, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for Question { references, .. } in whole() {
            for reference in references.iter().filter(|reference| seen.insert(reference.as_str())) {
                let key = Key::of([reference.as_bytes()]);
                match self.kept.look(&key) {
                    Some(kept) => {
                        embedded.insert(reference, kept);
                    }
                    None => {
                        asked.push(reference.as_str());
                        keys.push((key, reference.as_str()));
                    }
                }
            }
        }
        for Question { said, .. } in whole() {
            if seen.insert(said.as_str()) {
                asked.push(said);
            }
        }
        let made = self.encoder.embed(&asked).into_iter().map(|made| made.map(Arc::new));
        embedded.extend(asked.iter().copied().zip(made));
        for (key, text) in keys {
            self.kept.keep(key, embedded[text].clone());
        }
        questions
            .iter()
            .map(|question| match question {
                Ok(Some(question)) => self.verdict(question, &embedded),
                Ok(None) => Outcome::scored(0.0).into(),
                Err(fault) => fault.clone().outcome().into(),
            })
            .collect()
    }
}
