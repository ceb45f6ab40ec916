//! From the ONNX file and the PNG images of every golden case to its attribution graphs, compared
//! with the expected values stage by stage.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may panic"
)]

use npyz::npz::NpzArchive;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use summit_explain::{
    BridgePlan, Csr, GraphParameters, GroupTables, SelectionParameters, TargetClass,
    activation_counts, conv_max_graph, group_counts, group_of_cell, group_of_image,
};
use summit_images::{
    DecodeLimits, ImageFolder, ImageSource, InputShape, Resize, ScanOptions, from_metadata,
    load_and_preprocess,
};
use summit_nn::exec::{CompileOptions, Network};
use summit_nn::graph::Tensor;
use summit_nn::layers::{Blocks, LayerValue, cut_values, find_blocks, find_layers};
use summit_nn::onnx::{self, LoadOptions, Model};
use summit_nn::reference;
use summit_nn::spatial::{ConvMax, Flattened};
use summit_summarize::{Accumulator, ImageSummary, Pass, PassOptions, Worker};
use summit_tables::{
    ChannelId, ClassId, GroupId, Grouping, ImageId, ImageRecord, ShardTables, TopRule,
};

const CASES: [&str; 3] = ["inception-tiny", "resnet-tiny", "depthwise-tiny"];
const GROUPINGS: [(&str, Grouping, u32); 4] = [
    ("label", Grouping::Label, 4),
    ("prediction", Grouping::Prediction, 4),
    ("confusion", Grouping::Confusion, 16),
    ("correct", Grouping::Correct, 2),
];

struct Case {
    name: &'static str,
    folder: PathBuf,
    model: Model,
    layers: Vec<LayerValue>,
    blocks: Blocks,
    /// Preprocessed images with their label.
    images: Vec<(String, ClassId, Vec<f32>)>,
}

fn cases() -> Vec<Case> {
    let shared = std::env::var_os("SUMMIT_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    if !shared.join("golden").is_dir() {
        println!("skipped: ../shared absent");
        return Vec::new();
    }
    CASES
        .map(|name| Case::load(name, shared.join("golden").join(name)))
        .into()
}

impl Case {
    fn load(name: &'static str, folder: PathBuf) -> Self {
        let model = onnx::load(&folder.join("model.onnx"), &LoadOptions::default()).unwrap();
        let layers = find_layers(&model.graph);
        let blocks = find_blocks(&model.graph, &layers);
        let input = InputShape {
            channels: 3,
            height: 32,
            width: 32,
        };
        let mut preprocessing = from_metadata(&model.metadata, input).preprocessing;
        preprocessing.resize = Resize::None;
        let source = ImageFolder::scan(&folder.join("images"), &ScanOptions::default()).unwrap();
        let folders = &source.list().folders;
        let images = source
            .list()
            .items
            .iter()
            .map(|item| {
                let mut pixels = vec![0.0; preprocessing.output_len()];
                load_and_preprocess(
                    &source,
                    item,
                    &DecodeLimits::default(),
                    &preprocessing,
                    &mut pixels,
                )
                .unwrap();
                let folder = item.folder.as_ref().unwrap();
                let class = folders.iter().position(|known| known == folder).unwrap();
                (item.path.clone(), ClassId::from_index(class), pixels)
            })
            .collect();
        Self {
            name,
            folder,
            model,
            layers,
            blocks,
            images,
        }
    }

