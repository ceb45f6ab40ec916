//! `flow` influence of one image: signed, conserved, defined for any network (method.md section 3.2).
//!
//! ```text
//! scores: R_i    = < dz/da_i , a_i >                 one forward and one backward pass
//! edges:  E_i->j = < dz/da_j , (da_j/da_i) a_i >     one backward pass of a block per j, many at once;
//!                                                    one weight gradient where a block is one convolution
//! ```
//!
//! Sums run over positions. Because layers are cuts, `sum_j E_i->j = R_i`. What no input explains,
//! `R_j - sum_i E_i->j`, is the bias share of j.
//!
//! Two relatives go the same way: with derivatives averaged on the straight line from the all-zero
//! input to the image ([`SignedMeasure::IntegratedGradients`]), and with the rules of layer-wise
//! relevance propagation in place of derivatives ([`SignedMeasure::Lrp`]).

mod block;
mod totals;

use crate::exec::{CompileError, CompileOptions, Hooks, Network, RunError, Session, TensorView};
use crate::grad::{Derived, GradError, GradientRule, Request, derive};
use crate::graph::{Graph, ValueId};
use block::Block;
use std::sync::Arc;
pub use totals::Totals;

/// Why the flow of a network cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    /// It cannot be differentiated.
    #[error(transparent)]
    Gradient(#[from] GradError),
    /// The derived network cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

/// What a signed score or edge is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignedMeasure {
    /// Gradient times activation.
    #[default]
    Flow,
    /// The same with the gradient averaged at the multiples 1/5, 2/5, ..., 1 of the input
    /// (integrated gradients on the input, as in EAP-IG, arXiv 2403.17806).
    IntegratedGradients,
    /// Relevance under the gamma rule (`gamma` 0.25, `epsilon` 1e-6).
    Lrp,
}

impl SignedMeasure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Flow, Self::IntegratedGradients, Self::Lrp];

    /// The name on the command line and in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::IntegratedGradients => "flow-ig",
            Self::Lrp => "lrp",
        }
    }

    /// Inputs the gradient is averaged over.
    fn steps(self) -> usize {
        match self {
            Self::IntegratedGradients => 5,
            Self::Flow | Self::Lrp => 1,
        }
    }

    fn rule(self) -> GradientRule {
        match self {
            Self::Flow | Self::IntegratedGradients => GradientRule::Plain,
            Self::Lrp => GradientRule::LrpGamma {
                gamma: 0.25,
                epsilon: 1e-6,
            },
        }
    }
}

/// Networks for the scores of all layers and for the edges of every block; shared by workers.
#[derive(Debug)]
pub struct Flow {
    measure: SignedMeasure,
    scores: Arc<Network>,
    seed: ValueId,
    /// Per layer: activations, gradient, scores in the derived graph.
    layers: Vec<Watched>,
    blocks: Vec<Block>,
}

/// Values of one layer in the derived graph of all scores.
#[derive(Clone, Copy, Debug)]
struct Watched {
    activation: Option<ValueId>,
    gradient: Option<ValueId>,
    scores: Option<ValueId>,
}

/// What one image says of every layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageFlow {
    /// `[classes]`
    pub logits: Vec<f32>,
    /// `dz/dlogits`, `[classes]`.
    pub seed: Vec<f32>,
    /// Per layer `[C]`: R.
    pub scores: Vec<Vec<f32>>,
    /// The image itself last; before it, for integrated gradients, its fractions. Empty where only
    /// scores were asked for.
    pub points: Vec<FlowPoint>,
}

/// One run of the network, as edges need it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowPoint {
    /// Per layer `[C, H, W]`: activations.
    pub activations: Vec<Vec<f32>>,
    /// Per layer `[C, H, W]`: dz/da.
    pub gradients: Vec<Vec<f32>>,
}

impl Flow {
    /// Prepares the flow through `layers` (input side first) to the graph's output. `masks` channels
    /// of a layer are followed at once, which takes as many gradients' memory; 0 gives scores only,
    /// at the least cost.
    ///
    /// # Errors
    /// When an operator cannot be differentiated, or a layer is no cut.
    pub fn new(
        graph: &Graph,
        layers: &[ValueId],
        masks: usize,
        measure: SignedMeasure,
    ) -> Result<Self, FlowError> {
        Self::within(graph, layers, masks, measure, usize::MAX)
    }

