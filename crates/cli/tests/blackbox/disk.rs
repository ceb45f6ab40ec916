//! A disk that runs full: a sentence, finished shards kept, the same bytes in the end.

use crate::case::Case;
use crate::folders::{SmallDisk, assert_same};
use std::fs;
use std::path::Path;

fn committed(run: &Path) -> usize {
    let shards = fs::read_dir(run.join("shards")).into_iter().flatten();
    let names = shards.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> = names.collect();
    assert!(names.iter().all(|name| !name.starts_with('.')), "{names:?}");
    names.len()
}

#[test]
fn a_full_disk_is_named_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount(100) else {
        println!("skipped: no small file system can be mounted here");
        return;
    };
    let case = Case::small(28);
    let reference = case.path("reference");
    case.run(&reference).expect(0, &[]);
    let out = disk.path().join("run");
    let command = || case.run(&out).args(&["--shard-images", "7"]);
    let [mut full, mut before] = [0, 0];
    for kibibytes in (100..).step_by(120) {
        disk.grow(kibibytes);
        let outcome = command().finish();
        if outcome.code == Some(0) {
            break;
        }
        assert_eq!(outcome.code, Some(2));
        let last = outcome.stderr.lines().last().unwrap_or_default();
        assert!(
            last.starts_with("summit: error: the disk is full: "),
            "{}",
            outcome.stderr
        );
        assert!(last.contains(&disk.path().display().to_string()), "{last}");
        full += 1;
        let after = committed(&out);
        assert!(after >= before, "{after} shards after {before}");
        before = after;
    }
    assert!(
        full >= 2 && before >= 2,
        "{full} times full, {before} shards"
    );
    assert_same(&reference, &out, &[]);
}

/// Files must stay below a limit of the process: needs no root.
#[test]
fn a_limit_on_files_is_named_and_loses_nothing() {
    let case = Case::small(28);
    let reference = case.path("reference");
    case.run(&reference).expect(0, &[]);
    let out = case.path("run");
    let command = || case.run(&out).args(&["--shard-images", "7"]);
    // In blocks of 512 bytes. Without the signal the system call fails instead.
    let mut failures = 0;
    for blocks in [1, 4, 8, 12] {
        let outcome = command()
            .after(&format!("trap '' XFSZ; ulimit -f {blocks}"))
            .finish();
        if outcome.code == Some(2) {
            failures += 1;
            let last = outcome.stderr.lines().last().unwrap_or_default();
            assert!(last.starts_with("summit: error: "), "{}", outcome.stderr);
            assert!(last.contains("File too large"), "{last}");
            assert!(last.contains(&out.display().to_string()), "{last}");
            if out.join("shards").exists() {
                committed(&out);
            }
        }
    }
    assert!(failures >= 2, "{failures}");
    command().expect(0, &[]);
    assert_same(&reference, &out, &[]);
}
