//! What rows are held against: a loss over a batch of rows, with its derivative for every column.

use crate::{
    method::Method,
    method_error::MethodError,
    objective::{Evaluation, Scope, Seen, Survey},
};

/// A loss over rows. What it must know of the whole optimizer batch (its one denominator, its statistics) is its survey, so that any
/// split of the batch into whole groups gives the same bits.
pub trait Loss: Sync {
    /// What is known of the whole batch; constant in every derivative.
    type Survey: Sync;

    /// How much of a batch must be seen at once. Below [`Scope::Batch`] rows may be empty in the survey.
    fn scope(&self) -> Scope;

    /// # Errors
    /// A fact that is read and not there.
    fn survey(&self, batch: &[Vec<Seen<'_>>]) -> Result<Self::Survey, MethodError>;

    /// The part of group `g` of the surveyed batch, trajectory by trajectory.
    ///
    /// # Errors
    /// A column or fact that is read and not there, has another length, or is not finite.
    fn evaluate(&self, g: usize, group: &[Seen<'_>], survey: &Self::Survey) -> Result<Vec<Evaluation>, MethodError>;
}

impl Loss for Method {
    type Survey = Survey;

    fn scope(&self) -> Scope {
        Method::scope(self)
    }

    fn survey(&self, batch: &[Vec<Seen<'_>>]) -> Result<Survey, MethodError> {
        Method::survey(self, batch)
    }

    fn evaluate(&self, g: usize, group: &[Seen<'_>], survey: &Survey) -> Result<Vec<Evaluation>, MethodError> {
        Method::evaluate(self, g, group, survey)
    }
}
