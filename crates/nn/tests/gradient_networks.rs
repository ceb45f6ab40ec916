//! Networks with recorded derivatives (`tools/reference/make_gradient_references.py`): the built-in
//! executor computes the recorded class scores, and along a random direction they change as the
//! recorded gradient says. The derivatives of operators are for values that exist.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "test code")]

mod common;

use common::gradients::{Kind, Recorded, Reference, References};
use common::{Observe, built_in};
use summit_nn::graph::Tensor;
use summit_nn::onnx::{LoadOptions, load_bytes};

/// Largest difference of a logit over the largest logit: single precision, and Winograd's
/// transforms.
const TOLERANCE: f64 = 1e-5;

/// Step along a direction whose elements lie in [-1, 1), in units of the image's largest element.
const STEP: f32 = 1e-3;

/// A central difference against a derivative, over the norm of the gradient. Kinks within the step
/// and rounding leave 0.06; a gradient that has nothing to do with the network is off by 0.8.
const SLOPE_TOLERANCE: f64 = 0.1;

fn logits(reference: &Reference, input: &Tensor) -> Vec<f64> {
    let graph = &reference.model.graph;
    let values = built_in(graph, input, Observe::Leaves, false).unwrap();
    let output = &values[&graph.values[graph.output.index()].name];
    output.data.iter().copied().map(f64::from).collect()
}

/// `logit_c - max of the other logits`.
fn margin(logits: &[f64], class: usize) -> f64 {
    let others = logits.iter().enumerate().filter(|(k, _)| *k != class);
    logits[class] - others.fold(f64::NEG_INFINITY, |largest, (_, x)| largest.max(*x))
}

/// Largest difference over the largest expected magnitude.
fn difference(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected);
    let largest = pairs.fold(0.0, |largest: f64, (a, b)| {
        assert!(a.is_finite());
        largest.max((a - b).abs())
    });
    largest
        / expected
            .iter()
            .fold(0.0, |scale: f64, x| scale.max(x.abs()))
}

/// Slope of the margin along direction 0 of the image's gradient, and the recorded one, both over
/// the norm of the gradient.
fn slopes(reference: &Reference, input: &Tensor, gradient: &Recorded) -> [f64; 2] {
    let largest = input
        .data
        .iter()
        .fold(0.0, |largest: f32, x| largest.max(x.abs()));
    let step = STEP * largest;
    let direction = gradient.direction(0);
    let at = |step: f32| {
        let pairs = input.data.iter().zip(&*direction.data);
        let moved = Tensor {
            shape: input.shape.clone(),
            data: pairs.map(|(x, v)| x + step * v).collect(),
        };
        margin(&logits(reference, &moved), reference.class)
    };
    let slope = (at(step) - at(-step)) / (2.0 * f64::from(step));
    [slope, gradient.products[0]].map(|x| x / gradient.norm)
}

/// The recorded array agrees with itself, and one that is a thousandth longer is off by that.
fn check_deviation(recorded: &Recorded, complete: &[f32]) {
    let name = &recorded.name;
    let own = recorded.deviation(complete);
    assert!(
        own.samples == 0.0 && own.angle < 1e-15 && own.whole < 1e-6,
        "{name}: {own:?}"
    );
    let longer: Vec<f32> = complete.iter().map(|x| x * 1.001).collect();
    let found = recorded.deviation(&longer);
    assert!(
        (found.samples - 1e-3).abs() < 1e-6 && found.angle < 1e-12,
        "{name}: {found:?}"
    );
    assert!((1e-4..4e-3).contains(&found.whole), "{name}: {found:?}");
}

fn check(reference: &Reference) {
    let name = &reference.name;
    for image in &reference.images {
        let worst = difference(&logits(reference, &image.input), &image.logits);
        println!("{name}: worst logit {worst:.1e}");
        assert!(worst <= TOLERANCE, "{name}: {worst:.1e}");
    }
    let graph = &reference.model.graph;
    for recorded in reference.images.iter().flat_map(|image| &image.recorded) {
        let shape = &graph.values[recorded.value.index()].shape;
        match recorded.kind {
            Kind::Gradient => assert_eq!(recorded.shape, *shape, "{name}: {}", recorded.name),
            Kind::Scores => assert_eq!(recorded.shape, [shape[1]], "{name}: {}", recorded.name),
        }
        if let Some(complete) = recorded.complete() {
            check_deviation(recorded, complete);
        }
    }
    let image = &reference.images[0];
    let by_image = image
        .recorded
        .iter()
        .find(|recorded| recorded.value == graph.input);
    let [found, expected] = slopes(reference, &image.input, by_image.unwrap());
    println!("{name}: slope {found:.4}, recorded {expected:.4}");
    assert!(
        (found - expected).abs() <= SLOPE_TOLERANCE,
        "{name}: {found} {expected}"
    );
}

#[test]
fn stored_networks_agree_with_pytorch() {
    let mut references = References::open();
    for name in references.names().0 {
        check(&references.network(&name, None));
    }
}

#[test]
fn evaluation_networks_agree_with_pytorch() {
    let Some(shared) = common::shared() else {
        return;
    };
    let mut references = References::open();
    for name in references.names().1 {
        check(&references.network(&name, Some(&shared)));
    }
}

#[test]
fn derivatives_of_operators_are_for_values_of_the_graph() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for case in common::operators::cases() {
        if case.gradients.is_empty() {
            continue;
        }
        assert_eq!(case.upstream().len(), case.expected.len(), "{}", case.name);
        let model = load_bytes(case.model.clone().into(), None, &LoadOptions::default()).unwrap();
        for (name, gradient) in &case.gradients {
            checked += 1;
            let found = model
                .value_named(name)
                .map(|id| &model.graph.values[id.index()].shape);
            if found.map(|shape| shape.iter().product()) != Some(gradient.len()) {
                wrong.push(format!("{}: {name:?} is {found:?}", case.name));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {checked}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
