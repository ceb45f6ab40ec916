//! One set of bytes, however a run is cut into threads and shards, killed or stopped.

use crate::case::Case;
use crate::command::signal;
use crate::folders::{assert_same, mix};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
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

/// The files of all committed shards.
fn shards(run: &Path) -> BTreeMap<String, Identity> {
    let mut found = BTreeMap::new();
    for shard in fs::read_dir(run.join("shards")).into_iter().flatten() {
        let shard = shard.unwrap().path();
        let name = shard.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with('.') {
            continue;
        }
        for file in fs::read_dir(&shard).unwrap() {
            let file = file.unwrap();
            let metadata = file.metadata().unwrap();
            let identity = (metadata.ino(), metadata.modified().unwrap());
            let file = file.file_name().into_string().unwrap();
            found.insert(format!("{name}/{file}"), identity);
        }
    }
    found
}

/// No file of `before` was written again; a finished run has no shards left.
fn assert_kept(before: &BTreeMap<String, Identity>, run: &Path) {
    let after = shards(run);
    if !is_complete(run) {
        for (name, identity) in before {
            assert_eq!(after.get(name), Some(identity), "{name} was done again");
        }
    }
}

fn is_complete(run: &Path) -> bool {
    let manifest = fs::read_to_string(run.join("manifest.json")).unwrap_or_default();
    manifest.contains("\"state\": \"complete\"")
}

/// Waits, but not longer than the process lives: true when it still lived at the end.
fn outlives(child: &mut Child, time: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < time {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    child.try_wait().unwrap().is_none()
}

#[test]
fn killed_ten_times_and_continued() {
    for case in cases() {
        let reference = case.path("reference");
        let shard_images = if case.name == "small" { "12" } else { "3" };
        let command = |out: &Path| case.run(out).args(&["--shard-images", shard_images]);
        let begun = Instant::now();
        command(&reference).expect(0, &[]);
        let usual = begun.elapsed();

        let mut hits = 0;
        let mut hits_with_shards = 0;
        let mut folders = 0;
        let mut seed = 0;
        // A run that is done before all blows have fallen is followed by another one.
        while hits < 10 {
            folders += 1;
            assert!(folders < 40, "{}: only {hits} hits", case.name);
            let out = case.path(&format!("killed-{folders}"));
            loop {
                let before = shards(&out);
                let mut child = command(&out).start(None);
                seed += 1;
                let share = mix(seed) % 1000;
                let alive = hits < 10 && outlives(&mut child, usual.mul_f64(share as f64 / 1100.0));
                if alive {
                    child.kill().unwrap();
                }
                let status = child.wait().unwrap();
                assert_kept(&before, &out);
                if status.success() {
                    break;
                }
                assert_eq!(status.code(), None, "{}: it failed by itself", case.name);
                hits += 1;
                hits_with_shards += u32::from(!shards(&out).is_empty());
            }
            assert_same(&reference, &out, &[]);
        }
        println!(
            "{}: {hits} hits in {folders} runs, {hits_with_shards} between the first shard and the end",
            case.name
        );
        assert!(hits_with_shards >= 2, "{}: hit too early", case.name);
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
    while shards(&out).is_empty() {
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
    let kept = shards(&out);
    assert!(!kept.is_empty() && !is_complete(&out));
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
