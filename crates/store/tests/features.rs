//! Pictures of channels: there in full or not at all, never of something else.

#![allow(clippy::unwrap_used, clippy::panic)] // Tests fail by panicking.

mod common;

use common::{folders, spec, write_run};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use summit_store::{FeaturePicture, FeatureRecord, FeatureWriter, Features, Run, StoreError};
use summit_tables::{ChannelId, LayerInfo};

fn record(activation: f32) -> FeatureRecord {
    FeatureRecord {
        steps: 7,
        side: 32,
        objective: 1.5,
        activation,
        natural_activation: Some(2.0),
        naturalness: None,
    }
}

fn run(folder: &Path) -> (Run, LayerInfo) {
    write_run(folder, spec(12), &|id| id, 12);
    let run = Run::open(folder).unwrap();
    let layer = run.model_info().layers[0].clone();
    (run, layer)
}

fn commit(writer: &FeatureWriter, layer: &LayerInfo, channels: &[u32]) {
    let mut features = writer.layer(layer).unwrap();
    for &channel in channels {
        let bytes = vec![channel as u8; 100];
        let pictures = [(FeaturePicture::Feature, bytes)];
        let record = record(channel as f32);
        writer
            .commit(&mut features, ChannelId(channel), record, &pictures)
            .unwrap();
    }
}

fn layer_folder(run: &Run) -> PathBuf {
    let features = run.path().join("features");
    let entry = fs::read_dir(features).unwrap().next().unwrap();
    entry.unwrap().path()
}

#[test]
fn what_was_committed_comes_back_whatever_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let (one, layer) = run(&folder.path().join("one"));
    let (two, _) = run(&folder.path().join("two"));
    assert!(Features::open(&one, &layer).unwrap().is_none());
    let orders: [(&Run, &[&[u32]]); 2] = [(&one, &[&[0, 1, 2]]), (&two, &[&[2], &[1, 0]])];
    for (run, orders) in orders {
        for channels in orders {
            let writer = FeatureWriter::new(run.path(), json!({"steps": 7})).unwrap();
            commit(&writer, &layer, channels);
        }
    }
    folders::assert_same(one.path(), two.path(), &[]);
    let features = Features::open(&one, &layer).unwrap().unwrap();
    let found: Vec<u32> = features.records().map(|(channel, _)| channel.0).collect();
    assert_eq!(found, [0, 1, 2]);
    let (_, last) = features.records().last().unwrap();
    assert_eq!(last.relative_activation(), Some(1.0));
    let picture = |channel, kind| features.picture(ChannelId(channel), kind).unwrap();
    assert_eq!(picture(2, FeaturePicture::Feature), Some(vec![2; 100]));
    assert_eq!(picture(2, FeaturePicture::Detail), None);
    assert_eq!(picture(3, FeaturePicture::Feature), None);
    // The tables are as they were, and pictures are no part of them.
    Run::open(one.path()).unwrap().verify().unwrap();
}

#[test]
fn half_written_and_changed_pictures_are_never_handed_out() {
    let folder = tempfile::tempdir().unwrap();
    let (run, layer) = run(folder.path());
    commit(
        &FeatureWriter::new(run.path(), json!({})).unwrap(),
        &layer,
        &[0, 1],
    );
    let pictures = layer_folder(&run).join("feature");
    // An orphan, and what a killed process leaves.
    fs::write(pictures.join("2.jpg"), "orphan").unwrap();
    fs::write(pictures.join(".tmp-3.jpg"), "half").unwrap();
    // Changed, and cut off.
    fs::write(pictures.join("0.jpg"), vec![9; 100]).unwrap();
    fs::write(pictures.join("1.jpg"), vec![1; 50]).unwrap();
    let features = Features::open(&run, &layer).unwrap().unwrap();
    let of = |channel| features.picture(ChannelId(channel), FeaturePicture::Feature);
    assert_eq!(of(2).unwrap(), None);
    assert_eq!(of(3).unwrap(), None);
    for channel in [0, 1] {
        let error = of(channel).unwrap_err();
        assert!(matches!(error, StoreError::Picture { .. }), "{error}");
    }
    let writer = FeatureWriter::new(run.path(), json!({})).unwrap();
    writer.layer(&layer).unwrap();
    assert!(!pictures.join(".tmp-3.jpg").exists());
    commit(&writer, &layer, &[0]);
    let features = Features::open(&run, &layer).unwrap().unwrap();
    let again = features.picture(ChannelId(0), FeaturePicture::Feature);
    assert_eq!(again.unwrap(), Some(vec![0; 100]));
}

#[test]
fn one_writer_one_network_one_setting() {
    let folder = tempfile::tempdir().unwrap();
    let (run, layer) = run(folder.path());
    let writer = FeatureWriter::new(run.path(), json!({"steps": 7})).unwrap();
    let second = FeatureWriter::new(run.path(), json!({"steps": 7}));
    assert!(matches!(second, Err(StoreError::Locked { .. })));
    commit(&writer, &layer, &[0]);
    let mut features = writer.layer(&layer).unwrap();
    let bad = writer.commit(&mut features, ChannelId(1), record(f32::NAN), &[]);
    assert!(bad.is_err());
    drop(writer);
    let other = FeatureWriter::new(run.path(), json!({"steps": 8})).unwrap();
    let error = other.layer(&layer).unwrap_err().to_string();
    assert!(error.contains("steps is 7 there and 8 now"), "{error}");

    let manifest = layer_folder(&run).join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let renumbered = format!("\"{}\": {{", layer.channels);
    for (from, to) in [
        ("\"schema_version\": 1", "\"schema_version\": 2"),
        (run.manifest().spec.model.sha256.as_str(), "another"),
        ("\"0\": {", renumbered.as_str()),
        ("\"layer\": \"", "\"layer\": \"x"),
        ("{", ""),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        fs::write(&manifest, changed).unwrap();
        let error = Features::open(&run, &layer).unwrap_err();
        assert!(
            matches!(error, StoreError::ManifestDamaged { .. }),
            "{error}"
        );
    }
}
