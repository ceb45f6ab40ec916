//! Gradients against PyTorch in double precision: every operator case, and whole networks (input,
//! weights, scores of layers), whose flow must also be conserved.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "test code"
)]

mod common;

use common::gradients::{Kind, Reference, References};
use common::{conservation, margin};
use std::collections::BTreeMap;
use summit_nn::exec::{CompileOptions, Hooks, Network, TensorView};
use summit_nn::flow::SignedMeasure;
use summit_nn::grad::{Derived, GradError, Request, derive};
use summit_nn::graph::ValueId;
use summit_nn::onnx::{LoadOptions, load_bytes};

/// Of an operator's gradient, relative to its largest element (at least 1).
const OPERATOR_TOLERANCE: f64 = 2e-5;

/// 1 - cosine of a network's gradients.
const ANGLE: f64 = 1e-4;

/// Error of a network's gradients in units of PyTorch's own in single precision.
const FACTOR: f64 = 2.0;

/// Feeds a function of the output, collects what was asked for.
struct Collect<'a> {
    output: ValueId,
    wanted: &'a [ValueId],
    seed: &'a dyn Fn(&[f32]) -> Vec<f32>,
    scores: Vec<f32>,
    found: BTreeMap<ValueId, Vec<f32>>,
}

impl Hooks for Collect<'_> {
    fn observe(&mut self, value: ValueId, view: TensorView<'_>) {
        if value == self.output {
            self.scores = view.to_vec();
        }
        if self.wanted.contains(&value) {
            self.found.insert(value, view.to_vec());
        }
    }

    fn feed(&mut self, _: ValueId, data: &mut [f32]) {
        data.copy_from_slice(&(self.seed)(&self.scores));
    }
}

fn run(
    derived: &Derived,
    input: &[f32],
    seed: &dyn Fn(&[f32]) -> Vec<f32>,
    portable: bool,
) -> BTreeMap<ValueId, Vec<f32>> {
    let found = derived.gradients.iter().chain(&derived.weights);
    let wanted: Vec<ValueId> = found.chain(&derived.scores).flatten().copied().collect();
    let options = CompileOptions {
        observed: wanted.clone(),
        portable,
    };
    let network = Network::compile(&derived.graph, &options).unwrap();
    let mut collect = Collect {
        output: derived.graph.output,
        wanted: &wanted,
        seed,
        scores: Vec::new(),
        found: BTreeMap::new(),
    };
    network.session().run_with(input, &mut collect).unwrap();
    collect.found
}

