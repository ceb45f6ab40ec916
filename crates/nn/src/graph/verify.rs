//! Checks that a finished graph keeps the invariants of [`ir`](super::ir).
//!
//! Place in the flow: last step of the ONNX reader; also for graphs that other code rewrites.
//! Linear in the number of operands.

use super::ir::{Graph, NodeId, Value};
use super::shape::{self, ShapeError};

/// The first broken invariant of a graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A node, the input or the output names a value that does not exist.
    #[error("value {index} does not exist in {place:?}")]
    UnknownValue {
        /// The index found.
        index: usize,
        /// Node name, or `input` / `output`.
        place: String,
    },
    /// A node reads a value that is computed later, or by nobody.
    #[error("value {value:?} is read before it is computed in node {node:?}")]
    Order {
        /// The value.
        value: String,
        /// The reader.
        node: String,
    },
    /// A value whose producer, constant and role do not agree.
    #[error("the origin of the tensor is inconsistent in value {value:?}")]
    Origin {
        /// The value.
        value: String,
    },
    /// Shapes that do not follow from the operator.
    #[error("{source} in node {node:?}")]
    Shape {
        /// The rule broken.
        source: ShapeError,
        /// The node.
        node: String,
    },
}

/// Checks order, producers, constants and shapes of the whole graph.
pub fn verify(graph: &Graph) -> Result<(), VerifyError> {
    let lookup = |id: super::ValueId, place: &str| {
        graph
            .values
            .get(id.index())
            .ok_or_else(|| VerifyError::UnknownValue {
                index: id.index(),
                place: place.to_owned(),
            })
    };
    lookup(graph.input, "input")?;
    lookup(graph.output, "output")?;
    let mut known = vec![false; graph.values.len()];
    for (index, value) in graph.values.iter().enumerate() {
        let is_input = [graph.input]
            .iter()
            .chain(&graph.feeds)
            .any(|input| input.index() == index);
        let origins = usize::from(value.constant.is_some())
            + usize::from(value.producer.is_some())
            + usize::from(is_input);
        if origins != 1 || !constant_fits(value) {
            return Err(VerifyError::Origin {
                value: value.name.clone(),
            });
        }
        known[index] = value.producer.is_none();
    }
    for (position, node) in graph.nodes.iter().enumerate() {
        let mut input_shapes = Vec::with_capacity(node.inputs.len());
        for &input in &node.inputs {
            let value = lookup(input, &node.name)?;
            if !known[input.index()] {
                let (value, node) = (value.name.clone(), node.name.clone());
                return Err(VerifyError::Order { value, node });
            }
            input_shapes.push(value.shape.as_slice());
        }
        let mut output_shapes = Vec::with_capacity(node.outputs.len());
        for &output in &node.outputs {
            let value = lookup(output, &node.name)?;
            if value.producer.map(NodeId::index) != Some(position) {
                return Err(VerifyError::Origin {
                    value: value.name.clone(),
                });
            }
            known[output.index()] = true;
            output_shapes.push(value.shape.clone());
        }
        if output_shapes.is_empty() {
            return Err(VerifyError::Origin {
                value: node.name.clone(),
            });
        }
        shape::infer(&node.op, &input_shapes, &output_shapes).map_err(|source| {
            VerifyError::Shape {
                source,
                node: node.name.clone(),
            }
        })?;
    }
    Ok(())
}

fn constant_fits(value: &Value) -> bool {
    value.constant.as_ref().is_none_or(|tensor| {
        tensor.shape == value.shape
            && shape::element_count(&tensor.shape).is_ok_and(|count| count == tensor.data.len())
    })
}
