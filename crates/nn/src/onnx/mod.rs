//! The ONNX reader: from a file to a [`Graph`] with static shapes and normalised operators.
//!
//! Place in the flow: first step of everything. The way of a model:
//!
//! 1. `proto`: protobuf messages, weights as slices of the file's bytes;
//! 2. `import`: names are resolved, the nodes the output needs are ordered;
//! 3. `lower`: each node becomes IR operators (opset semantics end here), with `builder` inferring
//!    shapes and folding what depends on constants alone;
//! 4. `finish`: the class scores are found, spelt-out activations recognised, dead parts dropped
//!    and the result verified.
//!
//! Files are hostile until proven otherwise: sizes are checked before memory is taken, recursion
//! and folding are bounded, every refusal names the node or tensor. Memory is the file plus its
//! weights as `f32`; time is linear in the file but for constant folding, which is bounded.
//!
//! Sixteen-bit and double precision weights become `f32`; casts between floating-point types are
//! dropped, so a half precision network is computed more precisely than its file says.

mod builder;
mod edit;
mod error;
mod finish;
mod import;
mod literal;
mod lower;
mod proto;
mod site;
mod tensor;

pub use edit::{ChannelFactors, EditError, scale_channels};
pub use error::LoadError;

use crate::graph::{Graph, ValueId};
use bytes::Bytes;
use prost::Message;
use std::collections::BTreeMap;
use std::path::Path;

/// Oldest operator set read: from 7 on, broadcasting follows NumPy.
pub const MIN_OPSET: i64 = 7;

/// Newest operator set read (ONNX 1.23).
pub const MAX_OPSET: i64 = 28;

/// Oldest file format version read.
const MIN_IR_VERSION: i64 = 3;

/// How to load a model.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadOptions {
    /// Images per batch, at least 1.
    pub batch: usize,
    /// `[C, H, W]` of the input; needed where the file leaves them open, and takes precedence
    /// over the file otherwise.
    pub input_shape: Option<[usize; 3]>,
    /// Limit for the file, and for all tensors of the graph together (weights and activations, as
    /// if none shared memory), in bytes.
    pub max_bytes: u64,
    /// Limit for constants computed while loading, in bytes; the size of the file is allowed in
    /// any case.
    pub max_folded_bytes: u64,
    /// Name of the output to explain; the first floating-point one by default.
    pub output: Option<String>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            batch: 1,
            input_shape: None,
            max_bytes: 16 << 30,
            max_folded_bytes: 16 << 20,
            output: None,
        }
    }
}

/// A loaded network.
#[derive(Clone, Debug)]
pub struct Model {
    /// The network; its output is `[N, classes]`, before a final Softmax.
    pub graph: Graph,
    /// The file's `metadata_props` (of equal keys, the last).
    pub metadata: BTreeMap<String, String>,
    /// Version of the standard operator set.
    pub opset: i64,
    /// Program that wrote the file, with its version.
    pub producer: String,
    /// Name of the image input in the file.
    pub input_name: String,
    /// Name of the explained output in the file.
    pub output_name: String,
    /// The file's output is a Softmax or LogSoftmax of [`Graph::output`]; its node is kept.
    pub output_is_probability: bool,
    /// Operators in the file, counted by name (`domain.name` outside the standard domain).
    pub operators: BTreeMap<String, u64>,
    /// Numbers in the constants of the graph.
    pub parameters: u64,
    /// Other names in the file of values in the graph (through Identity, Dropout, ...).
    pub aliases: BTreeMap<String, String>,
}

impl Model {
    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        let output = self.graph.values.get(self.graph.output.index());
        output
            .and_then(|value| value.shape.last())
            .copied()
            .unwrap_or(0)
    }

    /// The value a name of the file stands for, if it is still in the graph.
    #[must_use]
    pub fn value_named(&self, name: &str) -> Option<ValueId> {
        let name = self.aliases.get(name).map_or(name, String::as_str);
        let found = self
            .graph
            .values
            .iter()
            .position(|value| value.name == name)?;
        u32::try_from(found).ok().map(ValueId)
    }
}

/// Reads a model and its external data, which must lie in the model's folder.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Model, LoadError> {
    let read = |source: std::io::Error| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let length = std::fs::metadata(path).map_err(read)?.len();
    if length > options.max_bytes {
        return Err(LoadError::TooLarge {
            what: "the file".to_owned(),
            limit: options.max_bytes,
        });
    }
    let bytes = std::fs::read(path).map_err(read)?;
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    load_bytes(
        bytes.into(),
        Some(folder.unwrap_or(Path::new("."))),
        options,
    )
}

/// Reads a model from memory; external data are looked for in `base_dir`.
pub fn load_bytes(
    bytes: Bytes,
    base_dir: Option<&Path>,
    options: &LoadOptions,
) -> Result<Model, LoadError> {
    let file_bytes = bytes.len() as u64;
    if file_bytes > options.max_bytes {
        return Err(LoadError::TooLarge {
            what: "the file".to_owned(),
            limit: options.max_bytes,
        });
    }
    proto::check_size(&bytes).map_err(LoadError::Malformed)?;
    let model = proto::ModelProto::decode(bytes)
        .map_err(|error| LoadError::Malformed(error.to_string()))?;
    let opsets = opsets(&model)?;
    let Some(graph) = &model.graph else {
        return Err(LoadError::Malformed("it holds no graph".to_owned()));
    };
    let imported = import::import(graph, &opsets, base_dir, options, file_bytes)?;
    let finished = finish::finish(imported, options)?;
    let entries = model.metadata_props.iter();
    Ok(Model {
        parameters: parameters(&finished.graph),
        graph: finished.graph,
        metadata: entries
            .map(|entry| (entry.key.clone(), entry.value.clone()))
            .collect(),
        opset: opsets.get("").copied().unwrap_or_default(),
        producer: format!("{} {}", model.producer_name, model.producer_version)
            .trim()
            .to_owned(),
        input_name: finished.input_name,
        output_name: finished.output_name,
        output_is_probability: finished.output_is_probability,
        operators: count_operators(graph),
        aliases: finished.aliases,
    })
}

/// Versions by domain; the standard domain is `""` whatever it is called in the file.
fn opsets(model: &proto::ModelProto) -> Result<BTreeMap<String, i64>, LoadError> {
    if model.ir_version < MIN_IR_VERSION {
        return Err(LoadError::Version {
            what: "IR version",
            found: model.ir_version,
            supported: format!("from {MIN_IR_VERSION}"),
        });
    }
    let mut opsets = BTreeMap::new();
    for import in &model.opset_import {
        opsets.insert(
            import::standard_domain(&import.domain).to_owned(),
            import.version,
        );
    }
    let standard = opsets.get("").copied().unwrap_or_default();
    if !(MIN_OPSET..=MAX_OPSET).contains(&standard) {
        return Err(LoadError::Version {
            what: "opset",
            found: standard,
            supported: format!("{MIN_OPSET} to {MAX_OPSET}"),
        });
    }
    Ok(opsets)
}

fn count_operators(graph: &proto::GraphProto) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for node in &graph.node {
        let name = match import::standard_domain(&node.domain) {
            "" => node.op_type.clone(),
            domain => format!("{domain}.{}", node.op_type),
        };
        *counts.entry(name).or_insert(0) += 1;
    }
    counts
}

fn parameters(graph: &Graph) -> u64 {
    graph
        .values
        .iter()
        .filter_map(|value| value.constant.as_ref())
        .map(|t| t.data.len() as u64)
        .sum()
}
