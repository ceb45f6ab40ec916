//! Layers, receptive fields and blocks of the golden and the real networks.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{json, shared};
use std::path::Path;
use summit_nn::inspect;
use summit_nn::layers::{cut_values, find_blocks, find_layers};
use summit_nn::onnx::{LoadOptions, Model, load};
use summit_tables::{BlockStep, ChannelLink};

fn golden(shared: &Path, case: &str) -> (Model, impl Fn(&str) -> serde_json::Value + use<>) {
    let folder = shared.join("golden").join(case);
    let model = load(&folder.join("model.onnx"), &LoadOptions::default()).unwrap();
    let expected = folder.join("expected");
    (model, move |file: &str| json(&expected.join(file)))
}

const GOLDEN: [&str; 3] = ["inception-tiny", "resnet-tiny", "depthwise-tiny"];

#[test]
fn golden_layers_and_cuts() {
    let Some(shared) = shared() else { return };
    for case in GOLDEN {
        let (model, expected) = golden(&shared, case);
        let graph = &model.graph;
        let layers: Vec<serde_json::Value> = find_layers(graph)
            .iter()
            .map(|layer| {
                let info = &layer.info;
                serde_json::json!({
                    "tensor": info.name, "C": info.channels, "H": info.height, "W": info.width,
                })
            })
            .collect();
        let cuts: Vec<&str> = cut_values(graph)
            .iter()
            .map(|value| graph.values[value.index()].name.as_str())
            .collect();
        let file = expected("layers.json");
        assert_eq!(serde_json::Value::from(layers), file["layers"], "{case}");
        assert_eq!(
            serde_json::json!(cuts),
            file["all_cut_tensors"],
            "{case}: cuts"
        );
    }
}

#[test]
fn golden_blocks() {
    let Some(shared) = shared() else { return };
    for case in GOLDEN {
        let (model, expected) = golden(&shared, case);
        let found = find_blocks(&model.graph, &find_layers(&model.graph));
        let name = |layer: summit_tables::LayerId| &found.info.layers[layer.index()].name;
        let between = found
            .info
            .blocks
            .iter()
            .filter_map(|block| Some((block, block.upper?)));
        let blocks: Vec<serde_json::Value> = between
            .map(|(block, upper)| {
                let convs: Vec<serde_json::Value> = block
                    .convs
                    .iter()
                    .map(|id| {
                        let conv = &found.info.convs[id.index()];
                        let mut shape = vec![24, conv.outputs];
                        if !conv.depthwise {
                            shape.push(conv.inputs);
                        }
                        serde_json::json!({"conv": conv.name, "reads": conv.reads, "shape_L": shape})
                    })
                    .collect();
                serde_json::json!({"from": name(block.lower), "to": name(upper), "convs": convs})
            })
            .collect();
        assert_eq!(
            serde_json::Value::from(blocks),
            expected("blocks.json"),
            "{case}"
        );
        let last = found.info.blocks.last().unwrap();
        let into_logits: Vec<&str> = last
            .convs
            .iter()
            .map(|id| found.info.convs[id.index()].name.as_str())
            .collect();
        assert_eq!(into_logits, ["logits"], "{case}");
        assert_eq!((last.upper, found.info.classes), (None, 4), "{case}");
        check_blocks(&model, case);
    }
}

/// What holds for the blocks of any network.
fn check_blocks(model: &Model, case: &str) {
    let found = find_blocks(&model.graph, &find_layers(&model.graph));
    assert_eq!(found.info.convs.len(), found.convs.len());
    for (place, (conv, info)) in found.convs.iter().zip(&found.info.convs).enumerate() {
        assert_eq!((&conv.info, conv.info.id.index()), (info, place), "{case}");
    }
    let mut met = 0;
    for block in &found.info.blocks {
        let lower = found.info.layers[block.lower.index()].channels;
        let upper = block.upper.map_or(found.info.classes, |layer| {
            found.info.layers[layer.index()].channels
        });
        assert_eq!(
            (block.tensors.first(), block.tensors.last()),
            (Some(&lower), Some(&upper)),
            "{case}"
        );
        assert!(!block.edges.is_empty(), "{case}: {block:?}");
        for edge in &block.edges {
            let channels = |tensor: u32| block.tensors[tensor as usize];
            let (from, to) = (channels(edge.from), channels(edge.to));
            assert!(edge.from < edge.to, "{case}");
            match &edge.step {
                BlockStep::Conv(id) => {
                    let conv = &found.info.convs[id.index()];
                    assert_eq!((conv.inputs, conv.outputs), (from, to), "{case}: {conv:?}");
                    met += 1;
                }
                BlockStep::Link(ChannelLink { pairs: None }) => assert_eq!(from, to, "{case}"),
                BlockStep::Link(ChannelLink { pairs: Some(pairs) }) => {
                    assert!(pairs.iter().all(|&(i, j)| i < from && j < to), "{case}");
                    assert!(pairs.is_sorted_by_key(|&(i, j)| (j, i)), "{case}");
                }
            }
        }
    }
    assert_eq!(
        met,
        found.convs.len(),
        "{case}: each convolution is one edge"
    );
}

