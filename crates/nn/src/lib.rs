//! Reads an ONNX network, runs it, differentiates it and finds its layers.
//!
//! Place in the flow: the root of everything; depends on `summit-tables` (the vocabulary) alone.
//!
//! ```text
//! bytes ─▶ onnx (protobuf, opset semantics) ─▶ graph (IR, shapes, constants)
//!                                                 ├─▶ layers (cuts, receptive fields, blocks)
//!                                                 ├─▶ reference (naive executor, every operator)
//!                                                 └─▶ exec (plan, kernels; one image per worker)
//! ```
//!
//! Tensors are `f32`. In the IR every shape is in ONNX order (`[N, C, H, W]` for images); the
//! executor may store them otherwise.

pub mod backend;
pub mod exec;
pub mod flow;
pub mod grad;
pub mod graph;
pub mod inspect;
mod kernels;
pub mod layers;
pub mod onnx;
pub mod reference;
pub mod spatial;
#[cfg(test)]
mod testing;