    /// [`Flow::new`] with fewer masks at once in blocks where a session would take more than
    /// `max_bytes` for them; one mask is always followed.
    ///
    /// # Errors
    /// As [`Flow::new`].
    pub fn within(
        graph: &Graph,
        layers: &[ValueId],
        masks: usize,
        measure: SignedMeasure,
        max_bytes: usize,
    ) -> Result<Self, FlowError> {
        let averaged = measure.steps() > 1;
        let maps = if averaged || masks > 0 { layers } else { &[] };
        let all = derive(
            graph,
            &Request {
                from: graph.output,
                masks: 1,
                wrt: maps.to_vec(),
                weights: Vec::new(),
                scores: if averaged { &[] } else { layers }.to_vec(),
                keep: maps.to_vec(),
                rule: measure.rule(),
            },
        )?;
        let watched: Vec<Watched> = (0..layers.len())
            .map(|index| Watched {
                activation: all.keep.get(index).copied(),
                gradient: all.gradients.get(index).copied().flatten(),
                scores: all.scores.get(index).copied().flatten(),
            })
            .collect();
        let tops = layers.iter().skip(1).chain([&graph.output]);
        let blocks = layers
            .iter()
            .zip(tops)
            .filter(|_| masks > 0)
            .map(|(&lower, &upper)| Block::new(graph, lower, upper, masks, measure, max_bytes))
            .collect::<Result<_, _>>()?;
        let observed = watched
            .iter()
            .flat_map(|layer| [layer.activation, layer.gradient, layer.scores])
            .flatten();
        Ok(Self {
            measure,
            scores: compile(&all, observed.collect())?,
            seed: all.seed,
            layers: watched,
            blocks,
        })
    }

    /// Channels of each layer.
    fn channels(&self) -> Vec<usize> {
        let values = &self.scores.graph().values;
        let of = |id: ValueId| values.get(id.index())?.shape.get(1).copied();
        let layers = self.layers.iter();
        layers
            .map(|layer| layer.activation.and_then(of).unwrap_or(0))
            .collect()
    }

    /// Bytes a session holds, weights not counted.
    #[must_use]
    pub fn session_bytes(&self) -> usize {
        let blocks = self.blocks.iter().map(Block::network);
        let networks = blocks.chain([&self.scores]);
        networks.map(|network| network.session_bytes()).sum()
    }

    /// A worker's memory.
    #[must_use]
    pub fn session(self: &Arc<Self>) -> FlowSession {
        FlowSession {
            scores: self.scores.session(),
            blocks: self
                .blocks
                .iter()
                .map(|block| block.network().session())
                .collect(),
            flow: Arc::clone(self),
        }
    }
}

fn compile(derived: &Derived, observed: Vec<ValueId>) -> Result<Arc<Network>, CompileError> {
    let options = CompileOptions {
        observed,
        ..CompileOptions::default()
    };
    Network::compile(&derived.graph, &options)
}

/// Runs the networks of a [`Flow`].
#[derive(Debug)]
pub struct FlowSession {
    flow: Arc<Flow>,
    scores: Session,
    blocks: Vec<Session>,
}

impl FlowSession {
    /// Scores of all channels of all layers for one preprocessed image, row-major `[1, C, H, W]`.
    /// `explain` turns the logits into the gradient of the explained score with respect to them
    /// (for the margin of class c: 1 at c, -1 at the runner-up).
    ///
    /// # Errors
    /// When the extent is wrong or the logits are not finite.
    pub fn scores(
        &mut self,
        input: &[f32],
        explain: &mut dyn FnMut(&[f32]) -> Vec<f32>,
    ) -> Result<ImageFlow, RunError> {
        let flow = Arc::clone(&self.flow);
        let steps = flow.measure.steps();
        let mut found = self.run_at(&flow, input, explain)?;
        // The runner-up is that of the image, all the way.
        let seed = found.seed.clone();
        let mut points = Vec::new();
        for step in 1..steps {
            let fraction = step as f32 / steps as f32;
            let scaled: Vec<f32> = input.iter().map(|value| value * fraction).collect();
            let at = self.run_at(&flow, &scaled, &mut |_| seed.clone())?;
            points.extend(at.points);
        }
        points.append(&mut found.points);
        found.points = points;
        if steps > 1 {
            found.scores = averaged(&found.points, &flow.channels());
        }
        Ok(found)
    }

