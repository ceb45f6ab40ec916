//! Makes the files of the bundle from a finished run.
//!
//! Place in the flow: `query` and the image folder in, bytes out, one [`BundleFile`] at a time. What
//! several files share (the image table, the rows of A, coordinates) is computed once and kept:
//! `O(images + layers x classes x channels)` memory.

use crate::features::Painter;
use crate::file::{BundleFile, GraphOf, PointKind};
use crate::lazy::{Lazy, get_or_make};
use crate::network::{Network, Wanted};
use crate::parts::TopsOfLayer;
use crate::pictures::{Crops, Tell, encode};
use crate::schema::{
    ActivationFile, ActivationRow, Annotation, AnnotationFile, BUNDLE_SCHEMA_VERSION,
    ChannelExamples, ChannelFile, EmbeddingFile, ImageFile, MaskFile, PhotoFile, PictureFacts,
    SimilarityFile, WhatIfFile, WhatIfQuestion,
};
use crate::{Annotations, BundleSource, SiteError, summary};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use summit_explain::graph::ChannelOrder;
use summit_explain::predictions::by_margin;
use summit_explain::slice::Group;
use summit_explain::slice::explained_class;
use summit_explain::{ActivationCounts, GroupSpec, NO_LABEL, cosine};
use summit_query::Questions;
use summit_store::{FeaturePicture, Source};
use summit_tables::{
    ChannelId, ClassId, DatasetExample, GroupId, Grouping, ImageId, ImageRecord, LayerId,
    LayerInfo, over_the_range,
};

/// How pictures are made (ui and atlas agree through the manifest).
pub const PICTURES: PictureFacts = PictureFacts {
    overview_tile: 32,
    overview_columns: 32,
    top_side: 96,
    detail_tile: 96,
    sheet_tile: 64,
    sheet_columns: 10,
    sheet_images: 200,
    features: false,
    masks: false,
};

/// Classes listed per channel.
const CLASSES_PER_CHANNEL: usize = 8;

/// A run's bundle, made on demand.
#[derive(Debug)]
pub struct Bundle {
    pub(crate) questions: Questions,
    /// Classes with images, ascending, with their numbers of images.
    pub(crate) groups: Vec<(ClassId, u32)>,
    pub(crate) data_set: String,
    pub(crate) crops: Result<Crops, String>,
    pub(crate) painter: Option<Arc<dyn Painter>>,
    annotations: Annotations,
    pub(crate) network: Option<Arc<dyn Network>>,
    counts: Vec<Lazy<ActivationCounts>>,
    examples: Vec<Lazy<Vec<DatasetExample>>>,
    ranges: Vec<Lazy<Vec<DatasetExample>>>,
    pub(crate) maps: Lazy<Vec<EmbeddingFile>>,
    pub(crate) image_maps: Lazy<Vec<EmbeddingFile>>,
    tops: Lazy<Vec<TopsOfLayer>>,
    pub(crate) order: Lazy<ChannelOrder>,
}

impl Bundle {
    /// Opens a finished run.
    ///
    /// * `image_root`: the folder of its images, where it is not the one the run remembers.
    /// * `tell`: told, once an image, which images cannot be read.
    ///
    /// Stored thumbnails stand in for images that are gone; [`Bundle::picture_problem`] says why.
    ///
    /// # Errors
    /// There is no finished run, or its tables are damaged.
    pub fn open(path: &Path, image_root: Option<PathBuf>, tell: Tell) -> Result<Self, SiteError> {
        let questions = Questions::open(path)?;
        let groups = questions.class_sizes(Grouping::Label).into_iter().collect();
        let root = image_root.clone().or_else(|| Source::of(path).images);
        let data_set = root
            .as_deref()
            .and_then(Path::file_name)
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let crops = Crops::open(&questions, image_root, tell);
        let crops = crops.map_err(|problem| problem.to_string());
        let layers = questions.layers().len();
        Ok(Self {
            groups,
            data_set,
            annotations: Annotations::of_run(path),
            network: None,
            crops,
            painter: None,
            counts: (0..layers).map(|_| Lazy::default()).collect(),
            examples: (0..layers).map(|_| Lazy::default()).collect(),
            ranges: (0..layers).map(|_| Lazy::default()).collect(),
            maps: Lazy::default(),
            image_maps: Lazy::default(),
            tops: Lazy::default(),
            order: Lazy::default(),
            questions,
        })
    }

    /// The same bundle, which answers what needs the network.
    #[must_use]
    pub fn with_network(mut self, network: Arc<dyn Network>) -> Self {
        self.network = Some(network);
        self
    }

