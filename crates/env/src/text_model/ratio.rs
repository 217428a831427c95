//! One language model's surprise at a text against its surprise at what another expects.

use serde::{Deserialize, Serialize};

use super::{Language, finite_from, within};

/// Binoculars (Hans et al. 2024, arXiv 2401.12070, equation 4) with two language models of counted characters that learn from the positives and
/// differ in their order:
///
/// ```text
/// s = 1 - surprise / cross,  surprise = -mean_t ln p_t(x_t),  cross = -mean_t sum_v q_t(v) ln p_t(v)
/// ```
///
/// p the observer, q the performer, of lower order: it expects more than what was counted. Binoculars is `surprise / cross`, low for a machine's text; here a machine's text is high.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ratio {
    /// Characters of the longest run that the observer counts.
    pub observer: usize,
    /// The same of the performer.
    pub performer: usize,
    /// Rows of counts an order.
    pub buckets: usize,
    /// How much an order trusts the one below, in counts; above 0.
    pub smoothing: f64,
}

impl Default for Ratio {
    fn default() -> Self {
        Self { observer: 5, performer: 3, buckets: 1024, smoothing: 1.0 }
    }
}

impl Ratio {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        within("ratio.observer", self.observer, 1, 8)?;
        within("ratio.performer", self.performer, 1, 8)?;
        within("ratio.buckets", self.buckets, 1, 1 << 16)?;
        finite_from("ratio.smoothing", self.smoothing, 1e-6)
    }

    fn languages(&self) -> [Language; 2] {
        let of = |order| Language { order, buckets: self.buckets, smoothing: self.smoothing };
        [of(self.observer), of(self.performer)]
    }

    pub(super) fn size(&self) -> usize {
        self.languages().iter().map(Language::size).sum()
    }

    pub(super) fn count(&self, counts: &mut [f32], text: &str) {
        let [observer, performer] = self.languages();
        let (of_observer, of_performer) = counts.split_at_mut(observer.size());
        observer.count(of_observer, text);
        performer.count(of_performer, text);
    }

    pub(super) fn score(&self, counts: &[f32], text: &str) -> f64 {
        let [observer, performer] = self.languages();
        let (of_observer, of_performer) = counts.split_at(observer.size());
        let mut expected = Vec::new();
        performer.walk(text, |before, _| expected.push(performer.distribution(of_performer, before)));
        let (mut surprise, mut cross, mut position) = (0.0, 0.0, 0);
        observer.walk(text, |before, symbol| {
            let p = observer.distribution(of_observer, before);
            surprise -= p[usize::from(symbol)].ln();
            cross -= expected[position].iter().zip(&p).map(|(q, p)| q * p.ln()).sum::<f64>();
            position += 1;
        });
        1.0 - surprise / cross
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without a count both expect every symbol alike, and so is every text's surprise.
    #[test]
    fn untrained_every_text_is_expected() {
        let model = Ratio { buckets: 16, ..Ratio::default() };
        let score = model.score(&vec![0.0; model.size()], "any text");
        assert!(score.abs() < 1e-12, "{score}");
    }

    #[test]
    fn what_was_counted_is_less_surprising_than_expected() {
        let model = Ratio { observer: 4, performer: 2, buckets: 256, smoothing: 1.0 };
        let mut counts = vec![0.0; model.size()];
        for text in ["sam got six cups", "tom got two cups", "sam got two pens"] {
            (0..20).for_each(|_| model.count(&mut counts, text));
        }
        assert!(model.score(&counts, "tom got six pens") > model.score(&counts, "tom bought six pens"));
    }
}
