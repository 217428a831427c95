//! Axis-aligned boxes in 2 and 3 dimensions, and how completions write lists of numbers.

use serde_json::Value;

use super::super::{columns, reading};

/// The least and the greatest corner: `x1 y1 x2 y2`, or `x1 y1 z1 x2 y2 z2`; no side is negative.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Box {
    low: Vec<f64>,
    high: Vec<f64>,
}

impl Box {
    /// `None` of another number of coordinates than 4 or 6, or of a corner on the wrong side.
    pub(super) fn of(coordinates: &[f64]) -> Option<Self> {
        let sizes = matches!(coordinates.len(), 4 | 6) && coordinates.iter().all(|c| c.abs() < 1e50);
        let (low, high) = coordinates.split_at(coordinates.len() / 2);
        (sizes && low.iter().zip(high).all(|(l, h)| l <= h)).then(|| Self { low: low.to_vec(), high: high.to_vec() })
    }

    pub(super) fn dimensions(&self) -> usize {
        self.low.len()
    }

    /// Area or volume.
    pub(super) fn size(&self) -> f64 {
        self.low.iter().zip(&self.high).map(|(l, h)| h - l).product()
    }

    pub(super) fn holds(&self, point: &[f64]) -> bool {
        let inside = |((l, h), p): ((&f64, &f64), &f64)| l <= p && p <= h;
        point.len() == self.low.len() && self.low.iter().zip(&self.high).zip(point).all(inside)
    }

    pub(super) fn meet(&self, other: &Self) -> Option<Self> {
        let low: Vec<f64> = self.low.iter().zip(&other.low).map(|(a, b)| a.max(*b)).collect();
        let high: Vec<f64> = self.high.iter().zip(&other.high).map(|(a, b)| a.min(*b)).collect();
        (self.low.len() == other.low.len() && low.iter().zip(&high).all(|(l, h)| l <= h)).then_some(Self { low, high })
    }

    /// Intersection over union, in 0..1; 0 of boxes without size, and of different dimensions.
    pub(super) fn iou(&self, other: &Self) -> f64 {
        let shared = self.meet(other).map_or(0.0, |shared| shared.size());
        let union = self.size() + other.size() - shared;
        if union > 0.0 { (shared / union).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The mean absolute difference of the coordinates.
    pub(super) fn apart(&self, other: &Self) -> f64 {
        let sides = [(&self.low, &other.low), (&self.high, &other.high)];
        let sum: f64 = sides.iter().flat_map(|(a, b)| a.iter().zip(b.iter())).map(|(a, b)| (a - b).abs()).sum();
        sum / (2 * self.low.len()) as f64
    }
}

/// Lists of numbers that a text holds: a JSON list of them, or of objects that have one under one of `keys`; else, where no `[` opens a JSON list, all its numbers in runs of `size`.
/// What is no list of numbers is left out.
pub(super) fn lists(text: &str, keys: &[&str], size: usize) -> Vec<Vec<f64>> {
    match reading::json(text) {
        Some(value) => from_json(&value, keys),
        None => reading::numbers(text).chunks_exact(size.max(1)).map(<[f64]>::to_vec).collect(),
    }
}

/// See [`lists`].
pub(super) fn from_json(value: &Value, keys: &[&str]) -> Vec<Vec<f64>> {
    let one = |value: &Value| -> Option<Vec<f64>> {
        match value {
            Value::Object(map) => keys.iter().find_map(|key| map.get(*key)).and_then(columns::list_of_numbers),
            other => columns::list_of_numbers(other),
        }
    };
    match value {
        Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_number) => one(value).into_iter().collect(),
        Value::Array(list) => list.iter().filter_map(one).collect(),
        other => one(other).into_iter().collect(),
    }
}

/// The names of a box in objects.
pub(super) const BOX: &[&str] = &["bbox_2d", "bbox_3d", "bbox", "box", "Position"];
