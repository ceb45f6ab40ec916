//! `flow` influence and interventions: golden values, and conservation on real networks
//! (method.md sections 3.2 and 3.3).

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "test code"
)]

mod common;

use common::{Archive, conservation, image_tensor, json, margin, numbers, runner_up, shared};
use std::path::Path;
use std::sync::Arc;
use summit_nn::exec::{CompileOptions, Hooks, ImageViewMut, Network};
use summit_nn::flow::{Flow, SignedMeasure};
use summit_nn::grad::between;
use summit_nn::graph::{Tensor, ValueId};
use summit_nn::layers::find_layers;
use summit_nn::onnx::{LoadOptions, Model, load};

const CASES: [&str; 3] = ["inception-tiny", "resnet-tiny", "depthwise-tiny"];

/// The golden README's tolerance: of the largest magnitude in the array.
const TOLERANCE: f64 = 1e-4;

/// Of `sum_j E_i->j = R_i`, relative to the largest R of the layer.
const CONSERVATION: f64 = 1e-4;

struct Case {
    folder: std::path::PathBuf,
    model: Model,
    layers: Vec<(String, ValueId)>,
    images: Vec<Tensor>,
    labels: Vec<usize>,
}

impl Case {
    fn open(shared: &Path, name: &str) -> Self {
        let folder = shared.join("golden").join(name);
        let model = load(&folder.join("model.onnx"), &LoadOptions::default()).unwrap();
        let layers = find_layers(&model.graph);
        let layers = layers
            .into_iter()
            .map(|layer| (layer.info.name, layer.value));
        let description = json(&folder.join("case.json"));
        let mean = numbers(&description["preprocessing"]["mean"]);
        let std = numbers(&description["preprocessing"]["std"]);
        let images = description["images"].as_array().unwrap();
        let labels = images
            .iter()
            .map(|image| image["label"].as_u64().unwrap() as usize);
        Self {
            layers: layers.collect(),
            labels: labels.collect(),
            images: images
                .iter()
                .map(|image| {
                    image_tensor(&folder.join(image["path"].as_str().unwrap()), &mean, &std)
                })
                .collect(),
            folder,
            model,
        }
    }

    fn expected(&self, file: &str) -> Archive {
        Archive::open(&self.folder.join("expected").join(file))
    }
}

/// Largest difference, relative to the largest magnitude expected.
fn relative(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1e-30, |m: f64, x| m.max(x.abs()));
    let worst = found
        .iter()
        .zip(expected)
        .map(|(&a, &b)| (f64::from(a) - b).abs());
    worst.fold(0.0, f64::max) / scale
}

#[test]
fn golden_scores_and_edges_are_reproduced() {
    let Some(shared) = shared() else { return };
    for name in CASES {
        let case = Case::open(&shared, name);
        let values: Vec<ValueId> = case.layers.iter().map(|layer| layer.1).collect();
        let flow = Arc::new(Flow::new(&case.model.graph, &values, 5, SignedMeasure::Flow).unwrap());
        let mut session = flow.session();
        let mut expected = case.expected("flow.npz");
        let runner_ups = expected.integers("runner_up");
        // [layer]: all images one after the other.
        let mut scores = vec![Vec::new(); values.len()];
        let mut edges = vec![Vec::new(); values.len()];
        let mut logit_edges = Vec::new();
        for (image, (input, &label)) in case.images.iter().zip(&case.labels).enumerate() {
            let flow = session
                .scores(&input.data, &mut |logits| margin(logits, label))
                .unwrap();
            assert_eq!(runner_up(&flow.logits, label) as i64, runner_ups[image]);
            for (layer, own) in flow.scores.iter().enumerate() {
                scores[layer].extend_from_slice(own);
                let above = flow.scores.get(layer + 1).unwrap_or(&flow.logits);
                let all: Vec<usize> = (0..above.len()).collect();
                let found = session.edges(layer, &flow, &all).unwrap().concat();
                if layer + 1 == values.len() {
                    logit_edges.extend(found);
                } else {
                    edges[layer + 1].extend(found);
                }
            }
        }
        let mut worst: f64 = 0.0;
        for (layer, (tensor, _)) in case.layers.iter().enumerate() {
            let own = relative(&scores[layer], &expected.doubles(&format!("{tensor}.R")));
            worst = worst.max(own);
            assert!(
                own <= TOLERANCE,
                "{name}: R of {tensor} is off by {own:.1e}"
            );
            if layer > 0 {
                let own = relative(&edges[layer], &expected.doubles(&format!("{tensor}.E")));
                worst = worst.max(own);
                assert!(
                    own <= TOLERANCE,
                    "{name}: E into {tensor} is off by {own:.1e}"
                );
            }
        }
        let own = relative(&logit_edges, &expected.doubles("logits.E"));
        assert!(
            own <= TOLERANCE,
            "{name}: E into the logits is off by {own:.1e}"
        );
        println!("{name}: worst relative difference {:.1e}", worst.max(own));
    }
}

/// Replaces channels of one layer by given maps.
struct Replace<'a> {
    layer: ValueId,
    channel: usize,
    /// Row-major `[H, W]`.
    map: &'a [f32],
}

