//! # A network, read and run from Rust
//!
//! ```sh
//! cargo run --release -p summit --example run_a_network
//! ```
//!
//! Reads the demonstration's network, finds its layers, draws one fish in a hand, and runs it.

use anyhow::Context;
use summit_demo::{networks, world};
use summit_nn::exec::{CompileOptions, Network};
use summit_nn::layers::find_layers;
use summit_nn::onnx::{LoadOptions, load_bytes};
use summit_nn::spatial::ChannelMaxima;

fn main() -> anyhow::Result<()> {
    // Bytes of an ONNX file become a graph with known shapes; an operator that cannot be run is an error here.
    let bytes = networks::DEMO.onnx.into();
    let model = load_bytes(bytes, None, &LoadOptions::default())?;

    // Layers are the tensors that every path from input to output crosses, one a block.
    let layers = find_layers(&model.graph);
    for layer in &layers {
        print_line(&format!(
            "{}: {} channels",
            layer.info.name, layer.info.channels
        ))?;
    }

    // A scene of the world, `[96, 96, 3]` bytes, becomes the input: `[1, 3, 96, 96]` from -1 to 1.
    let truths = world::DEMO.truths();
    let truth = truths.first().context("the world has images")?;
    let pixels = world::DEMO.draw(world::Class::Fish, 0, truth);
    let channel = |first: usize| pixels.iter().skip(first).step_by(3);
    let input: Vec<f32> = (0..3)
        .flat_map(channel)
        .map(|&level| f32::from(level) / 127.5 - 1.0)
        .collect();

    // The graph is compiled once and run by as many sessions as there are threads. Observed values are handed
    // over while they are in memory, without a copy.
    let options = CompileOptions {
        observed: layers.iter().map(|layer| layer.value).collect(),
        ..CompileOptions::default()
    };
    let network = Network::compile(&model.graph, &options)?;
    let mut maxima = ChannelMaxima::default();
    let mut strongest = Vec::new();
    let logits = network.session().run(&input, &mut |value, view| {
        let layer = layers.iter().find(|layer| layer.value == value);
        if let (Some(layer), true) = (layer, maxima.compute(&view, 0)) {
            let channels = (0..).zip(maxima.values());
            let best = channels.max_by(|(_, a), (_, b)| a.total_cmp(b));
            strongest.extend(best.map(|(channel, _)| (layer.info.name.clone(), channel)));
        }
    })?;
    for (layer, channel) in strongest {
        print_line(&format!("{layer}: channel {channel} fires most"))?;
    }

    let names = networks::DEMO
        .labels
        .lines()
        .skip(1)
        .filter_map(|line| line.split('\t').nth(2));
    let best = names.zip(&logits).max_by(|(_, a), (_, b)| a.total_cmp(b));
    let (name, logit) = best.context("the network has classes")?;
    print_line(&format!(
        "{} (hand: {}) is taken for: {name}, logit {logit:.2}",
        truth.path, truth.hand
    ))
}

/// A line on standard output.
fn print_line(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}").context("cannot write")
}
