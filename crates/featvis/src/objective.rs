//! What a picture is made to do to a layer.
//!
//! Every objective here is a weighted sum of channels, each averaged over positions: one channel with
//! weight 1 (lucid's `channel`), with -1 (its negative), two with 1 (a joint objective). Its gradient
//! is the same at all positions and for all pictures.

use crate::diversity::{Style, keep_apart};
use crate::layer_network::Range;
use summit_tables::ChannelId;

/// A weighted sum of channel means, to be made large.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    terms: Vec<(ChannelId, f32)>,
    /// Styles the picture should not have.
    apart: Vec<Style>,
}

impl Objective {
    /// The mean of one channel.
    #[must_use]
    pub fn channel(channel: ChannelId) -> Self {
        Self {
            terms: vec![(channel, 1.0)],
            apart: Vec::new(),
        }
    }

    /// The opposite: what the channel is least happy with.
    #[must_use]
    pub fn negative(channel: ChannelId) -> Self {
        Self {
            terms: vec![(channel, -1.0)],
            apart: Vec::new(),
        }
    }

    /// Two channels at once.
    #[must_use]
    pub fn joint(one: ChannelId, other: ChannelId) -> Self {
        Self {
            terms: vec![(one, 1.0), (other, 1.0)],
            apart: Vec::new(),
        }
    }

    /// The same, but looking unlike earlier pictures.
    #[must_use]
    pub fn apart_from(mut self, earlier: &[Style]) -> Self {
        self.apart = earlier.to_vec();
        self
    }

    /// The largest channel it names.
    #[must_use]
    pub fn last_channel(&self) -> Option<ChannelId> {
        self.terms.iter().map(|(channel, _)| *channel).max()
    }

    /// Adds its gradient with respect to a layer before its activation function, `[C, positions]`,
    /// to `seed`. Where the function shuts a channel off at all positions at once its gradient is taken
    /// as if it did not: else a channel that is silent at first could never be woken (lucid redirects
    /// the gradients of ReLU for the same reason).
    pub(crate) fn seed(&self, map: &[f32], ranges: &[Range], positions: usize, seed: &mut [f32]) {
        for &(channel, weight) in &self.terms {
            let places = channel.index() * positions..(channel.index() + 1) * positions;
            let (Some(map), Some(seed), Some(range)) = (
                map.get(places.clone()),
                seed.get_mut(places),
                ranges.get(channel.index()),
            ) else {
                continue;
            };
            let silent = !map.iter().any(|&value| range.is_open(value));
            for (slot, &value) in seed.iter_mut().zip(map) {
                if silent || weight < 0.0 || range.is_open(value) {
                    *slot += weight / positions as f32;
                }
            }
        }
        if !self.apart.is_empty() {
            let mean = self.value(|channel| {
                let start = channel.index() * positions;
                let map = map.get(start..start + positions).unwrap_or_default();
                let range = ranges.get(channel.index());
                let active = |&value| range.map_or(value, |range| range.apply(value));
                map.iter().map(active).sum::<f32>() / positions as f32
            });
            keep_apart(&self.apart, map, ranges, mean, seed);
        }
    }

    /// Its value for a layer, given the mean of each channel.
    pub(crate) fn value(&self, mean: impl Fn(ChannelId) -> f32) -> f32 {
        let terms = self.terms.iter();
        terms.map(|&(channel, weight)| weight * mean(channel)).sum()
    }
}
