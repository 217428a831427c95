//! Every choice that a recipe can name, once: help, docs and checks come from here.

use std::fmt;

/// A place of the recipe where one choice is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Axis {
    /// `reward.derive`: new terms from other terms, facts and the group.
    Derive,
    /// `reward.combine`
    Combine,
    /// `advantage.estimator`
    Estimator,
    /// `advantage.baseline`
    Baseline,
    /// `advantage.scale`
    Scale,
    /// `advantage.scope`
    Scope,
    /// `advantage.drop`
    Drop,
    /// `advantage.shape`
    Shape,
    /// `objective.surrogate`
    Surrogate,
    /// `objective.surrogate.policy_gradient.ratio`
    Ratio,
    /// `objective.context`
    Context,
    /// `objective.surrogate.policy_gradient.gate`
    Gate,
    /// `objective.denominator`
    Denominator,
    /// `objective.kl.estimator`
    Divergence,
    /// `objective.entropy`
    Entropy,
    /// `objective.mismatch`
    Mismatch,
    /// `weight.*`
    Weight,
    /// `curriculum`
    Curriculum,
    /// `score.loss`
    Score,
}

impl Axis {
    pub const ALL: [Axis; 19] = [
        Axis::Derive,
        Axis::Combine,
        Axis::Estimator,
        Axis::Baseline,
        Axis::Scale,
        Axis::Scope,
        Axis::Drop,
        Axis::Shape,
        Axis::Surrogate,
        Axis::Ratio,
        Axis::Context,
        Axis::Gate,
        Axis::Denominator,
        Axis::Divergence,
        Axis::Entropy,
        Axis::Mismatch,
        Axis::Weight,
        Axis::Curriculum,
        Axis::Score,
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Axis::Derive => "derive",
            Axis::Combine => "combine",
            Axis::Estimator => "estimator",
            Axis::Baseline => "baseline",
            Axis::Scale => "scale",
            Axis::Scope => "scope",
            Axis::Drop => "drop",
            Axis::Shape => "shape",
            Axis::Surrogate => "surrogate",
            Axis::Ratio => "ratio",
            Axis::Context => "context",
            Axis::Gate => "gate",
            Axis::Denominator => "denominator",
            Axis::Divergence => "divergence",
            Axis::Entropy => "entropy",
            Axis::Mismatch => "mismatch",
            Axis::Weight => "weight",
            Axis::Curriculum => "curriculum",
            Axis::Score => "score",
        }
    }

    /// The recipe's key.
    pub fn key(self) -> &'static str {
        match self {
            Axis::Derive => "reward.derive",
            Axis::Combine => "reward.combine",
            Axis::Estimator => "advantage.estimator",
            Axis::Baseline => "advantage.baseline",
            Axis::Scale => "advantage.scale",
            Axis::Scope => "advantage.scope",
            Axis::Drop => "advantage.drop",
            Axis::Shape => "advantage.shape",
            Axis::Surrogate => "objective.surrogate",
            Axis::Ratio => "objective.surrogate.policy_gradient.ratio",
            Axis::Context => "objective.context",
            Axis::Gate => "objective.surrogate.policy_gradient.gate",
            Axis::Denominator => "objective.denominator",
            Axis::Divergence => "objective.kl.estimator",
            Axis::Entropy => "objective.entropy",
            Axis::Mismatch => "objective.mismatch",
            Axis::Weight => "weight",
            Axis::Curriculum => "curriculum",
            Axis::Score => "score.loss",
        }
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One choice on one axis.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub axis: Axis,
    /// The word that the recipe uses.
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// The formula, in plain text, with the meaning of its letters, units and ranges; what is special at the edges.
    pub formula: &'static str,
    pub parameters: &'static [Parameter],
    /// Columns and facts that it reads beyond `logp` and the reward, by name.
    pub reads: &'static [&'static str],
    /// Paper with section or equation, framework, or `ours`. Never empty.
    pub source: &'static str,
    /// What no source confirmed: empty, or what it is.
    pub unverified: &'static str,
    /// Entries of the same axis that are the same function, with the reason that both words exist.
    pub equals: &'static [(&'static str, &'static str)],
}

impl Entry {
    /// What most entries leave empty, for `..Entry::NONE`.
    pub const NONE: Entry = Entry {
        axis: Axis::Combine,
        name: "",
        summary: "",
        formula: "",
        parameters: &[],
        reads: &[],
        source: "",
        unverified: "",
        equals: &[],
    };
}

/// A parameter of a choice.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    pub name: &'static str,
    /// As a recipe writes it.
    pub default: &'static str,
    /// For people: `above 0`, `0 or 1`, `a fact's name`.
    pub range: &'static str,
    pub meaning: &'static str,
}

/// Every entry, axis by axis.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    [crate::reward::ENTRIES, crate::advantage::ENTRIES, crate::weight::ENTRIES, crate::curriculum::ENTRIES]
        .into_iter()
        .chain(crate::objective::ENTRIES.iter().copied())
        .chain([crate::score::ENTRIES])
        .flatten()
        .copied()
}

/// The entries with this name, or with `axis.name`.
pub fn find(name: &str) -> Vec<&'static Entry> {
    entries().filter(|e| e.name == name || format!("{}.{}", e.axis, e.name) == name).collect()
}
