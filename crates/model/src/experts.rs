//! Which experts take which rows, laid out by expert, and how evenly.

use cohort_kernels::RoutingShape;

/// The choice of a router for some rows. The outputs of all experts stand one expert after the other, each expert's in
/// the order of its rows: every (row, slot) has one place among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Where each expert's rows begin, and after the last one the end.
    starts: Vec<usize>,
    rows: Vec<u32>,
    /// `[rows, top_k]`: the place of each row's outputs.
    pub places: Vec<u32>,
}

impl Choice {
    /// The layout of chosen experts, `[rows, top_k]`.
    pub(crate) fn new(chosen: &[u32], routing: RoutingShape) -> Self {
        let mut starts = vec![0; routing.experts + 1];
        chosen.iter().for_each(|&expert| starts[expert as usize + 1] += 1);
        for expert in 0..routing.experts {
            starts[expert + 1] += starts[expert];
        }
        let mut next = starts.clone();
        let (mut rows, mut places) = (vec![0; chosen.len()], vec![0; chosen.len()]);
        for (at, &expert) in chosen.iter().enumerate() {
            let place = &mut next[expert as usize];
            rows[*place] = (at / routing.top_k) as u32;
            places[at] = *place as u32;
            *place += 1;
        }
        Self { starts, rows, places }
    }

    /// The rows that an expert takes, rising.
    pub(crate) fn rows_of(&self, expert: usize) -> &[u32] {
        &self.rows[self.range(expert)]
    }

    /// The places of an expert's outputs.
    pub(crate) fn range(&self, expert: usize) -> std::ops::Range<usize> {
        self.starts[expert]..self.starts[expert + 1]
    }
}

/// How the rows of a layer were spread over its experts.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    rows: usize,
    /// Number of rows that each expert took.
    taken: Vec<f64>,
    /// Sum over rows of each expert's probability before the choice.
    probability: Vec<f64>,
}

impl Load {
    pub(crate) fn new(choice: &Choice, probabilities: &[f32]) -> Self {
        let experts = choice.starts.len() - 1;
        let mut probability = vec![0.0; experts];
        for row in probabilities.chunks_exact(experts) {
            probability.iter_mut().zip(row).for_each(|(sum, p)| *sum += f64::from(*p));
        }
        let taken = (0..experts).map(|expert| choice.range(expert).len() as f64).collect();
        Self { rows: probabilities.len() / experts, taken, probability }
    }

    /// `experts * sum_e f_e P_e` over the rows of all layers together, where `f_e` is the share of rows that expert `e` takes
    /// and `P_e` its mean probability (Fedus et al., "Switch Transformers", 2021, eq. 4 to 6, as `load_balancing_loss_func` of
    /// transformers computes it): `top_k` where all experts are taken alike, `experts` where one takes everything with
    /// `top_k` 1.
    pub(crate) fn balance(loads: &[Load]) -> Option<f64> {
        let experts = loads.first()?.taken.len();
        let rows: usize = loads.iter().map(|load| load.rows).sum();
        let total = |of: fn(&Load) -> &[f64], expert: usize| loads.iter().map(|load| of(load)[expert]).sum::<f64>();
        let product = |e: usize| total(|load| &load.taken, e) * total(|load| &load.probability, e);
        let sum: f64 = (0..experts).map(product).sum();
        (rows > 0).then(|| experts as f64 * sum / (rows as f64).powi(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cohort_kernels::RoutingWeights;

    const ROUTING: RoutingShape = RoutingShape { experts: 3, top_k: 2, weights: RoutingWeights::AsTheyAre };

    #[test]
    fn every_output_has_one_place() {
        let choice = Choice::new(&[2, 0, 0, 1, 2, 0], ROUTING);
        assert_eq!([0, 1, 2].map(|expert| choice.rows_of(expert).to_vec()), [vec![0, 1, 2], vec![1], vec![0, 2]]);
        assert_eq!(choice.places, [4, 0, 1, 3, 5, 2]);
        assert_eq!(choice.range(2), 4..6);
    }

    #[test]
    fn an_even_load_is_the_number_of_slots_and_an_uneven_one_more() {
        let even = Load::new(&Choice::new(&[0, 1, 1, 2, 2, 0], ROUTING), &[1.0 / 3.0; 9]);
        assert!((Load::balance(std::slice::from_ref(&even)).expect("rows") - 2.0).abs() < 1e-6);
        let skewed =
            Load::new(&Choice::new(&[0, 1, 0, 1, 0, 2], ROUTING), &[0.8, 0.1, 0.1, 0.8, 0.15, 0.05, 0.9, 0.0, 0.1]);
        // By hand: f = (1, 2/3, 1/3), P = (2.5, 0.25, 0.25) / 3.
        let alone = 3.0 * (2.5 + 0.25 * 2.0 / 3.0 + 0.25 / 3.0) / 3.0;
        assert!((Load::balance(std::slice::from_ref(&skewed)).expect("rows") - alone).abs() < 1e-6);
        // Both layers: f = (5/6, 2/3, 1/2), P = (3.5, 1.25, 1.25) / 6.
        let both = 3.0 * (3.5 * 5.0 / 6.0 + 1.25 * 2.0 / 3.0 + 1.25 / 2.0) / 6.0;
        assert!((Load::balance(&[even, skewed]).expect("rows") - both).abs() < 1e-6);
        assert_eq!(Load::balance(&[]), None);
    }
}
