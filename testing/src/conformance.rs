//! Counts of conformance cases, each suite with a floor below which it fails.

use std::path::Path;

use crate::workspace_root;

/// Names the folder that each suite writes its count to; `scripts/test.sh` sets it and prints the counts.
const FOLDER: &str = "MAGICLENS_CONFORMANCE";

/// The floors: a suite and its least number of cases on each line.
const FLOORS: &str = "testing/conformance.txt";

/// Records that a test ran this many cases of a suite. A suite belongs to one test.
///
/// # Panics
///
/// If fewer cases ran than `testing/conformance.txt` lists, or if it does not list the suite.
#[track_caller]
pub fn conformance(suite: &str, cases: usize) {
    // First, so that the printed counts include those of a suite that fails.
    if let Some(folder) = std::env::var_os(FOLDER) {
        write_count(Path::new(&folder), suite, cases);
    }
    let floors = std::fs::read_to_string(workspace_root().join(FLOORS))
        .unwrap_or_else(|error| panic!("cannot read {FLOORS}: {error}"));
    check(suite, cases, &floors);
}

#[track_caller]
fn check(suite: &str, cases: usize, floors: &str) {
    let floor = floor_of(suite, floors).unwrap_or_else(|| {
        panic!("{FLOORS} has no number for the suite {suite}: {cases} cases ran")
    });
    assert!(cases >= floor, "{suite}: {cases} cases ran, fewer than the {floor} of {FLOORS}");
}

/// Writes the count to a file named like the suite, whole or not at all.
#[track_caller]
fn write_count(folder: &Path, suite: &str, cases: usize) {
    let path = folder.join(suite);
    let unfinished = folder.join(format!(".{suite}.{}", std::process::id()));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&unfinished, format!("{cases}\n")))
        .and_then(|()| std::fs::rename(&unfinished, &path))
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}

/// Finds a suite's number among lines of a name and a number; `#` begins a comment.
fn floor_of(suite: &str, floors: &str) -> Option<usize> {
    let lines = floors.lines().filter(|line| !line.starts_with('#'));
    let mut entries = lines.filter_map(|line| line.split_once(' '));
    entries.find(|(name, _)| *name == suite)?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_is_found_by_the_whole_name() {
        let floors = "# robots 1\nrobots-lines 31\nrobots    55\nbroken many\n";
        assert_eq!(floor_of("robots", floors), Some(55));
        assert_eq!(floor_of("robots-lines", floors), Some(31));
        assert_eq!(floor_of("broken", floors), None);
        assert_eq!(floor_of("warc", floors), None);
    }

    #[test]
    fn a_count_replaces_the_one_before_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let counts = folder.path().join("counts");
        for cases in [7, 12] {
            write_count(&counts, "robots", cases);
            assert_eq!(
                std::fs::read_to_string(counts.join("robots")).unwrap(),
                format!("{cases}\n")
            );
        }
        assert_eq!(std::fs::read_dir(&counts).unwrap().count(), 1);
    }

    #[test]
    #[should_panic(expected = "1 cases ran, fewer than the 3 of testing/conformance.txt")]
    fn fewer_cases_than_the_floor_are_a_failure() {
        check("robots", 1, "robots 3\n");
    }

    #[test]
    #[should_panic(expected = "no number for the suite robots")]
    fn a_suite_without_a_floor_is_a_failure() {
        check("robots", 1, "srcset 3\n");
    }

    #[test]
    fn a_suite_at_or_above_its_floor_passes() {
        check("robots", 3, "robots 3\n");
        check("robots", 4, "robots 3\n");
    }
}
