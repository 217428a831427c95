//! What the second half of each layer is: a gated MLP, or a mixture of experts.

use serde_json::Value;

use super::Family;
use crate::{
    error::ConfigError,
    fields::Fields,
    layer::{Bias, FeedShape, Mixture, Mlp, RoutingShape, RoutingWeights},
};

/// The feed of each of `layers` layers.
pub(super) fn read(fields: &Fields, family: Family, layers: usize) -> Result<Vec<FeedShape>, ConfigError> {
    let bias = fields.flag("mlp_bias")?.unwrap_or(false);
    if bias && family != Family::Llama {
        return Err(fields.unsupported("mlp_bias", &Value::Bool(true), "true for model_type llama only"));
    }
    let bias = if bias { Bias::Present } else { Bias::Absent };
    let dense = |inner: usize| FeedShape::Dense(Mlp { inner, bias });
    if family != Family::Qwen3Moe {
        for field in ["num_experts", "num_local_experts"] {
            if let Some(value) = fields.get(field) {
                return Err(fields.unsupported(field, value, "absent but for model_type qwen3_moe"));
            }
        }
        return Ok(vec![dense(fields.required_count("intermediate_size")?); layers]);
    }
    let step = fields.count("decoder_sparse_step")?.unwrap_or(1);
    let dense_layers = fields.ids("mlp_only_layers")?.unwrap_or_default();
    let is_dense = |i: usize| dense_layers.contains(&(i as u32)) || !(i + 1).is_multiple_of(step);
    let feed = |i: usize| match is_dense(i) {
        true => Ok(dense(fields.required_count("intermediate_size")?)),
        false => Ok(FeedShape::Experts(mixture(fields)?)),
    };
    (0..layers).map(feed).collect()
}

/// Sizes are asked for: the defaults of transformers are those of one published model.
fn mixture(fields: &Fields) -> Result<Mixture, ConfigError> {
    let experts = match [fields.count("num_experts")?, fields.count("num_local_experts")?] {
        [Some(one), Some(other)] if one != other => {
            let expected = format!("num_experts = {one}, of which it is another name");
            return Err(fields.wrong("num_local_experts", &Value::from(other), expected));
        }
        [one, other] => one.or(other).ok_or_else(|| fields.missing("num_experts", "a whole number of at least 1"))?,
    };
    let top_k = fields.required_count("num_experts_per_tok")?;
    if top_k > experts {
        let expected = format!("at most num_experts = {experts}");
        return Err(fields.wrong("num_experts_per_tok", &Value::from(top_k), expected));
    }
    let weights = match fields.flag("norm_topk_prob")?.unwrap_or(false) {
        true => RoutingWeights::Normalised,
        false => RoutingWeights::AsTheyAre,
    };
    let routing = RoutingShape { experts, top_k, weights };
    Ok(Mixture { routing, inner: fields.required_count("moe_intermediate_size")? })
}
