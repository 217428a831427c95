//! Terms that run programs.

pub mod python;
