//! Runs a compiled network.

use super::layout::{BufferId, Map, Place};
use super::plan::Network;
use super::step::{self, StepKind, to_flat, to_image};
use crate::graph::ir::{NodeId, Tensor, ValueId};
use crate::kernels::buffer::Buffer;
use std::sync::Arc;

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The image has another number of elements than the network's input.
    #[error("the input has {found} elements, the network reads {expected}")]
    Input {
        /// Elements of the graph's input.
        expected: usize,
        /// Elements given.
        found: usize,
    },
    /// The naive executor refused a node.
    #[error("{reason}, in node \"{node}\"")]
    Node {
        /// The node.
        node: String,
        /// What it said.
        reason: String,
    },
    /// The other runtime failed.
    #[error("ONNX Runtime: {0}")]
    Backend(String),
    /// The output is not finite: the network or the image is broken.
    #[error("the network's output is not a number")]
    NotFinite,
}

/// A value of a running network, valid during the observer's call.
#[derive(Clone, Copy, Debug)]
pub enum TensorView<'a> {
    /// An image-like value; element (n, c, y, x) is at `data[n * image + y * row + x * pixel + c]`.
    Image(ImageView<'a>),
    /// Any other value, row-major.
    Flat(&'a [f32]),
}

/// A strided channels-last view `[N, C, H, W]`.
#[derive(Clone, Copy, Debug)]
pub struct ImageView<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) map: Map,
}

impl<'a> ImageView<'a> {
    /// `[N, C, H, W]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 4] {
        [
            self.map.batch,
            self.map.channels,
            self.map.height,
            self.map.width,
        ]
    }

    /// All channels of one position.
    #[must_use]
    pub fn pixel(&self, image: usize, row: usize, column: usize) -> &'a [f32] {
        &self.data[self.map.at(image, row, column)..][..self.map.channels]
    }
}

/// A strided channels-last view `[N, C, H, W]` that can be written.
#[derive(Debug)]
pub struct ImageViewMut<'a> {
    data: &'a mut [f32],
    map: Map,
}

impl ImageViewMut<'_> {
    /// `[N, C, H, W]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 4] {
        let Map {
            batch,
            channels,
            height,
            width,
            ..
        } = self.map;
        [batch, channels, height, width]
    }

    /// All channels of one position.
    pub fn pixel(&mut self, image: usize, row: usize, column: usize) -> &mut [f32] {
        &mut self.data[self.map.at(image, row, column)..][..self.map.channels]
    }
}

impl TensorView<'_> {
    /// A row-major copy in ONNX order.
    #[must_use]
    pub fn to_vec(&self) -> Vec<f32> {
        match self {
            Self::Flat(data) => data.to_vec(),
            Self::Image(ImageView { data, map }) => {
                let mut out = vec![0.0; map.batch * map.channels * map.height * map.width];
                to_flat(data, *map, false, &mut out);
                out
            }
        }
    }
}

/// The arena of a running session, seen by steps.
pub(crate) struct Memory<'a> {
    network: &'a Network,
    slots: &'a mut [Buffer],
    pub(crate) scratch: &'a mut Buffer,
    pub(crate) line: &'a mut Vec<f32>,
}

