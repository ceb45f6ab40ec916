//! Blocks: which tensors, edges and convolutions remain, and that contraction changes no path.

use super::build::{Net, Window};
use crate::graph::ir::{Binary, Graph, Unary};
use crate::layers::contract::{Edge, Steps, contract};
use crate::layers::{Blocks, find_blocks, find_layers};
use proptest::prelude::*;
use std::collections::BTreeSet;
use summit_tables::{Block, BlockStep, ConvId};

const POINT: Window = Window(1, 1, 0);
const THREE: Window = Window(3, 1, 1);

fn blocks(graph: &Graph) -> Blocks {
    find_blocks(graph, &find_layers(graph))
}

/// `from -name-> to` for a convolution, `from => to` for an identity, `from => to: pairs` else.
fn edges(found: &Blocks, block: &Block) -> Vec<String> {
    let lines = block.edges.iter().map(|edge| {
        let (from, to) = (edge.from, edge.to);
        match &edge.step {
            BlockStep::Conv(id) => {
                format!("{from} -{}-> {to}", found.info.convs[id.index()].name)
            }
            BlockStep::Link(link) => match &link.pairs {
                None => format!("{from} => {to}"),
                Some(pairs) => format!("{from} => {to}: {pairs:?}"),
            },
        }
    });
    lines.collect()
}

fn plain_shape(found: &Blocks) -> Vec<(Vec<u32>, Vec<String>)> {
    let blocks = found.info.blocks.iter();
    blocks
        .map(|block| (block.tensors.clone(), edges(found, block)))
        .collect()
}

