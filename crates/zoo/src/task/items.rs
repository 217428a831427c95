//! From what a generator makes to a task: splits, ids, refusals.

use cohort_core::{Stream, random::permutation};
use cohort_env::{
    Codec, CodecError, Item, Limits, Origin, RowFault, SkippedRows, Task, TaskError, task::encode::Encoder,
};
use serde_json::{Map, Value};

/// A key that cannot be as it is.
pub(super) fn refused(key: String, problem: &str, got: impl ToString, hint: &str) -> TaskError {
    TaskError::Refused { key, problem: problem.to_owned(), got: got.to_string(), hint: hint.to_owned() }
}

/// A share or a probability.
pub(super) fn in_unit(key: String, x: f64) -> Result<(), TaskError> {
    match (0.0..=1.0).contains(&x) {
        true => Ok(()),
        false => Err(refused(key, "must be in 0..=1", x, "give a probability")),
    }
}

/// A weight beside others.
pub(super) fn weight(key: String, x: f64) -> Result<(), TaskError> {
    match x.is_finite() && x >= 0.0 {
        true => Ok(()),
        false => {
            Err(refused(key, "must be a finite number of at least 0", x, "give a weight; weights need not add up to 1"))
        }
    }
}

/// How many items are wanted: train, dev, test.
pub(super) fn sizes(generator: &str, [train, dev, test]: [usize; 3]) -> Result<[usize; 3], TaskError> {
    if train == 0 {
        let key = format!("task.{generator}.train");
        return Err(refused(key, "must be at least 1", train, "the rl stage draws its prompts from it"));
    }
    let most = 10_000_000;
    match [train, dev, test].into_iter().zip(["train", "dev", "test"]).find(|(n, _)| *n > most) {
        Some((n, split)) => Err(refused(
            format!("task.{generator}.{split}"),
            "must be at most 10,000,000",
            n,
            "items are held in memory",
        )),
        None => Ok([train, dev, test]),
    }
}

/// One item in words.
pub(super) struct Made {
    pub prompt: String,
    pub answer: Value,
    pub solution: String,
    /// Beside `prompt`, `answer` and `solution`.
    pub columns: Vec<(&'static str, Value)>,
}

/// The three splits of a generator, each in a drawn order.
pub(super) fn task(
    generator: &'static str,
    splits: [Vec<Made>; 3],
    seed: u64,
    codec: &dyn Codec,
    limits: Limits,
) -> Result<Task, TaskError> {
    let encoder = Encoder { codec, limits, max_prompt_tokens: None };
    let mut first = 0;
    let mut split = 0;
    let mut encoded = splits.into_iter().map(|made| {
        let order = permutation(made.len(), Stream::new(seed, "order").dice(split, 0, 0));
        split += 1;
        let mut made: Vec<Option<Made>> = made.into_iter().map(Some).collect();
        let items = order.into_iter().filter_map(|at| Some((at, made[at].take()?)));
        let items = items.map(|(at, made)| item(Origin::Generated { generator, index: first + at }, made, &encoder));
        let items = items.collect::<Result<Vec<Item>, TaskError>>();
        first += made.len();
        items
    });
    let mut next = || encoded.next().unwrap_or_else(|| Ok(Vec::new()));
    Ok(Task { train: next()?, dev: next()?, test: next()?, skipped: SkippedRows::default() })
}

fn item(origin: Origin, made: Made, encoder: &Encoder) -> Result<Item, TaskError> {
    let Made { prompt, answer, solution, columns } = made;
    let mut row: Map<String, Value> = Map::from_iter([
        ("prompt".to_owned(), Value::from(prompt.as_str())),
        ("answer".to_owned(), answer),
        ("solution".to_owned(), Value::from(solution.as_str())),
    ]);
    row.extend(columns.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let encoded = encoder.prompt("prompt", &prompt).and_then(|context| {
        is_carried("prompt", &prompt, context.as_tokens().unwrap_or_default(), encoder)?;
        let ids = encoder.solution("solution", &solution, &context)?;
        is_carried("solution", &solution, &ids, encoder)?;
        Ok((context, ids))
    });
    match encoded {
        Ok((context, ids)) => Ok(Item { prompt, context, columns: row, solution: Some(ids), origin }),
        Err(fault) => Err(TaskError::Row { origin, fault }),
    }
}

/// A small vocabulary may lack a character, which then reads as another.
fn is_carried(key: &'static str, text: &str, ids: &[u32], encoder: &Encoder) -> Result<(), RowFault> {
    let read = encoder.codec.decode(ids);
    if read == text {
        return Ok(());
    }
    let reason =
        format!("{text:?} reads as {read:?} in its ids: policy.new.tokenizer = \"characters\" has all of ASCII");
    Err(RowFault::Unencodable { key, source: CodecError { reason } })
}
