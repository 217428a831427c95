//! Records to be written as JSON of a given form.
//!
//! Prompt `id=7 tag=bad pos.x=3 pos.y=41 ok=yes`, solution `{"id":7,"tag":"bad","pos":{"x":3,"y":41},"ok":true}`. Fields are numbers, words, truth
//! values, lists (`qty=[4,2]`) and records; the form goes with the item as a JSON Schema.

use cohort_core::Stream;
use cohort_env::{Codec, Limits, Task, TaskError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    draw::Draw,
    items::{self, Made, refused},
};

/// Fields with their values, and the record that they are. Columns: `prompt`, `answer` (the record), `schema` (its form: all keys are required, no others are allowed,
/// values have their types), `fields` (how many there are, those of inner records too), `fault` (of the solution; `none`), `solution`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Records {
    /// Items to learn from.
    pub train: usize,
    /// Items to choose by.
    pub dev: usize,
    /// Items to judge with once.
    pub test: usize,
    /// Which items there are, in which split, and how each is solved.
    pub seed: u64,
    /// The fewest and the most fields of a record, equally often.
    pub fields: [usize; 2],
    /// The probability that a field is a record of two fields, which are none.
    pub nested: f64,
    /// The probability that a solution is right.
    pub right: f64,
    /// What is wrong with the others, each equally often.
    pub faults: Vec<Fault>,
}

/// What is wrong with a solution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The last brace is missing: no JSON.
    Brace,
    /// A field is missing.
    Missing,
    /// A field has another key.
    Renamed,
    /// A number or a truth value stands in quotes, a word or a list is 0.
    Type,
    /// A value is another one of its type.
    Value,
    /// Words stand before the JSON.
    Chatter,
}

impl Fault {
    const ALL: [Fault; 6] = [Fault::Brace, Fault::Missing, Fault::Renamed, Fault::Type, Fault::Value, Fault::Chatter];

    /// The recipe's word.
    fn word(self) -> &'static str {
        match self {
            Fault::Brace => "brace",
            Fault::Missing => "missing",
            Fault::Renamed => "renamed",
            Fault::Type => "type",
            Fault::Value => "value",
            Fault::Chatter => "chatter",
        }
    }
}

impl Default for Records {
    fn default() -> Self {
        Self {
            train: 4096,
            dev: 256,
            test: 512,
            seed: 0,
            fields: [2, 3],
            nested: 0.25,
            right: 0.4,
            faults: Fault::ALL.to_vec(),
        }
    }
}

/// Keys of fields.
const KEYS: [&str; 12] = ["id", "age", "ok", "tag", "qty", "pos", "x", "y", "sum", "max", "key", "ref"];

