//! Bridging against the enumeration of all paths, on random blocks.

use super::*;
use proptest::prelude::*;
use summit_tables::{Block, BlockEdge, BlockStep, ChannelLink, ConvInfo, LayerId};

/// A small block with its counts, drawn at random.
#[derive(Clone, Debug)]
struct RandomBlock {
    block: Block,
    convs: Vec<ConvInfo>,
    counts: Vec<Csr>,
    images: u32,
}

/// Best weight of every path, by class, by walking all of them backwards.
fn enumerate(
    case: &RandomBlock,
    tensor: u32,
    channel: u32,
    convolutions: usize,
    weight: u32,
    found: &mut [Vec<u32>; 3],
    structural: &mut [bool; 3],
) {
    if tensor == 0 {
        let class = convolutions.min(2);
        structural[class] = true;
        let best = &mut found[class][channel as usize];
        *best = (*best).max(weight.min(case.images));
        return;
    }
    for edge in case.block.edges.iter().filter(|edge| edge.to == tensor) {
        match &edge.step {
            BlockStep::Conv(id) if case.convs[id.index()].depthwise => {
                enumerate(
                    case,
                    edge.from,
                    channel,
                    convolutions,
                    weight,
                    found,
                    structural,
                );
            }
            BlockStep::Conv(id) => {
                for input in 0..case.block.tensors[edge.from as usize] {
                    let count = case.counts[id.index()].get(channel, input);
                    let weight = weight.min(count);
                    enumerate(
                        case,
                        edge.from,
                        input,
                        convolutions + 1,
                        weight,
                        found,
                        structural,
                    );
                }
            }
            BlockStep::Link(ChannelLink { pairs }) => match pairs {
                None => enumerate(
                    case,
                    edge.from,
                    channel,
                    convolutions,
                    weight,
                    found,
                    structural,
                ),
                Some(pairs) => {
                    for &(source, result) in pairs {
                        if result == channel {
                            enumerate(
                                case,
                                edge.from,
                                source,
                                convolutions,
                                weight,
                                found,
                                structural,
                            );
                        }
                    }
                }
            },
        }
    }
}

/// The whole of `bridge`, the naive way: `[upper][lower]` full and kept, and `keep`.
fn naive(case: &RandomBlock) -> (Vec<Vec<u32>>, Vec<Vec<u32>>, u32) {
    let lower = case.block.tensors[0] as usize;
    let upper = case.block.tensors.len() as u32 - 1;
    let mut rows = Vec::new();
    let mut bridged = Vec::new();
    let (mut direct, mut direct_inputs) = (0, 0);
    for channel in 0..case.block.tensors[upper as usize] {
        let mut found = [vec![0; lower], vec![0; lower], vec![0; lower]];
        let mut structural = [false; 3];
        enumerate(
            case,
            upper,
            channel,
            0,
            u32::MAX,
            &mut found,
            &mut structural,
        );
        if structural[1] {
            direct += 1;
            direct_inputs += found[1].iter().filter(|weight| **weight > 0).count();
        }
        bridged.push(structural[2]);
        let row: Vec<u32> = (0..lower)
            .map(|i| found[0][i].max(found[1][i]).max(found[2][i]))
            .collect();
        rows.push(row);
    }
    let keep = usize::checked_div(direct_inputs, direct).map_or(16, |mean| mean.max(1));
    let kept = rows
        .iter()
        .zip(&bridged)
        .map(|(row, &bridged)| {
            let mut order: Vec<usize> = (0..lower).collect();
            order.sort_by_key(|&i| (std::cmp::Reverse(row[i]), i));
            let mut kept = row.clone();
            if bridged {
                order.iter().skip(keep).for_each(|&i| kept[i] = 0);
            }
            kept
        })
        .collect();
    (rows, kept, keep as u32)
}

fn dense(matrix: &Csr) -> Vec<Vec<u32>> {
    (0..matrix.rows())
        .map(|row| {
            (0..matrix.columns())
                .map(|column| matrix.get(row, column))
                .collect()
        })
        .collect()
}

fn random_block() -> impl Strategy<Value = RandomBlock> {
    (2usize..5, 1u32..7).prop_flat_map(|(tensors, images)| {
        let widths = prop::collection::vec(1u32..6, tensors);
        let kinds = prop::collection::vec(0u8..8, tensors * tensors);
        let numbers = prop::collection::vec(0u32..7, 512);
        (widths, kinds, numbers)
            .prop_map(move |(widths, kinds, numbers)| build(&widths, &kinds, &numbers, images))
    })
}

