//! The layers as a graph.

use std::sync::Arc;

use burn::{backend::Flex, tensor::Tensor};

use super::{
    attention::Layout,
    head::Targets,
    operation::{contiguous, slice},
    operators::Operators,
    rope::Rotation,
};
use crate::{
    layer::{LayerParameters, Projection},
    pack::Pack,
    slices::Model,
};

/// A parameter as a leaf of one graph: storage shared with the weights, the graph's node its own. A leaf
/// that two threads' graphs shared would tie their locks together.
#[derive(Clone, Debug)]
pub(crate) enum Leaf {
    Vector(Tensor<1>),
    Matrix(Tensor<2>),
}

/// A forward pass that can go back.
#[derive(Debug)]
pub(crate) struct Graph {
    /// `[actions, 2]`: logp and entropy, of all samples in their order.
    pub rows: Tensor<2>,
    /// In the order of the parameters.
    pub leaves: Vec<Leaf>,
}

impl Graph {
    /// The rows' numbers, row-major.
    pub(crate) fn values(&self) -> Vec<f32> {
        match self.rows.clone().inner().try_into_primitive::<Flex>() {
            Ok(values) => slice(&contiguous(values)).to_vec(),
            Err(_) => unreachable!("the graph is built on the CPU backend"),
        }
    }
}

/// Builds the graph of a pack with at least one row.
pub(crate) fn forward(model: &Model, pack: &Pack, temperature: f32, operators: &impl Operators) -> Graph {
    let build = Build::new(model, pack);
    let layer = &model.architecture.layer;
    let eps = layer.norm_eps as f32;
    let mut x = operators.gather(build.matrix(model.parameters.embedding), &pack.tokens);
    for places in &model.parameters.layers {
        let normed = operators.rms_norm(x.clone(), build.vector(places.attention_norm), eps);
        x = x + build.attention(operators, normed, places, eps);
        let normed = operators.rms_norm(x.clone(), build.vector(places.mlp_norm), eps);
        x = x + build.mlp(operators, normed, places);
    }
    let picked = operators.gather(x, &pack.scored);
    let hidden = operators.rms_norm(picked, build.vector(model.parameters.final_norm), eps);
    let targets = Targets { ids: Arc::clone(&pack.ids), inverse_temperature: 1.0 / temperature };
    let rows = operators.head(hidden, build.matrix(model.parameters.head), &Arc::new(targets));
    Graph { rows, leaves: build.leaves }
}

struct Build {
    leaves: Vec<Leaf>,
    layout: Arc<Layout>,
    query_rotation: Arc<Rotation>,
    key_rotation: Arc<Rotation>,
}

impl Build {
    fn new(model: &Model, pack: &Pack) -> Self {
        let leaves = (0..model.weights.count()).map(|index| match model.weights.shape(index).len() {
            1 => Leaf::Vector(Tensor::from_inner(model.weights.tensor::<1>(index)).require_grad()),
            _ => Leaf::Matrix(Tensor::from_inner(model.weights.tensor::<2>(index)).require_grad()),
        });
        let shape = model.attention_shape();
        let table = model.rotations.table(pack.longest());
        let rotation = |heads: usize| {
            Arc::new(Rotation {
                positions: Arc::clone(&pack.positions),
                heads,
                rope: model.architecture.layer.attention.rope,
                table: Arc::clone(&table),
            })
        };
        Self {
            leaves: leaves.collect(),
            layout: Arc::new(Layout { shape, starts: Arc::clone(&pack.starts) }),
            query_rotation: rotation(shape.query_heads),
            key_rotation: rotation(shape.kv_heads),
        }
    }

    fn matrix(&self, index: usize) -> Tensor<2> {
        match &self.leaves[index] {
            Leaf::Matrix(leaf) => leaf.clone(),
            Leaf::Vector(_) => unreachable!("parameter {index} is a matrix by its shape"),
        }
    }

    fn vector(&self, index: usize) -> Tensor<1> {
        match &self.leaves[index] {
            Leaf::Vector(leaf) => leaf.clone(),
            Leaf::Matrix(_) => unreachable!("parameter {index} is a vector by its shape"),
        }
    }

    fn project(&self, operators: &impl Operators, x: Tensor<2>, projection: Projection) -> Tensor<2> {
        let product = operators.linear(x, self.matrix(projection.weight));
        match projection.bias {
            Some(bias) => product + self.vector(bias).unsqueeze::<2>(),
            None => product,
        }
    }

    fn attention(&self, operators: &impl Operators, x: Tensor<2>, places: &LayerParameters, eps: f32) -> Tensor<2> {
        let mut queries = self.project(operators, x.clone(), places.query);
        let mut keys = self.project(operators, x.clone(), places.key);
        let values = self.project(operators, x, places.value);
        if let Some(norms) = places.head_norms {
            queries = operators.rms_norm(queries, self.vector(norms.query), eps);
            keys = operators.rms_norm(keys, self.vector(norms.key), eps);
        }
        let queries = operators.rope(queries, &self.query_rotation);
        let keys = operators.rope(keys, &self.key_rotation);
        self.project(operators, operators.attention(queries, keys, values, &self.layout), places.output)
    }

    fn mlp(&self, operators: &impl Operators, x: Tensor<2>, places: &LayerParameters) -> Tensor<2> {
        let gate = self.project(operators, x.clone(), places.gate);
        let up = self.project(operators, x, places.up);
        self.project(operators, operators.swiglu(gate, up), places.down)
    }
}
