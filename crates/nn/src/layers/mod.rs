//! What a network consists of, from the point of view of method.md: layers, the input pixels their
//! units see, and the convolutions and channel links between one layer and the next.
//!
//! ```text
//! Graph ─▶ trace (where channels go) ─┬─▶ cuts (which values are layers)
//!                                     ├─▶ receptive (which pixels a unit sees)
//!                                     └─▶ blocks (tensors, convolutions and links between layers)
//! ```
//!
//! Everything is a function of the graph alone and linear in its size; no tensor is computed.

mod blocks;
mod contract;
mod cuts;
mod effects;
mod layout;
mod receptive;
mod sign;

pub(crate) use sign::never_negative;
mod trace;

#[cfg(test)]
mod tests;

pub use blocks::{BlockConv, Blocks, find_blocks};
pub use cuts::cut_values;
pub use receptive::{MASK_SIDE, MaskCells, PixelRectangle, ReceptiveField, UnitSquare};

use crate::graph::ir::{Graph, ValueId};
use layout::Layout;
use std::collections::{HashMap, HashSet};
use summit_tables::{LayerId, LayerInfo};
use trace::Trace;

/// A layer and the value of the graph it is.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerValue {
    /// The activation tensor, `[N, C, H, W]`.
    pub value: ValueId,
    /// What the tables know of it. `info.id` is its position in the list it came from.
    pub info: LayerInfo,
}

/// Why a list of layer names cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayerError {
    /// No tensor has this name.
    #[error("the network has no tensor of this name: {name:?}")]
    UnknownName {
        /// The name asked for.
        name: String,
    },
    /// The same tensor twice.
    #[error("the layer is listed twice: {name:?}")]
    Repeated {
        /// The name asked for.
        name: String,
    },
    /// The input, the logits or a weight.
    #[error("only activations between the input and the logits can be layers: {name:?}")]
    NotAnActivation {
        /// The name asked for.
        name: String,
    },
    /// Not `[N, C, H, W]`.
    #[error(
        "a layer has the axes image, channel, row, column, unlike this tensor of shape {shape:?}: {name:?}"
    )]
    NotAnImage {
        /// The name asked for.
        name: String,
        /// Its extents.
        shape: Vec<usize>,
    },
    /// An empty list.
    #[error("the list of layers is empty")]
    Empty,
}

/// Discovers the layers of a network by the cut rule of method.md section 1, input side first.
///
/// Empty for a network without a cut of the form `[N, C, H, W]`.
#[must_use]
pub fn find_layers(graph: &Graph) -> Vec<LayerValue> {
    let trace = trace::trace(graph);
    let values = cuts::choose(graph, &trace);
    describe(graph, &trace, &values)
}

/// The layers with these names, in the order of the network whatever the order of the list.
///
/// # Errors
/// A name that is unknown, repeated, or not an activation `[N, C, H, W]` between input and logits.
pub fn layers_from_names(graph: &Graph, names: &[String]) -> Result<Vec<LayerValue>, LayerError> {
    if names.is_empty() {
        return Err(LayerError::Empty);
    }
    let trace = trace::trace(graph);
    let by_name: HashMap<&str, usize> = graph
        .values
        .iter()
        .enumerate()
        .map(|(index, value)| (value.name.as_str(), index))
        .collect();
    let mut chosen = HashSet::new();
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let index = by_name.get(name.as_str());
        let value = index.and_then(|&index| Some((index, graph.values.get(index)?)));
        let Some((index, value)) = value else {
            return Err(LayerError::UnknownName { name: name.clone() });
        };
        let id = ValueId(u32::try_from(index).unwrap_or(u32::MAX));
        let Some(producer) = value.producer.filter(|_| id != graph.output) else {
            return Err(LayerError::NotAnActivation { name: name.clone() });
        };
        let layout = trace.layouts.get(index).and_then(Option::as_ref);
        if !layout.is_some_and(Layout::is_channel_first) {
            return Err(LayerError::NotAnImage {
                name: name.clone(),
                shape: value.shape.clone(),
            });
        }
        if !chosen.insert(id) {
            return Err(LayerError::Repeated { name: name.clone() });
        }
        found.push((producer, id));
    }
    found.sort_unstable();
    let values: Vec<ValueId> = found.into_iter().map(|(_, id)| id).collect();
    Ok(describe(graph, &trace, &values))
}

fn describe(graph: &Graph, trace: &Trace, values: &[ValueId]) -> Vec<LayerValue> {
    let cuts: HashSet<ValueId> = cut_values(graph).into_iter().collect();
    let never_negative = never_negative(graph);
    let fields = receptive::receptive_fields(graph, trace);
    let extent = |extent: usize| u32::try_from(extent).unwrap_or(u32::MAX);
    values
        .iter()
        .filter_map(|&id| {
            let value = graph.values.get(id.index())?;
            let &[_, channels, height, width] = value.shape.as_slice() else {
                return None;
            };
            let field = fields.get(id.index()).copied().flatten()?;
            Some((id, value, [channels, height, width].map(extent), field))
        })
        .enumerate()
        .map(
            |(place, (id, value, [channels, height, width], field))| LayerValue {
                value: id,
                info: LayerInfo {
                    id: LayerId::from_index(place),
                    name: value.name.clone(),
                    channels,
                    height,
                    width,
                    signed: !never_negative.get(id.index()).copied().unwrap_or(false),
                    receptive_stride: field.stride,
                    receptive_size: field.size,
                    receptive_start: field.start,
                    is_cut: cuts.contains(&id),
                },
            },
        )
        .collect()
}
