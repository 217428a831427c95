//! Rows of a Parquet file, as the JSON objects that the same rows would be in JSON lines.

use std::{fs::File, io};

use parquet::{
    errors::ParquetError,
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, Row as Record, reader::RowIter},
};
use serde_json::{Map, Number, Value};

use super::{error::RowFault, jsonl::Row, rows::Rows};

/// Reads the footer; rows come page by page.
pub fn open(file: File) -> io::Result<Rows> {
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    let rows = RowIter::from_file_into(Box::new(reader) as Box<dyn FileReader>);
    Ok(Box::new(rows.enumerate().map(|(index, record)| Ok((index + 1, row(&record.map_err(broken)?))))))
}

fn broken(error: ParquetError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the Parquet file is broken or of an unknown kind: {error}"))
}

fn row(record: &Record) -> Row {
    object(record, "")
}

/// Bytes that are no text have no place in JSON: their column is left out.
fn object(record: &Record, within: &str) -> Result<Map<String, Value>, RowFault> {
    let mut object = Map::new();
    for (name, field) in record.get_column_iter() {
        let path = if within.is_empty() { name.clone() } else { format!("{within}.{name}") };
        if let Some(value) = json(field, &path)? {
            object.insert(name.clone(), value);
        }
    }
    Ok(object)
}

fn json(field: &Field, path: &str) -> Result<Option<Value>, RowFault> {
    Ok(Some(match field {
        Field::Null => Value::Null,
        Field::Bool(b) => Value::Bool(*b),
        Field::Byte(n) => Value::from(*n),
        Field::Short(n) => Value::from(*n),
        Field::Int(n) => Value::from(*n),
        Field::Long(n) => Value::from(*n),
        Field::UByte(n) => Value::from(*n),
        Field::UShort(n) => Value::from(*n),
        Field::UInt(n) => Value::from(*n),
        Field::ULong(n) => Value::from(*n),
        Field::Float16(x) => number(f64::from(*x), path)?,
        // The number that was written, 0.1, not the nearest one in 64 bits, 0.10000000149.
        Field::Float(x) => number(x.to_string().parse().unwrap_or(f64::from(*x)), path)?,
        Field::Double(x) => number(*x, path)?,
        Field::Str(text) => Value::from(text.as_str()),
        Field::Bytes(bytes) => match bytes.as_utf8() {
            Ok(text) => Value::from(text),
            Err(_) => return Ok(None),
        },
        Field::Group(record) => Value::Object(object(record, path)?),
        Field::ListInternal(list) => {
            let elements = list.elements().iter().map(|e| json(e, path).map(|v| v.unwrap_or(Value::Null)));
            Value::Array(elements.collect::<Result<_, _>>()?)
        }
        Field::MapInternal(map) => {
            let mut object = Map::new();
            for (key, value) in map.entries() {
                let key = match json(key, path)? {
                    Some(Value::String(text)) => text,
                    Some(other) => other.to_string(),
                    None => continue,
                };
                if let Some(value) = json(value, path)? {
                    object.insert(key, value);
                }
            }
            Value::Object(object)
        }
        // Exact, and as people write them.
        Field::Decimal(_)
        | Field::Date(_)
        | Field::TimeMillis(_)
        | Field::TimeMicros(_)
        | Field::TimestampMillis(_)
        | Field::TimestampMicros(_) => Value::String(field.to_string()),
    }))
}

/// A value that is missing is written as not-a-number by some; an infinite one has no meaning in a row.
fn number(x: f64, path: &str) -> Result<Value, RowFault> {
    match Number::from_f64(x) {
        Some(number) => Ok(Value::Number(number)),
        None if x.is_nan() => Ok(Value::Null),
        None => Err(RowFault::NotFinite { field: path.to_owned() }),
    }
}
