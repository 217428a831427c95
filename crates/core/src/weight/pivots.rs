//! Only actions that somebody marked are trained.

use super::Masks;
use crate::{
    method_error::{MethodError, Place},
    objective::Seen,
    registry::{Axis, Entry, Parameter},
};

pub(super) const ENTRY: Entry = Entry {
    axis: Axis::Weight,
    name: "pivots",
    summary: "only the actions that a fact flags are trained",
    formula: "weight.tokens = {pivots = {fact = F}}: m_t stays where the list F has a number other than 0 at t, and is 0 elsewhere. \
              The flags decide the denominators: flagging fewer actions does not shrink the step. A sample without any flag \
              set is fully masked.",
    parameters: &[Parameter {
        name: "fact",
        default: "\"pivot\"",
        range: "a fact's name",
        meaning: "a list with one number an action",
    }],
    reads: &["pivot"],
    source: "ours; pivotal tokens are a term of the Phi-4 report, arXiv 2412.08905",
    ..Entry::NONE
};

pub(super) fn fact() -> String {
    "pivot".to_owned()
}

pub(super) fn apply(fact: &str, batch: &[Vec<Seen<'_>>], masks: &mut Masks) -> Result<(), MethodError> {
    for (g, (group, masks)) in batch.iter().zip(masks).enumerate() {
        for (t, (seen, mask)) in group.iter().zip(masks).enumerate() {
            let Some(mask) = mask else { continue };
            let flags = seen.trajectory.list(fact, Place::trajectory(g, t))?;
            mask.iter_mut().zip(flags).filter(|(_, flag)| **flag == 0.0).for_each(|(m, _)| *m = 0.0);
        }
    }
    Ok(())
}
