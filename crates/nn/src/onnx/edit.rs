//! Writes an ONNX file with channels of tensors multiplied by factors: the network of a what-if.
//!
//! The file is copied field by field as it is, unknown ones included; only the node that makes the
//! tensor gives it another name, and a Mul node after it gives the changed tensor the old one.

use super::proto::{NodeProto, TensorProto, data_type};
use bytes::Bytes;
use prost::Message;

/// Field of the graph in `ModelProto`.
const MODEL_GRAPH: u64 = 7;
/// Field of nodes in `GraphProto`.
const GRAPH_NODE: u64 = 1;
/// Field of constants in `GraphProto`.
const GRAPH_INITIALIZER: u64 = 5;
/// Field of results in `NodeProto`.
const NODE_OUTPUT: u64 = 2;

/// Factors for the channels of a tensor `[N, C, H, W]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelFactors {
    /// Its name in the file.
    pub tensor: String,
    /// `[C]`
    pub factors: Vec<f32>,
}

/// Why a file cannot be edited.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// No protobuf message.
    #[error("the file is no ONNX model, or cut off")]
    Malformed,
    /// The tensor only exists after the network was simplified.
    #[error("no node of the file makes a tensor \"{0}\"")]
    NoTensor(String),
}

/// The file with every tensor of `edits` multiplied by its factors; everything else is copied byte
/// by byte. Weights in other files stay there.
///
/// # Errors
/// When the bytes are no model or no node makes one of the tensors.
pub fn scale_channels(model: &[u8], edits: &[ChannelFactors]) -> Result<Vec<u8>, EditError> {
    let mut out = Vec::with_capacity(model.len());
    let mut missing: Vec<&ChannelFactors> = edits.iter().collect();
    for field in Fields(model) {
        let field = field?;
        if field.number == MODEL_GRAPH {
            let graph = edit_graph(field.content, edits, &mut missing)?;
            append(&mut out, MODEL_GRAPH, &graph);
        } else {
            out.extend_from_slice(field.whole);
        }
    }
    match missing.first() {
        None => Ok(out),
        Some(edit) => Err(EditError::NoTensor(edit.tensor.clone())),
    }
}

fn edit_graph(
    graph: &[u8],
    edits: &[ChannelFactors],
    missing: &mut Vec<&ChannelFactors>,
) -> Result<Vec<u8>, EditError> {
    let mut out = Vec::with_capacity(graph.len());
    for field in Fields(graph) {
        let field = field?;
        if field.number != GRAPH_NODE {
            out.extend_from_slice(field.whole);
            continue;
        }
        let made = outputs(field.content)?;
        let of_node: Vec<&ChannelFactors> = edits
            .iter()
            .filter(|edit| made.contains(&edit.tensor.as_bytes()))
            .collect();
        if of_node.is_empty() {
            out.extend_from_slice(field.whole);
            continue;
        }
        append(&mut out, GRAPH_NODE, &renamed(field.content, &of_node)?);
        for edit in of_node {
            missing.retain(|other| other.tensor != edit.tensor);
            append(&mut out, GRAPH_NODE, &product(edit).encode_to_vec());
            append(&mut out, GRAPH_INITIALIZER, &constant(edit).encode_to_vec());
        }
    }
    Ok(out)
}

fn outputs(node: &[u8]) -> Result<Vec<&[u8]>, EditError> {
    let fields = Fields(node).filter(|field| {
        let result = |field: &Field<'_>| field.number == NODE_OUTPUT;
        field.as_ref().map_or(true, result)
    });
    fields
        .map(|field| field.map(|field| field.content))
        .collect()
}

fn before(edit: &ChannelFactors) -> String {
    format!("{}/before_what_if", edit.tensor)
}

fn factors(edit: &ChannelFactors) -> String {
    format!("{}/what_if_factors", edit.tensor)
}

/// A node whose results have other names.
fn renamed(node: &[u8], edits: &[&ChannelFactors]) -> Result<Vec<u8>, EditError> {
    let mut out = Vec::with_capacity(node.len());
    for field in Fields(node) {
        let field = field?;
        let edit = edits
            .iter()
            .find(|edit| edit.tensor.as_bytes() == field.content);
        match edit.filter(|_| field.number == NODE_OUTPUT) {
            Some(edit) => append(&mut out, NODE_OUTPUT, before(edit).as_bytes()),
            None => out.extend_from_slice(field.whole),
        }
    }
    Ok(out)
}

