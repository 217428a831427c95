//! Tasks that make their own data, for the zoo's systems and whoever else can use them.
//!
//! A generator is a section of the recipe with parameters of shape (levels, styles, shares), no special case of a system.
//! Its items are a function of the parameters alone: all draws are counter-based, splits are disjoint by prompt, and what
//! cannot be made as asked is refused. Items come with worked solutions for a supervised stage, which need not be right: how
//! often they are, and in which habits they are written, is what a cold start takes over.

mod bm25;
mod catalogue;
mod chains;
mod circuits;
mod draw;
mod fractions;
mod items;
mod judging;
mod lookup;
mod pairs;
mod queries;
mod records;
mod refusals;
mod relevance;
mod rewording;
mod screening;

pub use catalogue::Catalogue;
pub use chains::{Chains, Facts, Form, Keys, Level, Operator, Rounds, Share, Shown, Style, What};
pub use circuits::{Circuit, Circuits, Flaw};
pub use fractions::Fractions;
pub use judging::Judging;
pub use lookup::{Lookup, Work};
pub use pairs::Pairs;
pub use queries::{Mistake, Queries, Question};
pub use records::{Fault, Records};
pub use refusals::Refusals;
pub use relevance::{Asked, Relevance, Thought};
pub use rewording::Rewording;
pub use screening::Screening;
