//! Networks with known causes: which measure finds them, and what muting them does.
//!
//! `cargo test -p summit-influence --test planted -- --nocapture` prints the table of
//! docs/faithfulness.md.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "test code")]

mod measures;
mod network;

use measures::{Found, MEASURES, measure};
use network::{CLASSES, Planted, WIDTHS, image, planted};
use summit_influence::statistics::auroc;
use summit_influence::whatif::{Change, summarise, what_if};
use summit_influence::{
    Explained, GroupRequest, Images, Member, Subject, group_flow, group_scores,
};
use summit_nn::flow::SignedMeasure;
use summit_tables::{ChannelId, ClassId, ImageId, LayerId};

const SEEDS: [u64; 3] = [1, 2, 3];
const IMAGES_PER_CLASS: usize = 16;

/// Image i is of class `i % 4`.
struct Drawn;

impl Images for Drawn {
    fn input(&self, id: ImageId) -> Result<Vec<f32>, String> {
        Ok(image(id.index() % CLASSES, u64::from(id.0)))
    }
}

fn members() -> Vec<Member> {
    (0..IMAGES_PER_CLASS * CLASSES)
        .map(|index| Member {
            image: ImageId::from_index(index),
            explained: Explained::Margin(ClassId::from_index(index % CLASSES)),
        })
        .collect()
}

fn subject(network: &Planted) -> Subject<'_> {
    Subject {
        graph: &network.graph,
        layers: &network.layers,
        images: &Drawn,
        threads: 2,
    }
}

/// Mean over classes and layers (blocks) of the area under the ROC curve.
fn agreement(network: &Planted, found: &Found) -> [f64; 2] {
    let (mut nodes, mut edges) = (Vec::new(), Vec::new());
    for class in 0..CLASSES {
        for (layer, truth) in network.nodes[class].iter().enumerate() {
            nodes.extend(auroc(&found.nodes[class][layer], truth));
        }
        for (block, truth) in network.edges[class].iter().enumerate() {
            edges.extend(auroc(&found.edges[class][block].concat(), &truth.concat()));
        }
    }
    [nodes, edges].map(|values| values.iter().sum::<f64>() / values.len() as f64)
}

#[test]
fn flow_finds_the_planted_causes() {
    let mut sums = vec![[0.0; 2]; MEASURES.len()];
    for seed in SEEDS {
        let network = planted(seed);
        let found = measure(&subject(&network), &members());
        for (sum, found) in sums.iter_mut().zip(&found) {
            for (sum, value) in sum.iter_mut().zip(agreement(&network, found)) {
                *sum += value / SEEDS.len() as f64;
            }
        }
    }
    println!("| measure | nodes | edges |\n|---|---|---|");
    for (name, [nodes, edges]) in MEASURES.iter().zip(&sums) {
        println!("| {name} | {nodes:.3} | {edges:.3} |");
    }
    let [flow, conv_max] = ["flow", "conv-max"].map(|wanted| {
        let position = MEASURES.iter().position(|name| *name == wanted);
        sums[position.unwrap()]
    });
    for (flow, conv_max) in flow.iter().zip(conv_max) {
        assert!(*flow >= 0.95 && *flow > conv_max, "{flow} {conv_max}");
    }
}

/// Against the scores of every image alone, and positions by reading off maps.
#[test]
fn carriers_are_the_images_with_the_largest_scores() {
    let network = planted(1);
    let subject = subject(&network);
    let own: Vec<Member> = members().into_iter().step_by(CLASSES).collect();
    let request = |members| GroupRequest {
        name: "class 0",
        members,
        measure: SignedMeasure::Flow,
        mass: 0.9,
    };
    let group = group_flow(&subject, &request(&own)).unwrap();
    let alone: Vec<_> = own
        .chunks(1)
        .map(|member| group_scores(&subject, &request(member)).unwrap())
        .collect();
    let mut looked_at = 0;
    for (layer, kept) in group.kept(0.9).into_iter().enumerate() {
        for channel in kept {
            let scores = own.iter().zip(&alone).map(|(member, alone)| {
                let score = alone.scores[layer][channel.index()].sum();
                (score, member.image)
            });
            let mut wanted: Vec<_> = scores.filter(|(score, _)| *score > 0.0).collect();
            wanted.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            wanted.truncate(10);
            let found = group
                .examples
                .iter()
                .filter(|found| found.layer == layer as u32 && found.example.channel == channel);
            let found: Vec<_> = found.map(|found| found.example.image).collect();
            let wanted: Vec<_> = wanted.into_iter().map(|(_, image)| image).collect();
            assert_eq!(found, wanted, "layer {layer}, channel {channel:?}");
            looked_at += found.len();
        }
    }
    assert!(looked_at >= 40, "{looked_at}");
}

/// Mutes one channel.
fn muted(network: &Planted, layer: usize, channel: usize) -> Vec<[f64; 2]> {
    let change = Change {
        layer: LayerId::from_index(layer),
        channel: ChannelId::from_index(channel),
        factor: 0.0,
    };
    let outcomes = what_if(&subject(network), &members(), &[change]).unwrap();
    outcomes
        .iter()
        .map(|pair| [pair[0].score, pair[1].score])
        .collect()
}

#[test]
fn what_was_planted_is_what_causes() {
    for seed in SEEDS {
        let network = planted(seed);
        for (layer, &width) in WIDTHS.iter().enumerate() {
            let scores: Vec<_> = (0..width)
                .map(|channel| muted(&network, layer, channel))
                .collect();
            for class in 0..CLASSES {
                let loss = |channel: &Vec<[f64; 2]>| {
                    let own = channel.iter().skip(class).step_by(CLASSES);
                    own.map(|[before, after]| before - after).sum::<f64>()
                };
                let losses: Vec<f64> = scores.iter().map(loss).collect();
                let area = auroc(&losses, &network.nodes[class][layer]).unwrap();
                assert!(
                    area > 0.99,
                    "seed {seed}, layer {layer}, class {class}: {area} {losses:?}"
                );
            }
        }
    }
}

#[test]
fn muting_the_shortcut_changes_its_class_alone() {
    for seed in SEEDS {
        let network = planted(seed);
        let mute = |channel: usize, factor: f32| Change {
            layer: LayerId(1),
            channel: ChannelId::from_index(channel),
            factor,
        };
        let members = members();
        // The part that sees the shortcut, and the one that sees its companion.
        for (position, left) in [(3, 0), (4, IMAGES_PER_CLASS as u32)] {
            let channel = network.order[1][position];
            let outcomes = what_if(&subject(&network), &members, &[mute(channel, 0.0)]).unwrap();
            let summary = summarise(&members, &outcomes);
            for (class, effect) in &summary.classes {
                let all = IMAGES_PER_CLASS as u32;
                let after = if *class == 2 { left } else { all };
                assert_eq!(effect.right, [all, after], "seed {seed}, class {class}");
            }
        }
        for changes in [vec![], vec![mute(0, 1.0)]] {
            let outcomes = what_if(&subject(&network), &members, &changes).unwrap();
            for [before, after] in &outcomes {
                let bits = |logits: &[f32]| logits.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&before.logits), bits(&after.logits));
            }
            assert!(summarise(&members, &outcomes).confusion.is_empty());
        }
    }
}
