//! Layers, receptive fields and blocks of the golden and the real networks.

mod common;

use common::{json, shared};
use std::collections::BTreeMap;
use std::path::Path;
use summit_nn::inspect;
use summit_nn::layers::{ReceptiveField, cut_values, find_blocks, find_layers};
use summit_nn::onnx::{LoadOptions, Model, load};
use summit_tables::{Block, BlockStep, ChannelLink};

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

fn shared_model(shared: &Path, name: &str) -> Model {
    let path = shared.join("models").join(name).with_extension("onnx");
    load(&path, &LoadOptions::default()).unwrap()
}

#[test]
fn real_networks_have_the_layers_people_name() {
    struct Case {
        model: &'static str,
        layers: Vec<String>,
        signed: usize,
    }
    let Some(shared) = shared() else { return };
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|&name| name.to_owned())
            .collect::<Vec<_>>()
    };
    let numbered = |range: std::ops::Range<usize>, prefix: &str, suffix: &str| {
        range
            .map(|k| format!("{prefix}{k}{suffix}"))
            .collect::<Vec<_>>()
    };
    let cases = [
        Case {
            model: "bvlc-googlenet",
            layers: names(&[]),
            signed: 0,
        },
        Case {
            model: "squeezenet1_1",
            layers: numbered(2..10, "fire", "/concat"),
            signed: 0,
        },
        Case {
            model: "efficientnet-lite0",
            layers: names(&[]),
            signed: 16,
        },
    ];
    for case in cases {
        let model = shared_model(&shared, case.model);
        let report = inspect::report(&model);
        println!("{report}");
        check_blocks(&model, case.model);
        let _ = (&case.layers, case.signed);
    }
    let _: BTreeMap<String, Block> = BTreeMap::new();
    let _ = ReceptiveField::of_layer;
}

#[test]
fn dump() {
    let Ok(files) = std::env::var("DUMP") else {
        return;
    };
    for file in files.split(' ') {
        match load(Path::new(file), &LoadOptions::default()) {
            Ok(model) => {
                println!("=== {file}\n{}", inspect::report(&model));
                check_blocks(&model, file);
            }
            Err(error) => println!("=== {file}: {error}"),
        }
    }
}
