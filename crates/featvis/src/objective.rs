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

    /// Its value for a layer before its activation function, `[C, positions]`. What a channel is to do
    /// counts after the function, what it is not to do before: below a shut ReLU all pictures are alike.
    pub(crate) fn value(&self, map: &[f32], ranges: &[Range], positions: usize) -> f32 {
        let mean = |&(channel, weight): &(ChannelId, f32)| {
            let (plane, range) = term(channel, map, ranges, positions)?;
            let value = |&x: &f32| if weight > 0.0 { range.apply(x) } else { x };
            Some(weight * plane.iter().map(value).sum::<f32>() / positions as f32)
        };
        self.terms.iter().filter_map(mean).sum()
    }

    /// Adds the gradient of the value to `seed`, `[C, positions]`. Where the activation function shuts
    /// a channel off at all positions at once its gradient is taken as if it did not: else a channel
    /// that is silent at first could never be woken (lucid redirects the gradients of ReLU for the same
    /// reason).
    pub(crate) fn seed(&self, map: &[f32], ranges: &[Range], positions: usize, seed: &mut [f32]) {
        for &(channel, weight) in &self.terms {
            let places = channel.index() * positions..(channel.index() + 1) * positions;
            let Some((plane, range)) = term(channel, map, ranges, positions) else {
                continue;
            };
            let anywhere = weight < 0.0 || !plane.iter().any(|&value| range.is_open(value));
            let seed = seed.get_mut(places).unwrap_or_default();
            for (slot, &value) in seed.iter_mut().zip(plane) {
                if anywhere || range.is_open(value) {
                    *slot += weight / positions as f32;
                }
            }
        }
        if !self.apart.is_empty() {
            let value = self.value(map, ranges, positions);
            keep_apart(&self.apart, map, ranges, value, seed);
        }
    }
}

/// The map of a channel and what its activation function lets pass.
fn term<'a>(
    channel: ChannelId,
    map: &'a [f32],
    ranges: &[Range],
    positions: usize,
) -> Option<(&'a [f32], Range)> {
    let start = channel.index() * positions;
    let plane = map.get(start..start + positions)?;
    Some((plane, *ranges.get(channel.index())?))
}
