//! Random networks for tests.

use crate::graph::ir::{
    Binary, Conv, Graph, Node, NodeId, Op, Pool, Tensor, Unary, Value, ValueId,
};
use crate::graph::shape;

/// Builds graphs node by node with inferred shapes.
pub(crate) struct Builder {
    pub(crate) graph: Graph,
    state: u64,
}

impl Builder {
    pub(crate) fn new(shape: [usize; 4], seed: u64) -> Self {
        let input = Value {
            name: "input".into(),
            shape: shape.to_vec(),
            constant: None,
            producer: None,
        };
        let graph = Graph {
            values: vec![input],
            nodes: vec![],
            input: ValueId(0),
            output: ValueId(0),
            feeds: vec![],
        };
        Self {
            graph,
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    pub(crate) fn random(&mut self) -> f32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub(crate) fn constant(&mut self, shape: &[usize], scale: f32, offset: f32) -> ValueId {
        let data = (0..shape.iter().product())
            .map(|_| self.random() * scale + offset)
            .collect();
        self.literal(shape, data)
    }

    pub(crate) fn literal(&mut self, shape: &[usize], data: Vec<f32>) -> ValueId {
        let id = ValueId(self.graph.values.len() as u32);
        self.graph.values.push(Value {
            name: format!("c{}", id.0),
            shape: shape.to_vec(),
            constant: Some(Tensor {
                shape: shape.to_vec(),
                data: data.into(),
            }),
            producer: None,
        });
        id
    }

    pub(crate) fn shape(&self, value: ValueId) -> [usize; 4] {
        self.graph.values[value.index()]
            .shape
            .clone()
            .try_into()
            .unwrap()
    }

    pub(crate) fn node(
        &mut self,
        op: Op,
        inputs: &[ValueId],
        shapes: &[Vec<usize>],
    ) -> Vec<ValueId> {
        let own: Vec<&[usize]> = inputs
            .iter()
            .map(|v| self.graph.values[v.index()].shape.as_slice())
            .collect();
        let shapes = shape::infer(&op, &own, shapes).unwrap();
        let producer = NodeId(self.graph.nodes.len() as u32);
        let outputs: Vec<ValueId> = shapes
            .into_iter()
            .map(|shape| {
                let id = ValueId(self.graph.values.len() as u32);
                let name = format!("v{}", id.0);
                self.graph.values.push(Value {
                    name,
                    shape,
                    constant: None,
                    producer: Some(producer),
                });
                id
            })
            .collect();
        self.graph.nodes.push(Node {
            name: format!("n{}", producer.0),
            op,
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
        });
        outputs
    }

    pub(crate) fn conv(
        &mut self,
        x: ValueId,
        outputs: usize,
        kernel: [usize; 2],
        conv: Conv,
    ) -> ValueId {
        let [_, channels, ..] = self.shape(x);
        let fan_in = channels / conv.groups * kernel[0] * kernel[1];
        let weight = self.constant(
            &[outputs, channels / conv.groups, kernel[0], kernel[1]],
            (2.0 / fan_in as f32).sqrt(),
            0.0,
        );
        let bias = self.constant(&[outputs], 0.1, 0.0);
        self.node(Op::Conv(conv), &[x, weight, bias], &[])[0]
    }

    /// Appends one random operation and returns what can be read afterwards.
    pub(crate) fn step(&mut self, choice: u8, x: ValueId, others: &[ValueId]) -> Vec<ValueId> {
        let [_, c, h, w] = self.shape(x);
        let pad = usize::from(choice) % 3;
        let plain = |stride: usize, pad: usize, groups: usize| Conv {
            strides: [stride, stride],
            pads: [pad; 4],
            dilations: [1, 1],
            groups,
        };
        let window = Pool {
            kernel: [3, 3],
            strides: [1 + pad % 2; 2],
            pads: [1; 4],
            dilations: [1, 1],
            count_include_pad: choice.is_multiple_of(2),
        };
        let same: Vec<ValueId> = others
            .iter()
            .copied()
            .filter(|&o| self.shape(o) == [1, c, h, w])
            .collect();
        let stackable: Vec<ValueId> = others
            .iter()
            .copied()
            .filter(|&o| {
                let s = self.shape(o);
                s[2..] == [h, w] && s[1] <= 24
            })
            .collect();
        match choice % 22 {
            0 => vec![self.conv(x, 17, [1, 1], plain(1, 0, 1))],
            1 => vec![self.conv(x, 16, [3, 3], plain(1, 1, 1))],
            2 => vec![self.conv(x, 19, [3, 3], plain(2, 1, 1))],
            3 => vec![self.conv(x, 7, [5, 5], plain(1, 2, 1))],
            4 => vec![self.conv(x, c, [3, 3], plain(1, 1, c))],
            5 => vec![self.conv(x, c, [3, 3], plain(2, 1, c))],
            6 if c % 2 == 0 => vec![self.conv(x, 6, [3, 3], plain(1, 1, 2))],
            7 => {
                let dilated = Conv {
                    strides: [1, 1],
                    pads: [2; 4],
                    dilations: [2, 2],
                    groups: 1,
                };
                vec![self.conv(x, 12, [3, 3], dilated)]
            }
            8 => self.node(Op::Unary(Unary::Relu), &[x], &[]),
            9 => self.node(Op::Unary(Unary::Clip(0.0, 0.5)), &[x], &[]),
            10 => {
                let parts = [(0.3, 1.0), (0.2, 0.0), (0.1, 0.0), (0.3, 0.5)]
                    .map(|(scale, offset)| self.constant(&[c], scale, offset));
                let inputs = [x, parts[0], parts[1], parts[2], parts[3]];
                self.node(Op::BatchNormalization { epsilon: 1e-3 }, &inputs, &[])
            }
            11 | 12 if !same.is_empty() => {
                let other = same[usize::from(choice) % same.len()];
                let function = if choice % 22 == 11 {
                    Binary::Add
                } else {
                    Binary::Mul
                };
                self.node(Op::Binary(function), &[x, other], &[])
            }
            13 if !stackable.is_empty() => {
                let other = stackable[usize::from(choice) % stackable.len()];
                self.node(Op::Concat { axis: 1 }, &[other, x], &[])
            }
            14 if h > 2 && w > 2 => {
                let ceil = |extent: usize| (extent + 2 - 3).div_ceil(window.strides[0]) + 1;
                let _ = ceil;
                let out = |extent: usize| (extent - 1) / window.strides[0] + 1;
                let shape = vec![1, c, out(h), out(w)];
                self.node(Op::MaxPool(window), &[x], &[shape])
            }
            15 if h > 2 && w > 2 => {
                let out = |extent: usize| (extent - 1) / window.strides[0] + 1;
                let shape = vec![1, c, out(h), out(w)];
                self.node(Op::AveragePool(window), &[x], &[shape])
            }
            16 => {
                let gate = self.node(Op::GlobalAveragePool, &[x], &[])[0];
                let gate = self.node(Op::Unary(Unary::Sigmoid), &[gate], &[])[0];
                self.node(Op::Binary(Binary::Mul), &[x, gate], &[])
            }
            17 if c > 1 => {
                let shapes = [vec![1, c / 2, h, w], vec![1, c - c / 2, h, w]];
                self.node(Op::Split { axis: 1 }, &[x], &shapes)
            }
            18 => self.node(
                Op::Lrn {
                    size: 5,
                    alpha: 0.1,
                    beta: 0.75,
                    bias: 1.0,
                },
                &[x],
                &[],
            ),
            19 => {
                let flat = self.node(
                    Op::Transpose {
                        perm: vec![0, 2, 3, 1],
                    },
                    &[x],
                    &[],
                )[0];
                let scale = self.constant(&[c], 0.5, 1.0);
                let shift = self.constant(&[c], 0.5, 0.0);
                let normal = Op::LayerNormalization {
                    axis: 3,
                    epsilon: 1e-5,
                };
                let flat = self.node(normal, &[flat, scale, shift], &[])[0];
                let weight = self.constant(&[c, 9], 0.4, 0.0);
                let flat = self.node(Op::MatMul, &[flat, weight], &[])[0];
                let shift = self.constant(&[9], 0.4, 0.0);
                let flat = self.node(Op::Binary(Binary::Add), &[flat, shift], &[])[0];
                let flat = self.node(Op::Unary(Unary::Gelu), &[flat], &[])[0];
                self.node(
                    Op::Transpose {
                        perm: vec![0, 3, 1, 2],
                    },
                    &[flat],
                    &[],
                )
            }
            20 if c % 2 == 0 => {
                let split = self.node(Op::Reshape, &[x], &[vec![1, 2, c / 2, h, w]])[0];
                let mixed = self.node(
                    Op::Transpose {
                        perm: vec![0, 2, 1, 3, 4],
                    },
                    &[split],
                    &[],
                )[0];
                self.node(Op::Reshape, &[mixed], &[vec![1, c, h, w]])
            }
            21 => {
                let bias = self.constant(&[c, 1, 1], 0.5, 0.0);
                self.node(Op::Binary(Binary::Sub), &[bias, x], &[])
            }
            _ => vec![self.conv(x, 20, [3, 3], plain(1, 1, 1))],
        }
    }

    pub(crate) fn finish(mut self, x: ValueId) -> Graph {
        let [_, c, ..] = self.shape(x);
        let pooled = self.node(Op::GlobalAveragePool, &[x], &[])[0];
        let flat = self.node(Op::Reshape, &[pooled], &[vec![1, c]])[0];
        let weight = self.constant(&[10, c], 0.5, 0.0);
        let bias = self.constant(&[10], 0.5, 0.0);
        let gemm = Op::Gemm {
            alpha: 1.0,
            beta: 1.0,
            trans_a: false,
            trans_b: true,
        };
        self.graph.output = self.node(gemm, &[flat, weight, bias], &[])[0];
        self.graph
    }
}

/// A network of random operators; each choice is an operator and where it reads.
pub(crate) fn random_graph(shape: [usize; 4], seed: u64, choices: &[(u8, u8)]) -> Graph {
    let mut builder = Builder::new(shape, seed);
    let mut known = vec![ValueId(0)];
    for &(choice, source) in choices {
        // Mostly continue from the newest value, sometimes from an older one.
        let index = known.len()
            - 1
            - if source < 170 {
                0
            } else {
                usize::from(source) % known.len()
            };
        let x = known[index];
        let new = builder.step(choice, x, &known.clone());
        known.extend(new);
    }
    let last = *known.last().unwrap();
    builder.finish(last)
}
