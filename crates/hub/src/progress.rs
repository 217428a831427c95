//! Who watches a download.

/// Is told how far a download is. Files come one after the other.
pub trait Progress: Send + Sync {
    /// A file begins: its name, its bytes where the server says, and how many of them are here already.
    fn begin(&self, file: &str, bytes: Option<u64>, here: u64);
    /// So many bytes more are here.
    fn advance(&self, bytes: u64);
    /// The file is whole, or was given up.
    fn end(&self);
}

/// Says nothing.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: Option<u64>, _: u64) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
}
