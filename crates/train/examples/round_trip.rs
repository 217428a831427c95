//! Reads a model or an adapter, writes it again, and prints the log-probabilities of ids: for `scripts/round_trip.py`.
//!
//!     cargo run --release -p cohort-train --example round_trip -- DIR OUT SHARD_BYTES ID ID ..

use std::{error::Error, path::Path};

use cohort_core::{Context, Policy, RowSpec, Sample};
use cohort_train::{
    build::{Places, load_policy},
    checkpoint::{Provenance, write_model},
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, out, shard_bytes, first, rest @ ..] = arguments.as_slice() else {
        return Err("usage: round_trip DIR OUT SHARD_BYTES ID ID ..".into());
    };
    let policy = load_policy("DIR", directory, &Places::default())?;
    let provenance = Provenance { base: Some("base".to_owned()), stage: "none".to_owned(), ..Provenance::default() };
    write_model(Path::new(out), &policy, &provenance, shard_bytes.parse()?)?;
    let ids: Vec<u32> = rest.iter().map(|id| id.parse()).collect::<Result<_, _>>()?;
    let sample = Sample::given(Context::of_tokens([first.parse()?]), &ids);
    let rows = policy.rows(&[&sample], RowSpec::at(1.0))?;
    println!("{:?}", rows[0].logp);
    Ok(())
}
