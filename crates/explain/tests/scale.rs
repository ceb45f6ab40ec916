//! Graphs of many classes of a GoogLeNet-sized network, timed: run with
//! `cargo test --release -p summit-explain --test scale -- --ignored --nocapture`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test"
)]

use std::time::Instant;
use summit_explain::{BridgePlan, Csr, GraphParameters, GroupTables, TargetClass, conv_max_graph};
use summit_tables::{
    Block, BlockEdge, BlockStep, ChannelLink, ClassId, ConvId, ConvInfo, LayerId, LayerInfo,
};

/// Numbers without pattern, the same in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `bound`, small ones far more often, as activations are.
    fn skewed(&mut self, bound: u32) -> u32 {
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        (f64::from(bound) * unit.powi(3)) as u32
    }
}

const IMAGES: u32 = 1300;

struct Network {
    widths: Vec<u32>,
    blocks: Vec<Block>,
    convs: Vec<ConvInfo>,
}

impl Network {
    fn conv(&mut self, inputs: u32, outputs: u32) -> BlockStep {
        let id = ConvId::from_index(self.convs.len());
        self.convs.push(ConvInfo {
            id,
            name: String::new(),
            reads: String::new(),
            inputs,
            outputs,
            depthwise: false,
            groups: 1,
        });
        BlockStep::Conv(id)
    }

    fn block(&mut self, tensors: Vec<u32>, edges: Vec<(u32, u32, BlockStep)>) {
        let lower = LayerId::from_index(self.widths.len() - 1);
        self.widths.extend(tensors.last());
        let edges = edges
            .into_iter()
            .map(|(from, to, step)| BlockEdge { from, to, step });
        self.blocks.push(Block {
            lower,
            upper: None,
            tensors,
            edges: edges.collect(),
            convs: Vec::new(),
        });
    }

    fn googlenet() -> Self {
        let mut net = Self {
            widths: vec![64],
            blocks: Vec::new(),
            convs: Vec::new(),
        };
        for (inputs, outputs) in [(64, 64), (64, 192)] {
            let conv = net.conv(inputs, outputs);
            net.block(vec![inputs, outputs], vec![(0, 1, conv)]);
        }
        let modules = [
            [64, 96, 128, 16, 32, 32],
            [128, 128, 192, 32, 96, 64],
            [192, 96, 208, 16, 48, 64],
            [160, 112, 224, 24, 64, 64],
            [128, 128, 256, 24, 64, 64],
            [112, 144, 288, 32, 64, 64],
            [256, 160, 320, 32, 128, 128],
            [256, 160, 320, 32, 128, 128],
            [384, 192, 384, 48, 128, 128],
        ];
        for [b1, b2r, b2, b3r, b3, b4] in modules {
            let inputs = *net.widths.last().unwrap();
            let mut edges = Vec::new();
            let ends = [
                (0, 1, inputs, b1),
                (0, 2, inputs, b2r),
                (2, 3, b2r, b2),
                (0, 4, inputs, b3r),
                (4, 5, b3r, b3),
                (0, 6, inputs, b4),
            ];
            for (from, to, inputs, outputs) in ends {
                edges.push((from, to, net.conv(inputs, outputs)));
            }
            let mut offset = 0;
            for (tensor, width) in [(1, b1), (3, b2), (5, b3), (6, b4)] {
                let pairs = (0..width)
                    .map(|channel| (channel, offset + channel))
                    .collect();
                edges.push((
                    tensor,
                    7,
                    BlockStep::Link(ChannelLink { pairs: Some(pairs) }),
                ));
                offset += width;
            }
            net.block(vec![inputs, b1, b2r, b2, b3r, b3, b4, offset], edges);
        }
        let gemm = net.conv(1024, 1000);
        net.block(vec![1024, 1000], vec![(0, 1, gemm)]);
        net.widths.pop();
        net
    }

    /// 5 counts an image and output, spread over inputs unevenly.
    fn counts(&self, noise: &mut Noise) -> Vec<Csr> {
        self.convs
            .iter()
            .map(|conv| {
                let mut triplets = Vec::new();
                for output in 0..conv.outputs {
                    let shift = noise.skewed(conv.inputs);
                    for _ in 0..IMAGES * 5 / 13 {
                        let input = (noise.skewed(conv.inputs) + shift) % conv.inputs;
                        triplets.push((output, input, 13));
                    }
                }
                Csr::from_triplets(conv.outputs, conv.inputs, triplets).unwrap()
            })
            .collect()
    }
}

#[test]
#[ignore = "a measurement"]
fn many_classes() {
    let net = Network::googlenet();
    let layers: Vec<LayerInfo> = net
        .widths
        .iter()
        .enumerate()
        .map(|(index, &channels)| LayerInfo {
            id: LayerId::from_index(index),
            name: format!("layer{index}"),
            channels,
            height: 1,
            width: 1,
            signed: false,
            receptive_stride: [1.0; 2],
            receptive_size: [1; 2],
            receptive_start: [0.0; 2],
            is_cut: true,
        })
        .collect();
    let plans: Vec<BridgePlan> = net
        .blocks
        .iter()
        .map(|block| BridgePlan::new(block, &net.convs).unwrap())
        .collect();
    let mut noise = Noise(0x5eed);
    let (mut bridging, mut graphing) = (0.0, 0.0);
    let classes = 10;
    for class in 0..classes {
        let counts = net.counts(&mut noise);
        let activation: Vec<Vec<u32>> = net
            .widths
            .iter()
            .map(|&width| {
                (0..width)
                    .map(|_| (1300.0 / f64::from(1 + noise.skewed(400))) as u32)
                    .collect()
            })
            .collect();
        let start = Instant::now();
        let mut links: Vec<Csr> = plans
            .iter()
            .map(|plan| {
                plan.bridge(|id| counts.get(id.index()), IMAGES)
                    .unwrap()
                    .kept
            })
            .collect();
        bridging += start.elapsed().as_secs_f64();
        let logits = links.pop().unwrap();
        let rows: Vec<&[u32]> = activation.iter().map(Vec::as_slice).collect();
        let targets = [TargetClass {
            class: ClassId(class),
            name: "class".to_owned(),
        }];
        let group = GroupTables {
            layers: &layers,
            name: "class",
            images: IMAGES,
            counts: &rows,
            targets: &targets,
            contrast: None,
        };
        let start = Instant::now();
        let graph = conv_max_graph(&group, &links, &logits, &GraphParameters::default()).unwrap();
        graphing += start.elapsed().as_secs_f64();
        if class == 0 {
            println!(
                "counts {} entries, links {} entries, {} nodes, {} edges, PageRank {:?} rounds",
                counts.iter().map(Csr::entries).sum::<usize>(),
                links.iter().map(Csr::entries).sum::<usize>(),
                graph.nodes.len(),
                graph.edges.len(),
                graph.parameters.pagerank_rounds,
            );
        }
    }
    println!(
        "per class: bridge {:.1} ms, graph {:.1} ms",
        1e3 * bridging / f64::from(classes),
        1e3 * graphing / f64::from(classes)
    );
}
