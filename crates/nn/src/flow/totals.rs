//! Influence of every convolution at once, from the gradients of its weights.
//!
//! `T_i->j = sum over taps of K_ji dz/dK_ji` (method.md section 3.2) is what passes from input channel
//! i to output channel j of a convolution, for all pairs and all convolutions in one forward and one
//! backward pass.

use super::FlowError;
use crate::exec::{CompileOptions, Hooks, Network, RunError, Session, TensorView};
use crate::grad::{Request, derive};
use crate::graph::ir::{Graph, Op, Value, ValueId};
use crate::layers::BlockConv;
use std::sync::Arc;

/// A network with the gradients of its convolutions' weights; shared by workers.
#[derive(Debug)]
pub struct Totals {
    network: Arc<Network>,
    seed: ValueId,
    kernels: Vec<Kernel>,
}

/// The weights of one convolution, Gemm or MatMul.
#[derive(Debug)]
struct Kernel {
    /// Of the weights' shape; `None` where z does not depend on them.
    gradient: Option<ValueId>,
    weights: Arc<[f32]>,
    outputs: usize,
    inputs: usize,
    order: Order,
}

/// Which pair of channels a weight belongs to.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// `[Cout, Cin / groups, taps]`
    Conv { groups: usize },
    /// `[Cin, Cout / groups, taps]`
    Transposed { groups: usize },
    /// `[Cout, K]` or, with `columns`, `[K, Cout]`; row k belongs to channel `(k / stride) % Cin`.
    Product { columns: bool, stride: usize },
}

impl Kernel {
    /// `[Cout, Cin]`: sums over taps.
    fn pairs(&self, gradient: &[f32]) -> Vec<f32> {
        let mut pairs = vec![0.0; self.outputs * self.inputs];
        let taps = self.taps().max(1);
        let rows = self.weights.chunks(taps).zip(gradient.chunks(taps));
        for (row, (weights, gradient)) in rows.enumerate() {
            let [output, input] = self.channels(row);
            let products = weights.iter().zip(gradient).map(|(w, g)| w * g);
            pairs[output * self.inputs + input] += products.sum::<f32>();
        }
        pairs
    }

    /// Weights one after the other that belong to the same pair of channels.
    fn taps(&self) -> usize {
        let pairs = match self.order {
            Order::Conv { groups } | Order::Transposed { groups } => {
                self.outputs * self.inputs / groups
            }
            Order::Product { columns: true, .. } => return 1,
            Order::Product { stride, .. } => return stride,
        };
        self.weights.len() / pairs.max(1)
    }

    /// Output and input channel of a row of taps.
    fn channels(&self, row: usize) -> [usize; 2] {
        let Self {
            outputs, inputs, ..
        } = *self;
        match self.order {
            Order::Conv { groups } => {
                let per_group = inputs / groups;
                let output = row / per_group;
                let first = output / (outputs / groups) * per_group;
                [output, first + row % per_group]
            }
            Order::Transposed { groups } => {
                let per_group = outputs / groups;
                let input = row / per_group;
                let first = input / (inputs / groups) * per_group;
                [first + row % per_group, input]
            }
            Order::Product {
                columns: true,
                stride,
            } => [row % outputs, row / outputs / stride % inputs],
            Order::Product { stride, .. } => {
                let per_output = self.weights.len() / outputs / stride;
                [row / per_output, row % per_output % inputs]
            }
        }
    }
}

