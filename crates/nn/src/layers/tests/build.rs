//! A small builder of graphs, so that these tests need no file: shapes are worked out by the plainest
//! rules, weights are all ones.

use crate::graph::ir::{
    Binary, Conv, Graph, Node, NodeId, Op, Pool, Reduce, Tensor, Unary, Value, ValueId,
};

pub(super) struct Net {
    pub(super) graph: Graph,
}

/// Kernel, stride and padding of a window.
#[derive(Clone, Copy)]
pub(super) struct Window(pub(super) usize, pub(super) usize, pub(super) usize);

impl Net {
    pub(super) fn new(channels: usize, extent: usize) -> Self {
        let mut net = Self {
            graph: Graph {
                values: Vec::new(),
                nodes: Vec::new(),
                input: ValueId(0),
                output: ValueId(0),
                feeds: Vec::new(),
            },
        };
        net.value("input", &[1, channels, extent, extent], None);
        net
    }

    pub(super) fn input(&self) -> ValueId {
        self.graph.input
    }

    fn value(&mut self, name: &str, shape: &[usize], producer: Option<NodeId>) -> ValueId {
        self.graph.values.push(Value {
            name: name.to_owned(),
            shape: shape.to_vec(),
            constant: None,
            producer,
        });
        ValueId(self.graph.values.len() as u32 - 1)
    }

    pub(super) fn constant(&mut self, shape: &[usize], fill: f32) -> ValueId {
        let length = shape.iter().product();
        let data = vec![fill; length].into();
        let name = format!("constant{}", self.graph.values.len());
        let id = self.value(&name, shape, None);
        self.graph.values[id.index()].constant = Some(Tensor {
            shape: shape.to_vec(),
            data,
        });
        id
    }

    pub(super) fn set_constant(&mut self, id: ValueId, data: &[f32]) {
        let constant = self.graph.values[id.index()].constant.as_mut().unwrap();
        constant.data = data.into();
    }

    pub(super) fn shape(&self, value: ValueId) -> Vec<usize> {
        self.graph.values[value.index()].shape.clone()
    }

    pub(super) fn nodes(
        &mut self,
        names: &[&str],
        op: Op,
        inputs: &[ValueId],
        shapes: &[Vec<usize>],
    ) -> Vec<ValueId> {
        let producer = NodeId(self.graph.nodes.len() as u32);
        let outputs: Vec<ValueId> = names
            .iter()
            .zip(shapes)
            .map(|(name, shape)| self.value(name, shape, Some(producer)))
            .collect();
        self.graph.nodes.push(Node {
            name: names[0].to_owned(),
            op,
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
        });
        outputs
    }

    pub(super) fn node(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[ValueId],
        shape: &[usize],
    ) -> ValueId {
        self.nodes(&[name], op, inputs, &[shape.to_vec()])[0]
    }

    pub(super) fn conv(
        &mut self,
        name: &str,
        x: ValueId,
        outputs: usize,
        window: Window,
    ) -> ValueId {
        self.grouped(name, x, outputs, window, 1)
    }

    pub(super) fn grouped(
        &mut self,
        name: &str,
        x: ValueId,
        outputs: usize,
        Window(kernel, stride, pad): Window,
        groups: usize,
    ) -> ValueId {
        let [batch, channels, height, width] = self.shape(x)[..] else {
            panic!("a convolution reads four axes");
        };
        let weight = self.constant(&[outputs, channels / groups, kernel, kernel], 1.0);
        let extent = |extent: usize| (extent + 2 * pad - kernel) / stride + 1;
        let op = Op::Conv(Conv {
            strides: [stride; 2],
            pads: [pad; 4],
            dilations: [1; 2],
            groups,
        });
        self.node(
            name,
            op,
            &[x, weight],
            &[batch, outputs, extent(height), extent(width)],
        )
    }

    pub(super) fn depthwise(&mut self, name: &str, x: ValueId, window: Window) -> ValueId {
        let channels = self.shape(x)[1];
        self.grouped(name, x, channels, window, channels)
    }

    pub(super) fn max_pool(
        &mut self,
        name: &str,
        x: ValueId,
        Window(kernel, stride, pad): Window,
    ) -> ValueId {
        let [batch, channels, height, width] = self.shape(x)[..] else {
            panic!("pooling reads four axes");
        };
        let extent = |extent: usize| (extent + 2 * pad - kernel) / stride + 1;
        let op = Op::MaxPool(Pool {
            kernel: [kernel; 2],
            strides: [stride; 2],
            pads: [pad; 4],
            dilations: [1; 2],
            count_include_pad: false,
        });
        self.node(
            name,
            op,
            &[x],
            &[batch, channels, extent(height), extent(width)],
        )
    }

    pub(super) fn unary(&mut self, name: &str, function: Unary, x: ValueId) -> ValueId {
        let shape = self.shape(x);
        self.node(name, Op::Unary(function), &[x], &shape)
    }

    pub(super) fn relu(&mut self, name: &str, x: ValueId) -> ValueId {
        self.unary(name, Unary::Relu, x)
    }

