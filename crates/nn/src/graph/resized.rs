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
