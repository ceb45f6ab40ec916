//! Questions over a finished run, none of which needs the network: groups of images, their tables,
//! graphs, comparison, similarity, maps.
//!
//! Place in the flow: reads tables through `store`, computes with the pure functions of `explain`,
//! answers `cli` and `site`. Everything asked about a group goes through [`Questions`], so both show
//! the same numbers.
//!
//! Counts are kept by cell of the confusion matrix and as per-image lists. A of any group comes from
//! the one or the other; conv-max counts of a group that splits a cell come from the whole cells and
//! from a [`Recount`] of the fewer images on one side of the split (docs/method.md).

mod error;
mod graphs;
mod maps;
mod questions;
mod signed;
mod tables;

pub use error::QueryError;
pub use graphs::{GraphChoices, NoRecount, Recount};
pub use maps::{MapOf, Mapped, Maps};
pub use questions::Questions;
pub use signed::{flow_key, graph_of_flow, measured_edges};
pub use summit_tables::in_parallel;
pub use tables::{GroupChannel, GroupExample, LayerNeighbours, LayerOutliers};
