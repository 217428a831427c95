//! How much arithmetic a pass is: what speed is a share of.

use cohort_core::Sample;

use crate::{
    config::Architecture,
    given::Symbols,
    layer::{FeedShape, Mixture},
    pack::Prompts,
    prefix_tree::PrefixTree,
};

/// Floating-point operations of a forward pass, a multiply-add as two; norms, rotations and softmaxes are not counted. A way back
/// is twice as many. What a window hides is counted as seen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flops {
    /// Of one token through the matrices of all layers.
    pub token: f64,
    /// Of one query that meets one key, in all heads of all layers.
    pub pair: f64,
    /// Of one row of logits.
    pub row: f64,
}

impl Flops {
    pub(crate) fn of(architecture: &Architecture) -> Self {
        let (width, attention) = (architecture.layer.width, architecture.layer.attention);
        let queries = attention.query_heads * attention.head_dim;
        let keys = attention.kv_heads * attention.head_dim;
        let mixed = width * (2 * queries + 2 * keys);
        let fed = |feed: &FeedShape| match feed {
            FeedShape::Dense(mlp) => 3 * width * mlp.inner,
            FeedShape::Experts(Mixture { routing, inner }) => {
                width * routing.experts + routing.top_k * 3 * width * inner
            }
        };
        let matrices: usize = architecture.layers.iter().map(|kind| mixed + fed(&kind.feed)).sum();
        Self {
            token: 2.0 * matrices as f64,
            pair: 4.0 * (queries * architecture.layers.len()) as f64,
            row: 2.0 * (width * architecture.vocabulary) as f64,
        }
    }

    /// Of `new` tokens that follow `before` others and attend to these, to themselves and to each other.
    pub fn run(&self, before: usize, new: usize) -> f64 {
        let pairs = new * before + new * (new + 1) / 2;
        self.token * new as f64 + self.pair * pairs as f64
    }

    /// Of the rows of samples whose contexts and actions are ids, what they begin with alike run once where it is shared.
    pub fn rows<'s>(&self, samples: impl IntoIterator<Item = &'s Sample>, prompts: Prompts) -> f64 {
        let (mut rows, mut sequences, mut symbols) = (0, Vec::new(), Symbols::default());
        for sample in samples {
            let mut fed = sample.scored_context().as_tokens().unwrap_or_default().to_vec();
            let context = fed.len();
            rows += sample.actions.len();
            // The last action goes through nothing.
            let actions = sample.tokens().take(sample.actions.len().saturating_sub(1));
            fed.extend(actions.enumerate().map(|(i, id)| symbols.of(id, sample.mixture(i))));
            sequences.push((fed, context));
        }
        let run = match prompts {
            Prompts::Shared => {
                let tree = PrefixTree::new(sequences.iter().map(|(fed, context)| (fed.as_slice(), *context)));
                tree.stretches().0.iter().map(|stretch| self.run(stretch.position, stretch.tokens.len())).sum::<f64>()
            }
            Prompts::Repeated => sequences.iter().map(|(fed, _)| self.run(0, fed.len())).sum(),
        };
        run + self.row * rows as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOPS: Flops = Flops { token: 100.0, pair: 1.0, row: 7.0 };

    #[test]
    fn what_is_run_once_is_counted_once() {
        let sample = |actions: &[u32]| Sample::given(cohort_core::Context::of_tokens([1, 2, 3]), actions);
        let pair = [sample(&[4, 5]), sample(&[6, 7, 8])];
        let rows = 5.0 * FLOPS.row;
        assert_eq!(FLOPS.rows(&pair, Prompts::Repeated), FLOPS.run(0, 4) + FLOPS.run(0, 5) + rows);
        assert_eq!(FLOPS.rows(&pair, Prompts::Shared), FLOPS.run(0, 3) + FLOPS.run(3, 1) + FLOPS.run(3, 2) + rows);
    }

    #[test]
    fn a_run_is_the_same_in_parts() {
        assert_eq!(FLOPS.run(0, 3), 300.0 + 6.0);
        assert_eq!(FLOPS.run(0, 2) + FLOPS.run(2, 5), FLOPS.run(0, 7));
        assert_eq!(FLOPS.run(9, 0), 0.0);
    }

    /// 2 x parameters of the matrices, for a model whose parameters are known: the 3,164,928 of the arithmetic model
    /// less 64 x 256 of the tied embedding and the norms.
    #[test]
    fn a_dense_model_costs_two_a_parameter() {
        let blueprint = crate::Blueprint {
            vocabulary: 64,
            width: 256,
            layers: 4,
            query_heads: 4,
            kv_heads: 2,
            head_dim: 64,
            inner: 768,
            experts: None,
            positions: 128,
            rope_theta: 10_000.0,
            norm_eps: 1e-6,
            tied: true,
            end_ids: vec![1],
            pad_id: Some(0),
        };
        let flops = Flops::of(&Architecture::new(&blueprint).expect("an architecture"));
        let norms = 4 * (2 * 256 + 2 * 64) + 256;
        assert_eq!(flops.token, 2.0 * f64::from(3_164_928 - 64 * 256 - norms));
        assert_eq!((flops.pair, flops.row), (4.0 * 256.0 * 4.0, 2.0 * 256.0 * 64.0));
    }
}
