//! Files that nobody should load: every one is refused with its reason and subject, within a
//! second and a hundred megabytes, and nothing makes the reader panic.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

mod cases;
#[path = "../common/mod.rs"]
mod common;

use cases::{
    Case, bomb_cases, flatten, good, operator_cases, shape_cases, structure_cases, weight_cases,
};

use common::file::{File, Message, node, tensor};
use proptest::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use summit_nn::onnx::{LoadOptions, Model, load, load_bytes};

/// The memory of a process is shared by its threads: the tests of this file take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn try_load(bytes: &[u8]) -> Result<Model, String> {
    load_bytes(bytes.to_vec().into(), None, &LoadOptions::default()).map_err(|e| e.to_string())
}

/// Highest memory use of this process since the last call of [`forget_peak`].
#[cfg(target_os = "linux")]
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() << 10
}

#[cfg(target_os = "linux")]
fn forget_peak() {
    // Where the kernel does not offer it, the peak is that of the whole process: stricter.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

#[test]
fn hostile_files_are_refused_by_name_in_little_time_and_memory() {
    let _turn = turn();
    let families = [
        structure_cases(),
        operator_cases(),
        weight_cases(),
        shape_cases(),
        bomb_cases(),
    ];
    let mut wrong = Vec::new();
    for Case {
        name,
        bytes,
        expected,
    } in families.into_iter().flatten()
    {
        #[cfg(target_os = "linux")]
        forget_peak();
        #[cfg(target_os = "linux")]
        let before = peak_bytes();
        let start = Instant::now();
        let outcome = try_load(&bytes);
        let elapsed = start.elapsed();
        match outcome {
            Ok(_) => wrong.push(format!("{name}: loaded")),
            Err(error) if expected.iter().all(|part| error.contains(part)) => {}
            Err(error) => wrong.push(format!("{name}: {error}, expected {expected:?}")),
        }
        if elapsed > Duration::from_secs(1) {
            wrong.push(format!("{name}: took {elapsed:?}"));
        }
        // Saturating: the kernel's counters are approximate, so a peak can read lower than it did.
        #[cfg(target_os = "linux")]
        let taken = peak_bytes().saturating_sub(before);
        #[cfg(target_os = "linux")]
        if taken > 100 << 20 {
            wrong.push(format!("{name}: took {} MB", taken >> 20));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn long_chains_and_wide_nodes_load() {
    let _turn = turn();
    let mut nodes = vec![node("Relu", &["image"], &["r0"], &[])];
    for number in 1..20_000 {
        let (from, to) = (format!("r{}", number - 1), format!("r{number}"));
        nodes.push(node("Relu", &[&from], &[&to], &[]));
    }
    nodes.push(flatten("r19999"));
    // Backwards, so that ordering them is work too.
    nodes.reverse();
    let start = Instant::now();
    let model = try_load(&File::new(&nodes, &[]).bytes()).unwrap();
    assert_eq!(model.graph.nodes.len(), 20_001);
    let sum = node("Sum", &vec!["image"; 20_000], &["sum"], &[]);
    let model = try_load(&File::new(&[sum, flatten("sum")], &[]).bytes()).unwrap();
    assert_eq!(model.graph.nodes.len(), 20_000);
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "took {:?}",
        start.elapsed()
    );
}

#[test]
fn external_data_stay_in_their_folder() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("model");
    std::fs::create_dir_all(inside.join("data")).unwrap();
    let values: Vec<u8> = (0..8).flat_map(|k| (k as f32).to_le_bytes()).collect();
    std::fs::write(inside.join("data/weights.bin"), &values).unwrap();
    std::fs::write(folder.path().join("secret.bin"), &values).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("secret.bin"), inside.join("link.bin")).unwrap();
    let file = |location: &str, offset: &str| {
        let entry = |key: &str, value: &str| Message::default().bytes(1, key).bytes(2, value);
        let weight = tensor("w", 1, &[5], &[])
            .int(14, 1)
            .message(13, &entry("location", location))
            .message(13, &entry("offset", offset))
            .message(13, &entry("length", "20"));
        let add = node("Add", &["image", "w"], &["a"], &[]);
        let path = inside.join("model.onnx");
        std::fs::write(&path, File::new(&[add, flatten("a")], &[weight]).bytes()).unwrap();
        load(&path, &LoadOptions::default()).map_err(|error| error.to_string())
    };
    let model = file("data/weights.bin", "12").unwrap();
    let weight = model.value_named("w").unwrap();
    let constant = model.graph.values[weight.index()].constant.clone().unwrap();
    assert_eq!(*constant.data, [3.0, 4.0, 5.0, 6.0, 7.0]);
    assert!(
        file("data/weights.bin", "16")
            .unwrap_err()
            .contains("beyond the end")
    );
    assert!(file("data", "0").unwrap_err().contains("beyond the end"));
    assert!(
        file("data/nothing.bin", "0")
            .unwrap_err()
            .contains("nothing.bin")
    );
    assert!(file("../secret.bin", "0").unwrap_err().contains("outside"));
    #[cfg(unix)]
    assert!(file("link.bin", "0").unwrap_err().contains("outside"));
}

#[test]
fn every_prefix_of_a_file_is_refused_or_loaded() {
    let _turn = turn();
    let bytes = good().bytes();
    assert!(try_load(&bytes).is_ok());
    for end in 0..bytes.len() {
        let _ = try_load(&bytes[..end]);
    }
}

#[test]
fn dead_parts_are_neither_read_nor_refused() {
    let _turn = turn();
    let mut file = good();
    file.nodes.push(node("Foo", &["conv"], &["unused"], &[]));
    file.initializers.push(tensor("text", 8, &[1], &[]));
    let model = try_load(&file.bytes()).unwrap();
    assert_eq!(model.graph.nodes.len(), 3);
    assert_eq!(model.operators["Foo"], 1);
    assert_eq!(model.parameters, 26);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Damaged files never make the reader panic, and what it still loads, the executor can run.
    #[test]
    fn damaged_files_do_not_panic(changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..4)) {
        let _turn = turn();
        let mut bytes = good().bytes();
        for (position, value) in changes {
            let position = position % bytes.len();
            bytes[position] = value;
        }
        if let Ok(model) = try_load(&bytes) {
            let shape = model.graph.values[model.graph.input.index()].shape.clone();
            let count: usize = shape.iter().product();
            if count < 1 << 16 {
                let input = summit_nn::graph::Tensor { shape, data: vec![0.5; count].into() };
                prop_assert!(summit_nn::reference::run(&model.graph, &input).is_ok());
            }
        }
    }
}
