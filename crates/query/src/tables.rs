//! A of a group, its channels and their examples, neighbours, outliers.

use crate::{QueryError, Questions, in_parallel};
use std::collections::BTreeMap;
use summit_explain::contrast::OutlierChannel;
use summit_explain::similarity::Neighbour;
use summit_explain::slice::{Cell, CellCover};
use summit_explain::{ActivationCounts, Group, group_of_cell, neighbours, outliers};
use summit_store::CellFilter;
use summit_tables::{ChannelId, GroupId, Grouping, ImageId, LayerId};

/// A channel of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupChannel {
    /// The channel.
    pub channel: ChannelId,
    /// Images of the group in which it is a top channel, above 0.
    pub images: u32,
    /// The group's images that excite it most, of those in which it is a top channel, largest
    /// first; ties: lower image.
    pub examples: Vec<GroupExample>,
}

/// An image of a group that excites a channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupExample {
    /// The image.
    pub image: ImageId,
    /// Maximum over positions, at least 0.
    pub value: f32,
    /// Row of the maximum.
    pub row: u16,
    /// Column of the maximum.
    pub column: u16,
}

/// The classes most like a group to a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNeighbours {
    /// The layer.
    pub layer: LayerId,
    /// Most similar first.
    pub neighbours: Vec<Neighbour>,
}

/// Channels of a layer that are on top of most images.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerOutliers {
    /// The layer.
    pub layer: LayerId,
    /// Most images first.
    pub channels: Vec<OutlierChannel>,
    /// Share of the entries of the layer's top-channel lists whose value is the layer's largest:
    /// above 0.1 its maxima saturate, and ties are ranked by channel.
    pub saturated: f64,
}

impl Questions {
    /// A of a group in a layer, `[channels]`, u32, images. From the counts by confusion cell where
    /// the group consists of whole cells, from the images' own lists otherwise.
    ///
    /// # Errors
    /// When a table is damaged.
    pub fn counts(&self, group: &Group, layer: LayerId) -> Result<Vec<u32>, QueryError> {
        self.covered_counts(group, &group.cover(&self.records), layer)
    }

    /// A of a group in every layer, input side first.
    ///
    /// # Errors
    /// When a table is damaged.
    pub fn counts_of_layers(&self, group: &Group) -> Result<Vec<Vec<u32>>, QueryError> {
        let cover = group.cover(&self.records);
        in_parallel(self.layers(), |layer| {
            self.covered_counts(group, &cover, layer.id)
        })
    }

    fn covered_counts(
        &self,
        group: &Group,
        cover: &CellCover,
        layer: LayerId,
    ) -> Result<Vec<u32>, QueryError> {
        if cover.partial.is_empty() {
            self.counts_of_cells(&cover.whole, layer)
        } else {
            self.counts_of_images(group, layer)
        }
    }

    fn counts_of_cells(&self, cells: &[Cell], layer: LayerId) -> Result<Vec<u32>, QueryError> {
        let mut counts = ActivationCounts::zeros(1, self.channels(layer))?;
        for filter in cell_filters(cells) {
            for entry in self.run.activation_counts(layer, filter)? {
                let entry = entry?;
                if cells
                    .binary_search(&(entry.label, entry.prediction))
                    .is_ok()
                {
                    counts.add(GroupId(0), ChannelId(entry.channel), entry.images)?;
                }
            }
        }
        Ok(counts.group(GroupId(0)).to_vec())
    }

    fn counts_of_images(&self, group: &Group, layer: LayerId) -> Result<Vec<u32>, QueryError> {
        let mut counts = ActivationCounts::zeros(1, self.channels(layer))?;
        for entry in self.run.top_channels(layer)? {
            let entry = entry?;
            if group.contains(entry.image) {
                counts.add(GroupId(0), entry.channel, 1)?;
            }
        }
        Ok(counts.group(GroupId(0)).to_vec())
    }

    fn channels(&self, layer: LayerId) -> u32 {
        self.layers()
            .get(layer.index())
            .map_or(0, |layer| layer.channels)
    }

    /// A of all groups of a grouping by class in a layer: `[classes, channels]`, u32, images.
    ///
    /// # Errors
    /// When a table is damaged, or the matrix is too large.
    pub fn class_counts(
        &self,
        grouping: Grouping,
        layer: LayerId,
    ) -> Result<ActivationCounts, QueryError> {
        let classes = self.run.model_info().classes;
        let mut counts = ActivationCounts::zeros(classes, self.channels(layer))?;
        for entry in self.run.activation_counts(layer, CellFilter::default())? {
            let entry = entry?;
            if let Some(group) = group_of_cell(grouping, classes, entry.label, entry.prediction) {
                counts.add(group, ChannelId(entry.channel), entry.images)?;
            }
        }
        Ok(counts)
    }

