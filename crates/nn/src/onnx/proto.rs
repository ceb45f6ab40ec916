//! The part of the ONNX protobuf schema that inference needs, as `prost` messages.
//!
//! Field numbers are those of `onnx.proto`. Bulk data stay as slices of the file's bytes. Fields
//! that are never read (documentation, value infos, training info) are skipped by the decoder.
//!
//! [`check_size`] walks the wire format before decoding and bounds what decoding allocates:
//! two bytes of file can announce a message of three hundred bytes in memory.

use bytes::Bytes;

/// `onnx.ModelProto`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ModelProto {
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    #[prost(string, tag = "2")]
    pub producer_name: String,
    #[prost(string, tag = "3")]
    pub producer_version: String,
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// `onnx.OperatorSetIdProto`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OperatorSetIdProto {
    #[prost(string, tag = "1")]
    pub domain: String,
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// `onnx.StringStringEntryProto`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StringStringEntryProto {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `onnx.GraphProto`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
    #[prost(bytes = "bytes", repeated, tag = "15")]
    pub sparse_initializer: Vec<Bytes>,
}

/// `onnx.NodeProto`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
    #[prost(string, tag = "7")]
    pub domain: String,
}

/// `onnx.AttributeProto`; sub-graphs are kept undecoded, nothing here reads them.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AttributeProto {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(float, tag = "2")]
    pub f: f32,
    #[prost(int64, tag = "3")]
    pub i: i64,
    #[prost(bytes = "bytes", tag = "4")]
    pub s: Bytes,
    #[prost(message, optional, boxed, tag = "5")]
    pub t: Option<Box<TensorProto>>,
    #[prost(float, repeated, tag = "7")]
    pub floats: Vec<f32>,
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    pub kind: i32,
    #[prost(string, tag = "21")]
    pub ref_attr_name: String,
}

/// Values of [`AttributeProto::kind`]; 0 is written by files older than the field.
pub(super) mod attribute_kind {
    pub const FLOAT: i32 = 1;
    pub const INT: i32 = 2;
    pub const STRING: i32 = 3;
    pub const TENSOR: i32 = 4;
    pub const FLOATS: i32 = 6;
    pub const INTS: i32 = 7;
}

/// `onnx.TensorProto`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    pub name: String,
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub raw_data: Option<Bytes>,
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    #[prost(uint64, repeated, tag = "11")]
    pub uint64_data: Vec<u64>,
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringStringEntryProto>,
    #[prost(int32, tag = "14")]
    pub data_location: i32,
}

/// Values of [`TensorProto::data_type`].
pub(super) mod data_type {
    pub const UNDEFINED: i32 = 0;
    pub const FLOAT: i32 = 1;
    pub const UINT8: i32 = 2;
    pub const INT8: i32 = 3;
    pub const UINT16: i32 = 4;
    pub const INT16: i32 = 5;
    pub const INT32: i32 = 6;
    pub const INT64: i32 = 7;
    pub const BOOL: i32 = 9;
    pub const FLOAT16: i32 = 10;
    pub const DOUBLE: i32 = 11;
    pub const UINT32: i32 = 12;
    pub const UINT64: i32 = 13;
    pub const BFLOAT16: i32 = 16;

    /// Types that become `f32`.
    pub fn is_float(data_type: i32) -> bool {
        matches!(data_type, FLOAT | FLOAT16 | BFLOAT16 | DOUBLE)
    }
}

/// `onnx.ValueInfoProto`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ValueInfoProto {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
}

/// `onnx.TypeProto`; only tensors are read.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TypeProto {
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorTypeProto>,
}

/// `onnx.TypeProto.Tensor`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TensorTypeProto {
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

/// `onnx.TensorShapeProto`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TensorShapeProto {
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<DimensionProto>,
}

/// `onnx.TensorShapeProto.Dimension`; 0 and a symbolic name both mean "unknown".
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct DimensionProto {
    #[prost(int64, tag = "1")]
    pub dim_value: i64,
}

