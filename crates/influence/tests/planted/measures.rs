//! Node and edge scores of a planted network by every measure.

use crate::network::{CLASSES, WIDTHS};
use std::sync::Arc;
use summit_explain::{Csr, PageRankParameters, pagerank, restart_weights};
use summit_influence::statistics::Random;
use summit_influence::totals::{as_weights, group_totals};
use summit_influence::{Member, Subject};
use summit_nn::exec::{CompileOptions, Network};
use summit_nn::flow::{Flow, SignedMeasure};
use summit_nn::graph::{NodeId, ValueId};
use summit_nn::layers::{find_blocks, layers_from_names};
use summit_nn::spatial::{ChannelMaxima, ConvMax, ConvMaxScratch, Flattened};
use summit_tables::{TopRule, top_channels_of};

pub const MEASURES: [&str; 7] = [
    "flow",
    "flow-ig",
    "lrp",
    "flow-totals",
    "conv-max",
    "activation",
    "random",
];

/// Scores of one measure.
pub struct Found {
    /// Per class and layer `[channels]`.
    pub nodes: Vec<Vec<Vec<f64>>>,
    /// Per class and block `[to][from]`.
    pub edges: Vec<Vec<Vec<Vec<f64>>>>,
}

impl Found {
    fn zeros() -> Self {
        let layers = || WIDTHS.iter().map(|&width| vec![0.0; width]).collect();
        let blocks = || {
            WIDTHS
                .windows(2)
                .map(|w| vec![vec![0.0; w[0]]; w[1]])
                .collect()
        };
        Self {
            nodes: (0..CLASSES).map(|_| layers()).collect(),
            edges: (0..CLASSES).map(|_| blocks()).collect(),
        }
    }
}

pub fn measure(subject: &Subject<'_>, members: &[Member]) -> Vec<Found> {
    let mut all: Vec<Found> = SignedMeasure::ALL
        .iter()
        .map(|&measure| signed(subject, members, measure))
        .collect();
    let totals = totals(subject, members);
    let (conv_max, activation, counts) = unsigned(subject, members);
    let [totals, conv_max] = [totals, conv_max].map(|found| ranked(found, &counts));
    let mut random = Random::new(9);
    let mut noise = Found::zeros();
    let values = noise.nodes.iter_mut().flatten().flatten();
    values.for_each(|value| *value = random.unit());
    let values = noise.edges.iter_mut().flatten().flatten().flatten();
    values.for_each(|value| *value = random.unit());
    all.extend([totals, conv_max, activation, noise]);
    all
}

fn class_of(member: &Member) -> usize {
    member.explained.targets()[0].index()
}

fn signed(subject: &Subject<'_>, members: &[Member], measure: SignedMeasure) -> Found {
    let flow = Arc::new(Flow::new(subject.graph, subject.layers, 8, measure).unwrap());
    let mut session = flow.session();
    let mut found = Found::zeros();
    for member in members {
        let class = class_of(member);
        let input = subject.images.input(member.image).unwrap();
        let own = session
            .scores(&input, &mut |logits| member.explained.seed(logits))
            .unwrap();
        for (sums, scores) in found.nodes[class].iter_mut().zip(&own.scores) {
            for (sum, &score) in sums.iter_mut().zip(scores) {
                *sum += f64::from(score);
            }
        }
        for (block, sums) in found.edges[class].iter_mut().enumerate() {
            let channels: Vec<usize> = (0..sums.len()).collect();
            let edges = session.edges(block, &own, &channels).unwrap();
            for (sum, &edge) in sums.iter_mut().flatten().zip(edges.iter().flatten()) {
                *sum += f64::from(edge);
            }
        }
    }
    found
}

