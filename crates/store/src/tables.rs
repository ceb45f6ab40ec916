//! Which tables a run has, where they lie, and what values they may hold.
//!
//! The same checks run when a row is written and when it is read, so that nothing that was not
//! valid can be stored, and nothing invalid reaches a consumer that indexes by it.

use crate::names::encode_name;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use summit_tables::{ConvId, ImageId, LayerId, ModelInfo};

/// Consecutive images, `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ImageRange {
    /// The first.
    pub start: ImageId,
    /// One past the last.
    pub end: ImageId,
}

impl ImageRange {
    /// `start..end`.
    #[must_use]
    pub fn new(start: u32, end: u32) -> Self {
        Self {
            start: ImageId(start),
            end: ImageId(end),
        }
    }

    /// Number of images; 0 where `end <= start`.
    #[must_use]
    pub fn len(self) -> u32 {
        self.end.0.saturating_sub(self.start.0)
    }

    /// No image at all.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The ids as numbers.
    #[must_use]
    pub fn ids(self) -> Range<u32> {
        self.start.0..self.end.0
    }
}

impl fmt::Display for ImageRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}..{}", self.start.0, self.end.0)
    }
}

/// One table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TableId {
    Images,
    Skipped,
    Thumbnails,
    TopChannels(LayerId),
    Examples(LayerId),
    RangeExamples(LayerId),
    Activations(LayerId),
    Histograms(LayerId),
    Influence(ConvId),
}

impl TableId {
    /// Every table of a run, images first.
    pub(crate) fn all(info: &ModelInfo) -> Vec<Self> {
        let per_layer = |make: fn(LayerId) -> Self| info.layers.iter().map(move |l| make(l.id));
        [Self::Images, Self::Skipped, Self::Thumbnails]
            .into_iter()
            .chain(per_layer(Self::TopChannels))
            .chain(per_layer(Self::Examples))
            .chain(per_layer(Self::RangeExamples))
            .chain(per_layer(Self::Activations))
            .chain(per_layer(Self::Histograms))
            .chain(info.convs.iter().map(|conv| Self::Influence(conv.id)))
            .collect()
    }

    /// The first schema version of runs that have it.
    pub(crate) fn since(self) -> u32 {
        match self {
            Self::Thumbnails | Self::RangeExamples(_) => 2,
            _ => 1,
        }
    }

    /// Name of its file in a shard.
    pub(crate) fn shard_file(self) -> String {
        match self {
            Self::Images => "images.parquet".to_owned(),
            Self::Skipped => "skipped.parquet".to_owned(),
            Self::Thumbnails => "thumbnails.parquet".to_owned(),
            Self::TopChannels(layer) => format!("top_channels-{}.parquet", layer.0),
            Self::Examples(layer) => format!("examples-{}.parquet", layer.0),
            Self::RangeExamples(layer) => format!("range_examples-{}.parquet", layer.0),
            Self::Activations(layer) => format!("activations-{}.parquet", layer.0),
            Self::Histograms(layer) => format!("histograms-{}.parquet", layer.0),
            Self::Influence(conv) => format!("influence-{}.parquet", conv.0),
        }
    }

    /// Path of its file in a run, `/` separated; `None` where the model has no such layer.
    pub(crate) fn run_file(self, info: &ModelInfo) -> Option<String> {
        let of_layer = |folder: &str, layer: LayerId| {
            let layer = info.layers.get(layer.index())?;
            Some(format!(
                "{folder}/layer={}/part-0.parquet",
                encode_name(&layer.name)
            ))
        };
        match self {
            Self::Images => Some("images.parquet".to_owned()),
            Self::Skipped => Some("skipped.parquet".to_owned()),
            Self::Thumbnails => Some("thumbnails.parquet".to_owned()),
            Self::TopChannels(layer) => of_layer("top_channels", layer),
            Self::Examples(layer) => of_layer("examples", layer),
            Self::RangeExamples(layer) => of_layer("range_examples", layer),
            Self::Activations(layer) => of_layer("activations", layer),
            Self::Histograms(layer) => of_layer("histograms", layer),
            Self::Influence(conv) => {
                let conv = info.convs.get(conv.index())?;
                Some(format!(
                    "influence/conv={}/part-0.parquet",
                    encode_name(&conv.name)
                ))
            }
        }
    }
}

/// Top-level entries of a finished run besides manifest and lock.
pub(crate) const FINAL_ENTRIES: [&str; 10] = [
    "images.parquet",
    "skipped.parquet",
    "skipped.json",
    "thumbnails.parquet",
    "top_channels",
    "examples",
    "range_examples",
    "activations",
    "histograms",
    "influence",
];

/// What the values of one table may be.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// Image ids.
    pub(crate) images: Range<u32>,
    /// Number of classes.
    pub(crate) classes: u32,
    /// Channels of the layer.
    pub(crate) channels: u32,
    /// Rows and columns of the layer.
    pub(crate) extent: [u32; 2],
    /// Output and input channels of the convolution.
    pub(crate) conv: [u32; 2],
}

impl Bounds {
    /// The bounds of a table of a model, for images of a range.
    pub(crate) fn of(table: TableId, info: &ModelInfo, images: ImageRange) -> Self {
        let layer = match table {
            TableId::TopChannels(layer)
            | TableId::Examples(layer)
            | TableId::RangeExamples(layer)
            | TableId::Activations(layer)
            | TableId::Histograms(layer) => info.layers.get(layer.index()),
            _ => None,
        };
        let conv = match table {
            TableId::Influence(conv) => info.convs.get(conv.index()),
            _ => None,
        };
        Self {
            images: images.ids(),
            classes: info.classes,
            channels: layer.map_or(0, |layer| layer.channels),
            extent: layer.map_or([0, 0], |layer| [layer.height, layer.width]),
            conv: conv.map_or([0, 0], |conv| [conv.outputs, conv.inputs]),
        }
    }
}
