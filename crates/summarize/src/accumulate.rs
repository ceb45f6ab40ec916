//! Sums of image summaries: one shard's tables. Adding is commutative, so the result is the same
//! for any order of images and any number of threads (method.md section 8).

use crate::worker::ImageSummary;
use std::collections::BTreeMap;
use summit_tables::{
    ActivationEntry, ChannelId, ConvId, ConvMaxCounts, DatasetExample, ImageId, ImageRecord,
    InfluenceEntry, LayerTables, ModelInfo, SkippedImage, TopChannel,
};

/// Bins of a channel's histogram of `v`.
pub const HISTOGRAM_BINS: usize = 64;

/// Images kept per channel as dataset examples (method.md section 6).
const EXAMPLES: usize = 10;

/// The bin of a channel maximum: 0 for values <= 0; above, two bins an octave, split where the
/// mantissa reaches 1.5, from 2^-16 (bin 1, which also takes everything smaller) up to 2^15.5
/// (bin 63, which also takes everything larger). Integer arithmetic on the bits: no rounding.
#[must_use]
pub fn histogram_bin(value: f32) -> usize {
    if value.is_nan() || value <= 0.0 {
        return 0;
    }
    let half_octaves = i64::from(value.to_bits() >> 22) - (127 << 1);
    1 + (half_octaves + 32).clamp(0, HISTOGRAM_BINS as i64 - 2) as usize
}

/// One shard's results, in the order the store wants them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShardTables {
    /// Sorted by image.
    pub images: Vec<ImageRecord>,
    /// Sorted by image.
    pub skipped: Vec<SkippedImage>,
    /// One per layer.
    pub layers: Vec<LayerTables>,
    /// One per layer, sorted by (label, prediction, channel).
    pub activations: Vec<Vec<ActivationEntry>>,
    /// One per convolution that counted anything.
    pub influence: Vec<ConvMaxCounts>,
}

/// A confusion cell: (label or `u32::MAX`, prediction).
type Cell = (u32, u32);

/// Sums image summaries.
#[derive(Debug)]
pub struct Accumulator {
    images: Vec<ImageRecord>,
    skipped: Vec<SkippedImage>,
    layers: Vec<LayerSums>,
    convs: Vec<ConvSums>,
}

#[derive(Debug)]
struct LayerSums {
    top: Vec<TopChannel>,
    /// Per channel, best first.
    examples: Vec<Vec<Example>>,
    /// `[channels][HISTOGRAM_BINS]`
    histograms: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Example {
    value: f32,
    image: ImageId,
    row: u16,
    column: u16,
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
            examples: vec![Vec::new(); layer.channels as usize],
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
        }
    }

    /// Adds one image. `record` must be of the same image as `summary`.
    pub fn add(&mut self, record: ImageRecord, summary: &ImageSummary) {
        let image = record.image;
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
            for (channel, &(value, row, column)) in layer.maxima.iter().enumerate() {
                sums.histograms[channel * HISTOGRAM_BINS + histogram_bin(value)] += 1;
                insert(
                    &mut sums.examples[channel],
                    Example {
                        value,
                        image,
                        row,
                        column,
                    },
                );
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
        let examples = self
            .examples
            .into_iter()
            .enumerate()
            .flat_map(|(channel, list)| {
                (0..).zip(list).map(move |(rank, example)| DatasetExample {
                    channel: ChannelId::from_index(channel),
                    rank,
                    image: example.image,
                    value: example.value,
                    row: example.row,
                    column: example.column,
                })
            })
            .collect();
        let histograms = (0..).zip(self.histograms.chunks_exact(HISTOGRAM_BINS));
        LayerTables {
            top_channels: self.top,
            examples,
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

/// Keeps the list at the 10 best by (value descending, image ascending).
fn insert(list: &mut Vec<Example>, example: Example) {
    let goes_before = |other: &Example| {
        example
            .value
            .total_cmp(&other.value)
            .then(other.image.cmp(&example.image))
            .is_gt()
    };
    if list.len() == EXAMPLES && !list.last().is_some_and(goes_before) {
        return;
    }
    let position = list.iter().position(goes_before).unwrap_or(list.len());
    list.insert(position, example);
    list.truncate(EXAMPLES);
}
