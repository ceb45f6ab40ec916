//! The images a channel's picture is compared with.

use super::FeatureMaker;
use anyhow::{Context, Result};
use std::sync::Arc;
use summit_featvis::{
    Magnitudes, Probe, ProbeSession, Profile, Rendering, mean_profile, naturalness,
};
use summit_nn::layers::LayerValue;
use summit_site::Crops;
use summit_store::StoreError;
use summit_tables::{ChannelId, DatasetExample, LayerInfo};

/// Best images of a channel its picture is compared with.
const COMPARED: usize = 5;

/// Images of other channels that stand for ordinary ones.
const ORDINARY: usize = 32;

/// The layer's dataset examples, and what the layers below do for ordinary images.
pub struct Natural<'a> {
    layer: &'a LayerInfo,
    crops: Option<&'a Crops>,
    /// Sorted by (channel, rank).
    examples: Vec<DatasetExample>,
    probe: Arc<Probe>,
    extents: [usize; 2],
    ordinary: Profile,
    /// What `ordinary` is the mean of.
    some: Vec<DatasetExample>,
}

impl<'a> Natural<'a> {
    /// * `side`, `extents`: of the layer's pictures.
    pub fn new(
        maker: &FeatureMaker<'a>,
        layer: &'a LayerValue,
        side: u32,
        extents: [usize; 2],
    ) -> Result<Self> {
        let network = maker.network;
        let below = network.values();
        let below = below.get(..layer.info.id.index()).unwrap_or(&below);
        let graph = &network.model.graph;
        let probe = Probe::new(graph, layer.value, below, side, &network.preprocessing)?;
        let run = maker.questions.run();
        let examples = run.examples(layer.info.id)?;
        let mut natural = Self {
            layer: &layer.info,
            crops: maker.crops,
            examples: examples.collect::<Result<_, StoreError>>()?,
            probe: Arc::new(probe),
            extents,
            ordinary: Profile::new(),
            some: Vec::new(),
        };
        let channels = layer.info.channels;
        let step = (channels as usize).div_ceil(ORDINARY).max(1);
        let some = (0..channels).step_by(step).map(ChannelId);
        let best: Vec<DatasetExample> = some
            .filter_map(|channel| natural.best(channel).first().copied())
            .collect();
        let profiles = natural.judge().profiles(&best);
        natural.ordinary = mean_profile(&profiles);
        natural.some = best;
        Ok(natural)
    }

    /// The channel's examples, best first.
    pub fn best(&self, channel: ChannelId) -> &[DatasetExample] {
        let start = self
            .examples
            .partition_point(|example| example.channel < channel);
        let end = self
            .examples
            .partition_point(|example| example.channel <= channel);
        self.examples.get(start..end).unwrap_or_default()
    }

    /// Inputs around the units of examples whose images can be read.
    fn windows(&self, examples: &[DatasetExample]) -> impl Iterator<Item = Vec<f32>> {
        self.crops.into_iter().flat_map(|crops| {
            let window = |example| crops.window(self.layer, example, self.extents).ok();
            examples.iter().filter_map(window)
        })
    }

    /// How strong every frequency is in what the layer's units see of ordinary images.
    pub fn magnitudes(&self) -> Result<Magnitudes> {
        let windows: Vec<_> = self.windows(&self.some).collect();
        Magnitudes::of(&windows, self.extents).context(
            "--parameterisation maco needs the images of the run, of which none can be read",
        )
    }

    pub fn judge(&self) -> Judge<'_> {
        Judge {
            natural: self,
            session: self.probe.session(),
        }
    }
}

/// One worker's comparison with natural images.
pub struct Judge<'a> {
    natural: &'a Natural<'a>,
    session: ProbeSession,
}

impl Judge<'_> {
    /// Of the examples whose images can be read.
    fn profiles(&mut self, examples: &[DatasetExample]) -> Vec<Profile> {
        let windows = self.natural.windows(examples);
        windows
            .filter_map(|window| self.session.profile(&window).ok())
            .collect()
    }

    pub fn naturalness(
        &mut self,
        made: &Rendering,
        best: &[DatasetExample],
    ) -> Result<Option<f32>> {
        let images = self.profiles(best.get(..COMPARED).unwrap_or(best));
        if images.is_empty() || self.natural.ordinary.is_empty() {
            return Ok(None);
        }
        let own = self.session.profile(&made.picture)?;
        Ok(naturalness(&own, &images, &self.natural.ordinary))
    }
}
