//! Every operation in ordinary Burn operations, for devices without kernels of their own; tests hold the kernels to it.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use cohort_core::objective::gumbel_density::OFFSET;
use cohort_kernels::{RoutingShape, RoutingWeights};

use super::{
    attention::Layout,
    head::Targets,
    mixture::{Route, Routes},
    operators::Operators,
    padded::{Padded, UNSEEN},
    rope::Rotation,
};
use crate::{
    chosen::Chosen,
    experts::Choice,
    frozen::widened,
    given::Given,
    layer::{Adapter, Place, Projection},
    weights::Weights,
};

/// The values of a parameter on a device, as a matrix `[.., columns]` outside any graph.
pub(crate) fn upload(weights: &Weights, index: usize, device: &Device) -> Tensor<2> {
    let (values, columns) = (widened(weights.values(index)), weights.columns(index));
    let rows = values.len() / columns;
    Tensor::from_data(TensorData::new(values, [rows, columns]), device)
}

/// The values of every parameter on a device.
pub(crate) fn upload_all(weights: &Weights, device: &Device) -> Vec<Tensor<2>> {
    (0..weights.count()).map(|index| upload(weights, index, device)).collect()
}

/// The numbers of a tensor, row-major, on the host.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    // What fails here is the device itself, lost or out of memory: nothing on it can be gone on with.
    let read = tensor.without_autodiff().try_into_vec_as();
    read.unwrap_or_else(|error| panic!("the device failed: {error}"))
}

/// Parameters as operations read them.
#[derive(Debug)]
pub(crate) struct Leaves<'a> {
    values: &'a [Tensor<2>],
    purpose: Purpose<'a>,
    made: RefCell<BTreeMap<usize, Tensor<2>>>,
}

/// What operations are run for. Burn computes some of them in another way where there is a graph, with other roundings.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose<'a> {
    /// Numbers alone.
    Sampling,
    /// The numbers of a graph, without a way back.
    Scoring,
    /// A graph. What these weights train becomes leaves of it as it is asked for.
    Training(&'a Weights),
}

impl<'a> Leaves<'a> {
    pub(crate) fn new(values: &'a [Tensor<2>], purpose: Purpose<'a>) -> Self {
        Self { values, purpose, made: RefCell::default() }
    }

    fn get(&self, index: usize) -> Tensor<2> {
        let value = self.values[index].clone();
        match self.purpose {
            Purpose::Sampling => value,
            Purpose::Training(weights) if weights.slot(index).is_some() => {
                let make = || Tensor::from_inner(value).require_grad();
                self.made.borrow_mut().entry(index).or_insert_with(make).clone()
            }
            Purpose::Scoring | Purpose::Training(_) => Tensor::from_inner(value),
        }
    }
}

/// What the host works out of a pack, sent to the device once.
#[derive(Debug)]
pub(crate) struct Constants {
    device: Device,
    layouts: Sent<Layout, Padded>,
    /// Cosines and sines, `[rows * heads, head_dim / 2]` each.
    rotations: Sent<Rotation, [Tensor<2>; 2]>,
}

impl Constants {
    pub(crate) fn new(device: &Device) -> Self {
        Self { device: device.clone(), layouts: Sent::default(), rotations: Sent::default() }
    }
}

/// What was sent, by what it was made from, which it holds: an address in use is nothing else's.
#[derive(Debug)]
struct Sent<K, V>(RefCell<Vec<(Arc<K>, V)>>);

impl<K, V> Default for Sent<K, V> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<K, V: Clone> Sent<K, V> {
    fn get(&self, of: &Arc<K>, make: impl FnOnce() -> V) -> V {
        let mut all = self.0.borrow_mut();
        if let Some((_, sent)) = all.iter().find(|(key, _)| Arc::ptr_eq(key, of)) {
            return sent.clone();
        }
        let sent = make();
        all.push((Arc::clone(of), sent.clone()));
        sent
    }
}

/// [`Operators`] that any Burn device runs.
#[derive(Debug)]
pub(crate) struct Plain<'a> {
    leaves: Leaves<'a>,
    constants: &'a Constants,
}

impl<'a> Plain<'a> {
    pub(crate) fn new(leaves: Leaves<'a>, constants: &'a Constants) -> Self {
        Self { leaves, constants }
    }

    fn matrix(&self, place: Place) -> Tensor<2> {
        let whole = self.leaves.get(place.parameter);
        let [rows, _] = whole.dims();
        if (place.from, place.rows) == (0, rows) { whole } else { whole.narrow(0, place.from, place.rows) }
    }

