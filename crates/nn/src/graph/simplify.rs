//! Rewrites of a graph that keep its meaning: dead code removal, and activation functions that
//! exporters spell out as several operators.
//!
//! Place in the flow: the ONNX reader applies both before it hands a graph out. One pass each,
//! linear in the graph.

use super::ir::{Binary, Graph, Node, NodeId, Op, Tensor, Unary, Value, ValueId};
use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

/// Removes nodes that reach none of the output and `extra_roots`, and values nobody reads, and
/// renumbers the rest in the same order. The input stays even if nothing reads it. Returns the
/// graph and the new ids of `extra_roots`.
///
/// The graph must be valid but for dead parts (see [`verify`](super::verify)).
#[must_use]
pub fn prune(graph: Graph, extra_roots: &[ValueId]) -> (Graph, Vec<ValueId>) {
    let mut value_used = vec![false; graph.values.len()];
    let mut node_used = vec![false; graph.nodes.len()];
    let always = graph.feeds.iter().chain([&graph.input, &graph.output]);
    for root in extra_roots.iter().chain(always) {
        value_used[root.index()] = true;
    }
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        if node.outputs.iter().any(|output| value_used[output.index()]) {
            node_used[index] = true;
            for value in node.inputs.iter().chain(&node.outputs) {
                value_used[value.index()] = true;
            }
        }
    }
    let new_ids = |used: &[bool]| -> Vec<u32> {
        let running = used.iter().scan(0, |next, &used| {
            let id = *next;
            *next += u32::from(used);
            Some(id)
        });
        running.collect()
    };
    let (value_ids, node_ids) = (new_ids(&value_used), new_ids(&node_used));
    let renumber = |id: ValueId| ValueId(value_ids[id.index()]);
    let values = graph
        .values
        .into_iter()
        .zip(&value_used)
        .filter(|(_, used)| **used);
    let nodes = graph
        .nodes
        .into_iter()
        .zip(&node_used)
        .filter(|(_, used)| **used);
    let pruned = Graph {
        values: values
            .map(|(value, _)| Value {
                producer: value.producer.map(|id| NodeId(node_ids[id.index()])),
                ..value
            })
            .collect(),
        nodes: nodes
            .map(|(node, _)| Node {
                inputs: node.inputs.iter().copied().map(renumber).collect(),
                outputs: node.outputs.iter().copied().map(renumber).collect(),
                ..node
            })
            .collect(),
        input: renumber(graph.input),
        output: renumber(graph.output),
        feeds: graph.feeds.into_iter().map(renumber).collect(),
    };
    let roots = extra_roots.iter().copied().map(renumber).collect();
    (pruned, roots)
}

/// Replaces spelt-out activation functions by one [`Unary`] node each: `x * sigmoid(x)`,
/// `clip(x + 3, 0, 6) / 6`, `x * hard_sigmoid(x)` and GELU over `erf`. An intermediate with
/// another reader, or one of `protected` (the output always is), keeps the pattern as it is.
///
/// The replaced nodes are left behind without readers: [`prune`] afterwards.
pub fn recognise_patterns(graph: &mut Graph, protected: &[ValueId]) {
    let mut readers = vec![0usize; graph.values.len()];
    for id in graph.nodes.iter().flat_map(|node| &node.inputs) {
        readers[id.index()] += 1;
    }
    for id in protected.iter().chain([&graph.output]) {
        readers[id.index()] += 2;
    }
    // In topological order, so that a HardSigmoid made here is seen by HardSwish.
    for index in 0..graph.nodes.len() {
        let matcher = Matcher {
            graph,
            readers: &readers,
        };
        let node = &graph.nodes[index];
        let found = matcher
            .swish(node)
            .or_else(|| matcher.hard_sigmoid(node))
            .or_else(|| matcher.hard_swish_product(node))
            .or_else(|| matcher.gelu(node));
        if let Some((function, input)) = found {
            let node = &mut graph.nodes[index];
            node.op = Op::Unary(function);
            node.inputs = vec![input];
        }
    }
}

/// Looks upwards from a node through intermediates that only it reads.
struct Matcher<'a> {
    graph: &'a Graph,
    readers: &'a [usize],
}