impl Totals {
    /// Prepares the totals of `convs`.
    ///
    /// # Errors
    /// When an operator cannot be differentiated.
    pub fn new(graph: &Graph, convs: &[BlockConv]) -> Result<Self, FlowError> {
        let mut graph = graph.clone();
        let mut kernels: Vec<Kernel> = Vec::with_capacity(convs.len());
        let mut wanted = Vec::with_capacity(convs.len());
        for conv in convs {
            let (weight, kernel) = kernel(&mut graph, conv);
            wanted.extend(weight);
            kernels.push(kernel);
        }
        let derived = derive(
            &graph,
            &Request {
                weights: wanted,
                ..Request::new(graph.output, 1)
            },
        )?;
        let known = kernels
            .iter_mut()
            .filter(|kernel| !kernel.weights.is_empty());
        for (kernel, &gradient) in known.zip(&derived.weights) {
            kernel.gradient = gradient;
        }
        let options = CompileOptions {
            observed: derived.weights.iter().copied().flatten().collect(),
            ..CompileOptions::default()
        };
        Ok(Self {
            network: Network::compile(&derived.graph, &options)?,
            seed: derived.seed,
            kernels,
        })
    }

    /// A worker's memory.
    #[must_use]
    pub fn session(&self) -> Session {
        self.network.session()
    }

    /// Per convolution `[outputs * inputs]`, output channels first, for one preprocessed image;
    /// `explain` as for [`FlowSession::scores`](super::FlowSession::scores).
    ///
    /// # Errors
    /// When the input has not the network's size.
    pub fn of_image(
        &self,
        session: &mut Session,
        input: &[f32],
        explain: &mut dyn FnMut(&[f32]) -> Vec<f32>,
    ) -> Result<Vec<Vec<f32>>, RunError> {
        let mut watcher = Watcher {
            totals: self,
            output: self.network.graph().output,
            logits: Vec::new(),
            explain,
            pairs: (self.kernels.iter())
                .map(|kernel| vec![0.0; kernel.outputs * kernel.inputs])
                .collect(),
        };
        session.run_with(input, &mut watcher)?;
        Ok(watcher.pairs)
    }
}

/// The kernel of a convolution, its weights as a value of their own: several nodes may share one.
fn kernel(graph: &mut Graph, conv: &BlockConv) -> (Option<ValueId>, Kernel) {
    let mut kernel = Kernel {
        gradient: None,
        weights: Arc::from([]),
        outputs: conv.info.outputs as usize,
        inputs: conv.info.inputs as usize,
        order: Order::Conv { groups: 1 },
    };
    let Some(node) = graph.nodes.get_mut(conv.node.index()) else {
        return (None, kernel);
    };
    let product = |columns| Order::Product {
        columns,
        stride: conv.channel_stride.max(1) as usize,
    };
    kernel.order = match &node.op {
        Op::Conv(conv) => Order::Conv {
            groups: conv.groups,
        },
        Op::ConvTranspose(conv) => Order::Transposed {
            groups: conv.groups,
        },
        Op::Gemm { trans_b, .. } => product(!trans_b),
        _ => product(true),
    };
    let own = ValueId(u32::try_from(graph.values.len()).unwrap_or(u32::MAX));
    let Some(weight) = node.inputs.get_mut(1) else {
        return (None, kernel);
    };
    let value = graph.values.get(weight.index());
    let Some((value, tensor)) = value.and_then(|v| Some((v, v.constant.as_ref()?))) else {
        return (None, kernel);
    };
    kernel.weights = tensor.data.to_vec().into();
    let copy = Value {
        name: format!("{} of {}", value.name, conv.info.name),
        ..value.clone()
    };
    *weight = own;
    graph.values.push(copy);
    (Some(own), kernel)
}

struct Watcher<'a> {
    totals: &'a Totals,
    output: ValueId,
    logits: Vec<f32>,
    explain: &'a mut dyn FnMut(&[f32]) -> Vec<f32>,
    pairs: Vec<Vec<f32>>,
}

