//! What the machine still has.

use std::fs;

/// Bytes that this process could take beyond what it has: what the system calls available, or what its control group
/// leaves, whichever is less. Absent where neither can be read.
pub(crate) fn available_bytes() -> Option<u64> {
    let system = fs::read_to_string("/proc/meminfo").ok().and_then(|text| kibibytes(&text, "MemAvailable:"));
    let group = || {
        let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
        let limit = number("/sys/fs/cgroup/memory.max")?;
        Some(limit.saturating_sub(number("/sys/fs/cgroup/memory.current")?))
    };
    [system, group()].into_iter().flatten().min()
}

/// The value of a line such as `MemAvailable:  123 kB`, in bytes.
pub(super) fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_are_read_by_name() {
        let text = "VmRSS:\t    9 kB\nRssAnon:\t      12 kB\nRssFile:\t x kB\n";
        assert_eq!(kibibytes(text, "RssAnon:"), Some(12 * 1024));
        assert_eq!(kibibytes(text, "RssFile:"), None);
        assert_eq!(kibibytes(text, "RssShmem:"), None);
    }
}
