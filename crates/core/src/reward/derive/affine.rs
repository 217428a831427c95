//! A line.

use super::prelude::*;

parameters! {
    /// `scale * of + offset`.
    Affine {
        of: String = "answer", TERM, "the term";
        scale: f64 = 1.0, ANY, "its factor";
        offset: f64 = 0.0, ANY, "what is added";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "affine",
    summary: "a term on another scale",
    formula: "scale * of + offset",
    parameters: Affine::PARAMETERS,
    source: "ours",
    ..Entry::NONE
};

impl Term for Affine {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        group.map(&self.of, |_, of| Ok(self.scale * of + self.offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_above_ninety() {
        let group = group(&[("s", [0.9, 0.95, 1.0])], &[]);
        let term = Affine { of: "s".to_owned(), scale: 10.0, offset: -9.0 };
        close(&values(&term, &group, &mut Memory::default()), &[0.0, 0.5, 1.0], 1e-12);
    }
}
