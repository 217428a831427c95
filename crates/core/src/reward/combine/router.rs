//! Each kind of task has its own terms.

use super::prelude::*;

impl Value for BTreeMap<String, Vec<String>> {
    fn fits(&self, _: &Bound) -> bool {
        self.values().all(|terms| !terms.is_empty() && terms.iter().all(|name| !name.is_empty()))
    }
}

fn two() -> BTreeMap<String, Vec<String>> {
    [("qa", "answer"), ("caption", "similarity")].map(|(kind, term)| (kind.to_owned(), names([term]))).into()
}

parameters! {
    /// The weighted sum of the terms of the episode's kind.
    Router {
        by: String = "kind", FACT, "names the kind";
        sets: BTreeMap<String, Vec<String>> = two() => "{ qa = [\"answer\"], caption = [\"similarity\"] }",
            words("a table of lists of terms, none empty"), "the terms of every kind";
    }
}

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Combine,
    name: "router",
    summary: "the terms that a sample's kind asks for",
    formula: "weighted sum of the terms sets[kind]; the other terms are not read; a kind that is not in the table is refused",
    parameters: Router::PARAMETERS,
    reads: &["facts.<by>"],
    source: "ours, for mixed data: Music Flamingo (questions and captions), DeFacto, DR-IRL",
    ..Entry::NONE
};

impl Router {
    pub(super) fn of(
        &self,
        weights: &BTreeMap<String, f64>,
        group: &Group<'_>,
        e: usize,
    ) -> Result<Option<f64>, MethodError> {
        let kind = group.label(e, &self.by)?;
        let Some(terms) = self.sets.get(&kind) else {
            let kinds: Vec<&str> = self.sets.keys().map(String::as_str).collect();
            let expected = format!("one of: {}", kinds.join(", "));
            return Err(MethodError::unfit(group.place(e), format!("facts.{}", self.by), expected, kind));
        };
        Selected::of(weights, terms).sum(group, e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::Combine;

    #[test]
    fn each_kind_reads_its_own_terms() {
        let mut group = group(&[("answer", [1.0, 0.0]), ("similarity", [0.0, 0.25])], &[]);
        label(&mut group, "kind", ["qa", "caption"]);
        group.trajectories[0].rewards.remove("similarity");
        let by = Combine::Router(Router::default());
        close(&rewards(&by, &[("similarity", 2.0)], &group), &[1.0, 0.5], 0.0);
        label(&mut group, "kind", ["qa", "poem"]);
        let fault = by.of(&BTreeMap::new(), &[Group::new(0, &group)], &mut Memory::default()).unwrap_err();
        assert_eq!(fault.field, "facts.kind");
    }
}
