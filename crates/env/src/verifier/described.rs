//! A verifier in words: what `cohort rewards` prints.

/// A verifier that a recipe can name.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// The recipe's word.
    pub name: &'static str,
    pub summary: &'static str,
    pub range: &'static str,
    /// Columns of the row and parts of the completion that it reads.
    pub reads: &'static [&'static str],
    /// Name and meaning of every parameter.
    pub parameters: &'static [(&'static str, &'static str)],
    /// The paper, benchmark or tool that it is from, or `ours`.
    pub source: &'static str,
}
