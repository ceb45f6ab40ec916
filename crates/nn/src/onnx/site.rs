//! One node of the file, as a lowering function sees it: attributes by name, operands by position.

use super::builder::Operand;
use super::error::{Problem, invalid, unsupported};
use super::proto::{AttributeProto, NodeProto, TensorProto, attribute_kind};

/// Largest stride, dilation, kernel or padding accepted; keeps window arithmetic far from
/// overflow.
const MAX_WINDOW: i64 = 1 << 16;

/// A node with resolved operands.
pub(super) struct Site<'a> {
    /// The node as written.
    pub node: &'a NodeProto,
    /// Version of the operator set of the node's domain.
    pub opset: i64,
    /// Operands; `None` where an optional one is left out.
    pub operands: Vec<Option<Operand>>,
    /// Whether anything reads each output.
    pub output_is_read: Vec<bool>,
}

impl Site<'_> {
    /// Operator type.
    pub fn operator(&self) -> &str {
        &self.node.op_type
    }

    /// A required operand.
    pub fn operand(&self, position: usize) -> Result<Operand, Problem> {
        match self.optional(position) {
            Some(operand) => Ok(operand),
            None => invalid!("input {position} is missing"),
        }
    }

    /// An operand that may be left out.
    pub fn optional(&self, position: usize) -> Option<Operand> {
        self.operands.get(position).copied().flatten()
    }

    /// All operands of an operator that takes any number of them.
    pub fn all_operands(&self) -> Result<Vec<Operand>, Problem> {
        if self.operands.is_empty() {
            return invalid!("the node has no inputs");
        }
        (0..self.operands.len())
            .map(|position| self.operand(position))
            .collect()
    }

    /// Refuses a node one of whose outputs from `first` on is read.
    pub fn refuse_outputs_from(&self, first: usize, what: &str) -> Result<(), Problem> {
        if self.output_is_read.iter().skip(first).any(|&read| read) {
            return unsupported!("the output {what} is used");
        }
        Ok(())
    }

    fn attribute(&self, name: &str, kind: i32) -> Result<Option<&AttributeProto>, Problem> {
        let Some(found) = self
            .node
            .attribute
            .iter()
            .find(|attribute| attribute.name == name)
        else {
            return Ok(None);
        };
        if !found.ref_attr_name.is_empty() {
            return unsupported!("attribute {name} refers to a function's attribute");
        }
        if found.kind != 0 && found.kind != kind {
            return invalid!("attribute {name} has the wrong type");
        }
        Ok(Some(found))
    }

    /// Whether the attribute is present, whatever its type.
    pub fn has(&self, name: &str) -> bool {
        self.node
            .attribute
            .iter()
            .any(|attribute| attribute.name == name)
    }

    /// An integer attribute.
    pub fn int(&self, name: &str, default: i64) -> Result<i64, Problem> {
        Ok(self
            .attribute(name, attribute_kind::INT)?
            .map_or(default, |found| found.i))
    }

    /// A truth value stored as an integer.
    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        Ok(self.int(name, 0)? != 0)
    }

    /// A floating-point attribute.
    pub fn float(&self, name: &str, default: f32) -> Result<f32, Problem> {
        let value = self
            .attribute(name, attribute_kind::FLOAT)?
            .map_or(default, |found| found.f);
        if value.is_nan() {
            return invalid!("attribute {name} is not a number");
        }
        Ok(value)
    }

    /// A list of integers.
    pub fn ints(&self, name: &str) -> Result<Option<&[i64]>, Problem> {
        Ok(self
            .attribute(name, attribute_kind::INTS)?
            .map(|found| found.ints.as_slice()))
    }

    /// A list of floating-point numbers.
    pub fn floats(&self, name: &str) -> Result<Option<&[f32]>, Problem> {
        Ok(self
            .attribute(name, attribute_kind::FLOATS)?
            .map(|found| found.floats.as_slice()))
    }

    /// A text.
    pub fn text(&self, name: &str, default: &str) -> Result<String, Problem> {
        let Some(found) = self.attribute(name, attribute_kind::STRING)? else {
            return Ok(default.to_owned());
        };
        match std::str::from_utf8(&found.s) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => invalid!("attribute {name} is no text"),
        }
    }

    /// A tensor.
    pub fn tensor(&self, name: &str) -> Result<Option<&TensorProto>, Problem> {
        Ok(self
            .attribute(name, attribute_kind::TENSOR)?
            .and_then(|found| found.t.as_deref()))
    }

    /// One positive number per spatial axis, `[y, x]`.
    pub fn pair(&self, name: &str, default: Option<[usize; 2]>) -> Result<[usize; 2], Problem> {
        match (self.ints(name)?, default) {
            (Some(&[y, x]), _)
                if (1..=MAX_WINDOW).contains(&y) && (1..=MAX_WINDOW).contains(&x) =>
            {
                Ok([y as usize, x as usize])
            }
            (Some(found), _) if found.len() != 2 => {
                unsupported!("{name} {found:?} is not for two spatial axes")
            }
            (Some(found), _) => invalid!("{name} {found:?} is out of range"),
            (None, Some(default)) => Ok(default),
            (None, None) => invalid!("attribute {name} is missing"),
        }
    }

    /// `pads`, `[top, left, bottom, right]`; zero by default.
    pub fn pads(&self) -> Result<[usize; 4], Problem> {
        let Some(found) = self.ints("pads")? else {
            return Ok([0; 4]);
        };
        match <[i64; 4]>::try_from(found) {
            Ok(pads) if pads.iter().all(|pad| (0..=MAX_WINDOW).contains(pad)) => {
                Ok(pads.map(|pad| pad as usize))
            }
            Ok(_) => unsupported!("pads {found:?} are negative or out of range"),
            Err(_) => unsupported!("pads {found:?} are not for two spatial axes"),
        }
    }
}
