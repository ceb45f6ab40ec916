//! The same network for an input of other extents.
//!
//! Place in the flow: the part of a network up to a layer is mostly convolutional and says the same
//! of a smaller picture at a fraction of the cost; feature visualisation runs it at the size a channel
//! needs. Weights are shared; linear in the graph.

use super::ir::{Graph, Op, Pool};
use super::shape::{ShapeError, infer, window_count};
use super::verify::{VerifyError, verify};

/// `graph` with an input of `[height, width]` pixels.
///
/// # Errors
/// Where an operator is tied to the extents of the file (a product over positions, a constant map, a
/// reshape of rows), by its name.
pub fn resized(graph: &Graph, [height, width]: [usize; 2]) -> Result<Graph, VerifyError> {
    let mut resized = graph.clone();
    if let [.., rows, columns] = resized.values[graph.input.index()].shape.as_mut_slice() {
        (*rows, *columns) = (height, width);
    }
    for node in &graph.nodes {
        let shapes = |graph: &Graph, values: &[super::ValueId]| -> Vec<Vec<usize>> {
            let shape = |value: &super::ValueId| graph.values[value.index()].shape.clone();
            values.iter().map(shape).collect()
        };
        let before = (shapes(graph, &node.inputs), shapes(graph, &node.outputs));
        let inputs = shapes(&resized, &node.inputs);
        let outputs = outputs(&node.op, &before, &inputs).map_err(|source| VerifyError::Shape {
            source,
            node: node.name.clone(),
        })?;
        for (value, shape) in node.outputs.iter().zip(outputs) {
            resized.values[value.index()].shape = shape;
        }
    }
    verify(&resized)?;
    Ok(resized)
}

/// Shapes before the change: `(inputs, outputs)`.
type Before = (Vec<Vec<usize>>, Vec<Vec<usize>>);

fn outputs(
    op: &Op,
    (old, old_outputs): &Before,
    inputs: &[Vec<usize>],
) -> Result<Vec<Vec<usize>>, ShapeError> {
    let views: Vec<&[usize]> = inputs.iter().map(Vec::as_slice).collect();
    if *old == inputs {
        return Ok(old_outputs.clone());
    }
    let wanted = match (op, old.first(), old_outputs.first(), inputs.first()) {
        (Op::MaxPool(pool) | Op::AveragePool(pool), Some(old), Some(out), Some(new)) => {
            vec![pooled(pool, old, out, new)?]
        }
        (Op::Resize { scales, .. }, _, _, Some(new)) => vec![
            new.iter()
                .zip(scales)
                .map(|(&extent, &scale)| (extent as f64 * f64::from(scale)).floor() as usize)
                .collect(),
        ],
        (
            Op::Reshape | Op::Slice { .. } | Op::Split { .. } | Op::Expand,
            Some(old),
            Some(_),
            Some(new),
        ) => old_outputs
            .iter()
            .map(|out| keeping_map(old, out, new))
            .collect::<Result<_, _>>()?,
        _ => Vec::new(),
    };
    infer(op, &views, &wanted)
}

/// Rows and columns are the last two axes before and after, whole: they follow the input.
fn keeping_map(old: &[usize], out: &[usize], new: &[usize]) -> Result<Vec<usize>, ShapeError> {
    match (old, out, new) {
        ([.., h, w], [rest @ .., rows, columns], [.., height, width])
            if h == rows && w == columns && old.len() >= 3 && out.len() >= 3 =>
        {
            Ok([rest, &[*height, *width]].concat())
        }
        _ => Err(ShapeError::Mismatch(
            "the output's extents are fixed by the file".to_owned(),
        )),
    }
}

