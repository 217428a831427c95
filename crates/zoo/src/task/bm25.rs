//! A lexical search: Okapi BM25.

use std::collections::BTreeMap;

/// How soon a word that occurs again adds nothing.
const K1: f64 = 1.2;
/// How much a document's length counts.
const B: f64 = 0.75;

/// A collection, counted.
pub(super) struct Bm25<W> {
    /// Occurrences of each word, document by document.
    counts: Vec<BTreeMap<W, f64>>,
    /// `ln(1 + (N - n + 1/2) / (n + 1/2))` of a word that `n` of `N` documents hold.
    rarity: BTreeMap<W, f64>,
    mean_length: f64,
}

impl<W: Ord + Clone> Bm25<W> {
    pub fn new(documents: &[Vec<W>]) -> Self {
        let mut held: BTreeMap<W, f64> = BTreeMap::new();
        let mut counts = Vec::with_capacity(documents.len());
        for document in documents {
            let mut of: BTreeMap<W, f64> = BTreeMap::new();
            document.iter().for_each(|word| *of.entry(word.clone()).or_default() += 1.0);
            of.keys().for_each(|word| *held.entry(word.clone()).or_default() += 1.0);
            counts.push(of);
        }
        let n = documents.len() as f64;
        let rarity = held.into_iter().map(|(word, of)| (word, (1.0 + (n - of + 0.5) / (of + 0.5)).ln())).collect();
        Self { counts, rarity, mean_length: documents.iter().map(Vec::len).sum::<usize>() as f64 / n.max(1.0) }
    }

    /// `sum over the query's words w of rarity(w) c (k1 + 1) / (c + k1 (1 - b + b length / mean length))`, where document `at` holds w c times.
    /// Robertson and Zaragoza 2009, eq. 3.15, with a rarity that is never below 0.
    pub fn score(&self, query: &[W], at: usize) -> f64 {
        let counts = &self.counts[at];
        let length: f64 = counts.values().sum();
        let norm = K1 * (1.0 - B + B * length / self.mean_length);
        let of = |word: &W| Some(self.rarity.get(word)? * counts.get(word)? * (K1 + 1.0) / (counts.get(word)? + norm));
        query.iter().filter_map(of).sum()
    }

    /// The `n` best documents with their scores, the best first; of equal ones the earlier.
    pub fn best(&self, query: &[W], n: usize) -> Vec<(usize, f64)> {
        let mut all: Vec<(usize, f64)> = (0..self.counts.len()).map(|at| (at, self.score(query, at))).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        all.truncate(n);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_the_formulas() {
        let documents = ["a b c", "a a d", "e"].map(|text| text.split(' ').collect::<Vec<_>>());
        let search = Bm25::new(&documents);
        // N = 3, mean length 7/3. Of `a`: n = 2; of `d`: n = 1.
        let (a, d) = ((1.0f64 + 1.5 / 2.5).ln(), (1.0f64 + 2.5 / 1.5).ln());
        let norm = 1.2 * (0.25 + 0.75 * 3.0 / (7.0 / 3.0));
        let expected = a * 2.0 * 2.2 / (2.0 + norm) + d * 2.2 / (1.0 + norm);
        assert!((search.score(&["a", "d"], 1) - expected).abs() < 1e-12);
        assert_eq!(search.score(&["a", "z"], 2), 0.0);
        let best: Vec<usize> = search.best(&["a"], 3).into_iter().map(|(at, _)| at).collect();
        assert_eq!(best, [1, 0, 2]);
        assert_eq!(
            search.best(&["z"], 2).into_iter().map(|(at, _)| at).collect::<Vec<_>>(),
            [0, 1],
            "ties keep their order"
        );
    }
}
