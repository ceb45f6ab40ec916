//! Finds the class scores of an imported graph, tidies it up and verifies it.

use super::LoadOptions;
use super::builder::{Builder, Operand};
use super::error::LoadError;
use super::import::Imported;
use crate::graph::{Graph, Op, ValueId, prune, recognise_patterns, verify};
use std::collections::BTreeMap;

/// A finished graph with what the reader learned of it.
pub(super) struct Finished {
    pub graph: Graph,
    pub input_name: String,
    pub output_name: String,
    pub output_is_probability: bool,
    pub aliases: BTreeMap<String, String>,
}

/// Turns an imported graph into one that keeps all invariants.
pub(super) fn finish(imported: Imported, options: &LoadOptions) -> Result<Finished, LoadError> {
    let Imported {
        mut builder,
        input,
        input_name,
        output,
        output_name,
        mut aliases,
    } = imported;
    let Operand::Value(file_output) = output else {
        return Err(LoadError::Output(format!(
            "it does not depend on the image ({output_name:?})"
        )));
    };
    let before_softmax = scores_before_softmax(&builder, file_output);
    let scores = before_softmax.unwrap_or(file_output);
    let output = class_list(&mut builder, scores, &output_name)?;
    let Builder { values, nodes, .. } = builder;
    let mut graph = Graph {
        values,
        nodes,
        input,
        output,
        feeds: Vec::new(),
    };
    let (roots, output_is_probability) = match before_softmax {
        Some(_) => (vec![file_output], true),
        None => (Vec::new(), false),
    };
    recognise_patterns(&mut graph, &roots);
    crate::graph::lrn::recognise(&mut graph);
    let (graph, _) = prune(graph, &roots);
    check_total(&graph, options)?;
    verify(&graph)?;
    let names: std::collections::HashSet<&str> = graph
        .values
        .iter()
        .map(|value| value.name.as_str())
        .collect();
    aliases.retain(|_, name| names.contains(name.as_str()));
    Ok(Finished {
        graph,
        input_name,
        output_name,
        output_is_probability,
        aliases,
    })
}

/// The input of a Softmax over all classes that ends the graph, looking through reshapes.
fn scores_before_softmax(builder: &Builder, output: ValueId) -> Option<ValueId> {
    let mut value = output;
    loop {
        let node = &builder.nodes[builder.values[value.index()].producer?.index()];
        let input = *node.inputs.first()?;
        match &node.op {
            Op::Reshape => value = input,
            Op::Softmax { first, end, .. } => {
                // Over the class axis of [N, classes, 1, ...].
                let [batch, _, rest @ ..] = builder.values[input.index()].shape.as_slice() else {
                    return None;
                };
                let is_list = *batch == builder.batch && rest.iter().all(|&extent| extent == 1);
                return (is_list && *first == 1 && *end > 1).then_some(input);
            }
            _ => return None,
        }
    }
}

/// The scores as `[N, classes]`: as they are, or with axes of extent 1 behind dropped.
fn class_list(
    builder: &mut Builder,
    scores: ValueId,
    output_name: &str,
) -> Result<ValueId, LoadError> {
    let shape = builder.values[scores.index()].shape.clone();
    let batch = builder.batch;
    let [found, classes, rest @ ..] = shape.as_slice() else {
        let reason = format!("shape {shape:?} is no list of class scores ({output_name:?})");
        return Err(LoadError::Output(reason));
    };
    if *found != batch || rest.iter().any(|&extent| extent != 1) {
        return Err(LoadError::Output(format!(
            "shape {shape:?} is not [{batch}, classes] ({output_name:?})"
        )));
    }
    if rest.is_empty() {
        return Ok(scores);
    }
    let at = |problem: super::error::Problem| problem.at("Reshape", output_name);
    let mark = builder.mark();
    let name = builder.values[scores.index()].name.clone();
    let view = builder
        .reshape(Operand::Value(scores), vec![batch, *classes])
        .map_err(at)?;
    // Without outputs of the file the view gets a name derived from what it shows.
    builder.name_outputs(&mark, &name, &[]);
    match view {
        Operand::Value(id) => Ok(id),
        Operand::Literal(_) => Err(LoadError::Output(format!(
            "it is constant ({output_name:?})"
        ))),
    }
}

fn check_total(graph: &Graph, options: &LoadOptions) -> Result<(), LoadError> {
    let bytes = graph.values.iter().fold(0u64, |total, value| {
        let elements = value
            .shape
            .iter()
            .fold(1u64, |count, &n| count.saturating_mul(n as u64));
        total.saturating_add(elements.saturating_mul(4))
    });
    if bytes > options.max_bytes {
        let what = "the tensors of the graph".to_owned();
        return Err(LoadError::TooLarge {
            what,
            limit: options.max_bytes,
        });
    }
    Ok(())
}
