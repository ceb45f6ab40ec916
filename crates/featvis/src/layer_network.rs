//! The part of a network up to one layer, differentiated with respect to the picture.
//!
//! Place in the flow: between the transformed picture and the objective. Only what computes the layer
//! runs, at the size the layer's receptive field needs; a network tied to the extents of its file runs
//! at those. A [`LayerNetwork`] is shared, each worker has a [`LayerSession`].

use crate::{Objective, Style};
use std::sync::Arc;
use summit_images::Preprocessing;
use summit_nn::exec::{
    CompileError, CompileOptions, Hooks, Network, RunError, Session, TensorView,
};
use summit_nn::grad::{GradError, Request, between, derive};
use summit_nn::graph::ir::Unary;
use summit_nn::graph::{Graph, Node, Op, ValueId, prune, resized};
use summit_tables::{ChannelId, LayerInfo};

/// Sides of pictures are multiples of this, so that maps come out even.
const SIDE_STEP: u32 = 16;

/// Around what a unit sees, so that the picture may be moved.
const MARGIN: u32 = 24;

/// Why a layer cannot be visualised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeatureError {
    /// It cannot be differentiated.
    #[error(transparent)]
    Gradient(#[from] GradError),
    /// The derived network cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The network failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The layer does not depend on the picture.
    #[error("the layer does not depend on the picture: {0}")]
    Independent(String),
    /// The layer has fewer channels.
    #[error("the layer has {channels} channels, there is no channel {channel}")]
    NoChannel {
        /// Asked for.
        channel: u32,
        /// There are.
        channels: usize,
    },
}

/// Side of the picture that shows what a unit of `layer` sees, pixels: its receptive field and a
/// margin, at most `largest`.
#[must_use]
pub fn picture_side(layer: &LayerInfo, largest: u32) -> u32 {
    let [height, width] = layer.receptive_size;
    let wanted = height.max(width).saturating_add(MARGIN);
    wanted
        .checked_next_multiple_of(SIDE_STEP)
        .unwrap_or(largest)
        .min(largest)
}

/// The part of `graph` that computes `layer`, for pictures of `side` pixels, or of the network's own
/// extents where it allows no others; and the new ids of `keep`.
pub(crate) fn sub_network(
    graph: &Graph,
    layer: ValueId,
    keep: &[ValueId],
    side: u32,
) -> Result<(Graph, Vec<ValueId>), FeatureError> {
    let (part, kept) = between(graph, graph.input, layer, keep)?;
    let side = side as usize;
    Ok((resized(&part, [side, side]).unwrap_or(part), kept))
}

/// A network from the picture to a layer and back.
#[derive(Debug)]
pub struct LayerNetwork {
    network: Arc<Network>,
    seed: ValueId,
    gradient: ValueId,
    extents: [usize; 2],
    /// Per channel: what its activation function lets pass.
    ranges: Vec<Range>,
    positions: usize,
    preprocessing: Preprocessing,
}

/// Lowest and highest value of a channel; infinite where it has no activation function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    low: f32,
    high: f32,
}

impl Range {
    pub(crate) const ALL: Self = Self {
        low: f32::NEG_INFINITY,
        high: f32::INFINITY,
    };

    fn of(op: &Op) -> Option<Self> {
        match *op {
            Op::Unary(Unary::Relu) => Some(Self {
                low: 0.0,
                ..Self::ALL
            }),
            Op::Unary(Unary::Clip(min, max)) => Some(Self {
                low: min,
                high: max,
            }),
            _ => None,
        }
    }

    /// The activation.
    pub(crate) fn apply(self, value: f32) -> f32 {
        value.max(self.low).min(self.high)
    }

    /// The gradient passes.
    pub(crate) fn is_open(self, value: f32) -> bool {
        value > self.low && value < self.high
    }
}

/// Takes the layer's own activation function off the end of `part` (through a concatenation, off
/// every part of it) and says per channel what it was. A channel that is silent everywhere would have
/// no gradient otherwise, and could never be woken.
fn before_activation(part: &mut Graph) -> Vec<Range> {
    let producer = |part: &Graph, value: ValueId| {
        let node = part.values[value.index()].producer?;
        part.nodes.get(node.index()).cloned()
    };
    let plain = |part: &Graph, value: ValueId| match producer(part, value) {
        Some(node) => match (Range::of(&node.op), node.inputs.first()) {
            (Some(range), Some(&input)) => (range, input),
            _ => (Range::ALL, value),
        },
        None => (Range::ALL, value),
    };
    let channels = |part: &Graph, value: ValueId| {
        let shape = &part.values[value.index()].shape;
        shape.get(1).copied().unwrap_or(0)
    };
    let output = part.output;
    let ranges = match producer(part, output) {
        Some(Node {
            op: Op::Concat { axis: 1 },
            inputs,
            ..
        }) => {
            let parts: Vec<(Range, ValueId)> =
                inputs.iter().map(|&input| plain(part, input)).collect();
            if let Some(id) = part.values[output.index()].producer {
                part.nodes[id.index()].inputs = parts.iter().map(|(_, value)| *value).collect();
            }
            let runs = parts
                .iter()
                .map(|&(range, value)| vec![range; channels(part, value)]);
            runs.flatten().collect()
        }
        _ => {
            let (range, value) = plain(part, output);
            part.output = value;
            vec![range; channels(part, value)]
        }
    };
    *part = prune(part.clone(), &[]).0;
    ranges
}

