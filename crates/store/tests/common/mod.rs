//! Synthetic runs: every value follows from the image id, so that any split of the images gives the
//! same tables, and a plain in-memory computation says what they must be.

#![allow(dead_code, unused_imports, clippy::unwrap_used)] // Each test binary uses a part.

pub mod folders;

pub use folders::{assert_same, contents, mix};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use summit_store::{ImageList, ImageRange, ModelEntry, NO_LABEL, RunSpec, RunWriter};
use summit_tables::{
    ActivationEntry, ChannelId, ClassEntry, ClassId, ConvId, ConvInfo, ConvMaxCounts,
    DatasetExample, ImageId, ImageRecord, InfluenceEntry, LayerId, LayerInfo, LayerTables,
    ModelInfo, RangeExamples, ShardTables, SkippedImage, Thumbnail, TopChannel,
};

pub const CLASSES: u32 = 3;
pub const CHANNELS: [u32; 2] = [8, 5];
const BINS: u32 = 4;

fn pick(image: u32, salt: u64, below: u32) -> u32 {
    u32::try_from(mix(u64::from(image) << 20 | salt) % u64::from(below)).unwrap()
}

pub fn spec(listed: u32) -> RunSpec {
    let layer = |id: u32, name: &str| LayerInfo {
        id: LayerId(id),
        name: name.to_owned(),
        channels: CHANNELS[id as usize],
        height: 4,
        width: 4,
        signed: false,
        receptive_stride: [0.1 + f64::from(id), 1.0 / 3.0],
        receptive_size: [3, 3],
        receptive_start: [-1.0, -1.0],
        is_cut: true,
    };
    let conv = |id: u32, name: &str, inputs, outputs| ConvInfo {
        id: ConvId(id),
        name: name.to_owned(),
        reads: "x".to_owned(),
        inputs,
        outputs,
        depthwise: false,
        groups: 1,
    };
    let class = |class: u32| ClassEntry {
        class: ClassId(class),
        external_id: format!("n{class:08}"),
        name: format!("class {class}"),
        synonyms: vec![format!("kind {class}")],
    };
    RunSpec {
        tool_version: "0.1.0".to_owned(),
        model: ModelEntry {
            name: "synthetic.onnx".to_owned(),
            sha256: "ab".repeat(32),
            input_shape: vec![3, 8, 8],
            info: ModelInfo {
                layers: vec![layer(0, "stem/relu:0"), layer(1, "block")],
                convs: vec![conv(0, "/block/Conv", 8, 5), conv(1, "fc", 5, CLASSES)],
                blocks: Vec::new(),
                classes: CLASSES,
            },
        },
        parameters: json!({"mass": 0.03, "inputs_per_output": 5}),
        preprocessing: json!({"size": [8, 8], "mean": [0.485, 0.456, 0.406]}),
        classes: (0..CLASSES).map(class).collect(),
        images: ImageList {
            listed,
            sha256: format!("{listed:064x}"),
            passed_over: Vec::new(),
        },
    }
}

/// Which images a run is made of: new id -> the number all values follow from.
pub type Numbers<'a> = &'a dyn Fn(u32) -> u32;

/// Paths ascend with the number, as sorted lists do.
fn path(number: u32) -> String {
    format!("n{:02}/{number:06}.png", number / 40)
}

fn is_skipped(number: u32) -> bool {
    pick(number, 1, 10) == 0
}

fn label(number: u32) -> Option<ClassId> {
    (pick(number, 2, 7) != 0).then_some(ClassId(number / 40 % CLASSES))
}

fn record(image: u32, number: u32) -> ImageRecord {
    let first = pick(number, 3, CLASSES);
    ImageRecord {
        image: ImageId(image),
        path: path(number),
        label: label(number),
        top_classes: (0..CLASSES)
            .map(|step| ClassId((first + step) % CLASSES))
            .collect(),
        top_probabilities: vec![0.5, 0.25, 0.125],
        label_probability: pick(number, 4, 100) as f32 / 100.0,
        margin: pick(number, 5, 200) as f32 / 8.0 - 10.0,
        runner_up: ClassId((first + 1) % CLASSES),
        width: 8 + pick(number, 6, 100),
        height: 8 + pick(number, 7, 100),
    }
}

fn thumbnail(image: ImageId, numbers: Numbers<'_>) -> Thumbnail {
    let number = numbers(image.0).to_le_bytes();
    Thumbnail {
        image,
        jpeg: [0xff, 0xd8].into_iter().chain(number).collect(),
    }
}

