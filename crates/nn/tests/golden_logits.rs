//! Logits of the golden networks through the reader and the reference executor.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "test code")]

mod common;

use common::{image_tensor, json, numbers, shared};
use summit_nn::onnx::{LoadOptions, load};
use summit_nn::reference;

/// The golden README's tolerance for logits, absolute.
const TOLERANCE: f64 = 2e-5;

#[test]
fn golden_logits_are_reproduced() {
    let Some(shared) = shared() else { return };
    for case in ["inception-tiny", "resnet-tiny", "depthwise-tiny"] {
        let folder = shared.join("golden").join(case);
        let model = load(&folder.join("model.onnx"), &LoadOptions::default()).unwrap();
        assert_eq!(
            model.graph.values[model.graph.output.index()].name,
            "logits"
        );
        assert_eq!((model.input_name.as_str(), model.classes()), ("input", 4));
        let description = json(&folder.join("case.json"));
        let mean = numbers(&description["preprocessing"]["mean"]);
        let std = numbers(&description["preprocessing"]["std"]);
        let predictions = json(&folder.join("expected/predictions.json"));
        let expected = predictions.as_array().unwrap();
        let images = description["images"].as_array().unwrap();
        assert_eq!(images.len(), 24);
        let mut largest = 0.0f64;
        for (image, prediction) in images.iter().zip(expected) {
            let path = folder.join(image["path"].as_str().unwrap());
            let values = reference::run(&model.graph, &image_tensor(&path, &mean, &std)).unwrap();
            let found = values[model.graph.output.index()].as_ref().unwrap();
            assert_eq!(found.shape, [1, 4]);
            for (a, b) in found.data.iter().zip(numbers(&prediction["logits"])) {
                largest = largest.max((f64::from(*a) - b).abs());
            }
        }
        println!("{case}: largest difference {largest:.2e}");
        assert!(largest <= TOLERANCE, "{case}: largest difference {largest}");
    }
}

#[test]
fn shared_models_load_with_their_metadata() {
    let Some(shared) = shared() else { return };
    // Two normalisations over channels, eight nodes each in the file, become one node each.
    for (name, merged) in [
        ("efficientnet-lite0", 0),
        ("squeezenet1_1", 0),
        ("bvlc-googlenet", 14),
    ] {
        let path = shared.join("models").join(name).with_extension("onnx");
        let model = load(&path, &LoadOptions::default()).unwrap();
        assert_eq!((model.classes(), model.opset), (1000, 13), "{name}");
        assert!(model.metadata.contains_key("mean"), "{name}");
        let nodes: u64 = model.operators.values().sum();
        assert_eq!(model.graph.nodes.len() as u64, nodes - merged, "{name}");
    }
}
