//! Normalisation, cut along rows; the gradient of its weight, a sum over rows in order, along columns.

use super::{Team, cut, ranges, run};
use crate::rms_norm::{backward_of_rows, backward_of_weight, check, rms_norm, rms_norm_backward};

impl Team {
    /// [`rms_norm`](crate::rms_norm()).
    pub fn rms_norm(&self, x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
        let rows = check("rms_norm", x.len(), weight.len(), &[out.len()]);
        let members = self.members_for_elements(x.len());
        if members == 1 {
            return rms_norm(x, weight, eps, out);
        }
        let (width, parts) = (weight.len(), ranges(rows, members, 1));
        run(parts.iter().zip(cut(out, &parts, width)), |(part, out)| {
            rms_norm(&x[part.start * width..part.end * width], weight, eps, out);
        });
    }

    /// [`rms_norm_backward`](crate::rms_norm_backward()).
    pub fn rms_norm_backward(
        &self,
        x: &[f32],
        weight: &[f32],
        eps: f32,
        d_out: &[f32],
        d_x: &mut [f32],
        d_weight: &mut [f32],
    ) {
        let rows = check("rms_norm_backward", x.len(), weight.len(), &[d_out.len(), d_x.len()]);
        let members = self.members_for_elements(x.len());
        // Rows and the weight take a pass each, which two threads do not win back.
        if members < 3 || d_weight.len() != weight.len() {
            return rms_norm_backward(x, weight, eps, d_out, d_x, d_weight);
        }
        let width = weight.len();
        let mut scales = vec![0.0; rows];
        let parts = ranges(rows, members, 1);
        let tasks = parts.iter().zip(cut(d_x, &parts, width)).zip(cut(&mut scales, &parts, 1));
        run(tasks, |((part, d_x), scales)| {
            let span = part.start * width..part.end * width;
            backward_of_rows(&x[span.clone()], weight, eps, &d_out[span], d_x, scales);
        });
        let parts = ranges(width, members, 16);
        run(parts.iter().zip(cut(d_weight, &parts, 1)), |(part, d_weight)| {
            backward_of_weight(x, d_out, &scales, width, part.start, d_weight);
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
        for (rows, width) in [(0, 4), (1, 40), (2, 3), (7, 33), (300, 64)] {
            let (x, weight, d_out) = (numbers(1, rows * width), numbers(2, width), numbers(3, rows * width));
            let (mut out, mut d_x, mut d_weight) = (x.clone(), x.clone(), vec![f32::NAN; width]);
            rms_norm(&x, &weight, 1e-3, &mut out);
            rms_norm_backward(&x, &weight, 1e-3, &d_out, &mut d_x, &mut d_weight);
            for team in teams() {
                let (mut own_out, mut own_d_x, mut own_d_weight) = (x.clone(), x.clone(), vec![f32::NAN; width]);
                team.rms_norm(&x, &weight, 1e-3, &mut own_out);
                team.rms_norm_backward(&x, &weight, 1e-3, &d_out, &mut own_d_x, &mut own_d_weight);
                for (own, one) in [(&own_out, &out), (&own_d_x, &d_x), (&own_d_weight, &d_weight)] {
                    assert_eq!(bits(own), bits(one), "{team:?}, {rows} x {width}");
                }
            }
        }
    }
}