fn product(edit: &ChannelFactors) -> NodeProto {
    NodeProto {
        input: vec![before(edit), factors(edit)],
        output: vec![edit.tensor.clone()],
        name: format!("{}/what_if", edit.tensor),
        op_type: "Mul".to_owned(),
        ..NodeProto::default()
    }
}

fn constant(edit: &ChannelFactors) -> TensorProto {
    let bytes: Vec<u8> = edit.factors.iter().flat_map(|f| f.to_le_bytes()).collect();
    TensorProto {
        dims: vec![1, edit.factors.len() as i64, 1, 1],
        data_type: data_type::FLOAT,
        name: factors(edit),
        raw_data: Some(Bytes::from(bytes)),
        ..TensorProto::default()
    }
}

/// Appends a length-delimited field.
fn append(out: &mut Vec<u8>, number: u64, content: &[u8]) {
    prost::encoding::encode_varint(number << 3 | 2, out);
    prost::encoding::encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// One field of a message.
struct Field<'a> {
    number: u64,
    /// With tag and length.
    whole: &'a [u8],
    /// Of a length-delimited field; empty otherwise.
    content: &'a [u8],
}

/// The fields of a message, in order. The first error ends it.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn field(bytes: &'a [u8]) -> Option<Field<'a>> {
        let mut rest = bytes;
        let tag = prost::encoding::decode_varint(&mut rest).ok()?;
        let mut content: &[u8] = &[];
        let skipped = match tag & 7 {
            0 => {
                prost::encoding::decode_varint(&mut rest).ok()?;
                0
            }
            1 => 8,
            2 => {
                let length = prost::encoding::decode_varint(&mut rest).ok()?;
                let length = usize::try_from(length).ok()?;
                content = rest.get(..length)?;
                length
            }
            5 => 4,
            _ => return None,
        };
        let rest = rest.get(skipped..)?;
        Some(Field {
            number: tag >> 3,
            whole: bytes.get(..bytes.len() - rest.len())?,
            content,
        })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, EditError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = Self::field(self.0);
        self.0 = match &field {
            Some(field) => self.0.get(field.whole.len()..).unwrap_or_default(),
            None => &[],
        };
        Some(field.ok_or(EditError::Malformed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(fields: &[(u64, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, content) in fields {
            append(&mut out, *number, content);
        }
        out
    }

    #[test]
    fn only_the_tensor_is_renamed_and_a_product_follows() {
        let node = |input: &str, output: &str| NodeProto {
            input: vec![input.to_owned()],
            output: vec![output.to_owned()],
            op_type: "Relu".to_owned(),
            ..NodeProto::default()
        };
        let nodes = [node("x", "a"), node("a", "b")].map(|node| node.encode_to_vec());
        let graph = message(&[(1, &nodes[0]), (1, &nodes[1]), (99, b"unknown")]);
        let model = message(&[(7, &graph), (77, b"kept")]);
        let edit = ChannelFactors {
            tensor: "a".to_owned(),
            factors: vec![1.0, 0.0],
        };
        let edited = scale_channels(&model, std::slice::from_ref(&edit)).unwrap();
        let product = product(&edit).encode_to_vec();
        let constant = constant(&edit).encode_to_vec();
        let renamed = node("x", "a/before_what_if").encode_to_vec();
        let graph = message(&[
            (1, &renamed),
            (1, &product),
            (5, &constant),
            (1, &nodes[1]),
            (99, b"unknown"),
        ]);
        assert_eq!(edited, message(&[(7, &graph), (77, b"kept")]));
        assert_eq!(scale_channels(&model, &[]).unwrap(), model);
        let absent = ChannelFactors {
            tensor: "z".to_owned(),
            factors: vec![],
        };
        assert_eq!(
            scale_channels(&model, &[absent]),
            Err(EditError::NoTensor("z".to_owned()))
        );
        assert_eq!(scale_channels(&model[..9], &[]), Err(EditError::Malformed));
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let edit = ChannelFactors { tensor: "a".to_owned(), factors: vec![0.0] };
            let _ = scale_channels(&bytes, &[edit]);
        }
    }
}
