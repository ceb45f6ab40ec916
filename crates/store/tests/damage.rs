//! What is on disk is not what was written: cut off, changed, newer, made for harm.

#![allow(clippy::unwrap_used, clippy::panic)] // Tests fail by panicking.

mod common;

use common::{CHANNELS, mix, shard, spec, write_run};
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use summit_store::{CellFilter, ImageRange, Run, RunWriter, StoreError};
use summit_tables::{ConvId, LayerId};
use tempfile::tempdir;

const LISTED: u32 = 60;

/// Reads every row of every table.
fn read_all(run: &Run) -> Result<(), StoreError> {
    run.images()?.try_for_each(|row| row.map(drop))?;
    run.skipped()?.try_for_each(|row| row.map(drop))?;
    for layer in (0..CHANNELS.len()).map(LayerId::from_index) {
        run.top_channels(layer)?.try_for_each(|row| row.map(drop))?;
        run.examples(layer)?.try_for_each(|row| row.map(drop))?;
        run.activation_counts(layer, CellFilter::default())?
            .try_for_each(|row| row.map(drop))?;
        run.histograms(layer)?;
    }
    for conv in [ConvId(0), ConvId(1)] {
        let all = CellFilter::default();
        let rows = run
            .influence(conv, all)
            .and_then(|mut rows| rows.try_for_each(|row| row.map(drop)));
        let columns = run.influence_by_cell(conv, all, |_| true);
        let message =
            |result: &Result<(), StoreError>| result.as_ref().err().map(ToString::to_string);
        assert_eq!(message(&rows), message(&columns));
        rows?;
    }
    Ok(())
}

/// Replaces a file and makes the manifest agree about its size.
fn replace(run: &Path, name: &str, bytes: &[u8]) {
    fs::write(run.join(name), bytes).unwrap();
    let manifest = run.join("manifest.json");
    let mut value: serde_json::Value =
        serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    for file in value["files"].as_array_mut().unwrap() {
        if file["path"] == name {
            file["bytes"] = bytes.len().into();
        }
    }
    fs::write(&manifest, value.to_string()).unwrap();
}

