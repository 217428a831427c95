//! The table of rotations, grown as far as positions were seen.

use std::sync::{Arc, PoisonError, RwLock};

use cohort_kernels::RopeTable;

use crate::layer::Rope;

/// Rotations by position. A table holds two numbers a position and frequency, so that of a model with
/// 131,072 positions is not made for samples of a few hundred.
#[derive(Debug)]
pub(crate) struct Rotations {
    rope: Rope,
    table: RwLock<Arc<RopeTable>>,
}

impl Rotations {
    pub(crate) fn new(rope: Rope) -> Self {
        Self { rope, table: RwLock::new(Arc::new(table(rope, 256))) }
    }

    /// A table of at least `positions` positions. Its entries do not depend on its size.
    pub(crate) fn table(&self, positions: usize) -> Arc<RopeTable> {
        {
            let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
            if table.positions() >= positions {
                return Arc::clone(&table);
            }
        }
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if table.positions() < positions {
            *table = Arc::new(self::table(self.rope, positions.next_power_of_two()));
        }
        Arc::clone(&table)
    }
}

fn table(rope: Rope, positions: usize) -> RopeTable {
    RopeTable::new(&rope.inverse_frequencies(), positions, rope.attention_factor())
}
