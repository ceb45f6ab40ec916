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
    /// From one row per group.
    ///
    /// * `rows`: `[groups][channels]`, u32, images.
    ///
    /// # Errors
    /// When a row has another length, or the matrix exceeds [`MAX_CELLS`].
    pub fn from_rows(channels: u32, rows: &[Vec<u32>]) -> Result<Self, ExplainError> {
        let groups = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let mut counts = Self::zeros(groups, channels)?;
        counts.counts.clear();
        for row in rows {
            if row.len() != channels as usize {
                return Err(ExplainError::ShapeMismatch {
                    what: "a row of activation counts",
                    found: row.len(),
                    expected: channels as usize,
                    layer: 0,
                });
            }
            counts.counts.extend_from_slice(row);
        }
        Ok(counts)
    }

    /// No image counted.
    ///
    /// # Errors
    /// When the matrix exceeds [`MAX_CELLS`].
    pub fn zeros(groups: u32, channels: u32) -> Result<Self, ExplainError> {
        check_channels(channels, "a layer")?;
        let cells = u64::from(groups) * u64::from(channels);
        if cells > MAX_CELLS {
            return Err(ExplainError::TooLarge {
                what: "the activation counts",
                cells,
                limit: MAX_CELLS,
            });
        }
        Ok(Self {
            groups,
            channels,
            counts: vec![0; groups as usize * channels as usize],
        })
    }

    /// Adds images to one entry (saturating).
    ///
    /// # Errors
    /// When the group or the channel lies outside.
    pub fn add(
        &mut self,
        group: GroupId,
        channel: ChannelId,
        images: u32,
    ) -> Result<(), ExplainError> {
        let outside = |what, value, limit| ExplainError::IdOutside { what, value, limit };
        if channel.0 >= self.channels {
            return Err(outside("channel", channel.0, self.channels));
        }
        let start = group.0 as usize * self.channels as usize;
        match self.counts.get_mut(start + channel.index()) {
            Some(count) => *count = count.saturating_add(images),
            None => return Err(outside("group", group.0, self.groups)),
        }
        Ok(())
    }

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
    let mut counts = ActivationCounts::zeros(groups, channels)?;
    let mut keep = vec![true; channels as usize];
    for channel in excluded {
        if let Some(flag) = keep.get_mut(channel.index()) {
            *flag = false;
        }
    }
    for entry in top_channels {
        let kept = keep.get(entry.channel.index()).copied();
        // A channel outside the layer goes on to be refused.
        if kept == Some(false) {
            continue;
        }
        let Some(group) = assign(entry.image) else {
            continue;
        };
        counts.add(group, entry.channel, 1)?;
    }
    Ok(counts)
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
