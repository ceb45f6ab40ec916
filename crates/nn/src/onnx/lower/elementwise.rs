//! Element-wise operators.

use super::super::builder::{Builder, Operand};
use super::super::error::{Problem, invalid, unsupported};
use super::super::literal::{Elements, Literal, comparison, integer_binary, select};
use super::super::site::Site;
use super::Lowered;
use crate::graph::ir::{Binary, Unary};
use crate::graph::{Op, Tensor};

pub(super) fn lower(builder: &mut Builder, site: &Site<'_>) -> Lowered {
    let output = match site.operator() {
        "Clip" => clip(builder, site)?,
        "PRelu" => binary(builder, Binary::PRelu, site.operand(0)?, site.operand(1)?)?,
        "Add" | "Sub" | "Mul" | "Div" | "Pow" => arithmetic(builder, site)?,
        "Max" | "Min" | "Sum" | "Mean" => variadic(builder, site)?,
        "Selu" | "Celu" | "Mish" | "Softsign" | "Swish" => composed(builder, site)?,
        "Where" => choose(builder, site)?,
        "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "And" | "Or" | "Xor" => {
            let left = builder.constant(site.operand(0)?, "a comparison")?;
            let right = builder.constant(site.operand(1)?, "a comparison")?;
            let result = comparison(site.operator(), left, right)?;
            builder.add_computed(result)?
        }
        "Mod" => {
            let left = builder.constant(site.operand(0)?, "a remainder")?;
            let right = builder.constant(site.operand(1)?, "a remainder")?;
            let rule = if site.flag("fmod")? { "ModC" } else { "Mod" };
            let result = integer_binary(rule, left, right)?;
            builder.add_computed(result)?
        }
        "Floor" | "Ceil" | "Round" | "Sign" | "Not" => constant_unary(builder, site)?,
        _ => match unary_function(site)? {
            Some(function) => unary(builder, site, function)?,
            None => return Ok(None),
        },
    };
    Ok(Some(vec![output]))
}

/// The one-operand functions the IR has, with their parameters.
fn unary_function(site: &Site<'_>) -> Result<Option<Unary>, Problem> {
    Ok(Some(match site.operator() {
        "Relu" => Unary::Relu,
        "LeakyRelu" => Unary::LeakyRelu(site.float("alpha", 0.01)?),
        "Sigmoid" => Unary::Sigmoid,
        "HardSigmoid" => Unary::HardSigmoid(site.float("alpha", 0.2)?, site.float("beta", 0.5)?),
        "HardSwish" => Unary::HardSwish,
        "Erf" => Unary::Erf,
        "Gelu" => match site.text("approximate", "none")?.as_str() {
            "none" => Unary::Gelu,
            "tanh" => Unary::GeluTanh,
            other => return invalid!("approximation {other:?} does not exist"),
        },
        "Tanh" => Unary::Tanh,
        "Sqrt" => Unary::Sqrt,
        "Exp" => Unary::Exp,
        "Log" => Unary::Log,
        "Neg" => Unary::Neg,
        "Abs" => Unary::Abs,
        "Reciprocal" => Unary::Reciprocal,
        "Elu" => Unary::Elu(site.float("alpha", 1.0)?),
        "Softplus" => Unary::Softplus,
        _ => return Ok(None),
    }))
}

fn unary(builder: &mut Builder, site: &Site<'_>, function: Unary) -> Result<Operand, Problem> {
    let input = site.operand(0)?;
    if let Some(Literal {
        shape,
        elements: Elements::Ints(data),
    }) = builder.literal(input)
    {
        let compute: fn(&i64) -> i64 = match function {
            Unary::Neg => |x| x.wrapping_neg(),
            Unary::Abs => |x| x.wrapping_abs(),
            _ => return unsupported!("the operator is applied to integers"),
        };
        let elements = Elements::Ints(data.iter().map(compute).collect());
        let literal = Literal {
            shape: shape.clone(),
            elements,
        };
        return builder.add_computed(literal);
    }
    builder.unary(function, input)
}

/// Operators without a derivative worth having: only in shape arithmetic.
fn constant_unary(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let literal = builder.constant(site.operand(0)?, "the operand")?;
    let round: fn(&f32) -> f32 = match site.operator() {
        "Floor" => |x| x.floor(),
        "Ceil" => |x| x.ceil(),
        "Round" => |x| x.round_ties_even(),
        _ => |&x| if x == 0.0 { 0.0 } else { x.signum() },
    };
    let elements = match (&literal.elements, site.operator()) {
        (Elements::Bools(data), "Not") => Elements::Bools(data.iter().map(|x| !x).collect()),
        (Elements::Ints(data), "Sign") => Elements::Ints(data.iter().map(|x| x.signum()).collect()),
        (Elements::Floats(data), name) if name != "Not" => {
            Elements::Floats(data.iter().map(round).collect())
        }
        _ => return invalid!("the operand has the wrong element type"),
    };
    let literal = Literal {
        shape: literal.shape.clone(),
        elements,
    };
    builder.add_computed(literal)
}

