//! How long things took: a histogram whose buckets are the same for all, so that sums of histograms are histograms.

use serde::{Deserialize, Serialize};

/// Buckets a factor of ten: bounds are a factor of 1.58 apart.
const PER_DECADE: i32 = 5;
/// Up to a microsecond.
const LEAST: f64 = 1e-6;
/// Up to 10^4 seconds; what is above is in the last one too.
const BUCKETS: usize = 51;

/// Counts a bucket. Bucket `i` holds what took up to `10^(i/5)` microseconds and longer than the one before. Written as pairs of
/// the bound in seconds and the count, without empty ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(f64, u64)>", into = "Vec<(f64, u64)>")]
pub struct Latency {
    counts: Vec<u64>,
}

fn bucket(seconds: f64) -> usize {
    // A bound itself belongs to its bucket, whatever its last bit.
    let at = ((seconds.max(0.0) / LEAST).log10() * f64::from(PER_DECADE) - 1e-6).ceil();
    if at > 0.0 { (at as usize).min(BUCKETS - 1) } else { 0 }
}

fn bound(bucket: usize) -> f64 {
    let exponent = bucket as f64 / f64::from(PER_DECADE) + LEAST.log10();
    // Three digits tell bounds apart, and read well.
    let exact = 10f64.powf(exponent);
    let scale = 10f64.powf(2.0 - exact.log10().floor());
    (exact * scale).round() / scale
}

impl Latency {
    pub fn add(&mut self, seconds: f64) {
        self.put(bucket(seconds), 1);
    }

    fn put(&mut self, bucket: usize, count: u64) {
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += count;
    }

    pub fn merge(&mut self, other: &Latency) {
        other.counts.iter().enumerate().filter(|(_, count)| **count > 0).for_each(|(at, &count)| self.put(at, count));
    }

    /// The bound that a share `q` of all did not exceed; `None` of nothing.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let total: u64 = self.counts.iter().sum();
        if total == 0 {
            return None;
        }
        let wanted = ((q * total as f64).ceil() as u64).clamp(1, total);
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        at.map(bound)
    }

    /// Bound in seconds and count of every bucket that has any.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(at, &count)| (bound(at), count))
    }
}

impl From<Latency> for Vec<(f64, u64)> {
    fn from(latency: Latency) -> Self {
        latency.buckets().collect()
    }
}

impl From<Vec<(f64, u64)>> for Latency {
    fn from(pairs: Vec<(f64, u64)>) -> Self {
        let mut latency = Latency::default();
        // A bound was rounded when it was written; its bucket is the nearest.
        pairs.into_iter().for_each(|(bound, count)| latency.put(bucket(bound * 0.9), count));
        latency
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_a_fifth_of_a_decade() {
        assert_eq!((bucket(0.0), bucket(1e-6), bucket(1.5e-6), bucket(1.0), bucket(1e9)), (0, 0, 1, 30, 50));
        assert_eq!((bucket(f64::NAN), bucket(-1.0)), (0, 0));
        assert_eq!((bound(0), bound(1), bound(30), bound(31)), (1e-6, 1.58e-6, 1.0, 1.58));
        for at in 0..BUCKETS {
            assert_eq!(bucket(bound(at) * 0.99), at);
        }
    }

    #[test]
    fn quantiles_are_bounds() {
        let mut latency = Latency::default();
        assert_eq!(latency.quantile(0.5), None);
        for i in 1..=100 {
            latency.add(f64::from(i) * 0.01);
        }
        // 63 of 100 took up to 0.63 s, and 0.631 is the bound above a half.
        assert_eq!(
            (latency.quantile(0.5), latency.quantile(0.99), latency.quantile(0.0)),
            (Some(0.631), Some(1.0), Some(0.01))
        );
        let mut other = Latency::default();
        other.add(100.0);
        other.merge(&latency);
        assert_eq!(other.quantile(1.0), Some(100.0));
        let text = serde_json::to_string(&other).unwrap();
        assert_eq!(serde_json::from_str::<Latency>(&text).unwrap(), other, "{text}");
    }
}
