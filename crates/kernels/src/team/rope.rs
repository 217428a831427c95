//! Rotary embedding, cut along rows.

use super::{Team, cut, ranges, run};
use crate::rope::{RopeTable, rope, rope_backward};

impl Team {
    /// [`rope`](crate::rope()).
    pub fn rope(&self, x: &mut [f32], positions: &[u32], heads: usize, head_dim: usize, table: &RopeTable) {
        self.rotate(x, positions, heads * head_dim, |x, positions| rope(x, positions, heads, head_dim, table));
    }

    /// [`rope_backward`](crate::rope_backward()).
    pub fn rope_backward(&self, d_x: &mut [f32], positions: &[u32], heads: usize, head_dim: usize, table: &RopeTable) {
        self.rotate(d_x, positions, heads * head_dim, |d_x, positions| {
            rope_backward(d_x, positions, heads, head_dim, table);
        });
    }

    fn rotate(&self, x: &mut [f32], positions: &[u32], width: usize, kernel: impl Fn(&mut [f32], &[u32]) + Sync) {
        let members = self.members_for_elements(x.len());
        if members == 1 || x.len() != positions.len() * width {
            return kernel(x, positions);
        }
        let parts = ranges(positions.len(), members, 1);
        run(parts.iter().zip(cut(x, &parts, width)), |(part, x)| kernel(x, &positions[part.clone()]));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::teams;
    use super::*;
    use crate::testing::{bits, numbers};

    #[test]
    fn every_team_gives_the_same_bits() {
        let table = RopeTable::new(&[1.0, 0.3, 0.1], 50, 1.0);
        for rows in [0, 1, 2, 7, 41] {
            let positions: Vec<u32> = (0..rows as u32).map(|row| row * 7 % 50).collect();
            let x = numbers(1, rows * 2 * 6);
            let (mut out, mut d_x) = (x.clone(), x.clone());
            rope(&mut out, &positions, 2, 6, &table);
            rope_backward(&mut d_x, &positions, 2, 6, &table);
            for team in teams() {
                let (mut own_out, mut own_d_x) = (x.clone(), x.clone());
                team.rope(&mut own_out, &positions, 2, 6, &table);
                team.rope_backward(&mut own_d_x, &positions, 2, 6, &table);
                assert_eq!((bits(&own_out), bits(&own_d_x)), (bits(&out), bits(&d_x)), "{team:?}, {rows}");
            }
        }
    }
}
