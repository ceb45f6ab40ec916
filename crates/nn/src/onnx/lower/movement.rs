//! Operators that move, repeat, add or drop elements.

use super::super::builder::{Builder, Operand};
use super::super::error::{Problem, invalid, unsupported};
use super::super::literal::{Elements, Literal, normalize_axes, normalize_axis, to_extents};
use super::super::site::Site;
use super::{Lowered, axes_argument};
use crate::graph::Op;
use crate::graph::ir::PadMode;
use crate::graph::shape::broadcast;
use crate::reference::split_shapes;

/// Largest number of copies `Tile` makes along an axis, and of parts `Split` makes.
const MAX_PARTS: i64 = 1 << 14;

pub(super) fn lower(builder: &mut Builder, site: &Site<'_>) -> Lowered {
    let output = match site.operator() {
        "Identity" => site.operand(0)?,
        "Dropout" => dropout(builder, site)?,
        "Concat" => concat(builder, site)?,
        "Split" => return split(builder, site).map(Some),
        "Slice" => slice(builder, site)?,
        "Gather" => gather(builder, site)?,
        "Reshape" => reshape(builder, site)?,
        "Flatten" => flatten(builder, site)?,
        "Squeeze" => squeeze(builder, site)?,
        "Unsqueeze" => unsqueeze(builder, site)?,
        "Transpose" => transpose(builder, site)?,
        "Pad" => pad(builder, site)?,
        "Expand" => {
            let input = site.operand(0)?;
            let shape = to_extents(&builder.ints(site.operand(1)?, "the shape")?)?;
            let wanted = broadcast(&builder.shape(input), &shape)?;
            builder.emit_as(Op::Expand, &[input], wanted)?
        }
        "Tile" => tile(builder, site)?,
        "DepthToSpace" => depth_to_space(builder, site)?,
        "SpaceToDepth" => space_to_depth(builder, site)?,
        _ => return Ok(None),
    };
    Ok(Some(vec![output]))
}

fn dropout(builder: &Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    site.refuse_outputs_from(1, "mask")?;
    if let Some(training) = site.optional(2) {
        let training = builder.constant(training, "training_mode")?;
        if training.elements.to_bools().iter().any(|&on| on) {
            return unsupported!("the network is in training mode");
        }
    }
    site.operand(0)
}

fn concat(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    if !site.has("axis") {
        return invalid!("attribute axis is missing");
    }
    let mut operands = site.all_operands()?;
    let axis = normalize_axis(site.int("axis", 0)?, builder.shape(operands[0]).len())?;
    // Exporters join empty lists when they compute paddings and shapes.
    let is_empty = |operand: &Operand| {
        builder
            .literal(*operand)
            .is_some_and(|literal| literal.elements.len() == 0)
    };
    if operands.len() > 1 && !operands.iter().all(is_empty) {
        operands.retain(|operand| !is_empty(operand));
    }
    if let [single] = operands.as_slice() {
        return Ok(*single);
    }
    builder.emit(Op::Concat { axis }, &operands)
}

fn split(builder: &mut Builder, site: &Site<'_>) -> Result<Vec<Operand>, Problem> {
    let input = site.operand(0)?;
    let shape = builder.shape(input);
    let axis = normalize_axis(site.int("axis", 0)?, shape.len())?;
    let extent = shape[axis];
    let given = if site.opset < 13 {
        site.ints("split")?.map(<[i64]>::to_vec)
    } else {
        site.optional(1)
            .map(|operand| builder.ints(operand, "the list of parts"))
            .transpose()?
    };
    let lengths = match given {
        Some(lengths) => to_extents(&lengths)?,
        None => {
            let parts = site.int("num_outputs", site.node.output.len() as i64)?;
            if !(1..=MAX_PARTS).contains(&parts) {
                return invalid!("{parts} parts cannot be made");
            }
            let parts = parts as usize;
            if !site.has("num_outputs") && !extent.is_multiple_of(parts) {
                return invalid!("an extent of {extent} cannot be cut into {parts} equal parts");
            }
            // Opset 18: the last part is smaller where the extent cannot be divided.
            let length = extent.div_ceil(parts);
            let start_of = |part: usize| (part * length).min(extent);
            (0..parts)
                .map(|part| start_of(part + 1) - start_of(part))
                .collect()
        }
    };
    if lengths.len() != site.node.output.len() {
        return invalid!(
            "{} parts for {} outputs",
            lengths.len(),
            site.node.output.len()
        );
    }
    builder.emit_all(
        Op::Split { axis },
        &[input],
        &split_shapes(&shape, axis, &lengths),
    )
}

