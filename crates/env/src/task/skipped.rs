//! Bad rows that the recipe asked to leave out: counted by reason, never silently gone.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{Origin, RowFault};

/// Rows that were left out, by the name of the reason ([`RowFault::kind`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SkippedRows {
    pub reasons: BTreeMap<&'static str, SkippedReason>,
}

/// One reason's rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SkippedReason {
    pub count: usize,
    /// The first of them, as `FILE:LINE: what was wrong`.
    pub first: String,
}

impl SkippedRows {
    pub(crate) fn add(&mut self, origin: &Origin, fault: &RowFault) {
        self.reasons
            .entry(fault.kind())
            .or_insert_with(|| SkippedReason { count: 0, first: format!("{origin}: {fault}") })
            .count += 1;
    }

    /// Takes over another file's counts; the first examples stay.
    pub(crate) fn merge(&mut self, other: SkippedRows) {
        for (kind, reason) in other.reasons {
            match self.reasons.get_mut(kind) {
                Some(mine) => mine.count += reason.count,
                None => {
                    self.reasons.insert(kind, reason);
                }
            }
        }
    }

    pub fn total(&self) -> usize {
        self.reasons.values().map(|reason| reason.count).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// `3 rows skipped: 2 missing_field (first: a.jsonl:4: ..), 1 not_json (first: ..)`.
impl fmt::Display for SkippedRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        write!(f, "{total} row{} skipped", if total == 1 { "" } else { "s" })?;
        for (index, (kind, SkippedReason { count, first })) in self.reasons.iter().enumerate() {
            write!(f, "{} {count} {kind} (first: {first})", if index == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}
