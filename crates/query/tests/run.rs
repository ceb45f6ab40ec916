//! Questions to a small run whose every value follows from the image's number, against plain sums.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test")]

use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use summit_explain::embedding::Umap;
use summit_explain::graph::Side;
use summit_explain::{Csr, Group};
use summit_query::{GraphChoices, MapOf, NoRecount, QueryError, Questions, Recount};
use summit_store::{ImageList, ImageRange, ModelEntry, RunSpec, RunWriter};
use summit_tables::{
    ActivationEntry, Block, BlockEdge, BlockStep, ChannelId, ClassEntry, ClassId, ConvId, ConvInfo,
    ConvMaxCounts, Grouping, ImageId, ImageRecord, InfluenceEntry, LayerId, LayerInfo, LayerTables,
    ModelInfo, ShardTables, TopChannel,
};

const IMAGES: u32 = 60;
const CLASSES: u32 = 5;
const CHANNELS: [u32; 2] = [6, 4];
/// Inputs and outputs of the two convolutions: between the layers, and into the logits.
const CONVS: [[u32; 2]; 2] = [[6, 4], [4, CLASSES]];

/// Numbers without pattern (splitmix64).
fn pick(image: u32, salt: u64, below: u32) -> u32 {
    let mut value: u64 = (u64::from(image) << 20 | salt).wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((value ^ (value >> 31)) % u64::from(below)) as u32
}

/// Class 4 has no image by label, and only image 0 is of class 3.
fn record(image: u32) -> ImageRecord {
    let label = match image {
        0 => Some(3),
        _ if pick(image, 1, 9) == 0 => None,
        _ => Some(image % 3),
    };
    let prediction = if pick(image, 2, 3) == 0 {
        pick(image, 3, 3)
    } else {
        label.unwrap_or(1)
    };
    ImageRecord {
        image: ImageId(image),
        path: format!("{image:03}.png"),
        label: label.map(ClassId),
        top_classes: vec![ClassId(prediction)],
        top_probabilities: vec![0.5],
        label_probability: 0.5,
        margin: 1.0,
        runner_up: ClassId(4),
        width: 8,
        height: 8,
    }
}

fn cell(image: u32) -> (u32, u32) {
    let record = record(image);
    let label = record.label.map_or(u32::MAX, |label| label.0);
    (label, record.top_classes[0].0)
}

/// Two top channels of an image.
fn top(image: u32, layer: u32) -> Vec<u32> {
    let channels = CHANNELS[layer as usize];
    let first: u32 = (cell(image).0.min(9) + pick(image, 10 + u64::from(layer), 2)) % channels;
    let second = pick(image, 20 + u64::from(layer), channels);
    let channels: BTreeSet<u32> = BTreeSet::from([first, second]);
    channels.into_iter().collect()
}

/// Two inputs of every output.
fn inputs(image: u32, conv: u32, output: u32) -> BTreeSet<u32> {
    let inputs = CONVS[conv as usize][0];
    let salt = 100 + u64::from(conv * 50 + output * 2);
    BTreeSet::from([pick(image, salt, inputs), pick(image, salt + 1, inputs)])
}

/// conv-max counts of images, added up one by one.
fn counted(images: &[ImageId]) -> Vec<ConvMaxCounts> {
    let conv = |conv: u32| {
        let mut counts: BTreeMap<[u32; 4], u32> = BTreeMap::new();
        for image in images {
            let (label, prediction) = cell(image.0);
            for output in 0..CONVS[conv as usize][1] {
                for input in inputs(image.0, conv, output) {
                    *counts
                        .entry([label, prediction, output, input])
                        .or_default() += 1;
                }
            }
        }
        let entry = |([label, prediction, output, input], count): ([u32; 4], u32)| InfluenceEntry {
            label,
            prediction,
            output,
            input,
            count,
        };
        ConvMaxCounts {
            conv: ConvId(conv),
            entries: counts.into_iter().map(entry).collect(),
        }
    };
    (0..2).map(conv).collect()
}

struct Again;

impl Recount for Again {
    fn recount(&self, images: &[ImageId]) -> Result<Vec<ConvMaxCounts>, String> {
        Ok(counted(images))
    }
}

