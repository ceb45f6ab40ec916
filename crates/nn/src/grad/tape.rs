//! Walks a graph backwards and appends the nodes that compute gradients.

use super::fold;
use super::rules;
use crate::graph::ir::{Adjoint, Binary, Graph, Node, NodeId, Op, Tensor, Unary, Value, ValueId};
use crate::graph::prune;
use crate::layers::never_negative;

/// What "gradient" means. Under the rules of layer-wise relevance propagation (Montavon et al. 2019)
/// the result G is such that `G x` is the relevance of x: scores and products with activations then
/// are relevances, and chains of blocks stay conserved up to what biases and stabilisers absorb.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum GradientRule {
    /// The derivative.
    #[default]
    Plain,
    /// Relevance in proportion to each input's share of the output, divided by the output moved
    /// away from 0 by `epsilon`.
    LrpEpsilon {
        /// Above 0.
        epsilon: f32,
    },
    /// The same with positive shares (of positive outputs; negative ones of negative outputs)
    /// enlarged by `1 + gamma`, where the input holds no negative values; elsewhere as
    /// `LrpEpsilon`.
    LrpGamma {
        /// 0 or more.
        gamma: f32,
        /// Above 0.
        epsilon: f32,
    },
}

impl GradientRule {
    /// The stabiliser, if relevance is propagated.
    pub(super) fn epsilon(self) -> Option<f32> {
        match self {
            Self::Plain => None,
            Self::LrpEpsilon { epsilon } | Self::LrpGamma { epsilon, .. } => Some(epsilon),
        }
    }
}

/// What to differentiate.
#[derive(Clone, Debug)]
pub struct Request {
    /// The value whose gradient is fed.
    pub from: ValueId,
    /// Images of the fed gradient: that of the graph, or any number if the graph holds one image
    /// (one gradient per mask).
    pub masks: usize,
    /// Values whose gradients are wanted.
    pub wrt: Vec<ValueId>,
    /// Constant weights of Conv, Gemm and MatMul whose gradients are wanted, summed over images.
    pub weights: Vec<ValueId>,
    /// Values `[N, C, ...]` whose channels' scores are wanted: `sum over positions of gradient times
    /// value`.
    pub scores: Vec<ValueId>,
    /// Forward values the caller will observe beside `from`.
    pub keep: Vec<ValueId>,
    /// The derivative, or a rule in its place.
    pub rule: GradientRule,
}

impl Request {
    /// The plain gradient of `from` with nothing asked for yet.
    #[must_use]
    pub fn new(from: ValueId, masks: usize) -> Self {
        Self {
            from,
            masks,
            wrt: Vec::new(),
            weights: Vec::new(),
            scores: Vec::new(),
            keep: Vec::new(),
            rule: GradientRule::Plain,
        }
    }
}

/// A graph that computes gradients; observe what is named here.
#[derive(Clone, Debug)]
pub struct Derived {
    /// Forward values needed, then gradients; its output is [`Request::from`].
    pub graph: Graph,
    /// Fed after `graph.output` was observed: the gradient with respect to it, `[masks, ...]`.
    pub seed: ValueId,
    /// Gradient per entry of [`Request::wrt`], of its shape with `masks` images; `None` where `from`
    /// does not depend on it.
    pub gradients: Vec<Option<ValueId>>,
    /// Gradient per entry of [`Request::weights`], of its shape; `None` as above.
    pub weights: Vec<Option<ValueId>>,
    /// `[masks, C]` per entry of [`Request::scores`]; `None` as above.
    pub scores: Vec<Option<ValueId>>,
    /// Per entry of [`Request::keep`].
    pub keep: Vec<ValueId>,
}

/// Why a graph cannot be differentiated as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GradError {
    /// A value does not exist in the graph.
    #[error("there is no value {0} in the graph")]
    UnknownValue(u32),
    /// An operator mixes images, so that several gradients of one image cannot be told apart.
    #[error("several gradients cannot pass node \"{0}\": it mixes images")]
    MixesImages(String),
    /// No rule exists.
    #[error("operand {operand} cannot be differentiated, in node \"{node}\"")]
    NoRule {
        /// The node.
        node: String,
        /// Which operand.
        operand: usize,
    },
    /// A score of something without channels.
    #[error("\"{0}\" has no channels")]
    NoChannels(String),
    /// A part of a graph begins at an output of an operator with several.
    #[error("a part of a network cannot begin at one of several outputs, of node \"{0}\"")]
    Part(String),
    /// A part of a graph needs more than its input.
    #[error("\"{value}\" is no cut: \"{passed_by}\" passes it by")]
    NoCut {
        /// The value the part should begin at.
        value: String,
        /// The image, reached another way.
        passed_by: String,
    },
}

