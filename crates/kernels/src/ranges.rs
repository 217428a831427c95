//! Equal parts of a range.

use std::ops::Range;

/// `0 .. count` in at most `parts` (at least one) ranges in order, as equal as whole units allow; only the last one may
/// end within a unit.
pub(crate) fn ranges(count: usize, parts: usize, unit: usize) -> Vec<Range<usize>> {
    let units = count.div_ceil(unit);
    let parts = parts.clamp(1, units.max(1));
    let end = |part: usize| count.min(units * part / parts * unit);
    (0..parts).map(|part| end(part)..end(part + 1)).filter(|range| !range.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_cover_in_order_and_are_even() {
        for (count, parts, unit) in
            [(0, 3, 1), (1, 5, 1), (10, 3, 1), (100, 3, 16), (7, 2, 16), (9, 0, 1), (897, 7, 16)]
        {
            let ranges = ranges(count, parts, unit);
            assert!(ranges.len() <= parts.max(1));
            assert_eq!(ranges.iter().flat_map(Range::clone).collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
            let lengths = || ranges.iter().map(Range::len);
            assert!(lengths().rev().skip(1).all(|len| len.is_multiple_of(unit)));
            assert!(lengths().max().unwrap_or(0) <= lengths().min().unwrap_or(0) + 2 * unit);
        }
    }
}
