//! The `com.microsoft` operators that ONNX Runtime's graph optimiser leaves in saved models.

use super::super::builder::{Builder, Operand};
use super::super::error::{Problem, invalid, unsupported};
use super::super::site::Site;
use super::{Lowered, elementwise, window};
use crate::graph::ir::{Binary, Unary};

pub(super) fn lower(builder: &mut Builder, site: &Site<'_>) -> Lowered {
    let output = match site.operator() {
        "Gelu" => builder.unary(Unary::Gelu, site.operand(0)?)?,
        "FastGelu" => {
            let mut x = site.operand(0)?;
            if let Some(bias) = site.optional(1) {
                x = builder.binary(Binary::Add, x, bias)?;
            }
            builder.unary(Unary::GeluTanh, x)?
        }
        "QuickGelu" => {
            let alpha = site.float("alpha", 1.702)?;
            elementwise::swish(builder, site.operand(0)?, alpha)?
        }
        "FusedConv" => fused_conv(builder, site)?,
        _ => return Ok(None),
    };
    Ok(Some(vec![output]))
}

/// Conv, plus an optional fourth operand, then an activation.
fn fused_conv(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let mut result = window::conv(builder, site)?;
    if let Some(added) = site.optional(3) {
        result = builder.binary(Binary::Add, result, added)?;
    }
    let parameters = site.floats("activation_params")?.unwrap_or_default();
    let function = match (site.text("activation", "")?.as_str(), parameters) {
        ("", _) => return Ok(result),
        ("Relu", _) => Unary::Relu,
        ("Tanh", _) => Unary::Tanh,
        ("Sigmoid", _) => Unary::Sigmoid,
        ("LeakyRelu", &[alpha]) => Unary::LeakyRelu(alpha),
        ("Clip", &[low, high]) => Unary::Clip(low, high),
        ("HardSigmoid", &[alpha, beta]) => Unary::HardSigmoid(alpha, beta),
        ("LeakyRelu" | "Clip" | "HardSigmoid", _) => {
            return invalid!("activation_params {parameters:?} do not fit the activation");
        }
        (other, _) => return unsupported!("the activation is {other:?}"),
    };
    if parameters.iter().any(|parameter| parameter.is_nan()) {
        return invalid!("an activation parameter is not a number");
    }
    builder.unary(function, result)
}