    /// The same bundle, whose missing feature visualisations are drawn when asked for.
    #[must_use]
    pub fn with_painter(mut self, painter: Arc<dyn Painter>) -> Self {
        self.painter = Some(painter);
        self
    }

    /// Why pictures are thumbnails or, in runs without those, absent; `None` where images can be read.
    #[must_use]
    pub fn picture_problem(&self) -> Option<String> {
        match &self.crops {
            Ok(crops) => crops
                .problem()
                .map(|problem| format!("{problem}; the run's thumbnails stand in")),
            Err(problem) => Some(format!("{problem}; there are no pictures")),
        }
    }

    /// All files, those that others are made from first.
    ///
    /// # Errors
    /// The run cannot be read.
    pub fn files(&self) -> Result<Vec<BundleFile>, SiteError> {
        let mut files = vec![
            BundleFile::Manifest,
            BundleFile::Classes,
            BundleFile::Confusion,
            BundleFile::Annotations,
        ];
        let layers = self.questions.layers();
        for layer in layers {
            files.push(BundleFile::Embedding(layer.id));
            files.push(BundleFile::Points(PointKind::Channels, layer.id));
            files.push(BundleFile::Points(PointKind::Images, layer.id));
            files.push(BundleFile::Channels(layer.id));
            if self.has_masks() {
                files.push(BundleFile::Masks(layer.id));
            }
        }
        let confused_with = summary::classes(self).confused_with;
        for &(class, _) in &self.groups {
            let confused = confused_with.get(class.index());
            files.extend(self.graph_files(class, confused.map_or(&[], Vec::as_slice))?);
            files.push(BundleFile::Carriers(class));
            files.push(BundleFile::Similarity(class));
            files.push(BundleFile::Activations(class));
            files.push(BundleFile::Images(class));
            if self.crops.is_ok() {
                files.push(BundleFile::Sheet(class));
            }
        }
        if self.crops.is_ok() {
            for layer in layers {
                files.push(BundleFile::Overview(layer.id));
                for channel in (0..layer.channels).map(ChannelId) {
                    files.push(BundleFile::Top(layer.id, channel));
                    files.push(BundleFile::Detail(layer.id, channel));
                }
            }
        }
        files.extend(self.feature_files());
        Ok(files)
    }

    pub(crate) fn layer(&self, layer: LayerId) -> Result<&LayerInfo, SiteError> {
        let found = self.questions.layers().get(layer.index());
        found.ok_or_else(|| SiteError::Absent {
            what: format!("layer {}", layer.0),
        })
    }

    /// Images of a class, at least 1.
    fn size(&self, class: ClassId) -> Result<u32, SiteError> {
        let found = self.groups.binary_search_by_key(&class, |(id, _)| *id);
        let group = found.ok().and_then(|index| self.groups.get(index));
        group
            .map(|(_, images)| *images)
            .ok_or_else(|| SiteError::Absent {
                what: format!("images of class {}", class.0),
            })
    }

    /// A of a layer for all classes.
    fn layer_counts(&self, layer: LayerId) -> Result<&ActivationCounts, SiteError> {
        self.layer(layer)?;
        get_or_make(self.counts.get(layer.index()), || {
            Ok(self.questions.class_counts(Grouping::Label, layer)?)
        })
    }

    fn layer_examples(&self, layer: LayerId) -> Result<&[DatasetExample], SiteError> {
        self.layer(layer)?;
        let cell = self.examples.get(layer.index());
        get_or_make(cell, || {
            let examples = self.questions.run().examples(layer)?;
            Ok(examples.collect::<Result<_, _>>()?)
        })
        .map(Vec::as_slice)
    }

    /// Up to ten images over the range of every channel, by channel, then value.
    fn layer_ranges(&self, layer: LayerId) -> Result<&[DatasetExample], SiteError> {
        self.layer(layer)?;
        let cell = self.ranges.get(layer.index());
        get_or_make(cell, || {
            let run = self.questions.run();
            let histograms = run.histograms(layer)?;
            let candidates: Vec<_> = run.range_examples(layer)?.collect::<Result<_, _>>()?;
            let channels = candidates.chunk_by(|a, b| a.channel == b.channel);
            let chosen = channels.flat_map(|candidates| {
                let channel = candidates.first().map_or(0, |example| example.channel.0);
                let histogram = histograms.get(&channel).map_or(&[][..], Vec::as_slice);
                over_the_range(histogram, candidates)
            });
            Ok(chosen.collect())
        })
        .map(Vec::as_slice)
    }