/// The results of a range of images, computed in the plainest way.
pub fn shard(range: ImageRange, numbers: Numbers<'_>) -> ShardTables {
    let mut data = ShardTables::default();
    let mut influence = [BTreeMap::new(), BTreeMap::new()];
    for image in range.ids() {
        let number = numbers(image);
        if is_skipped(number) {
            let reason = "the file ends too early".to_owned();
            data.skipped.push(SkippedImage {
                image: ImageId(image),
                path: path(number),
                reason,
            });
        } else {
            data.images.push(record(image, number));
        }
    }
    let convs = spec(0).model.info.convs;
    for record in &data.images {
        let number = numbers(record.image.0);
        for (conv, counts) in convs.iter().zip(&mut influence) {
            for output in 0..conv.outputs {
                for salt in 0..3 {
                    let input = pick(number, 1000 + u64::from(output) * 8 + salt, conv.inputs);
                    let [label, prediction] = cell(record);
                    *counts
                        .entry([label, prediction, output, input])
                        .or_insert(0) += 1;
                }
            }
        }
    }
    for (layer, channels) in CHANNELS.into_iter().enumerate() {
        let (tables, activations) = layer_tables(&data.images, layer as u64, channels, numbers);
        data.layers.push(tables);
        data.activations.push(activations);
    }
    let lists = data.layers.iter();
    let shown: BTreeSet<ImageId> = lists
        .flat_map(|layer| layer.examples.iter().chain(&layer.range_examples))
        .map(|example| example.image)
        .collect();
    data.thumbnails = shown
        .into_iter()
        .map(|image| thumbnail(image, numbers))
        .collect();
    for (conv, counts) in convs.iter().zip(influence) {
        let entry = |([label, prediction, output, input], count): ([u32; 4], u32)| InfluenceEntry {
            label,
            prediction,
            output,
            input,
            count,
        };
        let entries = counts.into_iter().map(entry).collect();
        data.influence.push(ConvMaxCounts {
            conv: conv.id,
            entries,
        });
    }
    data
}

fn cell(record: &ImageRecord) -> [u32; 2] {
    [
        record.label.map_or(NO_LABEL, |label| label.0),
        record.top_classes[0].0,
    ]
}

fn layer_tables(
    images: &[ImageRecord],
    layer: u64,
    channels: u32,
    numbers: Numbers<'_>,
) -> (LayerTables, Vec<ActivationEntry>) {
    let mut tables = LayerTables::default();
    let mut counts: BTreeMap<[u32; 3], u32> = BTreeMap::new();
    let mut examples: BTreeMap<u32, Vec<DatasetExample>> = BTreeMap::new();
    let mut range: BTreeMap<u32, RangeExamples> = BTreeMap::new();
    let mut histograms: BTreeMap<u32, Vec<u32>> = (0..channels)
        .map(|channel| (channel, vec![0; BINS as usize]))
        .collect();
    for record in images {
        let number = numbers(record.image.0);
        for channel in 0..channels {
            let salt = 100 + layer * 64 + u64::from(channel);
            // Few distinct values, so that ties are common.
            let value = pick(number, salt, 12) as f32 / 4.0;
            let position = u16::try_from(pick(number, salt + 7, 4)).unwrap();
            let example = DatasetExample {
                channel: ChannelId(channel),
                rank: 0,
                image: record.image,
                value: value - 1.0,
                row: position,
                column: 3 - position,
                mask: mix(u64::from(number) << 20 | (salt + 11)),
            };
            examples.entry(channel).or_default().push(example);
            range.entry(channel).or_default().insert(example);
            histograms.get_mut(&channel).unwrap()[(value as u32).min(BINS - 1) as usize] += 1;
            if pick(number, salt + 9, 3) == 0 {
                let [label, prediction] = cell(record);
                *counts.entry([label, prediction, channel]).or_default() += 1;
                tables.top_channels.push(TopChannel {
                    image: record.image,
                    channel: ChannelId(channel),
                    value,
                    share: value / 16.0,
                    row: position,
                    column: 3 - position,
                });
            }
        }
    }
    for list in examples.values_mut() {
        list.sort_by(|a, b| b.value.total_cmp(&a.value).then(a.image.cmp(&b.image)));
        list.truncate(10);
        (0..)
            .zip(list.iter_mut())
            .for_each(|(rank, example)| example.rank = rank);
    }
    tables.examples = examples.into_values().flatten().collect();
    tables.range_examples = range
        .into_values()
        .flat_map(RangeExamples::into_rows)
        .collect();
    tables.histograms = histograms;
    let entry = |([label, prediction, channel], images): ([u32; 3], u32)| ActivationEntry {
        label,
        prediction,
        channel,
        images,
    };
    (tables, counts.into_iter().map(entry).collect())
}

/// Writes a whole run in shards of the given size.
pub fn write_run(folder: &Path, spec: RunSpec, numbers: Numbers<'_>, images_per_shard: u32) {
    let mut writer = RunWriter::create_or_resume(folder, spec).unwrap();
    for range in writer.missing_shards(images_per_shard) {
        writer.commit_shard(range, &shard(range, numbers)).unwrap();
    }
    writer.finalize().unwrap();
}
