//! The vocabulary head: its rows cut along rows; its gradients in turns, that of the weight along the vocabulary and that
//! of the rows along rows.

use super::{Team, cut, ranges, run};
use crate::head::{HeadShape, ROW_BLOCK, RowGradients, add_d_hidden, add_d_weight, head_backward, head_rows};
use crate::logits::BLOCK;
use crate::stored::Matrix;

/// Blocks of rows whose gradients of logits stand in memory at once, at least one a thread.
const ROW_BLOCKS: usize = 4;

impl Team {
    /// [`head_rows`].
    #[allow(clippy::too_many_arguments)]
    pub fn head_rows<'a>(
        &self,
        hidden: &[f32],
        weight: impl Into<Matrix<'a>>,
        ids: &[u32],
        inverse_temperature: f32,
        shape: HeadShape,
        logp: &mut [f32],
        entropy: &mut [f32],
        log_sum_exp: &mut [f32],
    ) {
        let weight = weight.into();
        let columns = [logp.len(), entropy.len(), log_sum_exp.len()];
        shape.check("head_rows", hidden.len(), weight.len(), ids, &columns);
        let members = self.members(shape.rows * shape.width * shape.vocabulary);
        let parts = ranges(shape.rows, members, 1);
        let tasks =
            parts.iter().zip(cut(logp, &parts, 1)).zip(cut(entropy, &parts, 1)).zip(cut(log_sum_exp, &parts, 1));
        run(tasks, |(((part, logp), entropy), log_sum_exp)| {
            let hidden = &hidden[part.start * shape.width..part.end * shape.width];
            let shape = HeadShape { rows: part.len(), ..shape };
            head_rows(hidden, weight, &ids[part.clone()], inverse_temperature, shape, logp, entropy, log_sum_exp);
        });
    }

    /// [`head_logits`](crate::head_logits).
    pub fn head_logits<'a>(&self, hidden: &[f32], weight: impl Into<Matrix<'a>>, shape: HeadShape, logits: &mut [f32]) {
        self.linear(hidden, weight, None, shape.linear(shape.rows, shape.vocabulary), logits);
    }

    /// [`head_backward`]. A thread holds the gradients of the logits of one block of the vocabulary for up to a thousand
    /// rows.
    #[allow(clippy::too_many_arguments)]
    pub fn head_backward<'a>(
        &self,
        hidden: &[f32],
        weight: impl Into<Matrix<'a>>,
        ids: &[u32],
        inverse_temperature: f32,
        shape: HeadShape,
        log_sum_exp: &[f32],
        entropy: &[f32],
        g_logp: &[f32],
        g_entropy: &[f32],
        d_hidden: &mut [f32],
        d_weight: &mut [f32],
    ) {
        let weight = weight.into();
        let columns = [log_sum_exp.len(), entropy.len(), g_logp.len(), g_entropy.len()];
        shape.check("head_backward", hidden.len(), weight.len(), ids, &columns);
        shape.check("head_backward's gradients", d_hidden.len(), d_weight.len(), ids, &columns);
        let HeadShape { rows, width, vocabulary } = shape;
        let members = self.members(3 * rows * width * vocabulary).min(vocabulary.div_ceil(BLOCK));
        if members == 1 {
            return head_backward(
                hidden,
                weight,
                ids,
                inverse_temperature,
                shape,
                log_sum_exp,
                entropy,
                g_logp,
                g_entropy,
                d_hidden,
                d_weight,
            );
        }
        d_hidden.fill(0.0);
        d_weight.fill(0.0);
        let given = RowGradients { ids, inverse_temperature, log_sum_exp, entropy, g_logp, g_entropy };
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
                let d_weights = cut(&mut d_weight[left * width..end * width], &blocks, width);
                let tasks = blocks.iter().zip(d_weights).zip(tiles.iter_mut().zip(&mut widened));
                run(tasks, |((ids, d_weight), (tile, widened))| {
                    let weight = weight.rows(ids.clone(), width).widened(widened);
                    for from in rows.clone().step_by(ROW_BLOCK) {
                        let rows_here = from..rows.end.min(from + ROW_BLOCK);
                        let hidden = &hidden[rows_here.start * width..rows_here.end * width];
                        let tile = &mut tile[(from - rows.start) * ids.len()..][..rows_here.len() * ids.len()];
                        given.fill(rows_here, ids.clone(), hidden, weight, width, tile);
                        add_d_weight(tile, hidden, width, d_weight);
                    }
                });
                // Then whole blocks of rows a thread: the blocks of the vocabulary in order.
                let parts = ranges(rows.len(), members, ROW_BLOCK);
                run(parts.iter().zip(cut(d_hidden, &parts, width)), |(part, d_hidden)| {
                    for ((ids, tile), widened) in blocks.iter().zip(&tiles).zip(&widened) {
                        let weight = match weight.rows(ids.clone(), width) {
                            Matrix::F32(weight) => weight,
                            Matrix::Bf16(_) => &widened[..ids.len() * width],
                        };
                        let tile = &tile[part.start * ids.len()..part.end * ids.len()];
                        let tiles = tile.chunks(ROW_BLOCK * ids.len());
                        for (tile, d_hidden) in tiles.zip(d_hidden.chunks_mut(ROW_BLOCK * width)) {
                            add_d_hidden(tile, weight, width, d_hidden);
                        }
                    }
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::teams;
    use super::*;
    use crate::stored::tests::narrow;
    use crate::testing::{bits, numbers};

    #[test]
    fn every_team_gives_the_same_bits() {
        for (rows, width, vocabulary) in [(0, 4, 9), (1, 8, 40), (3, 20, 2500), (300, 9, 5200), (1300, 5, 2049)] {
            let shape = HeadShape { rows, width, vocabulary };
            let (hidden, weight) = (numbers(1, rows * width), numbers(2, vocabulary * width));
            let ids: Vec<u32> = (0..rows).map(|row| (row * 7919 % vocabulary) as u32).collect();
            let (g_logp, g_entropy) = (numbers(3, rows), numbers(4, rows));
            let all = |team: Option<Team>| {
                let mut all = [rows, rows, rows, rows * width, vocabulary * width, rows * vocabulary]
                    .map(|len| vec![f32::NAN; len]);
                let [logp, entropy, lse, d_hidden, d_weight, logits] = &mut all;
                match team {
                    None => {
                        head_rows(&hidden, &weight, &ids, 0.9, shape, logp, entropy, lse);
                        #[rustfmt::skip]
                        head_backward(&hidden, &weight, &ids, 0.9, shape, lse, entropy, &g_logp, &g_entropy, d_hidden, d_weight);
                        crate::head_logits(&hidden, &weight, shape, logits);
                    }
                    Some(team) => {
                        team.head_rows(&hidden, &weight, &ids, 0.9, shape, logp, entropy, lse);
                        #[rustfmt::skip]
                        team.head_backward(&hidden, &weight, &ids, 0.9, shape, lse, entropy, &g_logp, &g_entropy, d_hidden, d_weight);
                        team.head_logits(&hidden, &weight, shape, logits);
                    }
                }
                all.map(|all| bits(&all))
            };
            let expected = all(None);
            for team in teams() {
                assert!(all(Some(team)) == expected, "{team:?}, {shape:?}");
            }
        }
    }

    #[test]
    fn every_team_gives_the_same_bits_for_bf16() {
        let shape = HeadShape { rows: 300, width: 9, vocabulary: 3500 };
        let hidden = numbers(1, shape.rows * shape.width);
        let (narrow, wide) = narrow(2, shape.vocabulary * shape.width);
        let ids: Vec<u32> = (0..300).map(|row| row * 79 % 3500).collect();
        let (g_logp, g_entropy) = (numbers(3, 300), numbers(4, 300));
        let all = |team: Team, weight: Matrix| {
            let mut all = [300, 300, 300, hidden.len(), wide.len()].map(|len| vec![f32::NAN; len]);
            let [logp, entropy, lse, d_hidden, d_weight] = &mut all;
            team.head_rows(&hidden, weight, &ids, 0.9, shape, logp, entropy, lse);
            #[rustfmt::skip]
            team.head_backward(&hidden, weight, &ids, 0.9, shape, lse, entropy, &g_logp, &g_entropy, d_hidden, d_weight);
            all.map(|all| bits(&all))
        };
        let expected = all(Team::ALONE, Matrix::from(&wide));
        for team in teams() {
            assert!(all(team, Matrix::from(&narrow)) == expected, "{team:?}");
        }
    }
}
