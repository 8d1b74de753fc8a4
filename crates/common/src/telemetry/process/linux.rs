//! From `/proc/self`, see proc_pid_stat(5) and proc_pid_status(5).

use std::fs::{read_link, read_to_string};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Resources;

/// Ticks a second in which CPU time is counted: USER_HZ, 100 on x86-64 and arm64.
const TICKS: f64 = 100.0;

/// Of this process; none where `/proc` is not mounted.
pub fn resources() -> Option<Resources> {
    let status = read_to_string("/proc/self/status").ok()?;
    Some(Resources {
        cpu_s: cpu_ticks(&read_to_string("/proc/self/stat").ok()?)? / TICKS,
        resident_bytes: bytes(&status, "VmRSS:")?,
        peak_bytes: bytes(&status, "VmHWM:")?,
    })
}

/// CPU time of one thread, for other threads to read, see proc_thread-self(5).
#[derive(Debug)]
pub struct ThreadCpu {
    stat: PathBuf,
    before: f64,
}

impl ThreadCpu {
    /// Of this thread from now on; none where `/proc` is not mounted.
    pub fn begin() -> Option<Self> {
        let thread = Path::new("/proc").join(read_link("/proc/thread-self").ok()?);
        let mut cpu = Self { stat: thread.join("stat"), before: 0.0 };
        cpu.before = cpu.ticks()?;
        Some(cpu)
    }

    /// Time on a core since it was begun; none once the thread has ended.
    pub fn used(&self) -> Option<Duration> {
        let ticks = self.ticks()? - self.before;
        Some(Duration::from_secs_f64(ticks.max(0.0) / TICKS))
    }

    fn ticks(&self) -> Option<f64> {
        cpu_ticks(&read_to_string(&self.stat).ok()?)
    }
}

/// User and system time: the 14th and 15th field. The name before them may have spaces in it.
fn cpu_ticks(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut ticks = fields.split(' ').skip(11).map(str::parse::<f64>);
    Some(ticks.next()?.ok()? + ticks.next()?.ok()?)
}

fn bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let stat = "7 (a) name) S 1 2 3 4 5 6 7 8 9 10 110 40 1 2 20";
        assert_eq!(cpu_ticks(stat), Some(150.0));
        assert_eq!(cpu_ticks("7 (x) S 1"), None);
        assert_eq!(bytes("VmHWM:\t  12 kB\nVmRSS:\t    3 kB\n", "VmRSS:"), Some(3072));
    }

    #[test]
    fn a_process_knows_itself() {
        let before = resources().unwrap();
        assert!(before.resident_bytes > 1 << 20 && before.peak_bytes >= before.resident_bytes);
        let mut sum = 0_u64;
        while resources().unwrap().cpu_s < before.cpu_s + 0.03 {
            sum = std::hint::black_box((0..100_000).fold(sum, u64::wrapping_add));
        }
    }
}
