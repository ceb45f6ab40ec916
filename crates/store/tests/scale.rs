//! Memory while final tables are made: it must follow the largest shard, not the run.

#![allow(clippy::unwrap_used, clippy::panic)] // Tests fail by panicking.

mod common;

use common::spec;
use std::fs;
use std::time::Instant;
use summit_store::{CellFilter, ImageRange, Run, RunWriter};
use summit_tables::{
    ClassId, ConvId, ConvMaxCounts, ImageId, ImageRecord, InfluenceEntry, LayerTables, ShardTables,
};
use tempfile::tempdir;

const SHARDS: u32 = 100;
const OUTPUTS: u32 = 256;
const INPUTS: u32 = 256;

/// Peak resident memory of this process so far, mebibytes.
fn peak_mebibytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

fn count_rows(mut rows: summit_store::Rows<InfluenceEntry>) -> usize {
    rows.try_fold(0, |count, row| row.map(|_| count + 1))
        .unwrap()
}

fn record(image: u32) -> ImageRecord {
    ImageRecord {
        image: ImageId(image),
        path: format!("{image:06}.png"),
        label: None,
        top_classes: vec![ClassId(0)],
        top_probabilities: vec![1.0],
        label_probability: 0.0,
        margin: 0.0,
        runner_up: ClassId(1),
        width: 8,
        height: 8,
    }
}

/// 20,000,000 counts of one convolution in 100 shards, most of them of cells of their own.
#[test]
#[ignore = "takes a minute: cargo test --release -p summit-store --test scale -- --ignored --nocapture"]
fn merging_needs_little_memory() {
    let mut spec = spec(SHARDS);
    spec.model.info.classes = 1000;
    let conv = &mut spec.model.info.convs[0];
    (conv.outputs, conv.inputs) = (OUTPUTS, INPUTS);
    let folder = tempdir().unwrap();
    let mut writer = RunWriter::create_or_resume(folder.path(), spec).unwrap();
    let begun = Instant::now();
    for shard in 0..SHARDS {
        let mut entries = Vec::new();
        for label in shard * 10..shard * 10 + 10 {
            for (output, step) in (0..OUTPUTS).flat_map(|j| (0..78).map(move |step| (j, step))) {
                let input = step * 3 + (output + label) % 3;
                let prediction = label / 3;
                entries.push(InfluenceEntry {
                    label,
                    prediction,
                    output,
                    input,
                    count: 1,
                });
            }
        }
        let data = ShardTables {
            images: vec![record(shard)],
            layers: vec![LayerTables::default(); 2],
            activations: vec![Vec::new(); 2],
            influence: vec![ConvMaxCounts {
                conv: ConvId(0),
                entries,
            }],
            ..ShardTables::default()
        };
        writer
            .commit_shard(ImageRange::new(shard, shard + 1), &data)
            .unwrap();
    }
    let written = (begun.elapsed(), peak_mebibytes());
    let begun = Instant::now();
    let bytes: u64 = writer
        .finalize()
        .unwrap()
        .files
        .iter()
        .map(|file| file.bytes)
        .sum();
    let merged = (begun.elapsed(), peak_mebibytes());
    let run = Run::open(folder.path()).unwrap();
    let begun = Instant::now();
    let rows = run.influence(ConvId(0), CellFilter::default()).unwrap();
    let count = count_rows(rows);
    let read = begun.elapsed();
    let begun = Instant::now();
    let filter = CellFilter {
        label: Some(500),
        prediction: None,
    };
    let one = count_rows(run.influence(ConvId(0), filter).unwrap());
    println!("{count} rows, {bytes} bytes; written {written:?}, merged {merged:?}");
    println!(
        "read {read:?}; {one} rows of one label {:?}; peak {:?}",
        begun.elapsed(),
        peak_mebibytes()
    );
    assert_eq!((count, one), (SHARDS as usize * 10 * 78 * 256, 78 * 256));
    // The table has 400 MB in memory; 64 open sources and a shard need far less.
    assert!(
        peak_mebibytes().is_none_or(|peak| peak < 150),
        "{:?} MiB",
        peak_mebibytes()
    );
}
