//! Matrix products.

use super::super::builder::{Builder, Operand};
use super::super::site::Site;
use super::Lowered;
use crate::graph::Op;

pub(super) fn lower(builder: &mut Builder, site: &Site<'_>) -> Lowered {
    let (op, operands) = match site.operator() {
        "MatMul" => (Op::MatMul, vec![site.operand(0)?, site.operand(1)?]),
        "Gemm" => {
            let gemm = Op::Gemm {
                alpha: site.float("alpha", 1.0)?,
                beta: site.float("beta", 1.0)?,
                trans_a: site.flag("transA")?,
                trans_b: site.flag("transB")?,
            };
            let operands: Vec<Operand> = [
                Some(site.operand(0)?),
                Some(site.operand(1)?),
                site.optional(2),
            ]
            .into_iter()
            .flatten()
            .collect();
            (gemm, operands)
        }
        _ => return Ok(None),
    };
    Ok(Some(vec![builder.emit(op, &operands)?]))
}
