//! A writer that is killed, or runs out of space, at any moment.

#![allow(clippy::unwrap_used, clippy::panic)] // Tests fail by panicking.

mod common;

use common::folders::SmallDisk;
use common::{assert_same, mix, shard, spec, write_run};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;
use summit_store::{Run, RunWriter, StoreError};
use tempfile::tempdir;

const LISTED: u32 = 160;
const PER_SHARD: u32 = 8;
const FOLDER: &str = "SUMMIT_STORE_TEST_FOLDER";

/// The process that gets killed: this test, run by itself with a folder in its environment.
#[test]
#[ignore = "started by killed_writers_continue"]
fn child_writer() {
    let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let mut writer = RunWriter::create_or_resume(&folder, spec(LISTED)).unwrap();
    for range in writer.missing_shards(PER_SHARD) {
        writer.commit_shard(range, &shard(range, &|id| id)).unwrap();
    }
    writer.finalize().unwrap();
}

fn start(folder: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["child_writer", "--exact", "--ignored"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn killed_writers_continue() {
    let [whole, reference, killed] = [(); 3].map(|()| tempdir().unwrap());
    write_run(whole.path(), spec(LISTED), &|id| id, LISTED);
    // How long an undisturbed writer takes says when to strike.
    let begun = Instant::now();
    assert!(start(reference.path()).wait().unwrap().success());
    let usual = begun.elapsed();
    assert_same(whole.path(), reference.path(), &[]);

    let mut unfinished = 0;
    for strike in 0..10_u64 {
        let mut child = start(killed.path());
        let share = mix(strike) % 1000;
        thread::sleep(usual.mul_f64(share as f64 / 2500.0));
        child.kill().unwrap();
        unfinished += u32::from(!child.wait().unwrap().success());
    }
    // Late strikes: while the final tables are made and put in place. A writer that was done before
    // it was struck shows that the first one was slow, so the next is struck earlier.
    let mut usual = usual;
    for strike in 0..40_u64 {
        if strike >= 10 && unfinished >= 5 {
            break;
        }
        let target = tempdir().unwrap();
        let mut child = start(target.path());
        thread::sleep(usual.mul_f64(0.7 + (strike % 10) as f64 * 0.03));
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            usual = usual.mul_f64(0.9);
        } else {
            unfinished += 1;
        }
        assert!(start(target.path()).wait().unwrap().success());
        assert_same(whole.path(), target.path(), &[]);
    }
    println!("{unfinished} writers were killed before they were done");
    assert!(unfinished >= 5, "too few writers were hit: {unfinished}");
    assert!(start(killed.path()).wait().unwrap().success());
    assert_same(whole.path(), killed.path(), &[]);
    Run::open(killed.path()).unwrap().verify().unwrap();
}

#[test]
fn what_a_killed_process_leaves_is_removed() {
    let [whole, folder] = [(); 2].map(|()| tempdir().unwrap());
    write_run(whole.path(), spec(LISTED), &|id| id, 50);
    let mut writer = RunWriter::create_or_resume(folder.path(), spec(LISTED)).unwrap();
    let range = writer.missing_shards(50)[1];
    writer.commit_shard(range, &shard(range, &|id| id)).unwrap();
    drop(writer);
    // A shard, a manifest and the final tables, each half-way; tables already in place.
    for name in [
        "shards/.tmp-0000000000-0000000050",
        ".tmp-final/examples",
        ".tmp-scratch",
    ] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join(".tmp-manifest.json"), "{").unwrap();
    fs::write(folder.path().join("images.parquet"), "half").unwrap();
    fs::create_dir_all(folder.path().join("influence/conv=gone")).unwrap();
    write_run(folder.path(), spec(LISTED), &|id| id, 50);
    assert_same(whole.path(), folder.path(), &[]);
}

fn try_all(folder: &Path) -> Result<(), StoreError> {
    let mut writer = RunWriter::create_or_resume(folder, spec(LISTED))?;
    for range in writer.missing_shards(PER_SHARD) {
        writer.commit_shard(range, &shard(range, &|id| id))?;
    }
    writer.finalize().map(drop)
}

#[test]
fn a_full_disk_loses_nothing() {
    let Some(disk) = SmallDisk::mount(120) else {
        println!("skipped: no small file system can be mounted here");
        return;
    };
    let whole = tempdir().unwrap();
    write_run(whole.path(), spec(LISTED), &|id| id, LISTED);
    let folder = disk.path().join("run");
    let mut full = 0;
    let mut done_before = 0;
    for kibibytes in (120..).step_by(24) {
        disk.grow(kibibytes);
        match try_all(&folder) {
            Ok(()) => break,
            Err(StoreError::DiskFull { path, .. }) => {
                assert!(path.starts_with(disk.path()), "{}", path.display());
                full += 1;
            }
            Err(other) => panic!("{other}"),
        }
        // Shards stay, half-written ones are gone, and no attempt falls behind the last.
        let shards = fs::read_dir(folder.join("shards")).map_or(0, |shards| {
            let names = shards.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let names: Vec<_> = names.collect();
            assert!(
                names.iter().all(|name| !name.starts_with(".tmp")),
                "{names:?}"
            );
            names.len()
        });
        assert!(shards >= done_before, "{shards} after {done_before}");
        done_before = shards;
    }
    assert!(
        full >= 3 && done_before > 0,
        "{full} times full, {done_before} shards"
    );
    assert_same(whole.path(), &folder, &[]);
}