/// Windows counted as the file counts them: a last, partial one where it has one.
fn pooled(
    pool: &Pool,
    old: &[usize],
    out: &[usize],
    new: &[usize],
) -> Result<Vec<usize>, ShapeError> {
    let mut shape = new.to_vec();
    let [top, left, bottom, right] = pool.pads;
    for (axis, ends) in [[top, bottom], [left, right]].into_iter().enumerate() {
        let count = |extent, ceil| {
            let (kernel, stride) = (pool.kernel[axis], pool.strides[axis]);
            window_count(extent, kernel, stride, pool.dilations[axis], ends, ceil)
        };
        let place = axis + 2;
        let (Some(&before), Some(&windows), Some(extent)) =
            (old.get(place), out.get(place), shape.get_mut(place))
        else {
            return Err(ShapeError::Extent(new.to_vec()));
        };
        let partial = count(before, false)? != windows;
        *extent = count(*extent, partial)?;
    }
    Ok(shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::ir::{Conv, Tensor, Unary, ValueId};
    use crate::reference;
    use crate::testing::Builder;

    /// Strided convolutions, pooling with a partial window, a shuffle of channels, a split and a
    /// concatenation, for an input of this side.
    fn network(side: usize) -> Graph {
        let mut builder = Builder::new([1, 3, side, side], 5);
        let conv = |stride: usize, pad: usize| Conv {
            strides: [stride; 2],
            pads: [pad; 4],
            dilations: [1; 2],
            groups: 1,
        };
        let first = builder.conv(ValueId(0), 8, [5, 5], conv(2, 2));
        let relu = builder.node(Op::Unary(Unary::Relu), &[first], &[])[0];
        let [.., h, w] = builder.shape(relu);
        let half = |extent: usize| (extent - 3).div_ceil(2) + 1;
        let pool = Pool {
            kernel: [3; 2],
            strides: [2; 2],
            pads: [0; 4],
            dilations: [1; 2],
            count_include_pad: false,
        };
        let wanted = vec![1, 8, half(h), half(w)];
        let pooled = builder.node(Op::MaxPool(pool), &[relu], std::slice::from_ref(&wanted))[0];
        let [h, w] = [wanted[2], wanted[3]];
        let grouped = builder.node(Op::Reshape, &[pooled], &[vec![1, 2, 4, h, w]])[0];
        let perm = vec![0, 2, 1, 3, 4];
        let turned = builder.node(Op::Transpose { perm }, &[grouped], &[])[0];
        let shuffled = builder.node(Op::Reshape, &[turned], &[vec![1, 8, h, w]])[0];
        let parts = vec![vec![1, 3, h, w], vec![1, 5, h, w]];
        let parts = builder.node(Op::Split { axis: 1 }, &[shuffled], &parts);
        let second = builder.conv(parts[0], 4, [3, 3], conv(1, 1));
        let joined = builder.node(Op::Concat { axis: 1 }, &[second, parts[1]], &[])[0];
        builder.finish(joined)
    }

    #[test]
    fn computes_what_the_network_of_that_size_computes() {
        let small = network(40);
        for side in [24, 40, 61] {
            let wanted = network(side);
            let found = resized(&small, [side, side]).unwrap();
            for (a, b) in found.values.iter().zip(&wanted.values) {
                assert_eq!(a.shape, b.shape, "{} at {side}", a.name);
            }
            let input = Tensor {
                shape: vec![1, 3, side, side],
                data: (0..3 * side * side)
                    .map(|k| (k as f32 * 0.37).sin())
                    .collect(),
            };
            let run = |graph: &Graph| {
                let values = reference::run(graph, &input).unwrap();
                values[graph.output.index()].clone().unwrap().data
            };
            assert_eq!(run(&found), run(&wanted));
        }
    }

    #[test]
    fn what_is_tied_to_its_extents_is_refused_by_name() {
        let mut builder = Builder::new([1, 3, 8, 8], 1);
        let flat = builder.node(Op::Reshape, &[ValueId(0)], &[vec![1, 3 * 64]])[0];
        builder.graph.output = flat;
        let error = resized(&builder.graph, [16, 16]).unwrap_err().to_string();
        assert!(error.contains("n0"), "{error}");
        assert!(resized(&builder.graph, [8, 8]).is_ok());
        // Too small for a window.
        assert!(resized(&network(40), [4, 4]).is_err());
    }
}
