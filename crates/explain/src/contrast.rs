//! Channels that say little because they say it of everybody: specificity of channels to groups, and
//! channels on top of most images (docs/method.md section 2).
//!
//! Place in the flow: A of all groups goes in. Specificities weight the restart of PageRank where
//! class contrast is asked for; outliers are proposed for `--exclude`.

use crate::{ActivationCounts, ExplainError, mass_cut};
use serde::Serialize;
use summit_tables::{ChannelId, GroupId};

/// Share of the images above which a channel is proposed as an outlier.
pub const OUTLIER_SHARE: f64 = 0.5;

/// How specific each channel of a layer is to groups: `ln(n / k)` for n groups with images, k of
/// which have the channel among those that make up the share `mass` of their row of A. A channel of
/// all groups has 0; one of none has that of one (ln n).
///
/// Returns `[channels]`, f64, at least 0.
#[must_use]
pub fn channel_specificity(all: &ActivationCounts, mass: f64) -> Vec<f64> {
    let mut groups_with = vec![0u32; all.channels() as usize];
    let mut groups = 0u32;
    for group in (0..all.groups()).map(GroupId) {
        let row = all.group(group);
        if row.iter().all(|&count| count == 0) {
            continue;
        }
        groups += 1;
        let scores: Vec<f64> = row.iter().map(|&count| f64::from(count)).collect();
        for channel in mass_cut(&scores, mass) {
            if let Some(count) = groups_with.get_mut(channel.index()) {
                *count += 1;
            }
        }
    }
    let groups = f64::from(groups.max(1));
    groups_with
        .into_iter()
        .map(|with| (groups / f64::from(with.max(1))).ln())
        .collect()
}

/// A channel on top of more than half of all images, whatever the group.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OutlierChannel {
    /// The channel.
    pub channel: ChannelId,
    /// Images in which it is a top channel.
    pub images: u32,
    /// The same as a share of all images, above [`OUTLIER_SHARE`].
    pub share: f64,
}

/// Proposes channels to leave out of a layer, most images first; ties: lower channel.
///
/// * `counts`: `[channels]`, u32: A of all images.
/// * `images`: all images, at least every count.
#[must_use]
pub fn outliers(counts: &[u32], images: u32) -> Vec<OutlierChannel> {
    let share = |count: u32| f64::from(count) / f64::from(images.max(1));
    let mut found: Vec<OutlierChannel> = counts
        .iter()
        .enumerate()
        .filter(|&(_, &count)| share(count) > OUTLIER_SHARE)
        .map(|(channel, &count)| OutlierChannel {
            channel: ChannelId::from_index(channel),
            images: count,
            share: share(count),
        })
        .collect();
    found.sort_by_key(|outlier| std::cmp::Reverse(outlier.images));
    found
}

/// Multiplies restart weights by specificities, layer by layer.
///
/// # Errors
/// When the shapes differ.
pub fn weight_restart(
    restart: &mut [Vec<f64>],
    specificity: &[Vec<f64>],
) -> Result<(), ExplainError> {
    let mismatch = |found, expected, layer| ExplainError::ShapeMismatch {
        what: "the specificity of channels",
        found,
        expected,
        layer,
    };
    if restart.len() != specificity.len() {
        return Err(mismatch(specificity.len(), restart.len(), 0));
    }
    for (layer, (weights, factors)) in restart.iter_mut().zip(specificity).enumerate() {
        if weights.len() != factors.len() {
            return Err(mismatch(factors.len(), weights.len(), layer));
        }
        weights
            .iter_mut()
            .zip(factors)
            .for_each(|(weight, factor)| *weight *= factor);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_of_all_groups_is_not_specific() {
        let rows = [vec![9, 1, 0], vec![9, 0, 1], vec![0, 0, 0]];
        let all = ActivationCounts::from_rows(3, &rows).unwrap();
        let found = channel_specificity(&all, 1.0);
        assert_eq!(found, [0.0, 2f64.ln(), 2f64.ln()]);
        let one = ActivationCounts::from_rows(2, &[vec![1, 0]]).unwrap();
        assert_eq!(channel_specificity(&one, 0.5), [0.0, 0.0]);
        let none = ActivationCounts::from_rows(1, &[]).unwrap();
        assert_eq!(channel_specificity(&none, 0.5), [0.0]);
    }

    #[test]
    fn more_than_half_is_an_outlier() {
        let found = outliers(&[5, 6, 0, 10, 6], 10);
        let channels: Vec<u32> = found.iter().map(|outlier| outlier.channel.0).collect();
        assert_eq!(channels, [3, 1, 4]);
        assert!(outliers(&[0], 0).is_empty());
    }

    #[test]
    fn shapes_must_agree() {
        let mut restart = vec![vec![0.5, 0.5]];
        weight_restart(&mut restart, &[vec![0.0, 2.0]]).unwrap();
        assert_eq!(restart, [[0.0, 1.0]]);
        assert!(weight_restart(&mut restart, &[vec![0.0]]).is_err());
        assert!(weight_restart(&mut restart, &[]).is_err());
    }
}
