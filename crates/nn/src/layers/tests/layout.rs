//! Symbolic channel tracing against pushing one label per element.

use super::super::layout::Layout;
use super::build::{Net, Window};
use crate::layers::trace::{Relation, trace};
use proptest::prelude::*;

/// Channel labels of every element, moved by plain loops.
#[derive(Clone)]
struct Labels {
    shape: Vec<usize>,
    channel: Vec<usize>,
}

impl Labels {
    fn image(shape: [usize; 4]) -> Self {
        let [_, channels, height, width] = shape;
        let length = shape.iter().product::<usize>();
        let channel = (0..length)
            .map(|k| k / (height * width) % channels)
            .collect();
        Self {
            shape: shape.to_vec(),
            channel,
        }
    }

    fn transpose(&self, perm: &[usize]) -> Self {
        let shape: Vec<usize> = perm.iter().map(|&axis| self.shape[axis]).collect();
        let channel = (0..self.channel.len())
            .map(|mut flat| {
                let mut index = vec![0; shape.len()];
                for axis in (0..shape.len()).rev() {
                    index[perm[axis]] = flat % shape[axis];
                    flat /= shape[axis];
                }
                let flat = index
                    .iter()
                    .zip(&self.shape)
                    .fold(0, |flat, (i, extent)| flat * extent + i);
                self.channel[flat]
            })
            .collect();
        Self { shape, channel }
    }
}

fn divisors(n: usize) -> Vec<usize> {
    (1..=n).filter(|d| n.is_multiple_of(*d)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Split the channels in three, permute all axes, join three neighbours again: where the result
    /// is an image with its channels in one place, the traced permutation is the labels'.
    #[test]
    fn shuffles_agree_with_labels(
        extents in (1usize..3, 1usize..13, 1usize..4, 1usize..4),
        outer in any::<prop::sample::Index>(),
        inner in any::<prop::sample::Index>(),
        perm in Just(vec![0usize, 1, 2, 3, 4, 5]).prop_shuffle(),
        join in 0usize..4,
    ) {
        let (batch, channels, height, width) = extents;
        let groups = *outer.get(&divisors(channels));
        let middle = *inner.get(&divisors(channels / groups));
        let mut net = Net::new(3, 4);
        // The image input has one image of three channels; a convolution of any shape stands in.
        let x = net.node(
            "source",
            crate::graph::ir::Op::Reshape,
            &[net.input()],
            &[batch, channels, height, width],
        );
        let split = [batch, groups, middle, channels / groups / middle, height, width];
        let y = net.reshape("split", x, &split);
        let y = net.transpose("swap", y, &perm);
        let mut shape = net.shape(y);
        let joined: usize = shape.splice(join..join + 3, [0]).product();
        shape[join] = joined;
        let _ = net.reshape("joined", y, &shape);

        let labels = Labels::image([batch, channels, height, width]);
        let labels = Labels { shape: split.to_vec(), ..labels }.transpose(&perm);
        let layout = Layout::image(&[batch, channels, height, width]).unwrap();
        let moved = layout.reshape(&split).unwrap().transpose(&perm).unwrap();
        let result = moved.reshape(&shape).unwrap();
        let (result, pairs) = result.settle();
        if channels == 1 || !result.is_channel_axis(1) || shape.len() != 4 {
            return Ok(());
        }
        // Channel of position k of axis 1, and it is the same at every other position.
        let stride: usize = shape[2..].iter().product();
        for (flat, &label) in labels.channel.iter().enumerate() {
            let slot = flat / stride % shape[1];
            let traced = pairs.as_ref().map_or(slot, |pairs| pairs[slot].0 as usize);
            prop_assert_eq!(traced, label);
        }
    }
}

#[test]
fn a_shuffle_is_one_renumbering_at_its_end() {
    let mut net = Net::new(3, 4);
    let x = net.conv("conv", net.input(), 6, Window(1, 1, 0));
    let x = net.shuffle("shuffle", x, 2);
    let graph = net.classifier(x, 2);
    let trace = trace(&graph);
    let relations: Vec<&Relation> = trace
        .steps
        .iter()
        .flatten()
        .map(|step| &step.relation)
        .collect();
    // Channel k of the result was channel k / 2 of half k % 2.
    let pairs = vec![(0, 0), (3, 1), (1, 2), (4, 3), (2, 4), (5, 5)];
    let expected = [
        &Relation::Conv,
        &Relation::Same,
        &Relation::Same,
        &Relation::Pairs(pairs),
        &Relation::Same,
        &Relation::Same,
        &Relation::Conv,
    ];
    assert_eq!(relations, expected);
    assert!(trace.untraced.is_empty());
}

#[test]
fn halves_of_a_shuffle_taken_by_index() {
    // [1, 6, H, W] -> [3, 2, HW] -> [2, 3, HW] -> pick 1: channels 1, 3, 5.
    let mut net = Net::new(6, 4);
    let x = net.reshape("pairs", net.input(), &[3, 2, 16]);
    let x = net.transpose("swap", x, &[1, 0, 2]);
    let x = net.reshape("halves", x, &[2, 1, 3, 4, 4]);
    let op = crate::graph::ir::Op::Gather {
        axis: 0,
        indices: vec![1],
        indices_shape: Vec::new(),
    };
    let x = net.node("odd", op, &[x], &[1, 3, 4, 4]);
    let graph = net.classifier(x, 2);
    let trace = trace(&graph);
    assert_eq!(
        trace.steps[3][0].relation,
        Relation::Pairs(vec![(1, 0), (3, 1), (5, 2)])
    );
    let layout = trace.layouts[graph.nodes[3].outputs[0].index()].clone();
    assert!(layout.unwrap().is_channel_first());
}