fn model() -> ModelInfo {
    let layer = |(id, channels): (usize, u32)| LayerInfo {
        id: LayerId::from_index(id),
        name: format!("layer{id}"),
        channels,
        height: 4,
        width: 4,
        signed: false,
        receptive_stride: [1.0; 2],
        receptive_size: [3; 2],
        receptive_start: [0.0; 2],
        is_cut: true,
    };
    let conv = |(id, [inputs, outputs]): (usize, [u32; 2])| ConvInfo {
        id: ConvId::from_index(id),
        name: format!("conv{id}"),
        reads: String::new(),
        inputs,
        outputs,
        depthwise: false,
        groups: 1,
    };
    let block = |(id, [inputs, outputs]): (usize, [u32; 2])| Block {
        lower: LayerId::from_index(id),
        upper: (id == 0).then_some(LayerId(1)),
        tensors: vec![inputs, outputs],
        edges: vec![BlockEdge {
            from: 0,
            to: 1,
            step: BlockStep::Conv(ConvId::from_index(id)),
        }],
        convs: vec![ConvId::from_index(id)],
    };
    ModelInfo {
        layers: CHANNELS.into_iter().enumerate().map(layer).collect(),
        convs: CONVS.into_iter().enumerate().map(conv).collect(),
        blocks: CONVS.into_iter().enumerate().map(block).collect(),
        classes: CLASSES,
    }
}

fn tables(layer: u32) -> (LayerTables, Vec<ActivationEntry>) {
    let mut tables = LayerTables::default();
    let mut counts: BTreeMap<(u32, u32, u32), u32> = BTreeMap::new();
    for image in 0..IMAGES {
        let (label, prediction) = cell(image);
        for channel in top(image, layer) {
            *counts.entry((label, prediction, channel)).or_default() += 1;
            tables.top_channels.push(TopChannel {
                image: ImageId(image),
                channel: ChannelId(channel),
                value: pick(image, 70 + u64::from(channel), 5) as f32,
                share: 0.5,
                row: 0,
                column: 0,
            });
        }
    }
    for channel in 0..CHANNELS[layer as usize] {
        tables.histograms.insert(channel, vec![IMAGES]);
    }
    let entry = |((label, prediction, channel), images): ((u32, u32, u32), u32)| ActivationEntry {
        label,
        prediction,
        channel,
        images,
    };
    (tables, counts.into_iter().map(entry).collect())
}

fn write(folder: &Path, influence: bool) -> Questions {
    let class = |class: u32| ClassEntry {
        class: ClassId(class),
        external_id: format!("n{class}"),
        name: format!("kind {class}"),
        synonyms: Vec::new(),
    };
    let spec = RunSpec {
        tool_version: "0".to_owned(),
        model: ModelEntry {
            name: "synthetic.onnx".to_owned(),
            sha256: "ab".repeat(32),
            input_shape: vec![3, 8, 8],
            info: model(),
        },
        parameters: json!({"influence": influence.then_some("conv-max"), "top_rule": {"mass": 0.03}}),
        preprocessing: json!({}),
        classes: (0..CLASSES).map(class).collect(),
        images: ImageList {
            listed: IMAGES,
            sha256: "cd".repeat(32),
            passed_over: Vec::new(),
        },
    };
    let (layers, activations): (Vec<_>, Vec<_>) = (0..2).map(tables).unzip();
    let all: Vec<ImageId> = (0..IMAGES).map(ImageId).collect();
    let data = ShardTables {
        thumbnails: Vec::new(),
        images: (0..IMAGES).map(record).collect(),
        skipped: Vec::new(),
        layers,
        activations,
        influence: counted(&all),
    };
    let mut writer = RunWriter::create_or_resume(folder, spec).unwrap();
    writer
        .commit_shard(ImageRange::new(0, IMAGES), &data)
        .unwrap();
    writer.finalize().unwrap();
    Questions::open(folder).unwrap()
}

fn world() -> (tempfile::TempDir, Questions) {
    let folder = tempfile::tempdir().unwrap();
    let questions = write(&folder.path().join("run"), true);
    (folder, questions)
}

