//! The layers of an encoder on plain slices: attention to the whole text, a feed-forward network, each added and then normalised
//! (Devlin et al., arXiv 1810.04805; Vaswani et al., arXiv 1706.03762, section 3).

use std::path::Path;

use cohort_kernels::{
    BothWaysShape, Distances, LinearShape, attention_both_ways, gather, gelu, gelu_tanh, layer_norm, linear,
};

use crate::{
    EncoderError,
    config::{Activation, Architecture, Family, Positions},
    distance,
    tensors::{Numbers, Tensors, map},
};

/// `y = x W' + b`, `W` `[outputs, inputs]`.
pub(crate) struct Affine {
    weight: Numbers,
    bias: Option<Vec<f32>>,
    inputs: usize,
    outputs: usize,
}

impl Affine {
    /// The tensors `NAME.weight` and `NAME.bias`.
    pub(crate) fn take(
        tensors: &mut Tensors,
        name: &str,
        [outputs, inputs]: [usize; 2],
        with_bias: bool,
    ) -> Result<Self, EncoderError> {
        let weight = tensors.matrix(&format!("{name}.weight"), [outputs, inputs])?;
        let bias = with_bias.then(|| tensors.vector(&format!("{name}.bias"), outputs)).transpose()?;
        Ok(Self { weight, bias, inputs, outputs })
    }

    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    pub(crate) fn of(&self, x: &[f32]) -> Vec<f32> {
        let rows = x.len() / self.inputs;
        let mut out = vec![0.0; rows * self.outputs];
        let shape = LinearShape { rows, inputs: self.inputs, outputs: self.outputs };
        linear(x, self.weight.matrix(), self.bias.as_deref(), shape, &mut out);
        out
    }
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
}

impl Norm {
    fn take(tensors: &mut Tensors, name: &str, architecture: &Architecture) -> Result<Self, EncoderError> {
        Ok(Self {
            weight: tensors.vector(&format!("{name}.weight"), architecture.width)?,
            bias: tensors.vector(&format!("{name}.bias"), architecture.width)?,
            eps: architecture.eps,
        })
    }

    /// The norm of `x + y`, in the place of `x`.
    fn of_sum(&self, x: &mut Vec<f32>, mut y: Vec<f32>) {
        for (y, x) in y.iter_mut().zip(&*x) {
            *y += *x;
        }
        layer_norm(&y, &self.weight, &self.bias, self.eps, x);
    }
}

struct Layer {
    query: Affine,
    key: Affine,
    value: Affine,
    output: Affine,
    attention_norm: Norm,
    inner: Affine,
    outer: Affine,
    norm: Norm,
}

/// What each family calls the parts of a layer: query, key, value, output, its norm, inner, outer, its norm.
fn names(family: Family) -> (&'static str, [&'static str; 8]) {
    match family {
        Family::Bert => (
            "encoder.layer",
            [
                "attention.self.query",
                "attention.self.key",
                "attention.self.value",
                "attention.output.dense",
                "attention.output.LayerNorm",
                "intermediate.dense",
                "output.dense",
                "output.LayerNorm",
            ],
        ),
        Family::Mpnet => (
            "encoder.layer",
            [
                "attention.attn.q",
                "attention.attn.k",
                "attention.attn.v",
                "attention.attn.o",
                "attention.LayerNorm",
                "intermediate.dense",
                "output.dense",
                "output.LayerNorm",
            ],
        ),
        Family::DistilBert => (
            "transformer.layer",
            [
                "attention.q_lin",
                "attention.k_lin",
                "attention.v_lin",
                "attention.out_lin",
                "sa_layer_norm",
                "ffn.lin1",
                "ffn.lin2",
                "output_layer_norm",
            ],
        ),
    }
}

pub(crate) struct Transformer {
    architecture: Architecture,
    words: Numbers,
    positions: Numbers,
    /// The row of segment 0.
    segment: Option<Vec<f32>>,
    norm: Norm,
    layers: Vec<Layer>,
    /// `[heads][2 longest - 1]`, as [`Distances`] has them.
    distances: Option<Vec<f32>>,
}

