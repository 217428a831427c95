//! `difflib_ratio`: Python's `difflib.SequenceMatcher(None, answer, completion).ratio()`.

use cohort_core::Outcome;
use serde::{Deserialize, Serialize};

use super::super::{
    Described, Verdict, VerifierError, View, columns,
    columns::Fault,
    pure::Pure,
    reading,
    words::{Numbered, Unit},
};

/// Comparisons of units before the search stops: about a tenth of a second.
const BUDGET: u64 = 30_000_000;

/// `2 M / T`, in 0..1: T units in both, M of them in matching blocks, found as Ratcliff and Obershelp do: the longest common block, then the
/// same on either side of it. As in Python, units that make up over 1 % of a completion of 200 units or more start no block. Where the search
/// takes longer than its budget, what it has found so far counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DifflibRatio {
    pub unit: Unit,
    pub column: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Default for DifflibRatio {
    fn default() -> Self {
        Self { unit: Unit::Characters, column: "answer".into(), tag: None }
    }
}

impl Pure for DifflibRatio {
    const DESCRIBED: Described = Described {
        name: "difflib_ratio",
        summary: "similarity of Python's difflib.SequenceMatcher(None, answer, completion)",
        range: "0..1",
        reads: &["completion", "the column `answer`, or the one that `column` names: a text or several"],
        parameters: &[
            ("unit", "\"characters\" (default), \"words\" or \"lines\""),
            ("column", "the row's column; answer unless told"),
            ("tag", "the tag that is compared; without it, the whole completion"),
        ],
        source: "Ratcliff and Metzener 1988; Python's difflib; VeriReason",
    };

    fn check(&self) -> Result<(), VerifierError> {
        reading::check_tag("tag", self.tag.as_deref())
    }

    fn verdict(&self, view: &View) -> Result<Verdict, Fault> {
        let golds = columns::texts(view, &self.column)?;
        let Some(said) = reading::part(self.tag.as_deref(), view.completion) else {
            return Ok(Outcome::scored(0.0).into());
        };
        let one = |gold: &String| {
            let mut numbered = Numbered::default();
            let gold = numbered.ids(self.unit.split(gold.trim()));
            ratio(&gold, &numbered.ids(self.unit.split(said)))
        };
        Ok(Outcome::scored(golds.iter().map(one).fold(0.0, f64::max)).into())
    }
}

/// See [`DifflibRatio`]; 1 of two empty sequences.
pub(in crate::verifier) fn ratio(a: &[u32], b: &[u32]) -> f64 {
    let both = a.len() + b.len();
    if a == b || both == 0 {
        return 1.0;
    }
    let mut search = Search::new(a, b);
    let (mut left, mut matched) = (vec![(0, a.len(), 0, b.len())], 0);
    while let Some((a_from, a_to, b_from, b_to)) = left.pop() {
        let (i, j, size) = search.longest(a_from, a_to, b_from, b_to);
        if size == 0 {
            continue;
        }
        matched += size;
        if a_from < i && b_from < j {
            left.push((a_from, i, b_from, j));
        }
        if i + size < a_to && j + size < b_to {
            left.push((i + size, a_to, j + size, b_to));
        }
    }
    2.0 * matched as f64 / both as f64
}

struct Search<'a> {
    a: &'a [u32],
    b: &'a [u32],
    /// Where b holds each unit, in order.
    places: Vec<Vec<usize>>,
    /// The length of the block that ends at each place of b, for one unit of a and for the next.
    lengths: [Vec<usize>; 2],
    budget: u64,
}

impl<'a> Search<'a> {
    fn new(a: &'a [u32], b: &'a [u32]) -> Self {
        let units = a.iter().chain(b).max().map_or(0, |&most| most as usize + 1);
        let mut places = vec![Vec::new(); units];
        for (j, &unit) in b.iter().enumerate() {
            places[unit as usize].push(j);
        }
        if b.len() >= 200 {
            let popular = b.len() / 100 + 1;
            places.iter_mut().filter(|places| places.len() > popular).for_each(Vec::clear);
        }
        Self { a, b, places, lengths: [vec![0; b.len() + 1], vec![0; b.len() + 1]], budget: BUDGET }
    }

    /// The longest block of both ranges, of several the first in a, then the first in b: its starts and its length.
    fn longest(&mut self, a_from: usize, a_to: usize, b_from: usize, b_to: usize) -> (usize, usize, usize) {
        let (mut i0, mut j0, mut size) = (a_from, b_from, 0);
        let Self { a, b, places, lengths: [old, new], budget } = self;
        let mut last: &[usize] = &[];
        for i in a_from..a_to {
            let all = &places[a[i] as usize];
            let start = all.partition_point(|&j| j < b_from);
            let inside = &all[start..all.partition_point(|&j| j < b_to).max(start)];
            let cost = 1 + inside.len() as u64;
            if *budget < cost {
                *budget = 0;
                break;
            }
            *budget -= cost;
            for &j in inside {
                let length = if j > b_from { old[j] } else { 0 } + 1;
                new[j + 1] = length;
                if length > size {
                    (i0, j0, size) = (i + 1 - length, j + 1 - length, length);
                }
            }
            last.iter().for_each(|&j| old[j + 1] = 0);
            std::mem::swap(old, new);
            last = inside;
        }
        last.iter().for_each(|&j| old[j + 1] = 0);
        // Popular units start no block, but lengthen one.
        while i0 > a_from && j0 > b_from && a[i0 - 1] == b[j0 - 1] {
            (i0, j0, size) = (i0 - 1, j0 - 1, size + 1);
        }
        while i0 + size < a_to && j0 + size < b_to && a[i0 + size] == b[j0 + size] {
            size += 1;
        }
        (i0, j0, size)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::super::pure::ask::{close, score},
        *,
    };

    /// Python 3's difflib.
    #[test]
    fn the_ratio_of_difflib() {
        for (gold, said, times, expected) in GOLDEN {
            let row = json!({"answer": gold.repeat(*times)});
            close(score(&DifflibRatio::default(), &row, &said.repeat(*times)), *expected);
        }
        let lines = DifflibRatio { unit: Unit::Lines, ..DifflibRatio::default() };
        close(score(&lines, &json!({"answer": "a\nb\nc"}), "a\nc"), 0.8);
    }

    const GOLDEN: &[(&str, &str, usize, f64)] = &[
        ("abcd", "bcde", 1, 0.75),
        ("private Thread currentThread;", "private volatile Thread currentThread;", 1, 0.8656716417910447),
        ("qabxcd", "abycdf", 1, 0.6666666666666666),
        ("abc", "xyz", 1, 0.0),
        ("", "a", 1, 0.0),
        ("the quick brown fox ", "the brown quick fox ", 15, 0.013377926421404682),
        ("module m(input a);", "module top(input b);", 20, 0.018421052631578946),
    ];

    #[test]
    fn hostile_texts_end() {
        let row = json!({"answer": "ab".repeat(90)});
        assert!(score(&DifflibRatio::default(), &row, &"ba".repeat(99)) > 0.9);
        // 50,000 words, each twice or more: the budget ends it, and what was found counts.
        let words = DifflibRatio { unit: Unit::Words, ..DifflibRatio::default() };
        let many: String = (0..100_000).map(|i| format!("{} ", i % 101)).collect();
        let other: String = (0..100_000).map(|i| format!("{} ", i % 103)).collect();
        let found = score(&words, &json!({"answer": many}), &other);
        assert!((0.0..=1.0).contains(&found));
    }
}
