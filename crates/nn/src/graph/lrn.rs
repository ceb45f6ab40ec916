//! Recognises local response normalisation spelt out with Mul, Reshape, AveragePool and Pow, as
//! converters without the operator write it: the executor has one kernel for it, and layer discovery
//! sees one operator instead of eight.

use super::ir::{Binary, Graph, Node, NodeId, Op, Tensor, ValueId};

/// Replaces every spelt-out normalisation; the parts nobody else reads are left dead.
pub(crate) fn recognise(graph: &mut Graph) {
    for index in 0..graph.nodes.len() {
        if let Some((input, op)) = matched(graph, NodeId(index as u32)) {
            let node = &mut graph.nodes[index];
            node.op = op;
            node.inputs = vec![input];
        }
    }
}

/// `x * (bias + alpha * avg(x^2))^-beta` at its last node.
fn matched(graph: &Graph, last: NodeId) -> Option<(ValueId, Op)> {
    let last = &graph.nodes[last.index()];
    let [a, b] = operands(last, Binary::Mul)?;
    [(a, b), (b, a)].into_iter().find_map(|(input, power)| {
        let [base, exponent] = operands(producer(graph, power)?, Binary::Pow)?;
        let beta = -scalar(graph, exponent)?;
        let (sum, bias) = with_scalar(graph, base, Binary::Add)?;
        let (mean, alpha) = with_scalar(graph, sum, Binary::Mul)?;
        let pooled = reshaped(graph, mean)?;
        let pool = producer(graph, pooled)?;
        let Op::AveragePool(window) = &pool.op else {
            return None;
        };
        let [size, 1] = window.kernel else {
            return None;
        };
        let before = (size - 1) / 2;
        let centred = window.pads == [before, 0, size - 1 - before, 0]
            && window.strides == [1, 1]
            && window.count_include_pad;
        let squares = reshaped(graph, *pool.inputs.first()?)?;
        let [first, second] = operands(producer(graph, squares)?, Binary::Mul)?;
        let shape = &graph.values[input.index()].shape;
        let rows = &graph.values[pool.inputs.first()?.index()].shape;
        let one_row_per_channel =
            shape.len() == 4 && rows.as_slice() == [shape[0], 1, shape[1], shape[2] * shape[3]];
        (centred && first == input && second == input && one_row_per_channel && beta > 0.0)
            .then_some((
                input,
                Op::Lrn {
                    size,
                    alpha,
                    beta,
                    bias,
                },
            ))
    })
}

fn producer(graph: &Graph, value: ValueId) -> Option<&Node> {
    graph.values[value.index()]
        .producer
        .map(|node| &graph.nodes[node.index()])
}

fn operands(node: &Node, function: Binary) -> Option<[ValueId; 2]> {
    (node.op == Op::Binary(function))
        .then(|| node.inputs.as_slice().try_into().ok())
        .flatten()
}

fn reshaped(graph: &Graph, value: ValueId) -> Option<ValueId> {
    let node = producer(graph, value)?;
    (node.op == Op::Reshape)
        .then(|| node.inputs.first().copied())
        .flatten()
}

fn scalar(graph: &Graph, value: ValueId) -> Option<f32> {
    match &graph.values[value.index()].constant {
        Some(Tensor { data, .. }) if data.len() == 1 => data.first().copied(),
        _ => None,
    }
}

/// The other operand and the constant of a commutative function of a value and a number.
fn with_scalar(graph: &Graph, value: ValueId, function: Binary) -> Option<(ValueId, f32)> {
    let [a, b] = operands(producer(graph, value)?, function)?;
    scalar(graph, b)
        .map(|s| (a, s))
        .or_else(|| scalar(graph, a).map(|s| (b, s)))
}
