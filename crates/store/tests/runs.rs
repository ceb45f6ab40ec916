//! A run from the outside: written, split, resumed, read, combined.

#![allow(clippy::unwrap_used, clippy::panic)] // Tests fail by panicking.

mod common;

use common::{CHANNELS, CLASSES, assert_same, contents, shard, spec, write_run};
use serde_json::json;
use std::fs;
use std::path::Path;
use summit_store::{
    CellCounts, CellFilter, ImageRange, Manifest, NO_LABEL, Run, RunState, RunWriter, StoreError,
    merge_runs,
};
use summit_tables::{ConvId, InfluenceEntry, LayerId};
use tempfile::tempdir;

const LISTED: u32 = 100;

fn rows<T>(rows: Result<summit_store::Rows<T>, StoreError>) -> Vec<T> {
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

/// The rows that columns stand for.
fn by_cell(run: &Run, filter: CellFilter) -> Vec<InfluenceEntry> {
    let mut found = Vec::new();
    let visited = run.influence_by_cell(ConvId(0), filter, |cell| {
        let CellCounts {
            label, prediction, ..
        } = cell;
        let columns = cell.outputs.iter().zip(cell.inputs).zip(cell.counts);
        found.extend(columns.map(|((&output, &input), &count)| InfluenceEntry {
            label,
            prediction,
            output,
            input,
            count,
        }));
        true
    });
    visited.unwrap();
    found
}

#[test]
fn what_was_written_is_read() {
    let folder = tempdir().unwrap();
    write_run(folder.path(), spec(LISTED), &|id| id, 7);
    let run = Run::open(folder.path()).unwrap();
    run.verify().unwrap();
    // The plain computation over all images at once.
    let wanted = shard(ImageRange::new(0, LISTED), &|id| id);
    assert_eq!(rows(run.images()), wanted.images);
    assert_eq!(rows(run.skipped()), wanted.skipped);
    assert!(!wanted.skipped.is_empty() && wanted.images.iter().any(|row| row.label.is_none()));
    for layer in 0..CHANNELS.len() {
        let (id, tables) = (LayerId::from_index(layer), &wanted.layers[layer]);
        assert_eq!(rows(run.top_channels(id)), tables.top_channels);
        assert_eq!(rows(run.examples(id)), tables.examples);
        assert_eq!(run.histograms(id).unwrap(), tables.histograms);
        let all = rows(run.activation_counts(id, CellFilter::default()));
        assert_eq!(all, wanted.activations[layer]);
    }
    for counts in &wanted.influence {
        assert_eq!(
            rows(run.influence(counts.conv, CellFilter::default())),
            counts.entries
        );
    }
    let json: Vec<summit_tables::SkippedImage> =
        serde_json::from_slice(&fs::read(folder.path().join("skipped.json")).unwrap()).unwrap();
    assert_eq!(json, wanted.skipped);
    assert_eq!(run.manifest().spec, spec(LISTED));
}

#[test]
fn a_filter_gives_the_cells_it_names() {
    let folder = tempdir().unwrap();
    write_run(folder.path(), spec(LISTED), &|id| id, 50);
    let run = Run::open(folder.path()).unwrap();
    let all = rows(run.influence(ConvId(0), CellFilter::default()));
    assert_eq!(by_cell(&run, CellFilter::default()), all);
    for label in (0..CLASSES).chain([NO_LABEL]) {
        for prediction in 0..CLASSES {
            let filter = CellFilter {
                label: Some(label),
                prediction: Some(prediction),
            };
            let found = rows(run.influence(ConvId(0), filter));
            let same = |row: &&_| {
                let InfluenceEntry {
                    label: l,
                    prediction: p,
                    ..
                } = **row;
                l == label && p == prediction
            };
            let wanted: Vec<_> = all.iter().filter(same).copied().collect();
            assert!(!wanted.is_empty());
            assert_eq!(found, wanted);
            assert_eq!(by_cell(&run, filter), wanted);
        }
    }
}

#[test]
fn the_split_cannot_be_seen() {
    let [one, seven, odd] = [(); 3].map(|()| tempdir().unwrap());
    write_run(one.path(), spec(LISTED), &|id| id, LISTED);
    write_run(seven.path(), spec(LISTED), &|id| id, LISTED.div_ceil(7));
    assert_same(one.path(), seven.path(), &[]);

    // Backwards, with another size in between, each shard by a new process.
    let mut size = 1;
    loop {
        let mut writer = RunWriter::create_or_resume(odd.path(), spec(LISTED)).unwrap();
        let Some(range) = writer.missing_shards(size).pop() else {
            writer.finalize().unwrap();
            break;
        };
        writer.commit_shard(range, &shard(range, &|id| id)).unwrap();
        size = size % 13 + 4;
    }
    assert_same(one.path(), odd.path(), &[]);
    let names = contents(one.path());
    assert!(
        names
            .keys()
            .all(|name| !name.contains("shards") && !name.contains(".tmp"))
    );
    assert!(names.contains_key("top_channels/layer=stem%2Frelu%3A0/part-0.parquet"));
}

#[test]
fn many_shards_are_merged_in_rounds() {
    let [one, many] = [(); 2].map(|()| tempdir().unwrap());
    write_run(one.path(), spec(LISTED), &|id| id, LISTED);
    write_run(many.path(), spec(LISTED), &|id| id, 1);
    assert_same(one.path(), many.path(), &[]);
}

#[test]
fn an_empty_list_is_a_run() {
    let folder = tempdir().unwrap();
    write_run(folder.path(), spec(0), &|id| id, 10);
    let run = Run::open(folder.path()).unwrap();
    assert!(rows(run.images()).is_empty());
    assert!(rows(run.influence(ConvId(1), CellFilter::default())).is_empty());
}

#[test]
fn a_finished_run_stays_as_it_is() {
    let folder = tempdir().unwrap();
    write_run(folder.path(), spec(LISTED), &|id| id, 30);
    let before = contents(folder.path());
    // What a process stopped between the last manifest and the removal of shards leaves.
    fs::create_dir_all(folder.path().join("shards/0000000000-0000000030")).unwrap();
    let mut writer = RunWriter::create_or_resume(folder.path(), spec(LISTED)).unwrap();
    assert!(writer.is_complete() && writer.missing_shards(5).is_empty());
    writer.finalize().unwrap();
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn two_processes_cannot_write_one_run() {
    let folder = tempdir().unwrap();
    let first = RunWriter::create_or_resume(folder.path(), spec(LISTED)).unwrap();
    let second = RunWriter::create_or_resume(folder.path(), spec(LISTED));
    assert!(matches!(second, Err(StoreError::Locked { .. })));
    drop(first);
    RunWriter::create_or_resume(folder.path(), spec(LISTED)).unwrap();
}

#[test]
fn another_spec_is_refused_and_the_field_named() {
    struct Case {
        field: &'static str,
        change: fn(&mut summit_store::RunSpec),
    }
    let cases = [
        Case {
            field: "model.sha256",
            change: |spec| spec.model.sha256 = "cd".repeat(32),
        },
        Case {
            field: "parameters.mass",
            change: |spec| spec.parameters["mass"] = json!(0.3),
        },
        Case {
            field: "preprocessing.mean[2]",
            change: |spec| {
                spec.preprocessing["mean"][2] = json!(0.5);
            },
        },
        Case {
            field: "images.sha256",
            change: |spec| spec.images.sha256.clear(),
        },
        Case {
            field: "classes[1].name",
            change: |spec| spec.classes[1].name.clear(),
        },
        Case {
            field: "tool_version",
            change: |spec| spec.tool_version.push('1'),
        },
    ];
    let folder = tempdir().unwrap();
    drop(RunWriter::create_or_resume(folder.path(), spec(LISTED)).unwrap());
    let mut wrong = Vec::new();
    for case in &cases {
        let mut other = spec(LISTED);
        (case.change)(&mut other);
        match RunWriter::create_or_resume(folder.path(), other) {
            Err(StoreError::SpecDiffers { field, .. }) if field == case.field => {}
            other => wrong.push((case.field, other.map(|_| ()))),
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_folder_with_something_else_is_left_alone() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("thesis.tex"), "x").unwrap();
    let result = RunWriter::create_or_resume(folder.path(), spec(LISTED));
    assert!(matches!(result, Err(StoreError::NotARun { .. })));
    assert_eq!(contents(folder.path()).len(), 1);
    assert!(matches!(
        Run::open(folder.path()),
        Err(StoreError::NoRun { .. })
    ));
}

#[test]
fn an_unfinished_run_says_how_far_it_is() {
    let folder = tempdir().unwrap();
    let mut writer = RunWriter::create_or_resume(folder.path(), spec(LISTED)).unwrap();
    let range = ImageRange::new(20, 40);
    writer.commit_shard(range, &shard(range, &|id| id)).unwrap();
    let unfinished = |error: StoreError| matches!(error, StoreError::Unfinished { done: 20, .. });
    assert!(unfinished(writer.finalize().map(|_| ()).unwrap_err()));
    assert!(unfinished(Run::open(folder.path()).unwrap_err()));
    let manifest = Manifest::load(folder.path()).unwrap();
    assert_eq!(
        (manifest.state, &manifest.committed[..]),
        (RunState::Partial, &[range][..])
    );
    assert_eq!(manifest.counts.done + manifest.counts.skipped, 20);
}

#[test]
fn wrong_data_is_refused_and_nothing_written() {
    struct Case {
        what: &'static str,
        change: fn(&mut summit_tables::ShardTables),
    }
    let cases = [
        Case {
            what: "not a number",
            change: |data| data.images[0].margin = f32::NAN,
        },
        Case {
            what: "a value is not",
            change: |data| {
                data.layers[0].examples[0].value = f32::INFINITY;
            },
        },
        Case {
            what: "negative",
            change: |data| data.layers[1].top_channels[0].value = -1.0,
        },
        Case {
            what: "exactly once",
            change: |data| drop(data.images.remove(3)),
        },
        Case {
            what: "out of order",
            change: |data| data.influence[0].entries.swap(0, 1),
        },
        Case {
            what: "occurs twice",
            change: |data| {
                let row = data.activations[0][0];
                data.activations[0].insert(0, row);
            },
        },
        Case {
            what: "count is 0",
            change: |data| data.influence[0].entries[0].count = 0,
        },
        Case {
            what: "channel is out",
            change: |data| data.influence[0].entries[0].input = 8,
        },
        Case {
            what: "outside the layer",
            change: |data| data.layers[0].examples[0].row = 4,
        },
        Case {
            what: "image root",
            change: |data| data.images[0].path = "../x".to_owned(),
        },
        Case {
            what: "no convolution",
            change: |data| data.influence[0].conv = ConvId(9),
        },
        Case {
            what: "has 2 layers",
            change: |data| drop(data.layers.pop()),
        },
        Case {
            what: "differ in length",
            change: |data| {
                data.layers[0].histograms.get_mut(&0).unwrap().pop();
            },
        },
    ];
    let folder = tempdir().unwrap();
    let mut writer = RunWriter::create_or_resume(folder.path(), spec(LISTED)).unwrap();
    let before = contents(folder.path());
    let range = ImageRange::new(0, 50);
    let mut wrong = Vec::new();
    for case in &cases {
        let mut data = shard(range, &|id| id);
        (case.change)(&mut data);
        match writer.commit_shard(range, &data) {
            Err(error) if error.to_string().contains(case.what) => {}
            other => wrong.push((case.what, other)),
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(contents(folder.path()), before);
    writer.commit_shard(range, &shard(range, &|id| id)).unwrap();
    let again = writer.commit_shard(ImageRange::new(40, 60), &shard(range, &|id| id));
    assert!(again.unwrap_err().to_string().contains("results already"));
}

/// The images of one part: every third, or the others; ids are positions in the part's own list.
fn write_part(folder: &Path, part: u32, parts: u32, size: u32) {
    let listed = (LISTED - part).div_ceil(parts);
    let mut spec = spec(listed);
    spec.images.sha256 = format!("{part:064x}");
    write_run(folder, spec, &|id| id * parts + part, size);
}

#[test]
fn combined_runs_equal_one_run() {
    let [whole, first, second, third, joined] = [(); 5].map(|()| tempdir().unwrap());
    write_run(whole.path(), spec(LISTED), &|id| id, 9);
    write_part(first.path(), 0, 3, 5);
    write_part(second.path(), 1, 3, 50);
    write_part(third.path(), 2, 3, 11);
    let inputs = [second.path(), first.path(), third.path()];
    let manifest = merge_runs(&inputs, joined.path()).unwrap();
    assert_same(whole.path(), joined.path(), &["manifest.json"]);
    let wanted = Manifest::load(whole.path()).unwrap();
    assert_eq!(manifest.files, wanted.files);
    assert_eq!(manifest.paths_sha256, wanted.paths_sha256);
    assert_eq!(manifest.counts, wanted.counts);
    // Done again, in another order: nothing to do, and no complaint.
    let inputs = [first.path(), third.path(), second.path()];
    assert_eq!(merge_runs(&inputs, joined.path()).unwrap(), manifest);
}

#[test]
fn runs_that_do_not_belong_together_are_refused() {
    let [first, second, other, out] = [(); 4].map(|()| tempdir().unwrap());
    write_part(first.path(), 0, 3, 50);
    write_part(second.path(), 1, 3, 50);
    let mut another = spec(5);
    another.model.sha256 = "cd".repeat(32);
    write_run(other.path(), another, &|id| id, 5);

    let error = merge_runs(&[first.path(), other.path()], out.path()).unwrap_err();
    assert!(matches!(&error, StoreError::RunsDiffer { field, .. } if field == "model.sha256"));
    let error = merge_runs(&[first.path(), second.path(), first.path()], out.path()).unwrap_err();
    let StoreError::ImageTwice { image, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(image, "n00/000000.png");
    let none: [&Path; 0] = [];
    assert!(matches!(
        merge_runs(&none, out.path()),
        Err(StoreError::NothingToCombine { .. })
    ));
    assert!(contents(out.path()).is_empty());
}
