//! A bonus for a length that is neither short nor long.

use super::prelude::*;

parameters! {
    /// `bonus` for the right ones of a length in the window, where more than one is right.
    LengthWindow {
        of: String = "answer", TERM, "accuracy";
        above: f64 = 0.1, ANY, "a right one scores more than this";
        length: String = "length", FACT, "length in tokens";
        low: f64 = 320.0, NOT_NEGATIVE, "least length";
        high: f64 = 768.0, NOT_NEGATIVE, "greatest length";
        bonus: f64 = 0.2, ANY, "the bonus";
    } where |p| p.low <= p.high => "low", "must not be above `high`";
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "length_window",
    summary: "a bonus for right answers of the wanted length",
    formula: "bonus where of > above, low <= length <= high, and at least two of the group have of > above; else 0",
    parameters: LengthWindow::PARAMETERS,
    reads: &["facts.<length>"],
    source: "ViSS-R1: arXiv 2511.13054, after Video-R1",
    ..Entry::NONE
};

impl Term for LengthWindow {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let right = group.scores(&self.of)?.into_iter().flatten().filter(|of| *of > self.above).count();
        group.map(&self.of, |e, of| {
            let length = group.amount(e, &self.length)?;
            let inside = self.low <= length && length <= self.high;
            Ok(if of > self.above && inside && right > 1 { self.bonus } else { 0.0 })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_right_answer_is_not_enough() {
        let lengths = [320.0, 768.0, 319.0, 400.0];
        let group1 = group(&[("answer", [1.0, 0.2, 1.0, 0.0])], &[("length", lengths)]);
        close(&values(&LengthWindow::default(), &group1, &mut Memory::default()), &[0.2, 0.2, 0.0, 0.0], 0.0);
        let alone = group(&[("answer", [1.0, 0.1, 0.0, 0.0])], &[("length", lengths)]);
        close(&values(&LengthWindow::default(), &alone, &mut Memory::default()), &[0.0; 4], 0.0);
    }
}
