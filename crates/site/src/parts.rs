//! What stands behind a class's graph: graphs of parts of its images, further inputs of its channels,
//! the images in which a channel is a top channel.
//!
//! Place in the flow: [`crate::bundle`] asks, `query` answers. Nothing here needs the network: a part
//! of a class is made of whole cells of the confusion matrix.

use crate::bundle::{Bundle, json};
use crate::file::Part;
use crate::schema::{BUNDLE_SCHEMA_VERSION, CarrierFile, InputFile};
use crate::{BundleFile, SiteError};
use std::collections::{BTreeMap, BTreeSet};
use summit_explain::slice::Group;
use summit_explain::{ConvMaxGraph, class_name};
use summit_query::{GraphChoices, NoRecount};
use summit_tables::{ChannelId, ClassId, ImageId, ImageRecord};

/// Further inputs listed per channel of a graph.
const INPUTS_PER_CHANNEL: usize = 8;

/// Top channels kept in memory for all images and layers; runs with more list no carriers.
const MOST_TOP_CHANNELS: usize = 50_000_000;

/// Top channels of all images in one layer.
#[derive(Debug, Default)]
pub(crate) struct TopsOfLayer {
    /// Image, and where its channels start; ascending.
    starts: Vec<(ImageId, usize)>,
    channels: Vec<ChannelId>,
}

impl TopsOfLayer {
    fn of(&self, image: ImageId) -> &[ChannelId] {
        let Ok(place) = self.starts.binary_search_by_key(&image, |(id, _)| *id) else {
            return &[];
        };
        let start = self.starts.get(place).map_or(0, |(_, start)| *start);
        let end = self
            .starts
            .get(place + 1)
            .map_or(self.channels.len(), |(_, start)| *start);
        self.channels.get(start..end).unwrap_or_default()
    }
}

impl Bundle {
    /// The files this module makes for a class that an export holds: all there are of other parts than
    /// single cells, and the cells the class table names.
    pub(crate) fn part_files(&self, class: ClassId, confused_with: &[[u32; 2]]) -> Vec<BundleFile> {
        let mut files = vec![BundleFile::Carriers(class)];
        if self.questions.has_influence() {
            files.push(BundleFile::Inputs(class));
            let parts = [Part::Prediction(class), Part::Wrong].into_iter().chain(
                confused_with
                    .iter()
                    .map(|&[other, _]| Part::Prediction(ClassId(other))),
            );
            let there = parts.filter(|&part| self.members(class, part).next().is_some());
            files.extend(there.map(|part| BundleFile::PartGraph(class, part)));
        }
        files
    }

    fn members(&self, class: ClassId, part: Part) -> impl Iterator<Item = &ImageRecord> {
        self.questions.records().iter().filter(move |record| {
            let predicted = record.prediction();
            record.label == Some(class)
                && match part {
                    Part::Prediction(other) => predicted == Some(other),
                    Part::Wrong => predicted.is_some() && predicted != Some(class),
                }
        })
    }

    /// The graph of part of a class's images.
    pub(crate) fn part_graph(&self, class: ClassId, part: Part) -> Result<Vec<u8>, SiteError> {
        let images: BTreeSet<ImageId> = self
            .members(class, part)
            .map(|record| record.image)
            .collect();
        let absent = || SiteError::Absent {
            what: BundleFile::PartGraph(class, part).to_string(),
        };
        if images.is_empty() {
            return Err(absent());
        }
        let named = |class| class_name(self.questions.classes(), class);
        let (name, targets) = match part {
            Part::Wrong => (format!("{}, wrong", named(class)), vec![class]),
            Part::Prediction(other) if other == class => {
                (format!("{}, right", named(class)), vec![class])
            }
            Part::Prediction(other) => (
                format!("{} taken for {}", named(class), named(other)),
                vec![class, other],
            ),
        };
        let mut group =
            Group::of_images(name, images, self.questions.records()).map_err(|_| absent())?;
        group.targets = targets;
        json(&self.made_graph(&group)?.graph)
    }

    pub(crate) fn made_graph(&self, group: &Group) -> Result<ConvMaxGraph, SiteError> {
        Ok(self
            .questions
            .graph(group, &GraphChoices::default(), &NoRecount)?)
    }

    /// Inputs of the channels of a class's graph that it does not show.
    pub(crate) fn inputs(&self, class: ClassId) -> Result<InputFile, SiteError> {
        let made = self.made_graph(&self.class_group(class)?)?;
        let graph = &made.graph;
        let key = |index: u32| {
            let node = graph.nodes.get(index as usize);
            node.map(|node| (node.layer, node.channel))
        };
        let drawn: BTreeSet<_> = graph
            .edges
            .iter()
            .map(|edge| (key(edge.from), key(edge.to)))
            .collect();
        let mut file = InputFile {
            schema_version: BUNDLE_SCHEMA_VERSION,
            ..InputFile::default()
        };
        for node in graph.nodes.iter().filter(|node| node.layer > 0) {
            let (below, own) = (node.layer - 1, Some((node.layer, node.channel)));
            let Some(link) = made.links.get(below as usize) else {
                continue;
            };
            let counts = made.counts.get(below as usize);
            let count = |channel: u32| {
                counts
                    .and_then(|row| row.get(channel as usize))
                    .copied()
                    .unwrap_or(0)
            };
            let mut inputs: Vec<[u32; 3]> = link
                .row_entries(node.channel.0)
                .filter(|(channel, _)| !drawn.contains(&(Some((below, ChannelId(*channel))), own)))
                .map(|(channel, influence)| [channel, influence, count(channel)])
                .collect();
            inputs.sort_by_key(|&[channel, influence, _]| (std::cmp::Reverse(influence), channel));
            inputs.truncate(INPUTS_PER_CHANNEL);
            file.layer.push(node.layer);
            file.channel.push(node.channel.0);
            file.inputs.push(inputs);
        }
        Ok(file)
    }

    /// In which of a class's images a channel is a top channel.
    pub(crate) fn carriers(&self, class: ClassId) -> Result<CarrierFile, SiteError> {
        let images = self.sheet_images(class)?;
        let mut file = CarrierFile {
            schema_version: BUNDLE_SCHEMA_VERSION,
            ..CarrierFile::default()
        };
        for (layer, tops) in (0u32..).zip(self.tops()?) {
            let mut places: BTreeMap<ChannelId, Vec<u32>> = BTreeMap::new();
            for (place, &image) in (0u32..).zip(&images) {
                for &channel in tops.of(image) {
                    places.entry(channel).or_default().push(place);
                }
            }
            for (channel, images) in places {
                file.layer.push(layer);
                file.channel.push(channel.0);
                file.images.push(images);
            }
        }
        Ok(file)
    }

    /// Reads the top channels of all images, per layer.
    pub(crate) fn read_tops(&self) -> Result<Vec<TopsOfLayer>, SiteError> {
        let mut left = MOST_TOP_CHANNELS;
        let mut layers = Vec::new();
        for layer in self.questions.layers() {
            let mut tops = TopsOfLayer::default();
            // Rows come by ascending image.
            for entry in self.questions.run().top_channels(layer.id)? {
                let entry = entry?;
                left = left.checked_sub(1).ok_or_else(|| SiteError::Absent {
                    what: "carriers: the run has too many images".to_owned(),
                })?;
                if tops
                    .starts
                    .last()
                    .is_none_or(|(image, _)| *image != entry.image)
                {
                    tops.starts.push((entry.image, tops.channels.len()));
                }
                tops.channels.push(entry.channel);
            }
            layers.push(tops);
        }
        Ok(layers)
    }
}
