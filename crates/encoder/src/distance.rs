//! What MPNet's attention adds for how far apart two tokens are (Song et al., arXiv 2004.09297; the buckets of Raffel et al.,
//! arXiv 1910.10683, section 2.1).

/// Buckets of one direction; distances beyond 128 share the last.
const SIDE: usize = 16;

/// The bucket of `key - query`: those at or before the query are the first 16, those behind it the next. Up to 7 a distance has a bucket of its
/// own; then a bucket is a factor of `sqrt 2`: `8 + floor(2 log2(n / 8))`, at most 15.
fn bucket(key_minus_query: isize) -> usize {
    let n = key_minus_query.unsigned_abs();
    let side = if key_minus_query > 0 { SIDE } else { 0 };
    // floor(2 log2(n / 8)) is the largest k with n^2 >= 64 * 2^k.
    let own = if n < 8 { n } else { (8 + ((n * n) >> 6).ilog2() as usize).min(SIDE - 1) };
    side + own
}

/// `[heads][2 reach - 1]` from a table `[buckets, heads]`: number `reach - 1 + d` of a head is for `key - query = d`.
pub(crate) fn spread(table: &[f32], heads: usize, reach: usize) -> Vec<f32> {
    let ways = move |h: usize| {
        let last = reach as isize - 1;
        (-last..=last).map(move |d| table[bucket(d) * heads + h])
    };
    (0..heads).flat_map(ways).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `MPNetEncoder.relative_position_bucket` of transformers gives them.
    #[test]
    fn the_buckets_of_transformers() {
        let behind: Vec<usize> =
            (0..8).chain([8, 11, 12, 15, 16, 22, 23, 31, 32, 45, 46, 63, 64, 90, 91, 500]).collect();
        let expected = [0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15];
        for (n, expected) in behind.into_iter().zip(expected) {
            assert_eq!(bucket(-(n as isize)), expected, "{n} before");
            assert_eq!(bucket(n as isize), if n == 0 { 0 } else { 16 + expected }, "{n} behind");
        }
    }

    #[test]
    fn each_head_has_its_own_row() {
        let table: Vec<f32> = (0..64).map(|i| i as f32).collect();
        let spread = spread(&table, 2, 3);
        assert_eq!(spread, [4.0, 2.0, 0.0, 34.0, 36.0, 5.0, 3.0, 1.0, 35.0, 37.0]);
    }
}
