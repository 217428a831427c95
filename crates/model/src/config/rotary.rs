//! The rotation's fields: `rope_theta` with `rope_scaling` beside it (transformers 4), or `rope_parameters` (5).

use serde_json::{Value, json};

use crate::{
    error::ConfigError,
    fields::Fields,
    layer::{Llama3, Ramp, Rope, RopeScaling, Yarn},
};

/// Keys that some type of scaling reads; a type passes over those of another, as transformers does.
const KEYS: [&str; 16] = [
    "rope_theta",
    "rope_type",
    "type",
    "partial_rotary_factor",
    "factor",
    "original_max_position_embeddings",
    "attention_factor",
    "beta_fast",
    "beta_slow",
    "low_freq_factor",
    "high_freq_factor",
    "mscale",
    "mscale_all_dim",
    "truncate",
    "short_factor",
    "long_factor",
];
const TYPES: &str = "\"default\", \"linear\", \"llama3\", \"yarn\"";

/// The rotation of heads of `head_dim` in a model of `positions`.
pub(super) fn read(fields: &Fields, head_dim: usize, positions: usize) -> Result<Rope, ConfigError> {
    let objects = [fields.object("rope_scaling")?, fields.object("rope_parameters")?];
    let [four, five] = ["rope_scaling", "rope_parameters"].map(|field| fields.get(field));
    if let (Some(four), Some(five)) = (four, five)
        && four != five
    {
        return Err(fields.unsupported("rope_scaling", four, "one of `rope_scaling` and `rope_parameters`"));
    }
    let outer = fields.positive("rope_theta")?;
    let Some(rope) = objects.into_iter().flatten().next() else {
        return Ok(Rope { theta: outer.unwrap_or(10_000.0), head_dim, scaling: RopeScaling::Default });
    };
    for (key, value) in rope.entries() {
        if !KEYS.contains(&key) {
            return Err(rope.unsupported(key, value, KEYS.join(", ")));
        }
    }
    refuse_partial(&rope)?;
    let inner = rope.positive("rope_theta")?;
    if let (Some(inner), Some(outer)) = (inner, outer)
        && inner != outer
    {
        return Err(rope.wrong("rope_theta", &Value::from(inner), format!("the `rope_theta` beside it, {outer}")));
    }
    let theta = inner.or(outer).unwrap_or(10_000.0);
    if theta == 1.0 {
        return Err(fields.wrong("rope_theta", &Value::from(theta), "another base than 1"));
    }
    Ok(Rope { theta, head_dim, scaling: scaling(fields, &rope, positions)? })
}

/// Refuses rotations of less than a whole head.
pub(super) fn refuse_partial(fields: &Fields) -> Result<(), ConfigError> {
    match fields.get("partial_rotary_factor") {
        Some(value) if value.as_f64() != Some(1.0) => Err(fields.unsupported("partial_rotary_factor", value, 1.0)),
        _ => Ok(()),
    }
}

fn scaling(fields: &Fields, rope: &Fields, positions: usize) -> Result<RopeScaling, ConfigError> {
    let (key, kind) = match (rope.text("rope_type")?, rope.text("type")?) {
        (Some(kind), _) => ("rope_type", kind),
        (None, Some(kind)) => ("type", kind),
        (None, None) => return Ok(RopeScaling::Default),
    };
    let required = |key: &str| rope.positive(key)?.ok_or_else(|| rope.missing(key, "a number above 0"));
    // The field beside the object comes first, as in transformers.
    let original_positions = match fields.count("original_max_position_embeddings")? {
        Some(outer) => outer,
        None => rope.count("original_max_position_embeddings")?.unwrap_or(positions),
    };
    match kind {
        "default" => Ok(RopeScaling::Default),
        "linear" => Ok(RopeScaling::Linear { factor: required("factor")? }),
        "llama3" => {
            let [low_freq_factor, high_freq_factor] = [required("low_freq_factor")?, required("high_freq_factor")?];
            if high_freq_factor <= low_freq_factor {
                let expected = format!("more than low_freq_factor = {low_freq_factor}");
                return Err(rope.wrong("high_freq_factor", &Value::from(high_freq_factor), expected));
            }
            let factor = required("factor")?;
            Ok(RopeScaling::Llama3(Llama3 { factor, low_freq_factor, high_freq_factor, original_positions }))
        }
        "yarn" => {
            // A factor of null is the quotient of both lengths; without the key, transformers refuses.
            let factor = match rope.positive("factor")? {
                Some(factor) => factor,
                None if rope.contains("factor") => positions as f64 / original_positions as f64,
                None => return Err(rope.missing("factor", "a number above 0")),
            };
            Ok(RopeScaling::Yarn(Yarn {
                factor,
                beta_fast: rope.positive("beta_fast")?.unwrap_or(32.0),
                beta_slow: rope.positive("beta_slow")?.unwrap_or(1.0),
                original_positions,
                attention_factor: rope.positive("attention_factor")?,
                mscale: rope.number("mscale")?,
                mscale_all_dim: rope.number("mscale_all_dim")?,
                ramp: if rope.flag("truncate")?.unwrap_or(true) { Ramp::Whole } else { Ramp::Exact },
            }))
        }
        other => Err(rope.unsupported(key, &Value::from(other), TYPES)),
    }
}

/// `rope_parameters`, as transformers 5 writes them.
pub(crate) fn write(rope: Rope) -> Value {
    let mut value = json!({ "rope_theta": rope.theta });
    let kind = match rope.scaling {
        RopeScaling::Default => "default",
        RopeScaling::Linear { factor } => {
            value["factor"] = json!(factor);
            "linear"
        }
        RopeScaling::Llama3(llama3) => {
            value["factor"] = json!(llama3.factor);
            value["low_freq_factor"] = json!(llama3.low_freq_factor);
            value["high_freq_factor"] = json!(llama3.high_freq_factor);
            value["original_max_position_embeddings"] = json!(llama3.original_positions);
            "llama3"
        }
        RopeScaling::Yarn(yarn) => {
            value["factor"] = json!(yarn.factor);
            value["beta_fast"] = json!(yarn.beta_fast);
            value["beta_slow"] = json!(yarn.beta_slow);
            value["original_max_position_embeddings"] = json!(yarn.original_positions);
            value["truncate"] = json!(yarn.ramp == Ramp::Whole);
            let optional = [
                ("attention_factor", yarn.attention_factor),
                ("mscale", yarn.mscale),
                ("mscale_all_dim", yarn.mscale_all_dim),
            ];
            for (key, number) in optional.into_iter().filter_map(|(key, number)| Some((key, number?))) {
                value[key] = json!(number);
            }
            "yarn"
        }
    };
    value["rope_type"] = json!(kind);
    value
}
