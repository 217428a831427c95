//! Which layers attend to a window of the last positions alone, by family.

use serde_json::Value;

use super::Family;
use crate::{error::ConfigError, fields::Fields};

const FULL: &str = "full_attention";
const SLIDING: &str = "sliding_attention";

/// The window of each of `layers` layers, as the model classes of transformers mask them: a position sees the last
/// `sliding_window` positions, its own included.
pub(super) fn read(fields: &Fields, family: Family, layers: usize) -> Result<Vec<Option<usize>>, ConfigError> {
    // Where the field is absent, and not null, these families have a window of 4096 (if they use one).
    let window = match fields.contains("sliding_window") {
        true => fields.count("sliding_window")?,
        false => Some(4096),
    };
    let in_use = match family {
        Family::Llama => false,
        Family::Mistral => true,
        Family::Qwen3 | Family::Qwen3Moe | Family::Qwen2 => fields.flag("use_sliding_window")?.unwrap_or(false),
    };
    let window = window.filter(|_| in_use);
    match family {
        Family::Qwen3 | Family::Qwen2 => match layer_types(fields, layers)? {
            // The masks of these types are not there without a window.
            Some(types) if window.is_none() && types.contains(&SLIDING) => {
                let supported = format!("{FULL:?} in every layer where no window is in use");
                Err(fields.unsupported("layer_types", &Value::from(SLIDING), supported))
            }
            Some(types) => Ok(types.into_iter().map(|kind| window.filter(|_| kind == SLIDING)).collect()),
            None => {
                let first = max_window_layers(fields)?;
                Ok((0..layers).map(|i| window.filter(|_| i >= first)).collect())
            }
        },
        Family::Qwen3Moe | Family::Llama | Family::Mistral => {
            // These classes mask every layer alike, whatever types are named; other names would be another model.
            let expected = if window.is_some() { SLIDING } else { FULL };
            let types = layer_types(fields, layers)?.unwrap_or_default();
            match types.iter().find(|&&kind| kind != expected) {
                Some(&kind) => {
                    let supported = format!("{expected:?} in every layer for model_type {}", family.model_type());
                    Err(fields.unsupported("layer_types", &Value::from(kind), supported))
                }
                None => Ok(vec![window; layers]),
            }
        }
    }
}

/// The first layer with a window; 0 is a number here.
fn max_window_layers(fields: &Fields) -> Result<usize, ConfigError> {
    match fields.get("max_window_layers") {
        None => Ok(28),
        Some(value) => value
            .as_u64()
            .map(|first| first as usize)
            .ok_or_else(|| fields.wrong("max_window_layers", value, "a whole number of at least 0")),
    }
}

fn layer_types<'a>(fields: &Fields<'a>, layers: usize) -> Result<Option<Vec<&'a str>>, ConfigError> {
    let Some(value) = fields.get("layer_types") else { return Ok(None) };
    let wrong = || fields.wrong("layer_types", value, format!("a list of {layers} strings, one a layer"));
    let types: Vec<&Value> = value.as_array().filter(|list| list.len() == layers).ok_or_else(wrong)?.iter().collect();
    let known = |kind: &&'a Value| match kind.as_str() {
        Some(FULL) | Some("attention") => Ok(FULL),
        Some(SLIDING) => Ok(SLIDING),
        _ => Err(fields.unsupported("layer_types", kind, format!("{FULL:?}, {SLIDING:?}"))),
    };
    types.iter().map(known).collect::<Result<_, _>>().map(Some)
}
