//! The sum of the blocks' gradients, over a fixed tree.
//!
//! Leaves are blocks; a node adds its left child to its right one as soon as both are there. The
//! order of the additions depends on the number of blocks alone, so any number of workers, in any
//! order of arrival, gives the same bits. At most `workers + log2(blocks)` gradients exist at once.

use std::{collections::HashMap, sync::Mutex};

use cohort_core::Gradient;

/// Takes gradients in any order and gives their sum.
pub struct GradientSum {
    leaves: usize,
    waiting: Mutex<HashMap<Node, Gradient>>,
}

/// A node of the tree: level 0 holds the leaves.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Node {
    level: usize,
    index: usize,
}

impl GradientSum {
    /// A tree over `leaves` blocks, at least 1.
    pub fn new(leaves: usize) -> Self {
        Self { leaves, waiting: Mutex::new(HashMap::new()) }
    }

    /// Hands in the gradient of block `leaf`, once each.
    pub fn put(&self, leaf: usize, mut gradient: Gradient) {
        let mut node = Node { level: 0, index: leaf };
        let mut width = self.leaves;
        while width > 1 {
            let sibling = Node { index: node.index ^ 1, ..node };
            if sibling.index < width {
                let mut waiting = self.waiting.lock().unwrap_or_else(|e| e.into_inner());
                let Some(mut other) = waiting.remove(&sibling) else {
                    waiting.insert(node, gradient);
                    return;
                };
                drop(waiting);
                if sibling.index < node.index {
                    other.add(&gradient);
                    gradient = other;
                } else {
                    gradient.add(&other);
                }
            }
            node = Node { level: node.level + 1, index: node.index / 2 };
            width = width.div_ceil(2);
        }
        self.waiting.lock().unwrap_or_else(|e| e.into_inner()).insert(node, gradient);
    }

    /// The sum, when every block has been handed in.
    pub fn total(self) -> Option<Gradient> {
        let mut waiting = self.waiting.into_inner().unwrap_or_else(|e| e.into_inner());
        let (mut level, mut width) = (0, self.leaves);
        while width > 1 {
            (level, width) = (level + 1, width.div_ceil(2));
        }
        waiting.remove(&Node { level, index: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cohort_core::{Stream, random::permutation};

    fn leaf(i: usize) -> Gradient {
        let dice = Stream::new(5, "leaf").dice(i as u32, 0, 0);
        Gradient(vec![(0..7).map(|p| (dice.uniform(p) - 0.5) as f32 * 10f32.powi(p as i32 - 3)).collect()])
    }

    #[test]
    fn every_order_of_arrival_gives_the_same_bits() {
        for leaves in 1..12 {
            let sum = |order: Vec<usize>| {
                let tree = GradientSum::new(leaves);
                order.into_iter().for_each(|i| tree.put(i, leaf(i)));
                tree.total().unwrap()
            };
            let first = sum((0..leaves).collect());
            for seed in 0..20 {
                assert_eq!(first, sum(permutation(leaves, Stream::new(seed, "order").dice(0, 0, 0))));
            }
            let plain: f64 = (0..leaves).map(|i| f64::from(leaf(i).0[0][6])).sum();
            assert!((f64::from(first.0[0][6]) - plain).abs() < 1e-2, "it is a sum");
        }
    }

    #[test]
    fn a_missing_block_gives_no_total() {
        for missing in 0..5 {
            let tree = GradientSum::new(5);
            (0..5).filter(|&i| i != missing).for_each(|i| tree.put(i, leaf(i)));
            assert!(tree.total().is_none(), "{missing}");
        }
    }
}
