//! Where the time of a forward pass (and of the gradient to the input) goes: time per step, and the share of the arithmetic the
//! processor could have done in it.
//!
//! `cargo run --release -p summit-bench --bin profile -- net.onnx [--gradient] [--steps]`
#![allow(clippy::print_stdout, reason = "a report")]

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;
use summit_nn::exec::{CompileOptions, Hooks, Network};
use summit_nn::grad::{GradientRule, Request, derive};
use summit_nn::graph::ValueId;
use summit_nn::inspect::node_multiply_adds;
use summit_nn::onnx::{LoadOptions, load};

/// The gradient of one class's logit.
struct Class;

impl Hooks for Class {
    fn feed(&mut self, _: ValueId, data: &mut [f32]) {
        data[0] = 1.0;
    }
}

const ROUNDS: usize = 40;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments
        .next()
        .context("the network to profile is missing")?;
    let flags: Vec<String> = arguments.collect();
    let is_set = |name: &str| flags.iter().any(|flag| flag == name);
    let each_step = is_set("--steps");
    let model = load(Path::new(&path), &LoadOptions::default())?;
    let (graph, observed) = if is_set("--gradient") {
        let request = Request {
            from: model.graph.output,
            masks: 1,
            wrt: vec![model.graph.input],
            weights: vec![],
            scores: vec![],
            keep: vec![],
            rule: GradientRule::Plain,
        };
        let derived = derive(&model.graph, &request)?;
        let observed = derived.gradients.into_iter().flatten().collect();
        (derived.graph, observed)
    } else {
        (model.graph.clone(), vec![])
    };
    let options = CompileOptions {
        observed,
        ..CompileOptions::default()
    };
    let network = Network::compile(&graph, &options)?;
    println!(
        "{:.1} MiB of activations and scratch",
        network.session_bytes() as f64 / (1 << 20) as f64
    );
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
        session.profile(&input, &mut Class, &mut times)?;
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
