//! Why an influence cannot be computed.

use summit_nn::exec::{CompileError, RunError};
use summit_nn::flow::FlowError;
use summit_nn::grad::GradError;
use summit_tables::ImageId;

/// Why an influence cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum InfluenceError {
    /// The network cannot be differentiated.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// A part of the network cannot be cut out.
    #[error(transparent)]
    Part(#[from] GradError),
    /// The network cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The network cannot be run.
    #[error("{reason}, on image {}", image.0)]
    Run {
        /// What failed.
        reason: RunError,
        /// The image.
        image: ImageId,
    },
    /// An image of the run cannot be read again.
    #[error("image {} cannot be read: {reason}", image.0)]
    Image {
        /// One sentence.
        reason: String,
        /// The image.
        image: ImageId,
    },
    /// A group without images.
    #[error("there are no images in group \"{0}\"")]
    NoImages(String),
    /// A channel that does not exist.
    #[error("layer {layer} has {channels} channels, there is no channel {channel}")]
    NoChannel {
        /// Position of the layer.
        layer: u32,
        /// Its channels.
        channels: usize,
        /// The channel asked for.
        channel: u32,
    },
}
