//! TensorBoard's event files: TFRecords of the protocol buffer `Event`, of which four fields are enough.
//!
//! ```text
//! Event   { 1: wall_time double, 2: step int64, 3: file_version string | 5: summary Summary }
//! Summary { repeated 1: Value { 1: tag string, 2: simple_value float } }
//! ```
//!
//! `wall_time` is the seconds that the run has worked, counted from 0: TensorBoard's relative axis is then the time of
//! training without the pauses, and no clock is read.

use super::{Logs, point::Point, tfrecord};

/// TensorBoard knows its files by the word `tfevents`, and sorts them by name.
pub const FILE_NAME: &str = "events.out.tfevents.0000000000.cohort";

const VERSION: &str = "brain.Event:2";

/// A whole file.
pub(super) fn file(points: &[Point]) -> Vec<u8> {
    let mut file = start();
    points.iter().for_each(|point| tfrecord::push(&mut file, &event(point)));
    file
}

/// What every file begins with.
fn start() -> Vec<u8> {
    let mut record = Vec::new();
    bytes(&mut record, 3, VERSION.as_bytes());
    let mut file = Vec::new();
    tfrecord::push(&mut file, &record);
    file
}

fn event(point: &Point) -> Vec<u8> {
    let mut summary = Vec::new();
    for (name, value) in &point.values {
        let mut entry = Vec::new();
        bytes(&mut entry, 1, point.tag(name).as_bytes());
        float(&mut entry, 2, *value as f32);
        bytes(&mut summary, 1, &entry);
    }
    let mut record = Vec::new();
    double(&mut record, 1, point.seconds);
    key(&mut record, 2, Wire::Varint);
    varint(&mut record, point.step);
    bytes(&mut record, 5, &summary);
    record
}

/// Writes a file bit by bit, as its lines are committed: together the same bytes as [`file`].
#[derive(Default)]
pub(crate) struct Stream {
    /// Seconds of the steps that were written.
    elapsed: f64,
    has_started: bool,
}

impl Stream {
    /// Goes on behind a file of the lines whose times these are; nothing was written where `written` is 0 bytes.
    pub fn after(timings: &str, written: u64) -> Result<Self, String> {
        let mut stream = Self { elapsed: 0.0, has_started: written > 0 };
        Logs { timings: timings.to_owned(), ..Logs::default() }.points(&mut stream.elapsed)?;
        Ok(stream)
    }

    /// The bytes of more lines.
    pub fn take(&mut self, logs: &Logs) -> Result<Vec<u8>, String> {
        let points = logs.points(&mut self.elapsed)?;
        let mut more = if self.has_started { Vec::new() } else { start() };
        self.has_started = true;
        points.iter().for_each(|point| tfrecord::push(&mut more, &event(point)));
        Ok(more)
    }
}

/// Wire types of protocol buffers.
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Length = 2,
    Fixed32 = 5,
}

fn key(record: &mut Vec<u8>, field: u64, wire: Wire) {
    varint(record, (field << 3) | wire as u64);
}

fn varint(record: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        record.push(value as u8 | 0x80);
        value >>= 7;
    }
    record.push(value as u8);
}

/// As protocol buffers have it, a 0 is not written.
fn double(record: &mut Vec<u8>, field: u64, value: f64) {
    if value == 0.0 {
        return;
    }
    key(record, field, Wire::Fixed64);
    record.extend(value.to_le_bytes());
}

fn float(record: &mut Vec<u8>, field: u64, value: f32) {
    key(record, field, Wire::Fixed32);
    record.extend(value.to_le_bytes());
}

fn bytes(record: &mut Vec<u8>, field: u64, value: &[u8]) {
    key(record, field, Wire::Length);
    varint(record, value.len() as u64);
    record.extend(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made and read by `scripts/golden_tensorboard.py` with TensorBoard's own code.
    const GOLDEN: &[u8] = include_bytes!("../../tests/golden/events.out.tfevents.golden");

    fn logs() -> Logs {
        let timing = |stage: &str, step: u64, seconds: f64| {
            format!("{{\"stage\":\"{stage}\",\"step\":{step},\"seconds\":{{\"total\":{seconds}}}}}\n")
        };
        Logs {
            supervised: "{\"stage\":\"supervised\",\"step\":1,\"loss\":2.5}\n".to_owned(),
            metrics: "{\"stage\":\"rl\",\"step\":1,\"reward/mean\":0.25,\"lr\":1e-6}\n\
                      {\"stage\":\"rl\",\"step\":300,\"reward/mean\":-1.5,\"länge\":128}\n\
                      {\"stage\":\"rl\",\"step\":300,\"split\":\"dev\",\"eval\":{\"n\":16,\"greedy\":0.5}}\n"
                .to_owned(),
            timings: timing("supervised", 1, 4.0) + &timing("rl", 1, 1.5) + &timing("rl", 300, 2.25),
            ..Logs::default()
        }
    }

    #[test]
    fn the_bytes_that_tensorboard_reads() {
        let points = logs().points(&mut 0.0).unwrap();
        assert_eq!(file(&points), GOLDEN);
    }

    #[test]
    fn written_bit_by_bit_it_is_the_same_file() {
        let Logs { supervised, metrics, timings, .. } = logs();
        let (first, rest) = timings.split_at(timings.find("{\"stage\":\"rl\"").unwrap());
        let mut stream = Stream::default();
        let mut written = stream.take(&Logs { supervised, timings: first.to_owned(), ..Logs::default() }).unwrap();
        // Another process goes on.
        let mut stream = Stream::after(first, written.len() as u64).unwrap();
        written.extend(stream.take(&Logs { metrics, timings: rest.to_owned(), ..Logs::default() }).unwrap());
        assert_eq!(written, GOLDEN);
    }
}
