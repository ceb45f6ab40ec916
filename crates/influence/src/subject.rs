//! What is studied: a network, its layers, and where its inputs come from.

use crate::{Explained, InfluenceError};
use summit_nn::graph::{Graph, ValueId};
use summit_tables::ImageId;

/// Gives the network's input for an image of the run.
pub trait Images: Sync {
    /// Row-major `[1, C, H, W]`, preprocessed.
    ///
    /// # Errors
    /// One sentence, when it cannot be read.
    fn input(&self, image: ImageId) -> Result<Vec<f32>, String>;
}

/// An image of a group and what is explained of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The image.
    pub image: ImageId,
    /// Its score.
    pub explained: Explained,
}

/// A network with its layers and images.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Batch 1.
    pub graph: &'a Graph,
    /// Input side first.
    pub layers: &'a [ValueId],
    /// Its inputs.
    pub images: &'a dyn Images,
    /// Worker threads, at least 1.
    pub threads: usize,
}

impl Subject<'_> {
    /// Channels of each layer.
    #[must_use]
    pub fn channels(&self) -> Vec<usize> {
        let shape = |value: &ValueId| self.graph.values.get(value.index())?.shape.get(1).copied();
        self.layers
            .iter()
            .map(|value| shape(value).unwrap_or(0))
            .collect()
    }

    /// One state per worker thread.
    pub(crate) fn workers<S>(&self, state: impl FnMut() -> S) -> Vec<S> {
        std::iter::repeat_with(state)
            .take(self.threads.max(1))
            .collect()
    }

    pub(crate) fn input(&self, image: ImageId) -> Result<Vec<f32>, InfluenceError> {
        self.images
            .input(image)
            .map_err(|reason| InfluenceError::Image { reason, image })
    }
}