impl LayerNetwork {
    /// The part of `graph` that computes `layer`, for pictures of `side` pixels, or of the network's
    /// own extents where it allows no others.
    ///
    /// # Errors
    /// When an operator cannot be differentiated.
    pub fn new(
        graph: &Graph,
        layer: ValueId,
        side: u32,
        preprocessing: &Preprocessing,
    ) -> Result<Self, FeatureError> {
        let (mut part, _) = sub_network(graph, layer, &[], side)?;
        let ranges = before_activation(&mut part);
        let mut request = Request::new(part.output, 1);
        request.wrt = vec![part.input];
        let derived = derive(&part, &request)?;
        let independent = || FeatureError::Independent(graph.values[layer.index()].name.clone());
        let gradient = derived.gradients.first().copied().flatten();
        let gradient = gradient.ok_or_else(independent)?;
        let shape = |value: ValueId| derived.graph.values[value.index()].shape.as_slice();
        let (&[_, _, height, width], [_, _, positions @ ..]) =
            (shape(derived.graph.input), shape(derived.graph.output))
        else {
            return Err(independent());
        };
        let extents = [height, width];
        let positions = positions.iter().product();
        let options = CompileOptions {
            observed: vec![gradient],
            ..CompileOptions::default()
        };
        Ok(Self {
            network: Network::compile(&derived.graph, &options)?,
            seed: derived.seed,
            gradient,
            extents,
            ranges,
            positions,
            preprocessing: preprocessing.clone(),
        })
    }

    /// `[height, width]` of its pictures.
    #[must_use]
    pub fn extents(&self) -> [usize; 2] {
        self.extents
    }

    /// A worker's memory.
    #[must_use]
    pub fn session(self: &Arc<Self>) -> LayerSession {
        LayerSession {
            session: self.network.session(),
            network: Arc::clone(self),
            input: Vec::new(),
            gradient: Vec::new(),
        }
    }
}

/// Runs a [`LayerNetwork`].
#[derive(Debug)]
pub struct LayerSession {
    network: Arc<LayerNetwork>,
    session: Session,
    input: Vec<f32>,
    gradient: Vec<f32>,
}

/// A layer's answer to a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    /// The objective's value.
    pub(crate) objective: f32,
    /// `[C]`: the largest activation, over positions.
    pub(crate) maxima: Vec<f32>,
}

impl LayerSession {
    /// The network it runs.
    #[must_use]
    pub fn network(&self) -> &Arc<LayerNetwork> {
        &self.network
    }

    /// The style of a picture at this layer.
    ///
    /// # Errors
    /// The network's values left the range of numbers.
    pub fn style(&mut self, picture: &[f32]) -> Result<Style, FeatureError> {
        self.network
            .preprocessing
            .apply_unit(picture, &mut self.input);
        let output = self.network.network.graph().output;
        let mut map = Vec::new();
        self.session.run(&self.input, &mut |value, view| {
            if value == output {
                map = view.to_vec();
            }
        })?;
        let positions = self.network.positions;
        for (plane, range) in map
            .chunks_exact_mut(positions.max(1))
            .zip(&self.network.ranges)
        {
            plane
                .iter_mut()
                .for_each(|value| *value = range.apply(*value));
        }
        Ok(Style::new(&map, positions))
    }

    /// Checks that the objective's channels exist.
    pub(crate) fn check(&self, objective: &Objective) -> Result<(), FeatureError> {
        let channels = self.network.ranges.len();
        match objective.last_channel() {
            Some(ChannelId(channel)) if channel as usize >= channels => {
                Err(FeatureError::NoChannel { channel, channels })
            }
            _ => Ok(()),
        }
    }

