//! What a graph holds for its backward, so that it can be let go of.
//!
//! Burn frees an abandoned graph bit by bit in later backward passes. Until then its operations would hold
//! activations, and weights that then could not be written in place. So they hold them through this list, which
//! empties them when their segment is dropped.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// An operation of a graph: there until its backward takes it, or the segment is dropped.
pub(super) struct Slot<O>(Arc<Mutex<Option<O>>>);

impl<O> Clone for Slot<O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<O> fmt::Debug for Slot<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot")
    }
}

impl<O> Slot<O> {
    pub(super) fn take(&self) -> Option<O> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

trait Release: Send + Sync {
    fn release(&self);
}

impl<O: Send> Release for Slot<O> {
    fn release(&self) {
        drop(self.take());
    }
}

/// All operations of one graph.
#[derive(Default)]
pub(crate) struct Held(Mutex<Vec<Box<dyn Release>>>);

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}

impl Held {
    pub(super) fn hold<O: Send + 'static>(&self, operation: O) -> Slot<O> {
        let slot = Slot(Arc::new(Mutex::new(Some(operation))));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(slot.clone()));
        slot
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for slot in self.0.get_mut().unwrap_or_else(PoisonError::into_inner) {
            slot.release();
        }
    }
}
