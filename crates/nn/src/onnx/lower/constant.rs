//! Constants and the arithmetic of shapes: operators that disappear while loading.

use super::super::builder::{Builder, Operand};
use super::super::error::{Problem, invalid, unsupported};
use super::super::literal::{Elements, Literal, literal_count, to_extents};
use super::super::proto::data_type;
use super::super::site::Site;
use super::super::tensor;
use super::Lowered;
use std::sync::Arc;

pub(super) fn lower(builder: &mut Builder, site: &Site<'_>) -> Lowered {
    let output = match site.operator() {
        "Constant" => constant(builder, site)?,
        "ConstantOfShape" => constant_of_shape(builder, site)?,
        "Shape" => shape(builder, site)?,
        "Size" => {
            let count: usize = builder.shape(site.operand(0)?).iter().product();
            let elements = Elements::Ints([count as i64].into());
            builder.add_computed(Literal {
                shape: Vec::new(),
                elements,
            })?
        }
        "Cast" => cast(builder, site)?,
        "Range" => range(builder, site)?,
        _ => return Ok(None),
    };
    Ok(Some(vec![output]))
}

fn constant(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let list = |elements: Elements| Literal {
        shape: vec![elements.len()],
        elements,
    };
    let literal = if let Some(value) = site.tensor("value")? {
        // A constant's tensor needs no name of its own; errors name the node's output instead.
        let mut value = value.clone();
        value.name = site.node.output.first().cloned().unwrap_or_default();
        tensor::decode(&value, None)?
    } else if let Some(values) = site.floats("value_floats")? {
        list(Elements::Floats(values.into()))
    } else if let Some(values) = site.ints("value_ints")? {
        list(Elements::Ints(values.into()))
    } else if site.has("value_float") {
        Literal::scalar(site.float("value_float", 0.0)?)
    } else if site.has("value_int") {
        let value = site.int("value_int", 0)?;
        Literal {
            shape: Vec::new(),
            elements: Elements::Ints([value].into()),
        }
    } else {
        return unsupported!("the constant is neither a tensor nor numbers");
    };
    Ok(builder.add_literal(literal, None))
}

fn constant_of_shape(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let shape = to_extents(&builder.ints(site.operand(0)?, "the shape")?)?;
    let count = literal_count(&shape)?;
    let value = match site.tensor("value")? {
        Some(value) => tensor::decode(value, None)?.elements,
        None => Elements::Floats([0.0].into()),
    };
    if value.len() != 1 {
        return invalid!("the value has {} elements", value.len());
    }
    builder.charge_bytes(count)?;
    let elements = match value {
        Elements::Floats(data) => Elements::Floats(std::iter::repeat_n(data[0], count).collect()),
        Elements::Ints(data) => Elements::Ints(std::iter::repeat_n(data[0], count).collect()),
        Elements::Bools(data) => Elements::Bools(std::iter::repeat_n(data[0], count).collect()),
    };
    Ok(builder.add_literal(Literal { shape, elements }, None))
}

fn shape(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let shape = builder.shape(site.operand(0)?);
    let rank = shape.len() as i64;
    let bound = |number: i64| {
        let from_end = if number < 0 {
            number.saturating_add(rank)
        } else {
            number
        };
        from_end.clamp(0, rank) as usize
    };
    let (start, end) = (bound(site.int("start", 0)?), bound(site.int("end", rank)?));
    let extents: Vec<i64> = shape[start..end.max(start)]
        .iter()
        .map(|&extent| extent as i64)
        .collect();
    builder.add_computed(Literal::ints(&extents))
}

/// Between floating-point types a cast changes nothing here; other casts exist on constants only.
fn cast(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let input = site.operand(0)?;
    let Ok(to) = i32::try_from(site.int("to", 0)?) else {
        return invalid!("the element type does not exist");
    };
    let Some(Literal { shape, elements }) = builder.literal(input) else {
        if data_type::is_float(to) {
            return Ok(input);
        }
        return unsupported!("image data are cast to element type {to}");
    };
    let elements = match (to, elements) {
        (to, Elements::Floats(_)) if data_type::is_float(to) => return Ok(input),
        (to, elements) if data_type::is_float(to) => Elements::Floats(elements.to_floats()),
        (data_type::BOOL, elements) => Elements::Bools(elements.to_bools()),
        (
            data_type::INT64
            | data_type::INT32
            | data_type::INT16
            | data_type::INT8
            | data_type::UINT64
            | data_type::UINT32
            | data_type::UINT16
            | data_type::UINT8,
            elements,
        ) => Elements::Ints(elements.to_ints()),
        _ => return unsupported!("a constant is cast to element type {to}"),
    };
    let literal = Literal {
        shape: shape.clone(),
        elements,
    };
    builder.add_computed(literal)
}

fn range(builder: &mut Builder, site: &Site<'_>) -> Result<Operand, Problem> {
    let number = |position: usize| builder.constant(site.operand(position)?, "the range");
    let (start, limit, delta) = (number(0)?, number(1)?, number(2)?);
    let elements = match (&start.elements, &limit.elements, &delta.elements) {
        (Elements::Ints(start), Elements::Ints(limit), Elements::Ints(delta)) => {
            let (&[start], &[limit], &[delta]) = (&**start, &**limit, &**delta) else {
                return invalid!("a bound is no single number");
            };
            let (wide_start, wide_delta) = (i128::from(start), i128::from(delta));
            let span = i128::from(limit) - wide_start;
            if delta == 0 {
                return invalid!("the step is 0");
            }
            let count = (span + wide_delta - wide_delta.signum()) / wide_delta;
            let count = literal_count(&[usize::try_from(count.max(0)).unwrap_or(usize::MAX)])?;
            builder.charge_bytes(count)?;
            let numbers: Arc<[i64]> = (0..count as i64)
                .map(|k| start.wrapping_add(k.wrapping_mul(delta)))
                .collect();
            Elements::Ints(numbers)
        }
        (Elements::Floats(start), Elements::Floats(limit), Elements::Floats(delta)) => {
            let (&[start], &[limit], &[delta]) = (&**start, &**limit, &**delta) else {
                return invalid!("a bound is no single number");
            };
            let count = ((f64::from(limit) - f64::from(start)) / f64::from(delta)).ceil();
            if !count.is_finite() {
                return invalid!("the range does not end");
            }
            let count = literal_count(&[count.max(0.0) as usize])?;
            builder.charge_bytes(count)?;
            Elements::Floats((0..count).map(|k| start + k as f32 * delta).collect())
        }
        _ => return invalid!("the bounds differ in element type"),
    };
    let literal = Literal {
        shape: vec![elements.len()],
        elements,
    };
    Ok(builder.add_literal(literal, None))
}
