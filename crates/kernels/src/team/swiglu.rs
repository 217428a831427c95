//! The gated unit, cut anywhere: no element sees another.

use super::{Team, cut, ranges, run};
use crate::swiglu::{swiglu, swiglu_backward};

impl Team {
    /// [`swiglu`](crate::swiglu()).
    pub fn swiglu(&self, gate: &[f32], up: &[f32], out: &mut [f32]) {
        let members = self.members_for_elements(gate.len());
        if members == 1 || up.len() != gate.len() || out.len() != gate.len() {
            return swiglu(gate, up, out);
        }
        let parts = ranges(gate.len(), members, 16);
        run(parts.iter().zip(cut(out, &parts, 1)), |(part, out)| swiglu(&gate[part.clone()], &up[part.clone()], out));
    }

    /// [`swiglu_backward`](crate::swiglu_backward()).
    pub fn swiglu_backward(&self, gate: &[f32], up: &[f32], d_out: &[f32], d_gate: &mut [f32], d_up: &mut [f32]) {
        let members = self.members_for_elements(gate.len());
        let lengths = [up.len(), d_out.len(), d_gate.len(), d_up.len()];
        if members == 1 || lengths.iter().any(|&len| len != gate.len()) {
            return swiglu_backward(gate, up, d_out, d_gate, d_up);
        }
        let parts = ranges(gate.len(), members, 16);
        let tasks = parts.iter().zip(cut(d_gate, &parts, 1)).zip(cut(d_up, &parts, 1));
        run(tasks, |((part, d_gate), d_up)| {
            swiglu_backward(&gate[part.clone()], &up[part.clone()], &d_out[part.clone()], d_gate, d_up);
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
        for count in [0, 1, 16, 33, 1003] {
            let (gate, up, d_out) = (numbers(1, count), numbers(2, count), numbers(3, count));
            let [mut out, mut d_gate, mut d_up] = [0; 3].map(|_| vec![0.0; count]);
            swiglu(&gate, &up, &mut out);
            swiglu_backward(&gate, &up, &d_out, &mut d_gate, &mut d_up);
            for team in teams() {
                let [mut own_out, mut own_gate, mut own_up] = [0; 3].map(|_| vec![f32::NAN; count]);
                team.swiglu(&gate, &up, &mut own_out);
                team.swiglu_backward(&gate, &up, &d_out, &mut own_gate, &mut own_up);
                for (own, one) in [(&own_out, &out), (&own_gate, &d_gate), (&own_up, &d_up)] {
                    assert_eq!(bits(own), bits(one), "{team:?}, {count}");
                }
            }
        }
    }
}
