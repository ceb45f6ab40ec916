//! Runs of the network with channels of its layers replaced (method.md section 3.3).

use crate::{InfluenceError, Subject, in_parallel};
use std::collections::HashMap;
use std::sync::Arc;
use summit_nn::exec::{
    CompileOptions, Hooks, ImageViewMut, Network, RunError, Session, TensorView,
};
use summit_nn::graph::ValueId;
use summit_tables::ImageId;

/// Activations of all layers: per layer `[H, W, C]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Maps(pub Vec<Vec<f32>>);

impl Maps {
    /// Per layer `[C, H, W]`.
    pub(crate) fn planes(&self, channels: &[usize]) -> Vec<Vec<f32>> {
        let of = |(map, &channels): (&Vec<f32>, &usize)| {
            let plane = map.len() / channels.max(1);
            let mut out = Vec::with_capacity(map.len());
            for channel in 0..channels {
                out.extend((0..plane).map(|position| map[position * channels + channel]));
            }
            out
        };
        self.0.iter().zip(channels).map(of).collect()
    }
}

/// The network, its layers open to changes; shared by workers.
#[derive(Debug)]
pub struct Ablation {
    network: Arc<Network>,
    layers: HashMap<ValueId, usize>,
    pub(crate) channels: Vec<usize>,
}

impl Ablation {
    /// Prepares a subject's network.
    ///
    /// # Errors
    /// When it cannot be compiled.
    pub fn new(subject: &Subject<'_>) -> Result<Self, InfluenceError> {
        let options = CompileOptions {
            observed: subject.layers.to_vec(),
            ..CompileOptions::default()
        };
        Ok(Self {
            network: Network::compile(subject.graph, &options)?,
            layers: (subject.layers.iter().copied()).zip(0..).collect(),
            channels: subject.channels(),
        })
    }

    /// A worker's memory.
    #[must_use]
    pub fn session(&self) -> Session {
        self.network.session()
    }

    /// Logits after `edit` has changed what it wants of each layer: it is given the layer, all
    /// positions one after the other, and the channels of the position.
    ///
    /// # Errors
    /// When the network cannot be run.
    pub fn run(
        &self,
        session: &mut Session,
        input: &[f32],
        edit: &mut dyn FnMut(usize, usize, &mut [f32]),
    ) -> Result<Vec<f32>, RunError> {
        let mut hooks = Edit {
            layers: &self.layers,
            edit,
        };
        session.run_with(input, &mut hooks)
    }

    /// Logits with the channels of `cut` (per layer `[channels]`) replaced: by `maps`, or by zero.
    ///
    /// # Errors
    /// When the network cannot be run.
    pub fn replaced(
        &self,
        session: &mut Session,
        input: &[f32],
        cut: &[Vec<bool>],
        maps: Option<&Maps>,
    ) -> Result<Vec<f32>, RunError> {
        self.run(session, input, &mut |layer, position, pixel| {
            let Some(cut) = cut.get(layer) else { return };
            let map = maps.and_then(|maps| maps.0.get(layer)?.get(position * pixel.len()..));
            for (channel, value) in pixel.iter_mut().enumerate() {
                if cut.get(channel) == Some(&true) {
                    *value = map.and_then(|map| map.get(channel)).copied().unwrap_or(0.0);
                }
            }
        })
    }

    /// Activations of all layers on one image.
    ///
    /// # Errors
    /// When the network cannot be run.
    pub fn maps(&self, session: &mut Session, input: &[f32]) -> Result<Maps, RunError> {
        let mut maps = vec![Vec::new(); self.channels.len()];
        self.run(session, input, &mut |layer, _, pixel| {
            maps[layer].extend_from_slice(pixel);
        })?;
        Ok(Maps(maps))
    }

    /// Mean activations of all layers over images, summed in their order.
    ///
    /// # Errors
    /// When an image cannot be read or run.
    pub fn mean_maps(
        &self,
        subject: &Subject<'_>,
        images: &[ImageId],
    ) -> Result<Maps, InfluenceError> {
        let mut sessions = subject.workers(|| self.session());
        let mut sums: Vec<Vec<f64>> = vec![Vec::new(); self.channels.len()];
        for chunk in images.chunks(4 * sessions.len()) {
            let found = in_parallel(chunk, &mut sessions, |session, &image| {
                let input = subject.input(image)?;
                let failed = |reason| InfluenceError::Run { reason, image };
                self.maps(session, &input).map_err(failed)
            })?;
            for maps in found {
                for (sum, map) in sums.iter_mut().zip(maps.0) {
                    sum.resize(map.len(), 0.0);
                    for (sum, value) in sum.iter_mut().zip(map) {
                        *sum += f64::from(value);
                    }
                }
            }
        }
        let count = images.len().max(1) as f64;
        let mean = |sum: Vec<f64>| sum.into_iter().map(|sum| (sum / count) as f32).collect();
        Ok(Maps(sums.into_iter().map(mean).collect()))
    }
}

/// Hands every position of every layer to a closure.
struct Edit<'a> {
    layers: &'a HashMap<ValueId, usize>,
    edit: &'a mut dyn FnMut(usize, usize, &mut [f32]),
}

impl Hooks for Edit<'_> {
    fn observe(&mut self, _: ValueId, _: TensorView<'_>) {}

    fn edit(&mut self, value: ValueId, mut view: ImageViewMut<'_>) {
        let Some(&layer) = self.layers.get(&value) else {
            return;
        };
        let [_, _, height, width] = view.shape();
        for row in 0..height {
            for column in 0..width {
                (self.edit)(layer, row * width + column, view.pixel(0, row, column));
            }
        }
    }
}
