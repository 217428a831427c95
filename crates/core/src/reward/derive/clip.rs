//! A term kept in its range.

use super::prelude::*;

parameters! {
    /// `min(max(of, low), high)`.
    Clip {
        of: String = "answer", TERM, "the term";
        low: f64 = 0.0, ANY, "the least value";
        high: f64 = 1.0, ANY, "the greatest value";
    } where |p| p.low <= p.high => "low", "must not be above `high`";
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "clip",
    summary: "a term cut off at both ends",
    formula: "min(max(of, low), high)",
    parameters: Clip::PARAMETERS,
    source: "ours",
    ..Entry::NONE
};

impl Term for Clip {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        group.map(&self.of, |_, of| Ok(of.max(self.low).min(self.high)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends() {
        let group = group(&[("answer", [-3.0, 0.25, 7.0])], &[]);
        close(&values(&Clip::default(), &group, &mut Memory::default()), &[0.0, 0.25, 1.0], 0.0);
        assert_eq!(Clip { low: 2.0, ..Clip::default() }.check().unwrap_err().0, "low");
    }
}