impl Hooks for Watcher<'_> {
    fn observe(&mut self, value: ValueId, view: TensorView<'_>) {
        if value == self.output {
            self.logits = view.to_vec();
        }
        for (kernel, pairs) in self.totals.kernels.iter().zip(&mut self.pairs) {
            if kernel.gradient == Some(value) {
                *pairs = kernel.pairs(&view.to_vec());
            }
        }
    }

    fn feed(&mut self, value: ValueId, data: &mut [f32]) {
        if value == self.totals.seed {
            for (target, seed) in data.iter_mut().zip((self.explain)(&self.logits)) {
                *target = seed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Flow, SignedMeasure};
    use crate::graph::ir::{Conv, Unary};
    use crate::layers::{find_blocks, layers_from_names};
    use crate::testing::Builder;

    /// Convolution, grouped (transposed) convolution, and a product over all positions of all channels.
    fn network(columns: bool, transposed: bool) -> (Graph, Vec<ValueId>) {
        let mut builder = Builder::new([1, 4, 7, 6], 5);
        let conv = |groups: usize, stride: usize| Conv {
            strides: [stride, stride],
            pads: [1; 4],
            dilations: [1, 1],
            groups,
        };
        let relu = Op::Unary(Unary::Relu);
        let first = builder.conv(builder.graph.input, 12, [3, 3], conv(1, 1));
        let first = builder.node(relu.clone(), &[first], &[])[0];
        let second = if transposed {
            let weight = builder.constant(&[12, 2, 3, 3], 0.3, 0.0);
            let op = Op::ConvTranspose(conv(3, 2));
            builder.node(op, &[first, weight], &[vec![1, 6, 13, 11]])[0]
        } else {
            builder.conv(first, 6, [3, 3], conv(3, 2))
        };
        let second = builder.node(relu, &[second], &[])[0];
        let rows = builder.shape(second).iter().product::<usize>();
        let flat = builder.node(Op::Reshape, &[second], &[vec![1, rows]])[0];
        let shape = if columns { [rows, 5] } else { [5, rows] };
        let weight = builder.constant(&shape, 0.5, 0.0);
        let bias = builder.constant(&[5], 0.5, 0.0);
        let gemm = Op::Gemm {
            alpha: 1.0,
            beta: 1.0,
            trans_a: false,
            trans_b: !columns,
        };
        builder.graph.output = builder.node(gemm, &[flat, weight, bias], &[])[0];
        (builder.graph, vec![first, second])
    }

    #[test]
    fn what_leaves_a_channel_is_its_score() {
        for (columns, transposed) in [(false, false), (true, false), (false, true)] {
            let (graph, layers) = network(columns, transposed);
            let names = layers
                .iter()
                .map(|value| graph.values[value.index()].name.clone());
            let named = layers_from_names(&graph, &names.collect::<Vec<_>>()).unwrap();
            let convs = find_blocks(&graph, &named).convs;
            assert_eq!(convs.len(), 2);
            let mut builder = Builder::new([1, 1, 1, 1], 9);
            let input: Vec<f32> = (0..4 * 7 * 6).map(|_| builder.random()).collect();
            let mut explain = |_: &[f32]| vec![0.0, 1.0, 0.0, -1.0, 0.0];
            let flow = Flow::new(&graph, &layers, 0, SignedMeasure::Flow).unwrap();
            let scores = Arc::new(flow)
                .session()
                .scores(&input, &mut explain)
                .unwrap()
                .scores;
            let totals = Totals::new(&graph, &convs).unwrap();
            let mut session = totals.session();
            let pairs = totals.of_image(&mut session, &input, &mut explain).unwrap();
            for (scores, pairs) in scores.iter().zip(&pairs) {
                let scale = scores.iter().fold(0.0f32, |m, x| m.max(x.abs()));
                assert!(scale > 0.0);
                for (channel, score) in scores.iter().enumerate() {
                    let rows = pairs.chunks_exact(scores.len());
                    let sum: f32 = rows.map(|row| row[channel]).sum();
                    assert!((sum - score).abs() <= 1e-5 * scale, "{sum} {score}");
                }
            }
            // Groups keep apart: output 0 reads the inputs 0 to 3 only.
            assert!(pairs[0][4..12].iter().all(|&pair| pair == 0.0));
        }
    }
}
