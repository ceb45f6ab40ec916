//! Runs one image forwards and backwards and makes its graph.

use super::compare::Comparison;
use crate::network::RunNetwork;
use anyhow::{Context, Result};
use serde::Serialize;
use summit_explain::graph::GraphNode;
use summit_explain::{
    AttributionGraph, GraphParameters, GroupTables, Measure, SelectionParameters, TargetClass,
    class_name,
};
use summit_images::DecodedImage;
use summit_influence::{
    Ablation, Explained, GroupRequest, Images, Maps, Member, Subject, group_flow,
};
use summit_nn::flow::SignedMeasure;
use summit_query::{Questions, graph_of_flow};
use summit_summarize::Prediction;
use summit_tables::{
    ClassId, FlowHeader, FlowTables, ImageId, LayerInfo, TopRule, top_channels_of,
};

/// Version of the JSON; raised with every change a reader must know of.
const SCHEMA_VERSION: u32 = 1;

/// Name of the group that the photograph is.
const THIS_IMAGE: &str = "this image";

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
    /// Of all layers.
    pub maps: Maps,
}

/// Explains `class`, or the prediction.
pub fn measure(
    questions: &Questions,
    network: &RunNetwork,
    photo: &DecodedImage,
    class: Option<ClassId>,
    threshold: f64,
) -> Result<Measured> {
    let preprocessing = &network.preprocessing;
    let mut input = vec![0.0; preprocessing.output_len()];
    preprocessing.apply(photo, &mut input)?;
    let input = Photo(input);
    let subject = Subject {
        graph: &network.model.graph,
        layers: &network.values(),
        images: &input,
        threads: 1,
    };
    let (logits, maps) = forward(&subject, &input)?;
    let prediction = Prediction::new(&logits, class);
    let explained = class.or(prediction.top_classes.first().copied());
    let explained = explained.context("the network has no classes")?;
    let named = |class| NamedClass {
        class,
        name: class_name(questions.classes(), class),
    };
    let class = named(explained);
    let layers: Vec<LayerInfo> = questions.layers().to_vec();
    let flow = flow(&subject, explained, threshold)?;
    let top_rule = questions.top_rule();
    let graph = graph(&layers, top_rule, &maps, &flow, &class)?;
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
            channels: channels(&graph, &layers, &maps),
            graph,
            comparison: None,
        },
        pixels: preprocessing.input_pixels(photo)?,
        layers,
        maps,
    })
}

/// The network's input for the photograph, whatever image is asked for.
pub struct Photo(pub Vec<f32>);

impl Images for Photo {
    fn input(&self, _: ImageId) -> Result<Vec<f32>, String> {
        Ok(self.0.clone())
    }
}

fn forward(subject: &Subject<'_>, input: &Photo) -> Result<(Vec<f32>, Maps)> {
    let network = Ablation::new(subject)?;
    let mut maps = vec![Vec::new(); subject.layers.len()];
    let logits = network.run(&mut network.session(), &input.0, &mut |layer, _, pixel| {
        maps[layer].extend_from_slice(pixel);
    })?;
    Ok((logits, Maps(maps)))
}

/// The photograph as a group of one image.
fn flow(subject: &Subject<'_>, class: ClassId, mass: f64) -> Result<FlowTables> {
    let measure = SignedMeasure::Flow;
    let members = [Member {
        image: ImageId(0),
        explained: Explained::Margin(class),
    }];
    let found = group_flow(
        subject,
        &GroupRequest {
            name: THIS_IMAGE,
            members: &members,
            measure,
            mass,
        },
    )?;
    Ok(found.tables(FlowHeader {
        measure: measure.name().to_owned(),
        group: THIS_IMAGE.to_owned(),
        images: found.images,
        mass,
    }))
}

fn graph(
    layers: &[LayerInfo],
    top_rule: TopRule,
    maps: &Maps,
    flow: &FlowTables,
    target: &NamedClass,
) -> Result<AttributionGraph> {
    let counts: Vec<Vec<u32>> = layers
        .iter()
        .zip(&maps.0)
        .map(|(layer, map)| top_channels(top_rule, layer, map))
        .collect();
    let rows: Vec<&[u32]> = counts.iter().map(Vec::as_slice).collect();
    let tables = GroupTables {
        layers,
        name: THIS_IMAGE,
        images: 1,
        counts: &rows,
        targets: &[TargetClass {
            class: target.class,
            name: target.name.clone(),
        }],
        contrast: None,
    };
    let parameters = GraphParameters {
        top_rule,
        selection: SelectionParameters {
            start_threshold: flow.header.mass,
            ..SelectionParameters::default()
        },
        negative_edges: true,
        ..GraphParameters::default()
    };
    Ok(graph_of_flow(&tables, Measure::Flow, flow, &parameters)?)
}

/// 1 where a channel is among the image's top channels.
fn top_channels(rule: TopRule, layer: &LayerInfo, map: &[f32]) -> Vec<u32> {
    let largest = |channel: usize| plane(layer, map, channel).fold(f32::NEG_INFINITY, f32::max);
    let channels = layer.channels as usize;
    let maxima: Vec<f32> = (0..channels).map(largest).collect();
    let mut counts = vec![0; channels];
    for (channel, _) in top_channels_of(&maxima, rule, &[]) {
        if let Some(count) = counts.get_mut(channel.index()) {
            *count = 1;
        }
    }
    counts
}

/// The map of a channel, row by row, out of a layer's `[H, W, C]`.
pub fn plane<'a>(
    layer: &LayerInfo,
    map: &'a [f32],
    channel: usize,
) -> impl Iterator<Item = f32> + use<'a> {
    let step = layer.channels.max(1) as usize;
    map.iter().skip(channel).step_by(step).copied()
}

fn channels(graph: &AttributionGraph, layers: &[LayerInfo], maps: &Maps) -> Vec<ImageChannel> {
    let of_node = |node: &GraphNode| {
        let layer = layers.get(node.layer as usize)?;
        let map = maps.0.get(node.layer as usize)?;
        let mut best = (0, f32::NEG_INFINITY);
        for (place, value) in plane(layer, map, node.channel.index()).enumerate() {
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