    /// Examples of one channel by rank.
    fn channel_examples(
        &self,
        layer: LayerId,
        channel: ChannelId,
    ) -> Result<&[DatasetExample], SiteError> {
        match of_channel(self.layer_examples(layer)?, channel) {
            found if !found.is_empty() => Ok(found),
            _ => Err(SiteError::Absent {
                what: format!("examples of channel {} in layer {}", channel.0, layer.0),
            }),
        }
    }

    fn class_ids(&self) -> Vec<u32> {
        self.groups.iter().map(|(class, _)| class.0).collect()
    }

    fn similarity(&self, class: ClassId) -> Result<SimilarityFile, SiteError> {
        self.size(class)?;
        let mut permille = Vec::new();
        for layer in self.questions.layers() {
            let counts = self.layer_counts(layer.id)?;
            let row = |class: ClassId| counts.group(GroupId(class.0));
            let cosines = self.groups.iter().map(|(other, _)| {
                let cosine = cosine(row(class), row(*other)).unwrap_or(0.0);
                (cosine * 1000.0).round() as u16
            });
            permille.push(cosines.collect());
        }
        Ok(SimilarityFile {
            schema_version: BUNDLE_SCHEMA_VERSION,
            class: self.class_ids(),
            permille,
        })
    }

    fn activations(&self, class: ClassId) -> Result<ActivationFile, SiteError> {
        let images = self.size(class)?;
        let mut layers = Vec::new();
        for layer in self.questions.layers() {
            let mut sparse = ActivationRow::default();
            let counts = self.layer_counts(layer.id)?.group(GroupId(class.0));
            for (channel, &count) in (0u32..).zip(counts) {
                if count > 0 {
                    sparse.channel.push(channel);
                    sparse.images.push(count);
                }
            }
            layers.push(sparse);
        }
        Ok(ActivationFile {
            schema_version: BUNDLE_SCHEMA_VERSION,
            images,
            layers,
        })
    }

    pub(crate) fn class_group(&self, class: ClassId) -> Result<Group, SiteError> {
        self.size(class)?;
        Ok(self.questions.group_of(&GroupSpec::Label(class))?)
    }

    /// Top channels of all images, per layer.
    pub(crate) fn tops(&self) -> Result<&[TopsOfLayer], SiteError> {
        get_or_make(Some(&self.tops), || self.read_tops()).map(Vec::as_slice)
    }

    /// Images of a class, hardest first.
    fn hardest(&self, class: ClassId) -> Result<Vec<&ImageRecord>, SiteError> {
        self.size(class)?;
        let of_class = |record: &&ImageRecord| explained_class(record) == Some(class);
        Ok(by_margin(self.questions.records().iter().filter(of_class)))
    }

    fn image_file(&self, class: ClassId) -> Result<ImageFile, SiteError> {
        Ok(image_columns(self.hardest(class)?.into_iter()))
    }

    fn channels(&self, layer: LayerId) -> Result<ChannelFile, SiteError> {
        let info = self.layer(layer)?;
        let counts = self.layer_counts(layer)?;
        let mut file = ChannelFile {
            schema_version: BUNDLE_SCHEMA_VERSION,
            ..ChannelFile::default()
        };
        let mut examples: BTreeMap<u32, ChannelExamples> = BTreeMap::new();
        for example in self.layer_examples(layer)? {
            let of = examples.entry(example.channel.0).or_default();
            of.class.push(self.class_of_image(example.image));
            of.value.push(rounded(example.value));
        }
        let ranges = self.layer_ranges(layer)?;
        for channel in 0..info.channels {
            let range = of_channel(ranges, ChannelId(channel)).iter();
            file.range.push(ChannelExamples {
                class: range
                    .clone()
                    .map(|example| self.class_of_image(example.image))
                    .collect(),
                value: range.map(|example| rounded(example.value)).collect(),
            });
            let column = self.groups.iter().map(|(class, size)| {
                let row = counts.group(GroupId(class.0));
                let count = row.get(channel as usize).copied().unwrap_or(0);
                (*class, *size, count)
            });
            let mut classes: Vec<_> = column.filter(|(_, _, count)| *count > 0).collect();
            file.images
                .push(classes.iter().map(|(_, _, count)| count).sum());
            // By share of the class's images, compared as fractions.
            classes.sort_by(
                |&(left, left_size, left_count), &(right, right_size, right_count)| {
                    let left_share = u64::from(left_count) * u64::from(right_size);
                    let right_share = u64::from(right_count) * u64::from(left_size);
                    right_share.cmp(&left_share).then(left.cmp(&right))
                },
            );
            classes.truncate(CLASSES_PER_CHANNEL);
            let pairs = classes.iter().map(|(class, _, count)| [class.0, *count]);
            file.classes.push(pairs.collect());
            file.examples
                .push(examples.remove(&channel).unwrap_or_default());
        }
        Ok(file)
    }

