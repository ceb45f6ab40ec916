//! The built-in executor against other runtimes: every operator in every form, nine light networks
//! and the evaluation networks, fused and unfused, with and without vector instructions.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "test code"
)]

mod common;

use common::samples::{Recording, compare, load_light, uniform};
use common::{Archive, Observe, built_in};
use std::collections::BTreeMap;
use std::path::Path;
use summit_nn::onnx::{LoadOptions, Model, load};

/// Largest difference over a tensor's largest magnitude: both sides sum in single precision, and
/// Winograd's transforms lose another digit.
const TOLERANCE: f64 = 1e-5;

#[test]
fn operators_agree_with_onnx() {
    let mut wrong = Vec::new();
    for observe in [Observe::Leaves, Observe::Everything] {
        for portable in [false, true] {
            let execute = |graph: &_, input: &_| built_in(graph, input, observe, portable);
            let lines = common::operators::check(&execute, 4e-6);
            wrong.extend(
                lines
                    .into_iter()
                    .map(|line| format!("{observe:?} {portable}: {line}")),
            );
        }
    }
    assert!(
        wrong.is_empty(),
        "{} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Compares one network in both ways of observing.
fn check(name: &str, model: &Model, recording: &Recording, input: &summit_nn::graph::Tensor) {
    for observe in [Observe::Leaves, Observe::Everything] {
        let execute = |graph: &_, input: &_| built_in(graph, input, observe, false);
        let agreement = compare(model, input, recording, &execute);
        let (worst, tensor) = &agreement.worst;
        let compared = agreement.compared;
        println!("{name} {observe:?}: {compared} tensors, worst {worst:.2e} in {tensor:?}");
        assert!(
            compared > 0 && *worst <= TOLERANCE,
            "{name}: {worst:.2e} in {tensor:?}"
        );
    }
}

#[test]
fn light_networks_agree_with_another_runtime() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/light");
    let mut archive = Archive::open(&folder.join("references.npz"));
    for name in [
        "bvlc_alexnet",
        "densenet121",
        "inception_v1",
        "inception_v2",
        "resnet50",
        "shufflenet",
        "squeezenet",
        "vgg19",
        "zfnet512",
    ] {
        let path = folder.join(name).with_extension("onnx");
        let model = load_light(&path, 1, &BTreeMap::new());
        let shape = model.graph.values[model.graph.input.index()].shape.clone();
        let input = uniform(1, "image", &shape, -1.0, 1.0);
        check(name, &model, &Recording::read(&mut archive, name), &input);
    }
}

#[test]
fn evaluation_networks_agree_with_another_runtime() {
    let Some(shared) = common::shared() else {
        return;
    };
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/shared_models.npz");
    let mut archive = Archive::open(&data);
    for name in ["efficientnet-lite0", "squeezenet1_1", "bvlc-googlenet"] {
        let file = shared.join("models").join(name).with_extension("onnx");
        let model = load(&file, &LoadOptions::default()).unwrap();
        let bound = f64::from(archive.floats(&format!("{name}.bound"))[0]);
        for number in 0..3 {
            let recording = Recording::read(&mut archive, &format!("{name}.{number}"));
            let input = uniform(number, "image", &[1, 3, 224, 224], -bound, bound);
            check(name, &model, &recording, &input);
        }
    }
}
