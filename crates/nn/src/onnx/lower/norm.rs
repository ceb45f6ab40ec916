//! Normalisations and softmax.

use super::super::builder::{Builder, Operand};
use super::super::error::{Problem, invalid, unsupported};
use super::super::literal::{Elements, Literal, normalize_axis};
use super::super::site::Site;
use super::Lowered;
use crate::graph::Op;
use crate::graph::ir::Binary;

pub(super) fn lower(builder: &mut Builder, site: &Site<'_>) -> Lowered {
    let output = match site.operator() {
        "BatchNormalization" => batch(builder, site)?,
        "InstanceNormalization" => instance(builder, site)?,
        "LayerNormalization" => layer(builder, site)?,
        "GroupNormalization" => group(builder, site)?,
        "LRN" => local_response(builder, site)?,
        "Softmax" | "LogSoftmax" => softmax(builder, site)?,
        _ => return Ok(None),
    };
    Ok(Some(vec![output]))
}

fn epsilon(site: &Site<'_>) -> Result<f32, Problem> {
    let epsilon = site.float("epsilon", 1e-5)?;
    if epsilon.is_finite() && epsilon >= 0.0 {
        return Ok(epsilon);
    }
    invalid!("epsilon {epsilon} is no small positive number")
}

fn batch(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    if site.int("spatial", 1)? != 1 {
        return unsupported!("statistics differ from pixel to pixel");
    }
    // Before opset 14 the presence of the running statistics among the outputs is what says
    // "training"; from then on an attribute does.
    let extra_outputs = site.node.output.iter().skip(1).any(|name| !name.is_empty());
    if site.flag("training_mode")? || (site.opset < 14 && extra_outputs) {
        return unsupported!("the network is in training mode");
    }
    let operands = (0..5)
        .map(|position| site.operand(position))
        .collect::<Result<Vec<_>, _>>()?;
    for &parameter in &operands[1..] {
        builder.constant(parameter, "a parameter")?;
    }
    let is_negative = |x: &f32| *x < 0.0;
    if builder
        .constant(operands[4], "a parameter")?
        .elements
        .to_floats()
        .iter()
        .any(is_negative)
    {
        return invalid!("a variance is negative");
    }
    builder.emit(
        Op::BatchNormalization {
            epsilon: epsilon(site)?,
        },
        &operands,
    )
}

fn instance(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let operands = [site.operand(0)?, site.operand(1)?, site.operand(2)?];
    builder.emit(
        Op::InstanceNormalization {
            epsilon: epsilon(site)?,
        },
        &operands,
    )
}

fn layer(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    site.refuse_outputs_from(1, "Mean or InvStdDev")?;
    let input = site.operand(0)?;
    let shape = builder.shape(input);
    let axis = normalize_axis(site.int("axis", -1)?, shape.len())?;
    let mut operands = vec![input];
    for parameter in [Some(site.operand(1)?), site.optional(2)]
        .into_iter()
        .flatten()
    {
        let full = if builder.shape(parameter) == shape[axis..] {
            parameter
        } else {
            builder.emit_as(Op::Expand, &[parameter], shape[axis..].to_vec())?
        };
        operands.push(full);
    }
    builder.emit(
        Op::LayerNormalization {
            axis,
            epsilon: epsilon(site)?,
        },
        &operands,
    )
}

/// GroupNormalization as an instance normalisation over the groups, then scale and bias. These
/// have one entry per group before opset 21, one per channel from then on.
fn group(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let input = site.operand(0)?;
    let shape = builder.shape(input);
    let (Ok(groups), [batch, channels, ..]) = (
        usize::try_from(site.int("num_groups", 0)?),
        shape.as_slice(),
    ) else {
        return invalid!("the groups do not fit shape {shape:?}");
    };
    let (batch, channels) = (*batch, *channels);
    if groups == 0 || channels % groups != 0 {
        return invalid!("{channels} channels cannot be divided into {groups} groups");
    }
    let per_image: usize = shape[1..].iter().product();
    let grouped = builder.reshape(input, vec![batch, groups, per_image / groups])?;
    let mut fill = |value: f32| {
        let elements = Elements::Floats(vec![value; groups].into());
        builder.add_computed(Literal {
            shape: vec![groups],
            elements,
        })
    };
    let (ones, zeros) = (fill(1.0)?, fill(0.0)?);
    let op = Op::InstanceNormalization {
        epsilon: epsilon(site)?,
    };
    let normalized = builder.emit(op, &[grouped, ones, zeros])?;
    let mut result = builder.reshape(normalized, shape.clone())?;
    for (position, function) in [(1, Binary::Mul), (2, Binary::Add)] {
        let mut parameter = site.operand(position)?;
        if builder.shape(parameter) == [groups] && groups != channels {
            let column = builder.reshape(parameter, vec![groups, 1])?;
            let wide = vec![groups, channels / groups];
            parameter = builder.emit_as(Op::Expand, &[column], wide)?;
        }
        let mut per_channel = vec![1; shape.len() - 1];
        per_channel[0] = channels;
        let parameter = builder.reshape(parameter, per_channel)?;
        result = builder.binary(function, result, parameter)?;
    }
    Ok(result)
}

fn local_response(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let Ok(size) = usize::try_from(site.int("size", 0)?) else {
        return invalid!("the window is negative");
    };
    let op = Op::Lrn {
        size,
        alpha: site.float("alpha", 1e-4)?,
        beta: site.float("beta", 0.75)?,
        bias: site.float("bias", 1.0)?,
    };
    builder.emit(op, &[site.operand(0)?])
}

/// Before opset 13 the axes from `axis` on are taken together, from then on one axis alone.
fn softmax(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let input = site.operand(0)?;
    let rank = builder.shape(input).len();
    let default = if site.opset < 13 { 1 } else { -1 };
    let first = normalize_axis(site.int("axis", default)?, rank)?;
    let end = if site.opset < 13 { rank } else { first + 1 };
    let log = site.operator() == "LogSoftmax";
    builder.emit(Op::Softmax { first, end, log }, &[input])
}
