//! What a query gives, and whether two results are the same.

use std::collections::HashMap;

/// A value of SQLite.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl Cell {
    fn number(&self) -> Option<f64> {
        match *self {
            Self::Integer(n) => Some(n as f64),
            Self::Real(x) => Some(x),
            Self::Null | Self::Text(_) | Self::Blob(_) => None,
        }
    }

    /// What it takes in memory.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Text(text) => text.len(),
                Self::Blob(bytes) => bytes.len(),
                Self::Null | Self::Integer(_) | Self::Real(_) => 0,
            }
    }

    /// Numbers are close, whole ones are equal, the rest is equal; a number is no text.
    fn is_close(&self, other: &Self, tolerance: f64) -> bool {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (a, b) => match (a.number(), b.number()) {
                (Some(a), Some(b)) => {
                    let largest = a.abs().max(b.abs());
                    a == b || largest.is_finite() && (a - b).abs() <= tolerance * largest
                }
                _ => a == b,
            },
        }
    }
}

/// The rows of a result, in the order in which they came. All have as many cells as the result has columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub columns: usize,
    pub rows: Vec<Vec<Cell>>,
}

/// How often a row counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rows {
    /// As often as it comes, as in the test suite of Spider.
    #[default]
    Counted,
    /// Once, as in BIRD.
    Distinct,
}

/// Which column answers for which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Columns {
    /// Some permutation of the columns makes the results the same, as in the test suite of Spider.
    #[default]
    AnyOrder,
    /// The first for the first, as in BIRD.
    InOrder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    Matters,
    IsFree,
}

/// What makes two results the same.
#[derive(Clone, Copy, Debug)]
pub struct Sameness {
    pub rows: Rows,
    pub columns: Columns,
    pub sequence: Sequence,
    /// Relative, of numbers that are not both whole.
    pub tolerance: f64,
}

/// Cells that the search for a permutation of columns may look at; results that need more are not the same.
const MOST_CELLS: usize = 20_000_000;

/// Rows that no equal partner was found for, which are compared one by one for closeness.
const MOST_LEFT: usize = 256;

