//! Writes ONNX files by hand, right and wrong ones alike.

/// Protobuf message under construction.
#[derive(Clone, Default)]
pub struct Message(pub Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// A number.
    pub fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value as u64);
        self
    }

    /// A string, byte slice or sub-message.
    pub fn bytes(mut self, field: u64, value: impl AsRef<[u8]>) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.as_ref().len() as u64);
        self.0.extend_from_slice(value.as_ref());
        self
    }

    /// A single precision number.
    pub fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | 5);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// A sub-message.
    pub fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }
}

/// `TensorProto` of raw data.
pub fn tensor(name: &str, kind: i64, dims: &[i64], raw: &[u8]) -> Message {
    let dims = dims
        .iter()
        .fold(Message::default(), |message, &dim| message.int(1, dim));
    dims.int(2, kind).bytes(8, name).bytes(9, raw)
}

/// A float tensor.
pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    tensor(name, 1, dims, &raw)
}

/// A list of integers.
pub fn ints(name: &str, values: &[i64]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    tensor(name, 7, &[values.len() as i64], &raw)
}

/// `AttributeProto` of an integer.
pub fn int_attribute(name: &str, value: i64) -> Message {
    Message::default().bytes(1, name).int(3, value).int(20, 2)
}

/// `AttributeProto` of integers.
pub fn ints_attribute(name: &str, values: &[i64]) -> Message {
    let start = Message::default().bytes(1, name).int(20, 7);
    values
        .iter()
        .fold(start, |message, &value| message.int(8, value))
}

/// `AttributeProto` of a number.
pub fn float_attribute(name: &str, value: f32) -> Message {
    Message::default().bytes(1, name).float(2, value).int(20, 1)
}

/// `NodeProto` named like its first output.
pub fn node(operator: &str, inputs: &[&str], outputs: &[&str], attributes: &[Message]) -> Message {
    let start = Message::default()
        .bytes(4, operator)
        .bytes(3, *outputs.first().unwrap_or(&"last"));
    let start = inputs
        .iter()
        .fold(start, |message, input| message.bytes(1, input));
    let start = outputs
        .iter()
        .fold(start, |message, output| message.bytes(2, output));
    attributes
        .iter()
        .fold(start, |message, attribute| message.message(5, attribute))
}

/// `ValueInfoProto` of a tensor.
pub fn value_info(name: &str, kind: i64, dims: &[i64]) -> Message {
    let shape = dims.iter().fold(Message::default(), |message, &dim| {
        message.message(1, &Message::default().int(1, dim))
    });
    let tensor = Message::default().int(1, kind).message(2, &shape);
    Message::default()
        .bytes(1, name)
        .message(2, &Message::default().message(1, &tensor))
}

/// A file: input `image` `[1, 3, 4, 5]`, output `scores`, opset 13.
#[derive(Clone)]
pub struct File {
    /// `NodeProto`s.
    pub nodes: Vec<Message>,
    /// `TensorProto`s.
    pub initializers: Vec<Message>,
    /// `ValueInfoProto`s.
    pub inputs: Vec<Message>,
    /// `ValueInfoProto`s.
    pub outputs: Vec<Message>,
    /// Version of the standard operator set.
    pub opset: i64,
    /// File format version.
    pub ir_version: i64,
}

impl File {
    /// A file of these nodes and initialisers.
    pub fn new(nodes: &[Message], initializers: &[Message]) -> Self {
        Self {
            nodes: nodes.to_vec(),
            initializers: initializers.to_vec(),
            inputs: vec![value_info("image", 1, &[1, 3, 4, 5])],
            outputs: vec![value_info("scores", 1, &[1, 60])],
            opset: 13,
            ir_version: 8,
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut graph = Message::default();
        for (field, parts) in [
            (1, &self.nodes),
            (5, &self.initializers),
            (11, &self.inputs),
            (12, &self.outputs),
        ] {
            graph = parts
                .iter()
                .fold(graph, |message, part| message.message(field, part));
        }
        let opset = Message::default().int(2, self.opset);
        Message::default()
            .int(1, self.ir_version)
            .message(7, &graph)
            .message(8, &opset)
            .0
    }
}