/// What passes through the weights of every convolution.
fn totals(subject: &Subject<'_>, members: &[Member]) -> Found {
    let name = |value: &ValueId| subject.graph.values[value.index()].name.clone();
    let names: Vec<String> = subject.layers.iter().map(name).collect();
    let layers = layers_from_names(subject.graph, &names).unwrap();
    let convs = find_blocks(subject.graph, &layers).convs;
    let mut found = Found::zeros();
    for class in 0..CLASSES {
        let own = members.iter().filter(|member| class_of(member) == class);
        let own: Vec<Member> = own.copied().collect();
        let sums = group_totals(subject, &convs, "", &own).unwrap();
        let weights = as_weights(&sums, &convs).unwrap();
        for (edges, weights) in found.edges[class].iter_mut().zip(&weights) {
            for (to, row) in edges.iter_mut().enumerate() {
                for (from, weight) in weights.row_entries(to as u32) {
                    row[from as usize] = f64::from(weight);
                }
            }
        }
    }
    found
}

/// Nodes by PageRank on the edges, with A as restart.
fn ranked(mut found: Found, counts: &[Vec<Vec<u32>>]) -> Found {
    for (class, counts) in counts.iter().enumerate() {
        let links: Vec<Csr> = found.edges[class].iter().map(|edges| csr(edges)).collect();
        let rows: Vec<&[u32]> = counts.iter().map(Vec::as_slice).collect();
        let restart = restart_weights(&rows);
        let ranked = pagerank(&links, &restart, &PageRankParameters::default());
        found.nodes[class] = ranked.unwrap().scores;
    }
    found
}

/// conv-max: counts of the 5 strongest inputs. Activation: mean maxima and their products. Beside
/// them A.
fn unsigned(subject: &Subject<'_>, members: &[Member]) -> (Found, Found, Vec<Vec<Vec<u32>>>) {
    let options = CompileOptions {
        observed: subject.layers.to_vec(),
        ..CompileOptions::default()
    };
    let mut session = Network::compile(subject.graph, &options).unwrap().session();
    // Every layer is a convolution and a ReLU.
    let kernels: Vec<ConvMax> = (1..WIDTHS.len())
        .map(|layer| {
            let node = NodeId(2 * layer as u32);
            ConvMax::new(subject.graph, node, None, Flattened::PLAIN).unwrap()
        })
        .collect();
    let (mut conv_max, mut activation) = (Found::zeros(), Found::zeros());
    let mut counts: Vec<Vec<Vec<u32>>> = (0..CLASSES)
        .map(|_| WIDTHS.iter().map(|&width| vec![0; width]).collect())
        .collect();
    let (mut maxima, mut scratch) = (ChannelMaxima::default(), ConvMaxScratch::default());
    for member in members {
        let class = class_of(member);
        let input = subject.images.input(member.image).unwrap();
        session
            .run(&input, &mut |value, view| {
                let Some(layer) = subject.layers.iter().position(|&own| own == value) else {
                    return;
                };
                assert!(maxima.compute(&view, 0));
                for (channel, _) in top_channels_of(maxima.values(), TopRule::default(), &[]) {
                    counts[class][layer][channel.index()] += 1;
                }
                let sums = activation.nodes[class][layer].iter_mut();
                for (sum, &value) in sums.zip(maxima.values()) {
                    *sum += f64::from(value.max(0.0));
                }
                if let Some(kernel) = kernels.get(layer) {
                    kernel.top_inputs(&view, 5, &mut scratch, &mut |to, from| {
                        conv_max.edges[class][layer][to as usize][from as usize] += 1.0;
                    });
                }
            })
            .unwrap();
    }
    for class in 0..CLASSES {
        for block in 0..WIDTHS.len() - 1 {
            let own = &activation.nodes[class];
            let products = own[block + 1]
                .iter()
                .map(|to| own[block].iter().map(|from| to * from).collect());
            activation.edges[class][block] = products.collect();
        }
    }
    (conv_max, activation, counts)
}

fn csr(edges: &[Vec<f64>]) -> Csr {
    let triplets: Vec<(u32, u32, u32)> = edges
        .iter()
        .enumerate()
        .flat_map(|(to, row)| {
            let row = row.iter().enumerate();
            row.map(move |(from, &count)| (to as u32, from as u32, count as u32))
        })
        .collect();
    Csr::from_triplets(edges.len() as u32, edges[0].len() as u32, triplets).unwrap()
}
