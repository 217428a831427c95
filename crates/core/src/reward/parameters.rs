//! Parameters that are declared once: their serde default, their check and their line in the registry come from one place.

use std::collections::BTreeMap;

/// What a parameter may be, for people and for the check.
pub(super) struct Bound {
    pub text: &'static str,
    holds: fn(f64) -> bool,
}

const fn bound(text: &'static str, holds: fn(f64) -> bool) -> Bound {
    Bound { text, holds }
}

pub(super) const ANY: Bound = bound("a finite number", |_| true);
pub(super) const NOT_NEGATIVE: Bound = bound("at least 0", |x| x >= 0.0);
pub(super) const POSITIVE: Bound = bound("above 0", |x| x > 0.0);
pub(super) const UNIT: Bound = bound("in [0, 1]", |x| (0.0..=1.0).contains(&x));
pub(super) const ABOVE_ZERO_TO_ONE: Bound = bound("in (0, 1]", |x| x > 0.0 && x <= 1.0);
pub(super) const BELOW_ONE: Bound = bound("in [0, 1)", |x| (0.0..1.0).contains(&x));
pub(super) const ZERO_OR_ONE: Bound = bound("0 or 1", |x| x == 0.0 || x == 1.0);
pub(super) const TERM: Bound = bound("a term's name", |_| true);
pub(super) const TERMS: Bound = bound("a list of terms' names, at least one", |x| x > 0.0);
pub(super) const SOME_TERMS: Bound = bound("a list of terms' names; empty for every weighted term", |_| true);
pub(super) const FACT: Bound = bound("a fact's name", |_| true);
pub(super) const TABLE: Bound = bound("a table of finite numbers by word", |_| true);
pub(super) const COSTS: Bound = bound("a table of numbers, each at least 0", |x| x >= 0.0);

/// A bound of an enum: the words themselves.
pub(super) const fn words(text: &'static str) -> Bound {
    bound(text, |_| true)
}

/// What can stand in a recipe.
pub(super) trait Value {
    fn fits(&self, bound: &Bound) -> bool;
}

impl Value for f64 {
    fn fits(&self, bound: &Bound) -> bool {
        self.is_finite() && (bound.holds)(*self)
    }
}

impl Value for String {
    fn fits(&self, _: &Bound) -> bool {
        !self.is_empty()
    }
}

impl Value for Option<String> {
    fn fits(&self, bound: &Bound) -> bool {
        self.as_ref().is_none_or(|name| name.fits(bound))
    }
}

impl Value for Vec<String> {
    fn fits(&self, bound: &Bound) -> bool {
        (bound.holds)(self.len() as f64) && self.iter().all(|name| name.fits(bound))
    }
}

impl Value for BTreeMap<String, f64> {
    fn fits(&self, bound: &Bound) -> bool {
        self.iter().all(|(name, x)| !name.is_empty() && x.fits(bound))
    }
}

/// A table of defaults.
pub(super) fn table<const N: usize>(rows: [(&str, f64); N]) -> BTreeMap<String, f64> {
    rows.into_iter().map(|(name, x)| (name.to_owned(), x)).collect()
}

/// A list of default names.
pub(super) fn names<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// How a default is written in a recipe: its own tokens, or the word given for it.
macro_rules! word {
    ($default:expr) => {
        stringify!($default)
    };
    ($default:expr, $word:literal) => {
        $word
    };
}
pub(super) use word;

/// A struct of parameters: `field: type = default (=> "as a recipe writes it"), bound, "meaning";`, and what must hold
/// between fields after `where`.
macro_rules! parameters {
    ($(#[$doc:meta])* $name:ident {
        $($field:ident: $ty:ty = $default:expr $(=> $word:literal)?, $bound:expr, $meaning:literal;)*
    } $(where |$p:ident| $($holds:expr => $key:literal, $problem:literal;)*)?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $(#[doc = $meaning] pub $field: $ty,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default.into(),)* }
            }
        }

        impl $name {
            pub const PARAMETERS: &'static [$crate::registry::Parameter] =
                &[$($crate::registry::Parameter {
                    name: stringify!($field),
                    default: $crate::reward::parameters::word!($default $(, $word)?),
                    range: $bound.text,
                    meaning: $meaning,
                }),*];

            /// The first parameter out of its range: its key, and what it must be.
            pub(in crate::reward) fn check(&self) -> Result<(), (String, String)> {
                $(if !$crate::reward::parameters::Value::fits(&self.$field, &$bound) {
                    return Err((stringify!($field).to_owned(), format!("must be {}", $bound.text)));
                })*
                $($(
                    let $p = self;
                    let holds: bool = $holds;
                    if !holds {
                        return Err(($key.to_owned(), $problem.to_owned()));
                    }
                )*)?
                Ok(())
            }
        }
    };
}
pub(super) use parameters;

/// An enum of words that is a parameter; the first is the default.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $(#[$first_doc:meta])* $first:ident, $($(#[$rest_doc:meta])* $rest:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $(#[$first_doc])* #[default] $first,
            $($(#[$rest_doc])* $rest,)+
        }

        impl $crate::reward::parameters::Value for $name {
            fn fits(&self, _: &$crate::reward::parameters::Bound) -> bool {
                true
            }
        }
    };
}
pub(super) use choice;