#[test]
fn a_bottleneck_with_a_skip() {
    let mut net = Net::new(3, 8);
    let x = net.conv("stem", net.input(), 4, THREE);
    let stem = net.relu("stem_relu", x);
    let x = net.conv("reduce", stem, 2, POINT);
    let x = net.batch_norm("reduce_norm", x, &[1.0, -2.0]);
    let x = net.relu("reduce_relu", x);
    let x = net.conv("expand", x, 4, THREE);
    let x = net.add("sum", x, stem);
    let x = net.relu("out", x);
    let graph = net.classifier(x, 5);
    let found = blocks(&graph);
    let lines = |lines: &[&str]| {
        lines
            .iter()
            .map(|&line| line.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        plain_shape(&found),
        [
            (
                vec![4, 2, 4],
                lines(&["0 -reduce-> 1", "0 => 2", "1 -expand-> 2"])
            ),
            (vec![4, 5], lines(&["0 -logits-> 1"])),
        ]
    );
    let reads: Vec<&str> = found
        .convs
        .iter()
        .map(|conv| conv.info.reads.as_str())
        .collect();
    assert_eq!(reads, ["stem_relu", "reduce_relu", "flat"]);
    assert_eq!(found.convs[0].output_scale, Some(vec![1.0, -2.0]));
    assert_eq!(
        found.convs[1].output_scale, None,
        "its result is also what the skip is added to"
    );
    assert_eq!(found.info.blocks[1].upper, None);
    assert_eq!(found.info.classes, 5);
}

#[test]
fn an_inception_block_has_a_slot_per_branch() {
    let mut net = Net::new(3, 8);
    let x = net.conv("stem", net.input(), 4, THREE);
    let x = net.relu("stem_relu", x);
    let x = net.max_pool("pool", x, Window(2, 2, 0));
    let a = net.conv("a", x, 2, POINT);
    let a = net.relu("a_relu", a);
    let b = net.conv("b1", x, 3, POINT);
    let b = net.relu("b1_relu", b);
    let b = net.conv("b2", b, 2, THREE);
    let b = net.relu("b2_relu", b);
    let x = net.concat("out", &[a, x, b]);
    let graph = net.classifier(x, 2);
    let found = blocks(&graph);
    assert_eq!(found.info.blocks[0].tensors, [4, 2, 3, 2, 8]);
    assert_eq!(
        edges(&found, &found.info.blocks[0]),
        [
            "0 -a-> 1",
            "0 -b1-> 2",
            "2 -b2-> 3",
            "0 => 4: [(0, 2), (1, 3), (2, 4), (3, 5)]",
            "1 => 4: [(0, 0), (1, 1)]",
            "3 => 4: [(0, 6), (1, 7)]",
        ]
    );
    assert!(found.untraced.is_empty());
}

#[test]
fn split_concat_and_shuffle_become_renumberings() {
    // The unit of ShuffleNet v2: half the channels pass, the halves are interleaved at the end.
    let mut net = Net::new(3, 8);
    let x = net.conv("stem", net.input(), 4, THREE);
    let x = net.relu("stem_relu", x);
    let halves = net.split(&["kept", "worked"], x, &[2, 2]);
    let y = net.conv("one", halves[1], 2, POINT);
    let y = net.relu("one_relu", y);
    let y = net.depthwise("dw", y, THREE);
    let y = net.conv("two", y, 2, POINT);
    let y = net.relu("two_relu", y);
    let x = net.concat("joined", &[halves[0], y]);
    let x = net.shuffle("out", x, 2);
    let x = net.conv("next", x, 3, POINT);
    let x = net.relu("next_relu", x);
    let graph = net.classifier(x, 2);
    let found = blocks(&graph);
    assert_eq!(
        edges(&found, &found.info.blocks[0]),
        [
            "0 => 1: [(2, 0), (3, 1)]",
            "1 -one-> 2",
            "2 -dw-> 3",
            "3 -two-> 4",
            "0 => 5: [(0, 0), (1, 1)]",
            "4 => 5: [(0, 2), (1, 3)]",
        ]
    );
    // `joined` ends in activations, so it is the layer and the shuffle belongs to the next block.
    assert_eq!(
        edges(&found, &found.info.blocks[1]),
        ["0 => 1: [(0, 0), (2, 1), (1, 2), (3, 3)]", "1 -next-> 2"]
    );
    assert!(found.convs[1].info.depthwise && !found.convs[0].info.depthwise);
}

#[test]
fn a_gate_is_a_path_of_two_convolutions() {
    let mut net = Net::new(3, 8);
    let x = net.conv("stem", net.input(), 4, THREE);
    let stem = net.relu("stem_relu", x);
    let x = net.conv("conv", stem, 4, THREE);
    let gate = net.global_pool("gate_pool", x);
    let gate = net.conv("squeeze", gate, 2, POINT);
    let gate = net.relu("gate_relu", gate);
    let gate = net.conv("excite", gate, 4, POINT);
    let gate = net.unary("gate", Unary::Sigmoid, gate);
    let x = net.binary("gated", Binary::Mul, x, gate);
    let x = net.add("sum", x, stem);
    let graph = net.classifier(x, 2);
    let found = blocks(&graph);
    assert_eq!(
        edges(&found, &found.info.blocks[0]),
        [
            "0 -conv-> 1",
            "1 -squeeze-> 2",
            "0 => 3",
            "1 => 3",
            "2 -excite-> 3"
        ]
    );
}

#[test]
fn flattened_maps_into_a_matrix_product() {
    struct Case {
        channels_last: bool,
        channel_stride: u32,
    }
    for case in [
        Case {
            channels_last: false,
            channel_stride: 16,
        },
        Case {
            channels_last: true,
            channel_stride: 1,
        },
    ] {
        let mut net = Net::new(3, 4);
        let x = net.conv("stem", net.input(), 5, THREE);
        let mut x = net.relu("stem_relu", x);
        if case.channels_last {
            x = net.transpose("last", x, &[0, 2, 3, 1]);
        }
        let x = net.reshape("flat", x, &[1, 80]);
        let x = net.gemm("hidden", x, 7);
        let x = net.relu("hidden_relu", x);
        let x = net.matmul("logits", x, 2);
        let graph = net.finish(x);
        let found = blocks(&graph);
        assert_eq!(plain_shape(&found)[0].0, [5, 7, 2]);
        let [hidden, logits] = &found.convs[..] else {
            panic!("two matrix products");
        };
        assert_eq!(
            (hidden.info.inputs, hidden.spatial, hidden.channel_stride),
            (5, 16, case.channel_stride)
        );
        assert_eq!(
            (logits.info.inputs, logits.spatial, logits.channel_stride),
            (7, 1, 1)
        );
    }
}

#[test]
fn a_sum_over_channels_is_reported_and_carries_nothing() {
    let mut net = Net::new(3, 8);
    let x = net.conv("stem", net.input(), 4, THREE);
    let x = net.relu("stem_relu", x);
    let y = net.conv("conv", x, 4, THREE);
    let where_ = net.mean("mean", y, &[1]);
    let gate = net.conv("spatial", where_, 1, THREE);
    let gate = net.unary("gate", Unary::Sigmoid, gate);
    let y = net.binary("gated", Binary::Mul, y, gate);
    let graph = net.classifier(y, 2);
    let found = find_blocks(
        &graph,
        &crate::layers::layers_from_names(&graph, &["stem_relu".to_owned(), "gated".to_owned()])
            .unwrap(),
    );
    assert_eq!(edges(&found, &found.info.blocks[0]), ["0 -conv-> 1"]);
    let untraced: Vec<&str> = found
        .untraced
        .iter()
        .map(|node| graph.nodes[node.index()].name.as_str())
        .collect();
    assert_eq!(untraced, ["mean", "spatial"]);
}

#[test]
fn attention_keeps_the_channels_of_its_values() {
    // Tokens [1, 16, 4] in two heads of two channels.
    let mut net = Net::new(3, 8);
    let x = net.conv("patch", net.input(), 4, Window(2, 2, 0));
    let tokens = net.reshape("map", x, &[1, 4, 16]);
    let tokens = net.transpose("tokens", tokens, &[0, 2, 1]);
    let mut heads = Vec::new();
    for name in ["query", "key", "value"] {
        let y = net.matmul(name, tokens, 4);
        let y = net.reshape(&format!("{name}_heads"), y, &[1, 16, 2, 2]);
        let perm: &[usize] = if name == "key" {
            &[0, 2, 3, 1]
        } else {
            &[0, 2, 1, 3]
        };
        heads.push(net.transpose(&format!("{name}_split"), y, perm));
    }
    let scores = net.node(
        "scores",
        crate::graph::ir::Op::MatMul,
        &heads[..2],
        &[1, 2, 16, 16],
    );
    let op = crate::graph::ir::Op::Softmax {
        first: 3,
        end: 4,
        log: false,
    };
    let scores = net.node("attention", op, &[scores], &[1, 2, 16, 16]);
    let y = net.node(
        "mixed",
        crate::graph::ir::Op::MatMul,
        &[scores, heads[2]],
        &[1, 2, 16, 2],
    );
    let y = net.transpose("mixed_swap", y, &[0, 2, 1, 3]);
    let y = net.reshape("mixed_tokens", y, &[1, 16, 4]);
    let y = net.matmul("out", y, 4);
    let y = net.add("sum", y, tokens);
    let y = net.transpose("sum_swap", y, &[0, 2, 1]);
    let y = net.reshape("sum_map", y, &[1, 4, 4, 4]);
    let graph = net.classifier(y, 2);
    let found = blocks(&graph);
    let names: Vec<&str> = found
        .info
        .layers
        .iter()
        .map(|layer| layer.name.as_str())
        .collect();
    assert_eq!(names, ["patch", "sum_map"]);
    assert_eq!(
        edges(&found, &found.info.blocks[0]),
        ["0 -value-> 1", "0 => 2", "1 -out-> 2"]
    );
    // Attention sees everything.
    let field = crate::layers::ReceptiveField::of_layer(&found.info.layers[1]);
    assert_eq!(field.input_rectangle([3, 0], [8, 8]).height, 8);
    assert_eq!(field.stride, [2.0, 2.0]);
}

/// All channel paths as (source channel, convolutions met, result channel).
type Paths = BTreeSet<(u32, Vec<(u32, u32, u32)>, u32)>;

/// Follows every path of a random graph in which all tensors have two channels.
fn paths(tensors: usize, last: usize, edges: &[Edge]) -> Paths {
    let mut reached: Vec<Paths> = vec![Paths::new(); tensors];
    reached[0] = (0..2)
        .map(|channel| (channel, Vec::new(), channel))
        .collect();
    let mut edges = edges.to_vec();
    edges.sort();
    for edge in &edges {
        let mut next = Paths::new();
        for (source, convs, at) in &reached[edge.from] {
            match &edge.step {
                Steps::Same => {
                    next.insert((*source, convs.clone(), *at));
                }
                Steps::Pairs(pairs) => {
                    for (_, to) in pairs.iter().filter(|(from, _)| from == at) {
                        next.insert((*source, convs.clone(), *to));
                    }
                }
                Steps::Conv(id) => {
                    for to in 0..2 {
                        let mut convs = convs.clone();
                        convs.push((id.0, *at, to));
                        next.insert((*source, convs, to));
                    }
                }
            }
        }
        reached[edge.to].extend(next);
    }
    reached.swap_remove(last)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn contraction_keeps_every_path(
        choices in prop::collection::vec((0usize..5, 0usize..4, 0usize..3), 1..7),
    ) {
        let mut edges = Vec::new();
        for (k, (kind, back, second)) in choices.iter().enumerate() {
            let to = k + 1;
            let step = match kind {
                0 => Steps::Conv(ConvId(to as u32)),
                1 => Steps::Pairs(vec![(1, 0), (0, 1)]),
                2 => Steps::Pairs(vec![(0, 1)]),
                _ => Steps::Same,
            };
            edges.push(Edge { from: k.saturating_sub(*back), to, step });
            if *second > 0 {
                edges.push(Edge { from: k.saturating_sub(*second), to, step: Steps::Same });
            }
        }
        let last = choices.len();
        // Only tensors on a path to the last one belong to a block.
        let mut needed = BTreeSet::from([last]);
        for edge in edges.iter().rev() {
            if needed.contains(&edge.to) {
                needed.insert(edge.from);
            }
        }
        edges.retain(|edge| needed.contains(&edge.to));
        let (kept, contracted) = contract(last + 1, last, edges.clone());
        prop_assert!(kept.len() <= last + 1);
        prop_assert!(contracted.iter().all(|edge| edge.from < edge.to && edge.to < kept.len()));
        prop_assert!(contracted.is_sorted());
        prop_assert_eq!(
            paths(kept.len(), kept.len() - 1, &contracted),
            paths(last + 1, last, &edges)
        );
    }
}