impl Memory<'_> {
    pub(crate) fn get(&self, buffer: BufferId) -> &[f32] {
        &self.slots[self.network.slot(buffer)]
    }

    /// Takes a buffer out so that it can be written while others are read.
    pub(crate) fn take(&mut self, buffer: BufferId) -> Buffer {
        std::mem::take(&mut self.slots[self.network.slot(buffer)])
    }

    pub(crate) fn put(&mut self, buffer: BufferId, data: Buffer) {
        self.slots[self.network.slot(buffer)] = data;
    }

    /// Writes an input or feed, row-major, and zeroes the border around it.
    fn fill(&mut self, value: ValueId, input: &[f32]) {
        match self.network.places[value.index()] {
            Some(Place::Image(buffer, map)) => {
                self.clear_halo(buffer);
                let mut data = self.take(buffer);
                to_image(input, false, &mut data, map);
                self.put(buffer, data);
            }
            Some(Place::Flat(buffer, start, len)) => {
                let mut data = self.take(buffer);
                data[start..start + len].copy_from_slice(input);
                self.put(buffer, data);
            }
            Some(Place::Constant(_)) | None => {}
        }
    }

    /// Hands complete values to the hooks, and keeps the graph's output.
    fn complete(&mut self, values: &[ValueId], hooks: &mut dyn Hooks, output: &mut Vec<f32>) {
        for &value in values {
            if !self.network.observed[value.index()] {
                continue;
            }
            if let Some(Place::Image(buffer, map)) = self.network.places[value.index()] {
                let mut data = self.take(buffer);
                let view = ImageViewMut {
                    data: &mut data,
                    map,
                };
                hooks.edit(value, view);
                self.put(buffer, data);
            }
            if let Some(view) = view(self, value) {
                if value == self.network.graph.output {
                    *output = view.to_vec();
                }
                hooks.observe(value, view);
            }
        }
    }

    /// Zeroes the border around an image.
    fn clear_halo(&mut self, buffer: BufferId) {
        let Some(halo) = self.network.halos[buffer.index()] else {
            return;
        };
        let [top, left, bottom, right] = halo.pads;
        let Map {
            batch,
            height,
            width,
            pixel,
            row,
            image,
            ..
        } = halo.map;
        let data = &mut self.slots[self.network.slot(buffer)];
        for n in 0..batch {
            let data = &mut data[n * image..(n + 1) * image];
            data[..top * row].fill(0.0);
            data[(top + height) * row..(top + height + bottom) * row].fill(0.0);
            for line in data[top * row..(top + height) * row].chunks_exact_mut(row) {
                line[..left * pixel].fill(0.0);
                line[(left + width) * pixel..(left + width + right) * pixel].fill(0.0);
            }
        }
    }
}

/// One worker's memory for running a network.
#[derive(Debug)]
pub struct Session {
    network: Arc<Network>,
    slots: Vec<Buffer>,
    scratch: Buffer,
    line: Vec<f32>,
}

impl Session {
    pub(crate) fn new(network: Arc<Network>) -> Self {
        let slots = network
            .slot_elements
            .iter()
            .map(|&len| Buffer::zeros(len))
            .collect();
        let scratch = Buffer::zeros(network.scratch);
        Self {
            network,
            slots,
            scratch,
            line: Vec::new(),
        }
    }

    /// The network it runs.
    #[must_use]
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// Runs on `input`, row-major `[N, C, H, W]`, and returns the output, row-major. Every observed
    /// value is handed to `observe` as soon as it is complete; its memory may be reused afterwards.
    ///
    /// # Errors
    /// When the input's extent is wrong or the output is not finite.
    pub fn run(
        &mut self,
        input: &[f32],
        observe: &mut dyn FnMut(ValueId, TensorView<'_>),
    ) -> Result<Vec<f32>, RunError> {
        self.run_with(input, &mut Observer(observe))
    }

    /// [`Session::run`] for derived graphs and interventions.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_with(&mut self, input: &[f32], hooks: &mut dyn Hooks) -> Result<Vec<f32>, RunError> {
        self.run_steps(input, hooks, &mut |_, run| run())
    }

    /// Runs as [`Session::run_with`] does and adds each step's time to `times`, one entry per
    /// [`Network::steps`](super::Network::steps) in order, nanoseconds.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn profile(
        &mut self,
        input: &[f32],
        hooks: &mut dyn Hooks,
        times: &mut Vec<u64>,
    ) -> Result<Vec<f32>, RunError> {
        times.resize(self.network.steps.len(), 0);
        self.run_steps(input, hooks, &mut |step, run| {
            let start = std::time::Instant::now();
            let result = run();
            times[step] += start.elapsed().as_nanos() as u64;
            result
        })
    }

    fn run_steps(
        &mut self,
        input: &[f32],
        hooks: &mut dyn Hooks,
        around: &mut Around<'_>,
    ) -> Result<Vec<f32>, RunError> {
        let network = Arc::clone(&self.network);
        let graph = &network.graph;
        let expected: usize = graph.values[graph.input.index()].shape.iter().product();
        if input.len() != expected {
            return Err(RunError::Input {
                expected,
                found: input.len(),
            });
        }
        let mut memory = Memory {
            network: &network,
            slots: &mut self.slots,
            scratch: &mut self.scratch,
            line: &mut self.line,
        };
        memory.fill(graph.input, input);
        let mut output = Vec::new();
        memory.complete(&[graph.input], hooks, &mut output);
        for (index, step) in network.steps.iter().enumerate() {
            for &feed in &step.feeds {
                let elements = graph.values[feed.index()].shape.iter().product();
                let mut data = vec![0.0; elements];
                hooks.feed(feed, &mut data);
                memory.fill(feed, &data);
            }
            around(index, &mut || {
                for &buffer in &step.clear {
                    memory.clear_halo(buffer);
                }
                if matches!(step.kind, StepKind::Generic) {
                    return generic(&mut memory, &step.nodes, &step.outputs);
                }
                step::run(&step.kind, network.isa, &mut memory);
                Ok(())
            })?;
            memory.complete(&step.outputs, hooks, &mut output);
        }
        if output.iter().any(|value| !value.is_finite()) {
            return Err(RunError::NotFinite);
        }
        Ok(output)
    }
}

