//! `flow` influence of one image: signed, conserved, defined for any network (method.md section 3.2).
//!
//! ```text
//! scores: R_i    = < dz/da_i , a_i >                 one forward and one backward pass
//! edges:  E_i->j = < dz/da_j , (da_j/da_i) a_i >     one backward pass of a block per j, many at once
//! ```
//!
//! Sums run over positions. Because layers are cuts, `sum_j E_i->j = R_i`. What no input explains,
//! `R_j - sum_i E_i->j`, is the bias share of j.

use crate::exec::{CompileError, CompileOptions, Hooks, Network, RunError, Session, TensorView};
use crate::grad::{Derived, GradError, GradientRule, Request, between, derive};
use crate::graph::{Graph, ValueId};
use std::sync::Arc;

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

/// Networks for the scores of all layers and for the edges of every block; shared by workers.
#[derive(Debug)]
pub struct Flow {
    scores: Arc<Network>,
    seed: ValueId,
    /// Per layer: activations, gradient, scores in the derived graph.
    layers: Vec<Watched>,
    blocks: Vec<Block>,
}

/// Values of one layer in the derived graph of all scores.
#[derive(Clone, Copy, Debug)]
struct Watched {
    activation: ValueId,
    gradient: Option<ValueId>,
    scores: Option<ValueId>,
}

/// The network from one layer to the next, differentiated.
#[derive(Debug)]
struct Block {
    network: Arc<Network>,
    seed: ValueId,
    scores: Option<ValueId>,
    masks: usize,
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
    /// Per layer `[C, H, W]`: activations.
    pub activations: Vec<Vec<f32>>,
    /// Per layer `[C, H, W]`: dz/da.
    pub gradients: Vec<Vec<f32>>,
}

impl Flow {
    /// Prepares the flow through `layers` (input side first) to the graph's output. `masks` channels
    /// of a layer are followed at once, which takes as many gradients' memory.
    ///
    /// # Errors
    /// When an operator cannot be differentiated, or a layer is no cut.
    pub fn new(graph: &Graph, layers: &[ValueId], masks: usize) -> Result<Self, FlowError> {
        let all = derive(
            graph,
            &Request {
                from: graph.output,
                masks: 1,
                wrt: layers.to_vec(),
                weights: Vec::new(),
                scores: layers.to_vec(),
                keep: layers.to_vec(),
                rule: GradientRule::Plain,
            },
        )?;
        let watched: Vec<Watched> = (0..layers.len())
            .map(|index| Watched {
                activation: all.keep[index],
                gradient: all.gradients[index],
                scores: all.scores[index],
            })
            .collect();
        let tops = layers.iter().skip(1).chain([&graph.output]);
        let blocks = layers
            .iter()
            .zip(tops)
            .map(|(&lower, &upper)| Block::new(graph, lower, upper, masks))
            .collect::<Result<_, _>>()?;
        let observed = watched
            .iter()
            .flat_map(|layer| [Some(layer.activation), layer.gradient, layer.scores])
            .flatten();
        Ok(Self {
            scores: compile(&all, observed.collect())?,
            seed: all.seed,
            layers: watched,
            blocks,
        })
    }

    /// A worker's memory.
    #[must_use]
    pub fn session(self: &Arc<Self>) -> FlowSession {
        FlowSession {
            scores: self.scores.session(),
            blocks: self
                .blocks
                .iter()
                .map(|block| block.network.session())
                .collect(),
            flow: Arc::clone(self),
        }
    }
}

