//! Names of the bundle's files.
//!
//! Place in the flow: between an address and what makes the file. Every name is one of a fixed set of
//! shapes with numbers in them, so that nothing from outside reaches the file system.

use std::fmt;
use summit_explain::Measure;
use summit_tables::{ChannelId, ClassId, LayerId};

/// A file of the bundle. [`fmt::Display`] gives its path relative to the bundle's folder,
/// [`BundleFile::parse`] reads it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BundleFile {
    /// What the site shows: [`crate::schema::SiteManifest`].
    Manifest,
    /// A run that is being made: [`crate::schema::LiveFile`].
    Live,
    /// All classes: [`crate::schema::ClassTable`].
    Classes,
    /// The confusion matrix: [`crate::schema::ConfusionTable`].
    Confusion,
    /// Classes as points: [`crate::schema::EmbeddingFile`].
    Embedding(LayerId),
    /// Channels or images as points: [`crate::schema::EmbeddingFile`].
    Points(PointKind, LayerId),
    /// Channels of a layer: [`crate::schema::ChannelFile`].
    Channels(LayerId),
    /// Where channels of a layer are active in their examples: [`crate::schema::MaskFile`].
    Masks(LayerId),
    /// [`summit_explain::AttributionGraph`].
    Graph(GraphOf),
    /// Inputs a graph does not show: [`crate::schema::InputFile`].
    Inputs(GraphOf),
    /// Images behind the edges of a graph of signed influence: [`crate::schema::EdgeImageFile`].
    EdgeImages(GraphOf),
    /// Images behind the channels of a class: [`crate::schema::CarrierFile`].
    Carriers(ClassId),
    /// A class's similarity to all others: [`crate::schema::SimilarityFile`].
    Similarity(ClassId),
    /// A class's rows of A: [`crate::schema::ActivationFile`].
    Activations(ClassId),
    /// A class's images: [`crate::schema::ImageFile`].
    Images(ClassId),
    /// Names of channels: [`crate::schema::AnnotationFile`].
    Annotations,
    /// Contact sheet of a class's images in the order of [`crate::schema::ImageFile`].
    Sheet(ClassId),
    /// Contact sheet of [`Self::EdgeImages`].
    EdgeSheet(GraphOf),
    /// Atlas of one small picture per channel.
    Overview(LayerId),
    /// The natural picture of a channel: the crop that excites it most.
    Top(LayerId, ChannelId),
    /// A channel's dataset examples: a row of the best, a row over the range.
    Detail(LayerId, ChannelId),
    /// Strip of the images that carry most of a channel's score in a graph of signed influence.
    Carrying(GraphOf, LayerId, ChannelId),
    /// What a layer's feature visualisations reached: [`crate::schema::FeatureFile`].
    Features(LayerId),
    /// Atlas of a layer's feature visualisations, as [`Self::Overview`].
    FeatureOverview(LayerId),
    /// The feature visualisation of a channel.
    Feature(LayerId, ChannelId),
    /// Strip of a channel's further feature visualisations.
    FeatureDetail(LayerId, ChannelId),
}

/// Which graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GraphOf {
    /// Of the images of this class.
    pub class: ClassId,
    /// Of these; `None` for all.
    pub part: Option<Part>,
    /// What it is drawn by; `None` for the best the run holds.
    pub measure: Option<Measure>,
}

/// Written `3`, `3-wrong`, `3-7`, below the measure if there is one: `lrp/3`.
impl fmt::Display for GraphOf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(measure) = self.measure {
            write!(formatter, "{}/", measure.name())?;
        }
        write!(formatter, "{}", self.class.0)?;
        match self.part {
            None => Ok(()),
            Some(Part::Wrong) => write!(formatter, "-wrong"),
            Some(Part::Prediction(other)) => write!(formatter, "-{}", other.0),
        }
    }
}