/// Derives the gradients asked for.
///
/// # Errors
/// For an unknown value, an operand without a rule, or several gradients of one image through an
/// operator that mixes images.
pub fn derive(graph: &Graph, request: &Request) -> Result<Derived, GradError> {
    let asked = [request.from, graph.input];
    let asked = asked
        .iter()
        .chain(&request.wrt)
        .chain(&request.weights)
        .chain(&request.scores)
        .chain(&request.keep);
    for value in asked.clone() {
        if value.index() >= graph.values.len() {
            return Err(GradError::UnknownValue(value.0));
        }
    }
    let mut tape = Tape::new(graph.clone(), asked.copied().collect(), request);
    let seed = tape.seed(request.from)?;
    for index in (0..tape.forward_nodes).rev() {
        rules::back(&mut tape, NodeId(index as u32))?;
    }
    let gradients: Vec<Option<ValueId>> = request
        .wrt
        .iter()
        .map(|&value| tape.gradient(value))
        .collect();
    let weights: Vec<Option<ValueId>> = request
        .weights
        .iter()
        .map(|&value| tape.gradient(value))
        .collect();
    let mut scores = Vec::with_capacity(request.scores.len());
    for &value in &request.scores {
        scores.push(match tape.gradient(value) {
            Some(gradient) => Some(tape.score(gradient, value)?),
            None => None,
        });
    }
    let mut derived = tape.graph;
    derived.output = request.from;
    let found = gradients.iter().chain(&weights).chain(&scores);
    let found = found.flatten().copied();
    let roots: Vec<ValueId> = request.keep.iter().copied().chain(found).collect();
    let (graph, roots) = prune(derived, &roots);
    let mut roots = roots.into_iter();
    let keep = roots.by_ref().take(request.keep.len()).collect();
    let mut renumbered = |old: Vec<Option<ValueId>>| -> Vec<Option<ValueId>> {
        old.into_iter()
            .map(|entry| entry.and_then(|_| roots.next()))
            .collect()
    };
    let gradients = renumbered(gradients);
    let weights = renumbered(weights);
    let scores = renumbered(scores);
    // Pruning keeps feeds, and the tape made one.
    let seed = graph.feeds.last().copied().unwrap_or(seed);
    Ok(Derived {
        graph,
        seed,
        gradients,
        weights,
        scores,
        keep,
    })
}

/// The growing graph.
pub(super) struct Tape {
    pub(super) graph: Graph,
    /// Nodes before any was appended.
    forward_nodes: usize,
    masks: usize,
    pub(super) rule: GradientRule,
    /// Per forward value: it holds no negative numbers, whatever the image.
    pub(super) non_negative: Vec<bool>,
    /// Per forward value: something asked for depends on it.
    wanted: Vec<bool>,
    /// Per forward value: the sum of the gradients that arrived.
    gradients: Vec<Option<ValueId>>,
    /// Per forward value: its gradient has passed the mask of the Relu that computes it.
    pub(super) masked: Vec<bool>,
    /// Readers per forward value.
    pub(super) readers: Vec<u32>,
}

impl Tape {
    fn new(mut graph: Graph, protected: Vec<ValueId>, request: &Request) -> Self {
        fold::normalizations(&mut graph, &protected);
        let count = graph.values.len();
        let mut wanted = vec![false; count];
        for value in request
            .wrt
            .iter()
            .chain(&request.weights)
            .chain(&request.scores)
        {
            wanted[value.index()] = true;
        }
        let mut readers = vec![0; count];
        for node in &graph.nodes {
            for input in &node.inputs {
                readers[input.index()] += 1;
            }
        }
        for value in &protected {
            readers[value.index()] += 1;
        }
        for node in &graph.nodes {
            if node.inputs.iter().any(|input| wanted[input.index()]) {
                for output in &node.outputs {
                    wanted[output.index()] = true;
                }
            }
        }
        Self {
            forward_nodes: graph.nodes.len(),
            masks: request.masks,
            rule: request.rule,
            non_negative: never_negative(&graph),
            wanted,
            gradients: vec![None; count],
            masked: vec![false; count],
            readers,
            graph,
        }
    }