#[test]
fn real_networks_have_the_layers_people_name() {
    struct Case {
        model: &'static str,
        layers: Vec<String>,
        signed: usize,
        /// Of the last layer: extent and stride of the receptive field.
        field: (u32, f64),
        multiply_adds: u64,
    }
    let Some(shared) = shared() else { return };
    let inception = ["3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"];
    let skips = [2, 4, 6, 7, 9, 10, 12, 13, 14];
    let cases = [
        Case {
            model: "bvlc-googlenet",
            layers: ["conv1/7x7_s2", "conv2/3x3_reduce", "conv2/3x3"]
                .map(str::to_owned)
                .into_iter()
                .chain(inception.map(|name| format!("inception_{name}/output")))
                .collect(),
            signed: 0,
            field: (715, 32.0),
            multiply_adds: 1_582_671_872,
        },
        Case {
            model: "squeezenet1_1",
            layers: ["conv1.out".to_owned()]
                .into_iter()
                .chain(
                    (2..10).flat_map(|k| [format!("fire{k}.squeeze1x1.out"), format!("fire{k}")]),
                )
                .chain(["conv10.out".to_owned()])
                .collect(),
            signed: 0,
            field: (207, 16.0),
            multiply_adds: 349_151_936,
        },
        Case {
            model: "efficientnet-lite0",
            layers: ["stem.out".to_owned()]
                .into_iter()
                .chain((0..16).map(|k| {
                    let end = if skips.contains(&k) {
                        "add"
                    } else {
                        "project.out"
                    };
                    format!("block{k}.{end}")
                }))
                .chain(["head.out".to_owned()])
                .collect(),
            signed: 16,
            field: (851, 32.0),
            multiply_adds: 385_187_552,
        },
    ];
    let mut failures = Vec::new();
    for case in cases {
        let path = shared
            .join("models")
            .join(case.model)
            .with_extension("onnx");
        let model = load(&path, &LoadOptions::default()).unwrap();
        let report = inspect::report(&model);
        let names = report.layers.iter().map(|layer| layer.name.clone());
        let signed = report.layers.iter().filter(|layer| layer.signed).count();
        let last = report.layers.last().unwrap();
        let found = (
            names.collect::<Vec<_>>(),
            signed,
            (last.receptive_size[0], last.receptive_stride[0]),
            report.multiply_adds,
        );
        let expected = (case.layers, case.signed, case.field, case.multiply_adds);
        if found != expected {
            failures.push(format!("{}: {found:?}", case.model));
        }
        assert!(
            report
                .blocks
                .iter()
                .all(|block| block.connected && block.untraced.is_empty())
        );
        check_blocks(&model, case.model);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_report_reads_as_a_table() {
    let Some(shared) = shared() else { return };
    let (model, _) = golden(&shared, "depthwise-tiny");
    let text = inspect::report(&model).to_string();
    let tables = text.split_once("\n\n").map(|(_, tables)| tables);
    assert_eq!(
        tables,
        Some(
            "\
layers, input side first (4 of 8 cuts)
  layer       channels    map  sees px  every px
  stem_clip         16  16x16        3         2
  block1_add        16  16x16        7         2  signed
  block2_add        16  16x16       11         2  signed
  head_clip         32  16x16       11         2

blocks, each from the layer before (depth: convolutions on a path)
  into        convs  depth
  block1_add      3    0-3
  block2_add      3    0-3
  head_clip       1      1
  logits          1      1
"
        )
    );
    let json = serde_json::to_value(inspect::report(&model)).unwrap();
    assert_eq!(json["layers"][1]["name"], "block1_add");
    assert_eq!(json["blocks"][0]["depth"], serde_json::json!([0, 3]));
}