#[test]
fn operators_agree_with_pytorch() {
    let mut wrong = Vec::new();
    let mut compared = 0;
    let mut without_rule = Vec::new();
    for case in common::operators::cases() {
        if case.gradients.is_empty() {
            continue;
        }
        let bytes = case.model.clone().into();
        let model = load_bytes(bytes, None, &LoadOptions::default()).unwrap();
        for (name, expected) in &case.gradients {
            let value = model.value_named(name).unwrap();
            let is_constant = model.graph.values[value.index()].constant.is_some();
            let mut request = Request::new(common::operators::scores(&model), 1);
            if is_constant {
                request.weights = vec![value];
            } else {
                request.wrt = vec![value];
            }
            let derived = match derive(&model.graph, &request) {
                Ok(derived) => derived,
                Err(GradError::NoRule { .. }) if is_constant => {
                    without_rule.push(format!("{}: {name}", case.name));
                    continue;
                }
                Err(error) => {
                    wrong.push(format!("{}: {name}: {error}", case.name));
                    continue;
                }
            };
            compared += 1;
            let upstream = case.upstream();
            let gradient = derived.gradients.iter().chain(&derived.weights).flatten();
            let gradient = gradient.copied().next();
            for portable in [false, true] {
                let found = run(&derived, &case.input.data, &|_| upstream.clone(), portable);
                let zeros = vec![0.0; expected.len()];
                let found = gradient.map_or(&zeros, |id| &found[&id]);
                let scale = expected
                    .iter()
                    .fold(1.0f64, |m, &x| m.max(f64::from(x).abs()));
                let largest = found
                    .iter()
                    .zip(expected)
                    .map(|(&a, &b)| (f64::from(a) - f64::from(b)).abs())
                    .fold(
                        0.0f64,
                        |m, d| if d.is_nan() { f64::INFINITY } else { m.max(d) },
                    );
                if found.len() != expected.len() || largest / scale > OPERATOR_TOLERANCE {
                    wrong.push(format!(
                        "{}: {name}: off by {:.1e}",
                        case.name,
                        largest / scale
                    ));
                }
            }
        }
    }
    println!(
        "{compared} gradients compared; no rule for {} parameters of normalisations and the like",
        without_rule.len()
    );
    assert!(compared > 500, "{compared} compared");
    // Weights are differentiated where method and issue ask for them.
    let weighted = ["_conv_", "_gemm_", "_matmul_"];
    let missing: Vec<&String> = without_rule
        .iter()
        .filter(|name| weighted.iter().any(|kind| name.contains(kind)))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(
        wrong.is_empty(),
        "{} of {compared}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Largest error in units of PyTorch's own, and problems found.
fn check(reference: &Reference, wrong: &mut Vec<String>) {
    let name = &reference.name;
    let graph = &reference.model.graph;
    let mut worst_factor: f64 = 0.0;
    for (number, image) in reference.images.iter().enumerate() {
        let mut request = Request::new(graph.output, 1);
        for recorded in &image.recorded {
            let is_constant = graph.values[recorded.value.index()].constant.is_some();
            match recorded.kind {
                Kind::Scores => request.scores.push(recorded.value),
                Kind::Gradient if is_constant => request.weights.push(recorded.value),
                Kind::Gradient => request.wrt.push(recorded.value),
            }
        }
        let derived = derive(graph, &request).unwrap();
        let class = reference.class;
        let found = run(
            &derived,
            &image.input.data,
            &|logits| margin(logits, class),
            false,
        );
        for recorded in &image.recorded {
            let place = |list: &[ValueId]| list.iter().position(|&v| v == recorded.value);
            let id = match recorded.kind {
                Kind::Scores => place(&request.scores).and_then(|k| derived.scores[k]),
                Kind::Gradient => place(&request.weights)
                    .and_then(|k| derived.weights[k])
                    .or_else(|| place(&request.wrt).and_then(|k| derived.gradients[k])),
            };
            let deviation = recorded.deviation(&found[&id.unwrap()]);
            // Runs of PyTorch that differ in the order of sums differ in their error.
            let own = recorded.float32.iter().map(|run| run.samples);
            let own = own.fold(0.0, f64::max);
            let factor = deviation.samples / own;
            worst_factor = worst_factor.max(factor);
            if factor > FACTOR || deviation.angle > ANGLE {
                wrong.push(format!(
                    "{name}, image {number}: {:?} of {}: error {:.1e}, PyTorch's own {own:.1e}, \
                     1 - cosine {:.1e}",
                    recorded.kind, recorded.name, deviation.samples, deviation.angle
                ));
            }
        }
    }
    let image = &reference.images[0];
    let leak = conservation(graph, &image.input, reference.class, SignedMeasure::Flow);
    println!(
        "{name}: errors at most {worst_factor:.2} of PyTorch's own; sums of edges off by {leak:.1e}"
    );
    if leak > 1e-4 {
        wrong.push(format!("{name}: sums of edges are off by {leak:.1e}"));
    }
}

#[test]
fn stored_networks_agree_with_pytorch() {
    let mut references = References::open();
    let mut wrong = Vec::new();
    for name in references.names().0 {
        check(&references.network(&name, None), &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn evaluation_networks_agree_with_pytorch() {
    let Some(shared) = common::shared() else {
        return;
    };
    let mut references = References::open();
    let mut wrong = Vec::new();
    for name in references.names().1 {
        check(&references.network(&name, Some(&shared)), &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
