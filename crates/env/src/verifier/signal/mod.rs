//! Pictures and sounds as arrays of numbers.

mod array;
pub mod image;
pub mod pitch;
pub mod spectrum;
