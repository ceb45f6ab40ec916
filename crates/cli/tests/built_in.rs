//! The built-in SqueezeNet: found by its name, with its labels, and the network it claims to be.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may panic"
)]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use summit_demo::{networks, world};
use summit_nn::exec::{CompileOptions, Network};
use summit_nn::onnx::{LoadOptions, load, load_bytes};

fn summit(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_summit"));
    command
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

/// Four scenes in a folder without classes.
fn photos(folder: &Path) -> PathBuf {
    let photos = folder.join("photos");
    let small = world::World {
        images_per_class: 1,
        ..world::DEMO
    };
    for truth in small.write(&folder.join("scenes")).unwrap().iter().take(4) {
        std::fs::create_dir_all(&photos).unwrap();
        let name = truth.path.replace('/', "-");
        std::fs::copy(folder.join("scenes").join(&truth.path), photos.join(name)).unwrap();
    }
    photos
}

#[test]
fn it_runs_by_name_on_a_folder_of_photographs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    photos(folder);
    let made = summit(
        folder,
        &[
            "run",
            "--model",
            "squeezenet",
            "--images",
            "photos",
            "--out",
            "run",
            "--json",
        ],
    );
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let summary: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!(summary["images"], 4);
    let rows = summit(
        folder,
        &["predictions", "run", "--show", "images", "--format", "json"],
    );
    let rows: Value = serde_json::from_slice(&rows.stdout).unwrap();
    let name = rows[0]["prediction"].as_str().unwrap();
    assert!(networks::SQUEEZENET.labels.contains(name), "{name}");
    // Commands that need the network again find it.
    let muted = summit(
        folder,
        &[
            "whatif",
            "run",
            "--mute",
            "fire9:0",
            "--save",
            "muted.onnx",
            "--json",
        ],
    );
    assert!(
        muted.status.success(),
        "{}",
        String::from_utf8_lossy(&muted.stderr)
    );
    assert!(folder.join("muted.onnx").is_file());
}

#[test]
fn a_file_of_its_name_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let of_name = |folder: &Path| {
        let report = summit(folder, &["inspect", "squeezenet", "--json"]);
        assert!(
            report.status.success(),
            "{}",
            String::from_utf8_lossy(&report.stderr)
        );
        let report: Value = serde_json::from_slice(&report.stdout).unwrap();
        report["layers"][0]["name"].as_str().unwrap().to_owned()
    };
    assert_eq!(of_name(folder), "conv1");
    std::fs::write(folder.join("squeezenet"), networks::DEMO.onnx).unwrap();
    assert_eq!(of_name(folder), "stem");
}

#[test]
fn its_labels_are_those_of_a_thousand_classes() {
    let rows: Vec<&str> = networks::SQUEEZENET.labels.lines().collect();
    assert_eq!(rows.len(), 1001);
    assert_eq!(rows[1], "0\tn01440764\ttench, Tinca tinca");
    let ids: std::collections::BTreeSet<_> =
        rows.iter().map(|row| row.split('\t').nth(1)).collect();
    assert_eq!(ids.len(), 1001);
}

/// An independent conversion of the same weights gives the same logits.
#[test]
fn it_agrees_with_another_conversion() {
    let shared = std::env::var_os("SUMMIT_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = shared.join("models/squeezenet1_1.onnx");
    if !path.exists() {
        println!("skipped: ../shared absent");
        return;
    }
    let options = LoadOptions {
        input_shape: Some([3, 224, 224]),
        ..LoadOptions::default()
    };
    let ours = load_bytes(networks::SQUEEZENET.onnx.into(), None, &options).unwrap();
    let other = load(&path, &options).unwrap();
    let input: Vec<f32> = (0u32..3 * 224 * 224)
        .map(|k| (k.wrapping_mul(2_654_435_761) >> 24) as f32 - 120.0)
        .collect();
    let [ours, other] = [&ours, &other].map(|model| {
        let network = Network::compile(&model.graph, &CompileOptions::default()).unwrap();
        network.session().run(&input, &mut |_, _| {}).unwrap()
    });
    assert_eq!(ours, other);
}
