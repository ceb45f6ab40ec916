//! Sums of image summaries: one shard's tables. Adding is commutative, so the result is the same
//! for any order of images and any number of threads (method.md section 8).

use crate::worker::ImageSummary;
use std::collections::{BTreeMap, BTreeSet};
use summit_tables::{
    ActivationEntry, BestExamples, ChannelId, ConvId, ConvMaxCounts, DatasetExample,
    HISTOGRAM_BINS, ImageId, ImageRecord, InfluenceEntry, LayerTables, ModelInfo, RangeExamples,
    ShardTables, SkippedImage, Thumbnail, TopChannel, histogram_bin,
};

/// A confusion cell: (label or `u32::MAX`, prediction).
type Cell = (u32, u32);

/// Sums image summaries.
#[derive(Debug)]
pub struct Accumulator {
    images: Vec<ImageRecord>,
    skipped: Vec<SkippedImage>,
    layers: Vec<LayerSums>,
    convs: Vec<ConvSums>,
    thumbnails: BTreeMap<ImageId, Vec<u8>>,
}

#[derive(Debug)]
struct LayerSums {
    top: Vec<TopChannel>,
    /// Per channel.
    best: Vec<BestExamples>,
    /// Per channel.
    range: Vec<RangeExamples>,
    /// `[channels][HISTOGRAM_BINS]`
    histograms: Vec<u32>,
}

#[derive(Debug)]
struct ConvSums {
    inputs: u32,
    pairs: usize,
    cells: BTreeMap<Cell, Pairs>,
}

/// Counts of pairs: a list of events while that is smaller than the matrix.
#[derive(Debug)]
enum Pairs {
    Events(Vec<u32>),
    Matrix(Vec<u32>),
}

impl Pairs {
    fn add(&mut self, keys: &[u32], pairs: usize) {
        if let Self::Events(events) = self {
            if events.len() + keys.len() <= pairs / 2 {
                events.extend_from_slice(keys);
                return;
            }
            let mut matrix = vec![0; pairs];
            for &key in events.iter() {
                matrix[key as usize] += 1;
            }
            *self = Self::Matrix(matrix);
        }
        if let Self::Matrix(matrix) = self {
            for &key in keys {
                matrix[key as usize] += 1;
            }
        }
    }

    /// Non-zero counts, ascending.
    fn into_counts(self) -> Vec<(u32, u32)> {
        match self {
            Self::Events(mut events) => {
                events.sort_unstable();
                events
                    .chunk_by(|a, b| a == b)
                    .map(|run| (run[0], run.len() as u32))
                    .collect()
            }
            Self::Matrix(matrix) => (0..).zip(matrix).filter(|&(_, count)| count > 0).collect(),
        }
    }
}

impl Accumulator {
    /// An empty shard of a network.
    #[must_use]
    pub fn new(info: &ModelInfo) -> Self {
        let layers = info.layers.iter().map(|layer| LayerSums {
            top: Vec::new(),
            best: vec![BestExamples::default(); layer.channels as usize],
            range: vec![RangeExamples::default(); layer.channels as usize],
            histograms: vec![0; layer.channels as usize * HISTOGRAM_BINS],
        });
        let convs = info.convs.iter().map(|conv| ConvSums {
            inputs: conv.inputs,
            pairs: conv.inputs as usize * conv.outputs as usize,
            cells: BTreeMap::new(),
        });
        Self {
            images: Vec::new(),
            skipped: Vec::new(),
            layers: layers.collect(),
            convs: convs.collect(),
            thumbnails: BTreeMap::new(),
        }
    }

