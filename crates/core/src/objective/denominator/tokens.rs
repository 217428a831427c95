//! Every action weighs the same.

use crate::registry::{Axis, Entry};

pub(in crate::objective) const ENTRY: Entry = Entry {
    axis: Axis::Denominator,
    name: "tokens",
    summary: "the number of trained actions of the whole batch",
    formula: "w_i = m_i / sum_j m_j, j over the batch",
    source: "DAPO: Yu et al. 2025, arXiv 2503.14476, section 3.3; TRL's loss_type dapo; verl's token-mean",
    ..Entry::NONE
};

pub(in crate::objective) const GROUP: Entry = Entry {
    axis: Axis::Denominator,
    name: "group_tokens",
    summary: "the mean over groups of each group's mean over its trained actions",
    formula: "w_i = m_i / (G sum_j m_j), j over the same group, G groups of the batch with a counted member; a fully masked group counts as one",
    source: "DAPO: Yu et al. 2025, arXiv 2503.14476, eq. 8 (the expectation over prompts stands outside of the token mean)",
    ..Entry::NONE
};