const GROUPS: [&str; 9] = [
    "all",
    "correct",
    "wrong",
    "kind 1",
    "prediction:2",
    "cell:0:1",
    "where:image < 17",
    "where:image >= 4 and label = 'kind 2'",
    "where:label is null or image = 0",
];

/// A summed from the images' lists, whatever the way the program takes.
fn plain_counts(group: &Group, layer: u32) -> Vec<u32> {
    let mut counts = vec![0; CHANNELS[layer as usize] as usize];
    for image in &group.images {
        top(image.0, layer)
            .into_iter()
            .for_each(|channel| counts[channel as usize] += 1);
    }
    counts
}

#[test]
fn counts_of_any_group_are_sums_over_its_images() {
    let (_folder, questions) = world();
    for text in GROUPS {
        let group = questions.group(text).unwrap();
        for layer in 0..2 {
            let found = questions.counts(&group, LayerId(layer)).unwrap();
            assert_eq!(found, plain_counts(&group, layer), "{text}");
        }
    }
}

#[test]
fn disjoint_groups_add_up_to_the_whole() {
    let (_folder, questions) = world();
    let whole = questions
        .counts_of_layers(&questions.group("all").unwrap())
        .unwrap();
    let splits: [&[&str]; 3] = [
        &["correct", "wrong", "where:label is null"],
        &["0", "1", "2", "3"],
        &["where:image < 31", "where:not image < 31"],
    ];
    for split in splits {
        let mut sum: Vec<Vec<u32>> = whole.iter().map(|row| vec![0; row.len()]).collect();
        for text in split {
            let part = questions
                .counts_of_layers(&questions.group(text).unwrap())
                .unwrap();
            for (sum, part) in sum.iter_mut().flatten().zip(part.iter().flatten()) {
                *sum += part;
            }
        }
        assert_eq!(sum, whole, "{split:?}");
    }
}

#[test]
fn influence_of_any_group_is_the_sum_over_its_images() {
    let (_folder, questions) = world();
    for text in GROUPS {
        let group = questions.group(text).unwrap();
        let found = questions.influence(&group, &Again).unwrap();
        for (table, matrix) in counted(&group.images).iter().zip(&found) {
            let [inputs, outputs] = CONVS[table.conv.index()];
            let triplets = table
                .entries
                .iter()
                .map(|entry| (entry.output, entry.input, entry.count))
                .collect();
            let plain = Csr::from_triplets(outputs, inputs, triplets).unwrap();
            assert_eq!(*matrix, plain, "{text}");
        }
        let split = !group.cover(questions.records()).partial.is_empty();
        let without = questions.influence(&group, &NoRecount);
        assert_eq!(
            matches!(without, Err(QueryError::Recount { .. })),
            split,
            "{text}"
        );
    }
}

#[test]
fn comparison_of_a_group_with_itself_and_with_others() {
    let (_folder, questions) = world();
    let choices = GraphChoices::default();
    let groups = GROUPS.map(|text| questions.group(text).unwrap());
    for first in &groups {
        let same = questions.compare([first, first], &choices, &Again).unwrap();
        assert!(
            same.graph
                .nodes
                .iter()
                .all(|node| node.side == Some(Side::Shared))
        );
        assert!(
            same.layers
                .iter()
                .all(|layer| layer.most_distinct.is_empty())
        );
        for second in &groups {
            let found = questions
                .compare([first, second], &choices, &Again)
                .unwrap();
            let back = questions
                .compare([second, first], &choices, &Again)
                .unwrap();
            found.graph.check().unwrap();
            let json = serde_json::to_string(&found).unwrap();
            assert!(!json.contains("NaN") && !json.contains("null,null"));
            for (layer, mirrored) in found.layers.iter().zip(&back.layers) {
                assert_eq!(layer.shared.len(), mirrored.shared.len());
                assert_eq!(layer.only_first.len(), mirrored.only_second.len());
                assert_eq!(layer.similarity, mirrored.similarity);
            }
            let own = questions.graph(first, &choices, &Again).unwrap().graph;
            let shown = |sides: [Side; 2]| {
                found
                    .graph
                    .nodes
                    .iter()
                    .filter(|node| node.side.is_some_and(|side| sides.contains(&side)))
                    .count()
            };
            assert_eq!(shown([Side::Shared, Side::First]), own.nodes.len());
        }
    }
}

