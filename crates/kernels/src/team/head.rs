//! The vocabulary head: its rows cut along rows; its gradients in turns, that of the weight along the vocabulary and that
//! of the rows along rows.

use std::ops::Range;

use super::{Team, cut, run};
use crate::head::{
    Head, HeadColumns, HeadGradients, HeadShape, ROW_BLOCK, add_d_hidden, add_d_weight, check_outputs, head_relative,
    head_relative_backward,
};
use crate::head_divergence::{Distributions, Divergence, head_divergence, head_divergence_backward};
use crate::logits::BLOCK;
use crate::ranges::ranges;
use crate::weight::Weight;

/// Blocks of rows whose gradients of logits stand in memory at once, at least one a thread.
const ROW_BLOCKS: usize = 4;

impl Team {
    /// [`head_relative`].
    pub fn head_relative(&self, head: Head, out: HeadColumns) {
        let HeadColumns { relative, log_sum, entropy, log_sum_exp } = out;
        head.check("head_relative", &[relative.len()], &[log_sum.len(), entropy.len(), log_sum_exp.len()]);
        let HeadShape { rows, width, vocabulary } = head.shape;
        let parts = ranges(rows, self.members(rows * width * vocabulary), 1);
        let spans: Vec<_> = parts.iter().map(|rows| head.asked.span(rows)).collect();
        let by_id = cut(relative, &spans, 1);
        let by_row = cut(log_sum, &parts, 1).into_iter().zip(cut(entropy, &parts, 1)).zip(cut(log_sum_exp, &parts, 1));
        run(parts.iter().zip(by_id).zip(by_row), |((rows, relative), ((log_sum, entropy), log_sum_exp))| {
            head_relative(head.rows(rows), HeadColumns { relative, log_sum, entropy, log_sum_exp });
        });
    }

    /// [`head_logits`](crate::head_logits).
    pub fn head_logits<'a>(&self, hidden: &[f32], weight: impl Into<Weight<'a>>, shape: HeadShape, logits: &mut [f32]) {
        self.linear(hidden, weight, None, shape.linear(shape.rows, shape.vocabulary), logits);
    }

    /// [`head_relative_backward`]. A thread holds the gradients of the logits of one block of the vocabulary for up to a
    /// thousand rows.
    pub fn head_relative_backward(
        &self,
        head: Head,
        gradients: HeadGradients,
        d_hidden: &mut [f32],
        d_weight: Option<&mut [f32]>,
    ) {
        gradients.check("head_relative_backward", &head);
        check_outputs(&head, d_hidden, d_weight.as_deref());
        let HeadShape { rows, width, vocabulary } = head.shape;
        let members = self.members(2 * rows * width * vocabulary).min(vocabulary.div_ceil(BLOCK));
        if members == 1 {
            return head_relative_backward(head, gradients, d_hidden, d_weight);
        }
        let fill = |rows: Range<usize>, block: Range<usize>, weight: Weight, tile: &mut [f32]| {
            gradients.fill(&head, rows, block, weight, tile);
        };
        accumulate(members, head.hidden, head.weight, width, fill, d_hidden, d_weight);
    }

    /// [`head_divergence`].
    pub fn head_divergence(&self, pair: Divergence, divergence: &mut [f32]) {
        let members = self.members(pair.work());
        if members == 1 || divergence.len() != pair.p.log_sum_exp.len() {
            return head_divergence(pair, divergence);
        }
        let parts = ranges(divergence.len(), members, 1);
        run(parts.iter().zip(cut(divergence, &parts, 1)), |(rows, divergence)| {
            head_divergence(pair.rows(rows), divergence);
        });
    }

    /// [`head_divergence_backward`].
    pub fn head_divergence_backward(
        &self,
        pair: Divergence,
        divergence: &[f32],
        g: &[f32],
        d_hidden: &mut [f32],
        d_weight: Option<&mut [f32]>,
    ) {
        pair.check_backward(divergence, g, d_hidden, d_weight.as_deref());
        let Distributions { hidden, weight, width, .. } = pair.p;
        let members = self.members(2 * pair.work()).min((weight.len() / width).div_ceil(BLOCK));
        if members == 1 {
            return head_divergence_backward(pair, divergence, g, d_hidden, d_weight);
        }
        accumulate(members, hidden, weight, width, pair.fill(divergence, g), d_hidden, d_weight);
    }
}