    fn run_at(
        &mut self,
        flow: &Flow,
        input: &[f32],
        explain: &mut dyn FnMut(&[f32]) -> Vec<f32>,
    ) -> Result<ImageFlow, RunError> {
        let count = flow.layers.len();
        let mut watcher = Watcher {
            output: flow.scores.graph().output,
            seed: flow.seed,
            layers: &flow.layers,
            explain,
            found: ImageFlow {
                scores: vec![Vec::new(); count],
                ..ImageFlow::default()
            },
            point: FlowPoint {
                activations: vec![Vec::new(); count],
                gradients: vec![Vec::new(); count],
            },
        };
        self.scores.run_with(input, &mut watcher)?;
        let Watcher {
            mut found, point, ..
        } = watcher;
        if flow.layers.iter().any(|layer| layer.activation.is_some()) {
            found.points.push(point);
        }
        Ok(found)
    }

    /// Edges into `channels` of the layer above `layer` (into logits above the last layer):
    /// `[channels][C]`, for an image of which [`FlowSession::scores`] gave `flow`.
    ///
    /// # Errors
    /// When there is no such layer or channel, or the flow was prepared without edges.
    pub fn edges(
        &mut self,
        layer: usize,
        flow: &ImageFlow,
        channels: &[usize],
    ) -> Result<Vec<Vec<f32>>, RunError> {
        let own = Arc::clone(&self.flow);
        let missing = |expected: usize| RunError::Input { expected, found: 0 };
        let (Some(block), Some(session)) = (own.blocks.get(layer), self.blocks.get_mut(layer))
        else {
            return Err(missing(layer));
        };
        let image = flow.points.last().and_then(|p| p.activations.get(layer));
        let image = image.ok_or_else(|| missing(1))?;
        let mut sums: Vec<Vec<f32>> = Vec::new();
        for point in &flow.points {
            let activation = point.activations.get(layer).ok_or_else(|| missing(1))?;
            let gradient = point.gradients.get(layer + 1).unwrap_or(&flow.seed);
            let found = block.edges(session, activation, gradient, image, channels)?;
            if sums.is_empty() {
                sums = found;
                continue;
            }
            for (sum, more) in sums.iter_mut().flatten().zip(found.iter().flatten()) {
                *sum += more;
            }
        }
        let count = flow.points.len() as f32;
        sums.iter_mut().flatten().for_each(|sum| *sum /= count);
        Ok(sums)
    }
}

/// Per channel `< gradient, activation >` of gradients `[images, C, H, W]` and one map `[C, H, W]`.
fn dots(gradients: &[f32], activation: &[f32], channels: usize) -> Vec<f32> {
    let plane = (activation.len() / channels.max(1)).max(1);
    let dot = |(a, b): (&[f32], &[f32])| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    gradients
        .chunks_exact(activation.len().max(1))
        .flat_map(|gradient| {
            gradient
                .chunks_exact(plane)
                .zip(activation.chunks_exact(plane))
                .map(dot)
        })
        .collect()
}

/// Per layer `[C]`: scores from the mean gradient of all points and the activations of the last.
fn averaged(points: &[FlowPoint], channels: &[usize]) -> Vec<Vec<f32>> {
    let Some(image) = points.last() else {
        return Vec::new();
    };
    let layers = image.activations.iter().zip(channels).enumerate();
    layers
        .map(|(layer, (activation, &channels))| {
            let mut mean = vec![0.0; activation.len()];
            for point in points {
                for (mean, gradient) in mean.iter_mut().zip(&point.gradients[layer]) {
                    *mean += gradient / points.len() as f32;
                }
            }
            dots(&mean, activation, channels)
        })
        .collect()
}

/// Collects what [`FlowSession::scores`] returns.
struct Watcher<'a> {
    output: ValueId,
    seed: ValueId,
    layers: &'a [Watched],
    explain: &'a mut dyn FnMut(&[f32]) -> Vec<f32>,
    found: ImageFlow,
    point: FlowPoint,
}

impl Hooks for Watcher<'_> {
    fn observe(&mut self, value: ValueId, view: TensorView<'_>) {
        if value == self.output {
            self.found.logits = view.to_vec();
        }
        for (index, layer) in self.layers.iter().enumerate() {
            if Some(value) == layer.activation {
                self.point.activations[index] = view.to_vec();
            }
            if Some(value) == layer.gradient {
                self.point.gradients[index] = view.to_vec();
            }
            if Some(value) == layer.scores {
                self.found.scores[index] = view.to_vec();
            }
        }
    }

    fn feed(&mut self, value: ValueId, data: &mut [f32]) {
        if value == self.seed {
            self.found.seed = (self.explain)(&self.found.logits);
            for (target, &seed) in data.iter_mut().zip(&self.found.seed) {
                *target = seed;
            }
        }
    }
}
