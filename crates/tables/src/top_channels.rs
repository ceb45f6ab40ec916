//! The top channels of one image in one layer (docs/method.md section 2).
//!
//! Place in the flow: the pass over the images calls this once per image and layer; activation
//! aggregation counts the result. In: `v` `[channels]`; out: a short list. `O(C log C)` time,
//! `O(C)` memory.

use crate::ChannelId;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Which channels of an image count as its top channels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TopRule {
    /// Descending until the accumulated share of the layer's sum is at least this, in `(0, 1]`;
    /// the channel that crosses is included, so at least one channel is taken.
    Mass(f64),
    /// At most this many channels, all with a value above 0.
    TopK(u32),
}

impl Default for TopRule {
    /// The accumulated share 0.03.
    fn default() -> Self {
        Self::Mass(0.03)
    }
}

/// The top channels of an image, in descending order of value, ties by lower index.
///
/// * `values`: `[channels]`, f32, the maximum over positions of each channel. Negative values count
///   as 0, and so does anything that is no finite number.
/// * `excluded`: `[channels]`; `true` sets the channel to 0 before shares are taken. A shorter slice
///   excludes nothing beyond its end.
///
/// Returns `(channel, share)`; the share is of the sum of the layer's remaining values, in `(0, 1]`.
/// Empty where all values are 0.
#[must_use]
pub fn top_channels_of(values: &[f32], rule: TopRule, excluded: &[bool]) -> Vec<(ChannelId, f32)> {
    let mut positive: Vec<(f32, usize)> = values
        .iter()
        .enumerate()
        .filter(|&(channel, value)| {
            value.is_finite() && *value > 0.0 && !excluded.get(channel).copied().unwrap_or(false)
        })
        .map(|(channel, &value)| (value, channel))
        .collect();
    let total: f64 = positive.iter().map(|&(value, _)| f64::from(value)).sum();
    positive.sort_unstable_by(|left, right| {
        right
            .0
            .partial_cmp(&left.0)
            .unwrap_or(Ordering::Equal)
            .then(left.1.cmp(&right.1))
    });
    let mut accumulated = 0.0;
    let mut top = Vec::new();
    for (value, channel) in positive {
        if let TopRule::TopK(count) = rule
            && top.len() >= count as usize
        {
            break;
        }
        let share = f64::from(value) / total;
        accumulated += share;
        top.push((ChannelId::from_index(channel), share as f32));
        if let TopRule::Mass(mass) = rule
            && accumulated >= mass
        {
            break;
        }
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn channels(values: &[f32], rule: TopRule, excluded: &[bool]) -> Vec<u32> {
        top_channels_of(values, rule, excluded)
            .into_iter()
            .map(|(channel, _)| channel.0)
            .collect()
    }

    #[test]
    fn table() {
        struct Case {
            name: &'static str,
            values: &'static [f32],
            rule: TopRule,
            excluded: &'static [bool],
            expected: &'static [u32],
        }
        let cases = [
            Case {
                name: "dead",
                values: &[0.0, -1.0],
                rule: TopRule::Mass(0.03),
                excluded: &[],
                expected: &[],
            },
            Case {
                name: "empty",
                values: &[],
                rule: TopRule::TopK(5),
                excluded: &[],
                expected: &[],
            },
            Case {
                name: "at least one",
                values: &[9.0, 1.0],
                rule: TopRule::Mass(0.03),
                excluded: &[],
                expected: &[0],
            },
            Case {
                name: "the one that crosses is in",
                values: &[1.0, 2.0, 2.0],
                rule: TopRule::Mass(0.5),
                excluded: &[],
                expected: &[1, 2],
            },
            Case {
                name: "reached exactly",
                values: &[1.0, 2.0, 1.0],
                rule: TopRule::Mass(0.5),
                excluded: &[],
                expected: &[1],
            },
            Case {
                name: "ties by index",
                values: &[3.0, 3.0, 3.0],
                rule: TopRule::TopK(2),
                excluded: &[],
                expected: &[0, 1],
            },
            Case {
                name: "only positive",
                values: &[3.0, 0.0, -2.0],
                rule: TopRule::TopK(5),
                excluded: &[],
                expected: &[0],
            },
            Case {
                name: "excluded",
                values: &[9.0, 1.0],
                rule: TopRule::Mass(0.5),
                excluded: &[true],
                expected: &[1],
            },
            Case {
                name: "not finite",
                values: &[f32::NAN, f32::INFINITY, 1.0],
                rule: TopRule::Mass(1.0),
                excluded: &[],
                expected: &[2],
            },
        ];
        let failed: Vec<_> = cases
            .iter()
            .filter(|case| channels(case.values, case.rule, case.excluded) != case.expected)
            .map(|case| (case.name, channels(case.values, case.rule, case.excluded)))
            .collect();
        assert!(failed.is_empty(), "{failed:?}");
    }

    /// Takes the largest remaining value again and again.
    fn naive(values: &[f32], rule: TopRule) -> Vec<u32> {
        let mut left: Vec<f64> = values
            .iter()
            .map(|&value| f64::from(value.max(0.0)))
            .collect();
        let total: f64 = left.iter().sum();
        let mut taken = Vec::new();
        let mut sum = 0.0;
        loop {
            let mut best: Option<usize> = None;
            for index in 0..left.len() {
                if left[index] > 0.0 && best.is_none_or(|other| left[index] > left[other]) {
                    best = Some(index);
                }
            }
            let Some(best) = best else { return taken };
            let done = match rule {
                TopRule::TopK(count) => taken.len() == count as usize,
                TopRule::Mass(mass) => !taken.is_empty() && sum / total >= mass,
            };
            if done {
                return taken;
            }
            sum += left[best];
            left[best] = 0.0;
            taken.push(best as u32);
        }
    }

    proptest! {
        /// Values in quarters: sums are exact, so both ways see the same mass.
        #[test]
        fn equals_repeated_maximum(
            quarters in prop::collection::vec(-2i32..6, 0..40),
            count in 0u32..8,
            eighths in 1u32..9,
        ) {
            let mut values: Vec<f32> = quarters.iter().map(|&value| value as f32 / 4.0).collect();
            // A sum that is a power of two keeps the shares exact as well.
            let sum: f32 = values.iter().map(|value| value.max(0.0)).sum();
            values.push(64.0 - sum);
            let mass = TopRule::Mass(f64::from(eighths) / 8.0);
            prop_assert_eq!(channels(&values, mass, &[]), naive(&values, mass));
            let top = TopRule::TopK(count);
            prop_assert_eq!(channels(&values, top, &[]), naive(&values, top));
        }
    }
}