/// Clip: bounds are attributes before opset 11, inputs from then on.
fn clip(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let input = site.operand(0)?;
    let bounds = if site.opset < 11 {
        [
            site.float("min", f32::NEG_INFINITY)?,
            site.float("max", f32::INFINITY)?,
        ]
    } else {
        let bound = |position: usize, default: f32| {
            site.optional(position)
                .map_or(Ok(default), |operand| builder.float(operand, "a bound"))
        };
        [bound(1, f32::NEG_INFINITY)?, bound(2, f32::INFINITY)?]
    };
    if bounds.iter().any(|bound| bound.is_nan()) {
        return invalid!("a bound is not a number");
    }
    builder.unary(Unary::Clip(bounds[0], bounds[1]), input)
}

fn arithmetic(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let (left, mut right) = (site.operand(0)?, site.operand(1)?);
    if site.operator() == "Pow" {
        // The exponent may have another element type than the base.
        let base_is_float = builder
            .literal(left)
            .is_none_or(|base| matches!(base.elements, Elements::Floats(_)));
        if base_is_float {
            right = as_float(builder, right)?;
        }
    }
    binary(builder, binary_function(site.operator())?, left, right)
}

fn binary_function(operator: &str) -> Result<Binary, Problem> {
    Ok(match operator {
        "Add" | "Sum" | "Mean" => Binary::Add,
        "Sub" => Binary::Sub,
        "Mul" => Binary::Mul,
        "Div" => Binary::Div,
        "Pow" => Binary::Pow,
        "Max" => Binary::Max,
        "Min" => Binary::Min,
        _ => return invalid!("no function of two operands"),
    })
}

fn as_float(builder: &mut Builder, operand: Operand) -> Result<Operand, Problem> {
    match builder.literal(operand) {
        Some(Literal {
            shape,
            elements: elements @ Elements::Ints(_),
        }) => {
            let elements = Elements::Floats(elements.to_floats());
            let literal = Literal {
                shape: shape.clone(),
                elements,
            };
            builder.add_computed(literal)
        }
        _ => Ok(operand),
    }
}

/// Two operands, of floats or (both constant) of integers.
fn binary(
    builder: &mut Builder,
    function: Binary,
    left: Operand,
    right: Operand,
) -> Result<Operand, Problem> {
    if let (Some(a), Some(b)) = (builder.literal(left), builder.literal(right))
        && matches!(
            (&a.elements, &b.elements),
            (Elements::Ints(_), Elements::Ints(_))
        )
    {
        let result = integer_binary(&format!("{function:?}"), a, b)?;
        return builder.add_computed(result);
    }
    builder.binary(function, left, right)
}

fn variadic(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let operands = site.all_operands()?;
    let function = binary_function(site.operator())?;
    let mut result = operands[0];
    for &operand in &operands[1..] {
        result = binary(builder, function, result, operand)?;
    }
    if site.operator() == "Mean" && operands.len() > 1 {
        let factor = builder.scalar(1.0 / operands.len() as f32);
        result = builder.binary(Binary::Mul, result, factor)?;
    }
    Ok(result)
}

/// Functions written with others.
fn composed(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let x = site.operand(0)?;
    match site.operator() {
        // gamma * elu(x; alpha)
        "Selu" => {
            let elu = builder.unary(Unary::Elu(site.float("alpha", 1.673_263_2)?), x)?;
            let gamma = builder.scalar(site.float("gamma", 1.050_701)?);
            builder.binary(Binary::Mul, elu, gamma)
        }
        // alpha * elu(x / alpha)
        "Celu" => {
            let alpha = builder.scalar(site.float("alpha", 1.0)?);
            let scaled = builder.binary(Binary::Div, x, alpha)?;
            let elu = builder.unary(Unary::Elu(1.0), scaled)?;
            builder.binary(Binary::Mul, elu, alpha)
        }
        // x * tanh(softplus(x))
        "Mish" => {
            let softplus = builder.unary(Unary::Softplus, x)?;
            let gate = builder.unary(Unary::Tanh, softplus)?;
            builder.binary(Binary::Mul, x, gate)
        }
        // x / (1 + |x|)
        "Softsign" => {
            let magnitude = builder.unary(Unary::Abs, x)?;
            let one = builder.scalar(1.0);
            let divisor = builder.binary(Binary::Add, magnitude, one)?;
            builder.binary(Binary::Div, x, divisor)
        }
        // x * sigmoid(alpha * x)
        _ => swish(builder, x, site.float("alpha", 1.0)?),
    }
}

/// `x * sigmoid(alpha * x)`
pub(super) fn swish(builder: &mut Builder, x: Operand, alpha: f32) -> Result<Operand, Problem> {
    if alpha == 1.0 {
        return builder.unary(Unary::Swish, x);
    }
    let alpha = builder.scalar(alpha);
    let scaled = builder.binary(Binary::Mul, x, alpha)?;
    let gate = builder.unary(Unary::Sigmoid, scaled)?;
    builder.binary(Binary::Mul, x, gate)
}

fn choose(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let (left, right) = (site.operand(1)?, site.operand(2)?);
    let condition = builder.constant(site.operand(0)?, "the condition")?;
    if let (Some(a), Some(b)) = (builder.literal(left), builder.literal(right))
        && !matches!(a.elements, Elements::Floats(_))
    {
        let result = select(condition, a, b)?;
        return builder.add_computed(result);
    }
    let mask = Tensor {
        shape: condition.shape.clone(),
        data: Elements::Bools(condition.elements.to_bools()).to_floats(),
    };
    builder.charge_bytes(mask.data.len())?;
    builder.emit(Op::Where { mask }, &[left, right])
}
