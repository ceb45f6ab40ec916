//! From ONNX operators, with all their opset differences, to the operators of the IR.
//!
//! One file per family. A family's `lower` returns `Ok(None)` for an operator that is not its own,
//! otherwise one operand per output of the node. `site.opset` is the version of the node's domain;
//! defaults, attributes that became inputs, negative axes and automatic padding are resolved here,
//! so that the rest of the crate sees one form of each operator.

mod constant;
mod elementwise;
mod microsoft;
mod movement;
mod norm;
mod product;
mod reduce;
mod resize;
mod window;

use super::builder::{Builder, Operand};
use super::error::Problem;
use super::site::Site;

/// What a family makes of a node.
type Lowered = Result<Option<Vec<Operand>>, Problem>;

/// Families of the standard domain, in order of frequency.
const FAMILIES: [fn(&mut Builder, &Site<'_>) -> Lowered; 8] = [
    window::lower,
    elementwise::lower,
    movement::lower,
    product::lower,
    norm::lower,
    reduce::lower,
    resize::lower,
    constant::lower,
];

/// Applies the operator of `site`; `Ok(None)` if no family knows it.
pub(super) fn lower(builder: &mut Builder, site: &Site<'_>) -> Lowered {
    if site.node.domain == "com.microsoft" {
        return microsoft::lower(builder, site);
    }
    for family in FAMILIES {
        if let Some(outputs) = family(builder, site)? {
            return Ok(Some(outputs));
        }
    }
    Ok(None)
}

/// Axes given as an attribute before opset `since`, as input `position` from then on.
fn axes_argument(
    builder: &Builder,
    site: &Site<'_>,
    since: i64,
    position: usize,
) -> Result<Option<Vec<i64>>, Problem> {
    if site.opset < since {
        return Ok(site.ints("axes")?.map(<[i64]>::to_vec));
    }
    site.optional(position)
        .map(|operand| builder.ints(operand, "the list of axes"))
        .transpose()
}
