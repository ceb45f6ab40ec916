//! Whatever the bytes, reading a network ends soon with a graph or an error, and what was read can
//! be inspected and compiled.
#![no_main]

use libfuzzer_sys::fuzz_target;
use summit_nn::exec::{CompileOptions, Network};
use summit_nn::layers::find_layers;
use summit_nn::onnx::{LoadOptions, load_bytes};

fuzz_target!(|bytes: &[u8]| {
    let options = LoadOptions {
        max_bytes: 1 << 24,
        ..LoadOptions::default()
    };
    let Ok(model) = load_bytes(bytes.to_vec().into(), None, &options) else {
        return;
    };
    let _ = find_layers(&model.graph);
    let elements = |value: &summit_nn::graph::Value| value.shape.iter().product::<usize>();
    if model.graph.values.iter().map(elements).sum::<usize>() < 1 << 22 {
        let _ = Network::compile(&model.graph, &CompileOptions::default());
    }
});
