//! The form of an answer, and answers of simple kinds: choices, labels, numbers, sets.

pub mod abstention;
pub mod categorical;
pub mod choice;
pub mod coverage;
pub mod grammar;
pub mod numeric;
pub mod sets;
pub mod tags;