#[test]
fn a_cut_off_table_is_named() {
    let folder = tempdir().unwrap();
    write_run(folder.path(), spec(LISTED), &|id| id, 20);
    let name = "influence/conv=fc/part-0.parquet";
    let bytes = fs::read(folder.path().join(name)).unwrap();
    fs::write(folder.path().join(name), &bytes[..bytes.len() / 2]).unwrap();
    let message = Run::open(folder.path()).unwrap_err().to_string();
    assert!(
        message.contains(name) && message.contains("bytes"),
        "{message}"
    );
    for kept in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        replace(folder.path(), name, &bytes[..kept]);
        let run = Run::open(folder.path()).unwrap();
        let error = read_all(&run).unwrap_err();
        assert!(matches!(error, StoreError::TableDamaged { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_changed_byte_is_found_by_verify() {
    let folder = tempdir().unwrap();
    write_run(folder.path(), spec(LISTED), &|id| id, 20);
    let name = folder.path().join("images.parquet");
    let mut bytes = fs::read(&name).unwrap();
    bytes[40] ^= 1;
    fs::write(&name, bytes).unwrap();
    let error = Run::open(folder.path()).unwrap().verify().unwrap_err();
    assert!(error.to_string().contains("images.parquet"), "{error}");
}

#[test]
fn a_table_of_another_kind_is_refused() {
    let folder = tempdir().unwrap();
    write_run(folder.path(), spec(LISTED), &|id| id, 20);
    let other = fs::read(folder.path().join("skipped.parquet")).unwrap();
    replace(folder.path(), "images.parquet", &other);
    let error = read_all(&Run::open(folder.path()).unwrap()).unwrap_err();
    assert!(
        error.to_string().contains("3 columns instead of 11"),
        "{error}"
    );
}

#[test]
fn changed_manifests_are_errors() {
    struct Case {
        from: &'static str,
        to: &'static str,
        message: &'static str,
    }
    let case = |from, to, message| Case { from, to, message };
    let cases = [
        case(
            "\"schema_version\": 3",
            "\"schema_version\": 4",
            "update the program",
        ),
        case(
            "\"schema_version\": 3",
            "\"schema_version\": \"x\"",
            "no schema_version",
        ),
        case(
            "\"schema_version\": 3",
            "\"schema\": 1",
            "no schema_version",
        ),
        case(
            "\"state\": \"complete\"",
            "\"state\": \"partial\"",
            "not finished",
        ),
        case(
            "\"state\": \"complete\"",
            "\"state\": \"done\"",
            "unknown variant",
        ),
        case(
            "\"listed\": 60",
            "\"listed\": 61",
            "differs from images.listed",
        ),
        case(
            "\"path\": \"images.parquet\"",
            "\"path\": \"../x\"",
            "disagree about",
        ),
        case("\"name\": \"block\"", "\"name\": \"\"", "has no name"),
        case(
            "\"name\": \"block\"",
            "\"name\": \"stem/relu:0\"",
            "two of the layers",
        ),
        case("\"end\": 60", "\"end\": 70", "leave the list"),
        // What it lists beyond version 1 is not a run's of version 1.
        case(
            "\"schema_version\": 3",
            "\"schema_version\": 1",
            "disagree about",
        ),
        case("{", "[", "damaged"),
    ];
    let folder = tempdir().unwrap();
    write_run(folder.path(), spec(LISTED), &|id| id, 20);
    let path = folder.path().join("manifest.json");
    let good = fs::read_to_string(&path).unwrap();
    let mut wrong = Vec::new();
    for Case { from, to, message } in cases {
        assert!(good.contains(from), "{from}");
        fs::write(&path, good.replacen(from, to, 1)).unwrap();
        match Run::open(folder.path()) {
            Err(error) if error.to_string().contains(message) => {}
            other => wrong.push((to, other.map(drop).map_err(|error| error.to_string()))),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    assert!(matches!(
        Run::open(folder.path()),
        Err(StoreError::ManifestDamaged { .. })
    ));
}

#[test]
fn a_damaged_shard_is_named_and_can_be_deleted() {
    let folder = tempdir().unwrap();
    let [first, second] = [ImageRange::new(0, 30), ImageRange::new(30, 60)];
    let mut writer = RunWriter::create_or_resume(folder.path(), spec(LISTED)).unwrap();
    for range in [first, second] {
        writer.commit_shard(range, &shard(range, &|id| id)).unwrap();
    }
    drop(writer);
    let damaged = folder.path().join("shards/0000000030-0000000060");
    struct Case {
        what: &'static str,
        file: &'static str,
        change: fn(&mut Vec<u8>),
    }
    let cases = [
        Case {
            what: "content",
            file: "images.parquet",
            change: |bytes| bytes[9] ^= 1,
        },
        Case {
            what: "bytes instead",
            file: "influence-0.parquet",
            change: |bytes| {
                bytes.truncate(99);
            },
        },
        Case {
            what: "done.json",
            file: "done.json",
            change: |bytes| bytes.truncate(50),
        },
        Case {
            what: "other inputs",
            file: "done.json",
            change: |bytes| {
                let text = String::from_utf8(bytes.clone()).unwrap();
                *bytes = text
                    .replacen("\"made_from\": \"", "\"made_from\": \"0", 1)
                    .into_bytes();
            },
        },
    ];
    let mut wrong = Vec::new();
    for case in &cases {
        let path = damaged.join(case.file);
        let good = fs::read(&path).unwrap();
        let mut bytes = good.clone();
        (case.change)(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let message = RunWriter::create_or_resume(folder.path(), spec(LISTED));
        let message = message.map(drop).unwrap_err().to_string();
        if !(message.contains(case.what) && message.contains("0000000030-0000000060")) {
            wrong.push((case.what, message));
        }
        fs::write(&path, good).unwrap();
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    fs::remove_dir_all(&damaged).unwrap();
    let writer = RunWriter::create_or_resume(folder.path(), spec(LISTED)).unwrap();
    assert_eq!(writer.missing_shards(100), [second]);
}

#[test]
fn random_damage_never_panics() {
    let folder = tempdir().unwrap();
    write_run(folder.path(), spec(LISTED), &|id| id, 20);
    let names = [
        "images.parquet",
        "skipped.parquet",
        "top_channels/layer=block/part-0.parquet",
        "influence/conv=fc/part-0.parquet",
    ];
    let run = Run::open(folder.path()).unwrap();
    let mut refused = 0;
    for (seed, name) in (0_u64..).zip(names.iter().cycle().take(400)) {
        let path = folder.path().join(name);
        let good = fs::read(&path).unwrap();
        let mut bytes = good.clone();
        for change in 0..=seed % 4 {
            // Half of the changes hit the footer, where the structure is.
            let random = mix(seed * 8 + change);
            let length = bytes.len();
            let window = if random.is_multiple_of(2) {
                length
            } else {
                length.min(400)
            };
            let place = length - 1 - usize::try_from(random >> 8).unwrap() % window;
            bytes[place] = bytes[place].wrapping_add(1 + (random >> 40) as u8 % 255);
        }
        fs::write(&path, &bytes).unwrap();
        // Either rows within bounds or an error, nothing else.
        refused += u32::from(read_all(&run).is_err());
        fs::write(&path, &good).unwrap();
    }
    assert!(refused > 200, "{refused} of 400");
    read_all(&run).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn any_bytes_are_no_table(mut bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        bytes.extend(b"\x10\0\0\0PAR1");
        let folder = tempdir().unwrap();
        write_run(folder.path(), spec(3), &|id| id, 3);
        fs::write(folder.path().join("skipped.parquet"), &bytes).unwrap();
        replace(folder.path(), "skipped.parquet", &bytes);
        prop_assert!(read_all(&Run::open(folder.path()).unwrap()).is_err());
    }
}