/// Slice: attributes before opset 10, inputs from then on.
fn slice(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let input = site.operand(0)?;
    let shape = builder.shape(input);
    let argument = |name: &str, position: usize| {
        if site.opset < 10 {
            Ok(site.ints(name)?.map(<[i64]>::to_vec))
        } else {
            site.optional(position)
                .map(|operand| builder.ints(operand, name))
                .transpose()
        }
    };
    let (Some(first), Some(last)) = (argument("starts", 1)?, argument("ends", 2)?) else {
        return invalid!("the bounds are missing");
    };
    let axes = argument("axes", 3)?.unwrap_or_else(|| (0..first.len() as i64).collect());
    let given_steps = if site.opset < 10 {
        None
    } else {
        argument("steps", 4)?
    }
    .unwrap_or(vec![1; first.len()]);
    if last.len() != first.len() || axes.len() != first.len() || given_steps.len() != first.len() {
        return invalid!("the bounds {first:?}, {last:?}, axes and steps differ in number");
    }
    normalize_axes(&axes, shape.len())?;
    let mut starts = vec![0; shape.len()];
    let mut steps = vec![1; shape.len()];
    let mut wanted = shape.clone();
    for (position, &axis) in axes.iter().enumerate() {
        let axis = normalize_axis(axis, shape.len())?;
        let bounds = [first[position], last[position]];
        let (start, count) = slice_axis(shape[axis], bounds, given_steps[position])?;
        if count == 0 {
            return unsupported!("a slice of shape {shape:?} is empty");
        }
        starts[axis] = start;
        // One element needs no step, and a huge one would only overflow.
        let step = if count == 1 { 1 } else { given_steps[position] };
        steps[axis] = isize::try_from(step).unwrap_or(1);
        wanted[axis] = count;
    }
    if wanted == shape && steps.iter().all(|&step| step == 1) {
        return Ok(input);
    }
    builder.emit_as(Op::Slice { starts, steps }, &[input], wanted)
}

/// First index and number of elements of `extent[start:end:step]`, NumPy rules.
fn slice_axis(extent: usize, [start, end]: [i64; 2], step: i64) -> Result<(usize, usize), Problem> {
    let extent = extent as i128;
    let from_end = |bound: i64| {
        let bound = i128::from(bound);
        if bound < 0 { bound + extent } else { bound }
    };
    let (low, high) = if step > 0 {
        (0, extent)
    } else {
        (-1, extent - 1)
    };
    let start = from_end(start).clamp(low.max(0), high);
    let end = from_end(end).clamp(low, high);
    let step = i128::from(step);
    let count = match step {
        0 => return invalid!("a step is 0"),
        1.. => (end - start + step - 1) / step,
        _ => (start - end - step - 1) / -step,
    };
    Ok((start.max(0) as usize, count.max(0) as usize))
}

fn gather(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let input = site.operand(0)?;
    let shape = builder.shape(input);
    let axis = normalize_axis(site.int("axis", 0)?, shape.len())?;
    let literal = builder.constant(site.operand(1)?, "the list of indices")?;
    let Literal {
        shape: indices_shape,
        elements: Elements::Ints(numbers),
    } = literal
    else {
        return invalid!("the indices are no integers");
    };
    let indices = numbers
        .iter()
        .map(|&number| normalize_axis(number, shape[axis]));
    let indices = indices.collect::<Result<Vec<_>, _>>()?;
    let indices_shape = indices_shape.clone();
    builder.charge_bytes(indices.len())?;
    let op = Op::Gather {
        axis,
        indices,
        indices_shape,
    };
    builder.emit(op, &[input])
}

