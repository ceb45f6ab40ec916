//! Why a model cannot be loaded.

use crate::graph::VerifyError;
use crate::graph::shape::ShapeError;
use std::path::PathBuf;

/// The first reason not to load a model. Every message ends with its subject.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The model or a file of external data cannot be read.
    #[error("cannot read {path:?}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A limit of [`LoadOptions`](super::LoadOptions) is exceeded.
    #[error("more than {limit} bytes are needed for {what}")]
    TooLarge {
        /// What needs them.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// The bytes are no protobuf message of ONNX's schema.
    #[error("the file is no readable ONNX model: {0}")]
    Malformed(String),
    /// The model uses an IR version or operator set outside the supported range.
    #[error("{what} {found} is not supported (supported: {supported})")]
    Version {
        /// `IR version`, `opset`.
        what: &'static str,
        /// Found.
        found: i64,
        /// Range.
        supported: String,
    },
    /// The graph has no single image input, or its shape is not known.
    #[error("the network has no usable image input: {0}")]
    Input(String),
    /// The graph's output is no list of class scores.
    #[error("the network has no usable class output: {0}")]
    Output(String),
    /// Two tensors share a name.
    #[error("a tensor is defined twice: {0:?}")]
    DuplicateName(String),
    /// A node reads a tensor that nothing defines.
    #[error("an input is missing in node {node:?}: {input:?}")]
    UnknownInput {
        /// The tensor.
        input: String,
        /// The reader.
        node: String,
    },
    /// Nodes that wait for each other.
    #[error("the graph has a cycle through node {0:?}")]
    Cycle(String),
    /// A weight that cannot be decoded.
    #[error("{reason} in tensor {name:?}")]
    Tensor {
        /// What is wrong.
        reason: String,
        /// The tensor.
        name: String,
    },
    /// A weight that holds NaN or an infinity.
    #[error("a weight is not finite in tensor {0:?}")]
    NotFinite(String),
    /// An operator this crate does not know.
    #[error("operator {operator:?} ({domain}) in node {node:?} is not supported")]
    UnsupportedOperator {
        /// Operator type.
        operator: String,
        /// Operator domain, `ai.onnx` for the standard one.
        domain: String,
        /// Node name.
        node: String,
    },
    /// A known operator used in a way this crate does not implement.
    #[error("{reason}, which is not supported: operator {operator:?} in node {node:?}")]
    UnsupportedForm {
        /// What is not supported, as a statement.
        reason: String,
        /// Operator type.
        operator: String,
        /// Node name.
        node: String,
    },
    /// A node that breaks the rules of its operator.
    #[error("{reason}: operator {operator:?} in node {node:?}")]
    InvalidNode {
        /// What is wrong.
        reason: String,
        /// Operator type.
        operator: String,
        /// Node name.
        node: String,
    },
    /// The finished graph breaks an invariant.
    #[error(transparent)]
    Graph(#[from] VerifyError),
}

/// What is wrong with one node, before its name is added.
#[derive(Debug)]
pub(super) enum Problem {
    /// The operator, or this form of it, is not implemented.
    Unsupported(String),
    /// The node breaks the operator's rules.
    Invalid(String),
    /// Already complete.
    Load(LoadError),
}

impl Problem {
    /// Adds the node.
    pub fn at(self, operator: &str, node: &str) -> LoadError {
        let (operator, node) = (operator.to_owned(), node.to_owned());
        match self {
            Self::Unsupported(reason) => LoadError::UnsupportedForm {
                reason,
                operator,
                node,
            },
            Self::Invalid(reason) => LoadError::InvalidNode {
                reason,
                operator,
                node,
            },
            Self::Load(error) => error,
        }
    }
}

impl From<ShapeError> for Problem {
    fn from(error: ShapeError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<LoadError> for Problem {
    fn from(error: LoadError) -> Self {
        Self::Load(error)
    }
}

/// `Err(Problem::Invalid)` with a formatted message.
macro_rules! invalid {
    ($($part:tt)*) => { Err($crate::onnx::error::Problem::Invalid(format!($($part)*))) };
}

/// `Err(Problem::Unsupported)` with a formatted message.
macro_rules! unsupported {
    ($($part:tt)*) => { Err($crate::onnx::error::Problem::Unsupported(format!($($part)*))) };
}

pub(super) use {invalid, unsupported};
