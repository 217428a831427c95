//! A language model of counted characters.

use super::features::hash;

/// Printable ASCII, whatever else, and the end of a text.
pub(super) const SYMBOLS: usize = 97;
const OTHER: u8 = 95;
const END: u8 = 96;

/// An interpolated model of runs of `order` characters:
///
/// ```text
/// p_1(c)     = (n(c) + s / V) / (n + s)
/// p_k(c | h) = (n(h c) + s p_(k-1)(c | h')) / (n(h) + s)
/// ```
///
/// with the k - 1 characters h before c, h' without the first of them, `s` the smoothing and V the symbols. Contexts are hashed to `buckets`
/// rows of counts an order. Probabilities are above 0 and add up to 1 (Dirichlet smoothing: MacKay and Peto 1995).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Language {
    pub order: usize,
    pub buckets: usize,
    pub smoothing: f64,
}

impl Language {
    /// Counts: V of order 1, `buckets` rows of V of each further order.
    pub(super) fn size(&self) -> usize {
        SYMBOLS * (1 + (self.order - 1) * self.buckets)
    }

    /// Where the counts behind the last `k` of `before` stand.
    fn row(&self, before: &[char], k: usize) -> usize {
        if k == 0 {
            return 0;
        }
        let bucket = hash(&before[before.len() - k..], k as u64) % self.buckets as u64;
        SYMBOLS * (1 + (k - 1) * self.buckets + bucket as usize)
    }

    /// Adds a text to the counts.
    pub(super) fn count(&self, counts: &mut [f32], text: &str) {
        self.walk(text, |before, symbol| {
            for k in 0..self.order {
                counts[self.row(before, k) + usize::from(symbol)] += 1.0;
            }
        });
    }

    /// Goes through a text: what stands before each symbol, the symbol, and at last the end.
    pub(super) fn walk(&self, text: &str, mut each: impl FnMut(&[char], u8)) {
        // As many marks of the start as the longest context has characters.
        let mut before: Vec<char> = vec!['\u{2}'; self.order - 1];
        for character in text.chars() {
            each(&before, symbol(character));
            before.push(character);
        }
        each(&before, END);
    }

    /// The distribution behind `before`.
    pub(super) fn distribution(&self, counts: &[f32], before: &[char]) -> [f64; SYMBOLS] {
        let mut p = [1.0 / SYMBOLS as f64; SYMBOLS];
        for k in 0..self.order {
            let row = self.row(before, k);
            let counts = &counts[row..row + SYMBOLS];
            let total: f64 = counts.iter().map(|&n| f64::from(n)).sum::<f64>() + self.smoothing;
            p.iter_mut().zip(counts).for_each(|(p, &n)| *p = (f64::from(n) + self.smoothing * *p) / total);
        }
        p
    }
}

fn symbol(character: char) -> u8 {
    match character {
        ' '..='~' => character as u8 - b' ',
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANGUAGE: Language = Language { order: 3, buckets: 64, smoothing: 1.0 };

    #[test]
    fn probabilities_add_up_to_1_and_follow_the_counts() {
        let mut counts = vec![0.0; LANGUAGE.size()];
        let uniform = LANGUAGE.distribution(&counts, &['\u{2}', '\u{2}']);
        assert!(uniform.iter().all(|p| (p - 1.0 / SYMBOLS as f64).abs() < 1e-15));
        (0..100).for_each(|_| LANGUAGE.count(&mut counts, "ab"));
        let p = LANGUAGE.distribution(&counts, &['\u{2}', 'a']);
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(p[usize::from(symbol('b'))] > 0.98);
    }

    /// One order by hand: three symbols counted, smoothing 1.
    #[test]
    fn one_order_is_the_formula() {
        let language = Language { order: 1, buckets: 1, smoothing: 1.0 };
        let mut counts = vec![0.0; language.size()];
        language.count(&mut counts, "aa");
        let p = language.distribution(&counts, &[]);
        let uniform = 1.0 / SYMBOLS as f64;
        assert!((p[usize::from(symbol('a'))] - (2.0 + uniform) / 4.0).abs() < 1e-12);
        assert!((p[usize::from(END)] - (1.0 + uniform) / 4.0).abs() < 1e-12);
    }
}
