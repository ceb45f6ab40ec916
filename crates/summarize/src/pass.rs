//! What a pass looks at: the compiled network, its layers and the convolutions between them.

use std::collections::HashMap;
use summit_nn::backend::Backend;
use summit_nn::exec::{CompileError, CompileOptions, Network};
use summit_nn::graph::{Graph, ValueId};
use summit_nn::layers::{Blocks, LayerValue, MaskCells, ReceptiveField};
use summit_nn::spatial::{ConvMax, Flattened};
use summit_tables::{ChannelId, LayerId, ModelInfo, TopRule};

/// Choices of a pass.
#[derive(Clone, Debug)]
pub struct PassOptions {
    /// Which channels of an image are its top channels.
    pub rule: TopRule,
    /// Count conv-max influence.
    pub influence: bool,
    /// Inputs counted per output and image (method.md: 5).
    pub inputs_per_output: usize,
    /// Channels set to 0 before shares are taken.
    pub excluded: Vec<(LayerId, ChannelId)>,
    /// Plain Rust kernels, whatever the processor offers.
    pub portable: bool,
}

impl Default for PassOptions {
    fn default() -> Self {
        Self {
            rule: TopRule::default(),
            influence: true,
            inputs_per_output: 5,
            excluded: Vec::new(),
            portable: false,
        }
    }
}

/// Why a pass cannot start.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The network cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// There is nothing to aggregate.
    #[error("the network has no layer: no activation map lies on every path from input to output")]
    NoLayers,
    /// An excluded channel does not exist.
    #[error("layer {layer} has {channels} channels; channel {channel} cannot be excluded")]
    Excluded {
        /// Position of the layer.
        layer: u32,
        /// Its channels.
        channels: u32,
        /// The channel asked for.
        channel: u32,
    },
    /// The kernel of a convolution cannot be read.
    #[error("the weights of convolution \"{0}\" are not constant")]
    Weights(String),
}

/// A convolution whose inputs are ranked.
#[derive(Debug)]
pub(crate) struct ConvTap {
    pub(crate) index: usize,
    pub(crate) kernel: ConvMax,
}

/// A network prepared for the pass; shared by all workers.
#[derive(Debug)]
pub struct Pass {
    pub(crate) backend: Box<dyn Backend>,
    observed: Vec<ValueId>,
    pub(crate) options: PassOptions,
    pub(crate) info: ModelInfo,
    /// Layers by value.
    pub(crate) layers: HashMap<ValueId, usize>,
    /// Convolutions by the value they read.
    pub(crate) convs: HashMap<ValueId, Vec<ConvTap>>,
    /// Per layer, `[channels]`.
    pub(crate) excluded: Vec<Vec<bool>>,
    /// Per layer.
    pub(crate) masks: Vec<MaskCells>,
}

impl Pass {
    /// Prepares a pass over `graph` (batch 1) with the given layers and the blocks between them.
    ///
    /// # Errors
    /// When there is no layer, an excluded channel does not exist, or the network cannot be
    /// compiled.
    pub fn new(
        graph: &Graph,
        layers: &[LayerValue],
        blocks: &Blocks,
        options: PassOptions,
    ) -> Result<Self, PassError> {
        if layers.is_empty() {
            return Err(PassError::NoLayers);
        }
        let mut excluded: Vec<Vec<bool>> = layers
            .iter()
            .map(|layer| vec![false; layer.info.channels as usize])
            .collect();
        for &(layer, channel) in &options.excluded {
            let channels = excluded.get_mut(layer.index());
            let count = channels.as_ref().map_or(0, |channels| channels.len());
            match channels.and_then(|channels| channels.get_mut(channel.index())) {
                Some(entry) => *entry = true,
                None => {
                    return Err(PassError::Excluded {
                        layer: layer.0,
                        channels: count as u32,
                        channel: channel.0,
                    });
                }
            }
        }
        let mut convs: HashMap<ValueId, Vec<ConvTap>> = HashMap::new();
        if options.influence {
            for (index, conv) in blocks.convs.iter().enumerate() {
                let flattened = Flattened {
                    positions: conv.spatial as usize,
                    channels_last: conv.spatial > 1 && conv.channel_stride == 1,
                };
                let kernel =
                    ConvMax::new(graph, conv.node, conv.output_scale.as_deref(), flattened)
                        .ok_or_else(|| PassError::Weights(conv.info.name.clone()))?;
                convs
                    .entry(conv.reads)
                    .or_default()
                    .push(ConvTap { index, kernel });
            }
        }
        let mut observed: Vec<ValueId> = layers
            .iter()
            .map(|layer| layer.value)
            .chain(convs.keys().copied())
            .collect();
        observed.sort_unstable();
        observed.dedup();
        let input = match *graph.values[graph.input.index()].shape.as_slice() {
            [_, _, height, width] => [height as u32, width as u32],
            _ => [1, 1],
        };
        let masks = layers.iter().map(|layer| {
            let field = ReceptiveField::of_layer(&layer.info);
            MaskCells::new(&field, [layer.info.height, layer.info.width], input)
        });
        let compile = CompileOptions {
            observed: observed.clone(),
            portable: options.portable,
        };
        Ok(Self {
            backend: Box::new(Network::compile(graph, &compile)?),
            observed,
            info: blocks.info.clone(),
            layers: layers
                .iter()
                .enumerate()
                .map(|(i, layer)| (layer.value, i))
                .collect(),
            convs,
            excluded,
            masks: masks.collect(),
            options,
        })
    }

    /// What the tables know of the network.
    #[must_use]
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// What it was prepared with.
    #[must_use]
    pub fn options(&self) -> &PassOptions {
        &self.options
    }

    /// The values a backend must hand to its observer.
    #[must_use]
    pub fn observed(&self) -> &[ValueId] {
        &self.observed
    }

    /// Runs the network through `backend`, which observes [`Pass::observed`], instead of the built-in
    /// executor.
    pub fn run_on(&mut self, backend: Box<dyn Backend>) {
        self.backend = backend;
    }
}
