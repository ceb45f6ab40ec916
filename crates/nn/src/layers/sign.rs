//! Which values can be negative, by a conservative pass over the graph.
//!
//! A layer that cannot be negative (after ReLU, say) is called unsigned; the flag decides how its
//! activations are drawn and named, never what is computed. "May be negative" is the safe answer.

use crate::graph::ir::{Binary, Graph, Node, Op, PadMode, Unary};

/// Per value: it is never below 0. One pass, linear in the graph and the constants.
pub(crate) fn never_negative(graph: &Graph) -> Vec<bool> {
    let mut known: Vec<bool> = graph
        .values
        .iter()
        .map(|value| {
            let constant = value.constant.as_ref();
            constant.is_some_and(|tensor| tensor.data.iter().all(|&x| x >= 0.0))
        })
        .collect();
    for node in &graph.nodes {
        let result = node_result(node, &known);
        for output in &node.outputs {
            if let Some(slot) = known.get_mut(output.index()) {
                *slot = result;
            }
        }
    }
    known
}

fn node_result(node: &Node, known: &[bool]) -> bool {
    let operand = |k: usize| {
        let value = node.inputs.get(k);
        value.is_some_and(|value| known.get(value.index()).copied().unwrap_or(false))
    };
    let every = || (0..node.inputs.len()).all(operand);
    match &node.op {
        Op::Unary(function) => match function {
            Unary::Relu
            | Unary::Sigmoid
            | Unary::HardSigmoid(..)
            | Unary::Sqrt
            | Unary::Exp
            | Unary::Abs
            | Unary::Softplus => true,
            Unary::Clip(low, _) => *low >= 0.0 || operand(0),
            Unary::Log | Unary::Neg => false,
            Unary::LeakyRelu(_)
            | Unary::HardSwish
            | Unary::Erf
            | Unary::Gelu
            | Unary::GeluTanh
            | Unary::Tanh
            | Unary::Reciprocal
            | Unary::Elu(_)
            | Unary::Swish => operand(0),
        },
        Op::Binary(function) => match function {
            Binary::Max => operand(0) || operand(1),
            Binary::Add | Binary::Mul | Binary::Div | Binary::Min => every(),
            Binary::Pow | Binary::PRelu => operand(0),
            Binary::Sub => false,
        },
        Op::Softmax { log, .. } => !log,
        Op::Lrn { .. }
        | Op::MaxPool(_)
        | Op::AveragePool(_)
        | Op::GlobalAveragePool
        | Op::GlobalMaxPool
        | Op::Reduce { .. }
        | Op::Split { .. }
        | Op::Slice { .. }
        | Op::Gather { .. }
        | Op::Reshape
        | Op::Transpose { .. }
        | Op::Resize { .. }
        | Op::Expand => operand(0),
        Op::Pad { mode, .. } => match mode {
            PadMode::Constant(fill) => *fill >= 0.0 && operand(0),
            PadMode::Reflect | PadMode::Edge => operand(0),
        },
        Op::Concat { .. } | Op::Where { .. } | Op::MatMul => every(),
        Op::Conv(_)
        | Op::ConvTranspose(_)
        | Op::Gemm { .. }
        | Op::BatchNormalization { .. }
        | Op::LayerNormalization { .. }
        | Op::InstanceNormalization { .. }
        | Op::Adjoint(_) => false,
    }
}
