//! Numbers that know how they add up.
//!
//! A metric carries its reduction, so that merging blocks, workers and steps can never
//! average a count or add up a mean. What was not computed is absent: not 0, not NaN.

use std::collections::BTreeMap;

/// A number with its reduction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    Sum(f64),
    /// `total / weight`; absent while the weight is 0.
    Mean {
        total: f64,
        weight: f64,
    },
    Max(f64),
}

impl Metric {
    /// A mean over one observation of weight 1.
    pub fn mean_of(value: f64) -> Self {
        Metric::Mean { total: value, weight: 1.0 }
    }

    /// The reduced value, where there is one.
    pub fn value(self) -> Option<f64> {
        match self {
            Metric::Sum(x) | Metric::Max(x) => Some(x),
            Metric::Mean { total, weight } => (weight > 0.0).then(|| total / weight),
        }
    }

    fn merge(&mut self, other: Metric) {
        match (self, other) {
            (Metric::Sum(a), Metric::Sum(b)) => *a += b,
            (Metric::Max(a), Metric::Max(b)) => *a = a.max(b),
            (Metric::Mean { total, weight }, Metric::Mean { total: t, weight: w }) => {
                *total += t;
                *weight += w;
            }
            (a, b) => unreachable!("one name, two reductions: {a:?} and {b:?}"),
        }
    }
}

/// Metrics by name, in the order of the names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(BTreeMap<String, Metric>);

impl Metrics {
    /// Merges one observation under `name`.
    pub fn add(&mut self, name: &str, metric: Metric) {
        match self.0.get_mut(name) {
            Some(present) => present.merge(metric),
            None => {
                self.0.insert(name.to_owned(), metric);
            }
        }
    }

    pub fn merge(&mut self, other: &Metrics) {
        for (name, &metric) in &other.0 {
            self.add(name, metric);
        }
    }

    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).and_then(|m| m.value())
    }

    /// Name and value of every metric that has one.
    pub fn values(&self) -> impl Iterator<Item = (&str, f64)> + '_ {
        self.0.iter().filter_map(|(name, metric)| Some((name.as_str(), metric.value()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reduction_merges_its_own_way() {
        let mut a = Metrics::default();
        a.add("tokens", Metric::Sum(3.0));
        a.add("length", Metric::Mean { total: 30.0, weight: 3.0 });
        a.add("gap", Metric::Max(0.5));
        let mut b = Metrics::default();
        b.add("tokens", Metric::Sum(1.0));
        b.add("length", Metric::Mean { total: 2.0, weight: 1.0 });
        b.add("gap", Metric::Max(0.25));
        a.merge(&b);
        assert_eq!(a.get("tokens"), Some(4.0));
        assert_eq!(a.get("length"), Some(8.0), "a mean of means would be 6");
        assert_eq!(a.get("gap"), Some(0.5));
    }

    #[test]
    fn what_was_not_computed_is_absent() {
        let mut metrics = Metrics::default();
        metrics.add("kl", Metric::Mean { total: 0.0, weight: 0.0 });
        assert_eq!(metrics.get("kl"), None);
        assert_eq!(metrics.values().count(), 0);
    }
}