    /// The channels of a group in a layer, most images first; ties: lower channel.
    ///
    /// * `limit`: the most channels; `examples`: the most examples of each.
    ///
    /// # Errors
    /// When a table is damaged.
    pub fn channels_of(
        &self,
        group: &Group,
        layer: LayerId,
        limit: usize,
        examples: usize,
    ) -> Result<Vec<GroupChannel>, QueryError> {
        let counts = self.counts(group, layer)?;
        let mut channels: Vec<GroupChannel> = counts
            .iter()
            .enumerate()
            .filter(|&(_, &images)| images > 0)
            .map(|(channel, &images)| GroupChannel {
                channel: ChannelId::from_index(channel),
                images,
                examples: Vec::new(),
            })
            .collect();
        // Stable: equal ones stay by channel.
        channels.sort_by_key(|channel| std::cmp::Reverse(channel.images));
        channels.truncate(limit);
        if examples == 0 {
            return Ok(channels);
        }
        let mut found: BTreeMap<ChannelId, Vec<GroupExample>> = channels
            .iter()
            .map(|channel| (channel.channel, Vec::new()))
            .collect();
        for entry in self.run.top_channels(layer)? {
            let entry = entry?;
            if let Some(list) = found.get_mut(&entry.channel)
                && group.contains(entry.image)
            {
                list.push(GroupExample {
                    image: entry.image,
                    value: entry.value,
                    row: entry.row,
                    column: entry.column,
                });
            }
        }
        for channel in &mut channels {
            let mut list = found.remove(&channel.channel).unwrap_or_default();
            // Stable: equal ones stay by image.
            list.sort_by(|left, right| right.value.total_cmp(&left.value));
            list.truncate(examples);
            channel.examples = list;
        }
        Ok(channels)
    }

    /// The classes most like a group, layer by layer, input side first. A group that is a class is
    /// not its own neighbour.
    ///
    /// * `limit`: the most neighbours in a layer.
    ///
    /// # Errors
    /// When a table is damaged.
    pub fn similar(
        &self,
        group: &Group,
        grouping: Grouping,
        limit: usize,
    ) -> Result<Vec<LayerNeighbours>, QueryError> {
        let own = self.own_class(group, grouping);
        let cover = group.cover(&self.records);
        let layers = self.layers().iter();
        layers
            .map(|layer| {
                let row = self.covered_counts(group, &cover, layer.id)?;
                let all = self.class_counts(grouping, layer.id)?;
                Ok(LayerNeighbours {
                    layer: layer.id,
                    neighbours: neighbours(&row, &all, own, limit),
                })
            })
            .collect()
    }

    /// The class whose images are exactly those of the group.
    fn own_class(&self, group: &Group, grouping: Grouping) -> Option<GroupId> {
        let &[class] = group.targets.as_slice() else {
            return None;
        };
        let own = GroupId(class.0);
        let classes = self.run.model_info().classes;
        let in_class = self.records.iter().filter(|record| {
            summit_explain::group_of_image(grouping, classes, record) == Some(own)
        });
        in_class
            .map(|record| record.image)
            .eq(group.images.iter().copied())
            .then_some(own)
    }

    /// Channels proposed to be left out, layer by layer (docs/method.md section 2).
    ///
    /// # Errors
    /// When a table is damaged.
    pub fn outliers(&self) -> Result<Vec<LayerOutliers>, QueryError> {
        let images = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        let layers = self.layers().iter();
        layers
            .map(|layer| {
                let mut counts = ActivationCounts::zeros(1, layer.channels)?;
                let (mut largest, mut equal, mut entries) = (0.0f32, 0u64, 0u64);
                for entry in self.run.top_channels(layer.id)? {
                    let entry = entry?;
                    counts.add(GroupId(0), entry.channel, 1)?;
                    entries += 1;
                    if entry.value > largest {
                        (largest, equal) = (entry.value, 0);
                    }
                    equal += u64::from(entry.value == largest);
                }
                Ok(LayerOutliers {
                    layer: layer.id,
                    channels: outliers(counts.group(GroupId(0)), images),
                    saturated: equal as f64 / entries.max(1) as f64,
                })
            })
            .collect()
    }
}

/// Filters that together let the cells through, each cell once: by label where that reads less.
pub(crate) fn cell_filters(cells: &[Cell]) -> Vec<CellFilter> {
    /// Above this many labels the whole table is read once.
    const FEW: usize = 4;
    let mut labels: Vec<u32> = cells.iter().map(|&(label, _)| label).collect();
    labels.dedup();
    let mut predictions: Vec<u32> = cells.iter().map(|&(_, prediction)| prediction).collect();
    predictions.sort_unstable();
    predictions.dedup();
    if labels.len() <= FEW {
        let of_label = |label: &u32| CellFilter {
            label: Some(*label),
            prediction: None,
        };
        return labels.iter().map(of_label).collect();
    }
    let only = match predictions.as_slice() {
        &[only] => Some(only),
        _ => None,
    };
    vec![CellFilter {
        label: None,
        prediction: only,
    }]
}
