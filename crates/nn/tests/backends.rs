//! The built-in executor and ONNX Runtime behind the same trait hand out the same values: every
//! operator case, and all layers of the evaluation networks. Needs the feature `ort`, and the library
//! named by `ORT_DYLIB_PATH`, which `./test` installs.
#![cfg(feature = "ort")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "test code"
)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use summit_nn::backend::{Backend, Device, OrtBackend, OrtModel};
use summit_nn::exec::{CompileOptions, Network};
use summit_nn::graph::ValueId;
use summit_nn::layers::find_layers;
use summit_nn::onnx::{LoadOptions, Model, load, load_bytes};

/// Largest difference over the largest magnitude (at least 1).
const TOLERANCE: f64 = 1e-4;

/// Whether the library is named; says so where it is not.
fn installed() -> bool {
    let named = std::env::var_os("ORT_DYLIB_PATH").is_some();
    if !named {
        println!("skipped: ORT_DYLIB_PATH names no ONNX Runtime library");
    }
    named
}

fn onnx_runtime(model: &Model, bytes: &[u8], observed: &[ValueId]) -> Result<OrtBackend, String> {
    OrtBackend::new(&OrtModel {
        bytes,
        folder: None,
        graph: &model.graph,
        observed,
        device: Device::Cpu,
        threads: 1,
    })
    .map_err(|error| error.to_string())
}

/// Everything observed, and the output, by one backend.
fn values(backend: &dyn Backend, input: &[f32]) -> Result<BTreeMap<ValueId, Vec<f32>>, String> {
    let mut runner = backend.runner().map_err(|error| error.to_string())?;
    let mut found = BTreeMap::new();
    runner
        .run(input, &mut |id, view| {
            found.insert(id, view.to_vec());
        })
        .map_err(|error| error.to_string())?;
    Ok(found)
}

fn difference(a: &BTreeMap<ValueId, Vec<f32>>, b: &BTreeMap<ValueId, Vec<f32>>) -> f64 {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    let mut worst: f64 = 0.0;
    for (id, a) in a {
        let b = &b[id];
        assert_eq!(a.len(), b.len());
        let scale = a.iter().fold(1.0f64, |m, &x| m.max(f64::from(x).abs()));
        let largest = a
            .iter()
            .zip(b)
            .map(|(&a, &b)| (f64::from(a) - f64::from(b)).abs());
        worst = worst.max(largest.fold(0.0, f64::max) / scale);
    }
    worst
}

#[test]
fn operators_run_alike() {
    if !installed() {
        return;
    }
    let mut compared = 0;
    let mut refused = 0;
    let mut wrong = Vec::new();
    for case in common::operators::cases() {
        let bytes = case.model.clone();
        let Ok(model) = load_bytes(bytes.clone().into(), None, &LoadOptions::default()) else {
            continue;
        };
        let network = Network::compile(&model.graph, &CompileOptions::default()).unwrap();
        let own = values(&network, &case.input.data).unwrap();
        // Files whose opset the installed library does not know, and outputs it names otherwise.
        let Ok(backend) = onnx_runtime(&model, &bytes, &[]) else {
            refused += 1;
            continue;
        };
        compared += 1;
        match values(&backend, &case.input.data) {
            Ok(other) if difference(&own, &other) <= TOLERANCE => {}
            Ok(other) => wrong.push(format!(
                "{}: differ by {:.1e}",
                case.name,
                difference(&own, &other)
            )),
            Err(error) => wrong.push(format!("{}: {error}", case.name)),
        }
    }
    println!("{compared} operator cases compared, {refused} unknown to the library");
    assert!(compared > 600, "{compared} compared");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn layers_of_evaluation_networks_are_alike() {
    if !installed() {
        return;
    }
    let Some(shared) = common::shared() else {
        return;
    };
    // Inputs of the size of preprocessed pixels.
    for (name, bound) in [
        ("bvlc-googlenet", 100.0),
        ("squeezenet1_1", 100.0),
        ("efficientnet-lite0", 1.0),
    ] {
        let path = shared.join("models").join(name).with_extension("onnx");
        compare_layers(name, &path, bound);
    }
}

fn compare_layers(name: &str, path: &Path, bound: f64) {
    let model = load(path, &LoadOptions::default()).unwrap();
    let layers = find_layers(&model.graph);
    let observed: Vec<ValueId> = layers.iter().map(|layer| layer.value).collect();
    let options = CompileOptions {
        observed: observed.clone(),
        ..CompileOptions::default()
    };
    let network = Network::compile(&model.graph, &options).unwrap();
    let bytes = std::fs::read(path).unwrap();
    let backend = onnx_runtime(&model, &bytes, &observed).unwrap();
    let shape = &model.graph.values[model.graph.input.index()].shape;
    let input = common::samples::uniform(3, "image", shape, -bound, bound);
    let own = values(&network, &input.data).unwrap();
    let other = values(&backend, &input.data).unwrap();
    assert_eq!(own.len(), observed.len() + 1, "{name}: layers and logits");
    let worst = difference(&own, &other);
    println!("{name}: {} layers, worst {worst:.1e}", observed.len());
    assert!(worst <= TOLERANCE, "{name}: {worst:.1e}");
}

#[test]
fn what_cannot_be_observed_is_named() {
    if !installed() {
        return;
    }
    let case = common::operators::cases()
        .into_iter()
        .find(|case| load_bytes(case.model.clone().into(), None, &LoadOptions::default()).is_ok());
    let case = case.unwrap();
    let mut model = load_bytes(case.model.clone().into(), None, &LoadOptions::default()).unwrap();
    let output = model.graph.output;
    model.graph.values[output.index()].name = "nowhere".to_owned();
    let error = onnx_runtime(&model, &case.model, &[output]).unwrap_err();
    assert!(error.contains("nowhere"), "{error}");
}
