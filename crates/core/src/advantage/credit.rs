//! One number an action: what the objective multiplies its row with.

/// The coefficients of one trajectory.
#[derive(Clone, Debug, PartialEq)]
pub struct Credit {
    /// One an action: the advantage, or an auxiliary's own coefficient.
    pub coefficient: Vec<f64>,
    pub kept: Kept,
}

/// Whether a member is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Trained,
    /// It served the comparison and leaves the batch: no loss, and no part in a denominator.
    Dropped,
}

impl Credit {
    /// Every action gets the same number.
    pub fn uniform(value: f64, actions: usize) -> Self {
        Self { coefficient: vec![value; actions], kept: Kept::Trained }
    }

    pub fn is_kept(&self) -> bool {
        self.kept == Kept::Trained
    }
}