    fn json(&self, file: &str) -> Value {
        let path = self.folder.join("expected").join(file);
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn array<T: npyz::Deserialize>(&self, file: &str, key: &str) -> Vec<T> {
        let mut archive = NpzArchive::open(self.folder.join("expected").join(file)).unwrap();
        archive
            .by_name(key)
            .unwrap()
            .unwrap_or_else(|| panic!("{file}: {key}"))
            .into_vec()
            .unwrap()
    }

    fn summaries(&self, options: PassOptions) -> (Arc<Pass>, Vec<ImageSummary>) {
        let pass = Pass::new(&self.model.graph, &self.layers, &self.blocks, options).unwrap();
        let pass = Arc::new(pass);
        let mut worker = Worker::new(&pass).unwrap();
        let summaries = self
            .images
            .iter()
            .map(|(_, label, pixels)| worker.summarize(pixels, Some(*label)).unwrap())
            .collect();
        (pass, summaries)
    }

    fn tables(&self, options: PassOptions) -> ShardTables {
        let (pass, summaries) = self.summaries(options);
        let mut sums = Accumulator::new(pass.info());
        // Backwards: order must not matter.
        for (index, summary) in summaries.iter().enumerate().rev() {
            sums.add(self.record(index, summary), summary, Vec::new());
        }
        sums.finish()
    }

    fn record(&self, index: usize, summary: &ImageSummary) -> ImageRecord {
        let (path, label, _) = &self.images[index];
        let prediction = summary.prediction.clone();
        ImageRecord {
            image: ImageId::from_index(index),
            path: path.clone(),
            label: Some(*label),
            top_classes: prediction.top_classes,
            top_probabilities: prediction.top_probabilities,
            label_probability: prediction.label_probability,
            margin: prediction.margin,
            runner_up: prediction.runner_up,
            width: 32,
            height: 32,
        }
    }

    /// The counts of every convolution per group.
    fn counts(&self, tables: &ShardTables, grouping: Grouping, groups: u32) -> Vec<Vec<Csr>> {
        let convs = &self.blocks.info.convs;
        let mut counts: Vec<Vec<Csr>> = convs
            .iter()
            .map(|conv| {
                let empty = Csr::from_triplets(conv.outputs, conv.inputs, Vec::new()).unwrap();
                vec![empty; groups as usize]
            })
            .collect();
        for table in &tables.influence {
            let conv = &convs[table.conv.index()];
            counts[table.conv.index()] = group_counts(table, conv, groups, |label, prediction| {
                group_of_cell(grouping, 4, label, prediction)
            })
            .unwrap();
        }
        counts
    }
}

fn mass(share: f64) -> PassOptions {
    PassOptions {
        rule: TopRule::Mass(share),
        ..PassOptions::default()
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect()
}

#[test]
fn layers_and_cuts() {
    for case in cases() {
        let expected = case.json("layers.json");
        let wanted: Vec<(String, u64, u64, u64)> = expected["layers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|layer| {
                let number = |key: &str| layer[key].as_u64().unwrap();
                (
                    layer["tensor"].as_str().unwrap().into(),
                    number("C"),
                    number("H"),
                    number("W"),
                )
            })
            .collect();
        let found: Vec<(String, u64, u64, u64)> = case
            .layers
            .iter()
            .map(|layer| {
                let info = &layer.info;
                (
                    info.name.clone(),
                    info.channels.into(),
                    info.height.into(),
                    info.width.into(),
                )
            })
            .collect();
        assert_eq!(found, wanted, "{}", case.name);
        let graph = &case.model.graph;
        let cuts: Vec<&str> = cut_values(graph)
            .into_iter()
            .map(|value| graph.values[value.index()].name.as_str())
            .collect();
        let wanted: Vec<&str> = expected["all_cut_tensors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        assert_eq!(cuts, wanted, "{}", case.name);
    }
}

#[test]
fn predictions() {
    for case in cases() {
        let (_, summaries) = case.summaries(PassOptions::default());
        let expected = case.json("predictions.json");
        for (index, (summary, expected)) in summaries
            .iter()
            .zip(expected.as_array().unwrap())
            .enumerate()
        {
            for (found, wanted) in summary.logits.iter().zip(numbers(&expected["logits"])) {
                assert!(
                    (f64::from(*found) - wanted).abs() < 2e-5,
                    "{} {index}",
                    case.name
                );
            }
            let prediction = &summary.prediction;
            assert_eq!(
                u64::from(prediction.top_classes[0].0),
                expected["pred"].as_u64().unwrap()
            );
            assert_eq!(
                u64::from(prediction.runner_up.0),
                expected["runner_up_of_label"].as_u64().unwrap()
            );
            let margin = expected["z_label"].as_f64().unwrap();
            assert!(
                (f64::from(prediction.margin) - margin).abs() < 2e-5,
                "{} {index}",
                case.name
            );
        }
    }
}

#[test]
fn channel_maxima_and_positions() {
    for case in cases() {
        let (_, summaries) = case.summaries(PassOptions::default());
        for (index, layer) in case.layers.iter().enumerate() {
            let name = &layer.info.name;
            let channels = layer.info.channels as usize;
            let values: Vec<f64> = case.array("channels.npz", &format!("{name}.v"));
            let rows: Vec<i32> = case.array("channels.npz", &format!("{name}.row"));
            let columns: Vec<i32> = case.array("channels.npz", &format!("{name}.col"));
            let gaps: Vec<f32> = case.array("channels.npz", &format!("{name}.gap"));
            for (image, summary) in summaries.iter().enumerate() {
                for (channel, &(value, row, column)) in
                    summary.layers[index].maxima.iter().enumerate()
                {
                    let at = image * channels + channel;
                    let found = f64::from(value.max(0.0));
                    assert!(
                        (found - values[at]).abs() < 2e-5,
                        "{} {name} {image} {channel}",
                        case.name
                    );
                    // A gap of exactly 0 is a tie that the first position wins; a tiny one is
                    // decided by rounding.
                    if gaps[at] == 0.0 || gaps[at] > 2e-5 {
                        assert_eq!(
                            (i32::from(row), i32::from(column)),
                            (rows[at], columns[at]),
                            "{} {name} image {image} channel {channel}",
                            case.name
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn activation_aggregation() {
    for case in cases() {
        let lists = case.json("top_channels.json");
        let expected = case.json("A.json");
        let rules = [
            ("mass0.03", TopRule::Mass(0.03)),
            ("mass0.30", TopRule::Mass(0.30)),
            ("top5", TopRule::TopK(5)),
        ];
        for (rule_name, rule) in rules {
            let options = PassOptions {
                rule,
                influence: false,
                ..PassOptions::default()
            };
            let tables = case.tables(options);
            for (index, layer) in case.layers.iter().enumerate() {
                let name = layer.info.name.as_str();
                let mut found: Vec<Vec<u64>> = vec![Vec::new(); case.images.len()];
                for top in &tables.layers[index].top_channels {
                    found[top.image.index()].push(top.channel.0.into());
                }
                let wanted: Vec<Vec<u64>> =
                    serde_json::from_value(lists["layers"][name][rule_name].clone()).unwrap();
                assert_eq!(found, wanted, "{} {name} {rule_name}", case.name);
                for (grouping_name, grouping, groups) in GROUPINGS {
                    let counts = activation_counts(
                        &tables.layers[index].top_channels,
                        layer.info.channels,
                        groups,
                        |image| group_of_image(grouping, 4, &tables.images[image.index()]),
                        &[],
                    )
                    .unwrap();
                    // The same from the counts by cell that the store keeps.
                    let mut by_cell = vec![vec![0; layer.info.channels as usize]; groups as usize];
                    for entry in &tables.activations[index] {
                        let group =
                            group_of_cell(grouping, 4, entry.label, entry.prediction).unwrap();
                        by_cell[group.0 as usize][entry.channel as usize] += entry.images;
                    }
                    let wanted: Vec<Vec<u32>> =
                        serde_json::from_value(expected[name][rule_name][grouping_name].clone())
                            .unwrap();
                    for group in 0..groups {
                        assert_eq!(
                            counts.group(GroupId(group)),
                            wanted[group as usize],
                            "{} {name} {rule_name} {grouping_name} {group}",
                            case.name
                        );
                    }
                    assert_eq!(by_cell, wanted, "{} {name} {rule_name} by cell", case.name);
                }
            }
        }
    }
}

#[test]
fn excluded_channels() {
    for case in cases() {
        let expected = case.json("A_exclude.json");
        let options = PassOptions {
            excluded: case
                .layers
                .iter()
                .flat_map(|layer| {
                    let channels = expected[layer.info.name.as_str()]["excluded"]
                        .as_array()
                        .unwrap();
                    channels
                        .iter()
                        .map(|channel| (layer.info.id, ChannelId(channel.as_u64().unwrap() as u32)))
                })
                .collect(),
            influence: false,
            ..PassOptions::default()
        };
        assert!(!options.excluded.is_empty(), "{}", case.name);
        let tables = case.tables(options);
        for (index, layer) in case.layers.iter().enumerate() {
            let counts = activation_counts(
                &tables.layers[index].top_channels,
                layer.info.channels,
                4,
                |image| Some(GroupId(tables.images[image.index()].label?.0)),
                &[],
            )
            .unwrap();
            let entry = &expected[layer.info.name.as_str()]["mass0.03"];
            let wanted: Vec<Vec<u32>> = serde_json::from_value(entry.clone()).unwrap();
            for group in 0..4 {
                assert_eq!(
                    counts.group(GroupId(group)),
                    wanted[group as usize],
                    "{}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn conv_max_values() {
    for case in cases() {
        let observed = case.blocks.convs.iter().map(|conv| conv.reads).collect();
        let options = CompileOptions {
            observed,
            ..CompileOptions::default()
        };
        let network = Network::compile(&case.model.graph, &options).unwrap();
        let mut session = network.session();
        for conv in &case.blocks.convs {
            let expected: Vec<f32> = case.array("conv_max_L.npz", &conv.info.name);
            let scale = expected
                .iter()
                .fold(0.0f32, |max, value| max.max(value.abs()));
            let kernel =
                ConvMax::new(&case.model.graph, conv.node, None, Flattened::PLAIN).unwrap();
            let per_image = expected.len() / case.images.len();
            for (index, (_, _, pixels)) in case.images.iter().enumerate() {
                let mut found = Vec::new();
                session
                    .run(pixels, &mut |value, view| {
                        if value == conv.reads {
                            found = kernel.all(&view).unwrap();
                        }
                    })
                    .unwrap();
                let wanted = &expected[index * per_image..(index + 1) * per_image];
                assert_eq!(
                    found.len(),
                    wanted.len(),
                    "{} {}",
                    case.name,
                    conv.info.name
                );
                for (a, b) in found.iter().zip(wanted) {
                    assert!(
                        (a - b).abs() <= 1e-5 * scale,
                        "{} {}: {a} {b}",
                        case.name,
                        conv.info.name
                    );
                }
            }
        }
    }
}

#[test]
fn conv_max_counts() {
    for case in cases() {
        let tables = case.tables(mass(0.03));
        for (name, grouping, groups) in GROUPINGS.into_iter().take(2) {
            let counts = case.counts(&tables, grouping, groups);
            for conv in &case.blocks.info.convs {
                let file = format!("conv_max_I_{name}.npz");
                let expected: Vec<u32> = case.array(&file, &conv.name);
                let per_group = expected.len() / groups as usize;
                for group in 0..groups {
                    let mut found = vec![0; per_group];
                    let matrix = &counts[conv.id.index()][group as usize];
                    for output in 0..conv.outputs {
                        for (input, count) in matrix.row_entries(output) {
                            let at = if conv.depthwise {
                                output
                            } else {
                                output * conv.inputs + input
                            };
                            found[at as usize] = count;
                        }
                    }
                    let wanted = &expected[group as usize * per_group..][..per_group];
                    assert_eq!(found, wanted, "{} {} {name} {group}", case.name, conv.name);
                }
            }
        }
    }
}

#[test]
fn bridged_weights() {
    for case in cases() {
        let tables = case.tables(mass(0.03));
        for (name, grouping, groups) in GROUPINGS.into_iter().take(2) {
            let counts = case.counts(&tables, grouping, groups);
            for (block, layer) in case.blocks.info.blocks.iter().zip(&case.layers[1..]) {
                let plan = BridgePlan::new(block, &case.blocks.info.convs).unwrap();
                let stem = format!("{name}.{}", layer.info.name);
                let full: Vec<u32> = case.array("bridged.npz", &format!("{stem}.full"));
                let kept: Vec<u32> = case.array("bridged.npz", &format!("{stem}.kept"));
                let per_group = full.len() / groups as usize;
                for group in 0..groups {
                    let images = tables
                        .images
                        .iter()
                        .filter(|record| {
                            group_of_image(grouping, 4, record) == Some(GroupId(group))
                        })
                        .count() as u32;
                    let bridged = plan
                        .bridge(|conv| counts[conv.index()].get(group as usize), images)
                        .unwrap();
                    for (matrix, wanted) in [(&bridged.full, &full), (&bridged.kept, &kept)] {
                        let mut found = vec![0; per_group];
                        for row in 0..matrix.rows() {
                            for (column, weight) in matrix.row_entries(row) {
                                found[(row * matrix.columns() + column) as usize] = weight;
                            }
                        }
                        let wanted = &wanted[group as usize * per_group..][..per_group];
                        assert_eq!(found, wanted, "{} {stem} {group}", case.name);
                    }
                }
            }
        }
    }
}

#[test]
fn graphs() {
    for case in cases() {
        let expected = case.json("graph.json");
        for (rule, share) in [("mass0.03", 0.03), ("mass0.30", 0.30)] {
            let tables = case.tables(mass(share));
            let counts = case.counts(&tables, Grouping::Label, 4);
            for wanted in expected["conv_max"][rule].as_array().unwrap() {
                graph_equals(&case, &tables, &counts, wanted);
            }
        }
    }
}

fn graph_equals(case: &Case, tables: &ShardTables, counts: &[Vec<Csr>], wanted: &Value) {
    let group = wanted["group"].as_u64().unwrap() as u32;
    let info = &case.blocks.info;
    let label = |record: &ImageRecord| record.label.unwrap().0;
    let images = tables
        .images
        .iter()
        .filter(|record| label(record) == group)
        .count() as u32;
    let rows: Vec<Vec<u32>> = info
        .layers
        .iter()
        .map(|layer| {
            let list = &tables.layers[layer.id.index()].top_channels;
            let all = activation_counts(
                list,
                layer.channels,
                4,
                |image| Some(GroupId(label(&tables.images[image.index()]))),
                &[],
            );
            all.unwrap().group(GroupId(group)).to_vec()
        })
        .collect();
    let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
    let mut links: Vec<Csr> = info
        .blocks
        .iter()
        .map(|block| {
            let plan = BridgePlan::new(block, &info.convs).unwrap();
            plan.bridge(|conv| counts[conv.index()].get(group as usize), images)
                .unwrap()
                .kept
        })
        .collect();
    let logits = links.pop().unwrap();
    let parameters = GraphParameters {
        selection: SelectionParameters {
            start_threshold: wanted["start_threshold"].as_f64().unwrap(),
            ..SelectionParameters::default()
        },
        ..GraphParameters::default()
    };
    let tables = GroupTables {
        layers: &info.layers,
        name: "group",
        images,
        counts: &rows,
        targets: &[TargetClass {
            class: ClassId(group),
            name: "group".into(),
        }],
        contrast: None,
    };
    let graph = conv_max_graph(&tables, &links, &logits, &parameters).unwrap();
    let at = format!("{} group {group} {}", case.name, wanted["start_threshold"]);
    assert_eq!(
        u64::from(graph.parameters.relaxation_rounds),
        wanted["relaxation_rounds"].as_u64().unwrap(),
        "{at}"
    );
    for layer in &graph.layers {
        let threshold = wanted["thresholds"][layer.name.as_str()].as_f64().unwrap();
        assert!(
            (layer.threshold - threshold).abs() < 1e-9,
            "{at} {}",
            layer.name
        );
    }
    let name = |node: u32| {
        let node = &graph.nodes[node as usize];
        (
            graph.layers[node.layer as usize].name.clone(),
            u64::from(node.channel.0),
        )
    };
    let found: Vec<(String, u64)> = (0..graph.nodes.len() as u32)
        .filter(|&node| !graph.nodes[node as usize].added_for_logit)
        .map(name)
        .collect();
    let nodes: Vec<(String, u64)> = wanted["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| {
            (
                node["layer"].as_str().unwrap().to_owned(),
                node["channel"].as_u64().unwrap(),
            )
        })
        .collect();
    let sorted = |mut list: Vec<(String, u64)>| {
        list.sort();
        list
    };
    assert_eq!(sorted(found), sorted(nodes), "{at}");
    // The golden files hold the selection before a channel is added to reach the logit.
    let selected = |node: u32| !graph.nodes[node as usize].added_for_logit;
    let mut found: Vec<_> = graph
        .edges
        .iter()
        .filter(|edge| selected(edge.to))
        .map(|edge| {
            (
                name(edge.from),
                name(edge.to),
                u64::from(edge.influence.unwrap()),
            )
        })
        .collect();
    let mut edges: Vec<_> = wanted["edges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| {
            let end = |layer: &str, channel: &str| {
                (
                    edge[layer].as_str().unwrap().to_owned(),
                    edge[channel].as_u64().unwrap(),
                )
            };
            let influence = edge["influence"].as_u64().unwrap();
            (
                end("prev_layer", "prev_channel"),
                end("layer", "channel"),
                influence,
            )
        })
        .collect();
    found.sort();
    edges.sort();
    assert_eq!(found, edges, "{at}");
    let wanted_logits = wanted["edges_to_class_logit"].as_array().unwrap().len();
    let found_logits = graph
        .logit_edges
        .iter()
        .filter(|edge| !graph.nodes[edge.from as usize].added_for_logit)
        .count();
    assert_eq!(found_logits, wanted_logits, "{at}");
}

/// Masks from the reference executor's maps, cell by cell, unit by unit.
#[test]
fn masks_show_where_channels_are_active() {
    let mut told = [0; 2];
    for case in cases() {
        let (_, summaries) = case.summaries(PassOptions::default());
        for (summary, (_, _, pixels)) in summaries.iter().zip(&case.images) {
            let input = Tensor {
                shape: vec![1, 3, 32, 32],
                data: pixels.clone().into(),
            };
            let values = reference::run(&case.model.graph, &input).unwrap();
            for (layer, found) in case.layers.iter().zip(&summary.layers) {
                let map = &values[layer.value.index()].as_ref().unwrap().data;
                for (channel, &mask) in found.masks.iter().enumerate() {
                    mask_equals(layer, map, channel, mask, &mut told);
                }
            }
        }
    }
    if !cases().is_empty() {
        let [silent, active] = told;
        assert!(silent > 1000 && active > 1000, "{silent}, {active}");
    }
}

/// * `map`: `[channels][height][width]` of the layer.
fn mask_equals(layer: &LayerValue, map: &[f32], channel: usize, mask: u64, told: &mut [u32; 2]) {
    let info = &layer.info;
    let (height, width) = (info.height as usize, info.width as usize);
    let map = &map[channel * height * width..][..height * width];
    let maximum = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if maximum <= 0.0 {
        assert_eq!(mask, 0);
        return;
    }
    let first = map.iter().position(|&value| value == maximum).unwrap();
    let extent = f64::from(info.receptive_size[0].min(info.receptive_size[1]).min(32));
    // The units of a cell of the square around the maximum; of an empty one, those nearest to its middle.
    let units_of = |axis: usize, own: usize, units: usize, cell: usize| -> Vec<usize> {
        let half = f64::from(info.receptive_size[axis]) / 2.0;
        let centre = |unit: usize| {
            info.receptive_start[axis] + info.receptive_stride[axis] * unit as f64 + half
        };
        let top = (centre(own) - extent / 2.0).clamp(0.0, 32.0 - extent);
        let place = |unit: usize| ((centre(unit) - top) / (extent / 8.0)).floor();
        let inside = |&unit: &usize| {
            let place = place(unit);
            let place = if unit == own {
                place.clamp(0.0, 7.0)
            } else {
                place
            };
            place == cell as f64
        };
        let found: Vec<usize> = (0..units).filter(inside).collect();
        if let (Some(&first), Some(&last)) = (found.first(), found.last()) {
            return (first..=last).collect();
        }
        let middle = top + (cell as f64 + 0.5) * extent / 8.0;
        let distance = |unit: usize| (centre(unit) - middle).abs();
        let least = (0..units).map(distance).fold(f64::INFINITY, f64::min);
        let near = |&unit: &usize| distance(unit) < least + 1e-9;
        (0..units).filter(near).collect()
    };
    let row = first / width;
    assert_ne!(mask, 0, "{}: {channel}", info.name);
    for cell in 0..64 {
        let rows = units_of(0, row, height, cell / 8);
        let columns = units_of(1, first % width, width, cell % 8);
        let units = rows
            .iter()
            .flat_map(|row| columns.iter().map(move |column| (row, column)));
        let share = units
            .map(|(row, column)| map[row * width + column] / maximum)
            .fold(f32::NEG_INFINITY, f32::max);
        // Between units as near, or at a hair's breadth from the half, either is right.
        if (share - 0.5).abs() < 1e-4 {
            continue;
        }
        let active = share > 0.5;
        assert_eq!(
            mask >> cell & 1 == 1,
            active,
            "{}: {channel}, {cell}",
            info.name
        );
        told[usize::from(active)] += 1;
    }
}