fn build(widths: &[u32], kinds: &[u8], numbers: &[u32], images: u32) -> RandomBlock {
    let (mut edges, mut convs, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    let mut number = numbers.iter().copied().cycle();
    for to in 1..widths.len() {
        for from in 0..to {
            let (inputs, outputs) = (widths[from], widths[to]);
            let kind = kinds[to * widths.len() + from];
            let depthwise = kind == 3 && inputs == outputs;
            let step = match kind {
                0..=2 => None,
                4 => Some(BlockStep::Link(ChannelLink {
                    pairs: Some((0..outputs).map(|j| ((j + 1) % inputs, j)).collect()),
                })),
                5 if inputs == outputs => Some(BlockStep::Link(ChannelLink { pairs: None })),
                _ => Some(BlockStep::Conv(ConvId::from_index(convs.len()))),
            };
            let Some(step) = step else { continue };
            if matches!(step, BlockStep::Conv(_)) {
                let groups = if depthwise { inputs } else { 1 };
                convs.push(ConvInfo {
                    id: ConvId::from_index(convs.len()),
                    name: String::new(),
                    reads: String::new(),
                    inputs,
                    outputs,
                    depthwise,
                    groups,
                });
                // Counts never exceed the group's images.
                let triplets = (0..outputs)
                    .flat_map(|j| (0..inputs).map(move |i| (j, i)))
                    .map(|(j, i)| (j, i, number.next().unwrap().min(images)))
                    .collect();
                counts.push(Csr::from_triplets(outputs, inputs, triplets).unwrap());
            }
            edges.push(BlockEdge {
                from: from as u32,
                to: to as u32,
                step,
            });
        }
    }
    let block = Block {
        lower: LayerId(0),
        upper: Some(LayerId(1)),
        tensors: widths.to_vec(),
        edges,
        convs: convs.iter().map(|conv| conv.id).collect(),
    };
    RandomBlock {
        block,
        convs,
        counts,
        images,
    }
}

proptest! {
    #[test]
    fn equals_enumeration_of_paths(case in random_block()) {
        let plan = BridgePlan::new(&case.block, &case.convs).unwrap();
        let (full, kept, keep) = naive(&case);
        for dense_rows in [false, true] {
            let counts = |id: ConvId| case.counts.get(id.index());
            let bridged = plan.bridge_by(counts, case.images, dense_rows).unwrap();
            prop_assert_eq!(dense(&bridged.full), full.clone());
            prop_assert_eq!(dense(&bridged.kept), kept.clone());
            prop_assert_eq!(bridged.keep, keep);
        }
    }
}

fn conv(id: u32, inputs: u32, outputs: u32, groups: u32, depthwise: bool) -> ConvInfo {
    ConvInfo {
        id: ConvId(id),
        name: format!("conv{id}"),
        reads: String::new(),
        inputs,
        outputs,
        depthwise,
        groups,
    }
}

fn single_edge(from: u32, to: u32, tensors: &[u32], step: BlockStep) -> Block {
    Block {
        lower: LayerId(0),
        upper: None,
        tensors: tensors.to_vec(),
        edges: vec![BlockEdge { from, to, step }],
        convs: Vec::new(),
    }
}

#[test]
fn malformed_blocks_are_refused() {
    let link = |pairs| BlockStep::Link(ChannelLink { pairs });
    struct Case {
        name: &'static str,
        block: Block,
    }
    let cases = [
        Case {
            name: "no tensors",
            block: single_edge(0, 1, &[], link(None)),
        },
        Case {
            name: "backwards",
            block: single_edge(1, 0, &[2, 2], link(None)),
        },
        Case {
            name: "outside",
            block: single_edge(0, 2, &[2, 2], link(None)),
        },
        Case {
            name: "identity of other width",
            block: single_edge(0, 1, &[2, 3], link(None)),
        },
        Case {
            name: "link outside",
            block: single_edge(0, 1, &[2, 2], link(Some(vec![(2, 0)]))),
        },
        Case {
            name: "unknown conv",
            block: single_edge(0, 1, &[2, 2], BlockStep::Conv(ConvId(9))),
        },
        Case {
            name: "conv of other width",
            block: single_edge(0, 1, &[3, 2], BlockStep::Conv(ConvId(0))),
        },
        Case {
            name: "groups",
            block: single_edge(0, 1, &[2, 2], BlockStep::Conv(ConvId(1))),
        },
        Case {
            name: "depthwise",
            block: single_edge(0, 1, &[2, 3], BlockStep::Conv(ConvId(2))),
        },
        Case {
            name: "too wide",
            block: single_edge(0, 1, &[u32::MAX, 2], link(None)),
        },
    ];
    let convs = [
        conv(0, 2, 2, 1, false),
        conv(1, 2, 2, 0, false),
        conv(2, 2, 3, 2, true),
    ];
    for case in cases {
        assert!(
            BridgePlan::new(&case.block, &convs).is_err(),
            "{}",
            case.name
        );
    }
    let block = single_edge(0, 1, &[2, 2], BlockStep::Conv(ConvId(0)));
    let plan = BridgePlan::new(&block, &convs).unwrap();
    assert!(plan.bridge(|_| None, 1).is_err(), "counts missing");
    let other_shape = Csr::empty(3, 2).unwrap();
    assert!(
        plan.bridge(|_| Some(&other_shape), 1).is_err(),
        "counts of another shape"
    );
}

#[test]
fn a_grouped_convolution_reaches_only_its_group() {
    // Tensor 0 -> slice of channel 0 only -> two grouped convolutions in a row.
    let mut block = single_edge(
        0,
        1,
        &[2, 2, 2, 2],
        BlockStep::Link(ChannelLink {
            pairs: Some(vec![(0, 0)]),
        }),
    );
    for to in 2..4 {
        block.edges.push(BlockEdge {
            from: to - 1,
            to,
            step: BlockStep::Conv(ConvId(to - 2)),
        });
    }
    let convs = [conv(0, 2, 2, 2, false), conv(1, 2, 2, 2, false)];
    let plan = BridgePlan::new(&block, &convs).unwrap();
    assert_eq!(plan.bridged, [true, false]);
    assert_eq!(plan.direct, [false, false]);
}

#[test]
fn counts_of_cells_add_up_to_groups() {
    let entry = |label, prediction, output, input, count| summit_tables::InfluenceEntry {
        label,
        prediction,
        output,
        input,
        count,
    };
    let counts = summit_tables::ConvMaxCounts {
        conv: ConvId(0),
        entries: vec![
            entry(0, 0, 1, 0, 2),
            entry(0, 1, 1, 0, 3),
            entry(1, 1, 0, 1, 5),
        ],
    };
    let info = conv(0, 2, 2, 1, false);
    let by_prediction = group_counts(&counts, &info, 2, |_, prediction| {
        Some(summit_tables::GroupId(prediction))
    })
    .unwrap();
    assert_eq!(dense(&by_prediction[0]), [[0, 0], [2, 0]]);
    assert_eq!(dense(&by_prediction[1]), [[0, 5], [3, 0]]);
    assert!(group_counts(&counts, &info, 1, |_, p| Some(summit_tables::GroupId(p))).is_err());
}

#[test]
fn counts_too_large_for_dense_rows_are_exact() {
    // Two convolutions in a row; 40,000 does not fit in 15 bits.
    let mut block = single_edge(0, 1, &[1, 2, 1], BlockStep::Conv(ConvId(0)));
    block.edges.push(BlockEdge {
        from: 1,
        to: 2,
        step: BlockStep::Conv(ConvId(1)),
    });
    let convs = [conv(0, 1, 2, 1, false), conv(1, 2, 1, 1, false)];
    let counts = [
        Csr::from_triplets(2, 1, vec![(0, 0, 40_000), (1, 0, 5)]).unwrap(),
        Csr::from_triplets(1, 2, vec![(0, 0, 70_000), (0, 1, 70_000)]).unwrap(),
    ];
    let plan = BridgePlan::new(&block, &convs).unwrap();
    let bridged = plan.bridge(|id| counts.get(id.index()), 100_000).unwrap();
    assert_eq!(dense(&bridged.full), [[40_000]]);
    let small = [
        Csr::from_triplets(2, 1, vec![(0, 0, 400), (1, 0, 5)]).unwrap(),
        counts[1].clone(),
    ];
    let bridged = plan.bridge(|id| small.get(id.index()), 100_000).unwrap();
    assert_eq!(dense(&bridged.full), [[400]]);
}