    fn seed(&mut self, from: ValueId) -> Result<ValueId, GradError> {
        let shape = self.gradient_shape(from, &self.graph.values[from.index()].name)?;
        let seed = ValueId(self.graph.values.len() as u32);
        self.graph.values.push(Value {
            name: format!("gradient of {}", self.graph.values[from.index()].name),
            shape,
            constant: None,
            producer: None,
        });
        self.graph.feeds.push(seed);
        self.gradients[from.index()] = Some(seed);
        Ok(seed)
    }

    pub(super) fn shape(&self, value: ValueId) -> &[usize] {
        &self.graph.values[value.index()].shape
    }

    pub(super) fn constant(&self, value: ValueId) -> Option<&Tensor> {
        self.graph.values[value.index()].constant.as_ref()
    }

    /// Shape of the gradient with respect to a forward value: `masks` images.
    pub(super) fn gradient_shape(
        &self,
        value: ValueId,
        place: &str,
    ) -> Result<Vec<usize>, GradError> {
        let mut shape = self.shape(value).to_vec();
        let images = self.images();
        if self.masks != images {
            match shape.first_mut() {
                Some(first) if images == 1 && *first == 1 => *first = self.masks,
                _ => return Err(GradError::MixesImages(place.to_owned())),
            }
        }
        Ok(shape)
    }

    fn images(&self) -> usize {
        self.shape(self.graph.input).first().copied().unwrap_or(1)
    }

    /// Several gradients of one forward image.
    pub(super) fn is_broadcast(&self) -> bool {
        self.masks != self.images()
    }

    pub(super) fn wants(&self, value: ValueId) -> bool {
        self.wanted.get(value.index()).copied().unwrap_or(false)
    }

    pub(super) fn gradient(&self, value: ValueId) -> Option<ValueId> {
        self.gradients[value.index()]
    }

    /// Adds a contribution to the gradient of `value`.
    pub(super) fn accumulate(&mut self, value: ValueId, contribution: ValueId) {
        let sum = match self.gradients[value.index()] {
            None => contribution,
            Some(earlier) => {
                let shape = self.shape(contribution).to_vec();
                self.emit(Op::Binary(Binary::Add), &[contribution, earlier], shape)
            }
        };
        self.gradients[value.index()] = Some(sum);
    }

    /// Appends a node with one output.
    pub(super) fn emit(&mut self, op: Op, inputs: &[ValueId], shape: Vec<usize>) -> ValueId {
        let id = ValueId(self.graph.values.len() as u32);
        let producer = NodeId(self.graph.nodes.len() as u32);
        let name = format!("gradient {}", id.0);
        self.graph.values.push(Value {
            name: name.clone(),
            shape,
            constant: None,
            producer: Some(producer),
        });
        self.graph.nodes.push(Node {
            name,
            op,
            inputs: inputs.to_vec(),
            outputs: vec![id],
        });
        id
    }

    fn score(&mut self, gradient: ValueId, value: ValueId) -> Result<ValueId, GradError> {
        let shape = self.shape(gradient);
        let &[images, channels, ..] = shape else {
            return Err(GradError::NoChannels(
                self.graph.values[value.index()].name.clone(),
            ));
        };
        let shape = vec![images, channels];
        Ok(self.emit(Op::Adjoint(Adjoint::Score), &[gradient, value], shape))
    }

    /// `g` where the output of a Relu is positive.
    pub(super) fn mask(&mut self, g: ValueId, output: ValueId) -> ValueId {
        let shape = self.shape(g).to_vec();
        self.emit(
            Op::Adjoint(Adjoint::Unary(Unary::Relu)),
            &[g, output],
            shape,
        )
    }

    pub(super) fn literal(&mut self, shape: Vec<usize>, data: Vec<f32>) -> ValueId {
        let tensor = Tensor {
            shape,
            data: data.into(),
        };
        fold::add_constant(&mut self.graph, tensor)
    }
}