impl GraphOf {
    /// The graph of a class by the best measure.
    #[must_use]
    pub fn class(class: ClassId) -> Self {
        Self {
            class,
            part: None,
            measure: None,
        }
    }

    /// Reads what [`fmt::Display`] writes.
    fn parse(parts: &[&str]) -> Option<Self> {
        let (measure, group) = match *parts {
            [group] => (None, group),
            [measure, group] => (Some(Measure::named(measure)?), group),
            _ => return None,
        };
        let (class, part) = match group.split_once('-') {
            None => (group, None),
            Some((class, "wrong")) => (class, Some(Part::Wrong)),
            Some((class, other)) => (class, Some(Part::Prediction(ClassId(number(other)?)))),
        };
        Some(Self {
            class: ClassId(number(class)?),
            part,
            measure,
        })
    }
}

/// Part of a class's labelled images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Predicted as this class; those predicted right where it is the class itself.
    Prediction(ClassId),
    /// Predicted as any other class.
    Wrong,
}

/// Points of a map that are no classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PointKind {
    /// Of the layer.
    Channels,
    /// Of the run.
    Images,
}

/// Content type of a bundle file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// `application/json`
    Json,
    /// `image/jpeg`
    Jpeg,
}

impl BundleFile {
    /// Its content type.
    #[must_use]
    pub fn kind(self) -> FileKind {
        match self {
            Self::Manifest
            | Self::Live
            | Self::Classes
            | Self::Confusion
            | Self::Embedding(_)
            | Self::Points(..)
            | Self::Channels(_)
            | Self::Masks(_)
            | Self::Graph(_)
            | Self::Inputs(_)
            | Self::EdgeImages(_)
            | Self::Carriers(_)
            | Self::Similarity(_)
            | Self::Activations(_)
            | Self::Images(_)
            | Self::Annotations
            | Self::Features(_) => FileKind::Json,
            Self::Sheet(_)
            | Self::EdgeSheet(_)
            | Self::Overview(_)
            | Self::Top(..)
            | Self::Detail(..)
            | Self::Carrying(..)
            | Self::FeatureOverview(_)
            | Self::Feature(..)
            | Self::FeatureDetail(..) => FileKind::Jpeg,
        }
    }

    /// It never changes once it is there: neither names nor pictures of channels are added to it.
    #[must_use]
    pub fn is_fixed(self) -> bool {
        !matches!(
            self,
            Self::Annotations
                | Self::Manifest
                | Self::Live
                | Self::Features(_)
                | Self::FeatureOverview(_)
                | Self::Feature(..)
                | Self::FeatureDetail(..)
        )
    }

