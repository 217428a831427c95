//! The assignment of rows to columns that is worth most.

/// Of `worth[row][column]`, each at least 0, the column of each row, every column at most once, such that the sum is greatest; rows are left without where there
/// are fewer columns. Kuhn and Munkres with potentials, O(rows^2 columns) for the shorter side.
pub(super) fn best(worth: &[Vec<f64>]) -> Vec<Option<usize>> {
    let (rows, columns) = (worth.len(), worth.first().map_or(0, Vec::len));
    if rows > columns {
        let turned: Vec<Vec<f64>> = (0..columns).map(|c| worth.iter().map(|row| row[c]).collect()).collect();
        let mut found = vec![None; rows];
        for (column, row) in best(&turned).into_iter().enumerate() {
            if let Some(row) = row {
                found[row] = Some(column);
            }
        }
        return found;
    }
    // Index 0 of rows and columns is a stand-in.
    let (mut row_price, mut column_price) = (vec![0.0; rows + 1], vec![0.0; columns + 1]);
    let mut owner = vec![0; columns + 1];
    let mut came_from = vec![0; columns + 1];
    for row in 1..=rows {
        owner[0] = row;
        let (mut at, mut least, mut used) = (0, vec![f64::INFINITY; columns + 1], vec![false; columns + 1]);
        while owner[at] != 0 {
            used[at] = true;
            let (mut step, mut next) = (f64::INFINITY, 0);
            for column in (1..=columns).filter(|&c| !used[c]) {
                let cost = -worth[owner[at] - 1][column - 1] - row_price[owner[at]] - column_price[column];
                if cost < least[column] {
                    (least[column], came_from[column]) = (cost, at);
                }
                if least[column] < step {
                    (step, next) = (least[column], column);
                }
            }
            for column in 0..=columns {
                if used[column] {
                    row_price[owner[column]] += step;
                    column_price[column] -= step;
                } else {
                    least[column] -= step;
                }
            }
            at = next;
        }
        while at != 0 {
            owner[at] = owner[came_from[at]];
            at = came_from[at];
        }
    }
    let mut found = vec![None; rows];
    for column in 1..=columns {
        if owner[column] != 0 {
            found[owner[column] - 1] = Some(column - 1);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every assignment, one by one.
    fn most(worth: &[Vec<f64>], row: usize, used: &mut Vec<bool>) -> f64 {
        if row == worth.len() {
            return 0.0;
        }
        let mut best = most(worth, row + 1, used);
        for column in 0..used.len() {
            if !used[column] {
                used[column] = true;
                best = best.max(worth[row][column] + most(worth, row + 1, used));
                used[column] = false;
            }
        }
        best
    }

    proptest! {
        #[test]
        fn no_assignment_is_worth_more(
            worth in (0usize..6, 1usize..6).prop_flat_map(|(r, c)| {
                proptest::collection::vec(proptest::collection::vec((0u8..9).prop_map(f64::from), c), r)
            })
        ) {
            let found = best(&worth);
            let mut columns: Vec<usize> = found.iter().flatten().copied().collect();
            let sum: f64 = found.iter().enumerate().filter_map(|(r, c)| c.map(|c| worth[r][c])).sum();
            prop_assert_eq!(sum, most(&worth, 0, &mut vec![false; worth.first().map_or(0, Vec::len)]));
            let named = columns.len();
            columns.sort_unstable();
            columns.dedup();
            prop_assert_eq!(columns.len(), named);
        }
    }
}
