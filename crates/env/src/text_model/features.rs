//! Runs of characters of a text, hashed to a sparse vector of length 1.

use std::collections::BTreeMap;

/// Marks that no text has at its ends.
const START: char = '\u{2}';
const END: char = '\u{3}';

/// FNV-1a over scalar values from `seed`, with the mixing of MurmurHash3's end: the same everywhere and for ever.
pub(super) fn hash(characters: &[char], seed: u64) -> u64 {
    let mut hash = characters.iter().fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, &character| {
        (hash ^ u64::from(u32::from(character))).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// The characters of a text between marks of its start and its end.
pub(super) fn marked(text: &str) -> Vec<char> {
    std::iter::once(START).chain(text.chars()).chain(std::iter::once(END)).collect()
}

/// The runs of `from` to `to` characters, each under every seed: how often each hash occurs, as a vector of `buckets` numbers whose squares add up
/// to 1. In the order of the indices.
pub(super) fn runs(text: &str, (from, to): (usize, usize), seeds: &[u64], buckets: usize) -> Vec<(usize, f32)> {
    let characters = marked(text);
    let mut counts: BTreeMap<usize, f32> = BTreeMap::new();
    for n in from..=to {
        for run in characters.windows(n) {
            for &seed in seeds {
                *counts.entry((hash(run, seed) % buckets as u64) as usize).or_default() += 1.0;
            }
        }
    }
    let norm = counts.values().map(|n| n * n).sum::<f32>().sqrt();
    counts.into_iter().map(|(index, n)| (index, n / norm)).collect()
}

/// `a . b` of two vectors in the order of their indices.
pub(super) fn dot(a: &[(usize, f32)], b: &[(usize, f32)]) -> f64 {
    let (mut i, mut j, mut sum) = (0, 0, 0.0);
    while i < a.len() && j < b.len() {
        match a[i].0.cmp(&b[j].0) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                sum += f64::from(a[i].1) * f64::from(b[j].1);
                (i, j) = (i + 1, j + 1);
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_length_1_and_equal_texts_are_parallel() {
        let of = |text| runs(text, (1, 3), &[0], 4096);
        assert!((dot(&of("a cat"), &of("a cat")) - 1.0).abs() < 1e-6);
        let near = dot(&of("a cat sat"), &of("a cat sits"));
        assert!(near > 0.5 && near < 1.0 && dot(&of("a cat"), &of("zzz")) < 0.3);
    }

    #[test]
    fn hashes_never_change() {
        assert_eq!(hash(&['a', 'b'], 0), hash(&['a', 'b'], 0));
        assert_ne!(hash(&['a', 'b'], 0), hash(&['a', 'b'], 1));
        assert_eq!(hash(&[], 0), 0xefd0_1f60_ba99_2926);
    }
}
