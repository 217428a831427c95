//! Levenshtein distance and longest common subsequence, 64 rows of the table at a time.

/// The least number of insertions, deletions and substitutions that make `a` of `b`. Myers 1999 in the block form of Hyyrö 2003:
/// O(|a| |b| / 64) steps.
pub fn levenshtein(a: &[u32], b: &[u32]) -> usize {
    let (rows, columns) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if rows.is_empty() {
        return columns.len();
    }
    // What the row above changes by from column to column: along the first row, by 1.
    let mut along = vec![1i8; columns.len()];
    let mut matches = Matches::new(a, b);
    for block in rows.chunks(64) {
        matches.of(block);
        let last = 1u64 << (block.len() - 1);
        let (mut up, mut down) = (u64::MAX, 0u64);
        for (&unit, change) in columns.iter().zip(&mut along) {
            let mut equal = matches.bits[unit as usize];
            let vertical = equal | down;
            if *change < 0 {
                equal |= 1;
            }
            let horizontal = ((equal & up).wrapping_add(up) ^ up) | equal;
            let (mut right_up, mut right_down) = (down | !(horizontal | up), up & horizontal);
            let out = i8::from(right_up & last != 0) - i8::from(right_down & last != 0);
            right_up = right_up << 1 | u64::from(*change > 0);
            right_down = right_down << 1 | u64::from(*change < 0);
            up = right_down | !(vertical | right_up);
            down = right_up & vertical;
            *change = out;
        }
        matches.forget(block);
    }
    let change: i64 = along.iter().map(|&c| i64::from(c)).sum();
    usize::try_from(rows.len() as i64 + change).unwrap_or(0)
}

/// The length of the longest sequence that both hold in its order, with gaps. Hyyrö 2004: O(|a| |b| / 64) steps.
pub fn common_subsequence(a: &[u32], b: &[u32]) -> usize {
    let (rows, columns) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let mut carries = vec![false; columns.len()];
    let mut matches = Matches::new(a, b);
    let mut length = 0;
    for block in rows.chunks(64) {
        matches.of(block);
        let mut unmatched = u64::MAX;
        for (&unit, carry) in columns.iter().zip(&mut carries) {
            let equal = matches.bits[unit as usize];
            let (sum, first) = unmatched.overflowing_add(unmatched & equal);
            let (sum, second) = sum.overflowing_add(u64::from(*carry));
            unmatched = sum | unmatched & !equal;
            *carry = first || second;
        }
        length += unmatched.count_zeros() as usize;
        matches.forget(block);
    }
    length
}

/// For each unit, the rows of a block that hold it.
struct Matches {
    bits: Vec<u64>,
}

impl Matches {
    fn new(a: &[u32], b: &[u32]) -> Self {
        let units = a.iter().chain(b).max().map_or(0, |&most| most as usize + 1);
        Self { bits: vec![0; units] }
    }

    fn of(&mut self, block: &[u32]) {
        for (row, &unit) in block.iter().enumerate() {
            self.bits[unit as usize] |= 1 << row;
        }
    }

    fn forget(&mut self, block: &[u32]) {
        for &unit in block {
            self.bits[unit as usize] = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Both tables, cell by cell.
    fn tables(a: &[u32], b: &[u32]) -> (usize, usize) {
        let (mut distance, mut common) = ((0..=b.len()).collect::<Vec<_>>(), vec![0; b.len() + 1]);
        for (i, x) in a.iter().enumerate() {
            let (old, shared) = (distance.clone(), common.clone());
            distance[0] = i + 1;
            for (j, y) in b.iter().enumerate() {
                distance[j + 1] = (old[j] + usize::from(x != y)).min(old[j + 1] + 1).min(distance[j] + 1);
                common[j + 1] = if x == y { shared[j] + 1 } else { common[j].max(shared[j + 1]) };
            }
        }
        (distance[b.len()], common[b.len()])
    }

    fn sequence() -> impl Strategy<Value = Vec<u32>> {
        (1u32..30).prop_flat_map(|units| proptest::collection::vec(0..units, 0..200))
    }

    proptest! {
        #[test]
        fn both_are_those_of_the_tables(a in sequence(), b in sequence()) {
            let (distance, common) = tables(&a, &b);
            prop_assert_eq!(levenshtein(&a, &b), distance);
            prop_assert_eq!(levenshtein(&b, &a), distance);
            prop_assert_eq!(common_subsequence(&a, &b), common);
        }

        #[test]
        fn one_edit_is_one_away(a in proptest::collection::vec(0u32..5, 1..300), at in any::<prop::sample::Index>()) {
            let mut b = a.clone();
            b[at.index(a.len())] = 9;
            prop_assert_eq!(levenshtein(&a, &b), 1);
            prop_assert_eq!(levenshtein(&a, &a), 0);
            prop_assert_eq!(common_subsequence(&a, &a), a.len());
        }
    }
}
