//! Runs one image forwards and backwards and makes its graph.

use crate::model::RunModel;
use anyhow::{Context, Result};
use serde::Serialize;
use std::sync::Arc;
use summit_explain::{
    AttributionGraph, Estimate, FlowEdge, FlowGraphInput, GraphParameters, GroupTables,
    SelectionParameters, TargetClass, flow_graph, mass_cut,
};
use summit_images::DecodedImage;
use summit_nn::flow::{Flow, FlowSession, ImageFlow};
use summit_site::{class_name, graphs::top_rule};
use summit_store::Run;
use summit_summarize::Prediction;
use summit_tables::{ChannelId, ClassId, LayerId, LayerInfo, top_channels_of};

use super::compare::Comparison;

/// Version of the JSON; raised with every change a reader must know of.
const SCHEMA_VERSION: u32 = 1;

/// Channels followed backwards at once.
const MASKS: usize = 16;

/// Inputs of a channel that count among its largest (docs/method.md).
const LARGEST: usize = 5;

/// What is known of one image.
#[derive(Debug, Serialize)]
pub struct Explanation {
    pub schema_version: u32,
    /// The file.
    pub image: String,
    /// `[width, height]`, pixels.
    pub size: [u32; 2],
    /// The most probable classes.
    pub prediction: Vec<PredictedClass>,
    /// The class explained: its logit less that of the runner-up.
    pub class: NamedClass,
    pub runner_up: NamedClass,
    /// Logit of the class less that of the runner-up.
    pub margin: f32,
    /// By flow, of this image alone.
    pub graph: AttributionGraph,
    /// The graph's channels, by layer and falling score.
    pub channels: Vec<ImageChannel>,
    /// With the graph of the class in the run; absent where the run has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// A class by number and name.
#[derive(Clone, Debug, Serialize)]
pub struct NamedClass {
    pub class: ClassId,
    pub name: String,
}

/// One line of the prediction.
#[derive(Debug, Serialize)]
pub struct PredictedClass {
    #[serde(flatten)]
    pub class: NamedClass,
    pub probability: f32,
}

/// A channel of the image's graph.
#[derive(Debug, Serialize)]
pub struct ImageChannel {
    pub layer: u32,
    pub channel: u32,
    /// R, logits.
    pub score: f64,
    /// Largest activation.
    pub activation: f32,
    /// Its first position.
    pub row: usize,
    pub column: usize,
}

/// An explanation with what its pictures are drawn from.
pub struct Measured {
    pub explanation: Explanation,
    /// The input, `[H, W, 3]`.
    pub pixels: DecodedImage,
    /// Per layer.
    pub layers: Vec<LayerInfo>,
    /// Per layer, `[C, H, W]`.
    pub activations: Vec<Vec<f32>>,
}

/// Explains `class`, or the prediction.
pub fn measure(
    run: &Run,
    loaded: &RunModel,
    photo: &DecodedImage,
    class: Option<ClassId>,
    threshold: f64,
) -> Result<Measured> {
    let RunModel {
        model,
        layers,
        preprocessing,
    } = loaded;
    let mut input = vec![0.0; preprocessing.output_len()];
    preprocessing.apply(photo, &mut input)?;
    let values: Vec<_> = layers.iter().map(|layer| layer.value).collect();
    let flow = Arc::new(Flow::new(&model.graph, &values, MASKS)?);
    let mut session = flow.session();
    let image = session.scores(&input, &mut |logits| margin_gradient(logits, class))?;
    let prediction = Prediction::new(&image.logits, class);
    let explained = class.or(prediction.top_classes.first().copied());
    let explained = explained.context("the network has no classes")?;
    let names = &run.manifest().spec.classes;
    let named = |class| NamedClass {
        class,
        name: class_name(names, class),
    };
    let class = named(explained);
    let infos: Vec<LayerInfo> = layers.iter().map(|layer| layer.info.clone()).collect();
    let graph = graph(run, &infos, &mut session, &image, &class, threshold)?;
    let classes = prediction
        .top_classes
        .iter()
        .zip(&prediction.top_probabilities);
    Ok(Measured {
        explanation: Explanation {
            schema_version: SCHEMA_VERSION,
            image: String::new(),
            size: [photo.width(), photo.height()],
            prediction: classes
                .map(|(&class, &probability)| PredictedClass {
                    class: named(class),
                    probability,
                })
                .collect(),
            class,
            runner_up: named(prediction.runner_up),
            margin: prediction.margin,
            channels: channels(&graph, &infos, &image),
            graph,
            comparison: None,
        },
        pixels: preprocessing.input_pixels(photo)?,
        layers: infos,
        activations: image.activations,
    })
}

/// 1 at the class, -1 at the runner-up.
fn margin_gradient(logits: &[f32], class: Option<ClassId>) -> Vec<f32> {
    let prediction = Prediction::new(logits, class);
    let explained = class.or(prediction.top_classes.first().copied());
    let mut gradient = vec![0.0; logits.len()];
    for (class, sign) in [(explained, 1.0), (Some(prediction.runner_up), -1.0)] {
        let slot = class.and_then(|class| gradient.get_mut(class.index()));
        slot.into_iter().for_each(|slot| *slot += sign);
    }
    gradient
}

fn graph(
    run: &Run,
    layers: &[LayerInfo],
    session: &mut FlowSession,
    image: &ImageFlow,
    target: &NamedClass,
    threshold: f64,
) -> Result<AttributionGraph> {
    let scores: Vec<Vec<f64>> = image
        .scores
        .iter()
        .map(|layer| layer.iter().map(|&score| f64::from(score)).collect())
        .collect();
    let kept: Vec<Vec<ChannelId>> = scores
        .iter()
        .map(|scores| mass_cut(scores, threshold))
        .collect();
    let mut edges = Vec::new();
    for (lower, activation) in image.activations.iter().enumerate() {
        // Above the last layer the class stands in for channels.
        let (gradient, upper) = match image.gradients.get(lower + 1).zip(kept.get(lower + 1)) {
            Some((gradient, kept)) => (gradient, kept.clone()),
            None => (&image.seed, vec![ChannelId(target.class.0)]),
        };
        let indices: Vec<usize> = upper.iter().map(|channel| channel.index()).collect();
        let found = session.edges(lower, activation, gradient, &indices)?;
        for (&to, row) in upper.iter().zip(&found) {
            edges.extend(largest(row).map(|(from, effect)| FlowEdge {
                lower: LayerId::from_index(lower),
                from,
                to,
                effect: single(effect),
                top_images: 1,
            }));
        }
    }
    let counts: Vec<Vec<u32>> = layers
        .iter()
        .zip(&image.activations)
        .map(|(layer, map)| top_channels(run, layer, map))
        .collect();
    let rows: Vec<&[u32]> = counts.iter().map(Vec::as_slice).collect();
    let targets = [TargetClass {
        class: target.class,
        name: target.name.clone(),
    }];
    let tables = GroupTables {
        layers,
        name: "this image",
        images: 1,
        counts: &rows,
        targets: &targets,
    };
    let estimates: Vec<Vec<Option<Estimate>>> = scores
        .iter()
        .map(|layer| layer.iter().map(|&score| Some(single(score))).collect())
        .collect();
    let input = FlowGraphInput {
        scores: &estimates,
        edges: &edges,
    };
    let parameters = GraphParameters {
        top_rule: top_rule(run),
        selection: SelectionParameters {
            start_threshold: threshold,
            ..SelectionParameters::default()
        },
        negative_edges: true,
        ..GraphParameters::default()
    };
    Ok(flow_graph(&tables, &input, &parameters)?)
}

fn single(mean: f64) -> Estimate {
    Estimate {
        mean,
        interval: None,
    }
}

/// The largest |E| > 0 of a channel, ties by lower input.
fn largest(row: &[f32]) -> impl Iterator<Item = (ChannelId, f64)> {
    let mut order: Vec<usize> = (0..row.len()).filter(|&i| row[i] != 0.0).collect();
    order.sort_by(|&a, &b| row[b].abs().total_cmp(&row[a].abs()).then(a.cmp(&b)));
    order.truncate(LARGEST);
    let effects: Vec<_> = order
        .into_iter()
        .map(|index| (ChannelId::from_index(index), f64::from(row[index])))
        .collect();
    effects.into_iter()
}

/// 1 where a channel is among the image's top channels.
fn top_channels(run: &Run, layer: &LayerInfo, map: &[f32]) -> Vec<u32> {
    let maxima: Vec<f32> = planes(layer, map)
        .map(|plane| plane.iter().copied().fold(f32::NEG_INFINITY, f32::max))
        .collect();
    let mut counts = vec![0; layer.channels as usize];
    for (channel, _) in top_channels_of(&maxima, top_rule(run), &[]) {
        if let Some(count) = counts.get_mut(channel.index()) {
            *count = 1;
        }
    }
    counts
}

/// The map of each channel.
pub fn planes<'a>(layer: &LayerInfo, map: &'a [f32]) -> impl Iterator<Item = &'a [f32]> {
    map.chunks_exact((layer.height * layer.width).max(1) as usize)
}

fn channels(
    graph: &AttributionGraph,
    layers: &[LayerInfo],
    image: &ImageFlow,
) -> Vec<ImageChannel> {
    let of_node = |node: &summit_explain::graph::GraphNode| {
        let layer = layers.get(node.layer as usize)?;
        let map = image.activations.get(node.layer as usize)?;
        let plane = planes(layer, map).nth(node.channel.index())?;
        let mut best = (0, f32::NEG_INFINITY);
        for (place, &value) in plane.iter().enumerate() {
            if value > best.1 {
                best = (place, value);
            }
        }
        Some(ImageChannel {
            layer: node.layer,
            channel: node.channel.0,
            score: node.score?.mean,
            activation: best.1,
            row: best.0 / layer.width.max(1) as usize,
            column: best.0 % layer.width.max(1) as usize,
        })
    };
    let mut channels: Vec<ImageChannel> = graph.nodes.iter().filter_map(of_node).collect();
    channels.sort_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score);
        a.layer
            .cmp(&b.layer)
            .then(by_score)
            .then(a.channel.cmp(&b.channel))
    });
    channels
}
