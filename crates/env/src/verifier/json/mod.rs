//! JSON that a completion holds.

pub mod field_f1;
mod fields;
pub mod schema;
