//! Pure functions of tables: attribution graph, PageRank, selection, rendering.
//!
//! Place in the flow: `store` opens a run's tables, this crate computes on them, `cli` and `site`
//! show the result. No file, no network, no terminal, so everything is tested with literals.
//! Terms and formulas are those of docs/method.md sections 1 to 4.
//!
//! ```text
//! top-channel lists ──▶ activation ──▶ pagerank ──▶ select ──▶ graph ──▶ render (text, DOT, SVG)
//! conv-max counts ────▶ bridge ───────────┴────────────┘      └─▶ compare, paths
//!
//! predictions ──▶ slice (groups, filter), predictions (confusion, calibration)
//! rows of A ────▶ similarity, contrast, embedding
//! ```

pub mod activation;
pub mod bridge;
pub mod classes;
pub mod compare;
pub mod contrast;
pub mod csr;
pub mod embedding;
pub mod error;
pub mod estimate;
pub mod filter;
pub mod graph;
pub mod groups;
pub mod pagerank;
pub mod paths;
pub mod predictions;
pub mod render;
pub mod select;
pub mod similarity;
pub mod slice;

pub use activation::{ActivationCounts, activation_counts};
pub use bridge::{BridgePlan, Bridged, CountSum, group_counts};
pub use classes::{UnknownClass, class_key, class_name, find_class};
pub use compare::{Comparison, compare};
pub use contrast::{channel_specificity, outliers, weight_restart};
pub use csr::Csr;
pub use error::ExplainError;
pub use estimate::Estimate;
pub use filter::{Filter, FilterError};
pub use graph::{
    AttributionGraph, ConvMaxGraph, FlowEdge, FlowGraphInput, GraphParameters, GroupTables,
    Measure, TargetClass, conv_max_graph, flow_graph,
};
pub use groups::{NO_LABEL, group_count, group_of_cell, group_of_image};
pub use pagerank::{PageRank, PageRankParameters, pagerank, restart_weights};
pub use select::{
    KeptEdge, LogitEdges, Selection, SelectionParameters, kept_edges, logit_edges, mass_cut, select,
};
pub use similarity::{cosine, neighbours};
pub use slice::{Cell, CellCover, Group, GroupError, GroupSpec, PartialCell, cell_of};