    /// The file with this path relative to the bundle's folder; `None` for anything that is not
    /// exactly what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let (stem, kind) = match path.strip_suffix(".json") {
            Some(stem) => (stem, FileKind::Json),
            None => (path.strip_suffix(".jpg")?, FileKind::Jpeg),
        };
        let parts: Vec<&str> = stem.split('/').collect();
        let file = match parts.as_slice() {
            ["manifest"] => Self::Manifest,
            ["live"] => Self::Live,
            ["classes"] => Self::Classes,
            ["annotations"] => Self::Annotations,
            ["confusion"] => Self::Confusion,
            ["embedding", layer] => Self::Embedding(LayerId(number(layer)?)),
            ["points", "channels", layer] => {
                Self::Points(PointKind::Channels, LayerId(number(layer)?))
            }
            ["points", "images", layer] => Self::Points(PointKind::Images, LayerId(number(layer)?)),
            ["channels", layer] => Self::Channels(LayerId(number(layer)?)),
            ["masks", layer] => Self::Masks(LayerId(number(layer)?)),
            ["graphs", graph @ ..] => Self::Graph(GraphOf::parse(graph)?),
            ["inputs", graph @ ..] => Self::Inputs(GraphOf::parse(graph)?),
            ["edges", graph @ ..] => Self::EdgeImages(GraphOf::parse(graph)?),
            ["carriers", class] => Self::Carriers(ClassId(number(class)?)),
            ["similarity", class] => Self::Similarity(ClassId(number(class)?)),
            ["activations", class] => Self::Activations(ClassId(number(class)?)),
            ["images", class] => Self::Images(ClassId(number(class)?)),
            ["media", "sheet", class] => Self::Sheet(ClassId(number(class)?)),
            ["media", "edges", graph @ ..] => Self::EdgeSheet(GraphOf::parse(graph)?),
            ["media", "overview", layer] => Self::Overview(LayerId(number(layer)?)),
            ["features", layer] => Self::Features(LayerId(number(layer)?)),
            ["media", "features", layer] => Self::FeatureOverview(LayerId(number(layer)?)),
            ["media", "feature", layer, channel] => {
                Self::Feature(LayerId(number(layer)?), ChannelId(number(channel)?))
            }
            ["media", "feature-detail", layer, channel] => {
                Self::FeatureDetail(LayerId(number(layer)?), ChannelId(number(channel)?))
            }
            ["media", "top", layer, channel] => {
                Self::Top(LayerId(number(layer)?), ChannelId(number(channel)?))
            }
            ["media", "detail", layer, channel] => {
                Self::Detail(LayerId(number(layer)?), ChannelId(number(channel)?))
            }
            ["media", "carrying", graph @ .., layer, channel] => Self::Carrying(
                GraphOf::parse(graph)?,
                LayerId(number(layer)?),
                ChannelId(number(channel)?),
            ),
            _ => return None,
        };
        (file.kind() == kind).then_some(file)
    }
}