/// A hashable stand-in for a cell: equal cells have equal keys, and numbers with equal keys are within the tolerance.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key<'a> {
    Null,
    Whole(i64),
    Rounded(u64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl Sameness {
    /// Two results without rows are the same if they have as many columns.
    pub fn holds(&self, a: &Table, b: &Table) -> bool {
        if a.columns != b.columns || self.rows == Rows::Counted && a.rows.len() != b.rows.len() {
            return false;
        }
        if a.rows.is_empty() || b.rows.is_empty() {
            return a.rows.is_empty() && b.rows.is_empty();
        }
        let identity: Vec<usize> = (0..a.columns).collect();
        if self.same_under(a, b, &identity) {
            return true;
        }
        match self.columns {
            Columns::InOrder => false,
            Columns::AnyOrder => self.permuted(a, b),
        }
    }

    /// Whether the first columns of `a` hold what `columns` of `b` hold.
    fn same_under(&self, a: &Table, b: &Table, columns: &[usize]) -> bool {
        match (self.sequence, self.rows) {
            (Sequence::Matters, Rows::Counted) => a.rows.iter().zip(&b.rows).all(|(x, y)| self.close(x, y, columns)),
            (Sequence::Matters, Rows::Distinct) => {
                let (a, b) = (self.firsts(a, None, columns.len()), self.firsts(b, Some(columns), columns.len()));
                a.len() == b.len() && a.iter().zip(&b).all(|(x, y)| self.close(x, y, columns))
            }
            (Sequence::IsFree, _) => self.same_rows(a, b, columns),
        }
    }

    fn close(&self, x: &[Cell], y: &[Cell], columns: &[usize]) -> bool {
        x.iter().zip(columns).all(|(x, &column)| x.is_close(&y[column], self.tolerance))
    }

    fn key<'a>(&self, cell: &'a Cell) -> Key<'a> {
        match cell {
            Cell::Null => Key::Null,
            Cell::Integer(n) => Key::Whole(*n),
            Cell::Real(x) => {
                let x = rounded(*x, self.tolerance);
                if x.fract() == 0.0 && x.abs() < 9e15 { Key::Whole(x as i64) } else { Key::Rounded(x.to_bits()) }
            }
            Cell::Text(text) => Key::Text(text),
            Cell::Blob(bytes) => Key::Blob(bytes),
        }
    }

    fn row_key<'a>(&self, row: &'a [Cell], columns: Option<&[usize]>, width: usize) -> Vec<Key<'a>> {
        match columns {
            Some(columns) => columns.iter().map(|&column| self.key(&row[column])).collect(),
            None => row[..width].iter().map(|cell| self.key(cell)).collect(),
        }
    }

    /// Each row where it comes first.
    fn firsts<'a>(&self, table: &'a Table, columns: Option<&[usize]>, width: usize) -> Vec<&'a Vec<Cell>> {
        let mut seen = std::collections::HashSet::new();
        table.rows.iter().filter(|row| seen.insert(self.row_key(row, columns, width))).collect()
    }

    /// As multisets, or as sets.
    fn same_rows(&self, a: &Table, b: &Table, columns: &[usize]) -> bool {
        let width = columns.len();
        let mut counts: HashMap<Vec<Key>, (i64, &Vec<Cell>)> = HashMap::with_capacity(a.rows.len());
        for row in &a.rows {
            let count = &mut counts.entry(self.row_key(row, None, width)).or_insert((0, row)).0;
            *count = if self.rows == Rows::Distinct { 1 } else { *count + 1 };
        }
        let mut only_b: HashMap<Vec<Key>, (i64, &Vec<Cell>)> = HashMap::new();
        let mut met = std::collections::HashSet::new();
        for row in &b.rows {
            let key = self.row_key(row, Some(columns), width);
            match (counts.get_mut(&key), self.rows) {
                (Some(_), Rows::Distinct) => drop(met.insert(key)),
                (Some((count, _)), Rows::Counted) if *count > 0 => *count -= 1,
                _ => {
                    let count = &mut only_b.entry(key).or_insert((0, row)).0;
                    *count = if self.rows == Rows::Distinct { 1 } else { *count + 1 };
                }
            }
            if only_b.len() > MOST_LEFT {
                return false;
            }
        }
        let only_a = counts.iter().filter(|(key, (count, _))| match self.rows {
            Rows::Counted => *count > 0,
            Rows::Distinct => !met.contains(*key),
        });
        let mut left: Vec<(i64, &Vec<Cell>)> = only_b.into_values().collect();
        let mut unmatched = 0;
        for (_, (mut count, x)) in only_a.map(|(key, value)| (key, *value)) {
            unmatched += 1;
            if unmatched > MOST_LEFT {
                return false;
            }
            for (here, y) in &mut left {
                if count > 0 && *here > 0 && self.close(x, y, columns) {
                    let pairs = count.min(*here);
                    count -= pairs;
                    *here -= pairs;
                }
            }
            if count > 0 {
                return false;
            }
        }
        left.iter().all(|(count, _)| *count == 0)
    }

    /// Looks for the permutation column by column: a prefix that does not hold is not gone on with.
    fn permuted(&self, a: &Table, b: &Table) -> bool {
        let sorted = |table: &Table, column: usize| {
            let mut cells: Vec<Cell> = table.rows.iter().map(|row| row[column].clone()).collect();
            cells.sort_by(order);
            if self.rows == Rows::Distinct {
                cells.dedup_by(|x, y| x.is_close(y, self.tolerance));
            }
            cells
        };
        let of_b: Vec<Vec<Cell>> = (0..b.columns).map(|column| sorted(b, column)).collect();
        let partners: Vec<Vec<usize>> = (0..a.columns)
            .map(|column| {
                let cells = sorted(a, column);
                let alike = |other: &Vec<Cell>| {
                    cells.len() == other.len() && cells.iter().zip(other).all(|(x, y)| x.is_close(y, self.tolerance))
                };
                (0..b.columns).filter(|&other| alike(&of_b[other])).collect()
            })
            .collect();
        let mut work = MOST_CELLS;
        partners.iter().all(|p| !p.is_empty()) && self.extended(a, b, &partners, &mut Vec::new(), &mut work)
    }

    fn extended(
        &self,
        a: &Table,
        b: &Table,
        partners: &[Vec<usize>],
        chosen: &mut Vec<usize>,
        work: &mut usize,
    ) -> bool {
        let Some(candidates) = partners.get(chosen.len()) else { return true };
        let mut tried: Vec<usize> = Vec::new();
        for &column in candidates {
            let twin = |&other: &usize| b.rows.iter().all(|row| row[other] == row[column]);
            if chosen.contains(&column) || tried.iter().any(twin) {
                continue;
            }
            tried.push(column);
            chosen.push(column);
            let cost = (a.rows.len() + b.rows.len()) * chosen.len();
            let Some(left) = work.checked_sub(cost) else { return false };
            *work = left;
            if self.same_under(a, b, chosen) && self.extended(a, b, partners, chosen, work) {
                return true;
            }
            chosen.pop();
        }
        false
    }
}

