//! Rank-GRPO's shaping of the length of a list.

use super::{Rows, Table, each_row};
use crate::{
    method_error::MethodError,
    registry::{Axis, Entry, Parameter},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Shape,
    name: "overflow",
    summary: "a penalty on everything beyond the N-th segment, a bonus for ending a full list",
    formula: "Segments 0 .. N-1 are the items; actions of segment N or above are beyond the list. Where the last action alone is beyond (the end), it gets \
              +bonus if all N items are there, -penalty if the list stops early. Where more actions are beyond, each of them gets -penalty. Added \
              after normalisation.",
    parameters: &[
        Parameter { name: "segments", default: "20", range: "0 or more", meaning: "N, the items of a full list" },
        Parameter {
            name: "penalty",
            default: "0.1",
            range: "at least 0",
            meaning: "taken off, in units of the advantage",
        },
        Parameter { name: "bonus", default: "0.1", range: "at least 0", meaning: "added at the end of a full list" },
    ],
    reads: &["segment"],
    source: "Rank-GRPO's repository: arXiv 2510.20150",
    ..Entry::NONE
};

pub(super) fn segments() -> u32 {
    20
}

pub(super) fn tenth() -> f64 {
    0.1
}

pub(super) fn apply(
    table: &Table<'_>,
    rows: &mut Rows,
    items: u32,
    penalty: f64,
    bonus: f64,
) -> Result<(), MethodError> {
    each_row(table, rows, |g, e, t, row| {
        let segments = table.segments(g, e, &table.groups[g].trajectories[t])?;
        let beyond = segments.iter().filter(|k| **k >= items).count();
        let ends = segments.last().is_some_and(|k| *k >= items);
        if beyond == 1 && ends {
            let mut present: Vec<u32> = segments.iter().copied().filter(|k| *k < items).collect();
            present.sort_unstable();
            present.dedup();
            let end = row.last_mut().expect("a row is as long as its segments");
            *end += if present.len() == items as usize { bonus } else { -penalty };
        } else {
            row.iter_mut().zip(segments).filter(|(_, k)| **k >= items).for_each(|(value, _)| *value -= penalty);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::super::Shape;
    use crate::{
        advantage::{Advantage, tests::group},
        memory::Memory,
    };

    #[test]
    fn full_early_over_and_cut() {
        let segments: [&[u32]; 4] = [&[0, 0, 1, 2], &[0, 2], &[0, 1, 2, 3], &[0, 1]];
        let mut batch = group(&[0.0; 4]);
        for (trajectory, segments) in batch.trajectories.iter_mut().zip(segments) {
            trajectory.segment = segments.to_vec();
            trajectory.mask = vec![1.0; segments.len()];
        }
        let shape = vec![Shape::Overflow { segments: 2, penalty: 0.1, bonus: 0.2 }];
        let credits = Advantage { shape, ..Advantage::default() }.credit(&[batch], &mut Memory::default()).unwrap();
        let got: Vec<&[f64]> = credits[0].iter().map(|c| c.coefficient.as_slice()).collect();
        let want: [&[f64]; 4] = [&[0.0, 0.0, 0.0, 0.2], &[0.0, -0.1], &[0.0, 0.0, -0.1, -0.1], &[0.0, 0.0]];
        assert_eq!(got, want);
    }
}
