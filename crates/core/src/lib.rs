//! The mathematics of group-relative policy optimisation.
//!
//! Everything in Cohort meets at a short row of numbers for each action
//! ([`Rows`]): a policy computes rows, an objective turns rows into the
//! derivative of the loss for each of them, and the policy's tape turns that
//! into a gradient. This crate holds what lies between: what flows
//! ([`Group`] → [`Episode`] → [`Sample`] → [`Action`]), and the pure functions
//! over it (rewards, advantages, objectives, curricula, statistics).
//!
//! Invariant: nothing here reads a clock, logs, opens a file or knows a tensor
//! library. Same input, same output, bit for bit.

pub mod action;
pub mod advantage;
pub mod context;
pub mod controls;
pub mod curriculum;
pub mod detection;
pub mod distance;
mod distributions;
pub mod facts;
mod footprint;
pub mod gain;
pub mod group;
pub mod interval;
mod loss;
pub mod memory;
pub mod method;
pub mod method_error;
pub mod metric;
pub mod objective;
pub mod outcome;
pub mod pass_at_k;
pub mod policy;
pub mod random;
pub mod red_line;
pub mod registry;
pub mod reward;
pub mod row;
pub mod sample;
pub mod schedule;
pub mod score;
pub mod soft;
pub mod trajectory;
pub mod turn;
pub mod weight;

pub use action::{Action, Author, Choice, PayloadKey};
pub use context::{Context, Span};
pub use controls::{Controls, Decoding, Truncation};
pub use curriculum::Curriculum;
pub use distributions::{Against, Distributions};
pub use facts::{Fact, Facts};
pub use footprint::Footprint;
pub use group::{Auxiliary, Cost, Episode, Group, GroupKey};
pub use loss::Loss;
pub use memory::Memory;
pub use method::Method;
pub use method_error::{MethodError, Place, Problem};
pub use outcome::Outcome;
pub use policy::{
    Activations, Execution, Gradient, Noise, NumberType, ParameterInfo, Policy, PolicyError, Request, RowSpec, Sampler,
    StoredAs, StoredTensor, Tape,
};
pub use random::{Dice, Stream, permutation};
pub use red_line::{AboveRedLine, Gap, Precision, RedLine};
pub use row::{RowGradients, Rows};
pub use sample::{Alternative, Sample, StopReason};
pub use soft::{Mixture, Mixtures, Soft};
pub use trajectory::{Comparison, Role, Trajectory};
pub use turn::{SingleTurn, Turn, Turns};
