//! Activation aggregation A (docs/method.md section 2): how many images of a group have a channel
//! among their top channels.
//!
//! Place in the flow: the pass keeps the per-image lists; everything here is a query on them, so
//! any grouping and any list of images is answered without running the network again.
//! In: one layer's `TopChannel` list; out: `[groups, channels]`. `O(list + groups x channels)`.

use crate::{ExplainError, csr::check_channels};
use summit_tables::{ChannelId, GroupId, ImageId, TopChannel};

/// The most cells of one dense matrix (1 GiB of u32).
pub const MAX_CELLS: u64 = 1 << 28;

/// `A_l`: `[groups, channels]`, u32, images of the group in which the channel is a top channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivationCounts {
    groups: u32,
    channels: u32,
    counts: Vec<u32>,
}

impl ActivationCounts {
    /// Number of groups.
    #[must_use]
    pub fn groups(&self) -> u32 {
        self.groups
    }

    /// Number of channels of the layer.
    #[must_use]
    pub fn channels(&self) -> u32 {
        self.channels
    }

    /// The row of a group `[channels]`, u32, images; empty for a group that does not exist.
    #[must_use]
    pub fn group(&self, group: GroupId) -> &[u32] {
        let channels = self.channels as usize;
        let start = (group.0 as usize).saturating_mul(channels);
        self.counts
            .get(start..start.saturating_add(channels))
            .unwrap_or(&[])
    }
}

/// Counts one layer's per-image lists into groups.
///
/// * `top_channels`: in any order; an image may appear at most once per channel.
/// * `assign`: the group of an image, `None` to leave it out. For a user's list of images use one
///   group and membership of the list; for one cell of a large confusion matrix likewise.
/// * `excluded`: channels whose counts are dropped. Excluding a channel *before* shares are taken
///   can bring other channels up; that needs the values, see `summit_tables::top_channels_of`.
///
/// # Errors
/// When a channel or group id is outside its range, or the matrix exceeds [`MAX_CELLS`].
pub fn activation_counts(
    top_channels: &[TopChannel],
    channels: u32,
    groups: u32,
    assign: impl Fn(ImageId) -> Option<GroupId>,
    excluded: &[ChannelId],
) -> Result<ActivationCounts, ExplainError> {
    check_channels(channels, "a layer")?;
    let cells = u64::from(groups) * u64::from(channels);
    if cells > MAX_CELLS {
        return Err(ExplainError::TooLarge {
            what: "the activation counts",
            cells,
            limit: MAX_CELLS,
        });
    }
    let mut keep = vec![true; channels as usize];
    for channel in excluded {
        if let Some(flag) = keep.get_mut(channel.index()) {
            *flag = false;
        }
    }
    let width = channels as usize;
    let mut counts = vec![0u32; groups as usize * width];
    for entry in top_channels {
        let channel = entry.channel.index();
        match keep.get(channel) {
            None => {
                return Err(ExplainError::IdOutside {
                    what: "channel",
                    value: entry.channel.0,
                    limit: channels,
                });
            }
            Some(false) => continue,
            Some(true) => {}
        }
        let Some(group) = assign(entry.image) else {
            continue;
        };
        if group.0 >= groups {
            return Err(ExplainError::IdOutside {
                what: "group",
                value: group.0,
                limit: groups,
            });
        }
        let cell = &mut counts[group.0 as usize * width + channel];
        *cell = cell.saturating_add(1);
    }
    Ok(ActivationCounts {
        groups,
        channels,
        counts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(image: u32, channel: u32) -> TopChannel {
        TopChannel {
            image: ImageId(image),
            channel: ChannelId(channel),
            value: 1.0,
            share: 0.5,
            row: 0,
            column: 0,
        }
    }

    #[test]
    fn a_list_of_images_is_one_group() {
        let list = [entry(0, 1), entry(1, 1), entry(1, 2), entry(2, 2)];
        let chosen = [ImageId(1), ImageId(2)];
        let counts = activation_counts(
            &list,
            3,
            1,
            |image| chosen.contains(&image).then_some(GroupId(0)),
            &[ChannelId(1)],
        )
        .unwrap();
        assert_eq!(counts.group(GroupId(0)), [0, 0, 2]);
        assert_eq!(counts.group(GroupId(1)), [0u32; 0]);
    }

    #[test]
    fn refuses_ids_outside() {
        let all = |_: ImageId| Some(GroupId(0));
        assert!(activation_counts(&[entry(0, 3)], 3, 1, all, &[]).is_err());
        assert!(activation_counts(&[entry(0, 0)], 3, 0, all, &[]).is_err());
        assert!(activation_counts(&[], 1 << 18, u32::MAX, all, &[]).is_err());
    }
}