impl Hooks for Replace<'_> {
    fn edit(&mut self, value: ValueId, mut view: ImageViewMut<'_>) {
        if value != self.layer {
            return;
        }
        let [images, _, height, width] = view.shape();
        for image in 0..images {
            for row in 0..height {
                for column in 0..width {
                    view.pixel(image, row, column)[self.channel] = self.map[row * width + column];
                }
            }
        }
    }
}

#[test]
fn golden_interventions_are_reproduced() {
    let Some(shared) = shared() else { return };
    for name in CASES {
        let case = Case::open(&shared, name);
        let graph = &case.model.graph;
        let values: Vec<ValueId> = case.layers.iter().map(|layer| layer.1).collect();
        let options = CompileOptions {
            observed: values.clone(),
            ..CompileOptions::default()
        };
        let mut whole = Network::compile(graph, &options).unwrap().session();
        let channels = json(&case.folder.join("expected/interventions.json"));
        let mut expected = case.expected("interventions.npz");
        let mut worst: f64 = 0.0;
        for (tensor, value) in &case.layers {
            // The rest of the network alone, from the layer's activations.
            let (rest, _) = between(graph, *value, graph.output, &[]).unwrap();
            let mut rest = Network::compile(&rest, &CompileOptions::default())
                .unwrap()
                .session();
            let means = expected.doubles(&format!("{tensor}.mean_map"));
            let chosen = numbers(&channels["channels"][tensor.as_str()]);
            let plane = means.len() / chosen.len();
            for (kind, file) in [("mean", "mean_logits"), ("zero", "zero_logits")] {
                let mut found = Vec::new();
                for (number, &channel) in chosen.iter().enumerate() {
                    let channel = channel as usize;
                    let map: Vec<f32> = means[number * plane..(number + 1) * plane]
                        .iter()
                        .map(|&x| if kind == "mean" { x as f32 } else { 0.0 })
                        .collect();
                    for input in &case.images {
                        let mut activations = Vec::new();
                        whole
                            .run(&input.data, &mut |id, view| {
                                if id == *value {
                                    activations = view.to_vec();
                                }
                            })
                            .unwrap();
                        let mut replace = Replace {
                            layer: *value,
                            channel,
                            map: &map,
                        };
                        let hooked = whole.run_with(&input.data, &mut replace).unwrap();
                        activations[channel * plane..(channel + 1) * plane].copy_from_slice(&map);
                        let continued = rest.run(&activations, &mut |_, _| {}).unwrap();
                        for (a, b) in hooked.iter().zip(&continued) {
                            assert!((a - b).abs() < 1e-5, "{name}: {tensor}: {a} and {b}");
                        }
                        found.extend(hooked);
                    }
                }
                let own = relative(&found, &expected.doubles(&format!("{tensor}.{file}")));
                worst = worst.max(own);
                assert!(
                    own <= TOLERANCE,
                    "{name}: {kind} of {tensor} is off by {own:.1e}"
                );
            }
        }
        println!("{name}: worst relative difference {worst:.1e}");
    }
}

#[test]
fn flow_is_conserved_on_real_networks() {
    let Some(shared) = shared() else { return };
    for name in ["bvlc-googlenet", "squeezenet1_1", "efficientnet-lite0"] {
        let path = shared.join("models").join(name).with_extension("onnx");
        let model = load(&path, &LoadOptions::default()).unwrap();
        let shape = &model.graph.values[model.graph.input.index()].shape;
        let scale = if name == "efficientnet-lite0" {
            1.0
        } else {
            100.0
        };
        let input = common::samples::uniform(5, "image", shape, -scale, scale);
        for measure in [SignedMeasure::Flow, SignedMeasure::IntegratedGradients] {
            let worst = conservation(&model.graph, &input, 207, measure);
            let measure = measure.name();
            println!("{name}, {measure}: sums of edges differ from scores by {worst:.1e} at most");
            assert!(worst <= CONSERVATION, "{name}, {measure}: {worst:.1e}");
        }
    }
}

#[test]
fn less_memory_gives_the_same_edges_but_for_rounding() {
    let Some(shared) = shared() else { return };
    let case = Case::open(&shared, CASES[0]);
    let values: Vec<ValueId> = case.layers.iter().map(|layer| layer.1).collect();
    let graph = &case.model.graph;
    let all_edges = |max_bytes: usize| {
        let flow = Flow::within(graph, &values, 7, SignedMeasure::Flow, max_bytes).unwrap();
        let bytes = flow.session_bytes();
        let mut session = Arc::new(flow).session();
        let label = case.labels[0];
        let image = session
            .scores(&case.images[0].data, &mut |logits| margin(logits, label))
            .unwrap();
        let edges: Vec<Vec<f32>> = (0..values.len())
            .flat_map(|layer| {
                let above = image.scores.get(layer + 1).unwrap_or(&image.logits);
                let channels: Vec<usize> = (0..above.len()).collect();
                session.edges(layer, &image, &channels).unwrap()
            })
            .collect();
        (bytes, edges)
    };
    let (bytes, edges) = all_edges(usize::MAX);
    let (fewer_bytes, same_edges) = all_edges(1);
    assert!(fewer_bytes < bytes, "{fewer_bytes} of {bytes}");
    for (edges, same) in edges.iter().zip(&same_edges) {
        let expected: Vec<f64> = edges.iter().copied().map(f64::from).collect();
        let off = relative(same, &expected);
        assert!(off <= TOLERANCE, "off by {off:.1e}");
    }
    assert_eq!(edges.len(), same_edges.len());
}
