//! Memory: what a run will take, what the machine has, what was taken.

mod load;
mod machine;
mod peak;
mod plan;

pub(crate) use load::{Block, Load};
pub(crate) use machine::available_bytes;
pub(crate) use peak::{Peak, peak_rss_bytes};
pub use plan::MemoryPlan;
pub(crate) use plan::{Wish, plan};
