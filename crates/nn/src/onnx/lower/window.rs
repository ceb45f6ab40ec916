//! Convolution and pooling: operators that slide a window over `[N, C, H, W]`.

use super::super::builder::{Builder, Operand};
use super::super::error::{Problem, invalid, unsupported};
use super::super::site::Site;
use super::Lowered;
use crate::graph::shape::{transposed_extent, window_count};
use crate::graph::{Conv, Op, Pool};

pub(super) fn lower(builder: &mut Builder, site: &Site<'_>) -> Lowered {
    let output = match site.operator() {
        "Conv" => conv(builder, site)?,
        "ConvTranspose" => conv_transpose(builder, site)?,
        "MaxPool" | "AveragePool" => pool(builder, site)?,
        "GlobalAveragePool" | "GlobalMaxPool" => global_pool(builder, site)?,
        _ => return Ok(None),
    };
    Ok(Some(vec![output]))
}

/// Extents of an image tensor.
fn image_axes(builder: &Builder, operand: Operand) -> Result<[usize; 4], Problem> {
    let shape = builder.shape(operand);
    match <[usize; 4]>::try_from(shape.as_slice()) {
        Ok(axes) => Ok(axes),
        Err(_) => unsupported!("the input has shape {shape:?} instead of [N, C, H, W]"),
    }
}

/// Kernel extents `[y, x]` of a constant kernel, checked against `kernel_shape`.
fn kernel_extents(
    builder: &Builder,
    site: &Site<'_>,
    kernel: Operand,
) -> Result<[usize; 4], Problem> {
    builder.constant(kernel, "the kernel")?;
    let axes = image_axes(builder, kernel)?;
    let [_, _, kernel_y, kernel_x] = axes;
    if site.pair("kernel_shape", Some([kernel_y, kernel_x]))? != [kernel_y, kernel_x] {
        return invalid!("kernel_shape differs from the kernel's shape {axes:?}");
    }
    Ok(axes)
}

fn groups(site: &Site<'_>) -> Result<usize, Problem> {
    match usize::try_from(site.int("group", 1)?) {
        Ok(groups) if groups > 0 => Ok(groups),
        _ => invalid!("the number of groups is not positive"),
    }
}

/// How `auto_pad` divides the padding.
#[derive(Clone, Copy, PartialEq)]
enum AutoPad {
    Explicit,
    Valid,
    SameUpper,
    SameLower,
}

fn auto_pad(site: &Site<'_>) -> Result<AutoPad, Problem> {
    match site.text("auto_pad", "NOTSET")?.as_str() {
        "" | "NOTSET" => Ok(AutoPad::Explicit),
        "VALID" => Ok(AutoPad::Valid),
        "SAME_UPPER" => Ok(AutoPad::SameUpper),
        "SAME_LOWER" => Ok(AutoPad::SameLower),
        other => invalid!("auto_pad {other:?} does not exist"),
    }
}

/// Divides a total padding among both ends; the odd one goes where the name says.
fn divide(total: usize, mode: AutoPad) -> [usize; 2] {
    let (small, large) = (total / 2, total - total / 2);
    if mode == AutoPad::SameLower {
        [large, small]
    } else {
        [small, large]
    }
}

/// Padding `[top, left, bottom, right]` of a sliding window.
fn window_pads(
    site: &Site<'_>,
    extents: [usize; 2],
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
) -> Result<[usize; 4], Problem> {
    let mode = auto_pad(site)?;
    match mode {
        AutoPad::Explicit => return site.pads(),
        AutoPad::Valid => return Ok([0; 4]),
        AutoPad::SameUpper | AutoPad::SameLower => {}
    }
    // The output has ceil(extent / stride) positions.
    let ends = |axis: usize| {
        let last_start = (extents[axis].div_ceil(strides[axis]) - 1) * strides[axis];
        let needed = last_start + (kernel[axis] - 1) * dilations[axis] + 1;
        divide(needed.saturating_sub(extents[axis]), mode)
    };
    let ([top, bottom], [left, right]) = (ends(0), ends(1));
    Ok([top, left, bottom, right])
}

pub(super) fn conv(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let (input, kernel) = (site.operand(0)?, site.operand(1)?);
    let [_, _, height, width] = image_axes(builder, input)?;
    let [_, _, kernel_y, kernel_x] = kernel_extents(builder, site, kernel)?;
    let strides = site.pair("strides", Some([1, 1]))?;
    let dilations = site.pair("dilations", Some([1, 1]))?;
    let pads = window_pads(
        site,
        [height, width],
        [kernel_y, kernel_x],
        strides,
        dilations,
    )?;
    let op = Op::Conv(Conv {
        strides,
        pads,
        dilations,
        groups: groups(site)?,
    });
    let operands: Vec<Operand> = [Some(input), Some(kernel), site.optional(2)]
        .into_iter()
        .flatten()
        .collect();
    builder.emit(op, &operands)
}

