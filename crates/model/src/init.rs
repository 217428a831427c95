//! The weights of a new policy.

use cohort_core::Stream;

use crate::{
    layer::{ModelParameters, ParameterKind},
    weights::Weights,
};

/// Standard deviation of matrices and embeddings, transformers' `initializer_range`.
const STANDARD_DEVIATION: f64 = 0.02;

/// Matrices and embeddings normal with mean 0 and standard deviation 0.02, gains 1, biases 0.
///
/// A weight is a function of the stream, its parameter's place and its own index alone.
pub fn random_weights(parameters: &ModelParameters, stream: Stream) -> Weights {
    let values = parameters.infos.iter().zip(&parameters.kinds).enumerate().map(|(index, (info, kind))| {
        let count = info.element_count();
        match kind {
            ParameterKind::Gain => vec![1.0; count],
            // Adapters are added to a model that has its weights.
            ParameterKind::Bias | ParameterKind::Adapter => vec![0.0; count],
            ParameterKind::Matrix => {
                let dice = stream.dice(0, index as u32, 0);
                let mut values: Vec<f32> = Vec::with_capacity(count + 1);
                for pair in 0..count.div_ceil(2) {
                    values.extend(dice.normal_pair(pair).map(|z| (STANDARD_DEVIATION * z) as f32));
                }
                values.truncate(count);
                values
            }
        }
    });
    Weights::new(parameters, values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{
        Attention, Bias, ExpertLayout, FeedShape, Head, HeadNorm, Layer, LayerKind, Mlp, Rope, RopeScaling,
    };

    fn kind(inner: usize) -> LayerKind {
        LayerKind { window: None, feed: FeedShape::Dense(Mlp { inner, bias: Bias::Absent }) }
    }

    #[test]
    fn the_start_is_a_function_of_the_stream() {
        let layer = Layer {
            width: 32,
            norm_eps: 1e-6,
            attention: Attention {
                query_heads: 2,
                kv_heads: 1,
                head_dim: 16,
                input_bias: Bias::Present,
                output_bias: Bias::Absent,
                head_norm: HeadNorm::Present,
                rope: Rope { theta: 1e4, head_dim: 16, scaling: RopeScaling::Default },
            },
        };
        let parameters = ModelParameters::new(50, &layer, &[kind(64); 2], Head::Tied, ExpertLayout::Separate);
        let stream = Stream::new(3, "init");
        let [a, b] = [0, 1].map(|_| random_weights(&parameters, stream));
        for index in 0..a.count() {
            assert_eq!(a.slice(index), b.slice(index));
            match parameters.kinds[index] {
                ParameterKind::Gain => assert!(a.slice(index).iter().all(|&x| x == 1.0)),
                ParameterKind::Bias | ParameterKind::Adapter => assert!(a.slice(index).iter().all(|&x| x == 0.0)),
                ParameterKind::Matrix => {
                    let n = a.slice(index).len() as f64;
                    let variance = a.slice(index).iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / n;
                    assert!((variance.sqrt() / 0.02 - 1.0).abs() < 0.15, "{}", variance.sqrt());
                }
            }
        }
        assert_ne!(a.slice(0)[..8], random_weights(&parameters, Stream::new(4, "init")).slice(0)[..8]);
    }
}