    /// The trained parameters that the graph has read, by index.
    pub(crate) fn into_leaves(self) -> Vec<(usize, Tensor<2>)> {
        self.leaves.made.into_inner().into_iter().collect()
    }

    /// `[rows, vocabulary]`, at temperature 1.
    pub(crate) fn logits(&self, hidden: Tensor<2>, weight: Place) -> Tensor<2> {
        hidden.matmul(self.matrix(weight).transpose())
    }

    /// `logp` with the densities of soft tokens in their rows; `[rows, 1]`.
    fn densities(&self, chosen: &Chosen, log_p: &Tensor<2>, logp: Tensor<2>) -> Tensor<2> {
        let most = chosen.soft.iter().map(|(_, mixture)| mixture.ids().len()).max();
        let Some(most) = most else { return logp };
        let count = chosen.soft.len();
        // Rows with fewer candidates than the most are filled up with ones of no probability and no share.
        let mut filled = [vec![UNSEEN; count * most], vec![0.0; count * most], vec![0.0; count * most]];
        let mut candidates = vec![0; count * most];
        let (mut low, mut high) = (vec![0.0; count], vec![0.0; count]);
        // Where each row finds its density, and whether it wants it.
        let (mut places, mut is_soft) = (vec![0; chosen.ids.len()], vec![0.0; chosen.ids.len()]);
        for (at, (row, mixture)) in chosen.soft.iter().enumerate() {
            let of = mixture.ids().iter().zip(mixture.drawn()).zip(mixture.shares());
            for (i, ((&id, &drawn), share)) in of.enumerate() {
                candidates[at * most + i] = id;
                filled[0][at * most + i] = 0.0;
                filled[1][at * most + i] = drawn as f32;
                filled[2][at * most + i] = share as f32;
            }
            [low[at], high[at]] = mixture.clamp().map(|bound| bound as f32);
            (places[*row as usize], is_soft[*row as usize]) = (at as u32, 1.0);
        }
        let rows: Vec<u32> = chosen.soft.iter().map(|(row, _)| *row).collect();
        let [outside, drawn, shares] = filled.map(|values| self.constant(values, most));
        let candidates = self.ids(&candidates).reshape([count, most]);
        let logits = log_p.clone().select(0, self.ids(&rows)).gather(1, candidates) + outside;
        let l = (activation::softmax(logits, 1) + OFFSET as f32).log();
        let bound = |bound: Vec<f32>| self.constant(bound, 1).repeat_dim(1, most);
        let u = (drawn - l).max_pair(bound(low)).min_pair(bound(high));
        let density = ((u.clone() + (-u).exp()) * shares).sum_dim(1).neg();
        let is_soft = self.constant(is_soft, 1);
        logp * (-is_soft.clone() + 1.0) + density.select(0, self.ids(&places)) * is_soft
    }

    fn ids(&self, ids: &[u32]) -> Tensor<1, Int> {
        indices(ids, &self.constants.device)
    }

    fn constant(&self, values: Vec<f32>, columns: usize) -> Tensor<2> {
        let rows = values.len() / columns;
        Tensor::from_data(TensorData::new(values, [rows, columns]), &self.constants.device)
    }

    fn angles(&self, rotation: &Rotation) -> [Tensor<2>; 2] {
        let (frequencies, factor) = (rotation.rope.inverse_frequencies(), rotation.rope.attention_factor());
        let part = |of: fn(f64) -> f64| {
            let values = rotation.positions.iter().flat_map(|&position| {
                let angle = |f: &f64| (factor * of(f64::from(position as f32 * *f as f32))) as f32;
                let one: Vec<f32> = frequencies.iter().map(angle).collect();
                std::iter::repeat_n(one, rotation.heads).flatten()
            });
            self.constant(values.collect(), rotation.rope.head_dim / 2)
        };
        [part(f64::cos), part(f64::sin)]
    }
}

/// Indices on a device.
pub(crate) fn indices(ids: &[u32], device: &Device) -> Tensor<1, Int> {
    let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let count = ids.len();
    Tensor::from_data(TensorData::new(ids, [count]), device)
}

