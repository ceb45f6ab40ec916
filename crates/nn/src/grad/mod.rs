//! Differentiates a graph by rewriting it: the result is an ordinary graph that computes forward
//! values and gradients, so planning, kernels and memory sharing are those of the executor.
//!
//! ```text
//! graph ─▶ fold (normalisations into kernels) ─▶ derive (one rule per operator, in reverse)
//!       ─▶ prune (only what reaches what was asked for) ─▶ exec
//! ```
//!
//! Reverse mode: the gradient with respect to [`Request::from`] is fed while the graph runs, after
//! `from` itself was observed, so it may depend on it (the runner-up class does). It may hold several
//! images per forward image, one per mask. Only values between `wrt` and `from` are
//! differentiated, only values that some rule reads are kept.
//!
//! Kinks as in method.md section 3.2: ReLU' (0) = 0, Clip' (bound) = 1, max-pooling ties go to the first
//! position.

mod fold;
mod rules;
mod tape;

pub use tape::{Derived, GradError, GradientRule, Request, derive};

use crate::graph::ir::{Graph, NodeId, ValueId};
use crate::graph::prune;

/// The part of `graph` that computes `output` from `input`: a block between two layers, or the rest
/// of the network after one. Constants are shared. `keep` are further values to retain; their new
/// ids are returned.
///
/// # Errors
/// When `output` needs the image other than through `input`.
pub fn between(
    graph: &Graph,
    input: ValueId,
    output: ValueId,
    keep: &[ValueId],
) -> Result<(Graph, Vec<ValueId>), GradError> {
    let mut part = graph.clone();
    part.input = input;
    part.output = output;
    let keeps_input = input == graph.input;
    if let Some(value) = part.values.get_mut(input.index()) {
        value.producer = None;
    }
    part.nodes = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        if node.outputs.contains(&input) {
            if node.outputs.len() > 1 {
                return Err(GradError::Part(node.name.clone()));
            }
            continue;
        }
        let id = NodeId(part.nodes.len() as u32);
        for value in &node.outputs {
            part.values[value.index()].producer = Some(id);
        }
        part.nodes.push(node.clone());
    }
    let (part, kept) = prune(part, keep);
    // The old image survives only if something still reads it.
    let orphan = part.values.iter().enumerate().find(|(index, value)| {
        value.producer.is_none()
            && value.constant.is_none()
            && *index != part.input.index()
            && part.feeds.iter().all(|feed| feed.index() != *index)
    });
    match orphan {
        Some((_, value)) if !keeps_input => Err(GradError::NoCut {
            value: graph.values[input.index()].name.clone(),
            passed_by: value.name.clone(),
        }),
        _ => Ok((part, kept)),
    }
}

#[cfg(test)]
mod tests;
