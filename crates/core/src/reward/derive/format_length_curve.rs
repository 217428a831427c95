//! A length that is best in the middle.

use super::prelude::*;

choice! {
    /// The form of the curve.
    Curve {
        /// Two parabolas that meet at 1.
        Quadratic,
        /// Two lines that meet at 1.
        Polyline,
    }
}

parameters! {
    /// Rises to 1 at the turning point and falls to -1 at the limit.
    FormatLengthCurve {
        length: String = "length", FACT, "length in tokens";
        max_length: f64 = 3072.0, POSITIVE, "the limit";
        turn: f64 = 0.5, ABOVE_ZERO_TO_ONE, "p: the best length, as a share of the limit";
        curve: Curve = Curve::Quadratic => "\"quadratic\"", words("`quadratic` or `polyline`"), "the form of the curve";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "format_length_curve",
    summary: "the length part of the format-length surrogate",
    formula: "x = length / max_length, at most 1; quadratic: 1 - (1 - x/p)^2 for x <= p, else 1 - 2 ((x - p)/(1 - p))^2; \
              polyline: x/p, else 1 - 2 (x - p)/(1 - p). 1 at x = p, -1 at x = 1 for p < 1; a truncated output has x = 1",
    parameters: FormatLengthCurve::PARAMETERS,
    reads: &["facts.<length>"],
    source: "Format-Length: arXiv 2505.19439, section 3",
    unverified: "the polyline for other turning points than 0.5",
    ..Entry::NONE
};

impl Term for FormatLengthCurve {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        group.each(|e| {
            let (x, p) = ((group.amount(e, &self.length)? / self.max_length).min(1.0), self.turn);
            Ok(match (self.curve, x <= p) {
                (Curve::Quadratic, true) => 1.0 - (1.0 - x / p) * (1.0 - x / p),
                (Curve::Quadratic, false) => 1.0 - 2.0 * ((x - p) / (1.0 - p)) * ((x - p) / (1.0 - p)),
                (Curve::Polyline, true) => x / p,
                (Curve::Polyline, false) => 1.0 - 2.0 * (x - p) / (1.0 - p),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_curves_at_five_lengths() {
        let group = group(&[], &[("length", [0.0, 0.25, 0.5, 0.75, 2.0].map(|x| x * 3072.0))]);
        let term = FormatLengthCurve::default();
        close(&values(&term, &group, &mut Memory::default()), &[0.0, 0.75, 1.0, 0.5, -1.0], 1e-12);
        let lines = FormatLengthCurve { curve: Curve::Polyline, ..term };
        close(&values(&lines, &group, &mut Memory::default()), &[0.0, 0.5, 1.0, 0.0, -1.0], 1e-12);
        let late = FormatLengthCurve { turn: 1.0, ..lines };
        close(&values(&late, &group, &mut Memory::default()), &[0.0, 0.25, 0.5, 0.75, 1.0], 1e-12);
    }
}
