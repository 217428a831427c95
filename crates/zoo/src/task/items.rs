//! From what a generator makes to a task: splits, ids, refusals.

use std::collections::HashSet;

use cohort_core::{Stream, random::permutation};
use cohort_env::{
    Codec, CodecError, Item, Limits, Origin, RowFault, SkippedRows, Task, TaskError, task::encode::Encoder,
};
use serde_json::{Map, Value};

use super::draw::{Draw, apportion, distinct};

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

/// Three disjoint splits of drawn things, each with its share of every kind, to the item. Test and dev are drawn first: they are the
/// same whatever there is to learn from. `size` is how many things of a kind there are, or as many as never run out.
///
/// # Errors
/// The split that asks for more things of a kind than are left, how many it asks for and how many there were.
pub(super) fn splits<T>(
    sizes: [usize; 3],
    kinds: &[f64],
    size: u128,
    stream: Stream,
    make: impl Fn(usize, &mut Draw) -> (String, T),
) -> Result<[Vec<T>; 3], Short> {
    splits_of(sizes, [kinds; 3], size, stream, |_, kind, draw| make(kind, draw))
}

/// The same, where what is made depends on the split, or how often each kind is: of train, dev and test the shares of as many kinds.
///
/// # Errors
/// As of [`splits`].
pub(super) fn splits_of<T>(
    sizes: [usize; 3],
    kinds: [&[f64]; 3],
    size: u128,
    stream: Stream,
    make: impl Fn(usize, usize, &mut Draw) -> (String, T),
) -> Result<[Vec<T>; 3], Short> {
    let mut seen = HashSet::new();
    let mut splits: [Vec<T>; 3] = Default::default();
    for split in [2, 1, 0] {
        for (kind, wanted) in apportion(sizes[split], kinds[split]).into_iter().enumerate() {
            let stratum = (split * kinds[split].len() + kind) as u32;
            let found = distinct(wanted, size, stream, stratum, &mut seen, |draw| make(split, kind, draw));
            if found.len() < wanted {
                return Err(Short { split: ["train", "dev", "test"][split], wanted, found: found.len() });
            }
            splits[split].extend(found);
        }
    }
    Ok(splits)
}

/// A split that cannot be filled.
pub(super) struct Short {
    split: &'static str,
    wanted: usize,
    found: usize,
}

impl Short {
    /// The refusal, for the key whose growth gives more.
    pub fn refused(&self, key: String, got: impl ToString) -> TaskError {
        self.refused_with(key, got, "raise it, or ask for fewer items")
    }

    /// The refusal, where something else is to be done.
    pub fn refused_with(&self, key: String, got: impl ToString, hint: &str) -> TaskError {
        let Short { split, wanted, found } = self;
        let problem = format!("gives {found} prompts of a kind that no other split has, and {split} asks for {wanted}");
        refused(key, &problem, got, hint)
    }
}

/// What is made of every question, each with dice of its own.
pub(super) fn solved<T>(splits: [Vec<T>; 3], stream: Stream, made: impl Fn(&T, &mut Draw) -> Made) -> [Vec<Made>; 3] {
    let mut index = 0;
    splits.map(|split| {
        let solve = |question| {
            index += 1;
            made(&question, &mut Draw::of(stream.dice(index, 0, 0)))
        };
        split.into_iter().map(solve).collect()
    })
}