#[derive(Clone, PartialEq)]
enum Held {
    Number(u64),
    Word(String),
    Truth(Truth),
    List(Vec<u64>),
    Record(Vec<Field>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Truth {
    Yes,
    No,
}

#[derive(Clone, PartialEq)]
struct Field {
    key: &'static str,
    value: Held,
}

impl Records {
    /// What the recipe must not say.
    ///
    /// # Errors
    /// [`TaskError::Refused`], with the key.
    pub fn check(&self) -> Result<(), TaskError> {
        items::sizes("records", [self.train, self.dev, self.test])?;
        let key = |field: &str| format!("task.records.{field}");
        let [least, most] = self.fields;
        if least == 0 || least > most || most >= KEYS.len() {
            let (got, hint) = (format!("{:?}", self.fields), "the fewest and the most, such as [2, 3]");
            return Err(refused(key("fields"), "must be two numbers of 1 to 11, in order", got, hint));
        }
        items::in_unit(key("nested"), self.nested)?;
        items::in_unit(key("right"), self.right)?;
        if self.faults.is_empty() && self.right < 1.0 {
            let hint = "of \"brace\", \"missing\", \"renamed\", \"type\", \"value\" and \"chatter\"";
            return Err(refused(key("faults"), "must hold a fault where solutions may be wrong", "none", hint));
        }
        Ok(())
    }

    /// The splits share no prompt.
    ///
    /// # Errors
    /// Those of [`Records::check`]; more items than there are; a tokenizer or a model that cannot hold an item.
    pub fn build(&self, codec: &dyn Codec, limits: Limits) -> Result<Task, TaskError> {
        self.check()?;
        let make = |_, draw: &mut Draw| {
            let record = self.record(draw);
            (prompt(&record), record)
        };
        let sizes = [self.train, self.dev, self.test];
        let splits = items::splits(sizes, &[1.0], u128::MAX, Stream::new(self.seed, "records/records"), make)
            .map_err(|short| short.refused("task.records.fields".into(), format!("{:?}", self.fields)))?;
        let made =
            items::solved(splits, Stream::new(self.seed, "records/solutions"), |record, draw| self.made(record, draw));
        items::task("records", made, self.seed, codec, limits)
    }

    fn record(&self, draw: &mut Draw) -> Vec<Field> {
        let [least, most] = self.fields;
        let count = least + draw.below((most - least + 1) as u64) as usize;
        let field = |key: &&'static str, draw: &mut Draw| {
            let value = match draw.chance(self.nested) {
                true => Held::Record(draw.some_of(2, &KEYS).into_iter().map(|key| leaf(key, draw)).collect()),
                false => return leaf(key, draw),
            };
            Field { key, value }
        };
        draw.some_of(count, &KEYS).iter().map(|key| field(key, draw)).collect()
    }

    fn made(&self, record: &[Field], draw: &mut Draw) -> Made {
        let fault = (!draw.chance(self.right)).then(|| *draw.of_these(&self.faults));
        Made {
            prompt: prompt(record),
            answer: value(record),
            solution: fault.map_or_else(|| written(record), |fault| broken(record, fault, draw)),
            columns: vec![
                ("schema", schema(record)),
                ("fields", Value::from(leaves(record))),
                ("fault", Value::from(fault.map_or("none", Fault::word))),
            ],
        }
    }
}

/// A field that is no record.
fn leaf(key: &'static str, draw: &mut Draw) -> Field {
    let value = match draw.below(4) {
        0 => Held::Number(draw.below(100)),
        1 => Held::Word(word(draw)),
        2 => Held::Truth(if draw.chance(0.5) { Truth::Yes } else { Truth::No }),
        _ => {
            let count = 1 + draw.below(2);
            Held::List((0..count).map(|_| draw.below(10)).collect())
        }
    };
    Field { key, value }
}

/// Three letters of a to h, so that it is neither `yes` nor `no`.
fn word(draw: &mut Draw) -> String {
    (0..3).map(|_| char::from(b'a' + draw.below(8) as u8)).collect()
}

fn prompt(record: &[Field]) -> String {
    let mut parts = Vec::new();
    tell(record, "", &mut parts);
    parts.join(" ")
}

fn tell(record: &[Field], before: &str, parts: &mut Vec<String>) {
    for Field { key, value } in record {
        match value {
            Held::Number(n) => parts.push(format!("{before}{key}={n}")),
            Held::Word(word) => parts.push(format!("{before}{key}={word}")),
            Held::Truth(Truth::Yes) => parts.push(format!("{before}{key}=yes")),
            Held::Truth(Truth::No) => parts.push(format!("{before}{key}=no")),
            Held::List(list) => parts.push(format!("{before}{key}={}", numbers(list))),
            Held::Record(inner) => tell(inner, &format!("{before}{key}."), parts),
        }
    }
}

/// The record as JSON, its fields in the prompt's order and without blanks.
fn written(record: &[Field]) -> String {
    let fields: Vec<String> = record.iter().map(|field| format!("\"{}\":{}", field.key, text(&field.value))).collect();
    format!("{{{}}}", fields.join(","))
}

fn text(held: &Held) -> String {
    match held {
        Held::Number(n) => n.to_string(),
        Held::Word(word) => format!("\"{word}\""),
        Held::Truth(truth) => (*truth == Truth::Yes).to_string(),
        Held::List(list) => numbers(list),
        Held::Record(inner) => written(inner),
    }
}

fn numbers(list: &[u64]) -> String {
    format!("[{}]", list.iter().map(u64::to_string).collect::<Vec<_>>().join(","))
}

fn value(record: &[Field]) -> Value {
    let of = |held: &Held| match held {
        Held::Number(n) => json!(n),
        Held::Word(word) => json!(word),
        Held::Truth(truth) => json!(*truth == Truth::Yes),
        Held::List(list) => json!(list),
        Held::Record(inner) => value(inner),
    };
    Value::Object(record.iter().map(|field| (field.key.to_owned(), of(&field.value))).collect())
}

fn schema(record: &[Field]) -> Value {
    let of = |held: &Held| match held {
        Held::Number(_) => json!({"type": "integer"}),
        Held::Word(_) => json!({"type": "string"}),
        Held::Truth(_) => json!({"type": "boolean"}),
        Held::List(_) => json!({"type": "array", "items": {"type": "integer"}}),
        Held::Record(inner) => schema(inner),
    };
    let properties: Map<String, Value> = record.iter().map(|field| (field.key.to_owned(), of(&field.value))).collect();
    let required: Vec<&str> = record.iter().map(|field| field.key).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn leaves(record: &[Field]) -> usize {
    let of = |field: &Field| match &field.value {
        Held::Record(inner) => leaves(inner),
        Held::Number(_) | Held::Word(_) | Held::Truth(_) | Held::List(_) => 1,
    };
    record.iter().map(of).sum()
}

/// The record with a fault in one of its outer fields.
fn broken(record: &[Field], fault: Fault, draw: &mut Draw) -> String {
    let mut record = record.to_vec();
    let at = draw.below(record.len() as u64) as usize;
    match fault {
        Fault::Brace => {
            let mut text = written(&record);
            text.pop();
            return text;
        }
        Fault::Chatter => return format!("here: {}", written(&record)),
        Fault::Missing => {
            record.remove(at);
        }
        Fault::Renamed => {
            let others: Vec<&'static str> =
                KEYS.into_iter().filter(|key| record.iter().all(|field| field.key != *key)).collect();
            record[at].key = *draw.of_these::<&'static str>(&others);
        }
        Fault::Type => {
            record[at].value = match &record[at].value {
                held @ (Held::Number(_) | Held::Truth(_) | Held::Record(_)) => Held::Word(match held {
                    Held::Record(_) => String::new(),
                    plain => text(plain),
                }),
                Held::Word(_) | Held::List(_) => Held::Number(0),
            }
        }
        Fault::Value => record[at].value = other(&record[at].value, draw),
    }
    written(&record)
}

/// Another value of the same type.
fn other(held: &Held, draw: &mut Draw) -> Held {
    match held {
        Held::Number(n) => Held::Number((n + 1 + draw.below(99)) % 100),
        Held::Word(old) => {
            let new = word(draw);
            let first = if old.starts_with('a') { 'b' } else { 'a' };
            Held::Word(if new == *old { format!("{first}{}", &old[1..]) } else { new })
        }
        Held::Truth(Truth::Yes) => Held::Truth(Truth::No),
        Held::Truth(Truth::No) => Held::Truth(Truth::Yes),
        Held::List(list) => {
            let mut list = list.clone();
            list[0] = (list[0] + 1 + draw.below(9)) % 10;
            Held::List(list)
        }
        Held::Record(inner) => {
            let mut inner = inner.clone();
            let at = draw.below(inner.len() as u64) as usize;
            inner[at].value = other(&inner[at].value, draw);
            Held::Record(inner)
        }
    }
}
