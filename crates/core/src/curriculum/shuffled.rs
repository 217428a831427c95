//! Every prompt once an epoch, in an order of its own.

use crate::random::{Stream, permutation};

/// The `count` prompts of `step` (from 1), as indices below `prompts`: positions
/// `(step - 1) count ..` of the endless row of epochs, each epoch a fresh permutation.
///
/// A function of the step alone: there is no cursor to save. A prompt can come twice in one step
/// only where an epoch ends within it, or where `count` exceeds `prompts`. Empty for no prompts.
pub fn shuffled(prompts: usize, count: usize, step: u64, stream: Stream) -> Vec<usize> {
    if prompts == 0 {
        return Vec::new();
    }
    let first = step.saturating_sub(1) as usize * count;
    let mut chosen = Vec::with_capacity(count);
    let mut epoch = first / prompts;
    let mut skip = first % prompts;
    while chosen.len() < count {
        let order = permutation(prompts, stream.dice(epoch as u32, 0, 0));
        chosen.extend(order.into_iter().skip(skip).take(count - chosen.len()));
        epoch += 1;
        skip = 0;
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prompt_once_an_epoch() {
        let stream = Stream::new(0, "order");
        // 3 does not divide 10: steps straddle epochs.
        let row: Vec<usize> = (1..=20).flat_map(|step| shuffled(10, 3, step, stream)).collect();
        for epoch in row.chunks_exact(10) {
            let mut seen = epoch.to_vec();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..10));
        }
        assert_ne!(row[..10], row[10..20]);
    }

    #[test]
    fn seeds_order_differently_and_few_prompts_repeat() {
        assert_ne!(shuffled(100, 10, 1, Stream::new(0, "order")), shuffled(100, 10, 1, Stream::new(1, "order")));
        assert_eq!(shuffled(2, 5, 3, Stream::new(0, "order")).len(), 5);
        assert!(shuffled(0, 5, 1, Stream::new(0, "order")).is_empty());
    }
}
