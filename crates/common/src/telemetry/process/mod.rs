//! CPU time and memory of this process, where the system reports them.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod unknown;

#[cfg(target_os = "linux")]
pub use linux::{ThreadCpu, resources};
#[cfg(not(target_os = "linux"))]
pub use unknown::{ThreadCpu, resources};

/// CPU time of a process so far, and its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Resources {
    /// User and system CPU time, in seconds.
    pub cpu_s: f64,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
    /// The most resident memory so far, in bytes.
    pub peak_bytes: u64,
}
