//! Graphs and maps of 1,000 classes of a GoogLeNet-sized network (5,500 channels), from tables made
//! here, timed on two threads: run with
//! `cargo test --release -p summit-explain --test scale -- --ignored --nocapture --test-threads 1`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test"
)]

use std::time::Instant;
use summit_explain::embedding::{SparseRows, Umap, embed_layer, embed_layers};
use summit_explain::{
    AttributionGraph, BridgePlan, Csr, GraphParameters, GroupTables, TargetClass, conv_max_graph,
};
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

/// Classes of the published data.
const CLASSES: u32 = 1000;

/// Threads the classes are shared out to.
const THREADS: u32 = 2;

fn layers(net: &Network) -> Vec<LayerInfo> {
    let layer = |(index, &channels): (usize, &u32)| LayerInfo {
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
    };
    net.widths.iter().enumerate().map(layer).collect()
}

/// Seconds this thread has had a processor: wall time says little on a busy machine. Linux only.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds: f64 = text
        .split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0.0);
    nanoseconds / 1e9
}

fn peak_memory() -> String {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmHWM"));
    line.unwrap_or("VmHWM unknown").to_owned()
}

/// Bridging, PageRank, selection and layout of one class; seconds of it, tables not counted.
fn one_class(
    net: &Network,
    layers: &[LayerInfo],
    plans: &[BridgePlan],
    class: u32,
) -> (f64, AttributionGraph) {
    let mut noise = Noise(0x5eed + u64::from(class));
    let counts = net.counts(&mut noise);
    let activation: Vec<Vec<u32>> = net
        .widths
        .iter()
        .map(|&width| {
            (0..width)
                .map(|_| IMAGES / (1 + noise.skewed(400)))
                .collect()
        })
        .collect();
    let start = processor_seconds();
    let bridge = |plan: &BridgePlan| {
        plan.bridge(|id| counts.get(id.index()), IMAGES)
            .unwrap()
            .kept
    };
    let mut links: Vec<Csr> = plans.iter().map(bridge).collect();
    let logits = links.pop().unwrap();
    let rows: Vec<&[u32]> = activation.iter().map(Vec::as_slice).collect();
    let targets = [TargetClass {
        class: ClassId(class),
        name: "class".to_owned(),
    }];
    let group = GroupTables {
        layers,
        name: "class",
        images: IMAGES,
        counts: &rows,
        targets: &targets,
        contrast: None,
    };
    let graph = conv_max_graph(&group, &links, &logits, &GraphParameters::default()).unwrap();
    (processor_seconds() - start, graph)
}

#[test]
#[ignore = "a measurement of minutes: cargo test --release -p summit-explain --test scale -- --ignored --nocapture"]
fn graphs_of_all_classes() {
    let net = Network::googlenet();
    let layers = layers(&net);
    let plan = |block| BridgePlan::new(block, &net.convs).unwrap();
    let plans: Vec<BridgePlan> = net.blocks.iter().map(plan).collect();
    let start = Instant::now();
    let seconds: Vec<f64> = std::thread::scope(|scope| {
        let (net, layers, plans) = (&net, &layers, &plans);
        let worker = |thread: u32| {
            scope.spawn(move || {
                let classes = (thread..CLASSES).step_by(THREADS as usize);
                classes
                    .map(|class| one_class(net, layers, plans, class).0)
                    .sum::<f64>()
            })
        };
        let workers: Vec<_> = (0..THREADS).map(worker).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    let (_, graph) = one_class(&net, &layers, &plans, 0);
    println!(
        "{CLASSES} classes x {} channels: {:.1} s on each of {THREADS} threads ({:.0} s with making the tables); \
         class 0: {} nodes, {} edges, {:?} rounds of PageRank; {}",
        net.widths.iter().sum::<u32>(),
        seconds.iter().fold(0.0, |a: f64, &b| a.max(b)),
        start.elapsed().as_secs_f64(),
        graph.nodes.len(),
        graph.edges.len(),
        graph.parameters.pagerank_rounds,
        peak_memory()
    );
}

#[test]
#[ignore = "a measurement of minutes: cargo test --release -p summit-explain --test scale -- --ignored --nocapture"]
fn maps_of_all_classes() {
    let net = Network::googlenet();
    let mut noise = Noise(0x5eed);
    let layers: Vec<SparseRows> = net
        .widths
        .iter()
        .map(|&width| {
            let rows: Vec<Vec<u32>> = (0..CLASSES)
                .map(|class| {
                    let mut row = vec![0; width as usize];
                    // 5 top channels an image, around a place that neighbouring classes share.
                    for _ in 0..IMAGES * 5 {
                        let channel = (class * width / CLASSES + noise.skewed(width)) % width;
                        row[channel as usize] += 1;
                    }
                    row
                })
                .collect();
            SparseRows::from_counts(rows.iter().map(Vec::as_slice)).unwrap()
        })
        .collect();
    let largest = layers.last().unwrap();
    let start = (Instant::now(), processor_seconds());
    let map = embed_layer(largest, &Umap::default()).unwrap();
    println!(
        "one layer, {CLASSES} classes x {} channels: {:.1} s ({:.1} s of this thread's processor time), {:?}",
        net.widths.last().unwrap(),
        start.0.elapsed().as_secs_f64(),
        processor_seconds() - start.1,
        map.trustworthiness
    );
    let start = Instant::now();
    let maps = embed_layers(&layers, &Umap::default()).unwrap();
    println!(
        "{} layers, chained: {:.1} s; {}",
        maps.len(),
        start.elapsed().as_secs_f64(),
        peak_memory()
    );
}