impl Operators for Plain<'_> {
    fn embed(&self, table: Place, ids: &Arc<Vec<u32>>, given: &Given) -> Tensor<2> {
        let x = self.matrix(table).select(0, self.ids(ids));
        if given.is_empty() {
            return x;
        }
        let [count, width] = x.dims();
        let (mut looked_up, mut rows) = (vec![1.0; count], vec![0.0; count * width]);
        given.rows().for_each(|(row, _)| looked_up[row] = 0.0);
        given.replace(&mut rows, width);
        x * self.constant(looked_up, 1) + self.constant(rows, width)
    }

    fn linear(&self, x: Tensor<2>, projection: Projection) -> Tensor<2> {
        let product = x.clone().matmul(self.matrix(projection.weight).transpose());
        let product = match projection.bias {
            Some(bias) => product + self.leaves.get(bias),
            None => product,
        };
        match projection.adapter {
            Some(Adapter { a, b, scale }) => {
                let low = x.matmul(self.leaves.get(a).transpose());
                product + low.matmul(self.leaves.get(b).transpose()) * scale
            }
            None => product,
        }
    }

    fn rms_norm(&self, x: Tensor<2>, gain: usize, eps: f32) -> Tensor<2> {
        let gain = self.leaves.get(gain);
        let ([rows, columns], [_, width]) = (x.dims(), gain.dims());
        let x = x.reshape([rows * columns / width, width]);
        let mean = (x.clone() * x.clone()).mean_dim(1);
        (x / (mean + eps).sqrt() * gain).reshape([rows, columns])
    }

    fn rope(&self, x: Tensor<2>, rotation: &Arc<Rotation>) -> Tensor<2> {
        let [rows, columns] = x.dims();
        let half = rotation.rope.head_dim / 2;
        let [cos, sin] = self.constants.rotations.get(rotation, || self.angles(rotation));
        let heads = x.reshape([rows * rotation.heads, 2 * half]);
        let (low, high) = (heads.clone().narrow(1, 0, half), heads.narrow(1, half, half));
        let rotated_low = low.clone() * cos.clone() - high.clone() * sin.clone();
        let rotated_high = high * cos + low * sin;
        Tensor::cat(vec![rotated_low, rotated_high], 1).reshape([rows, columns])
    }

    fn attention(&self, queries: Tensor<2>, keys: Tensor<2>, values: Tensor<2>, layout: &Arc<Layout>) -> Tensor<2> {
        let device = &self.constants.device;
        self.constants.layouts.get(layout, || Padded::new(layout, device)).attend(queries, keys, values, layout.shape)
    }

    fn gated(&self, gate: Tensor<2>, up: Tensor<2>, projection: Projection) -> Tensor<2> {
        self.linear(activation::silu(gate) * up, projection)
    }

    /// The choice is the kernel's; the weights and their gradient are not.
    fn route(&self, logits: Tensor<2>, routing: RoutingShape) -> Routes {
        let [rows, _] = logits.dims();
        let route = Route::new(&numbers(logits.clone()), routing);
        let chosen = self.ids(&route.chosen).reshape([rows, routing.top_k]);
        let p = activation::softmax(logits, 1).gather(1, chosen);
        let weights = match routing.weights {
            RoutingWeights::AsTheyAre => p,
            RoutingWeights::Normalised => p.clone() / p.sum_dim(1),
        };
        let (choice, load) = route.choice();
        Routes { weights, choice, load }
    }

    fn combine(&self, given: Tensor<2>, weights: Tensor<2>, choice: &Arc<Choice>) -> Tensor<2> {
        let ([slots, width], [rows, top_k]) = (given.dims(), weights.dims());
        let places = self.ids(&choice.places);
        let weighted = given.select(0, places) * weights.reshape([slots, 1]);
        weighted.reshape([rows, top_k, width]).sum_dim(1).reshape([rows, width])
    }

    fn pick(&self, x: Tensor<2>, rows: &Arc<Vec<u32>>) -> Tensor<2> {
        x.select(0, self.ids(rows))
    }

    fn head(&self, hidden: Tensor<2>, weight: Place, targets: &Arc<Targets>) -> Tensor<2> {
        let ids = self.ids(&targets.chosen.ids);
        let count = targets.chosen.ids.len();
        let logits = self.logits(hidden, weight) * targets.inverse_temperature;
        let log_p = activation::log_softmax(logits, 1);
        let chosen = self.densities(&targets.chosen, &log_p, log_p.clone().gather(1, ids.reshape([count, 1])));
        let entropy = -(log_p.clone().exp() * log_p.clone()).sum_dim(1);
        let divergences = targets.measured.0.iter().map(|(_, from)| {
            let q = from.get();
            let rows = |values: Vec<f32>| self.constant(values, q.width);
            let mut weight = vec![0.0; q.weight.len()];
            q.weight.stored().copy_to(&mut weight);
            let logits = rows(q.hidden.to_vec()).matmul(rows(weight).transpose()) * q.inverse_temperature;
            (log_p.clone().exp() * (log_p.clone() - activation::log_softmax(logits, 1))).sum_dim(1)
        });
        Tensor::cat([chosen, entropy].into_iter().chain(divergences).collect(), 1)
    }
}
