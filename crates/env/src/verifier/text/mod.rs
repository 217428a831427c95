//! How near a text is to another, and how it repeats itself.

pub mod bleu;
pub mod difflib;
pub mod edit;
pub mod error_rate;
pub mod ngram;
pub mod repetition;
pub mod rouge;
