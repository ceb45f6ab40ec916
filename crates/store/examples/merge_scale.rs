//! Merging at the size of ImageNet, with made-up results: one shard a class, counts of every channel.
//!
//! `merge_scale make FOLDER SHARDS` writes the shards, `merge_scale merge FOLDER` makes the tables and prints
//! rows, bytes, seconds and the peak of memory of this process. docs/scale.md quotes it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a measurement"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;
use summit_store::{ImageList, ImageRange, ModelEntry, RunSpec, RunWriter};
use summit_tables::{
    ActivationEntry, ChannelId, ClassId, ConvId, ConvInfo, ConvMaxCounts, DatasetExample, ImageId,
    ImageRecord, InfluenceEntry, LayerId, LayerInfo, LayerTables, ModelInfo, ShardTables,
    Thumbnail, TopChannel,
};

/// 5,488 channels in 12 layers.
const CHANNELS: [u32; 12] = [64, 64, 192, 256, 480, 512, 512, 512, 528, 832, 512, 1024];
const CLASSES: u32 = 1000;
/// Fewer than a class has in ImageNet (1,280): tables by image are copied, not merged.
const IMAGES: u32 = 128;
const BINS: usize = 64;
/// Classes that images of one class are taken for, beside their own.
const CONFUSED: u32 = 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", folder, shards] => make(Path::new(folder), shards.parse().unwrap()),
        ["merge", folder] => merge(Path::new(folder)),
        _ => panic!("make FOLDER SHARDS, or merge FOLDER"),
    }
}

fn make(folder: &Path, shards: u32) {
    let begun = Instant::now();
    let mut writer = RunWriter::create_or_resume(folder, spec(shards)).unwrap();
    for shard in 0..shards {
        let range = ImageRange::new(shard * IMAGES, (shard + 1) * IMAGES);
        writer.commit_shard(range, &data(shard, range)).unwrap();
    }
    println!(
        "{shards} shards written in {:.0} s",
        begun.elapsed().as_secs_f64()
    );
}

fn merge(folder: &Path) {
    let begun = Instant::now();
    let mut writer = RunWriter::resume(folder).unwrap();
    let verified = begun.elapsed().as_secs_f64();
    let manifest = writer.finalize().unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    let shards = f64::from(manifest.counts.done / IMAGES);
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    let merged = rows() as f64 * shards;
    println!(
        "{shards} shards, {merged:.3e} rows to merge, {:.1} GB of tables; verified in {verified:.0} s, \
         merged in {:.0} s: {:.2e} rows/s, {:.1} shards/s; peak {} MiB",
        bytes as f64 / 1e9,
        seconds - verified,
        merged / (seconds - verified),
        shards / seconds,
        peak_mebibytes()
    );
}

/// Peak resident memory of this process so far, mebibytes.
fn peak_mebibytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) / 1024
}

/// Rows of a shard.
fn rows() -> usize {
    let data = data(0, ImageRange::new(0, IMAGES));
    let layers = data.layers.iter().map(|layer| {
        layer.top_channels.len() + layer.examples.len() + layer.histograms.len() * BINS
    });
    let cells: usize = data.activations.iter().map(Vec::len).sum();
    let pairs: usize = data.influence.iter().map(|conv| conv.entries.len()).sum();
    data.images.len() + layers.sum::<usize>() + cells + pairs
}