/// A number written the one canonical way: digits, no sign, no leading zeros.
fn number(text: &str) -> Option<u32> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for BundleFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest => write!(formatter, "manifest.json"),
            Self::Live => write!(formatter, "live.json"),
            Self::Classes => write!(formatter, "classes.json"),
            Self::Confusion => write!(formatter, "confusion.json"),
            Self::Annotations => write!(formatter, "annotations.json"),
            Self::Embedding(layer) => write!(formatter, "embedding/{}.json", layer.0),
            Self::Points(PointKind::Channels, layer) => {
                write!(formatter, "points/channels/{}.json", layer.0)
            }
            Self::Points(PointKind::Images, layer) => {
                write!(formatter, "points/images/{}.json", layer.0)
            }
            Self::Channels(layer) => write!(formatter, "channels/{}.json", layer.0),
            Self::Masks(layer) => write!(formatter, "masks/{}.json", layer.0),
            Self::Graph(graph) => write!(formatter, "graphs/{graph}.json"),
            Self::Inputs(graph) => write!(formatter, "inputs/{graph}.json"),
            Self::EdgeImages(graph) => write!(formatter, "edges/{graph}.json"),
            Self::Carriers(class) => write!(formatter, "carriers/{}.json", class.0),
            Self::Similarity(class) => write!(formatter, "similarity/{}.json", class.0),
            Self::Activations(class) => write!(formatter, "activations/{}.json", class.0),
            Self::Images(class) => write!(formatter, "images/{}.json", class.0),
            Self::Sheet(class) => write!(formatter, "media/sheet/{}.jpg", class.0),
            Self::EdgeSheet(graph) => write!(formatter, "media/edges/{graph}.jpg"),
            Self::Overview(layer) => write!(formatter, "media/overview/{}.jpg", layer.0),
            Self::Features(layer) => write!(formatter, "features/{}.json", layer.0),
            Self::FeatureOverview(layer) => write!(formatter, "media/features/{}.jpg", layer.0),
            Self::Feature(layer, channel) => {
                write!(formatter, "media/feature/{}/{}.jpg", layer.0, channel.0)
            }
            Self::FeatureDetail(layer, channel) => {
                write!(
                    formatter,
                    "media/feature-detail/{}/{}.jpg",
                    layer.0, channel.0
                )
            }
            Self::Carrying(graph, layer, channel) => {
                write!(
                    formatter,
                    "media/carrying/{graph}/{}/{}.jpg",
                    layer.0, channel.0
                )
            }
            Self::Top(layer, channel) => {
                write!(formatter, "media/top/{}/{}.jpg", layer.0, channel.0)
            }
            Self::Detail(layer, channel) => {
                write!(formatter, "media/detail/{}/{}.jpg", layer.0, channel.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(number: u32, channel: u32) -> Vec<BundleFile> {
        let (layer, class, channel) = (LayerId(number), ClassId(number), ChannelId(channel));
        let part = |part, measure| GraphOf {
            class,
            part,
            measure,
        };
        vec![
            BundleFile::Manifest,
            BundleFile::Live,
            BundleFile::Classes,
            BundleFile::Confusion,
            BundleFile::Annotations,
            BundleFile::Embedding(layer),
            BundleFile::Points(PointKind::Channels, layer),
            BundleFile::Points(PointKind::Images, layer),
            BundleFile::Channels(layer),
            BundleFile::Masks(layer),
            BundleFile::Graph(GraphOf::class(class)),
            BundleFile::Inputs(part(None, Some(Measure::Lrp))),
            BundleFile::EdgeImages(part(Some(Part::Wrong), Some(Measure::Lrp))),
            BundleFile::EdgeSheet(GraphOf::class(class)),
            BundleFile::Graph(part(Some(Part::Wrong), None)),
            BundleFile::Graph(part(Some(Part::Wrong), Some(Measure::ConvMax))),
            BundleFile::Graph(part(Some(Part::Prediction(ClassId(channel.0))), None)),
            BundleFile::Carriers(class),
            BundleFile::Similarity(class),
            BundleFile::Activations(class),
            BundleFile::Images(class),
            BundleFile::Sheet(class),
            BundleFile::Overview(layer),
            BundleFile::Top(layer, channel),
            BundleFile::Detail(layer, channel),
            BundleFile::Carrying(GraphOf::class(class), layer, channel),
            BundleFile::Carrying(part(Some(Part::Wrong), Some(Measure::Lrp)), layer, channel),
            BundleFile::Features(layer),
            BundleFile::FeatureOverview(layer),
            BundleFile::Feature(layer, channel),
            BundleFile::FeatureDetail(layer, channel),
        ]
    }

    #[test]
    fn only_the_canonical_path_is_taken() {
        for path in [
            "",
            ".json",
            "graphs/.json",
            "graphs/01.json",
            "graphs/+1.json",
            "graphs/4294967296.json",
            "graphs/1.jpg",
            "graphs/1",
            "graphs//1.json",
            "graphs/1-.json",
            "graphs/1-02.json",
            "graphs/1-right.json",
            "graphs/1-2-3.json",
            "graphs/lrp.json",
            "graphs/lrp/.json",
            "graphs/LRP/1.json",
            "graphs/lrp/flow/1.json",
            "inputs/../1.json",
            "points/classes/1.json",
            "/graphs/1.json",
            "graphs/../manifest.json",
            "../bundle/manifest.json",
            "media/top/1/2.jpg/../../../../etc/passwd.jpg",
            "manifest.json\0.json",
            "media\\top\\1\\2.jpg",
        ] {
            assert_eq!(BundleFile::parse(path), None, "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn a_path_is_read_back(number: u32, channel: u32) {
            for file in all(number, channel) {
                prop_assert_eq!(BundleFile::parse(&file.to_string()), Some(file));
            }
        }

        #[test]
        fn whatever_is_taken_is_canonical(path in "(graphs|lrp|edges|points|images|wrong|-|features|feature|media|\\.\\.|top|[0-9]{1,3}|/){1,6}\\.(json|jpg)") {
            if let Some(file) = BundleFile::parse(&path) {
                prop_assert_eq!(file.to_string(), path);
            }
        }
    }
}
