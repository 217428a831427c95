//! Texts that are almost right: mutations of a corpus, each a function of its number.

/// Draws that follow from a number (SplitMix64: Steele, Lea and Flood 2014).
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`; 0 where there is nothing below.
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// No mutation is longer than this, in bytes.
const LONGEST: usize = 1 << 14;

/// Mutation `number` of a corpus: one of its texts after up to 8 edits. An edit removes, doubles, repeats, or cuts, puts in one of `marks` or any
/// byte, or brings a part of another text. It need not be UTF-8.
pub fn mutated(corpus: &[&str], marks: &[&str], number: u64) -> Vec<u8> {
    let mut draws = Draws(number);
    let mut text = corpus[draws.below(corpus.len())].as_bytes().to_vec();
    for _ in 0..draws.below(9) {
        let at = draws.below(text.len() + 1);
        let end = (at + draws.below(16)).min(text.len());
        let inserted = match draws.below(32) {
            0..=7 => {
                text.drain(at..end);
                continue;
            }
            8..=18 if !marks.is_empty() => marks[draws.below(marks.len())].as_bytes().to_vec(),
            8..=21 => vec![draws.next() as u8],
            22..=25 => text[at..end].to_vec(),
            26..=28 => {
                let other = corpus[draws.below(corpus.len())].as_bytes();
                let from = draws.below(other.len());
                other[from..(from + draws.below(40)).min(other.len())].to_vec()
            }
            29 => {
                text.truncate(at);
                continue;
            }
            30 => marks.get(draws.below(marks.len())).unwrap_or(&" ").repeat(draws.below(300)).into_bytes(),
            _ => text[at..end].repeat(draws.below(300)),
        };
        if text.len() + inserted.len() <= LONGEST {
            text.splice(at..at, inserted);
        }
    }
    text
}

/// How many mutations a property is tried on: 100,000, unless `PROPTEST_CASES` says otherwise.
pub fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_are_many_and_each_is_its_own() {
        let corpus = ["{\"question\": \"1 + 2 =\", \"answer\": 3}", "[1, 2, 3, [4, 5], {\"six\": 7}]"];
        let of = |number| mutated(&corpus, &["{", "\n"], number);
        let all: std::collections::BTreeSet<Vec<u8>> = (0..2000).map(of).collect();
        assert!(all.len() > 1500, "{}", all.len());
        assert_eq!(of(7), of(7));
        assert!(all.iter().any(|text| text.is_empty()) && all.iter().any(|text| text.len() > 200));
        assert!(all.iter().all(|text| text.len() <= LONGEST));
        assert!(all.contains(corpus[0].as_bytes()), "some are whole");
        assert_eq!(mutated(&[""], &[], 3).len(), mutated(&[""], &[], 3).len());
    }
}
