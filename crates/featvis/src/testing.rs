//! A small network for tests.

use summit_images::{InputShape, Preprocessing, Preset};
use summit_nn::graph::ir::Unary;
use summit_nn::graph::{Conv, Graph, Node, NodeId, Op, Tensor, Value, ValueId, shape};

/// Values by name; the network grows at its end.
struct Builder(Graph);

impl Builder {
    fn constant(&mut self, name: &str, shape: &[usize], offset: f32) -> ValueId {
        let count: usize = shape.iter().product();
        let seed = name.bytes().map(u32::from).sum::<u32>() as f32;
        let data = (0..count).map(|k| (seed + k as f32 * 2.3).sin() * 0.5 + offset);
        let tensor = Tensor {
            shape: shape.to_vec(),
            data: data.collect(),
        };
        self.value(name, shape.to_vec(), Some(tensor), None)
    }

    fn value(
        &mut self,
        name: &str,
        shape: Vec<usize>,
        constant: Option<Tensor>,
        producer: Option<NodeId>,
    ) -> ValueId {
        self.0.values.push(Value {
            name: name.to_owned(),
            shape,
            constant,
            producer,
        });
        ValueId(self.0.values.len() as u32 - 1)
    }

    fn node(&mut self, name: &str, op: Op, inputs: &[ValueId], wanted: &[Vec<usize>]) -> ValueId {
        let shapes: Vec<&[usize]> = inputs
            .iter()
            .map(|input| self.0.values[input.index()].shape.as_slice())
            .collect();
        let shape = shape::infer(&op, &shapes, wanted).unwrap().remove(0);
        let producer = NodeId(self.0.nodes.len() as u32);
        let output = self.value(name, shape, None, Some(producer));
        self.0.nodes.push(Node {
            name: name.to_owned(),
            op,
            inputs: inputs.to_vec(),
            outputs: vec![output],
        });
        output
    }

    /// `offset` below 0 silences channels of noise.
    fn conv(
        &mut self,
        name: &str,
        x: ValueId,
        channels: [usize; 2],
        stride: usize,
        offset: f32,
    ) -> ValueId {
        let [inputs, outputs] = channels;
        let weight = self.constant(&format!("{name} weight"), &[outputs, inputs, 3, 3], 0.0);
        let bias = self.constant(&format!("{name} bias"), &[outputs], offset);
        let conv = Conv {
            strides: [stride; 2],
            pads: [1; 4],
            dilations: [1; 2],
            groups: 1,
        };
        self.node(name, Op::Conv(conv), &[x, weight, bias], &[])
    }
}

/// Input `[1, 3, side, side]`; `relu1` (4 channels), `joined` (3 + 3, each a ReLU, the second three
/// silent on grey), `linear` (2), `scores` `[1, 2]` by a Gemm of all positions, which ties them to `side`.
pub(crate) fn network(side: usize) -> Graph {
    let input = Value {
        name: "input".to_owned(),
        shape: vec![1, 3, side, side],
        constant: None,
        producer: None,
    };
    let mut builder = Builder(Graph {
        values: vec![input],
        nodes: Vec::new(),
        input: ValueId(0),
        output: ValueId(0),
        feeds: Vec::new(),
    });
    let relu = || Op::Unary(Unary::Relu);
    let conv1 = builder.conv("conv1", ValueId(0), [3, 4], 1, 0.2);
    let relu1 = builder.node("relu1", relu(), &[conv1], &[]);
    let left = builder.conv("left", relu1, [4, 3], 2, 0.2);
    let right = builder.conv("right", relu1, [4, 3], 2, -3.0);
    let left = builder.node("left relu", relu(), &[left], &[]);
    let right = builder.node("right relu", relu(), &[right], &[]);
    let joined = builder.node("joined", Op::Concat { axis: 1 }, &[left, right], &[]);
    let linear = builder.conv("linear", joined, [6, 2], 1, 0.0);
    let positions = 2 * side.div_ceil(2).pow(2);
    let flat = builder.node("flat", Op::Reshape, &[linear], &[vec![1, positions]]);
    let weight = builder.constant("gemm weight", &[positions, 2], 0.0);
    let gemm = Op::Gemm {
        alpha: 1.0,
        beta: 1.0,
        trans_a: false,
        trans_b: false,
    };
    builder.0.output = builder.node("scores", gemm, &[flat, weight], &[]);
    builder.0
}

/// The value with this name.
pub(crate) fn named(graph: &Graph, name: &str) -> ValueId {
    let found = graph.values.iter().position(|value| value.name == name);
    ValueId(found.unwrap() as u32)
}

/// For inputs of `side` pixels.
pub(crate) fn preprocessing(side: u32) -> Preprocessing {
    Preset::ImagenetTorch.preprocessing(InputShape {
        channels: 3,
        height: side,
        width: side,
    })
}
