//! What a run starts from, as a sum: its trained weights and its frozen ones.

use cohort_core::Policy;
use sha2::{Digest, Sha256};

use crate::{error::Error, recipe::hex, worker::Workers};

/// SHA-256 over the SHA-256 of every tensor with its name and shape, trained ones first.
///
/// Every byte is read, of mapped files too: a base that differs in one number is another base. It takes 0.6 s of a core a GB where
/// the core has instructions for it, and the loader has read the same bytes just before.
pub fn origin_sum(policy: &dyn Policy, workers: Workers) -> Result<String, Error> {
    let (trained, frozen) = (policy.parameters(), policy.frozen());
    let sums = workers.map("summing the weights", trained.len() + frozen.len(), |index| {
        let mut sum = Sha256::new();
        match trained.get(index) {
            Some(info) => {
                sum.update(format!("trained {} {:?}\n", info.name, info.shape));
                policy
                    .read(index, &mut |values| cohort_core::policy::show_bytes(values, &mut |bytes| sum.update(bytes)));
            }
            None => {
                let tensor = &frozen[index - trained.len()];
                sum.update(format!("frozen {} {:?} {:?}\n", tensor.name, tensor.shape, tensor.numbers));
                policy.read_frozen(index - trained.len(), &mut |bytes| sum.update(bytes));
            }
        }
        Ok(sum.finalize())
    })?;
    let mut all = Sha256::new();
    sums.iter().for_each(|sum| all.update(sum));
    Ok(hex(&all.finalize()))
}
