//! Runs of policies that fit on a page, and of a small one that speaks. One binary, since each is linked with Burn.

mod claims;
mod detectors;
mod every_policy;
mod faults;
mod outside;
mod red_line;
mod text;
mod toys;