    /// Adds one image. `record`, `summary` and `thumbnail` (a JPEG) must be of the same image.
    pub fn add(&mut self, record: ImageRecord, summary: &ImageSummary, thumbnail: Vec<u8>) {
        let image = record.image;
        self.thumbnails.insert(image, thumbnail);
        let prediction = record.top_classes.first().map_or(u32::MAX, |class| class.0);
        let cell = (record.label.map_or(u32::MAX, |class| class.0), prediction);
        self.images.push(record);
        for (sums, layer) in self.layers.iter_mut().zip(&summary.layers) {
            for &(channel, share) in &layer.top {
                let Some(&(value, row, column)) = layer.maxima.get(channel.index()) else {
                    continue;
                };
                sums.top.push(TopChannel {
                    image,
                    channel,
                    value,
                    share,
                    row,
                    column,
                });
            }
            let maxima = layer.maxima.iter().zip(&layer.masks);
            for (channel, (&(value, row, column), &mask)) in maxima.enumerate() {
                sums.histograms[channel * HISTOGRAM_BINS + histogram_bin(value)] += 1;
                let example = DatasetExample {
                    channel: ChannelId::from_index(channel),
                    rank: 0,
                    image,
                    value,
                    row,
                    column,
                    mask,
                };
                sums.best[channel].insert(example);
                sums.range[channel].insert(example);
            }
        }
        for (sums, keys) in self.convs.iter_mut().zip(&summary.influence) {
            if !keys.is_empty() {
                let pairs = sums
                    .cells
                    .entry(cell)
                    .or_insert_with(|| Pairs::Events(Vec::new()));
                pairs.add(keys, sums.pairs);
            }
        }
    }

    /// Adds an image that could not be used.
    pub fn skip(&mut self, skipped: SkippedImage) {
        self.skipped.push(skipped);
    }

    /// The shard's tables.
    #[must_use]
    pub fn finish(mut self) -> ShardTables {
        self.images.sort_by_key(|record| record.image);
        self.skipped.sort_by_key(|skipped| skipped.image);
        let cells: BTreeMap<ImageId, Cell> = self
            .images
            .iter()
            .map(|record| {
                let prediction = record.top_classes.first().map_or(u32::MAX, |class| class.0);
                (
                    record.image,
                    (record.label.map_or(u32::MAX, |class| class.0), prediction),
                )
            })
            .collect();
        let mut tables = ShardTables {
            images: self.images,
            skipped: self.skipped,
            ..ShardTables::default()
        };
        for mut sums in self.layers {
            // Stable: an image's own list keeps its order.
            sums.top.sort_by_key(|top| top.image);
            tables.activations.push(activations(&sums.top, &cells));
            tables.layers.push(sums.finish());
        }
        let lists = tables.layers.iter();
        let shown: BTreeSet<ImageId> = lists
            .flat_map(|layer| layer.examples.iter().chain(&layer.range_examples))
            .map(|example| example.image)
            .collect();
        let thumbnails = self.thumbnails.into_iter();
        tables.thumbnails = thumbnails
            .filter(|(image, _)| shown.contains(image))
            .map(|(image, jpeg)| Thumbnail { image, jpeg })
            .collect();
        for (index, sums) in self.convs.into_iter().enumerate() {
            let entries: Vec<InfluenceEntry> = sums
                .cells
                .into_iter()
                .flat_map(|((label, prediction), pairs)| {
                    pairs
                        .into_counts()
                        .into_iter()
                        .map(move |(key, count)| InfluenceEntry {
                            label,
                            prediction,
                            output: key / sums.inputs,
                            input: key % sums.inputs,
                            count,
                        })
                })
                .collect();
            if !entries.is_empty() {
                tables.influence.push(ConvMaxCounts {
                    conv: ConvId::from_index(index),
                    entries,
                });
            }
        }
        tables
    }
}

impl LayerSums {
    fn finish(self) -> LayerTables {
        let best = self.best.into_iter().flat_map(BestExamples::into_rows);
        let range = self.range.into_iter().flat_map(RangeExamples::into_rows);
        let histograms = (0..).zip(self.histograms.chunks_exact(HISTOGRAM_BINS));
        LayerTables {
            top_channels: self.top,
            examples: best.collect(),
            range_examples: range.collect(),
            histograms: histograms
                .map(|(channel, bins)| (channel, bins.to_vec()))
                .collect(),
        }
    }
}

/// A by confusion cell from the per-image lists.
fn activations(top: &[TopChannel], cells: &BTreeMap<ImageId, Cell>) -> Vec<ActivationEntry> {
    let mut counts: BTreeMap<(Cell, u32), u32> = BTreeMap::new();
    for entry in top {
        if let Some(&cell) = cells.get(&entry.image) {
            *counts.entry((cell, entry.channel.0)).or_default() += 1;
        }
    }
    counts
        .into_iter()
        .map(|(((label, prediction), channel), images)| ActivationEntry {
            label,
            prediction,
            channel,
            images,
        })
        .collect()
}