impl Block {
    fn new(graph: &Graph, lower: ValueId, upper: ValueId, masks: usize) -> Result<Self, FlowError> {
        let (part, _) = between(graph, lower, upper, &[])?;
        let masks = masks.max(1);
        let derived = derive(
            &part,
            &Request {
                from: part.output,
                masks,
                wrt: Vec::new(),
                weights: Vec::new(),
                scores: vec![part.input],
                keep: Vec::new(),
                rule: GradientRule::Plain,
            },
        )?;
        let scores = derived.scores.first().copied().flatten();
        Ok(Self {
            network: compile(&derived, scores.into_iter().collect())?,
            seed: derived.seed,
            scores,
            masks,
        })
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
        let count = flow.layers.len();
        let mut watcher = Watcher {
            output: flow.scores.graph().output,
            seed: flow.seed,
            layers: &flow.layers,
            explain,
            found: ImageFlow {
                scores: vec![Vec::new(); count],
                activations: vec![Vec::new(); count],
                gradients: vec![Vec::new(); count],
                ..ImageFlow::default()
            },
        };
        self.scores.run_with(input, &mut watcher)?;
        Ok(watcher.found)
    }

    /// Edges into `channels` of the layer above `layer` (into logits above the last layer):
    /// `[channels][C]`. `activation` is the layer's, `gradient` that of the layer above (of the
    /// logits), as [`FlowSession::scores`] gave them.
    ///
    /// # Errors
    /// When an extent is wrong.
    pub fn edges(
        &mut self,
        layer: usize,
        activation: &[f32],
        gradient: &[f32],
        channels: &[usize],
    ) -> Result<Vec<Vec<f32>>, RunError> {
        let flow = Arc::clone(&self.flow);
        let (Some(block), Some(session)) = (flow.blocks.get(layer), self.blocks.get_mut(layer))
        else {
            return Ok(Vec::new());
        };
        let graph = block.network.graph();
        let shape = &graph.values[block.seed.index()].shape;
        let above = shape.get(1).copied().unwrap_or(1);
        if !gradient.len().is_multiple_of(above) || channels.iter().any(|&j| j >= above) {
            return Err(RunError::Input {
                expected: above,
                found: gradient.len(),
            });
        }
        let inputs = graph.values[graph.input.index()].shape[1];
        let mut edges = Vec::with_capacity(channels.len());
        for part in channels.chunks(block.masks) {
            let mut masked = Masked {
                seed: block.seed,
                scores: block.scores,
                gradient,
                plane: gradient.len() / above,
                channels: part,
                found: Vec::new(),
            };
            session.run_with(activation, &mut masked)?;
            if masked.found.is_empty() {
                // Nothing passes from one layer to the other.
                masked.found = vec![0.0; inputs * part.len()];
            }
            let rows = masked.found.chunks_exact(inputs).take(part.len());
            edges.extend(rows.map(<[f32]>::to_vec));
        }
        Ok(edges)
    }
}

/// Collects what [`FlowSession::scores`] returns.
struct Watcher<'a> {
    output: ValueId,
    seed: ValueId,
    layers: &'a [Watched],
    explain: &'a mut dyn FnMut(&[f32]) -> Vec<f32>,
    found: ImageFlow,
}

impl Hooks for Watcher<'_> {
    fn observe(&mut self, value: ValueId, view: TensorView<'_>) {
        if value == self.output {
            self.found.logits = view.to_vec();
        }
        for (index, layer) in self.layers.iter().enumerate() {
            if value == layer.activation {
                self.found.activations[index] = view.to_vec();
            }
            if Some(value) == layer.gradient {
                self.found.gradients[index] = view.to_vec();
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

/// Feeds a gradient masked to one channel per image.
struct Masked<'a> {
    seed: ValueId,
    scores: Option<ValueId>,
    gradient: &'a [f32],
    plane: usize,
    channels: &'a [usize],
    found: Vec<f32>,
}

impl Hooks for Masked<'_> {
    fn observe(&mut self, value: ValueId, view: TensorView<'_>) {
        if Some(value) == self.scores {
            self.found = view.to_vec();
        }
    }

    fn feed(&mut self, value: ValueId, data: &mut [f32]) {
        if value != self.seed {
            return;
        }
        for (image, &channel) in data
            .chunks_exact_mut(self.gradient.len().max(1))
            .zip(self.channels)
        {
            let range = channel * self.plane..(channel + 1) * self.plane;
            image[range.clone()].copy_from_slice(&self.gradient[range]);
        }
    }
}
