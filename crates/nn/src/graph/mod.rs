//! The intermediate representation: a static single assignment graph with normalised operators.
//!
//! The ONNX reader resolves everything that depends on the opset (defaults, attributes that became
//! inputs, `auto_pad`, negative axes) so that the rest of the crate sees one form of each operator.
//! All shapes are known: the batch size is a parameter of loading (1 by default).

pub mod ir;
pub(crate) mod lrn;
mod resized;
pub mod shape;
mod simplify;
mod verify;

pub use resized::resized;
pub use simplify::{prune, recognise_patterns};
pub use verify::{VerifyError, verify};

pub use ir::{Adjoint, Conv, Graph, Node, NodeId, Op, Pool, Tensor, Value, ValueId};
