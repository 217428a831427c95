//! Boxes, points, intervals and paths.

pub mod actions;
mod assignment;
mod boxes;
pub mod interval;
pub mod iou;
pub mod matched;
pub mod path;
