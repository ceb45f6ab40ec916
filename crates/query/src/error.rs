//! What can go wrong with a question, one sentence each.

use std::path::PathBuf;
use summit_explain::embedding::EmbeddingError;
use summit_explain::{ExplainError, GroupError, Measure};
use summit_store::StoreError;
use thiserror::Error;

/// Errors of this crate.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The run cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its tables cannot be used.
    #[error(transparent)]
    Explain(#[from] ExplainError),
    /// The group is not understood, or empty.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// There is no map.
    #[error(transparent)]
    Embedding(#[from] EmbeddingError),
    /// A list of images cannot be read.
    #[error("the list of images cannot be read ({reason}): {}", path.display())]
    List {
        /// One clause.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// Lists are files of this machine, which may not be read here.
    #[error("a list of images is not accepted here; use where:CONDITION")]
    ListNotAllowed,
    /// The run holds no such layer.
    #[error("there is no layer \"{name}\"; the layers are {}", layers.join(", "))]
    NoSuchLayer {
        /// What was asked for.
        name: String,
        /// All names.
        layers: Vec<String>,
    },
    /// The run was made without neuron influence.
    #[error(
        "this run has no neuron influence (it was made with --no-influence), so it has no graphs: {}",
        .0.display()
    )]
    NoInfluence(PathBuf),
    /// The group splits confusion cells, and the images cannot be run again.
    #[error("the graph of this group needs {images} images run again: {reason}")]
    Recount {
        /// Images.
        images: usize,
        /// Why that is not possible.
        reason: String,
    },
    /// Signed influence was not measured for the group.
    #[error("{} of \"{group}\" was not measured; `summit flow` does that", .measure.name())]
    NotMeasured {
        /// Asked for.
        measure: Measure,
        /// Its name.
        group: String,
    },
    /// Edges were measured among fewer channels than are asked for.
    #[error(
        "edges were measured among the channels of the first {measured} of each layer's score, \
         not {wanted}; `summit flow --mass {wanted}` measures more"
    )]
    FewerEdges {
        /// Asked for.
        wanted: f64,
        /// There.
        measured: f64,
    },
    /// The network has no block into its logits.
    #[error("the network of this run has no block into its logits")]
    NoLogits,
}
