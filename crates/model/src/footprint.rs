//! What a model occupies, by its description.

use cohort_core::Footprint;

use crate::{
    config::Architecture,
    layer::{FeedShape, HeadNorm, Layer, LayerKind, Mixture},
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

fn of_layer(layer: &Layer, kind: &LayerKind) -> Numbers {
    let width = layer.width;
    // Gate and up, whose product is made again; in a mixture for every expert that takes the token, with what goes in and comes out
    // of each (and all of it once more, end to end), probabilities and logits.
    let (fed, product, most) = match kind.feed {
        FeedShape::Dense(mlp) => (2 * mlp.inner, mlp.inner, 3 * mlp.inner),
        FeedShape::Experts(Mixture { routing, inner }) => {
            let slots = routing.top_k * (2 * inner + 3 * width + 2);
            (
                slots + 2 * routing.experts,
                routing.top_k * inner,
                routing.top_k * (3 * inner + 2 * width) + routing.experts,
            )
        }
    };
    let queries = layer.attention.query_heads * layer.attention.head_dim;
    let keys = layer.attention.kv_heads * layer.attention.head_dim;
    // Input, normalised input, and both again before the MLP; rotated queries and keys, values and what was attended
    // to.
    let kept = 4 * width + 2 * queries + 2 * keys + fed;
    let before_norm = match layer.attention.head_norm {
        HeadNorm::Present => queries + keys,
        HeadNorm::Absent => 0,
    };
    let scored = 3 * width + 2 * queries + 2 * keys + fed + product;
    Numbers { kept: kept + before_norm, backward: 2 * width + most, scored }
}

/// The footprint of a model with these weights, of which `trained` numbers are trained.
pub(crate) fn footprint(architecture: &Architecture, weights: &Weights, trained: usize) -> Footprint {
    let (layer, layers) = (&architecture.layer, architecture.layers.len());
    let each: Vec<Numbers> = architecture.layers.iter().map(|kind| of_layer(layer, kind)).collect();
    let largest = |of: fn(&Numbers) -> usize| each.iter().map(of).max().unwrap_or(0);
    let (kept, backward, scored) = (largest(|n| n.kept), largest(|n| n.backward), largest(|n| n.scored));
    let keys = layer.attention.kv_heads * layer.attention.head_dim;
    let bytes = |numbers: usize| (numbers * F32) as u64;
    Footprint {
        weights: weights.bytes(),
        gradient: bytes(trained),
        kept_token: bytes(each.iter().map(|numbers| numbers.kept).sum()),
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
