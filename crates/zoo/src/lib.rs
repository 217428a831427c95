//! How a claim is proved: the `[claim]` and `[system]` sections of a recipe, the two arms that a claim compares, the
//! statistics of paired seeds, the verdict, the lines of `results/NAME.jsonl`, and what is written of them; and tasks
//! that make their own data.
//!
//! Everything here is pure: tables and numbers in, tables, numbers and texts out. The binary starts processes.

pub mod arms;
pub mod claim;
pub mod dotted;
pub mod page;
pub mod results;
pub mod statistics;
pub mod system;
pub mod systems;
pub mod table;
pub mod task;
pub mod verdict;

pub use arms::Arms;
pub use claim::Claim;
pub use results::ResultLine;
pub use system::System;
pub use verdict::Verdict;
