//! How old the batch must be for a method to mean something.

/// What a method is before a second update on the same batch, where every ratio is exactly 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staleness {
    /// It means the same from the first update on.
    Any,
    /// A part of it does nothing before a second update; which, in words.
    Inert(&'static str),
    /// It says nothing at all before a second update; why, in words.
    Second(&'static str),
}
