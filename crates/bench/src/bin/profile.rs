//! Where the time of a forward pass goes: time per step, and the share of the arithmetic the
//! processor could have done in it.
//!
//! `cargo run --release -p summit-bench --bin profile -- net.onnx [--steps]`
#![allow(clippy::print_stdout, reason = "a report")]

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;
use summit_nn::exec::{CompileOptions, Network};
use summit_nn::inspect::node_multiply_adds;
use summit_nn::onnx::{LoadOptions, load};

const ROUNDS: usize = 40;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments
        .next()
        .context("the network to profile is missing")?;
    let each_step = arguments.any(|argument| argument == "--steps");
    let model = load(Path::new(&path), &LoadOptions::default())?;
    let network = Network::compile(&model.graph, &CompileOptions::default())?;
    let mut session = network.session();
    let shape = &model.graph.values[model.graph.input.index()].shape;
    // Noise of the magnitude of a preprocessed photograph.
    let mut state = 1u32;
    let input: Vec<f32> = (0..shape.iter().product::<usize>())
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect();
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let mut times = Vec::new();
        session.profile(&input, &mut times)?;
        rounds.push(times);
    }
    let graph = network.graph();
    let mut kinds: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    let mut total = 0.0;
    for (index, (kind, nodes)) in network.steps().enumerate() {
        let mut times: Vec<u64> = rounds.iter().map(|times| times[index]).collect();
        times.sort_unstable();
        let micros = times[ROUNDS / 2] as f64 / 1e3;
        let flops: u64 = nodes
            .iter()
            .map(|node| 2 * node_multiply_adds(graph, &graph.nodes[node.index()]))
            .sum();
        let entry = kinds.entry(kind).or_default();
        entry.0 += micros;
        entry.1 += flops as f64;
        total += micros;
        if each_step {
            let last = nodes.last().map(|node| &graph.nodes[node.index()]);
            println!(
                "{micros:9.1} us {:7.1} GFLOP/s  {kind:14} {:?} {}",
                flops as f64 / micros / 1e3,
                last.map(|node| &graph.values[node.outputs[0].index()].shape),
                nodes
                    .first()
                    .map_or("", |node| &graph.nodes[node.index()].name),
            );
        }
    }
    println!(
        "{:>10.1} us in all, medians of {ROUNDS} rounds on one thread",
        total
    );
    for (kind, (micros, flops)) in kinds {
        println!(
            "{micros:9.1} us {:5.1} %  {:7.1} GFLOP/s  {kind}",
            100.0 * micros / total,
            flops / micros / 1e3
        );
    }
    Ok(())
}
