//! One set of bytes, however a run is cut into threads and shards, killed or stopped.

use crate::case::Case;
use crate::command::signal;
use crate::folders::{assert_same, mix};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// 3 x 28 images: 7 shards of 12.
fn cases() -> Vec<Case> {
    let mut cases = Case::golden();
    cases.push(Case::small(28));
    cases
}

#[test]
fn threads_and_shards_do_not_show() {
    for case in cases() {
        let reference = case.path("reference");
        let images = 10_000.to_string();
        let outcome = case
            .run(&reference)
            .args(&["--threads", "1", "--shard-images", &images])
            .expect(0, &[]);
        assert!(outcome.stdout.contains("top-1"), "{}", outcome.stdout);
        // The golden cases have 24 images: 8 shards, and 6 with the last ones under way together.
        let splits = if case.name == "small" {
            ["12", "84"]
        } else {
            ["3", "4"]
        };
        for (threads, images) in [
            ("1", splits[0]),
            ("2", splits[0]),
            ("2", splits[1]),
            ("2", "10000"),
        ] {
            let out = case.path(&format!("run-{threads}-{images}"));
            case.run(&out)
                .args(&["--threads", threads, "--shard-images", images])
                .expect(0, &[]);
            assert_same(&reference, &out, &[]);
        }
    }
}

/// What makes a shard the same shard: rewriting it changes one of these.
type Identity = (u64, SystemTime);

/// The folders of all committed shards.
fn committed(run: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(run.join("shards")).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_temporary =
        |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with('.');
    paths.filter(|path| !is_temporary(path)).collect()
}

/// The files of all committed shards.
fn shards(run: &Path) -> BTreeMap<PathBuf, Identity> {
    let files = committed(run)
        .into_iter()
        .flat_map(|shard| fs::read_dir(shard).unwrap());
    let identity = |file: std::io::Result<fs::DirEntry>| {
        let file = file.unwrap();
        let metadata = file.metadata().unwrap();
        (file.path(), (metadata.ino(), metadata.modified().unwrap()))
    };
    files.map(identity).collect()
}

/// No file of `before` was written again; a finished run has no shards left.
fn assert_kept(before: &BTreeMap<PathBuf, Identity>, run: &Path) {
    let after = shards(run);
    if !is_complete(run) {
        for (name, identity) in before {
            assert_eq!(
                after.get(name),
                Some(identity),
                "{} was done again",
                name.display()
            );
        }
    }
}

fn is_complete(run: &Path) -> bool {
    let manifest = fs::read_to_string(run.join("manifest.json")).unwrap_or_default();
    manifest.contains("\"state\": \"complete\"")
}

/// What a blow waits for, before a random delay.
#[derive(Clone, Copy)]
enum Blow {
    /// The start of the process.
    Start,
    /// So many more shards.
    Shards(usize),
    /// The making of the final tables.
    Tables,
}

impl Blow {
    /// Waits for the moment; false when the process ended before.
    fn await_on(self, child: &mut Child, run: &Path, delay: Duration) -> bool {
        let before = committed(run).len();
        let mut since = None;
        while child.try_wait().unwrap().is_none() {
            let is_time = match self {
                Self::Start => true,
                Self::Shards(more) => committed(run).len() >= before + more,
                Self::Tables => run.join(".tmp-final").exists(),
            };
            if is_time && since.get_or_insert_with(Instant::now).elapsed() >= delay {
                return true;
            }
            thread::sleep(Duration::from_millis(1));
        }
        false
    }
}

const BLOWS: [Blow; 10] = [
    Blow::Shards(1),
    Blow::Start,
    Blow::Shards(2),
    Blow::Shards(3),
    Blow::Start,
    Blow::Shards(1),
    Blow::Shards(2),
    Blow::Tables,
    Blow::Tables,
    Blow::Tables,
];

#[test]
fn killed_ten_times_and_continued() {
    for case in cases() {
        let reference = case.path("reference");
        let shard_images = if case.name == "small" { "4" } else { "1" };
        let command = |out: &Path| case.run(out).args(&["--shard-images", shard_images]);
        case.run(&reference).expect(0, &[]);

        let [mut hits, mut runs] = [0; 2];
        // A run that is done before all blows have fallen is followed by another one.
        while hits < BLOWS.len() {
            runs += 1;
            assert!(runs < 10, "{}: it ends before it can be killed", case.name);
            let out = case.path(&format!("killed-{runs}"));
            loop {
                let before = shards(&out);
                let mut child = command(&out).start(None);
                let delay = Duration::from_micros(mix(hits as u64) % 30_000);
                let blow = BLOWS.get(hits);
                if blow.is_some_and(|blow| blow.await_on(&mut child, &out, delay)) {
                    child.kill().unwrap();
                }
                let status = child.wait().unwrap();
                assert_kept(&before, &out);
                if status.success() {
                    break;
                }
                assert_eq!(status.code(), None, "{}: it failed by itself", case.name);
                hits += 1;
            }
            assert_same(&reference, &out, &[]);
        }
        println!("{}: killed {hits} times, runs: {runs}", case.name);
    }
}

#[test]
fn an_interrupt_stops_at_a_shard_boundary() {
    let case = Case::small(120);
    let reference = case.path("reference");
    case.run(&reference).expect(0, &[]);
    let out = case.path("run");
    let log = case.path("log");
    let mut child = case
        .run(&out)
        .args(&["--shard-images", "5", "--threads", "2"])
        .start(Some(&log));
    while committed(&out).is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it ended too soon");
        thread::sleep(Duration::from_millis(1));
    }
    signal(&child, "INT");
    let status = child.wait().unwrap();
    let said = fs::read_to_string(&log).unwrap();
    assert_eq!(status.code(), Some(2), "{said}");
    let out_name = out.display().to_string();
    for words in [
        "of 360 images done",
        "give the same command again",
        &out_name,
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!committed(&out).is_empty() && !is_complete(&out));
    let done: u32 = said
        .split_once("stopped with ")
        .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok())
        .unwrap();
    // Whole shards, and nothing half-way.
    assert!(done > 0 && done < 360 && done.is_multiple_of(5), "{said}");
    for leftover in [out.join("shards"), out.clone()] {
        let names = fs::read_dir(leftover).unwrap();
        let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert!(names.all(|name| !name.starts_with(".tmp")));
    }

    let again = case
        .run(&out)
        .args(&["--shard-images", "5"])
        .expect(0, &[&format!("continuing: {done} of 360 images are done")]);
    let remaining = format!("{} images in ", 360 - done);
    assert!(again.stderr.contains(&remaining), "{}", again.stderr);
    assert_same(&reference, &out, &[]);
}

#[test]
fn a_complete_run_is_left_alone() {
    let case = Case::small(4);
    let out = case.path("run");
    let first = case.run(&out).expect(0, &[]);
    let manifest = fs::metadata(out.join("manifest.json")).unwrap();
    let second = case.run(&out).expect(0, &["nothing to do", "complete"]);
    assert_eq!(first.stdout, second.stdout);
    let after = fs::metadata(out.join("manifest.json")).unwrap();
    assert_eq!(manifest.ino(), after.ino());
}
