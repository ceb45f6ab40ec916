//! Edges of a group: their sums over images, and the images that carry them (method.md section 3.2).
//!
//! Memory: two sums, a count and eight images an edge.

use crate::Moments;
use crate::group::{ImageEdges, MeasuredEdge};
use summit_tables::{ChannelId, EXAMPLES_PER_EDGE, EdgeExample, ImageId, LayerId};

/// Inputs of a channel that count as its largest (method.md section 3.2).
const LARGEST: usize = 5;

/// Sums between two layers.
pub(crate) struct BlockSums {
    from: Vec<ChannelId>,
    to: Vec<ChannelId>,
    /// `[to][from]`
    effects: Vec<Vec<Tally>>,
    /// `[to]`
    bias: Vec<Moments>,
}

/// One edge so far.
#[derive(Clone, Default)]
struct Tally {
    effect: Moments,
    top_images: u32,
    best: Best,
}

impl BlockSums {
    pub(crate) fn new(from: &[ChannelId], to: &[ChannelId]) -> Self {
        Self {
            from: from.to_vec(),
            to: to.to_vec(),
            effects: vec![vec![Tally::default(); from.len()]; to.len()],
            bias: vec![Moments::default(); to.len()],
        }
    }

    pub(crate) fn add(&mut self, id: ImageId, image: &ImageEdges) {
        for (position, edges) in image.edges.iter().enumerate() {
            let largest = largest(edges);
            for (tally, from) in self.effects[position].iter_mut().zip(&self.from) {
                let effect = edges[from.index()];
                tally.effect.add(f64::from(effect));
                if largest.contains(&from.index()) {
                    tally.top_images += 1;
                    tally.best.offer(effect, id);
                }
            }
            let explained: f64 = edges.iter().map(|&edge| f64::from(edge)).sum();
            self.bias[position].add(image.scores[position] - explained);
        }
    }

    /// Sorted by (to, from), the bias shares last; and the images.
    pub(crate) fn finish(self, lower: LayerId) -> (Vec<MeasuredEdge>, Vec<EdgeExample>) {
        let (mut measured, mut examples) = (Vec::new(), Vec::new());
        for ((to, tallies), bias) in self.to.into_iter().zip(self.effects).zip(self.bias) {
            let edge = |from, effect, top_images| MeasuredEdge {
                lower,
                to,
                from,
                effect,
                top_images,
            };
            for (&from, tally) in self.from.iter().zip(tallies) {
                measured.push(edge(Some(from), tally.effect, tally.top_images));
                let best = (0..).zip(tally.best.0);
                examples.extend(best.map(|(rank, (effect, image))| EdgeExample {
                    lower: lower.0,
                    to: to.0,
                    from: from.0,
                    rank,
                    image,
                    effect,
                }));
            }
            measured.push(edge(None, bias, 0));
        }
        (measured, examples)
    }
}

/// The images with the largest |E| of one edge: |E| descending, then image ascending.
#[derive(Clone, Debug, Default)]
struct Best(Vec<(f32, ImageId)>);

impl Best {
    fn offer(&mut self, effect: f32, image: ImageId) {
        let before = |&(kept, other): &(f32, ImageId)| {
            let larger = kept.abs().total_cmp(&effect.abs()).reverse();
            larger.then(other.cmp(&image)).is_lt()
        };
        let place = self.0.partition_point(before);
        self.0.insert(place, (effect, image));
        self.0.truncate(usize::from(EXAMPLES_PER_EDGE));
    }
}

/// Positions of the 5 largest magnitudes above 0, ties: lower position.
pub(crate) fn largest(edges: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..edges.len()).filter(|&i| edges[i].abs() > 0.0).collect();
    let before = |a: &usize, b: &usize| edges[*b].abs().total_cmp(&edges[*a].abs()).then(a.cmp(b));
    if order.len() > LARGEST {
        order.select_nth_unstable_by(LARGEST, before);
        order.truncate(LARGEST);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The naive twin: all images, sorted, cut; whatever the order in which they come.
        #[test]
        fn the_best_images_do_not_depend_on_the_order(
            effects in prop::collection::vec(-3i8..4, 0..40), seed in any::<u64>(),
        ) {
            let mut images: Vec<(f32, ImageId)> = (0..)
                .zip(&effects)
                .map(|(id, &effect)| (f32::from(effect), ImageId(id)))
                .collect();
            let mut best = Best::default();
            let mut shuffled = images.clone();
            shuffled.sort_by_key(|(_, image)| seed.rotate_left(image.0).wrapping_mul(0x9e37_79b9));
            for (effect, image) in shuffled {
                best.offer(effect, image);
            }
            images.sort_by(|l, r| r.0.abs().total_cmp(&l.0.abs()).then(l.1.cmp(&r.1)));
            images.truncate(8);
            prop_assert_eq!(best.0, images);
        }
    }
}
