//! Pictures of channels, made for a run and compared with its images.
//!
//! `summit featvis` makes many, `summit serve` those that are asked for; both make the same bytes of the
//! same settings.

mod natural;
mod painter;

use crate::network::RunNetwork;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use natural::{Judge, Natural};
pub use painter::QueuePainter;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use summit_featvis::{
    EarlyStop, LayerNetwork, LayerSession, Magnitudes, Objective, RenderOptions, Rendering,
    Robustness, picture_side, render,
};
use summit_images::{DecodedImage, encode_jpeg};
use summit_query::Questions;
use summit_site::Crops;
use summit_store::{FeaturePicture, FeatureRecord, Features};
use summit_tables::{ChannelId, ClassId, LayerId, LayerInfo};

/// Quality of the pictures; they are small and full of detail.
const JPEG_QUALITY: u8 = 90;

/// Adam's step length, lucid's.
const LEARNING_RATE: f32 = 0.05;

/// The objective has flattened when it grows by less than 1 % over 64 steps.
const EARLY_STOP: EarlyStop = EarlyStop {
    window: 64,
    growth: 0.01,
};

/// Pictures of a channel that differ, in the strip of details.
const DIVERSE: u32 = 4;

/// What a picture is optimised as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Parameterisation {
    /// Its spectrum, as lucid does.
    #[default]
    Fourier,
    /// The phases of its spectrum, with the magnitudes of the run's images.
    Maco,
}

/// Everything pictures depend on beside the network and the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct FeatureSettings {
    /// Steps at most.
    pub steps: u32,
    /// Side at most, pixels.
    pub largest_side: u32,
    /// Of everything random.
    pub seed: u64,
    /// What is optimised.
    pub parameterisation: Parameterisation,
}

impl FeatureSettings {
    /// The default: lucid's.
    pub const STANDARD: Self = Self {
        steps: 512,
        largest_side: 128,
        seed: 0,
        parameterisation: Parameterisation::Fourier,
    };

    /// A quarter of the steps on about half of the pixels.
    pub const FAST: Self = Self {
        steps: 128,
        largest_side: 96,
        seed: 0,
        parameterisation: Parameterisation::Fourier,
    };

    /// Those a layer's pictures were made with; the default where there is none.
    pub fn of(features: Option<&Features>) -> Result<Self> {
        let settings = features.map(|features| serde_json::from_value(features.settings().clone()));
        let settings = settings
            .transpose()
            .context("the settings of its pictures")?;
        Ok(settings.unwrap_or(Self::STANDARD))
    }

    /// As the manifest keeps them.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "parameterisation": self.parameterisation,
            "objective": "channel",
            "steps": self.steps,
            "largest_side": self.largest_side,
            "learning_rate": LEARNING_RATE,
            "early_stop": EARLY_STOP,
            "seed": self.seed,
            "jpeg_quality": JPEG_QUALITY,
        })
    }
}

/// Makes pictures for a run.
#[derive(Clone, Copy)]
pub struct FeatureMaker<'a> {
    pub questions: &'a Questions,
    pub network: &'a RunNetwork,
    /// Without them, pictures are not compared with images.
    pub crops: Option<&'a Crops>,
    pub settings: FeatureSettings,
}

/// The pictures of a channel, with what the first reached.
pub type Made = (FeatureRecord, Vec<(FeaturePicture, Vec<u8>)>);

impl<'a> FeatureMaker<'a> {
    /// Prepares a layer.
    pub fn layer(self, layer: LayerId) -> Result<LayerMaker<'a>> {
        let found = self.network.layers.get(layer.index());
        let found = found.context("a layer is missing")?;
        let preprocessing = &self.network.preprocessing;
        let [height, width] = preprocessing.size;
        let largest = self.settings.largest_side.min(height).min(width);
        let side = picture_side(&found.info, largest);
        let graph = &self.network.model.graph;
        let network = LayerNetwork::new(graph, found.value, side, preprocessing)?;
        let network = Arc::new(network);
        let natural = Natural::new(&self, found, side, network.extents())?;
        let magnitudes = match self.settings.parameterisation {
            Parameterisation::Fourier => None,
            Parameterisation::Maco => Some(natural.magnitudes()?),
        };
        Ok(LayerMaker {
            natural,
            magnitudes,
            info: &found.info,
            settings: self.settings,
            network,
        })
    }
}

/// Makes pictures of one layer's channels; shared by workers.
pub struct LayerMaker<'a> {
    info: &'a LayerInfo,
    settings: FeatureSettings,
    network: Arc<LayerNetwork>,
    natural: Natural<'a>,
    magnitudes: Option<Magnitudes>,
}

impl LayerMaker<'_> {
    /// A worker's memory.
    pub fn worker(&self) -> FeatureWorker<'_> {
        FeatureWorker {
            maker: self,
            session: self.network.session(),
            judge: self.natural.judge(),
        }
    }
}

/// One thread's work on a layer.
pub struct FeatureWorker<'a> {
    maker: &'a LayerMaker<'a>,
    session: LayerSession,
    judge: Judge<'a>,
}