/// Reshape: 0 copies an extent (unless `allowzero`), -1 is what remains.
fn reshape(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let input = site.operand(0)?;
    let shape = builder.shape(input);
    let given = builder.ints(site.operand(1)?, "the shape")?;
    let copies_zero = site.opset < 14 || !site.flag("allowzero")?;
    let mut wanted = Vec::with_capacity(given.len());
    let mut open = None;
    for (axis, &number) in given.iter().enumerate() {
        wanted.push(match (number, shape.get(axis)) {
            (0, Some(&extent)) if copies_zero => extent,
            (-1, _) if open.is_none() => {
                open = Some(axis);
                1
            }
            (1.., _) => number as usize,
            _ => return invalid!("shape {shape:?} cannot be read as {given:?}"),
        });
    }
    if let Some(axis) = open {
        let product = |extents: &[usize]| {
            extents
                .iter()
                .try_fold(1usize, |count, &extent| count.checked_mul(extent))
        };
        wanted[axis] = match (product(&shape), product(&wanted)) {
            (Some(all), Some(known)) if known > 0 && all % known == 0 => all / known,
            _ => return invalid!("shape {shape:?} cannot be read as {given:?}"),
        };
    }
    builder.reshape(input, wanted)
}

fn flatten(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let input = site.operand(0)?;
    let shape = builder.shape(input);
    let axis = match site.int("axis", 1)? {
        // The axis may be the rank itself: everything goes into the rows.
        axis if axis == shape.len() as i64 => shape.len(),
        axis => normalize_axis(axis, shape.len())?,
    };
    let wanted = vec![
        shape[..axis].iter().product(),
        shape[axis..].iter().product(),
    ];
    builder.reshape(input, wanted)
}

fn squeeze(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let input = site.operand(0)?;
    let shape = builder.shape(input);
    let dropped = match axes_argument(builder, site, 13, 1)? {
        Some(axes) => normalize_axes(&axes, shape.len())?,
        None => (0..shape.len()).filter(|&axis| shape[axis] == 1).collect(),
    };
    if dropped.iter().any(|&axis| shape[axis] != 1) {
        return invalid!("axes {dropped:?} of shape {shape:?} are not 1");
    }
    let kept = (0..shape.len()).filter(|axis| !dropped.contains(axis));
    builder.reshape(input, kept.map(|axis| shape[axis]).collect())
}

fn unsqueeze(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let input = site.operand(0)?;
    let shape = builder.shape(input);
    let Some(axes) = axes_argument(builder, site, 13, 1)? else {
        return invalid!("the axes are missing");
    };
    let added = normalize_axes(&axes, shape.len() + axes.len())?;
    let mut extents = shape.iter();
    let wanted = (0..shape.len() + added.len())
        .map(|axis| {
            if added.contains(&axis) {
                1
            } else {
                extents.next().copied().unwrap_or(1)
            }
        })
        .collect();
    builder.reshape(input, wanted)
}

fn transpose(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let input = site.operand(0)?;
    let rank = builder.shape(input).len();
    let perm = match site.ints("perm")? {
        Some(perm) => perm
            .iter()
            .map(|&axis| normalize_axis(axis, rank))
            .collect::<Result<_, _>>()?,
        None => (0..rank).rev().collect::<Vec<_>>(),
    };
    if perm.iter().copied().eq(0..rank) {
        return Ok(input);
    }
    builder.emit(Op::Transpose { perm }, &[input])
}

/// Pad: attributes before opset 11, inputs from then on, a list of axes from opset 18.
fn pad(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let input = site.operand(0)?;
    let rank = builder.shape(input).len();
    let (pads, value) = if site.opset < 11 {
        (
            site.ints("pads")?.unwrap_or_default().to_vec(),
            site.float("value", 0.0)?,
        )
    } else {
        let fill = |operand| builder.float(operand, "the padding value");
        (
            builder.ints(site.operand(1)?, "the padding")?,
            site.optional(2).map_or(Ok(0.0), fill)?,
        )
    };
    let axes = match axes_argument(builder, site, 18, 3)? {
        Some(axes) if site.opset >= 18 => axes,
        _ => (0..rank as i64).collect(),
    };
    normalize_axes(&axes, rank)?;
    if pads.len() != 2 * axes.len() {
        return invalid!("{} pads do not fit {} axes", pads.len(), axes.len());
    }
    let mode = match site.text("mode", "constant")?.as_str() {
        "constant" => PadMode::Constant(value),
        "reflect" => PadMode::Reflect,
        "edge" => PadMode::Edge,
        other => return unsupported!("the padding mode is {other:?}"),
    };
    if !value.is_finite() {
        return unsupported!("the padding value is not finite");
    }
    let mut before = vec![0isize; rank];
    let mut after = vec![0isize; rank];
    for (position, &axis) in axes.iter().enumerate() {
        let axis = normalize_axis(axis, rank)?;
        before[axis] = isize::try_from(pads[position]).unwrap_or(isize::MAX);
        after[axis] = isize::try_from(pads[position + axes.len()]).unwrap_or(isize::MAX);
    }
    if pads.iter().all(|&pad| pad == 0) {
        return Ok(input);
    }
    builder.emit(
        Op::Pad {
            before,
            after,
            mode,
        },
        &[input],
    )
}

