//! What can be wrong with the tables handed to this crate. They may come from a file somebody
//! else wrote, so every size and index is checked before it is used.

use thiserror::Error;

/// Why a table cannot be used.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ExplainError {
    /// An entry of a sparse matrix lies outside of it.
    #[error("entry ({row}, {column}) lies outside a matrix of {rows} rows and {columns} columns")]
    EntryOutside {
        /// Row of the entry.
        row: u32,
        /// Column of the entry.
        column: u32,
        /// Rows of the matrix.
        rows: u32,
        /// Columns of the matrix.
        columns: u32,
    },
    /// A tensor has more channels than a network can plausibly have.
    #[error("{channels} channels are more than the supported {limit} ({subject})")]
    TooManyChannels {
        /// Channels claimed.
        channels: u64,
        /// The most accepted.
        limit: u64,
        /// Where.
        subject: String,
    },
    /// A table would need more memory or time than the limit.
    #[error("{what} would need {cells} cells, more than the supported {limit}")]
    TooLarge {
        /// The table.
        what: &'static str,
        /// Cells needed.
        cells: u64,
        /// The most accepted.
        limit: u64,
    },
    /// A block's edges do not form a forward graph.
    #[error(
        "edge from tensor {from} to tensor {to} does not go forward within {tensors} tensors (block above layer {layer})"
    )]
    EdgeNotForward {
        /// Source tensor.
        from: u32,
        /// Target tensor.
        to: u32,
        /// Tensors of the block.
        tensors: usize,
        /// The block's lower layer.
        layer: u32,
    },
    /// A block has no tensor at all.
    #[error("the block above layer {layer} has no tensors")]
    EmptyBlock {
        /// The block's lower layer.
        layer: u32,
    },
    /// A step does not fit the tensors it joins.
    #[error("{reason} (edge from tensor {from} to tensor {to}, block above layer {layer})")]
    StepMismatch {
        /// What does not fit.
        reason: &'static str,
        /// Source tensor.
        from: u32,
        /// Target tensor.
        to: u32,
        /// The block's lower layer.
        layer: u32,
    },
    /// A block names a convolution the model does not have.
    #[error("convolution {conv} is not among the model's convolutions")]
    UnknownConvolution {
        /// The convolution.
        conv: u32,
    },
    /// The counts of a convolution are missing or of another shape.
    #[error("counts of shape [{rows}, {columns}] do not fit convolution {conv}")]
    CountsMismatch {
        /// The convolution.
        conv: u32,
        /// Rows found (0 where there are no counts).
        rows: u32,
        /// Columns found.
        columns: u32,
    },
    /// Tables of consecutive layers disagree about shapes.
    #[error("{what} has {found} entries where {expected} are expected (layer {layer})")]
    ShapeMismatch {
        /// The table.
        what: &'static str,
        /// Size found.
        found: usize,
        /// Size expected.
        expected: usize,
        /// The layer.
        layer: usize,
    },
    /// A restart weight is negative or no finite number.
    #[error(
        "restart weight {weight} of channel {channel} is not a finite number above or equal to 0 (layer {layer})"
    )]
    InvalidRestart {
        /// The weight.
        weight: f64,
        /// The channel.
        channel: usize,
        /// The layer.
        layer: usize,
    },
    /// A parameter lies outside its range.
    #[error("{name} is {value}, which is outside {range}")]
    ParameterOutside {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The range accepted.
        range: &'static str,
    },
    /// A top-channel entry or a group lies outside the matrix of activation counts.
    #[error("{what} {value} is not below {limit}")]
    IdOutside {
        /// Kind of id.
        what: &'static str,
        /// Its value.
        value: u32,
        /// First value not accepted.
        limit: u32,
    },
    /// A graph refers to a node, layer or class it does not contain.
    #[error("{what} {index} does not exist in a graph with {count} of them")]
    DanglingReference {
        /// Kind of item.
        what: &'static str,
        /// Index referred to.
        index: u32,
        /// How many there are.
        count: usize,
    },
    /// A graph was written by another version of the format.
    #[error("attribution graph has schema version {found}, this program reads {supported}")]
    SchemaVersion {
        /// Version found.
        found: u32,
        /// Version supported.
        supported: u32,
    },
}