    pub(super) fn binary(
        &mut self,
        name: &str,
        function: Binary,
        a: ValueId,
        b: ValueId,
    ) -> ValueId {
        let (left, right) = (self.shape(a), self.shape(b));
        let rank = left.len().max(right.len());
        let at = |shape: &[usize], axis: usize| {
            (axis + shape.len())
                .checked_sub(rank)
                .map_or(1, |axis| shape[axis])
        };
        let shape: Vec<usize> = (0..rank)
            .map(|axis| at(&left, axis).max(at(&right, axis)))
            .collect();
        self.node(name, Op::Binary(function), &[a, b], &shape)
    }

    pub(super) fn add(&mut self, name: &str, a: ValueId, b: ValueId) -> ValueId {
        self.binary(name, Binary::Add, a, b)
    }

    pub(super) fn batch_norm(&mut self, name: &str, x: ValueId, scale: &[f32]) -> ValueId {
        let channels = self.shape(x)[1];
        let ones = self.constant(&[channels], 1.0);
        let weight = self.constant(&[channels], 1.0);
        self.set_constant(weight, scale);
        let shape = self.shape(x);
        let op = Op::BatchNormalization { epsilon: 0.0 };
        self.node(name, op, &[x, weight, ones, ones, ones], &shape)
    }

    pub(super) fn concat(&mut self, name: &str, parts: &[ValueId]) -> ValueId {
        let mut shape = self.shape(parts[0]);
        shape[1] = parts.iter().map(|&part| self.shape(part)[1]).sum();
        self.node(name, Op::Concat { axis: 1 }, parts, &shape)
    }

    pub(super) fn split(&mut self, names: &[&str], x: ValueId, widths: &[usize]) -> Vec<ValueId> {
        let shape = self.shape(x);
        let shapes: Vec<Vec<usize>> = widths
            .iter()
            .map(|&width| {
                let mut shape = shape.clone();
                shape[1] = width;
                shape
            })
            .collect();
        self.nodes(names, Op::Split { axis: 1 }, &[x], &shapes)
    }

    pub(super) fn reshape(&mut self, name: &str, x: ValueId, shape: &[usize]) -> ValueId {
        self.node(name, Op::Reshape, &[x], shape)
    }

    pub(super) fn transpose(&mut self, name: &str, x: ValueId, perm: &[usize]) -> ValueId {
        let shape = self.shape(x);
        let shape: Vec<usize> = perm.iter().map(|&axis| shape[axis]).collect();
        self.node(
            name,
            Op::Transpose {
                perm: perm.to_vec(),
            },
            &[x],
            &shape,
        )
    }

    pub(super) fn shuffle(&mut self, name: &str, x: ValueId, groups: usize) -> ValueId {
        let shape = self.shape(x);
        let [batch, channels, height, width] = shape[..] else {
            panic!("a shuffle reads four axes");
        };
        let split = [batch, groups, channels / groups, height, width];
        let y = self.reshape(&format!("{name}_split"), x, &split);
        let y = self.transpose(&format!("{name}_swap"), y, &[0, 2, 1, 3, 4]);
        self.reshape(name, y, &shape)
    }

    pub(super) fn global_pool(&mut self, name: &str, x: ValueId) -> ValueId {
        let shape = self.shape(x);
        self.node(
            name,
            Op::GlobalAveragePool,
            &[x],
            &[shape[0], shape[1], 1, 1],
        )
    }

    pub(super) fn mean(&mut self, name: &str, x: ValueId, axes: &[usize]) -> ValueId {
        let mut shape = self.shape(x);
        for &axis in axes {
            shape[axis] = 1;
        }
        let op = Op::Reduce {
            kind: Reduce::Mean,
            axes: axes.to_vec(),
            keep_dims: true,
        };
        self.node(name, op, &[x], &shape)
    }

    pub(super) fn gemm(&mut self, name: &str, x: ValueId, outputs: usize) -> ValueId {
        let [rows, columns] = self.shape(x)[..] else {
            panic!("a Gemm reads a matrix");
        };
        let weight = self.constant(&[outputs, columns], 1.0);
        let op = Op::Gemm {
            alpha: 1.0,
            beta: 1.0,
            trans_a: false,
            trans_b: true,
        };
        self.node(name, op, &[x, weight], &[rows, outputs])
    }

    pub(super) fn matmul(&mut self, name: &str, x: ValueId, outputs: usize) -> ValueId {
        let mut shape = self.shape(x);
        let last = shape.len() - 1;
        let weight = self.constant(&[shape[last], outputs], 1.0);
        shape[last] = outputs;
        self.node(name, Op::MatMul, &[x, weight], &shape)
    }

    /// Global pool, Flatten and a Gemm into `classes` logits.
    pub(super) fn classifier(mut self, x: ValueId, classes: usize) -> Graph {
        let shape = self.shape(x);
        let pooled = self.global_pool("gap", x);
        let flat = self.reshape("flat", pooled, &[shape[0], shape[1]]);
        let logits = self.gemm("logits", flat, classes);
        self.finish(logits)
    }

    pub(super) fn finish(mut self, output: ValueId) -> Graph {
        self.graph.output = output;
        self.graph
    }
}