    /// Runs the layer on `picture` and writes the gradient of the objective with respect to it to
    /// `upstream`, both `[3, H, W]`.
    pub(crate) fn step(
        &mut self,
        picture: &[f32],
        objective: &Objective,
        upstream: &mut [f32],
    ) -> Result<Answer, FeatureError> {
        self.network
            .preprocessing
            .apply_unit(picture, &mut self.input);
        let mut watcher = Watcher {
            network: &self.network,
            objective,
            map: Vec::new(),
            gradient: &mut self.gradient,
        };
        self.session.run_with(&self.input, &mut watcher)?;
        let network = &self.network;
        let (ranges, positions) = (&network.ranges, network.positions);
        let answer = Answer {
            objective: objective.value(&watcher.map, ranges, positions),
            maxima: maxima(&watcher.map, ranges, positions),
        };
        self.network
            .preprocessing
            .apply_unit_adjoint(&self.gradient, upstream);
        Ok(answer)
    }
}

/// Takes part in a run on behalf of a step.
struct Watcher<'a> {
    network: &'a LayerNetwork,
    objective: &'a Objective,
    /// `[C, positions]`, before the activation function.
    map: Vec<f32>,
    gradient: &'a mut Vec<f32>,
}

impl Hooks for Watcher<'_> {
    fn observe(&mut self, value: ValueId, view: TensorView<'_>) {
        if value == self.network.network.graph().output {
            self.map = view.to_vec();
        }
        if value == self.network.gradient {
            *self.gradient = view.to_vec();
        }
    }

    fn feed(&mut self, value: ValueId, data: &mut [f32]) {
        if value == self.network.seed {
            let (ranges, positions) = (&self.network.ranges, self.network.positions);
            self.objective.seed(&self.map, ranges, positions, data);
        }
    }
}

/// `[C]`: the largest activation of each channel.
fn maxima(map: &[f32], ranges: &[Range], positions: usize) -> Vec<f32> {
    let planes = map.chunks_exact(positions.max(1)).zip(ranges);
    let largest = |(plane, range): (&[f32], &Range)| {
        range.apply(plane.iter().copied().fold(f32::NEG_INFINITY, f32::max))
    };
    planes.map(largest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{named, network, preprocessing};

    #[test]
    fn gradients_are_finite_differences() {
        let graph = network(20);
        // A layer behind ReLU, one that concatenates ReLUs, a linear one, the logits.
        for (name, channel) in [
            ("relu1", 1),
            ("joined", 2),
            ("joined", 0),
            ("linear", 0),
            ("scores", 1),
        ] {
            let layer = named(&graph, name);
            let network =
                Arc::new(LayerNetwork::new(&graph, layer, 16, &preprocessing(20)).unwrap());
            let [height, width] = network.extents();
            assert_eq!(
                [height, width],
                if name == "scores" { [20, 20] } else { [16, 16] }
            );
            let mut session = network.session();
            let picture: Vec<f32> = (0..3 * height * width)
                .map(|k| 0.5 + 0.4 * (k as f32 * 1.7).sin())
                .collect();
            let objective = Objective::channel(ChannelId(channel));
            let mut upstream = vec![0.0; picture.len()];
            let mut value = |picture: &[f32], upstream: &mut [f32]| {
                session
                    .step(picture, &objective, upstream)
                    .unwrap()
                    .objective
            };
            value(&picture, &mut upstream);
            let largest = upstream.iter().fold(0.0f32, |a, b| a.max(b.abs()));
            assert!(largest > 0.0, "{name}");
            let h = 2e-3;
            for index in (0..picture.len()).step_by(23) {
                let mut moved = picture.clone();
                let mut scratch = vec![0.0; picture.len()];
                moved[index] += h;
                let high = value(&moved, &mut scratch);
                moved[index] -= 2.0 * h;
                let low = value(&moved, &mut scratch);
                let expected = (high - low) / (2.0 * h);
                let error = (upstream[index] - expected).abs();
                assert!(
                    error < 0.05 * largest,
                    "{name} {index}: {error} of {largest}"
                );
            }
        }
    }

    #[test]
    fn the_picture_is_as_large_as_a_unit_sees_and_no_larger() {
        let layer = |size| LayerInfo {
            id: summit_tables::LayerId(0),
            name: String::new(),
            channels: 1,
            height: 1,
            width: 1,
            signed: false,
            receptive_stride: [1.0; 2],
            receptive_size: size,
            receptive_start: [0.0; 2],
            is_cut: true,
        };
        assert_eq!(picture_side(&layer([7, 7]), 128), 32);
        assert_eq!(picture_side(&layer([60, 40]), 128), 96);
        assert_eq!(picture_side(&layer([171, 171]), 128), 128);
        assert_eq!(picture_side(&layer([u32::MAX; 2]), 96), 96);
    }
}