/// To so many digits that numbers which become equal are within the tolerance of each other.
fn rounded(x: f64, tolerance: f64) -> f64 {
    if x == 0.0 || tolerance <= 0.0 {
        return x + 0.0;
    }
    let digits = (-tolerance.log10()).ceil().clamp(0.0, 16.0) as usize;
    format!("{x:.digits$e}").parse().unwrap_or(x)
}

/// NULL, numbers, texts, blobs.
fn order(a: &Cell, b: &Cell) -> std::cmp::Ordering {
    let rank = |cell: &Cell| match cell {
        Cell::Null => 0,
        Cell::Integer(_) | Cell::Real(_) => 1,
        Cell::Text(_) => 2,
        Cell::Blob(_) => 3,
    };
    match (a, b) {
        (Cell::Integer(a), Cell::Integer(b)) => a.cmp(b),
        (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
        (Cell::Blob(a), Cell::Blob(b)) => a.cmp(b),
        _ => match (a.number(), b.number()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => rank(a).cmp(&rank(b)),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn same() -> Sameness {
        Sameness { rows: Rows::Counted, columns: Columns::AnyOrder, sequence: Sequence::IsFree, tolerance: 1e-9 }
    }

    fn table(rows: &[&[f64]]) -> Table {
        let cell = |&x: &f64| if x.fract() == 0.0 { Cell::Integer(x as i64) } else { Cell::Real(x) };
        let columns = rows.first().map_or(1, |row| row.len());
        Table { columns, rows: rows.iter().map(|row| row.iter().map(cell).collect()).collect() }
    }

    #[test]
    fn rows_are_a_multiset_and_columns_may_be_swapped() {
        let gold = table(&[&[1., 2., 5.], &[3., 4., 5.], &[3., 4., 5.]]);
        for (rows, expected) in [
            (&[&[3., 4., 5.][..], &[1., 2., 5.], &[3., 4., 5.]][..], true),
            (&[&[5., 4., 3.], &[5., 2., 1.], &[5., 4., 3.]], true),
            // Every column fits, and the rows do not.
            (&[&[1., 4., 5.], &[3., 2., 5.], &[3., 4., 5.]], false),
            (&[&[1., 2., 5.], &[1., 2., 5.], &[3., 4., 5.]], false),
            (&[&[1., 2., 5.], &[3., 4., 5.]], false),
            (&[&[1., 2.], &[3., 4.], &[3., 4.]], false),
        ] {
            assert_eq!(same().holds(&gold, &table(rows)), expected, "{rows:?}");
        }
        let distinct = Sameness { rows: Rows::Distinct, ..same() };
        assert!(distinct.holds(&gold, &table(&[&[1., 2., 5.], &[3., 4., 5.], &[1., 2., 5.]])));
        assert!(!distinct.holds(&gold, &table(&[&[1., 2., 5.], &[3., 4., 6.]])));
        assert!(!distinct.holds(&gold, &table(&[&[1., 2., 5.]])) && !distinct.holds(&table(&[&[1., 2., 5.]]), &gold));
        let in_order = Sameness { columns: Columns::InOrder, ..same() };
        assert!(!in_order.holds(&gold, &table(&[&[5., 4., 3.], &[5., 2., 1.], &[5., 4., 3.]])));
    }

    #[test]
    fn an_order_holds_where_it_matters() {
        let ordered = Sameness { sequence: Sequence::Matters, ..same() };
        let gold = table(&[&[1., 9.], &[2., 8.], &[2., 8.]]);
        assert!(ordered.holds(&gold, &gold) && ordered.holds(&gold, &table(&[&[9., 1.], &[8., 2.], &[8., 2.]])));
        assert!(!ordered.holds(&gold, &table(&[&[2., 8.], &[1., 9.], &[2., 8.]])));
        let distinct = Sameness { rows: Rows::Distinct, ..ordered };
        assert!(distinct.holds(&gold, &table(&[&[1., 9.], &[2., 8.]])));
        assert!(!distinct.holds(&gold, &table(&[&[2., 8.], &[1., 9.]])));
    }

    #[test]
    fn numbers_are_close_and_texts_are_equal() {
        let one = |cell: Cell| Table { columns: 1, rows: vec![vec![cell]] };
        let text = |t: &str| Cell::Text(t.into());
        for (a, b, expected) in [
            (Cell::Integer(1), Cell::Real(1.0), true),
            (Cell::Real(0.1 + 0.2), Cell::Real(0.3), true),
            // On the two sides of an edge of rounding.
            (Cell::Real(0.123_456_789_499_999_99), Cell::Real(0.123_456_789_500_000_01), true),
            (Cell::Real(1.0), Cell::Real(1.0 + 1e-6), false),
            (Cell::Integer(9_007_199_254_740_993), Cell::Integer(9_007_199_254_740_992), false),
            (Cell::Integer(i64::MAX), Cell::Integer(i64::MAX - 1), false),
            (Cell::Integer(1), text("1"), false),
            (text("a"), text("A"), false),
            (text("a"), Cell::Blob(b"a".to_vec()), false),
            (Cell::Null, Cell::Null, true),
            (Cell::Null, Cell::Integer(0), false),
            (Cell::Real(f64::INFINITY), Cell::Real(f64::INFINITY), true),
            (Cell::Real(f64::INFINITY), Cell::Real(1.0), false),
            (Cell::Real(-0.0), Cell::Integer(0), true),
        ] {
            assert_eq!(same().holds(&one(a.clone()), &one(b.clone())), expected, "{a:?} {b:?}");
            let ordered = Sameness { sequence: Sequence::Matters, ..same() };
            assert_eq!(ordered.holds(&one(a.clone()), &one(b.clone())), expected, "{a:?} {b:?}");
        }
    }

    #[test]
    fn no_rows_are_the_same_in_as_many_columns() {
        let none = |columns| Table { columns, rows: vec![] };
        assert!(same().holds(&none(2), &none(2)) && !same().holds(&none(2), &none(1)));
        assert!(!same().holds(&none(1), &table(&[&[1.]])) && !same().holds(&table(&[&[1.]]), &none(1)));
    }

    #[test]
    fn columns_that_are_all_alike_end() {
        // All of 12 columns hold the same values, so that any of 12! permutations may fit, and none does.
        let turned = |by: usize| -> Vec<Vec<Cell>> {
            (0..24).map(|i| (0..12).map(|j| Cell::Integer(((i * (j + by) + j) % 24) as i64 / 8)).collect()).collect()
        };
        let (a, b) = (Table { columns: 12, rows: turned(1) }, Table { columns: 12, rows: turned(5) });
        let _ = same().holds(&a, &b);
    }

    /// Every permutation, tried.
    fn naive(a: &Table, b: &Table) -> bool {
        fn permutations(n: usize) -> Vec<Vec<usize>> {
            if n == 0 {
                return vec![vec![]];
            }
            let shorter = permutations(n - 1);
            let longer =
                |p: &Vec<usize>| (0..n).map(|at| [&p[..at], &[n - 1], &p[at..]].concat()).collect::<Vec<Vec<usize>>>();
            shorter.iter().flat_map(longer).collect()
        }
        let printed = |table: &Table, p: &[usize]| {
            let mut rows: Vec<String> =
                table.rows.iter().map(|row| format!("{:?}", p.iter().map(|&c| &row[c]).collect::<Vec<_>>())).collect();
            rows.sort();
            rows
        };
        let identity: Vec<usize> = (0..a.columns).collect();
        let expected = printed(a, &identity);
        permutations(a.columns).iter().any(|p| printed(b, p) == expected)
    }

    proptest! {
        #[test]
        fn a_permutation_is_found_where_there_is_one(
            rows in proptest::collection::vec(proptest::collection::vec(0_i64..3, 4), 1..5),
            others in proptest::collection::vec(proptest::collection::vec(0_i64..3, 4), 1..5),
            turn in 0_usize..4,
        ) {
            let table = |rows: &[Vec<i64>]| Table {
                columns: 4,
                rows: rows.iter().map(|row| row.iter().map(|&n| Cell::Integer(n)).collect()).collect(),
            };
            let turned: Vec<Vec<i64>> = rows.iter().rev().map(|row| (0..4).map(|c| row[(c + turn) % 4]).collect()).collect();
            prop_assert!(same().holds(&table(&rows), &table(&turned)));
            if rows.len() == others.len() {
                prop_assert_eq!(same().holds(&table(&rows), &table(&others)), naive(&table(&rows), &table(&others)));
            }
        }
    }
}
