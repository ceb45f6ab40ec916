//! Hostile models: refused before any image is read, by file and node.

use crate::case::{Case, small_network};
use crate::command::Summit;
use crate::file::{Message, node, tensor};
use std::fs;

/// Every command that loads a model refuses this one with the same words.
fn refused(case: &Case, bytes: &[u8], words: &[&str]) {
    fs::write(&case.model, bytes).unwrap();
    let path = case.model.display().to_string();
    let words: Vec<&str> = words.iter().copied().chain([path.as_str()]).collect();
    let out = case.path("run");
    case.run(&out).fails(&words);
    assert!(!out.exists(), "nothing was begun");
    Summit::new("inspect").arg(&case.model).fails(&words);
    Summit::new("check")
        .arg("--model")
        .arg(&case.model)
        .arg("--images")
        .arg(&case.images)
        .fails(&words);
}

#[test]
fn what_is_no_model_is_refused() {
    let case = Case::small(1);
    refused(&case, b"", &["the model file is empty"]);
    refused(
        &case,
        b"#!/bin/sh\necho hello\n",
        &["no readable ONNX model"],
    );
    let whole = small_network().bytes();
    refused(
        &case,
        &whole[..whole.len() / 2],
        &["no readable ONNX model"],
    );
    refused(
        &case,
        &crate::case::picture(1, 1),
        &["no readable ONNX model"],
    );
}

#[test]
fn an_unknown_operator_is_refused_by_node() {
    let case = Case::small(1);
    let mut file = small_network();
    for (place, operator) in [(1, "Relu6Typo"), (6, "GlobalAveragePoool")] {
        let sound = file.nodes[place].clone();
        let (input, output) = if place == 1 {
            ("conv1", "layer1")
        } else {
            ("layer3", "pooled")
        };
        file.nodes[place] = node(operator, &[input], &[output], &[]);
        refused(&case, &file.bytes(), &[operator, output, "not supported"]);
        file.nodes[place] = sound;
    }
}

#[test]
fn missing_external_data_are_named() {
    let case = Case::small(1);
    let mut file = small_network();
    let entry = |key: &str, value: &str| Message::default().bytes(1, key).bytes(2, value);
    file.initializers[3] = tensor("gemm_weight", 1, &[10, 3], &[])
        .int(14, 1)
        .message(13, &entry("location", "weights.bin"));
    refused(&case, &file.bytes(), &["weights.bin", "No such file"]);
    fs::write(case.path("weights.bin"), [0; 7]).unwrap();
    refused(&case, &file.bytes(), &["weights.bin", "beyond the end"]);
    fs::write(case.path("weights.bin"), [0; 120]).unwrap();
    case.run(&case.path("run")).expect(0, &[]);
}

#[test]
fn a_missing_model_is_named_once() {
    let case = Case::small(1);
    let missing = case.path("nowhere.onnx");
    let outcome = Summit::new("inspect")
        .arg(&missing)
        .fails(&["cannot read", "No such file"]);
    assert_eq!(
        outcome.stderr.matches("nowhere.onnx").count(),
        1,
        "{}",
        outcome.stderr
    );
    Summit::new("inspect")
        .arg(case.folder.path())
        .fails(&["cannot read", "directory"]);
}
