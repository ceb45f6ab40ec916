//! Resampling: Upsample (opset 7 and 9) and Resize (10, 11, 13, 18, 19).

use super::super::builder::{Builder, Operand};
use super::super::error::{Problem, invalid, unsupported};
use super::super::literal::{Elements, normalize_axes, normalize_axis};
use super::super::site::Site;
use super::Lowered;
use crate::graph::Op;
use crate::graph::ir::{NearestRounding, ResizeCoordinates, ResizeMode};

pub(super) fn lower(builder: &mut Builder, site: &Site<'_>) -> Lowered {
    let output = match site.operator() {
        "Upsample" if site.opset >= 10 => {
            return unsupported!("the operator was removed with opset 10");
        }
        "Upsample" => upsample(builder, site)?,
        "Resize" if site.opset < 11 => upsample(builder, site)?,
        "Resize" => resize(builder, site)?,
        _ => return Ok(None),
    };
    Ok(Some(vec![output]))
}

/// The old form: scales only, coordinates divided by them.
fn upsample(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let input = site.operand(0)?;
    let scales = if site.opset < 9 {
        site.floats("scales")?.unwrap_or_default().to_vec()
    } else {
        float_list(builder, site.operand(1)?)?
    };
    let mode = match site.text("mode", "nearest")?.as_str() {
        // ONNX Runtime rounds up where it shrinks, so that the last pixel is reached.
        "nearest" if scales.iter().any(|&scale| scale < 1.0) => {
            ResizeMode::Nearest(NearestRounding::Ceil)
        }
        "nearest" => ResizeMode::Nearest(NearestRounding::Floor),
        "linear" | "bilinear" => ResizeMode::Linear,
        other => return unsupported!("the mode is {other:?}"),
    };
    let extents = scaled_extents(&builder.shape(input), &scales)?;
    emit(
        builder,
        input,
        scales,
        extents,
        mode,
        ResizeCoordinates::Asymmetric,
    )
}

fn resize(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let input = site.operand(0)?;
    let shape = builder.shape(input);
    if site.flag("antialias")? {
        return unsupported!("the image is filtered before it shrinks");
    }
    let policy = site.text("keep_aspect_ratio_policy", "stretch")?;
    if policy != "stretch" {
        return unsupported!("the aspect ratio policy is {policy:?}");
    }
    let coordinates = match site
        .text("coordinate_transformation_mode", "half_pixel")?
        .as_str()
    {
        "half_pixel" => ResizeCoordinates::HalfPixel,
        "pytorch_half_pixel" => ResizeCoordinates::PytorchHalfPixel,
        "align_corners" => ResizeCoordinates::AlignCorners,
        "asymmetric" => ResizeCoordinates::Asymmetric,
        other => return unsupported!("coordinates are transformed by {other:?}"),
    };
    let mode = match site.text("mode", "nearest")?.as_str() {
        "nearest" => ResizeMode::Nearest(rounding(site)?),
        "linear" => ResizeMode::Linear,
        other => return unsupported!("the mode is {other:?}"),
    };
    let axes = match site.ints("axes")? {
        Some(axes) => axes.to_vec(),
        None => (0..shape.len() as i64).collect(),
    };
    normalize_axes(&axes, shape.len())?;
    let scales = match site.optional(2) {
        Some(operand) => float_list(builder, operand)?,
        None => Vec::new(),
    };
    let sizes = match site.optional(3) {
        Some(operand) => builder.ints(operand, "the size")?,
        None => Vec::new(),
    };
    let mut extents = shape.clone();
    let mut full_scales = vec![1.0f32; shape.len()];
    if scales.len() == axes.len() && sizes.is_empty() {
        for (&axis, &scale) in axes.iter().zip(&scales) {
            full_scales[normalize_axis(axis, shape.len())?] = scale;
        }
        extents = scaled_extents(&shape, &full_scales)?;
    } else if sizes.len() == axes.len() && scales.is_empty() {
        for (&axis, &size) in axes.iter().zip(&sizes) {
            let axis = normalize_axis(axis, shape.len())?;
            let Ok(extent) = usize::try_from(size) else {
                return invalid!("the size {sizes:?} is negative");
            };
            extents[axis] = extent;
            full_scales[axis] = extent as f32 / shape[axis] as f32;
        }
    } else {
        return invalid!("neither scales nor sizes fit shape {shape:?}");
    }
    emit(builder, input, full_scales, extents, mode, coordinates)
}

fn rounding(site: &Site<'_>) -> Result<NearestRounding, Problem> {
    Ok(
        match site.text("nearest_mode", "round_prefer_floor")?.as_str() {
            "round_prefer_floor" => NearestRounding::RoundPreferFloor,
            "round_prefer_ceil" => NearestRounding::RoundPreferCeil,
            "floor" => NearestRounding::Floor,
            "ceil" => NearestRounding::Ceil,
            other => return invalid!("the rounding {other:?} does not exist"),
        },
    )
}

fn float_list(builder: &Builder, operand: Operand) -> Result<Vec<f32>, Problem> {
    match &builder.constant(operand, "the scale")?.elements {
        Elements::Floats(data) => Ok(data.to_vec()),
        _ => invalid!("the scales are no floating-point numbers"),
    }
}

/// `floor(extent * scale)` per axis.
fn scaled_extents(shape: &[usize], scales: &[f32]) -> Result<Vec<usize>, Problem> {
    if scales.len() != shape.len() || !scales.iter().all(|&scale| scale > 0.0) {
        return invalid!("scales {scales:?} do not fit shape {shape:?}");
    }
    let extent = |(&extent, &scale): (&usize, &f32)| (extent as f32 * scale).floor() as usize;
    Ok(shape.iter().zip(scales).map(extent).collect())
}

fn emit(
    builder: &mut Builder,
    input: Operand,
    scales: Vec<f32>,
    extents: Vec<usize>,
    mode: ResizeMode,
    coordinates: ResizeCoordinates,
) -> Result<Operand, Problem> {
    let shape = builder.shape(input);
    if shape.len() != 4 || extents[..2] != shape[..2] || scales[..2] != [1.0, 1.0] {
        return unsupported!(
            "shape {shape:?} is resized to {extents:?}, not rows and columns only"
        );
    }
    if extents == shape && scales.iter().all(|&scale| scale == 1.0) {
        return Ok(input);
    }
    builder.emit_as(
        Op::Resize {
            scales,
            mode,
            coordinates,
        },
        &[input],
        extents,
    )
}
