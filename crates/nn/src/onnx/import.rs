//! Resolves the names of a file's graph and lowers the nodes its output needs, in order.

use super::LoadOptions;
use super::builder::{Builder, Operand};
use super::error::{LoadError, Problem};
use super::lower;
use super::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto, data_type};
use super::site::Site;
use super::tensor;
use crate::graph::ValueId;
use crate::graph::shape::element_count;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::path::Path;

/// A lowered graph before its output is understood.
pub(super) struct Imported {
    /// Values and nodes.
    pub builder: Builder,
    /// The image input.
    pub input: ValueId,
    /// Its name in the file.
    pub input_name: String,
    /// What the chosen output of the file became.
    pub output: Operand,
    /// The output's name in the file.
    pub output_name: String,
    /// Names of the file that other values stand for.
    pub aliases: BTreeMap<String, String>,
}

/// The standard domain is written `""` or `ai.onnx`.
pub(super) fn standard_domain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

/// Who defines a name.
#[derive(Clone, Copy)]
enum Source {
    Node(usize),
    Initializer(usize),
    Input,
}

/// Lowers everything the chosen output depends on.
pub(super) fn import(
    graph: &GraphProto,
    opsets: &BTreeMap<String, i64>,
    base_dir: Option<&Path>,
    options: &LoadOptions,
    file_bytes: u64,
) -> Result<Imported, LoadError> {
    let sources = index_names(graph)?;
    let output_name = choose_output(graph, options)?;
    let order = order_nodes(graph, &sources, &output_name)?;
    let (input_name, input_shape) = choose_input(graph, &sources, &order, &output_name, options)?;
    let folded_limit = options.max_folded_bytes.max(file_bytes);
    let names = sources.keys().map(|name| (*name).to_owned()).collect();
    let mut builder = Builder::new(options.batch, names, folded_limit);
    let input = builder
        .add_value(input_name.clone(), input_shape, None, None)
        .map_err(|problem| problem.at("input", &input_name))?;
    let mut importer = Importer {
        graph,
        sources,
        opsets,
        base_dir,
        builder,
        operands: HashMap::from([(input_name.clone(), Operand::Value(input))]),
        reads: count_reads(graph, &order, &output_name),
        aliases: BTreeMap::new(),
        weight_bytes_left: options.max_bytes,
    };
    for node in order {
        importer.lower_node(&graph.node[node])?;
    }
    let output = importer.resolve(&output_name, "output")?;
    let Importer {
        builder, aliases, ..
    } = importer;
    Ok(Imported {
        builder,
        input,
        input_name,
        output,
        output_name,
        aliases,
    })
}

/// All names that something defines, once each. An input may repeat an initialiser, which then is
/// its default value.
fn index_names(graph: &GraphProto) -> Result<HashMap<&str, Source>, LoadError> {
    if !graph.sparse_initializer.is_empty() {
        return Err(LoadError::Malformed(
            "sparse weights are not supported".to_owned(),
        ));
    }
    let mut sources: HashMap<&str, Source> = HashMap::new();
    for (index, tensor) in graph.initializer.iter().enumerate() {
        if sources
            .insert(&tensor.name, Source::Initializer(index))
            .is_some()
        {
            return Err(LoadError::DuplicateName(tensor.name.clone()));
        }
    }
    let mut input_names = HashSet::new();
    for input in &graph.input {
        if !input_names.insert(input.name.as_str()) {
            return Err(LoadError::DuplicateName(input.name.clone()));
        }
        sources.entry(&input.name).or_insert(Source::Input);
    }
    for (index, node) in graph.node.iter().enumerate() {
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            if sources.insert(output, Source::Node(index)).is_some() {
                return Err(LoadError::DuplicateName(output.clone()));
            }
        }
    }
    Ok(sources)
}

/// The named output, or the first of floating-point (or undeclared) type.
fn choose_output(graph: &GraphProto, options: &LoadOptions) -> Result<String, LoadError> {
    let is_float = |output: &&ValueInfoProto| {
        let tensor = output
            .r#type
            .as_ref()
            .and_then(|kind| kind.tensor_type.as_ref());
        let kind = tensor.map_or(data_type::UNDEFINED, |tensor| tensor.elem_type);
        kind == data_type::UNDEFINED || data_type::is_float(kind)
    };
    let found = match &options.output {
        Some(name) => graph.output.iter().find(|output| output.name == *name),
        None => graph.output.iter().find(is_float),
    };
    found.map(|output| output.name.clone()).ok_or_else(|| {
        let names: Vec<&str> = graph
            .output
            .iter()
            .take(20)
            .map(|output| output.name.as_str())
            .collect();
        LoadError::Output(match &options.output {
            Some(name) => format!("there is no output {name:?} among {names:?}"),
            None => format!("no output is of floating-point type among {names:?}"),
        })
    })
}

