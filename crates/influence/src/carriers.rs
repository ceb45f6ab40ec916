//! The images of a group that carry most of a channel's score (method.md section 6): its dataset examples
//! by R.
//!
//! Memory: ten images a shown channel.

use crate::Subject;
use std::collections::BTreeMap;
use summit_nn::flow::ImageFlow;
use summit_tables::{BestExamples, ChannelId, DatasetExample, ImageId, ScoreExample};

/// Examples by (layer, channel).
#[derive(Debug, Default)]
pub(crate) struct Carriers(BTreeMap<(u32, ChannelId), BestExamples>);

impl Carriers {
    pub(crate) fn add(&mut self, found: Vec<ScoreExample>) {
        for ScoreExample { layer, example } in found {
            let list = self.0.entry((layer, example.channel)).or_default();
            list.insert(example);
        }
    }

    /// Sorted by (layer, channel, rank).
    pub(crate) fn finish(self) -> Vec<ScoreExample> {
        let lists = self.0.into_iter();
        let rows = lists.flat_map(|((layer, _), list)| {
            let rows = list.into_rows();
            rows.map(move |example| ScoreExample { layer, example })
        });
        rows.collect()
    }
}

/// R > 0 of the shown channels of an image, each at the position that contributes most to it.
///
/// * `shown`: per layer; what follows the layers is left out.
pub(crate) fn of_image(
    subject: &Subject<'_>,
    image: ImageId,
    flow: &ImageFlow,
    shown: &[Vec<ChannelId>],
) -> Vec<ScoreExample> {
    let Some(point) = flow.points.last() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let layers = flow.scores.iter().zip(subject.layers).zip(shown);
    for (layer, ((scores, value), shown)) in layers.enumerate() {
        let shape = subject.graph.values.get(value.index());
        let shape = shape.map_or(&[][..], |value| value.shape.as_slice());
        let (height, width) = match *shape {
            [_, _, height, width] => (height, width),
            _ => (1, 1),
        };
        let planes = point.activations.get(layer).zip(point.gradients.get(layer));
        let Some((activations, gradients)) = planes else {
            continue;
        };
        for &channel in shown {
            let Some(&score) = scores.get(channel.index()).filter(|&&score| score > 0.0) else {
                continue;
            };
            let start = channel.index() * height * width;
            let of_channel = start..start + height * width;
            let position = match (
                activations.get(of_channel.clone()),
                gradients.get(of_channel),
            ) {
                (Some(activation), Some(gradient)) => peak(activation, gradient),
                _ => 0,
            };
            found.push(ScoreExample {
                layer: layer as u32,
                example: DatasetExample {
                    channel,
                    rank: 0,
                    image,
                    value: score,
                    row: (position / width.max(1)) as u16,
                    column: (position % width.max(1)) as u16,
                    mask: 0,
                },
            });
        }
    }
    found
}

/// The first position of the largest product.
fn peak(activation: &[f32], gradient: &[f32]) -> usize {
    let products = activation.iter().zip(gradient).map(|(a, g)| a * g);
    let mut best = (0, f32::NEG_INFINITY);
    for (position, product) in products.enumerate() {
        if product > best.1 {
            best = (position, product);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_the_first_of_the_largest_products() {
        assert_eq!(peak(&[1.0, 2.0, 4.0, 1.0], &[1.0, 2.0, 1.0, -9.0]), 1);
        assert_eq!(peak(&[0.0, 0.0], &[1.0, 1.0]), 0);
        assert_eq!(peak(&[], &[]), 0);
    }
}