impl Transformer {
    pub(crate) fn read(file: &Path, architecture: Architecture) -> Result<Self, EncoderError> {
        let a = &architecture;
        let map = map(file)?;
        let mut tensors = Tensors::of(file, &map, a.word, "embeddings.word_embeddings.weight")?;
        let words = tensors.matrix("embeddings.word_embeddings.weight", [a.vocabulary, a.width])?;
        let positions = tensors.matrix("embeddings.position_embeddings.weight", [a.position_rows, a.width])?;
        let segment = match a.segments {
            Some(count) => {
                let all = tensors.matrix("embeddings.token_type_embeddings.weight", [count, a.width])?;
                let mut first = vec![0.0; a.width];
                all.matrix().rows(0..1, a.width).copy_to(&mut first);
                Some(first)
            }
            None => None,
        };
        let norm = Norm::take(&mut tensors, "embeddings.LayerNorm", a)?;
        let (place, [query, key, value, output, attention_norm, inner, outer, after]) = names(a.family);
        let layers = (0..a.layers).map(|at| {
            let name = |part: &str| format!("{place}.{at}.{part}");
            let square = [a.width, a.width];
            Ok(Layer {
                query: Affine::take(&mut tensors, &name(query), square, true)?,
                key: Affine::take(&mut tensors, &name(key), square, true)?,
                value: Affine::take(&mut tensors, &name(value), square, true)?,
                output: Affine::take(&mut tensors, &name(output), square, true)?,
                attention_norm: Norm::take(&mut tensors, &name(attention_norm), a)?,
                inner: Affine::take(&mut tensors, &name(inner), [a.inner, a.width], true)?,
                outer: Affine::take(&mut tensors, &name(outer), [a.width, a.inner], true)?,
                norm: Norm::take(&mut tensors, &name(after), a)?,
            })
        });
        let layers = layers.collect::<Result<_, EncoderError>>()?;
        let distances = match a.buckets {
            Some(buckets) => {
                let table = tensors.matrix("encoder.relative_attention_bias.weight", [buckets, a.heads])?;
                let mut values = vec![0.0; buckets * a.heads];
                table.matrix().copy_to(&mut values);
                Some(distance::spread(&values, a.heads, a.longest()))
            }
            None => None,
        };
        tensors.end(&["embeddings.", "encoder.", "transformer."])?;
        Ok(Self { words, positions, segment, norm, layers, distances, architecture })
    }

    pub(crate) fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The last hidden rows `[ids, width]` of texts that lie end to end, text `t` the ids `starts[t] .. starts[t + 1]`. No row depends, in
    /// any bit, on another text's.
    pub(crate) fn hidden(&self, ids: &[u32], starts: &[usize]) -> Vec<f32> {
        let Architecture { width, heads, .. } = self.architecture;
        let mut x = self.embedded(ids, starts);
        let shape = BothWaysShape { heads, head_dim: width / heads };
        let reach = self.architecture.longest();
        let distances = self.distances.as_deref().map(|values| Distances { values, reach });
        let mut attended = vec![0.0; x.len()];
        for layer in &self.layers {
            let [q, k, v] = [&layer.query, &layer.key, &layer.value].map(|affine| affine.of(&x));
            attention_both_ways(&q, &k, &v, starts, shape, distances, &mut attended);
            layer.attention_norm.of_sum(&mut x, layer.output.of(&attended));
            let mut inner = layer.inner.of(&x);
            match self.architecture.activation {
                Activation::Gelu => gelu(&mut inner),
                Activation::GeluTanh => gelu_tanh(&mut inner),
                Activation::Relu => inner.iter_mut().for_each(|x| *x = x.max(0.0)),
            }
            layer.norm.of_sum(&mut x, layer.outer.of(&inner));
        }
        x
    }

    /// Words, segment and positions, added and normalised.
    fn embedded(&self, ids: &[u32], starts: &[usize]) -> Vec<f32> {
        let width = self.architecture.width;
        let mut sum = vec![0.0; ids.len() * width];
        let mut places = vec![0.0; ids.len() * width];
        gather(self.words.matrix(), ids, width, &mut sum);
        let rows: Vec<u32> =
            starts.windows(2).flat_map(|pair| self.architecture.positions.rows(&ids[pair[0]..pair[1]])).collect();
        gather(self.positions.matrix(), &rows, width, &mut places);
        if let Some(segment) = &self.segment {
            for row in sum.chunks_exact_mut(width) {
                row.iter_mut().zip(segment).for_each(|(x, s)| *x += *s);
            }
        }
        self.norm.of_sum(&mut sum, places);
        sum
    }
}

impl Positions {
    /// The rows of one text's tokens.
    fn rows(self, ids: &[u32]) -> Vec<u32> {
        match self {
            Positions::Place => (0..).zip(ids).map(|(place, _)| place).collect(),
            Positions::Behind { pad } => {
                let mut last = pad;
                let row = |&id: &u32| {
                    last += u32::from(id != pad);
                    if id == pad { pad } else { last }
                };
                ids.iter().map(row).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_pads_takes_no_position() {
        assert_eq!(Positions::Place.rows(&[7, 1, 9]), [0, 1, 2]);
        assert_eq!(Positions::Behind { pad: 1 }.rows(&[0, 7, 1, 9, 2]), [2, 3, 1, 4, 5]);
    }
}
