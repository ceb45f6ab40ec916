//! Reductions, including those written with others.

use super::super::builder::{Builder, Operand};
use super::super::error::{Problem, invalid, unsupported};
use super::super::literal::{Elements, Literal, normalize_axes};
use super::super::site::Site;
use super::{Lowered, axes_argument};
use crate::graph::Op;
use crate::graph::ir::{Binary, Reduce, Unary};

pub(super) fn lower(builder: &mut Builder, site: &Site<'_>) -> Lowered {
    if !matches!(
        site.operator(),
        "ReduceMean"
            | "ReduceMax"
            | "ReduceSum"
            | "ReduceMin"
            | "ReduceProd"
            | "ReduceL1"
            | "ReduceL2"
            | "ReduceSumSquare"
    ) {
        return Ok(None);
    }
    let input = site.operand(0)?;
    let rank = builder.shape(input).len();
    // The axes became an input with opset 13 (sum) and 18 (the others).
    let since = if site.operator() == "ReduceSum" {
        13
    } else {
        18
    };
    let axes = match axes_argument(builder, site, since, 1)? {
        Some(axes) if !axes.is_empty() => normalize_axes(&axes, rank)?,
        _ if site.opset >= since && site.flag("noop_with_empty_axes")? => Vec::new(),
        _ => (0..rank).collect(),
    };
    let keep_dims = site.int("keepdims", 1)? != 0;
    if let Some(Literal {
        elements: Elements::Ints(data),
        ..
    }) = builder.literal(input)
    {
        let result = integers(site.operator(), data, axes.len() == rank)?;
        let shape = if keep_dims { vec![1; rank] } else { Vec::new() };
        let literal = Literal {
            shape,
            elements: Elements::Ints([result].into()),
        };
        return Ok(Some(vec![builder.add_computed(literal)?]));
    }
    let output = floats(builder, site, input, axes, keep_dims)?;
    Ok(Some(vec![output]))
}

fn floats(
    builder: &mut Builder,
    site: &Site<'_>,
    input: Operand,
    axes: Vec<usize>,
    keep_dims: bool,
) -> Result<Operand, Problem> {
    let reduce = |builder: &mut Builder, kind: Reduce, x: Operand| {
        builder.emit(
            Op::Reduce {
                kind,
                axes: axes.clone(),
                keep_dims,
            },
            &[x],
        )
    };
    match site.operator() {
        "ReduceMean" => reduce(builder, Reduce::Mean, input),
        "ReduceMax" => reduce(builder, Reduce::Max, input),
        "ReduceSum" => reduce(builder, Reduce::Sum, input),
        "ReduceMin" => {
            let negated = builder.unary(Unary::Neg, input)?;
            let maximum = reduce(builder, Reduce::Max, negated)?;
            builder.unary(Unary::Neg, maximum)
        }
        "ReduceL1" => {
            let magnitude = builder.unary(Unary::Abs, input)?;
            reduce(builder, Reduce::Sum, magnitude)
        }
        "ReduceL2" => {
            let square = builder.binary(Binary::Mul, input, input)?;
            let sum = reduce(builder, Reduce::Sum, square)?;
            builder.unary(Unary::Sqrt, sum)
        }
        "ReduceSumSquare" => {
            let square = builder.binary(Binary::Mul, input, input)?;
            reduce(builder, Reduce::Sum, square)
        }
        _ => unsupported!("a product is taken of image data"),
    }
}

/// Reduction of a whole list of integers, as shape arithmetic needs it.
fn integers(operator: &str, data: &[i64], is_whole: bool) -> Result<i64, Problem> {
    if !is_whole {
        return unsupported!("integers are reduced along some axes only");
    }
    let result = match operator {
        "ReduceProd" => data
            .iter()
            .try_fold(1i64, |product, &x| product.checked_mul(x)),
        "ReduceSum" => data.iter().try_fold(0i64, |sum, &x| sum.checked_add(x)),
        "ReduceMax" => data.iter().copied().max(),
        "ReduceMin" => data.iter().copied().min(),
        _ => return unsupported!("integers are reduced"),
    };
    match result {
        Some(result) => Ok(result),
        None => invalid!("the integers have no such reduction"),
    }
}
