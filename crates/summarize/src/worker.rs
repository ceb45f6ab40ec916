//! One thread's part: run the network on an image and summarise what passes by.

use crate::pass::Pass;
use crate::predict::Prediction;
use std::sync::Arc;
use summit_nn::backend::Runner;
use summit_nn::exec::{RunError, TensorView};
use summit_nn::spatial::{ChannelMaxima, ConvMaxScratch};
use summit_tables::{ChannelId, ClassId, top_channels_of};

/// One layer of one image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerSummary {
    /// Per channel: unclamped maximum, row and column of its first position.
    pub maxima: Vec<(f32, u16, u16)>,
    /// Per channel: `summit_tables::DatasetExample::mask`.
    pub masks: Vec<u64>,
    /// Top channels with their share, descending.
    pub top: Vec<(ChannelId, f32)>,
}

/// All a pass keeps of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageSummary {
    /// `[classes]`
    pub logits: Vec<f32>,
    /// What they say.
    pub prediction: Prediction,
    /// One per layer.
    pub layers: Vec<LayerSummary>,
    /// Per convolution: `output * inputs + input` of every counted pair, outputs ascending.
    pub influence: Vec<Vec<u32>>,
}

/// A running network with scratch; one per thread.
#[derive(Debug)]
pub struct Worker {
    pass: Arc<Pass>,
    runner: Box<dyn Runner>,
    maxima: ChannelMaxima,
    scratch: ConvMaxScratch,
}

impl Worker {
    /// A worker of a pass.
    ///
    /// # Errors
    /// When the backend cannot give it memory and state of its own.
    pub fn new(pass: &Arc<Pass>) -> Result<Self, RunError> {
        Ok(Self {
            pass: Arc::clone(pass),
            runner: pass.backend.runner()?,
            maxima: ChannelMaxima::default(),
            scratch: ConvMaxScratch::default(),
        })
    }

    /// Runs the network on one preprocessed image, row-major `[1, C, H, W]`.
    ///
    /// # Errors
    /// When the extent is wrong or the logits are not finite.
    pub fn summarize(
        &mut self,
        input: &[f32],
        label: Option<ClassId>,
    ) -> Result<ImageSummary, RunError> {
        let Self {
            pass,
            runner,
            maxima,
            scratch,
        } = self;
        let mut layers = vec![LayerSummary::default(); pass.info.layers.len()];
        let mut influence = vec![Vec::new(); pass.info.convs.len()];
        let logits = runner.run(input, &mut |value, view| {
            if let Some(&index) = pass.layers.get(&value)
                && maxima.compute(&view, 0)
            {
                let values = maxima.values();
                let layer = &mut layers[index];
                layer.top = top_channels_of(values, pass.options.rule, &pass.excluded[index]);
                layer.maxima = values
                    .iter()
                    .enumerate()
                    .map(|(channel, &value)| {
                        let (row, column) = maxima.position(channel);
                        (value, row, column)
                    })
                    .collect();
                let cells = &pass.masks[index];
                if let TensorView::Image(map) = &view {
                    let maxima = layer.maxima.iter().enumerate();
                    let masks = maxima.map(|(channel, &(value, row, column))| {
                        let at = |row, column| map.pixel(0, row, column)[channel];
                        cells.mask(value, [row, column], at)
                    });
                    layer.masks = masks.collect();
                }
            }
            for conv in pass.convs.get(&value).into_iter().flatten() {
                let inputs = conv.kernel.inputs() as u32;
                let keys = &mut influence[conv.index];
                let count = pass.options.inputs_per_output;
                keys.reserve(conv.kernel.outputs() * count);
                conv.kernel
                    .top_inputs(&view, count, scratch, &mut |output, input| {
                        keys.push(output * inputs + input);
                    });
            }
        })?;
        let prediction = Prediction::new(&logits, label);
        Ok(ImageSummary {
            logits,
            prediction,
            layers,
            influence,
        })
    }
}