#[test]
fn similar_classes_and_maps_of_few() {
    let (_folder, questions) = world();
    let group = questions.group("kind 1").unwrap();
    for found in questions.similar(&group, Grouping::Label, 10).unwrap() {
        let classes: BTreeSet<u32> = found.neighbours.iter().map(|n| n.group.0).collect();
        assert_eq!(
            classes,
            BTreeSet::from([0, 2, 3]),
            "itself and the empty class are left out"
        );
    }
    let layers = [LayerId(0), LayerId(1)];
    for (of, points) in [
        (MapOf::Classes(Grouping::Label), 4),
        (MapOf::Classes(Grouping::Prediction), 4),
        (MapOf::Images, IMAGES as usize),
    ] {
        let maps = questions.maps(of, &layers, &Umap::default()).unwrap();
        for map in maps {
            assert_eq!(
                (map.ids.len(), map.embedding.points.len()),
                (points, points)
            );
            assert!(
                map.embedding
                    .points
                    .iter()
                    .flatten()
                    .all(|value| value.is_finite())
            );
        }
    }
    let maps = questions
        .maps(MapOf::Channels, &layers, &Umap::default())
        .unwrap();
    assert_eq!(
        maps.iter().map(|map| map.ids.len()).collect::<Vec<_>>(),
        [6, 4]
    );
}

#[test]
fn examples_are_of_the_group_and_descend() {
    let (_folder, questions) = world();
    let group = questions.group("wrong").unwrap();
    for channel in questions.channels_of(&group, LayerId(0), 10, 3).unwrap() {
        assert_eq!(channel.examples.len(), 3.min(channel.images as usize));
        assert!(channel.examples.is_sorted_by(|a, b| a.value >= b.value));
        assert!(
            channel
                .examples
                .iter()
                .all(|example| group.contains(example.image))
        );
    }
}

#[test]
fn clear_answers_to_what_cannot_be_answered() {
    let (folder, questions) = world();
    for (text, reason) in [
        ("kind 9", "there is no class \"kind 9\""),
        ("kind 4", "no image of this run belongs"),
        ("where:image > 1000", "no image of this run belongs"),
        ("list:/no/such/file", "cannot be read"),
        ("cell:1", "cell:LABEL:PREDICTION"),
    ] {
        let error = questions.group(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
    let list = folder.path().join("list.txt");
    std::fs::write(&list, "003.png\n\n 007.png \n").unwrap();
    let text = format!("list:{}", list.display());
    assert_eq!(
        questions.group(&text).unwrap().images,
        [ImageId(3), ImageId(7)]
    );
    assert!(matches!(
        questions.group_without_files(&text),
        Err(QueryError::ListNotAllowed)
    ));
    std::fs::write(&list, "003.png\nnothing.png\n").unwrap();
    let error = questions.group(&text).unwrap_err().to_string();
    assert!(error.contains("nothing.png"), "{error}");
    assert!(
        questions
            .layer("layer9")
            .unwrap_err()
            .to_string()
            .contains("layer0, layer1")
    );

    let one = questions.group("kind 3").unwrap();
    assert_eq!(one.size(), 1);
    let graph = questions
        .graph(&one, &GraphChoices::default(), &NoRecount)
        .unwrap()
        .graph;
    assert!(!graph.nodes.is_empty());
    let contrast = GraphChoices {
        contrast: true,
        ..GraphChoices::default()
    };
    let graph = questions.graph(&one, &contrast, &NoRecount).unwrap().graph;
    assert!(
        graph.parameters.class_contrast
            && graph
                .nodes
                .iter()
                .all(|node| node.pagerank.is_some_and(f64::is_finite))
    );

    let without = write(&folder.path().join("without"), false);
    let all = without.group("all").unwrap();
    let error = without.graph(&all, &contrast, &NoRecount).unwrap_err();
    assert!(matches!(error, QueryError::NoInfluence(_)));
}
