//! What a choice needs of the age of a batch.

/// How a choice depends on how many updates are made from one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staleness {
    /// It acts at every update.
    Any,
    /// At one update a batch the part that is named does nothing.
    Inert(&'static str),
    /// It says something only from the second update of a batch on, for the reason that is named.
    Second(&'static str),
}
