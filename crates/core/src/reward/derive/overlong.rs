//! A soft end of the allowed length.

use super::prelude::*;

parameters! {
    /// 0 up to `max_length - cache`, then down to -1 at `max_length`.
    Overlong {
        length: String = "length", FACT, "length in tokens";
        max_length: f64 = 20480.0, POSITIVE, "length from which the punishment is whole";
        cache: f64 = 4096.0, POSITIVE, "width of the slope";
    } where |p| p.cache <= p.max_length => "cache", "must not be above `max_length`";
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Derive,
    name: "overlong",
    summary: "DAPO's soft overlong punishment",
    formula: "0 for length <= max_length - cache; (max_length - cache - length)/cache up to max_length; -1 beyond",
    parameters: Overlong::PARAMETERS,
    reads: &["facts.<length>"],
    source: "DAPO: Yu et al. 2025, arXiv 2503.14476, eq. 13",
    ..Entry::NONE
};

impl Term for Overlong {
    fn of_group(&self, _: &str, group: &Group<'_>, _: &mut Memory) -> Result<Vec<Outcome>, MethodError> {
        let soft = self.max_length - self.cache;
        group.each(|e| Ok(((soft - group.amount(e, &self.length)?) / self.cache).clamp(-1.0, 0.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope() {
        let group = group(&[], &[("length", [0.0, 16384.0, 18432.0, 20480.0, 99999.0])]);
        close(&values(&Overlong::default(), &group, &mut Memory::default()), &[0.0, 0.0, -0.5, -1.0, -1.0], 0.0);
    }
}