fn mix(seed: u64) -> u32 {
    let value = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (value ^ (value >> 29))
        .wrapping_mul(0xbf58_476d_1ce4_e5b9)
        .to_be_bytes()[..4]
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn spec(shards: u32) -> RunSpec {
    let layers = (0..).zip(CHANNELS).map(|(id, channels)| LayerInfo {
        id: LayerId(id),
        name: format!("layer{id}"),
        channels,
        height: 7,
        width: 7,
        signed: false,
        receptive_stride: [1.0; 2],
        receptive_size: [3; 2],
        receptive_start: [0.0; 2],
        is_cut: true,
    });
    let convs = (0..).zip(CHANNELS.windows(2)).map(|(id, pair)| ConvInfo {
        id: ConvId(id),
        name: format!("conv{id}"),
        reads: format!("layer{id}"),
        inputs: pair[0],
        outputs: pair[1],
        depthwise: false,
        groups: 1,
    });
    RunSpec {
        tool_version: "0.1.0".to_owned(),
        model: ModelEntry {
            name: "synthetic.onnx".to_owned(),
            sha256: "ab".repeat(32),
            input_shape: vec![3, 224, 224],
            info: ModelInfo {
                layers: layers.collect(),
                convs: convs.collect(),
                blocks: Vec::new(),
                classes: CLASSES,
            },
        },
        parameters: serde_json::Value::Null,
        preprocessing: serde_json::Value::Null,
        classes: Vec::new(),
        images: ImageList {
            listed: shards * IMAGES,
            sha256: "cd".repeat(32),
            passed_over: Vec::new(),
        },
    }
}

/// One class: its own cell with every channel, the cells it is confused with with some.
fn data(shard: u32, range: ImageRange) -> ShardTables {
    let label = shard % CLASSES;
    let mut predictions: Vec<u32> = (0..CONFUSED)
        .map(|step| mix(u64::from(shard * CONFUSED + step)) % CLASSES)
        .chain([label])
        .collect();
    predictions.sort_unstable();
    predictions.dedup();
    ShardTables {
        images: range.ids().map(|image| record(image, label)).collect(),
        skipped: Vec::new(),
        layers: CHANNELS.map(|channels| layer(channels, range)).into(),
        activations: CHANNELS
            .map(|channels| activations(label, &predictions, channels))
            .into(),
        thumbnails: range.ids().map(thumbnail).collect(),
        influence: (0..)
            .zip(CHANNELS.windows(2))
            .map(|(conv, pair)| influence(conv, label, &predictions, pair[0], pair[1]))
            .collect(),
    }
}

/// As large as a real one, and as hard to compress.
fn thumbnail(image: u32) -> Thumbnail {
    let noise = (0..3000_u64).map(|place| mix(u64::from(image) * 3000 + place) as u8);
    Thumbnail {
        image: ImageId(image),
        jpeg: [0xff, 0xd8].into_iter().chain(noise).collect(),
    }
}

fn record(image: u32, label: u32) -> ImageRecord {
    ImageRecord {
        image: ImageId(image),
        path: format!("n{label:08}/{image:010}.JPEG"),
        label: Some(ClassId(label)),
        top_classes: vec![ClassId(label)],
        top_probabilities: vec![0.5],
        label_probability: 0.5,
        margin: 1.0,
        runner_up: ClassId(0),
        width: 500,
        height: 375,
    }
}

fn layer(channels: u32, range: ImageRange) -> LayerTables {
    let top = range.ids().flat_map(|image| {
        (0..5).map(move |step| TopChannel {
            image: ImageId(image),
            channel: ChannelId((mix(u64::from(image)) + step) % channels),
            value: 1.0,
            share: 0.01,
            row: 0,
            column: 0,
        })
    });
    let examples = (0..channels).flat_map(|channel| {
        (0..10).map(move |rank| DatasetExample {
            channel: ChannelId(channel),
            rank,
            image: ImageId(range.start.0 + u32::from(rank)),
            value: 10.0 - f32::from(rank),
            row: 0,
            column: 0,
            mask: u64::from(mix(u64::from(channel * 64 + u32::from(rank)))) << 16,
        })
    });
    // 40 a channel, as layers have in practice.
    let range_examples = (0..channels).flat_map(|channel| {
        (0..40).map(move |rank| DatasetExample {
            channel: ChannelId(channel),
            rank,
            image: ImageId(range.start.0 + u32::from(rank) % range.len()),
            value: f32::from(rank / 4).exp2(),
            row: 0,
            column: 0,
            mask: u64::from(mix(u64::from(channel * 64 + u32::from(rank)))) << 16,
        })
    });
    let bins = |channel: u32| {
        let bin = |bin: u32| mix(u64::from(channel * 64 + bin)) % 100;
        (0..BINS as u32).map(bin).collect::<Vec<u32>>()
    };
    LayerTables {
        top_channels: top.collect(),
        examples: examples.collect(),
        range_examples: range_examples.collect(),
        histograms: (0..channels)
            .map(|channel| (channel, bins(channel)))
            .collect::<BTreeMap<_, _>>(),
    }
}

fn activations(label: u32, predictions: &[u32], channels: u32) -> Vec<ActivationEntry> {
    let cells = predictions.iter().flat_map(|&prediction| {
        let every = if prediction == label { 1 } else { 8 };
        (0..channels)
            .step_by(every)
            .map(move |channel| ActivationEntry {
                label,
                prediction,
                channel: ChannelId(channel).0,
                images: 1 + channel % 50,
            })
    });
    cells.collect()
}

/// About as many pairs as 256 images of one class leave in GoogLeNet, 10^6: some 100 inputs an output in its own
/// cell, 4 in the others.
fn influence(
    conv: u32,
    label: u32,
    predictions: &[u32],
    inputs: u32,
    outputs: u32,
) -> ConvMaxCounts {
    let cells = predictions.iter().flat_map(|&prediction| {
        let step = if prediction == label {
            (inputs / 100).max(1)
        } else {
            inputs / 4
        };
        (0..outputs).flat_map(move |output| {
            (0..inputs).step_by(step as usize).map(move |input| {
                let chance =
                    mix(u64::from(label * 7 + prediction) << 32 | u64::from(output << 12 | input));
                InfluenceEntry {
                    label,
                    prediction,
                    output,
                    input: (input + chance % step).min(inputs - 1),
                    count: 1 + chance / step % 40,
                }
            })
        })
    });
    ConvMaxCounts {
        conv: ConvId(conv),
        entries: cells.collect(),
    }
}
