//! The waist: a row of numbers for each action, held as columns.

use serde::{Deserialize, Serialize};

/// The rows of one sample, column by column; every column has one number an action.
///
/// | column | what | unit |
/// |---|---|---|
/// | `logp` | log-probability (or log-density) of the action | nats |
/// | `entropy` | entropy of the distribution it was drawn from | nats |
/// | `kl_old` | exact KL of that distribution from the behaviour policy's | nats |
/// | `kl_ref` | exact KL from the reference's | nats |
///
/// The distribution is the one at the sampling temperature, before any truncation. Of a soft token `logp` is the log-density of its noise
/// ([`Mixture`](crate::Mixture)), and `entropy` that of the distribution over ids that it was drawn from.
/// The divergences exist only where a recipe asked for them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    pub logp: Vec<f64>,
    pub entropy: Vec<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl_old: Option<Vec<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl_ref: Option<Vec<f64>>,
}

impl Rows {
    pub fn len(&self) -> usize {
        self.logp.len()
    }

    pub fn is_empty(&self) -> bool {
        self.logp.is_empty()
    }

    /// The first action whose row is not finite, with the column's name.
    pub fn first_not_finite(&self) -> Option<(usize, &'static str)> {
        let columns = [
            ("logp", Some(&self.logp)),
            ("entropy", Some(&self.entropy)),
            ("kl_old", self.kl_old.as_ref()),
            ("kl_ref", self.kl_ref.as_ref()),
        ];
        columns
            .into_iter()
            .filter_map(|(name, column)| Some((column?.iter().position(|x| !x.is_finite())?, name)))
            .min_by_key(|&(position, _)| position)
    }
}

/// The derivative of the loss with respect to each entry of a sample's [`Rows`].
/// A column that an objective does not read is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowGradients {
    pub logp: Vec<f64>,
    pub entropy: Option<Vec<f64>>,
    pub kl_old: Option<Vec<f64>>,
    pub kl_ref: Option<Vec<f64>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_that_is_none_is_named() {
        let rows = |logp: [f64; 2], kl_old: Option<Vec<f64>>| Rows {
            logp: logp.to_vec(),
            entropy: vec![0.5; 2],
            kl_old,
            kl_ref: None,
        };
        assert_eq!(rows([-1.0, -2.0], Some(vec![0.0; 2])).first_not_finite(), None);
        assert_eq!(rows([-1.0, f64::NAN], None).first_not_finite(), Some((1, "logp")));
        assert_eq!(rows([-1.0, f64::NAN], Some(vec![f64::INFINITY, 0.0])).first_not_finite(), Some((0, "kl_old")));
    }
}