    /// Whether the run keeps where channels are active in their examples (format 3).
    pub(crate) fn has_masks(&self) -> bool {
        self.crops.is_ok() && self.questions.run().has_masks()
    }

    fn masks(&self, layer: LayerId) -> Result<MaskFile, SiteError> {
        let channels = self.layer(layer)?.channels as usize;
        if !self.has_masks() {
            return Err(SiteError::Absent {
                what: BundleFile::Masks(layer).to_string(),
            });
        }
        let columns = |rows: &[DatasetExample]| {
            let mut columns = vec![String::new(); channels];
            for row in rows {
                if let Some(column) = columns.get_mut(row.channel.index()) {
                    *column += &format!("{:016x}", row.mask);
                }
            }
            columns
        };
        Ok(MaskFile {
            schema_version: BUNDLE_SCHEMA_VERSION,
            examples: columns(self.layer_examples(layer)?),
            range: columns(self.layer_ranges(layer)?),
        })
    }

    pub(crate) fn class_of_image(&self, image: ImageId) -> u32 {
        let record = self.questions.record(image);
        record
            .and_then(explained_class)
            .map_or(NO_LABEL, |class| class.0)
    }

    pub(crate) fn crops(&self) -> Result<&Crops, SiteError> {
        self.crops.as_ref().map_err(|reason| SiteError::Picture {
            reason: reason.clone(),
        })
    }

    fn overview(&self, layer: LayerId) -> Result<Vec<u8>, SiteError> {
        let info = self.layer(layer)?;
        let mut best = vec![None; info.channels as usize];
        for example in self.layer_examples(layer)? {
            if let (0, Some(place)) = (example.rank, best.get_mut(example.channel.index())) {
                *place = Some(*example);
            }
        }
        self.crops()?.sheet(
            info,
            &best,
            PICTURES.overview_columns,
            PICTURES.overview_tile,
        )
    }

    fn top(&self, layer: LayerId, channel: ChannelId) -> Result<Vec<u8>, SiteError> {
        let info = self.layer(layer)?;
        let examples = self.channel_examples(layer, channel)?;
        let best = examples.first().ok_or_else(|| SiteError::Absent {
            what: format!("examples of channel {}", channel.0),
        })?;
        encode(&self.crops()?.example(info, best, PICTURES.top_side)?)
    }

    fn detail(&self, layer: LayerId, channel: ChannelId) -> Result<Vec<u8>, SiteError> {
        let info = self.layer(layer)?;
        let best = self.channel_examples(layer, channel)?;
        let range = of_channel(self.layer_ranges(layer)?, channel);
        let columns = best.len().max(range.len());
        let padding = std::iter::repeat_n(None, columns - best.len());
        let rows = best.iter().copied().map(Some).chain(padding);
        let tiles: Vec<_> = rows.chain(range.iter().copied().map(Some)).collect();
        self.crops()?
            .sheet(info, &tiles, columns as u32, PICTURES.detail_tile)
    }

    /// The images that carry most of a channel's score in a graph, best first.
    fn carrying(
        &self,
        of: GraphOf,
        layer: LayerId,
        channel: ChannelId,
    ) -> Result<Vec<u8>, SiteError> {
        let info = self.layer(layer)?;
        let examples = self.score_examples(of)?;
        let own = examples.iter().filter(|own| own.layer == layer.0);
        let own = own
            .map(|own| own.example)
            .filter(|own| own.channel == channel);
        let tiles: Vec<_> = own.map(Some).collect();
        if tiles.is_empty() {
            return Err(SiteError::Absent {
                what: BundleFile::Carrying(of, layer, channel).to_string(),
            });
        }
        let columns = tiles.len() as u32;
        self.crops()?
            .sheet(info, &tiles, columns, PICTURES.detail_tile)
    }

    /// Images on a class's sheet, in its order.
    pub(crate) fn sheet_images(&self, class: ClassId) -> Result<Vec<ImageId>, SiteError> {
        let hardest = self.hardest(class)?.into_iter();
        let shown = hardest.take(PICTURES.sheet_images as usize);
        Ok(shown.map(|record| record.image).collect())
    }

    fn sheet(&self, class: ClassId) -> Result<Vec<u8>, SiteError> {
        let images = self.sheet_images(class)?;
        self.crops()?
            .contact_sheet(&images, PICTURES.sheet_columns, PICTURES.sheet_tile)
    }
}

