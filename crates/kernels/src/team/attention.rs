//! Attention: the forward cut along query rows, the backward along sequences or, where these are few, along heads.

use std::ops::Range;

use super::{Team, balanced, cut, put_columns, ranges, run};
use crate::attention::{AttentionShape, attention, attention_of};
use crate::attention_backward::{Gradients, attention_backward, attention_backward_of};
use crate::sequences::Sequences;

impl Team {
    /// [`attention`](crate::attention()).
    pub fn attention<'a>(
        &self,
        q: &[f32],
        k: &[f32],
        v: &[f32],
        sequences: impl Into<Sequences<'a>>,
        shape: AttentionShape,
        out: &mut [f32],
    ) {
        let sequences = sequences.into();
        shape.check_packed("attention", q.len(), k.len(), v.len(), sequences);
        let costs: Vec<usize> = (0..sequences.count()).flat_map(|s| row_costs(sequences, s, shape)).collect();
        let members = self.members(2 * shape.query_heads * shape.head_dim * costs.iter().sum::<usize>());
        if members == 1 || out.len() != q.len() {
            return attention(q, k, v, sequences, shape, out);
        }
        let parts = balanced(costs.into_iter(), members);
        let width = shape.query_heads * shape.head_dim;
        run(parts.iter().zip(cut(out, &parts, width)), |(part, out)| {
            attention_of(part.clone(), q, k, v, sequences, shape, out);
        });
    }

    /// [`attention_backward`].
    #[allow(clippy::too_many_arguments)]
    pub fn attention_backward<'a>(
        &self,
        q: &[f32],
        k: &[f32],
        v: &[f32],
        sequences: impl Into<Sequences<'a>>,
        shape: AttentionShape,
        d_out: &[f32],
        d_q: &mut [f32],
        d_k: &mut [f32],
        d_v: &mut [f32],
    ) {
        let sequences = sequences.into();
        shape.check_packed("attention_backward", q.len(), k.len(), v.len(), sequences);
        let AttentionShape { query_heads, kv_heads, head_dim, .. } = shape;
        let families = sequences.families();
        let cost = |family: &Range<usize>| -> usize {
            family.clone().map(|s| row_costs(sequences, s, shape).sum::<usize>()).sum()
        };
        let costs: Vec<usize> = families.iter().map(cost).collect();
        let total: usize = costs.iter().sum();
        let members = self.members(5 * query_heads * head_dim * total);
        let lengths_fit =
            d_out.len() == q.len() && d_q.len() == q.len() && d_k.len() == k.len() && d_v.len() == k.len();
        if members == 1 || !lengths_fit {
            return attention_backward(q, k, v, sequences, shape, d_out, d_q, d_k, d_v);
        }
        let (q_width, kv_width) = (query_heads * head_dim, kv_heads * head_dim);
        let by_family = balanced(costs.iter().copied(), members);
        let longest_share = by_family.iter().map(|part| costs[part.clone()].iter().sum::<usize>()).max();
        let by_head = ranges(kv_heads, members, 1);
        let widest_share = by_head.iter().map(Range::len).max().map_or(total, |most| total * most / kv_heads);
        if longest_share.unwrap_or(0) <= widest_share || head_dim == 1 {
            let parts: Vec<Range<usize>> =
                by_family.iter().map(|part| families[part.start].start..families[part.end - 1].end).collect();
            let tokens: Vec<Range<usize>> =
                parts.iter().map(|part| sequences.own(part.start).start..sequences.own(part.end - 1).end).collect();
            let pieces = cut(d_q, &tokens, q_width).into_iter().zip(cut(d_k, &tokens, kv_width));
            let pieces = pieces.zip(cut(d_v, &tokens, kv_width));
            return run(parts.iter().zip(&tokens).zip(pieces), |((part, tokens), ((d_q, d_k), d_v))| {
                let (starts, after) = sequences.part(part.clone());
                let (wide, narrow) =
                    (tokens.start * q_width..tokens.end * q_width, tokens.start * kv_width..tokens.end * kv_width);
                let (q, k, v) = (&q[wide.clone()], &k[narrow.clone()], &v[narrow]);
                let sequences = Sequences::new(&starts, &after);
                attention_backward(q, k, v, sequences, shape, &d_out[wide], d_q, d_k, d_v);
            });
        }
        let tokens = sequences.tokens();
        let group = query_heads / kv_heads * head_dim;
        let mut pieces: Vec<[Vec<f32>; 3]> = by_head
            .iter()
            .map(|heads| [group, head_dim, head_dim].map(|width| vec![0.0; tokens * heads.len() * width]))
            .collect();
        run(by_head.iter().zip(&mut pieces), |(heads, [d_q, d_k, d_v])| {
            attention_backward_of(heads.clone(), q, k, v, sequences, shape, d_out, Gradients { d_q, d_k, d_v });
        });
        for (heads, [piece_q, piece_k, piece_v]) in by_head.iter().zip(&pieces) {
            let columns = |width: usize| heads.start * width..heads.end * width;
            put_columns(piece_q, &columns(group), d_q, q_width);
            put_columns(piece_k, &columns(head_dim), d_k, kv_width);
            put_columns(piece_v, &columns(head_dim), d_v, kv_width);
        }
    }
}

/// What each of a sequence's own rows costs: the keys that it sees.
fn row_costs(sequences: Sequences, s: usize, shape: AttentionShape) -> impl Iterator<Item = usize> {
    let length = sequences.length(s);
    (length - sequences.own(s).len()..length).map(move |position| position + 1 - shape.first_key(position))
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
        let apart = cases.map(|(shape, starts)| (shape, starts, vec![]));
        let going_on = [
            (
                shape(2, 2, 16),
                vec![0, 40, 60, 75, 75, 90, 95, 130],
                vec![None, Some(0), Some(0), Some(0), None, Some(4), Some(4)],
            ),
            (within(9, shape(3, 1, 8)), vec![0, 30, 60, 90, 91], vec![None, Some(0), Some(0), None]),
            (shape(1, 2, 64), vec![0, 100, 130, 160], vec![None, Some(0), Some(0)]),
        ];
        for (shape, starts, after) in apart.into_iter().chain(going_on) {
            let sequences = Sequences::new(&starts, &after);
            let tokens = starts[starts.len() - 1];
            let (wide, narrow) =
                (tokens * shape.query_heads * shape.head_dim, tokens * shape.kv_heads * shape.head_dim);
            let (q, k, v, d_out) = (numbers(1, wide), numbers(2, narrow), numbers(3, narrow), numbers(4, wide));
            let all = |team: Option<Team>| {
                let mut all = [wide, wide, narrow, narrow].map(|len| vec![f32::NAN; len]);
                let [out, d_q, d_k, d_v] = &mut all;
                match team {
                    None => {
                        attention(&q, &k, &v, sequences, shape, out);
                        attention_backward(&q, &k, &v, sequences, shape, &d_out, d_q, d_k, d_v);
                    }
                    Some(team) => {
                        team.attention(&q, &k, &v, sequences, shape, out);
                        team.attention_backward(&q, &k, &v, sequences, shape, &d_out, d_q, d_k, d_v);
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
