//! Where the policy comes from, and what of it is trained.

use cohort_model::{Selection, Targets};

use super::check::Check;
use crate::recipe::{PolicySource, RecipeError, Trained, low::Low};

pub(super) fn policy(check: &Check<'_>, low: &Low) -> Result<PolicySource, RecipeError> {
    match (&low.policy.model, &low.policy.new) {
        (Some(model), None) => Ok(PolicySource::Directory(model.clone())),
        (None, Some(new)) => {
            let sizes = [new.width, new.layers, new.heads, new.kv_heads, new.head_dim, new.inner, new.positions];
            for (key, size) in
                ["width", "layers", "heads", "kv_heads", "head_dim", "inner", "positions"].iter().zip(sizes)
            {
                check.at_least(&format!("policy.new.{key}"), size, 1, "give a size")?;
            }
            if new.heads % new.kv_heads != 0 {
                return check.fail(
                    "policy.new.kv_heads",
                    "must divide policy.new.heads",
                    new.kv_heads,
                    "for example heads = 4, kv_heads = 2",
                );
            }
            if let Some(experts) = new.experts {
                for (key, size) in [("count", experts.count), ("top_k", experts.top_k), ("inner", experts.inner)] {
                    check.at_least(&format!("policy.new.experts.{key}"), size, 1, "give a size")?;
                }
                if experts.top_k > experts.count {
                    let problem = format!("must be at most policy.new.experts.count, {}", experts.count);
                    let hint = "for example count = 8, top_k = 2";
                    return check.fail("policy.new.experts.top_k", &problem, experts.top_k, hint);
                }
            }
            check.above_zero("policy.new.rope_theta", new.rope_theta)?;
            if new.head_dim % 2 != 0 {
                return check.fail("policy.new.head_dim", "must be even", new.head_dim, "rotary embeddings turn pairs");
            }
            Ok(PolicySource::New(new.clone()))
        }
        (None, None) => check.fail(
            "policy",
            "must say where the policy comes from",
            "neither `model` nor `new`",
            "give policy.model = \"DIR\" (a Hugging Face directory), for example with --set policy.model=DIR",
        ),
        (Some(_), Some(_)) => check.fail("policy", "must have one source", "both `model` and `new`", "remove one"),
    }
}

pub(super) fn trained(check: &Check<'_>, low: &Low) -> Result<Trained, RecipeError> {
    let section = &low.policy;
    if section.adapter.is_some() {
        if section.train.is_some() {
            let hint = "remove policy.train: the adapter's configuration says what is trained; `cohort merge` makes a model of it";
            return check.fail("policy.train", "contradicts policy.adapter", "both", hint);
        }
        if section.model.is_none() {
            return check.fail(
                "policy.adapter",
                "needs the model that it is of",
                "no `model`",
                "give policy.model = \"DIR\"",
            );
        }
    }
    let selection = section.train.clone().unwrap_or_default();
    match &selection {
        Selection::All => {}
        Selection::Only(patterns) | Selection::Freeze(patterns) => {
            if patterns.is_empty() {
                let hint =
                    "for example policy.train.only = [\"model.layers.*.self_attn.*\"]; `*` stands for any characters";
                return check.fail("policy.train", "must have a pattern of parameter names", "an empty list", hint);
            }
        }
        Selection::Lora(lora) => {
            check.at_least("policy.train.lora.rank", lora.rank, 1, "for example 16")?;
            check.above_zero("policy.train.lora.alpha", lora.alpha)?;
            if !(0.0..1.0).contains(&lora.dropout) {
                let hint = "a share, for example 0.05";
                return check.fail("policy.train.lora.dropout", "must lie in [0, 1)", lora.dropout, hint);
            }
            if lora.targets == Targets::Named(Vec::new()) {
                let hint = "\"all-linear\", or a list of names such as [\"q_proj\", \"v_proj\"]";
                return check.fail("policy.train.lora.targets", "must name a linear map", "an empty list", hint);
            }
            if section.model.is_none() {
                let hint = "an adapter is stored beside a base that it names: give policy.model = \"DIR\"";
                return check.fail("policy.train.lora", "needs policy.model", "random weights", hint);
            }
        }
        Selection::Mask(masked) => check.finite_from("policy.train.mask.tolerance", masked.tolerance, 0.0)?,
    }
    Ok(Trained { selection, adapter: section.adapter.clone(), numbers: section.dtype })
}