fn node_name(node: &NodeProto) -> &str {
    let named = [Some(&node.name), node.output.first(), Some(&node.op_type)];
    named
        .into_iter()
        .flatten()
        .find(|name| !name.is_empty())
        .map_or("", String::as_str)
}

/// The nodes that the output needs, every one after those it reads; where the file's order
/// allows, in the file's order.
fn order_nodes(
    graph: &GraphProto,
    sources: &HashMap<&str, Source>,
    output_name: &str,
) -> Result<Vec<usize>, LoadError> {
    let producer = |name: &String, reader: &str| match sources.get(name.as_str()) {
        Some(Source::Node(index)) => Ok(Some(*index)),
        Some(_) => Ok(None),
        None if name.is_empty() => Ok(None),
        None => Err(LoadError::UnknownInput {
            input: name.clone(),
            node: reader.to_owned(),
        }),
    };
    let mut needed = vec![false; graph.node.len()];
    let mut open: Vec<usize> = producer(&output_name.to_owned(), "output")?
        .into_iter()
        .collect();
    let mut waits = vec![0usize; graph.node.len()];
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); graph.node.len()];
    while let Some(index) = open.pop() {
        if std::mem::replace(&mut needed[index], true) {
            continue;
        }
        let node = &graph.node[index];
        for name in &node.input {
            if let Some(source) = producer(name, node_name(node))? {
                waits[index] += 1;
                readers[source].push(index);
                open.push(source);
            }
        }
    }
    let is_ready = |&index: &usize| needed[index] && waits[index] == 0;
    let mut ready: BinaryHeap<Reverse<usize>> = (0..graph.node.len())
        .filter(is_ready)
        .map(Reverse)
        .collect();
    let mut order = Vec::new();
    while let Some(Reverse(index)) = ready.pop() {
        order.push(index);
        for &reader in &readers[index] {
            waits[reader] -= 1;
            if waits[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    match (0..graph.node.len()).find(|&index| needed[index] && waits[index] > 0) {
        Some(index) => Err(LoadError::Cycle(node_name(&graph.node[index]).to_owned())),
        None => Ok(order),
    }
}

/// Which names the needed nodes and the output read.
fn count_reads(graph: &GraphProto, order: &[usize], output_name: &str) -> HashSet<String> {
    let inputs = order
        .iter()
        .flat_map(|&index| graph.node[index].input.iter().cloned());
    inputs.chain([output_name.to_owned()]).collect()
}

/// The one input without a default value that the needed nodes read, and its shape.
fn choose_input(
    graph: &GraphProto,
    sources: &HashMap<&str, Source>,
    order: &[usize],
    output_name: &str,
    options: &LoadOptions,
) -> Result<(String, Vec<usize>), LoadError> {
    let reads = count_reads(graph, order, output_name);
    let candidates: Vec<&ValueInfoProto> = graph
        .input
        .iter()
        .filter(|input| reads.contains(&input.name))
        .filter(|input| matches!(sources.get(input.name.as_str()), Some(Source::Input)))
        .collect();
    let &[input] = candidates.as_slice() else {
        let names: Vec<&str> = candidates
            .iter()
            .take(20)
            .map(|i| i.name.as_str())
            .collect();
        return Err(LoadError::Input(format!(
            "one input is expected, found {names:?}"
        )));
    };
    Ok((input.name.clone(), input_shape(input, options)?))
}

/// Shape of the image input: the batch size asked for, and what the file or the options say.
fn input_shape(input: &ValueInfoProto, options: &LoadOptions) -> Result<Vec<usize>, LoadError> {
    let refuse = |reason: String| LoadError::Input(format!("{reason} ({:?})", input.name));
    let tensor = input
        .r#type
        .as_ref()
        .and_then(|kind| kind.tensor_type.as_ref());
    let kind = tensor.map_or(data_type::UNDEFINED, |tensor| tensor.elem_type);
    if kind != data_type::UNDEFINED && !data_type::is_float(kind) {
        return Err(refuse(format!(
            "element type {kind} is no floating-point type"
        )));
    }
    let declared = tensor.and_then(|tensor| tensor.shape.as_ref());
    let dims: Vec<i64> = match declared {
        Some(shape) => shape.dim.iter().map(|dim| dim.dim_value).collect(),
        None => vec![0; 4],
    };
    if dims.len() != 4 {
        return Err(refuse(format!(
            "shape {dims:?} is no batch of images [N, C, H, W]"
        )));
    }
    let mut shape = vec![options.batch];
    for axis in 1..4 {
        let extent = match options.input_shape {
            Some(extents) => extents[axis - 1],
            None => usize::try_from(dims[axis])
                .ok()
                .filter(|&extent| extent > 0)
                .ok_or_else(|| {
                    refuse(format!(
                        "its shape {dims:?} leaves axis {axis} open: give the input shape"
                    ))
                })?,
        };
        shape.push(extent);
    }
    element_count(&shape).map_err(|error| refuse(error.to_string()))?;
    Ok(shape)
}

struct Importer<'a> {
    graph: &'a GraphProto,
    sources: HashMap<&'a str, Source>,
    opsets: &'a BTreeMap<String, i64>,
    base_dir: Option<&'a Path>,
    builder: Builder,
    operands: HashMap<String, Operand>,
    reads: HashSet<String>,
    aliases: BTreeMap<String, String>,
    weight_bytes_left: u64,
}

impl Importer<'_> {
    /// What a name stands for; initialisers are decoded when first read.
    fn resolve(&mut self, name: &str, reader: &str) -> Result<Operand, LoadError> {
        if let Some(&operand) = self.operands.get(name) {
            return Ok(operand);
        }
        let Some(Source::Initializer(index)) = self.sources.get(name) else {
            let (input, node) = (name.to_owned(), reader.to_owned());
            return Err(LoadError::UnknownInput { input, node });
        };
        let initializer = &self.graph.initializer[*index];
        self.charge_weight(initializer)?;
        let literal = tensor::decode(initializer, self.base_dir)?;
        let operand = self.builder.add_literal(literal, Some(name.to_owned()));
        self.operands.insert(name.to_owned(), operand);
        Ok(operand)
    }

    /// Counts a weight's declared size before it is decoded: external data may be read many times
    /// over.
    fn charge_weight(&mut self, tensor: &TensorProto) -> Result<(), LoadError> {
        let bytes = tensor.dims.iter().try_fold(4u64, |bytes, &dim| {
            bytes.checked_mul(u64::try_from(dim).unwrap_or(u64::MAX))
        });
        match bytes.and_then(|bytes| self.weight_bytes_left.checked_sub(bytes)) {
            Some(left) => {
                self.weight_bytes_left = left;
                Ok(())
            }
            None => Err(LoadError::TooLarge {
                what: format!("weights up to {:?}", tensor.name),
                limit: self.weight_bytes_left,
            }),
        }
    }

    fn lower_node(&mut self, node: &NodeProto) -> Result<(), LoadError> {
        let name = node_name(node);
        let domain = standard_domain(&node.domain);
        let not_supported = || LoadError::UnsupportedOperator {
            operator: node.op_type.clone(),
            domain: if domain.is_empty() { "ai.onnx" } else { domain }.to_owned(),
            node: name.to_owned(),
        };
        if !matches!(domain, "" | "com.microsoft") {
            return Err(not_supported());
        }
        let mut operands = Vec::with_capacity(node.input.len());
        for input in &node.input {
            operands.push(match input.as_str() {
                "" => None,
                input => Some(self.resolve(input, name)?),
            });
        }
        let site = Site {
            node,
            opset: self.opsets.get(domain).copied().unwrap_or(1),
            operands,
            output_is_read: node
                .output
                .iter()
                .map(|name| self.reads.contains(name))
                .collect(),
        };
        let mark = self.builder.mark();
        let outputs = lower::lower(&mut self.builder, &site)
            .map_err(|problem| problem.at(&node.op_type, name))?
            .ok_or_else(not_supported)?;
        let produced = outputs.len();
        let named: Vec<(String, Operand)> = node
            .output
            .iter()
            .zip(outputs)
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, operand)| (name.clone(), operand))
            .collect();
        self.aliases
            .extend(self.builder.name_outputs(&mark, name, &named));
        if let Some(index) = (produced..node.output.len()).find(|&at| site.output_is_read[at]) {
            let reason = format!("output {index} is used");
            return Err(Problem::Unsupported(reason).at(&node.op_type, name));
        }
        self.operands.extend(named);
        Ok(())
    }
}