fn conv_transpose(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let (input, kernel) = (site.operand(0)?, site.operand(1)?);
    let [batch, _, height, width] = image_axes(builder, input)?;
    let [_, group_outputs, kernel_y, kernel_x] = kernel_extents(builder, site, kernel)?;
    let strides = site.pair("strides", Some([1, 1]))?;
    let dilations = site.pair("dilations", Some([1, 1]))?;
    // Extents before anything is cropped or added.
    let full = [
        transposed_extent(height, kernel_y, strides[0], dilations[0], [0, 0])?,
        transposed_extent(width, kernel_x, strides[1], dilations[1], [0, 0])?,
    ];
    let same = [
        height.saturating_mul(strides[0]),
        width.saturating_mul(strides[1]),
    ];
    let (pads, [rows, columns]) = transposed_crop(site, full, same)?;
    let groups = groups(site)?;
    let channels = group_outputs.saturating_mul(groups);
    let op = Op::ConvTranspose(Conv {
        strides,
        pads,
        dilations,
        groups,
    });
    let operands: Vec<Operand> = [Some(input), Some(kernel), site.optional(2)]
        .into_iter()
        .flatten()
        .collect();
    builder.emit_as(op, &operands, vec![batch, channels, rows, columns])
}

/// What a transposed convolution crops, `[top, left, bottom, right]`, and its output's extents
/// `[y, x]`, from the `full` extents and those `auto_pad` asks for.
fn transposed_crop(
    site: &Site<'_>,
    full: [usize; 2],
    same: [usize; 2],
) -> Result<([usize; 4], [usize; 2]), Problem> {
    let extra = match site.ints("output_padding")? {
        None | Some([]) => [0, 0],
        Some(&[y, x]) if (0..1 << 16).contains(&y) && (0..1 << 16).contains(&x) => {
            [y as usize, x as usize]
        }
        Some(found) => return unsupported!("output_padding {found:?} is out of range"),
    };
    let mode = auto_pad(site)?;
    let wanted = match site.ints("output_shape")? {
        Some([_, ..]) => Some(site.pair("output_shape", None)?),
        _ if matches!(mode, AutoPad::SameUpper | AutoPad::SameLower) => Some(same),
        _ => None,
    };
    let Some(wanted) = wanted else {
        let pads @ [top, left, bottom, right] = match mode {
            AutoPad::Explicit => site.pads()?,
            _ => [0; 4],
        };
        let rows = (full[0] + extra[0]).checked_sub(top + bottom);
        let columns = (full[1] + extra[1]).checked_sub(left + right);
        return match (rows, columns) {
            (Some(rows), Some(columns)) => Ok((pads, [rows, columns])),
            _ => invalid!("pads {pads:?} leave nothing of the output"),
        };
    };
    let mut pads = [0; 4];
    for axis in 0..2 {
        // What is too much is cropped at both ends; what is missing is output padding. The
        // specification gives the odd one to the end for SAME_UPPER, else to the start.
        let total = (full[axis] + extra[axis]).saturating_sub(wanted[axis]);
        let [small, large] = [total / 2, total - total / 2];
        let is_upper = mode == AutoPad::SameUpper;
        [pads[axis], pads[axis + 2]] = if is_upper {
            [small, large]
        } else {
            [large, small]
        };
    }
    Ok((pads, wanted))
}

fn pool(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let input = site.operand(0)?;
    let [batch, channels, height, width] = image_axes(builder, input)?;
    site.refuse_outputs_from(1, "Indices")?;
    let kernel = site.pair("kernel_shape", None)?;
    let strides = site.pair("strides", Some([1, 1]))?;
    let dilations = site.pair("dilations", Some([1, 1]))?;
    let pads = window_pads(site, [height, width], kernel, strides, dilations)?;
    let [top, left, bottom, right] = pads;
    let ceil_mode = site.flag("ceil_mode")?;
    let count = |extent: usize, axis: usize, ends: [usize; 2]| {
        window_count(
            extent,
            kernel[axis],
            strides[axis],
            dilations[axis],
            ends,
            ceil_mode,
        )
    };
    let wanted = vec![
        batch,
        channels,
        count(height, 0, [top, bottom])?,
        count(width, 1, [left, right])?,
    ];
    let is_max = site.operator() == "MaxPool";
    if !is_max && dilations != [1, 1] {
        return unsupported!("the windows of an average are dilated");
    }
    let count_include_pad = !is_max && site.flag("count_include_pad")?;
    let pool = Pool {
        kernel,
        strides,
        pads,
        dilations,
        count_include_pad,
    };
    let op = if is_max {
        Op::MaxPool(pool)
    } else {
        Op::AveragePool(pool)
    };
    builder.emit_as(op, &[input], wanted)
}

fn global_pool(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let input = site.operand(0)?;
    image_axes(builder, input)?;
    let is_max = site.operator() == "GlobalMaxPool";
    builder.emit(
        if is_max {
            Op::GlobalMaxPool
        } else {
            Op::GlobalAveragePool
        },
        &[input],
    )
}