fn tile(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let mut result = site.operand(0)?;
    let repeats = builder.ints(site.operand(1)?, "the number of copies")?;
    if repeats.len() != builder.shape(result).len() {
        return invalid!(
            "{} numbers of copies do not fit the input's rank",
            repeats.len()
        );
    }
    for (axis, &copies) in repeats.iter().enumerate() {
        if !(1..=MAX_PARTS).contains(&copies) {
            return unsupported!("{copies} copies are made");
        }
        if copies > 1 {
            result = builder.emit(Op::Concat { axis }, &vec![result; copies as usize])?;
        }
    }
    Ok(result)
}

/// Block extent and input extents of the two operators that trade channels for pixels.
fn block_axes(builder: &Builder, site: &Site<'_>) -> Result<(usize, [usize; 4]), Problem> {
    let shape = builder.shape(site.operand(0)?);
    match (
        site.int("blocksize", 0)?,
        <[usize; 4]>::try_from(shape.as_slice()),
    ) {
        (block @ 1..=4096, Ok(axes)) => Ok((block as usize, axes)),
        _ => invalid!("the block size does not fit shape {shape:?}"),
    }
}

fn depth_to_space(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let (block, [batch, channels, height, width]) = block_axes(builder, site)?;
    let depth = channels / (block * block);
    let (split, perm) = match site.text("mode", "DCR")?.as_str() {
        "DCR" => (
            vec![batch, block, block, depth, height, width],
            vec![0, 3, 4, 1, 5, 2],
        ),
        "CRD" => (
            vec![batch, depth, block, block, height, width],
            vec![0, 1, 4, 2, 5, 3],
        ),
        other => return invalid!("mode {other:?} does not exist"),
    };
    let parts = builder.reshape(site.operand(0)?, split)?;
    let moved = builder.emit(Op::Transpose { perm }, &[parts])?;
    builder.reshape(moved, vec![batch, depth, height * block, width * block])
}

fn space_to_depth(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let (block, [batch, channels, height, width]) = block_axes(builder, site)?;
    let (rows, columns) = (height / block, width / block);
    let split = vec![batch, channels, rows, block, columns, block];
    // Which of block position and channel varies slower in the output's channels.
    let perm = match site.text("mode", "DCR")?.as_str() {
        "DCR" => vec![0, 3, 5, 1, 2, 4],
        "CRD" => vec![0, 1, 3, 5, 2, 4],
        other => return invalid!("mode {other:?} does not exist"),
    };
    let parts = builder.reshape(site.operand(0)?, split)?;
    let moved = builder.emit(Op::Transpose { perm }, &[parts])?;
    builder.reshape(moved, vec![batch, channels * block * block, rows, columns])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python's `range(extent)[start:end:step]`, but for a start before the tensor.
    #[test]
    fn slices_follow_the_specification() {
        struct Case {
            extent: usize,
            bounds: [i64; 2],
            step: i64,
            expected: (usize, usize),
        }
        let case = |extent, bounds, step, expected| Case {
            extent,
            bounds,
            step,
            expected,
        };
        let cases = [
            case(10, [0, 10], 1, (0, 10)),
            case(10, [2, -1], 3, (2, 3)),
            case(10, [-3, i64::MAX], 1, (7, 3)),
            case(10, [-1, i64::MIN], -1, (9, 10)),
            case(10, [20, -20], -4, (9, 3)),
            case(10, [0, 1], i64::MAX, (0, 1)),
            case(10, [5, 5], 1, (5, 0)),
            case(10, [-20, 3], 1, (0, 3)),
            // NumPy finds nothing here; ONNX clamps the start into the tensor.
            case(10, [-20, -30], -1, (0, 1)),
        ];
        for Case {
            extent,
            bounds,
            step,
            expected,
        } in cases
        {
            let found = slice_axis(extent, bounds, step).unwrap();
            assert!(
                found == expected || (found.1 == 0 && expected.1 == 0),
                "{extent} {bounds:?} {step}: {found:?}"
            );
        }
        assert!(slice_axis(4, [0, 4], 0).is_err());
    }
}