impl BundleSource for Bundle {
    fn file(&self, file: BundleFile) -> Result<Vec<u8>, SiteError> {
        match file {
            BundleFile::Manifest => json(&summary::manifest(self)?),
            BundleFile::Live => Err(SiteError::Absent {
                what: "live view".to_owned(),
            }),
            BundleFile::Classes => json(&summary::classes(self)),
            BundleFile::Confusion => json(&summary::confusion_table(self)),
            BundleFile::Annotations => json(&AnnotationFile {
                schema_version: BUNDLE_SCHEMA_VERSION,
                writable: true,
                annotations: self.annotations.read()?,
            }),
            BundleFile::Embedding(layer) => json(self.embedding(layer)?),
            BundleFile::Channels(layer) => json(&self.channels(layer)?),
            BundleFile::Masks(layer) => json(&self.masks(layer)?),
            BundleFile::Points(kind, layer) => json(&self.points(kind, layer)?),
            BundleFile::Graph(graph) => json(&self.graph(graph)?),
            BundleFile::Inputs(graph) => json(&self.inputs(graph)?),
            BundleFile::EdgeImages(graph) => json(&self.edge_images(graph)?),
            BundleFile::Carriers(class) => json(&self.carriers(class)?),
            BundleFile::Similarity(class) => json(&self.similarity(class)?),
            BundleFile::Activations(class) => json(&self.activations(class)?),
            BundleFile::Images(class) => json(&self.image_file(class)?),
            BundleFile::Sheet(class) => self.sheet(class),
            BundleFile::EdgeSheet(graph) => self.edge_sheet(graph),
            BundleFile::Overview(layer) => self.overview(layer),
            BundleFile::Top(layer, channel) => self.top(layer, channel),
            BundleFile::Detail(layer, channel) => self.detail(layer, channel),
            BundleFile::Carrying(graph, layer, channel) => self.carrying(graph, layer, channel),
            BundleFile::Features(layer) => json(&self.feature_file(layer)?),
            BundleFile::FeatureOverview(layer) => self.feature_overview(layer),
            BundleFile::Feature(layer, channel) => {
                self.feature(layer, channel, FeaturePicture::Feature)
            }
            BundleFile::FeatureDetail(layer, channel) => {
                self.feature(layer, channel, FeaturePicture::Detail)
            }
        }
    }

    fn draw(&self, layer: LayerId, channel: ChannelId) -> Result<(), SiteError> {
        self.draw_feature(layer, channel)
    }

    fn annotate(&self, annotation: Annotation) -> Result<(), SiteError> {
        self.annotations.set(self.questions.layers(), annotation)
    }

    fn look(&self, photo: &[u8]) -> Result<PhotoFile, SiteError> {
        let network = self.network.as_ref().ok_or(SiteError::NoNetwork)?;
        network
            .look(photo)
            .map_err(|reason| SiteError::Network { reason })
    }

    fn what_if(
        &self,
        question: &WhatIfQuestion,
        wanted: Wanted<'_>,
    ) -> Result<WhatIfFile, SiteError> {
        let network = self.network.as_ref().ok_or(SiteError::NoNetwork)?;
        network
            .what_if(question, wanted)
            .map_err(|reason| SiteError::Network { reason })
    }
}

/// Images and what the network says of them.
pub(crate) fn image_columns<'a>(records: impl Iterator<Item = &'a ImageRecord>) -> ImageFile {
    let mut file = ImageFile {
        schema_version: BUNDLE_SCHEMA_VERSION,
        ..ImageFile::default()
    };
    for record in records {
        file.image.push(record.image.0);
        file.path.push(record.path.clone());
        let prediction = record.prediction().map_or(NO_LABEL, |class| class.0);
        file.prediction.push(prediction);
        let probability = record.top_probabilities.first().copied().unwrap_or(0.0);
        file.probability.push(rounded(probability));
        file.margin.push(rounded(record.margin));
    }
    file
}

/// The rows of one channel, of rows sorted by channel.
fn of_channel(rows: &[DatasetExample], channel: ChannelId) -> &[DatasetExample] {
    let start = rows.partition_point(|example| example.channel < channel);
    let end = rows.partition_point(|example| example.channel <= channel);
    rows.get(start..end).unwrap_or_default()
}

pub(crate) fn json(value: &impl Serialize) -> Result<Vec<u8>, SiteError> {
    Ok(serde_json::to_vec(value)?)
}

/// Four digits are what is shown; more would be half of the file.
pub(crate) fn rounded(value: f32) -> f32 {
    format!("{value:.3e}").parse().unwrap_or(value)
}
