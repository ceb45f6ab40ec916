//! Every operator in every form: small models with the results of ONNX's node tests and of ONNX
//! Runtime (`tools/reference/make_operator_cases.py`), through reader and reference executor.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "test code")]

mod common;

/// Single precision results of other implementations against sums in double precision.
const TOLERANCE: f64 = 2e-6;

#[test]
fn operators_agree_with_onnx() {
    let wrong = common::operators::check(&common::naive, TOLERANCE);
    assert!(
        wrong.is_empty(),
        "{} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
