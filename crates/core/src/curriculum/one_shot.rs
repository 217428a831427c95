//! One prompt, or a few, over and over.

use crate::registry::{Axis, Entry, Parameter};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Curriculum,
    name: "one_shot",
    summary: "these prompts alone, repeated until the step is full",
    formula: "curriculum.order = {one_shot = {prompts = P}}: position i of the run is P[i mod |P|], so a step of 128 prompts holds one \
              example 128 times, as 128 groups that are normalised apart. Which prompts: those of highest variance \
              (choose = top_variance) of a run over all of them.",
    parameters: &[Parameter {
        name: "prompts",
        default: "[0]",
        range: "at least one index of the training split",
        meaning: "the prompts",
    }],
    source: "1-shot RLVR, arXiv 2504.20571 and ypwang61/One-Shot-RLVR",
    ..Entry::NONE
};

pub(super) fn first() -> Vec<u64> {
    vec![0]
}

pub(super) fn universe(named: &[u64], prompts: usize) -> Vec<usize> {
    let mut universe: Vec<usize> = named.iter().map(|p| *p as usize).filter(|p| *p < prompts).collect();
    universe.sort_unstable();
    universe.dedup();
    universe
}

pub(super) fn row(named: &[u64], eligible: &[usize], count: usize, step: u64) -> Vec<usize> {
    let open: Vec<usize> = named.iter().map(|p| *p as usize).filter(|p| eligible.contains(p)).collect();
    let first = step.saturating_sub(1) as usize * count;
    if open.is_empty() { Vec::new() } else { (first..first + count).map(|i| open[i % open.len()]).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_get_their_share_where_the_step_does_not_divide() {
        let eligible = [3, 7, 9];
        let steps: Vec<usize> = (1..=3).flat_map(|step| row(&[7, 3, 9], &eligible, 4, step)).collect();
        assert_eq!(steps, [7, 3, 9, 7, 3, 9, 7, 3, 9, 7, 3, 9]);
        assert_eq!(row(&[7], &eligible, 3, 5), [7, 7, 7]);
        assert_eq!(universe(&[9, 3, 3, 100], 10), [3, 9], "indices beyond the data are not drawn");
    }
}
