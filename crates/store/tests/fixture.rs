//! Runs of every schema version stay readable: `tests/data/run-v<version>` was written by the first
//! program of that version and is never written again.

#![allow(clippy::unwrap_used, clippy::panic)] // Tests fail by panicking.

mod common;

use common::{shard, spec, write_run};
use std::env;
use std::path::{Path, PathBuf};
use summit_store::{CellFilter, ImageRange, Run};
use summit_tables::{DatasetExample, LayerId};

const LISTED: u32 = 24;

fn fixture(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/run-v{version}"))
}

#[test]
fn a_run_of_version_1_opens() {
    opens(1);
}

#[test]
fn a_run_of_version_2_opens() {
    let run = opens(2);
    let wanted = shard(ImageRange::new(0, LISTED), &|id| id);
    for (layer, tables) in (0..).map(LayerId::from_index).zip(&wanted.layers) {
        let range = run.range_examples(layer).unwrap().map(|row| row.unwrap());
        let range: Vec<_> = range.collect();
        assert_eq!(range, without_masks(&tables.range_examples));
    }
    assert!(run.has_thumbnails());
}

/// Masks came with version 3.
fn without_masks(examples: &[DatasetExample]) -> Vec<DatasetExample> {
    let rows = examples.iter();
    rows.map(|row| DatasetExample { mask: 0, ..*row }).collect()
}

fn opens(version: u32) -> Run {
    let run = Run::open(&fixture(version)).unwrap();
    run.verify().unwrap();
    assert_eq!(run.manifest().schema_version, version);
    assert_eq!(run.manifest().spec, spec(LISTED));
    let wanted = shard(ImageRange::new(0, LISTED), &|id| id);
    let images: Vec<_> = run.images().unwrap().map(|row| row.unwrap()).collect();
    assert_eq!(images, wanted.images);
    let skipped: Vec<_> = run.skipped().unwrap().map(|row| row.unwrap()).collect();
    assert_eq!(skipped, wanted.skipped);
    for (layer, tables) in (0..).map(LayerId::from_index).zip(&wanted.layers) {
        let top: Vec<_> = run
            .top_channels(layer)
            .unwrap()
            .map(|row| row.unwrap())
            .collect();
        assert_eq!(top, tables.top_channels);
        let examples: Vec<_> = run
            .examples(layer)
            .unwrap()
            .map(|row| row.unwrap())
            .collect();
        assert_eq!(examples, without_masks(&tables.examples));
        assert_eq!(run.histograms(layer).unwrap(), tables.histograms);
        let counts = run.activation_counts(layer, CellFilter::default()).unwrap();
        let counts: Vec<_> = counts.map(|row| row.unwrap()).collect();
        assert_eq!(counts, wanted.activations[layer.index()]);
    }
    for counts in &wanted.influence {
        let rows = run.influence(counts.conv, CellFilter::default()).unwrap();
        assert_eq!(
            rows.map(|row| row.unwrap()).collect::<Vec<_>>(),
            counts.entries
        );
    }
    run
}

/// Writes the fixture of a new version into the folder named by `SUMMIT_STORE_FIXTURE`; also gives
/// tools/check_formats.py a run to read.
#[test]
#[ignore = "writes a run: SUMMIT_STORE_FIXTURE=<folder> cargo test -p summit-store --test fixture -- --ignored"]
fn write_fixture() {
    let folder = env::var_os("SUMMIT_STORE_FIXTURE")
        .map(PathBuf::from)
        .unwrap();
    write_run(&folder, spec(LISTED), &|id| id, 10);
}
