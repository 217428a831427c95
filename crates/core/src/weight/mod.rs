//! Which actions count in the loss, and how much.

mod loss_mask;

pub use loss_mask::{Truncated, loss_mask};
