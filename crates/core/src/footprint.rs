//! What a policy occupies in memory, as a plan needs it.

/// Bytes that a policy takes, from arithmetic on its description: an estimate for a plan, not a law.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Weights in memory of the process, trained and frozen; pages of a mapped file are not among them.
    pub weights: u64,
    /// One gradient: the trained parameters, in f32.
    pub gradient: u64,
    /// Held for each token between forward and backward, where activations are kept.
    pub kept_token: u64,
    /// The same where they are computed again: what goes into each layer.
    pub recomputed_token: u64,
    /// For each token while one layer goes back, beside what is kept of it.
    pub backward_token: u64,
    /// All that one layer holds for a token, where it is computed again.
    pub layer_token: u64,
    /// For each trained action in the head.
    pub row: u64,
    /// For each thread in the head: the tile of logits that stands at a time.
    pub tile: u64,
    /// For each token that is scored without a tape, or prefilled.
    pub scored_token: u64,
    /// Keys and values of a token while decoding.
    pub cached_token: u64,
    /// For each sequence that is decoded: its logits.
    pub decoded_row: u64,
}