/// Called with a step's index and its work, which it must do once.
type Around<'a> =
    dyn FnMut(usize, &mut dyn FnMut() -> Result<(), RunError>) -> Result<(), RunError> + 'a;

/// Takes part in a run: sees observed values, changes them, feeds gradients.
pub trait Hooks {
    /// A complete observed value, before anything reads it; its memory may be reused afterwards.
    fn observe(&mut self, value: ValueId, view: TensorView<'_>) {
        let _ = (value, view);
    }

    /// The same, to be changed: what is written here is what the rest of the network reads. Called
    /// before [`Hooks::observe`].
    fn edit(&mut self, value: ValueId, view: ImageViewMut<'_>) {
        let _ = (value, view);
    }

    /// Fills a value of [`Graph::feeds`](crate::graph::Graph::feeds), row-major, zero beforehand;
    /// called just before it is first read.
    fn feed(&mut self, value: ValueId, data: &mut [f32]) {
        let _ = (value, data);
    }
}

/// A closure that only observes.
struct Observer<'a>(&'a mut dyn FnMut(ValueId, TensorView<'_>));

impl Hooks for Observer<'_> {
    fn observe(&mut self, value: ValueId, view: TensorView<'_>) {
        (self.0)(value, view);
    }
}

fn view<'a>(memory: &'a Memory<'_>, value: ValueId) -> Option<TensorView<'a>> {
    match memory.network.places[value.index()]? {
        Place::Image(buffer, map) => Some(TensorView::Image(ImageView {
            data: memory.get(buffer),
            map,
        })),
        Place::Flat(buffer, start, len) => {
            Some(TensorView::Flat(&memory.get(buffer)[start..start + len]))
        }
        Place::Constant(_) => None,
    }
}

/// Runs the nodes of a step through the naive executor.
fn generic(memory: &mut Memory<'_>, nodes: &[NodeId], stored: &[ValueId]) -> Result<(), RunError> {
    let graph = &memory.network.graph;
    let mut local: Vec<(ValueId, Tensor)> = Vec::new();
    for node in nodes {
        let node = &graph.nodes[node.index()];
        let operands: Vec<Tensor> = node
            .inputs
            .iter()
            .filter_map(|&value| {
                if let Some(constant) = &graph.values[value.index()].constant {
                    return Some(constant.clone());
                }
                if let Some((_, tensor)) = local.iter().find(|(known, _)| *known == value) {
                    return Some(tensor.clone());
                }
                let data = view(memory, value)?.to_vec().into();
                Some(Tensor {
                    shape: graph.values[value.index()].shape.clone(),
                    data,
                })
            })
            .collect();
        let shapes: Vec<Vec<usize>> = node
            .outputs
            .iter()
            .map(|value| graph.values[value.index()].shape.clone())
            .collect();
        let references: Vec<&Tensor> = operands.iter().collect();
        let results =
            crate::reference::evaluate(&node.op, &references, &shapes).map_err(|error| {
                RunError::Node {
                    node: node.name.clone(),
                    reason: error.to_string(),
                }
            })?;
        local.extend(node.outputs.iter().copied().zip(results));
    }
    for (value, result) in local.iter().filter(|(value, _)| stored.contains(value)) {
        match memory.network.places[value.index()] {
            Some(Place::Image(buffer, map)) => {
                let mut out = memory.take(buffer);
                to_image(&result.data, false, &mut out, map);
                memory.put(buffer, out);
            }
            Some(Place::Flat(buffer, start, len)) => {
                let mut out = memory.take(buffer);
                out[start..start + len].copy_from_slice(&result.data);
                memory.put(buffer, out);
            }
            Some(Place::Constant(_)) | None => {}
        }
    }
    Ok(())
}