impl FeatureWorker<'_> {
    /// The picture of a channel, and with `detail` its strip.
    pub fn channel(&mut self, channel: ChannelId, detail: bool) -> Result<Made> {
        let made = self.picture(Objective::channel(channel), channel, 0)?;
        let best = self.maker.natural.best(channel);
        let [height, width] = made.extents;
        let record = FeatureRecord {
            steps: made.steps,
            side: height.max(width) as u32,
            objective: made.objective,
            activation: made.maxima.get(channel.index()).copied().unwrap_or(0.0),
            natural_activation: best.first().map(|example| example.value),
            naturalness: self.judge.naturalness(&made, best)?,
        };
        let mut pictures = vec![(FeaturePicture::Feature, jpeg(std::slice::from_ref(&made))?)];
        if detail {
            let strip = self.strip(channel, made)?;
            pictures.push((FeaturePicture::Detail, jpeg(&strip)?));
        }
        Ok((record, pictures))
    }

    /// Different pictures of a channel, then the opposite one.
    fn strip(&mut self, channel: ChannelId, first: Rendering) -> Result<Vec<Rendering>> {
        let mut styles = vec![self.session.style(&first.picture)?];
        let mut strip = vec![first];
        for number in 1..DIVERSE {
            let objective = Objective::channel(channel).apart_from(&styles);
            let made = self.picture(objective, channel, number)?;
            styles.push(self.session.style(&made.picture)?);
            strip.push(made);
        }
        strip.push(self.picture(Objective::negative(channel), channel, DIVERSE)?);
        Ok(strip)
    }

    /// `number` tells the pictures of a channel apart.
    fn picture(
        &mut self,
        objective: Objective,
        channel: ChannelId,
        number: u32,
    ) -> Result<Rendering> {
        let LayerMaker {
            info,
            settings,
            magnitudes,
            ..
        } = self.maker;
        let key = [number, info.id.0, channel.0];
        let magnitudes = magnitudes.as_ref();
        rendering(&mut self.session, &objective, settings, magnitudes, key)
    }
}

fn rendering(
    session: &mut LayerSession,
    objective: &Objective,
    settings: &FeatureSettings,
    magnitudes: Option<&Magnitudes>,
    key: [u32; 3],
) -> Result<Rendering> {
    let [height, width] = session.network().extents();
    let options = RenderOptions {
        steps: settings.steps,
        learning_rate: LEARNING_RATE,
        seed: settings.seed,
        robustness: Robustness::for_side(height.max(width)),
        early_stop: Some(EARLY_STOP),
        magnitudes,
    };
    Ok(render(session, objective, &options, &key.map(u64::from))?)
}

/// What a picture that stands alone is made for.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// Two channels of a layer at once.
    Joint(LayerId, [ChannelId; 2]),
    /// The logit of a class.
    Logit(ClassId),
}

/// A picture that belongs to no channel, as JPEG, and what it reached. Its side is that of the
/// network's input for a logit, of the layer's pictures otherwise.
pub fn alone(
    network: &RunNetwork,
    subject: Subject,
    settings: &FeatureSettings,
) -> Result<(Vec<u8>, Rendering)> {
    if settings.parameterisation != Parameterisation::Fourier {
        bail!("--joint and --logit are drawn with --parameterisation fourier");
    }
    let [height, width] = network.preprocessing.size;
    let graph = &network.model.graph;
    let (value, side, objective, key) = match subject {
        Subject::Joint(layer, [one, other]) => {
            let found = network.layers.get(layer.index());
            let found = found.context("a layer is missing")?;
            let side = picture_side(&found.info, settings.largest_side.min(height).min(width));
            let key = [layer.0, one.0, other.0];
            (found.value, side, Objective::joint(one, other), key)
        }
        Subject::Logit(class) => {
            let logit = ChannelId(class.0);
            let key = [network.layers.len() as u32, class.0, 0];
            (
                graph.output,
                height.max(width),
                Objective::channel(logit),
                key,
            )
        }
    };
    let layer = LayerNetwork::new(graph, value, side, &network.preprocessing)?;
    let made = rendering(
        &mut Arc::new(layer).session(),
        &objective,
        settings,
        None,
        key,
    )?;
    Ok((jpeg(std::slice::from_ref(&made))?, made))
}

/// Pictures of equal extents side by side.
fn jpeg(pictures: &[Rendering]) -> Result<Vec<u8>> {
    let [height, width] = pictures.first().map_or([0, 0], |first| first.extents);
    let mut pixels = Vec::with_capacity(3 * height * width * pictures.len());
    for row in 0..height {
        for made in pictures {
            for position in row * width..(row + 1) * width {
                for colour in 0..3 {
                    let value = made.picture.get(colour * height * width + position);
                    pixels.push((value.copied().unwrap_or(0.5) * 255.0).round() as u8);
                }
            }
        }
    }
    let width = width * pictures.len();
    let image = DecodedImage::from_rgb(width as u32, height as u32, pixels);
    let image = image.context("the picture has the wrong extents")?;
    Ok(encode_jpeg(&image, JPEG_QUALITY)?)
}
