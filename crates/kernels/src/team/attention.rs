//! Attention: the forward cut along query rows, the backward along sequences or, where these are few, along heads.

use std::ops::Range;

use super::{Team, balanced, cut, put_columns, ranges, run};
use crate::attention::{AttentionShape, attention, attention_of};
use crate::attention_backward::{Gradients, attention_backward, attention_backward_of};

impl Team {
    /// [`attention`](crate::attention()).
    pub fn attention(
        &self,
        q: &[f32],
        k: &[f32],
        v: &[f32],
        sequence_starts: &[usize],
        shape: AttentionShape,
        out: &mut [f32],
    ) {
        shape.check_packed("attention", q.len(), k.len(), v.len(), sequence_starts);
        let members = self.members(2 * shape.query_heads * shape.head_dim * scores(sequence_starts, shape));
        if members == 1 || out.len() != q.len() {
            return attention(q, k, v, sequence_starts, shape, out);
        }
        let parts = balanced(row_costs(sequence_starts, shape), members);
        let width = shape.query_heads * shape.head_dim;
        run(parts.iter().zip(cut(out, &parts, width)), |(part, out)| {
            attention_of(part.clone(), q, k, v, sequence_starts, shape, out);
        });
    }

    /// [`attention_backward`].
    #[allow(clippy::too_many_arguments)]
    pub fn attention_backward(
        &self,
        q: &[f32],
        k: &[f32],
        v: &[f32],
        sequence_starts: &[usize],
        shape: AttentionShape,
        d_out: &[f32],
        d_q: &mut [f32],
        d_k: &mut [f32],
        d_v: &mut [f32],
    ) {
        shape.check_packed("attention_backward", q.len(), k.len(), v.len(), sequence_starts);
        let AttentionShape { query_heads, kv_heads, head_dim, .. } = shape;
        let members = self.members(5 * query_heads * head_dim * scores(sequence_starts, shape));
        let lengths_fit =
            d_out.len() == q.len() && d_q.len() == q.len() && d_k.len() == k.len() && d_v.len() == k.len();
        if members == 1 || !lengths_fit {
            return attention_backward(q, k, v, sequence_starts, shape, d_out, d_q, d_k, d_v);
        }
        let (q_width, kv_width) = (query_heads * head_dim, kv_heads * head_dim);
        let costs = sequence_starts.windows(2).map(|pair| scores(&[0, pair[1] - pair[0]], shape));
        let total: usize = costs.clone().sum();
        let by_sequence = balanced(costs.clone(), members);
        let longest_share =
            by_sequence.iter().map(|part| costs.clone().skip(part.start).take(part.len()).sum::<usize>()).max();
        let by_head = ranges(kv_heads, members, 1);
        let widest_share = by_head.iter().map(Range::len).max().map_or(total, |most| total * most / kv_heads);
        if longest_share.unwrap_or(0) <= widest_share || head_dim == 1 {
            let tokens: Vec<Range<usize>> =
                by_sequence.iter().map(|part| sequence_starts[part.start]..sequence_starts[part.end]).collect();
            let pieces = cut(d_q, &tokens, q_width).into_iter().zip(cut(d_k, &tokens, kv_width));
            let pieces = pieces.zip(cut(d_v, &tokens, kv_width));
            return run(by_sequence.iter().zip(&tokens).zip(pieces), |((part, tokens), ((d_q, d_k), d_v))| {
                let starts: Vec<usize> =
                    sequence_starts[part.start..=part.end].iter().map(|start| start - tokens.start).collect();
                let (wide, narrow) =
                    (tokens.start * q_width..tokens.end * q_width, tokens.start * kv_width..tokens.end * kv_width);
                let (q, k, v) = (&q[wide.clone()], &k[narrow.clone()], &v[narrow]);
                attention_backward(q, k, v, &starts, shape, &d_out[wide], d_q, d_k, d_v);
            });
        }
        let tokens = sequence_starts.last().copied().unwrap_or(0);
        let group = query_heads / kv_heads * head_dim;
        let mut pieces: Vec<[Vec<f32>; 3]> = by_head
            .iter()
            .map(|heads| [group, head_dim, head_dim].map(|width| vec![0.0; tokens * heads.len() * width]))
            .collect();
        run(by_head.iter().zip(&mut pieces), |(heads, [d_q, d_k, d_v])| {
            attention_backward_of(heads.clone(), q, k, v, sequence_starts, shape, d_out, Gradients { d_q, d_k, d_v });
        });
        for (heads, [piece_q, piece_k, piece_v]) in by_head.iter().zip(&pieces) {
            let columns = |width: usize| heads.start * width..heads.end * width;
            put_columns(piece_q, &columns(group), d_q, q_width);
            put_columns(piece_k, &columns(head_dim), d_k, kv_width);
            put_columns(piece_v, &columns(head_dim), d_v, kv_width);
        }
    }
}

/// What each row costs: the keys that it sees.
fn row_costs(sequence_starts: &[usize], shape: AttentionShape) -> impl Iterator<Item = usize> + Clone {
    sequence_starts
        .windows(2)
        .flat_map(move |pair| (0..pair[1] - pair[0]).map(move |position| position + 1 - shape.first_key(position)))
}

/// The scores of one head.
fn scores(sequence_starts: &[usize], shape: AttentionShape) -> usize {
    row_costs(sequence_starts, shape).sum()
}

#[cfg(test)]
mod tests {
    use super::super::tests::teams;
    use super::*;
    use crate::attention::tests::{shape, within};
    use crate::testing::{bits, numbers};

    #[test]
    fn every_team_gives_the_same_bits() {
        let cases = [
            (shape(2, 7, 64), vec![0, 150]),
            (shape(2, 2, 16), vec![0, 1, 9, 90, 130]),
            (shape(1, 3, 8), vec![0, 100, 103]),
            (shape(5, 1, 6), vec![0, 0, 70]),
            (shape(2, 1, 1), vec![0, 80]),
            (shape(1, 1, 4), vec![0]),
            (within(7, shape(3, 2, 8)), vec![0, 100, 101, 133]),
            (within(70, shape(2, 2, 8)), vec![0, 200]),
        ];
        for (shape, starts) in cases {
            let tokens = starts[starts.len() - 1];
            let (wide, narrow) =
                (tokens * shape.query_heads * shape.head_dim, tokens * shape.kv_heads * shape.head_dim);
            let (q, k, v, d_out) = (numbers(1, wide), numbers(2, narrow), numbers(3, narrow), numbers(4, wide));
            let all = |team: Option<Team>| {
                let mut all = [wide, wide, narrow, narrow].map(|len| vec![f32::NAN; len]);
                let [out, d_q, d_k, d_v] = &mut all;
                match team {
                    None => {
                        attention(&q, &k, &v, &starts, shape, out);
                        attention_backward(&q, &k, &v, &starts, shape, &d_out, d_q, d_k, d_v);
                    }
                    Some(team) => {
                        team.attention(&q, &k, &v, &starts, shape, out);
                        team.attention_backward(&q, &k, &v, &starts, shape, &d_out, d_q, d_k, d_v);
                    }
                }
                all.map(|all| bits(&all))
            };
            let expected = all(None);
            for team in teams() {
                assert!(all(Some(team)) == expected, "{team:?}, {shape:?}, {starts:?}");
            }
        }
    }
}
