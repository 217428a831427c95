//! Metrics as a table (RFC 4180): a line a step, a column a metric, an empty field for what was not computed.

use std::collections::{BTreeMap, BTreeSet};

use super::point::Point;

/// A line of the table.
pub(super) struct Row<'a> {
    stage: &'a str,
    step: u64,
    seconds: f64,
    values: BTreeMap<&'a str, f64>,
}

/// Points of one step are one line.
pub(super) fn rows(points: &[Point]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for point in points {
        let values = point.values.iter().map(|(name, value)| (name.as_str(), *value));
        match rows.last_mut() {
            Some(row) if row.stage == point.stage && row.step == point.step => row.values.extend(values),
            _ => rows.push(Row {
                stage: &point.stage,
                step: point.step,
                seconds: point.seconds,
                values: values.collect(),
            }),
        }
    }
    rows
}

pub(super) fn table(points: &[Point]) -> String {
    let rows = rows(points);
    let names: BTreeSet<&str> = rows.iter().flat_map(|row| row.values.keys().copied()).collect();
    let header = ["stage", "step", "seconds"].into_iter().chain(names.iter().copied()).map(quoted);
    let mut text = header.collect::<Vec<_>>().join(",") + "\r\n";
    for row in &rows {
        let mut fields = vec![quoted(row.stage), row.step.to_string(), row.seconds.to_string()];
        fields.extend(names.iter().map(|name| row.values.get(name).map_or(String::new(), f64::to_string)));
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}

/// A field, quoted where it must be.
fn quoted(field: &str) -> String {
    if field.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_step_and_nothing_where_nothing_was_computed() {
        let point = |step, values: &[(&str, f64)]| Point {
            stage: "rl".to_owned(),
            step,
            seconds: step as f64 / 2.0,
            values: values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        };
        let points = [
            point(1, &[("lr", 1e-6), ("reward/a,\"b\"", 1.0)]),
            point(2, &[("lr", 0.1)]),
            point(2, &[("eval/dev/greedy", 0.5)]),
        ];
        let expected = "stage,step,seconds,eval/dev/greedy,lr,\"reward/a,\"\"b\"\"\"\r\n\
                        rl,1,0.5,,0.000001,1\r\nrl,2,1,0.5,0.1,\r\n";
        assert_eq!(table(&points), expected);
    }
}
