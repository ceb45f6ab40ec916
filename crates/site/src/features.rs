//! Feature visualisations in the bundle: handed on as the run keeps them.
//!
//! Place in the flow: [`crate::bundle`] asks for a layer's pictures, `store` vouches for each. They are
//! opened anew for every file, since pictures may be added while a server runs.

use crate::SiteError;
use crate::bundle::{Bundle, PICTURES, rounded};
use crate::file::BundleFile;
use crate::pictures::Sheet;
use crate::schema::{BUNDLE_SCHEMA_VERSION, FeatureFile};
use summit_images::{
    DecodeLimits, DecodedImage, InputRect, InputShape, Preset, Resize, crop_and_resize, decode,
};
use summit_store::{FeaturePicture, Features, Run};
use summit_tables::{ChannelId, LayerId};

/// Draws the feature visualisations a bundle is asked for, one after the other, and adds them to the run.
pub trait Painter: std::fmt::Debug + Send + Sync {
    /// Takes an order and returns at once; what waits already is not taken twice.
    ///
    /// # Errors
    /// As many wait as may, or none can be drawn.
    fn request(&self, layer: LayerId, channel: ChannelId) -> Result<(), SiteError>;
}

impl Bundle {
    /// Some layer has pictures. Damaged ones count: asking for them says what is wrong.
    pub(crate) fn has_features(&self) -> bool {
        let layers = self.questions.layers();
        layers
            .iter()
            .any(|layer| !matches!(Features::open(self.questions.run(), layer), Ok(None)))
    }

    pub(crate) fn feature_files(&self) -> Vec<BundleFile> {
        let mut files = Vec::new();
        for layer in self.questions.layers() {
            let Ok(features) = self.layer_features(layer.id) else {
                continue;
            };
            files.push(BundleFile::Features(layer.id));
            files.push(BundleFile::FeatureOverview(layer.id));
            let channels = features.records().map(|(channel, _)| channel);
            for channel in channels {
                files.push(BundleFile::Feature(layer.id, channel));
                if features.has(channel, FeaturePicture::Detail) {
                    files.push(BundleFile::FeatureDetail(layer.id, channel));
                }
            }
        }
        files
    }

    fn layer_features(&self, layer: LayerId) -> Result<Features, SiteError> {
        let features = Features::open(self.questions.run(), self.layer(layer)?)?;
        features.ok_or_else(|| SiteError::Absent {
            what: format!("feature visualisations of layer {}", layer.0),
        })
    }

    pub(crate) fn feature_file(&self, layer: LayerId) -> Result<FeatureFile, SiteError> {
        let mut file = FeatureFile {
            schema_version: BUNDLE_SCHEMA_VERSION,
            ..FeatureFile::default()
        };
        let features = Features::open(self.questions.run(), self.layer(layer)?)?;
        let Some(features) = features else {
            return Ok(file);
        };
        for (channel, record) in features.records() {
            file.channel.push(channel.0);
            file.relative
                .push(record.relative_activation().map(rounded));
            file.naturalness.push(record.naturalness.map(rounded));
            file.unnatural.push(record.is_unnatural());
            file.detail
                .push(features.has(channel, FeaturePicture::Detail));
        }
        Ok(file)
    }

    pub(crate) fn feature(
        &self,
        layer: LayerId,
        channel: ChannelId,
        picture: FeaturePicture,
    ) -> Result<Vec<u8>, SiteError> {
        let picture = self.layer_features(layer)?.picture(channel, picture)?;
        picture.ok_or_else(|| SiteError::Absent {
            what: format!(
                "feature visualisation of channel {} in layer {}",
                channel.0, layer.0
            ),
        })
    }

    pub(crate) fn draw_feature(&self, layer: LayerId, channel: ChannelId) -> Result<(), SiteError> {
        let info = self.layer(layer)?;
        if channel.0 >= info.channels {
            return Err(SiteError::Absent {
                what: format!("channel {} in layer {}", channel.0, layer.0),
            });
        }
        let painter = self.painter.as_ref().ok_or(SiteError::DrawsNothing)?;
        let features = Features::open(self.questions.run(), info)?;
        if features.is_some_and(|features| features.has(channel, FeaturePicture::Feature)) {
            return Ok(());
        }
        painter.request(layer, channel)
    }

    pub(crate) fn feature_overview(&self, layer: LayerId) -> Result<Vec<u8>, SiteError> {
        self.layer_features(layer)?;
        let channels: Vec<_> = (0..self.layer(layer)?.channels)
            .map(|channel| (layer, ChannelId(channel)))
            .collect();
        let (columns, side) = (PICTURES.overview_columns, PICTURES.overview_tile);
        feature_sheet(self.questions.run(), &channels, columns, side)
    }
}

/// Feature visualisations of a run side by side, `columns` in a row of tiles of `side` pixels (JPEG);
/// channels without one leave grey tiles.
///
/// # Errors
/// A picture is damaged, or the sheet too large.
pub fn feature_sheet(
    run: &Run,
    channels: &[(LayerId, ChannelId)],
    columns: u32,
    side: u32,
) -> Result<Vec<u8>, SiteError> {
    let mut sheet = Sheet::new(channels.len(), columns, side);
    for info in &run.model_info().layers {
        let mut own = (0..)
            .zip(channels)
            .filter(|(_, (layer, _))| *layer == info.id)
            .peekable();
        if own.peek().is_none() {
            continue;
        }
        let Some(features) = Features::open(run, info)? else {
            continue;
        };
        for (place, &(_, channel)) in own {
            if let Some(jpeg) = features.picture(channel, FeaturePicture::Feature)? {
                sheet.draw(place, &tile(&jpeg, side)?);
            }
        }
    }
    sheet.encode()
}

/// A stored picture at the size of an atlas's tiles.
fn tile(jpeg: &[u8], side: u32) -> Result<DecodedImage, SiteError> {
    let picture = |error: &dyn std::fmt::Display| SiteError::Picture {
        reason: error.to_string(),
    };
    let image = decode(jpeg, &DecodeLimits::default()).map_err(|error| picture(&error))?;
    let (height, width) = (image.height(), image.width());
    let mut whole = Preset::ImagenetTorch.preprocessing(InputShape {
        channels: 3,
        height,
        width,
    });
    whole.resize = Resize::None;
    let rect = InputRect {
        top: 0.0,
        left: 0.0,
        height: f64::from(height),
        width: f64::from(width),
    };
    crop_and_resize(&image, &whole, rect, side).map_err(|error| picture(&error))
}
