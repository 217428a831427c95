//! Where arrays of numbers are read: what a policy of points has chosen, or JSON in a completion.

use serde_json::Value;

use super::super::{View, columns, reading};

/// Numbers beyond these are not read.
const MOST: usize = 1 << 22;

/// The rows of a table of `width` columns: the last payload of the episode where it has any, else the JSON list of lists, or of numbers, that the
/// completion holds. `None` of a table of another width, and of what is not finite.
pub(super) fn rows(view: &View, tag: Option<&str>, width: usize) -> Option<Vec<Vec<f64>>> {
    let flat: Vec<f64> = match view.payloads.last() {
        Some(payload) => payload.iter().map(|&x| f64::from(x)).collect(),
        None => {
            let value = reading::json(reading::part(tag, view.completion)?)?;
            match value.as_array()?.first()? {
                Value::Array(_) => {
                    let rows: Option<Vec<Vec<f64>>> = value.as_array()?.iter().map(columns::list_of_numbers).collect();
                    let rows = rows.filter(|rows| rows.iter().all(|row| row.len() == width))?;
                    rows.concat()
                }
                _ => columns::list_of_numbers(&value)?,
            }
        }
    };
    let whole = width > 0 && !flat.is_empty() && flat.len() <= MOST && flat.len().is_multiple_of(width);
    (whole && flat.iter().all(|x| x.abs() < 1e100)).then(|| flat.chunks_exact(width).map(<[f64]>::to_vec).collect())
}
