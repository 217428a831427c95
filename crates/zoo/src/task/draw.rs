//! Distinct things of a space that may be small or too large to count.

use std::collections::HashSet;

use cohort_core::{Stream, random::Dice, random::permutation};

/// Choices one after the other, each below a bound: drawn, or the digits of a number, so that one function both samples a
/// space and enumerates it.
pub(super) enum Draw {
    Dice { dice: Dice, position: usize },
    Digits(u128),
}

impl Draw {
    pub fn of(dice: Dice) -> Self {
        Draw::Dice { dice, position: 0 }
    }

    /// In `0..bound`; `bound` is at least 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        match self {
            Draw::Dice { dice, position } => {
                *position += 1;
                dice.below(*position - 1, bound)
            }
            Draw::Digits(number) => {
                let digit = *number % u128::from(bound);
                *number /= u128::from(bound);
                digit as u64
            }
        }
    }

    /// In [0, 1).
    pub fn uniform(&mut self) -> f64 {
        self.below(1 << 53) as f64 / (1u64 << 53) as f64
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// An index of `weights`, each as often as its share of their sum.
    pub fn weighted(&mut self, weights: impl Iterator<Item = f64> + Clone) -> usize {
        let mut left = self.uniform() * weights.clone().sum::<f64>();
        let mut last = 0;
        for (index, weight) in weights.enumerate() {
            if weight > 0.0 {
                if left < weight {
                    return index;
                }
                last = index;
            }
            left -= weight;
        }
        last
    }

    /// One of `things`, which are some.
    pub fn of_these<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.below(things.len() as u64) as usize]
    }

    /// `n` of `things` without replacement, in the order in which they are drawn.
    pub fn some_of<T: Clone>(&mut self, n: usize, things: &[T]) -> Vec<T> {
        let mut left = things.to_vec();
        (0..n.min(left.len())).map(|_| left.remove(self.below(left.len() as u64) as usize)).collect()
    }

    /// How many failures precede the first success, `mean` on average (geometric).
    pub fn geometric(&mut self, mean: f64) -> usize {
        if mean <= 0.0 {
            return 0;
        }
        let stay = mean / (1.0 + mean);
        ((1.0 - self.uniform()).ln() / stay.ln()) as usize
    }
}

/// `n` things of a space of `size`, none of which `seen` holds, by their text; fewer where the space has no more. Where most
/// of the space is asked for, it is gone through in a drawn order, else it is drawn from until there are enough.
pub(super) fn distinct<T>(
    n: usize,
    size: u128,
    stream: Stream,
    stratum: u32,
    seen: &mut HashSet<String>,
    make: impl Fn(&mut Draw) -> (String, T),
) -> Vec<T> {
    let mut found = Vec::with_capacity(n.min(1 << 20));
    let mut take = |mut draw: Draw| {
        let (text, thing) = make(&mut draw);
        if seen.insert(text) {
            found.push(thing);
        }
        found.len() == n
    };
    if n == 0 {
        return found;
    }
    // Twice as many as are asked for: a draw is new at least every second time, but for what other strata have taken.
    if size <= 4 * n as u128 {
        for index in permutation(size as usize, stream.dice(stratum, 0, 0)) {
            if take(Draw::Digits(index as u128)) {
                break;
            }
        }
        return found;
    }
    let most = 64 * n as u64 + 1024;
    for attempt in 0..most {
        if take(Draw::of(stream.dice(stratum, attempt as u32, 1 + (attempt >> 32) as u32))) {
            break;
        }
    }
    found
}

/// `n` shared out by `weights` (largest remainder, ties to the first).
pub(super) fn apportion(n: usize, weights: &[f64]) -> Vec<usize> {
    let sum: f64 = weights.iter().sum();
    let exact: Vec<f64> = weights.iter().map(|w| n as f64 * w / sum).collect();
    let mut parts: Vec<usize> = exact.iter().map(|x| x.floor() as usize).collect();
    let mut order: Vec<usize> = (0..weights.len()).filter(|&i| weights[i] > 0.0).collect();
    order.sort_by(|&a, &b| (exact[b] - exact[b].floor()).total_cmp(&(exact[a] - exact[a].floor())).then(a.cmp(&b)));
    let left = n - parts.iter().sum::<usize>().min(n);
    order.into_iter().cycle().take(left).for_each(|i| parts[i] += 1);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        assert_eq!(apportion(10, &[1.0, 1.0, 1.0]), [4, 3, 3]);
        assert_eq!(apportion(7, &[0.0, 0.3, 0.7]), [0, 2, 5]);
        assert_eq!(apportion(0, &[1.0]), [0]);
        assert_eq!(apportion(1, &[0.0, 1e-9]), [0, 1]);
    }

    #[test]
    fn geometric_draws_have_their_mean() {
        let mut draw = Draw::of(Stream::new(1, "test").dice(0, 0, 0));
        let n = 20_000;
        let mean = (0..n).map(|_| draw.geometric(3.0)).sum::<usize>() as f64 / f64::from(n);
        assert!((mean - 3.0).abs() < 0.1, "{mean}");
        assert_eq!(draw.geometric(0.0), 0);
    }

    #[test]
    fn weights_are_shares_and_a_zero_never_comes() {
        let mut draw = Draw::of(Stream::new(2, "test").dice(0, 0, 0));
        let mut counts = [0usize; 3];
        (0..10_000).for_each(|_| counts[draw.weighted([1.0, 0.0, 3.0].into_iter())] += 1);
        assert!(counts[1] == 0 && (2300..2700).contains(&counts[0]), "{counts:?}");
    }

    #[test]
    fn a_small_space_is_gone_through_and_ends() {
        let stream = Stream::new(3, "test");
        let make = |draw: &mut Draw| {
            let x = draw.below(5) * 2 + draw.below(2);
            (x.to_string(), x)
        };
        let mut seen = HashSet::from(["3".to_owned()]);
        let mut found = distinct(20, 10, stream, 0, &mut seen, make);
        found.sort_unstable();
        assert_eq!(found, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    }
}
