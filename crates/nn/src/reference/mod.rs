//! The naive executor: every operator in the plainest loops, accumulated in `f64`.
//!
//! Place in the flow: the twin that fast kernels are tested against, and the evaluator of constant
//! sub-expressions while a model is loaded. It is meant to be read beside the ONNX specification;
//! it computes every value of a graph, keeps all of them, and knows no layout but row-major ONNX
//! order. Time is the number of multiply-adds times about a nanosecond, memory the sum of all
//! values plus one `f64` plane.

mod adjoint;
mod conv;
mod elementwise;
mod index;
mod matmul;
mod movement;
mod norm;
mod pool;
mod reduce;
mod resize;

pub use resize::{linear_sources, nearest_source};

pub(crate) use elementwise::{derivative, erf};
pub(crate) use movement::{rearrange, split_shapes};

use crate::graph::shape::{self, ShapeError};
use crate::graph::{Graph, Op, Tensor, VerifyError, verify};

/// Why the reference executor cannot run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The image tensor has another shape than the graph's input.
    #[error("the input has shape {found:?}, the network reads {expected:?}")]
    Input {
        /// Shape of the graph's input.
        expected: Vec<usize>,
        /// Shape given.
        found: Vec<usize>,
    },
    /// The graph breaks an invariant.
    #[error(transparent)]
    Graph(#[from] VerifyError),
    /// The operands do not fit the operator.
    #[error(transparent)]
    Operands(#[from] ShapeError),
    /// A tensor's data do not fill its shape.
    #[error("a tensor of shape {shape:?} holds {found} elements")]
    Data {
        /// Declared shape.
        shape: Vec<usize>,
        /// Elements held.
        found: usize,
    },
}

/// Computes every value of `graph`, indexed as [`Graph::values`]; `input` is `[N, C, H, W]`.
///
/// All entries are `Some` for a graph that passes [`verify`] and has no unused values.
pub fn run(graph: &Graph, input: &Tensor) -> Result<Vec<Option<Tensor>>, RunError> {
    run_with(graph, input, &[])
}

/// [`run`] for a derived graph; `feeds` in the order of [`Graph::feeds`].
pub fn run_with(
    graph: &Graph,
    input: &Tensor,
    feeds: &[Tensor],
) -> Result<Vec<Option<Tensor>>, RunError> {
    verify(graph)?;
    check_data(input)?;
    let expected = &graph.values[graph.input.index()].shape;
    if input.shape != *expected {
        return Err(RunError::Input {
            expected: expected.clone(),
            found: input.shape.clone(),
        });
    }
    let mut values: Vec<Option<Tensor>> = graph
        .values
        .iter()
        .map(|value| value.constant.clone())
        .collect();
    values[graph.input.index()] = Some(input.clone());
    for (&feed, tensor) in graph.feeds.iter().zip(feeds) {
        check_data(tensor)?;
        values[feed.index()] = Some(tensor.clone());
    }
    for node in &graph.nodes {
        let operands: Vec<&Tensor> = node
            .inputs
            .iter()
            .filter_map(|id| values[id.index()].as_ref())
            .collect();
        let shapes: Vec<Vec<usize>> = node
            .outputs
            .iter()
            .map(|id| graph.values[id.index()].shape.clone())
            .collect();
        let results = evaluate(&node.op, &operands, &shapes)?;
        for (id, result) in node.outputs.iter().zip(results) {
            values[id.index()] = Some(result);
        }
    }
    Ok(values)
}

/// Applies one operator. `output_shapes` may be empty where the operator determines its output
/// (see [`shape::infer`]).
pub fn evaluate(
    op: &Op,
    operands: &[&Tensor],
    output_shapes: &[Vec<usize>],
) -> Result<Vec<Tensor>, RunError> {
    operands.iter().try_for_each(|tensor| check_data(tensor))?;
    let shapes: Vec<&[usize]> = operands
        .iter()
        .map(|tensor| tensor.shape.as_slice())
        .collect();
    let output_shapes = shape::infer(op, &shapes, output_shapes)?;
    if let Some(results) = movement::evaluate(op, operands, &output_shapes) {
        return Ok(results);
    }
    // From here on shapes are known to fit, so the loops below index freely.
    let first = operands[0];
    let second = operands.get(1).copied().unwrap_or(first);
    let third = operands.get(2).copied();
    let output_shape = output_shapes[0].as_slice();
    let data = match op {
        Op::Conv(conv) => conv::forward(conv, first, second, third, output_shape),
        Op::ConvTranspose(conv) => conv::transposed(conv, first, second, third, output_shape),
        Op::Gemm {
            alpha,
            beta,
            trans_a,
            trans_b,
        } => {
            let factors = matmul::Factors {
                left: first,
                right: second,
                offset: third,
            };
            matmul::gemm(
                [*alpha, *beta],
                [*trans_a, *trans_b],
                &factors,
                output_shape,
            )
        }
        Op::MatMul => matmul::matmul(first, second),
        Op::BatchNormalization { epsilon } => norm::batch(operands, *epsilon),
        Op::Lrn {
            size,
            alpha,
            beta,
            bias,
        } => norm::local_response(first, *size, [*alpha, *beta, *bias]),
        Op::LayerNormalization { axis, epsilon } => norm::layer(operands, *axis, *epsilon),
        Op::InstanceNormalization { epsilon } => norm::instance(operands, *epsilon),
        Op::Unary(function) => elementwise::unary(*function, first),
        Op::Binary(function) => elementwise::binary(*function, first, second, output_shape),
        Op::Where { mask } => elementwise::choose(mask, first, second, output_shape),
        Op::Softmax {
            first: from,
            end,
            log,
        } => norm::softmax(first, *from..*end, *log),
        Op::MaxPool(pool) => pool::maximum(pool, first, output_shape),
        Op::AveragePool(pool) => pool::average(pool, first, output_shape),
        Op::GlobalAveragePool => reduce::reduce(crate::graph::ir::Reduce::Mean, first, &[2, 3]),
        Op::GlobalMaxPool => reduce::reduce(crate::graph::ir::Reduce::Max, first, &[2, 3]),
        Op::Reduce { kind, axes, .. } => reduce::reduce(*kind, first, axes),
        Op::Pad { before, mode, .. } => movement::pad(first, before, *mode, output_shape),
        Op::Resize {
            scales,
            mode,
            coordinates,
        } => resize::resize(first, scales, *mode, *coordinates, output_shape),
        Op::Adjoint(adjoint) => adjoint::evaluate(adjoint, operands, output_shape),
        // Pure rearrangements were handled above.
        Op::Concat { .. }
        | Op::Split { .. }
        | Op::Slice { .. }
        | Op::Gather { .. }
        | Op::Reshape
        | Op::Transpose { .. }
        | Op::Expand => first.data.to_vec(),
    };
    Ok(vec![Tensor {
        shape: output_shape.to_vec(),
        data: data.into(),
    }])
}

fn check_data(tensor: &Tensor) -> Result<(), RunError> {
    if shape::element_count(&tensor.shape)? == tensor.data.len() {
        return Ok(());
    }
    Err(RunError::Data {
        shape: tensor.shape.clone(),
        found: tensor.data.len(),
    })
}
