//! A reward that turns from short to long along half a cosine.

use super::prelude::*;

parameters! {
    /// `long + (short - long) / 2 * (1 + cos(pi * p))`, with other ends for right and wrong.
    CosineLength {
        of: String = "answer", TERM, "right or wrong";
        right: f64 = 0.5, ANY, "least score of a right one";
        length: String = "length", FACT, "length, in the unit of `max_length`";
        max_length: f64 = 3584.0, POSITIVE, "length at which the curve ends";
        right_short: f64 = 1.0, ANY, "a right one of length 0";
        right_long: f64 = 0.5, ANY, "a right one of `max_length`";
        wrong_short: f64 = 0.0, ANY, "a wrong one of length 0";
        wrong_long: f64 = -0.5, ANY, "a wrong one of `max_length`";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "cosine_length",
    summary: "short and right pays best; the curve is half a cosine",
    formula: "long + (short - long)/2 * (1 + cos(pi p)), p = length / max_length cut to [0, 1], with the ends of right or of \
              wrong. Uncut, the reward would be periodic in length; give length and max_length one unit",
    parameters: CosineLength::PARAMETERS,
    reads: &["facts.<length>"],
    source: "Open-RS: arXiv 2503.16219 and its code, whose length is in characters against a limit in tokens",
    unverified: "the cut of p is ours",
    ..Entry::NONE
};

impl Term for CosineLength {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        group.map(&self.of, |e, of| {
            let p = (group.amount(e, &self.length)? / self.max_length).min(1.0);
            let (short, long) = if of >= self.right {
                (self.right_short, self.right_long)
            } else {
                (self.wrong_short, self.wrong_long)
            };
            Ok(long + 0.5 * (short - long) * (1.0 + (std::f64::consts::PI * p).cos()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_at_five_lengths_and_flat_beyond() {
        let lengths = [0.0, 0.25, 0.5, 1.0, 2.0].map(|p| p * 3584.0);
        let of = |answer| group(&[("answer", [answer; 5])], &[("length", lengths)]);
        let term = CosineLength::default();
        close(&values(&term, &of(1.0), &mut Memory::default()), &[1.0, 0.9268, 0.75, 0.5, 0.5], 5e-5);
        close(&values(&term, &of(0.0), &mut Memory::default()), &[0.0, -0.0732, -0.25, -0.5, -0.5], 5e-5);
    }
}