impl<'a> Matcher<'a> {
    fn constant(&self, id: ValueId) -> Option<&'a Tensor> {
        self.graph.values[id.index()].constant.as_ref()
    }

    /// The value of a constant with one element.
    fn scalar(&self, id: ValueId) -> Option<f32> {
        self.constant(id)
            .filter(|tensor| tensor.data.len() == 1)
            .map(|tensor| tensor.data[0])
    }

    /// The producer of a value that has one reader.
    fn private_producer(&self, id: ValueId) -> Option<&'a Node> {
        let producer = self.graph.values[id.index()].producer?;
        (self.readers[id.index()] == 1).then(|| &self.graph.nodes[producer.index()])
    }

    /// Operand and function if `id` is a unary function only this pattern reads.
    fn private_unary(&self, id: ValueId) -> Option<(Unary, ValueId)> {
        match self.private_producer(id)? {
            Node {
                op: Op::Unary(function),
                inputs,
                ..
            } => Some((*function, *inputs.first()?)),
            _ => None,
        }
    }

    /// Both operands if `node` computes `function`.
    fn operands(&self, node: &Node, function: Binary) -> Option<[ValueId; 2]> {
        match (&node.op, node.inputs.as_slice()) {
            (Op::Binary(found), &[a, b]) if *found == function => Some([a, b]),
            _ => None,
        }
    }

    /// `(x, c)` if `node` is `x * c` or `c * x`, `x + c`, `c + x` with a scalar constant that does
    /// not change the shape.
    fn with_scalar(&self, node: &Node, function: Binary) -> Option<(ValueId, f32)> {
        let [a, b] = self.operands(node, function)?;
        let shape = |id: ValueId| &self.graph.values[id.index()].shape;
        let pick = |x: ValueId, c: ValueId| {
            self.scalar(c)
                .filter(|_| shape(c).len() <= shape(x).len())
                .map(|value| (x, value))
        };
        let commutes = matches!(function, Binary::Add | Binary::Mul);
        pick(a, b).or_else(|| if commutes { pick(b, a) } else { None })
    }

    /// `(x, c)` if `node` is `x * c` or `x / (1 / c)`.
    fn scaled(&self, node: &Node) -> Option<(ValueId, f32)> {
        self.with_scalar(node, Binary::Mul).or_else(|| {
            self.with_scalar(node, Binary::Div)
                .map(|(x, divisor)| (x, 1.0 / divisor))
        })
    }

    /// `x * sigmoid(x)`, in either order.
    fn swish(&self, node: &Node) -> Option<(Unary, ValueId)> {
        let [a, b] = self.operands(node, Binary::Mul)?;
        let try_order = |x: ValueId, gate: ValueId| match self.private_unary(gate)? {
            (Unary::Sigmoid, of) if of == x => Some((Unary::Swish, x)),
            (Unary::HardSigmoid(alpha, beta), of)
                if of == x && close(alpha, 1.0 / 6.0) && close(beta, 0.5) =>
            {
                Some((Unary::HardSwish, x))
            }
            _ => None,
        };
        try_order(a, b).or_else(|| try_order(b, a))
    }

    /// `clip(x + 3, 0, 6)`.
    fn shifted_clip(&self, id: ValueId) -> Option<ValueId> {
        let (Unary::Clip(low, high), sum) = self.private_unary(id)? else {
            return None;
        };
        let (x, shift) = self.with_scalar(self.private_producer(sum)?, Binary::Add)?;
        (low == 0.0 && high == 6.0 && shift == 3.0).then_some(x)
    }

    /// `clip(x + 3, 0, 6) / 6`.
    fn hard_sigmoid(&self, node: &Node) -> Option<(Unary, ValueId)> {
        let (clipped, factor) = self.scaled(node)?;
        let x = self.shifted_clip(clipped)?;
        close(factor, 1.0 / 6.0).then_some((Unary::HardSigmoid(1.0 / 6.0, 0.5), x))
    }

    /// `x * clip(x + 3, 0, 6) / 6`.
    fn hard_swish_product(&self, node: &Node) -> Option<(Unary, ValueId)> {
        let (product, factor) = self.scaled(node)?;
        let [a, b] = self.operands(self.private_producer(product)?, Binary::Mul)?;
        let matches = |x: ValueId, gate: ValueId| (self.shifted_clip(gate) == Some(x)).then_some(x);
        let x = matches(a, b).or_else(|| matches(b, a))?;
        close(factor, 1.0 / 6.0).then_some((Unary::HardSwish, x))
    }

    /// `1 + erf(x / sqrt 2)`.
    fn gelu_gate(&self, id: ValueId) -> Option<ValueId> {
        let (erf, one) = self.with_scalar(self.private_producer(id)?, Binary::Add)?;
        let (Unary::Erf, argument) = self.private_unary(erf)? else {
            return None;
        };
        let (x, factor) = self.scaled(self.private_producer(argument)?)?;
        let is_root = close(factor, FRAC_1_SQRT_2) || close(factor, 1.0 / SQRT_2);
        (one == 1.0 && is_root).then_some(x)
    }

    /// `x * (1 + erf(x / sqrt 2)) * 0.5` with the factors in any order.
    fn gelu(&self, node: &Node) -> Option<(Unary, ValueId)> {
        let half_of = |id: ValueId| {
            let (inner, factor) = self.scaled(self.private_producer(id)?)?;
            (factor == 0.5).then_some(inner)
        };
        // (x * gate) * 0.5
        if let Some((product, factor)) = self.scaled(node)
            && factor == 0.5
        {
            let [a, b] = self.operands(self.private_producer(product)?, Binary::Mul)?;
            let matches =
                |x: ValueId, gate: ValueId| (self.gelu_gate(gate) == Some(x)).then_some(x);
            return matches(a, b)
                .or_else(|| matches(b, a))
                .map(|x| (Unary::Gelu, x));
        }
        // x * (gate * 0.5) and (x * 0.5) * gate
        let [a, b] = self.operands(node, Binary::Mul)?;
        let matches = |left: ValueId, right: ValueId| {
            let halved_gate = half_of(right).and_then(|gate| self.gelu_gate(gate));
            if halved_gate == Some(left) {
                return Some(left);
            }
            let x = half_of(left)?;
            (self.gelu_gate(right) == Some(x)).then_some(x)
        };
        matches(a, b)
            .or_else(|| matches(b, a))
            .map(|x| (Unary::Gelu, x))
    }
}

/// Equal up to the rounding of a constant written as a decimal or as a half-precision number's
/// neighbour in `f32`.
fn close(found: f32, expected: f32) -> bool {
    (found - expected).abs() <= 1e-6 * expected.abs()
}
