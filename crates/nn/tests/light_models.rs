//! Nine real topologies with generated weights: every tensor against ONNX Runtime
//! (`tools/reference/make_light_models.py`), through reader and reference executor.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "test code")]

mod common;

use common::Archive;
use common::samples::{Recording, compare, load_light, uniform};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use summit_nn::onnx::{LoadError, LoadOptions, load};

/// Seed of `make_light_models.py`.
const SEED: u64 = 1;

/// Single precision of the other runtime, through up to 121 layers of convolutions.
const TOLERANCE: f64 = 4e-6;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/light")
}

fn check(name: &str) {
    let mut archive = Archive::open(&folder().join("references.npz"));
    let recording = Recording::read(&mut archive, name);
    let path = folder().join(name).with_extension("onnx");
    let model = load_light(&path, SEED, &BTreeMap::new());
    let shape = &model.graph.values[model.graph.input.index()].shape;
    let input = uniform(SEED, "image", shape, -1.0, 1.0);
    let agreement = compare(&model, &input, &recording, &common::naive);
    let (worst, tensor) = &agreement.worst;
    println!(
        "{name}: {} tensors, worst {worst:.2e} in {tensor:?}",
        agreement.compared
    );
    assert_eq!(agreement.missing, Vec::<String>::new(), "{name}");
    assert!(*worst <= TOLERANCE, "{name}: {worst:.2e} in {tensor:?}");
}

#[test]
fn bvlc_alexnet() {
    check("bvlc_alexnet");
}

#[test]
fn densenet121() {
    check("densenet121");
}

#[test]
fn inception_v1() {
    check("inception_v1");
}

#[test]
fn inception_v2() {
    check("inception_v2");
}

#[test]
fn resnet50() {
    check("resnet50");
}

#[test]
fn shufflenet() {
    check("shufflenet");
}

#[test]
fn squeezenet() {
    check("squeezenet");
}

#[test]
#[ignore = "twenty billion multiply-adds in plain loops; tests/executor.rs runs this network"]
fn vgg19() {
    check("vgg19");
}

#[test]
fn zfnet512() {
    check("zfnet512");
}

#[test]
fn generated_weights_beyond_the_default_limit_are_refused() {
    let path = folder().join("vgg19.onnx");
    let error = load(&path, &LoadOptions::default()).unwrap_err();
    assert!(matches!(error, LoadError::TooLarge { .. }), "{error}");
}
