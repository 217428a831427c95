//! Routing of rows to experts, and the weighted sum of what these give.

use std::sync::Arc;

use burn::tensor::Tensor;
use cohort_kernels::{RoutingShape, Team, combine, combine_backward, route, route_backward};

use super::operation::{Operation, Values, matrix, sizes, slice};
use crate::experts::{Choice, Load};

/// Where rows go.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    /// `[rows, top_k]`, with a gradient; the choice has none.
    pub weights: Tensor<2>,
    pub choice: Arc<Choice>,
    pub load: Load,
}

/// A router's choice from numbers, and what the way back needs.
#[derive(Clone, Debug)]
pub(super) struct Route {
    routing: RoutingShape,
    probabilities: Vec<f32>,
    pub chosen: Vec<u32>,
    weights: Vec<f32>,
}

impl Route {
    /// Routes logits `[rows, experts]`.
    pub(super) fn new(logits: &[f32], routing: RoutingShape) -> Self {
        let slots = logits.len() / routing.experts * routing.top_k;
        let (mut probabilities, mut weights) = (vec![0.0; logits.len()], vec![0.0; slots]);
        let mut chosen = vec![0; slots];
        route(logits, routing, &mut probabilities, &mut chosen, &mut weights);
        Self { routing, probabilities, chosen, weights }
    }

    pub(super) fn choice(&self) -> (Arc<Choice>, Load) {
        let choice = Choice::new(&self.chosen, self.routing);
        let load = Load::new(&choice, &self.probabilities);
        (Arc::new(choice), load)
    }
}

impl Operation<1> for Route {
    fn forward(&mut self, _: Team) -> Values {
        let top_k = self.routing.top_k;
        matrix(self.weights.clone(), self.weights.len() / top_k, top_k)
    }

    fn backward(self, _: Team, d_out: &[f32], _: [bool; 1]) -> [Option<Values>; 1] {
        let Self { routing, probabilities, chosen, weights } = self;
        let mut d_logits = vec![0.0; probabilities.len()];
        route_backward(routing, &probabilities, &chosen, &weights, d_out, &mut d_logits);
        let rows = d_logits.len() / routing.experts;
        [Some(matrix(d_logits, rows, routing.experts))]
    }
}

/// What the experts gave, `[rows * top_k, width]` in the choice's places, and weights `[rows, top_k]`, to `[rows, width]`.
#[derive(Clone, Debug)]
pub(super) struct Combine {
    pub given: Values,
    pub weights: Values,
    pub choice: Arc<Choice>,
}

impl Operation<2> for Combine {
    fn forward(&mut self, _: Team) -> Values {
        let ([_, width], [rows, _]) = (sizes(&self.given), sizes(&self.weights));
        let mut out = vec![0.0; rows * width];
        combine(slice(&self.given), slice(&self.weights), &self.choice.places, width, &mut out);
        matrix(out, rows, width)
    }

    fn backward(self, _: Team, d_out: &[f32], _: [bool; 2]) -> [Option<Values>; 2] {
        let ([given, width], [rows, top_k]) = (sizes(&self.given), sizes(&self.weights));
        let (mut d_given, mut d_weights) = (vec![0.0; given * width], vec![0.0; rows * top_k]);
        combine_backward(
            slice(&self.given),
            slice(&self.weights),
            &self.choice.places,
            width,
            d_out,
            &mut d_given,
            &mut d_weights,
        );
        [Some(matrix(d_given, given, width)), Some(matrix(d_weights, rows, top_k))]
    }
}
