//! AdamW, cut anywhere: no element sees another.

use super::{Team, cut, ranges, run};
use crate::adamw::{AdamW, adamw};

impl Team {
    /// [`adamw`](crate::adamw()).
    pub fn adamw(
        &self,
        weights: &mut [f32],
        gradient: &[f32],
        gradient_scale: f32,
        first: &mut [f32],
        second: &mut [f32],
        config: &AdamW,
    ) {
        let members = self.members_for_elements(weights.len());
        let same = gradient.len() == weights.len() && first.len() == weights.len() && second.len() == weights.len();
        if members == 1 || !same {
            return adamw(weights, gradient, gradient_scale, first, second, config);
        }
        let parts = ranges(weights.len(), members, 16);
        let (weights, first, second) = (cut(weights, &parts, 1), cut(first, &parts, 1), cut(second, &parts, 1));
        let tasks = parts.iter().zip(weights).zip(first.into_iter().zip(second));
        run(tasks, |((part, weights), (first, second))| {
            adamw(weights, &gradient[part.clone()], gradient_scale, first, second, config);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::teams;
    use super::*;
    use crate::testing::{bits, numbers};

    #[test]
    fn every_team_gives_the_same_bits() {
        let config = AdamW { lr: 0.1, beta1: 0.9, beta2: 0.99, eps: 1e-2, weight_decay: 0.05, step: 1 };
        for count in [0, 1, 15, 16, 17, 1003] {
            let gradient = numbers(2, count);
            let update = |team: Option<Team>| {
                let (mut w, mut m, mut v) = (numbers(1, count), vec![0.0; count], vec![0.0; count]);
                for step in 1..=2 {
                    let config = AdamW { step, ..config };
                    match team {
                        None => adamw(&mut w, &gradient, 0.5, &mut m, &mut v, &config),
                        Some(team) => team.adamw(&mut w, &gradient, 0.5, &mut m, &mut v, &config),
                    }
                }
                bits(&[w, m, v].concat())
            };
            for team in teams() {
                assert_eq!(update(Some(team)), update(None), "{team:?}, {count}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "adamw: slices of 40")]
    fn wrong_lengths_are_refused_as_by_the_kernel() {
        let team = teams().last().expect("a team");
        let config = AdamW { lr: 0.1, beta1: 0.9, beta2: 0.99, eps: 1e-2, weight_decay: 0.0, step: 1 };
        team.adamw(&mut [0.0; 40], &[0.0; 39], 1.0, &mut [0.0; 40], &mut [0.0; 40], &config);
    }
}
