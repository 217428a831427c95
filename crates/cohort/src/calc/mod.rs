//! A recipe's whole advantage-and-objective path on given numbers: what researchers compare implementations with.

mod input;
mod output;

use cohort_core::{Memory, Method};
use serde_json::Value;

pub use input::{Document, InputError};

/// The answer of `cohort calc`: one JSON document in the shape of the input. Everything is f64.
///
/// # Errors
/// A column or fact that the method reads and the batch does not hold, or that is not a number.
pub fn calculate(method: &Method, document: &Document) -> Result<Value, InputError> {
    let study = document.study(method)?;
    // Schedules stand at their start, and nothing is remembered.
    let mut memory = Memory::default();
    memory.set_run("step", 0.0);
    let calculation = method.calculate(&study, &mut memory)?;
    Ok(output::document(&calculation))
}
