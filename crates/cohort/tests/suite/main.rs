//! The binary from outside: what it promises to whoever calls it, kills it, or gives it something broken.

mod adapters;
mod algorithms;
mod architectures;
mod arms;
mod asked;
mod bench;
mod best;
mod calc;
mod checkpoints;
mod command_line;
mod common;
mod data;
mod embedded;
mod explain;
mod hub;
mod init;
mod laws;
mod real_data;
mod recipes;
mod resume;
mod rollouts;
mod room;
mod sampling;
mod signal;
mod tools;
mod zoo;