/// What a length-delimited field holds, for [`check_size`].
#[derive(Clone, Copy)]
enum Content {
    /// Skipped by the decoder, or a slice of the file.
    Free,
    /// A message with these fields.
    Message(&'static [(u64, Content)], usize),
    /// A string or a byte slice in a list: its own record.
    Record,
    /// Packed numbers, of eight bytes in memory and as little as one in the file.
    Packed,
}

const ENTRY: Content = Content::Message(
    &[(1, Content::Record), (2, Content::Record)],
    size_of::<StringStringEntryProto>(),
);
const TENSOR: Content = Content::Message(
    &[
        (1, Content::Packed),
        (7, Content::Packed),
        (8, Content::Record),
        (11, Content::Packed),
        (13, ENTRY),
    ],
    size_of::<TensorProto>(),
);
const ATTRIBUTE: Content = Content::Message(
    &[(1, Content::Record), (5, TENSOR), (8, Content::Packed)],
    size_of::<AttributeProto>(),
);
const NODE: Content = Content::Message(
    &[
        (1, Content::Record),
        (2, Content::Record),
        (3, Content::Record),
        (5, ATTRIBUTE),
    ],
    size_of::<NodeProto>(),
);
const DIMENSION: Content = Content::Message(&[], size_of::<DimensionProto>());
const SHAPE: Content = Content::Message(&[(1, DIMENSION)], 0);
const TENSOR_TYPE: Content = Content::Message(&[(2, SHAPE)], 0);
const TYPE: Content = Content::Message(&[(1, TENSOR_TYPE)], 0);
const VALUE_INFO: Content = Content::Message(
    &[(1, Content::Record), (2, TYPE)],
    size_of::<ValueInfoProto>(),
);
const GRAPH: Content = Content::Message(
    &[
        (1, NODE),
        (5, TENSOR),
        (11, VALUE_INFO),
        (12, VALUE_INFO),
        (15, Content::Record),
    ],
    size_of::<GraphProto>(),
);
const MODEL: Content = Content::Message(
    &[
        (7, GRAPH),
        (8, ENTRY),
        (14, ENTRY),
        (2, Content::Record),
        (3, Content::Record),
    ],
    size_of::<ModelProto>(),
);

/// Bytes a file's messages (not its weights) may take when decoded.
const MESSAGE_BYTES_LIMIT: usize = 32 << 20;

/// Walks the wire format of a model; an error when decoding it would allocate more than
/// [`MESSAGE_BYTES_LIMIT`] for anything but bulk data, or when it is malformed.
pub(super) fn check_size(bytes: &[u8]) -> Result<(), String> {
    let Content::Message(fields, _) = MODEL else {
        return Ok(());
    };
    let mut budget = MESSAGE_BYTES_LIMIT;
    walk(bytes, fields, &mut budget)
}

fn walk(mut bytes: &[u8], fields: &[(u64, Content)], budget: &mut usize) -> Result<(), String> {
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let (number, wire_type) = (key >> 3, key & 7);
        match wire_type {
            0 => {
                varint(&mut bytes)?;
                spend(budget, 8)?;
            }
            1 => skip(&mut bytes, 8)?,
            5 => skip(&mut bytes, 4)?,
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).unwrap_or(usize::MAX);
                let content = bytes
                    .get(..length)
                    .ok_or("a field is longer than its message")?;
                skip(&mut bytes, length)?;
                let known = fields.iter().find(|(field, _)| *field == number);
                match known.map_or(Content::Free, |(_, content)| *content) {
                    Content::Free => {}
                    Content::Packed => spend(budget, length.saturating_mul(8))?,
                    Content::Record => spend(budget, length.saturating_add(32))?,
                    Content::Message(inner, size) => {
                        spend(budget, size)?;
                        walk(content, inner, budget)?;
                    }
                }
            }
            _ => return Err(format!("wire type {wire_type} does not exist in protobuf")),
        }
    }
    Ok(())
}

fn spend(budget: &mut usize, cost: usize) -> Result<(), String> {
    *budget = budget.checked_sub(cost).ok_or_else(|| {
        format!("the graph's description takes more than {MESSAGE_BYTES_LIMIT} bytes")
    })?;
    Ok(())
}

fn skip(bytes: &mut &[u8], count: usize) -> Result<(), String> {
    *bytes = bytes.get(count..).ok_or("the file ends within a field")?;
    Ok(())
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0u64;
    for position in 0..10 {
        let (&byte, rest) = bytes.split_first().ok_or("the file ends within a number")?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a number is longer than ten bytes".to_owned())
}