/// [`accumulate`](crate::head::accumulate) by some threads: in turns, d_weight and the tiles along the vocabulary, and
/// d_hidden along rows.
fn accumulate(
    members: usize,
    hidden: &[f32],
    weight: Weight,
    width: usize,
    fill: impl Fn(Range<usize>, Range<usize>, Weight, &mut [f32]) + Sync,
    d_hidden: &mut [f32],
    mut d_weight: Option<&mut [f32]>,
) {
    let (rows, vocabulary) = (hidden.len() / width, weight.len() / width);
    d_hidden.fill(0.0);
    if let Some(d_weight) = &mut d_weight {
        d_weight.fill(0.0);
    }
    let height = (ROW_BLOCK * members.max(ROW_BLOCKS)).min(rows);
    let mut tiles: Vec<Vec<f32>> = (0..members).map(|_| vec![0.0; height * BLOCK.min(vocabulary)]).collect();
    let mut widened: Vec<Vec<f32>> = vec![Vec::new(); members];
    for top in (0..rows).step_by(height.max(1)) {
        let rows = top..rows.min(top + height);
        let d_hidden = &mut d_hidden[rows.start * width..rows.end * width];
        for left in (0..vocabulary).step_by(BLOCK * members) {
            let end = vocabulary.min(left + BLOCK * members);
            // One block of the vocabulary a thread: its gradients of logits, and with them that of its weight.
            let blocks: Vec<_> = (left..end).step_by(BLOCK).map(|from| from..end.min(from + BLOCK)).collect();
            let d_weights: Vec<Option<&mut [f32]>> = match &mut d_weight {
                Some(d_weight) => {
                    cut(&mut d_weight[left * width..end * width], &blocks, width).into_iter().map(Some).collect()
                }
                None => blocks.iter().map(|_| None).collect(),
            };
            let tasks = blocks.iter().zip(d_weights).zip(tiles.iter_mut().zip(&mut widened));
            run(tasks, |((block, mut d_weight), (tile, widened))| {
                let weight = weight.rows(block.clone(), width).widened(widened);
                for from in rows.clone().step_by(ROW_BLOCK) {
                    let rows_here = from..rows.end.min(from + ROW_BLOCK);
                    let tile = &mut tile[(from - rows.start) * block.len()..][..rows_here.len() * block.len()];
                    fill(rows_here.clone(), block.clone(), weight, tile);
                    if let Some(d_weight) = &mut d_weight {
                        let hidden = &hidden[rows_here.start * width..rows_here.end * width];
                        add_d_weight(weight.arithmetic(), tile, hidden, width, d_weight);
                    }
                }
            });
            // Then whole blocks of rows a thread: the blocks of the vocabulary in order.
            let parts = ranges(rows.len(), members, ROW_BLOCK);
            run(parts.iter().zip(cut(d_hidden, &parts, width)), |(part, d_hidden)| {
                for ((block, tile), widened) in blocks.iter().zip(&tiles).zip(&widened) {
                    let weight = weight.rows(block.clone(), width).widened_before(widened);
                    let tiles = tile[part.start * block.len()..part.end * block.len()].chunks(ROW_BLOCK * block.len());
                    for (tile, d_hidden) in tiles.zip(d_hidden.chunks_mut(ROW_BLOCK * width)) {
                        add_d_hidden(tile, weight, width, d_hidden);
                    }
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::teams;
    use super::*;
    use crate::bf16::PackedBf16;
    use crate::head::tests::Case;
    use crate::head_divergence::tests::Pair;
    use crate::stored::{Matrix, tests::narrow};
    use crate::testing::{bits, numbers};

    /// Columns and gradients, by a team or by the kernels.
    fn all(team: Option<Team>, head: Head, frozen: bool) -> [Vec<u32>; 6] {
        let HeadShape { rows, width, vocabulary } = head.shape;
        let count = head.asked.ids().len();
        let mut all = [count, rows, rows, rows, rows * width, vocabulary * width].map(|len| vec![f32::NAN; len]);
        let [relative, log_sum, entropy, log_sum_exp, d_hidden, d_weight] = &mut all;
        let out = HeadColumns { relative, log_sum, entropy, log_sum_exp };
        match team {
            None => head_relative(head, out),
            Some(team) => team.head_relative(head, out),
        }
        let gradients = HeadGradients {
            relative: &numbers(3, count),
            log_sum: &numbers(4, rows),
            entropy: &numbers(5, rows),
            entropies: entropy,
            log_sum_exp,
        };
        let d_weight = (!frozen).then_some(d_weight.as_mut_slice());
        match team {
            None => head_relative_backward(head, gradients, d_hidden, d_weight),
            Some(team) => team.head_relative_backward(head, gradients, d_hidden, d_weight),
        }
        all.map(|all| bits(&all))
    }

    #[test]
    fn every_team_gives_the_same_bits() {
        for sizes in [[0, 4, 9], [1, 8, 40], [3, 20, 2500], [300, 9, 5200], [1300, 5, 2049]] {
            let case = Case::new(sizes, 0.9, |row| row % 4);
            for frozen in [false, true] {
                let expected = all(None, case.head(), frozen);
                for team in teams() {
                    assert!(all(Some(team), case.head(), frozen) == expected, "{team:?}, {sizes:?}");
                }
            }
            let mut logits = vec![f32::NAN; sizes[0] * sizes[2]];
            crate::head_logits(&case.hidden, &case.weight, case.shape, &mut logits);
            for team in teams() {
                let mut own = vec![f32::NAN; logits.len()];
                team.head_logits(&case.hidden, &case.weight, case.shape, &mut own);
                assert_eq!(bits(&own), bits(&logits));
            }
        }
    }

    #[test]
    fn every_team_gives_the_same_bits_for_divergences() {
        for sizes in [[1, 8, 40], [3, 20, 2500], [300, 9, 5200]] {
            let pair = Pair::new(sizes);
            let g = numbers(1, sizes[0]);
            let all = |team: Option<Team>| {
                let mut all =
                    [pair.divergence.len(), pair.p.hidden.len(), pair.p.weight.len()].map(|len| vec![f32::NAN; len]);
                let [divergence, d_hidden, d_weight] = &mut all;
                match team {
                    None => {
                        head_divergence(pair.get(), divergence);
                        head_divergence_backward(pair.get(), divergence, &g, d_hidden, Some(d_weight));
                    }
                    Some(team) => {
                        team.head_divergence(pair.get(), divergence);
                        team.head_divergence_backward(pair.get(), divergence, &g, d_hidden, Some(d_weight));
                    }
                }
                all.map(|all| bits(&all))
            };
            let expected = all(None);
            for team in teams() {
                assert!(all(Some(team)) == expected, "{team:?}, {sizes:?}");
            }
        }
    }

    #[test]
    fn every_team_gives_the_same_bits_for_bf16() {
        let mut case = Case::new([300, 9, 3500], 0.9, |row| row % 2);
        let (narrow, wide) = narrow(2, case.weight.len());
        case.weight = wide;
        let expected = all(None, case.head(), false);
        let packed = PackedBf16::new(&narrow, 9, 3500);
        let rounded = Head { weight: Weight::rounded(Matrix::from(&narrow), &packed), ..case.head() };
        let expected_rounded = all(None, rounded, false);
        for team in teams() {
            let single = Head { weight: Weight::from(&narrow), ..case.head() };
            assert!(all(Some(team), single, false) == expected, "{team:?}");
            assert!(all(Some(team), rounded, false) == expected_rounded, "{team:?}");
        }
    }
}
