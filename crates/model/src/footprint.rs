//! What a model occupies, by its description.

use cohort_core::Footprint;

use crate::{
    config::Architecture,
    layer::{HeadNorm, Layer},
    weights::Weights,
};

/// The most rows, and the most ids, of the tile of logits that a head kernel holds.
const TILE: usize = 1024;

const F32: usize = size_of::<f32>();

/// Numbers a token of one layer: `kept` from forward to backward (what its operations hold), `backward` beside them on
/// the way back (the derivatives of the MLP are the most that stand at once), `scored` by the slice interpreter.
struct Numbers {
    kept: usize,
    backward: usize,
    scored: usize,
}

fn of_layer(layer: &Layer) -> Numbers {
    let (width, inner) = (layer.width, layer.mlp.inner);
    let queries = layer.attention.query_heads * layer.attention.head_dim;
    let keys = layer.attention.kv_heads * layer.attention.head_dim;
    // Input, normalised input, and both again before the MLP; rotated queries and keys, values and what was attended
    // to; gate, up and their product.
    let kept = 4 * width + 2 * queries + 2 * keys + 3 * inner;
    let before_norm = match layer.attention.head_norm {
        HeadNorm::Present => queries + keys,
        HeadNorm::Absent => 0,
    };
    Numbers {
        kept: kept + before_norm,
        backward: 2 * width + 2 * inner,
        scored: 2 * width + 2 * queries + 2 * keys + 3 * inner,
    }
}

/// The footprint of a model with these weights, of which `trained` numbers are trained.
pub(crate) fn footprint(architecture: &Architecture, weights: &Weights, trained: usize) -> Footprint {
    let (layer, layers) = (&architecture.layer, architecture.layers);
    let Numbers { kept, backward, scored } = of_layer(layer);
    let keys = layer.attention.kv_heads * layer.attention.head_dim;
    let bytes = |numbers: usize| (numbers * F32) as u64;
    Footprint {
        weights: weights.bytes(),
        gradient: bytes(trained),
        kept_token: bytes(layers * kept),
        recomputed_token: bytes(layers * layer.width),
        backward_token: bytes(backward),
        layer_token: bytes(kept),
        row: bytes(4 * layer.width),
        tile: bytes(TILE * TILE.min(architecture.vocabulary)),
        scored_token: bytes(scored),
        cached_token: bytes(2 * layers * keys),
        decoded_row: bytes(architecture.vocabulary),
    }
}
