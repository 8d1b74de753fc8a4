//! From `/proc/self`, see proc_pid_stat(5) and proc_pid_status(5).

use procfs::process::Process;

use super::Resources;

/// Of this process; none where `/proc` is not mounted.
pub fn resources() -> Option<Resources> {
    let process = Process::myself().ok()?;
    let (stat, status) = (process.stat().ok()?, process.status().ok()?);
    let ticks = (stat.utime + stat.stime) as f64;
    Some(Resources {
        cpu_s: ticks / procfs::ticks_per_second() as f64,
        resident_bytes: stat.rss * procfs::page_size(),
        peak_bytes: status.vmhwm.unwrap_or(0) * 1024,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_itself() {
        let before = resources().unwrap();
        assert!(before.resident_bytes > 1 << 20 && before.peak_bytes >= before.resident_bytes / 2);
        let mut sum = 0_u64;
        while resources().unwrap().cpu_s < before.cpu_s + 0.03 {
            sum = std::hint::black_box((0..100_000).fold(sum, u64::wrapping_add));
        }
    }
}
