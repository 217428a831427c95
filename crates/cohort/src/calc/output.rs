//! A calculation as JSON, in the shape of its batch.

use cohort_core::{RowGradients, method::Calculation, objective::Evaluation};
use serde_json::{Map, Value, json};

type Column = fn(&RowGradients) -> Option<&Vec<f64>>;

/// Columns of the derivative beside `logp`; one that nothing reads is absent.
const OTHERS: [(&str, Column); 3] =
    [("d_entropy", |g| g.entropy.as_ref()), ("d_kl_old", |g| g.kl_old.as_ref()), ("d_kl_ref", |g| g.kl_ref.as_ref())];

pub(super) fn document(calculation: &Calculation) -> Value {
    let mut document = Map::new();
    let advantage = calculation.credits.iter().map(|group| group.iter().map(|c| plain(&c.coefficient)).collect());
    document.insert("advantage".to_owned(), advantage.collect::<Vec<Value>>().into());
    document.insert("loss".to_owned(), json!(calculation.loss + 0.0));
    document.insert("d_logp".to_owned(), shaped(&calculation.parts, |part| plain(&part.gradients.logp)));
    for (name, column) in OTHERS {
        if calculation.parts.iter().flatten().any(|part| column(&part.gradients).is_some()) {
            let of = |part: &Evaluation| match column(&part.gradients) {
                Some(column) => plain(column),
                None => plain(&vec![0.0; part.gradients.logp.len()]),
            };
            document.insert(name.to_owned(), shaped(&calculation.parts, of));
        }
    }
    let metrics: Map<String, Value> =
        calculation.metrics.values().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    document.insert("metrics".to_owned(), metrics.into());
    document.into()
}

fn shaped(parts: &[Vec<Evaluation>], of: impl Fn(&Evaluation) -> Value) -> Value {
    parts.iter().map(|group| group.iter().map(&of).collect::<Value>()).collect()
}

/// Numbers, with one zero.
fn plain(column: &[f64]) -> Value {
    column.iter().map(|x| json!(x + 0.0)).collect()
}
