//! Reads `/proc/self/maps`, see proc_pid_maps(5).

use std::path::{Path, PathBuf};

/// The folder of the first mapped file called `name`.
pub(crate) fn folder_of(maps: &str, name: &str) -> Option<PathBuf> {
    // Address, permissions, offset, device and inode hold no slash; the path is all that follows.
    let paths = maps.lines().filter_map(|line| Some(Path::new(&line[line.find('/')?..])));
    let mut named = paths.filter(|path| path.file_name().is_some_and(|file| file == name));
    named.next()?.parent().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d0c0000000-55d0c0001000 r--p 00000000 08:01 131 /opt/bin/train
7f0000000000-7f0000001000 rw-p 00000000 00:00 0
7f0000002000-7f0000003000 r-xp 00001000 08:01 132                        /opt/my torch/lib/libtorch_cpu.so
7f0000004000-7f0000005000 r-xp 00001000 08:01 133                        /opt/other/libtorch_cpu.so.bak
7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                          [stack]
";

    #[test]
    fn finds_a_library_by_its_whole_name() {
        assert_eq!(folder_of(MAPS, "libtorch_cpu.so"), Some("/opt/my torch/lib".into()));
        assert_eq!(folder_of(MAPS, "torch_cpu.so"), None);
        assert_eq!(folder_of(MAPS, "libtorch_cuda.so"), None);
        assert_eq!(folder_of("", "libtorch_cpu.so"), None);
    }
}
