//! What stands behind a class's graph: graphs of parts of its images, further inputs of its channels,
//! the images in which a channel is a top channel.
//!
//! Place in the flow: [`crate::bundle`] asks, `query` answers. Nothing here needs the network: a part
//! of a class is made of whole cells of the confusion matrix.

use crate::bundle::Bundle;
use crate::file::{GraphOf, Part};
use crate::graphs::class_graph;
use crate::lazy::get_or_make;
use crate::order::order_of;
use crate::schema::{BUNDLE_SCHEMA_VERSION, CarrierFile, FurtherInput, InputFile};
use crate::{BundleFile, SiteError};
use std::collections::{BTreeMap, BTreeSet};
use summit_explain::graph::ChannelOrder;
use summit_explain::slice::Group;
use summit_explain::{AttributionGraph, GraphParameters, GroupSpec, Measure, class_name};
use summit_query::{GraphChoices, NoRecount, QueryError, measured_edges};
use summit_tables::{ChannelId, ClassId, FlowTables, ImageId, ImageRecord, LayerId, ScoreExample};

/// Further inputs listed per channel of a graph.
const INPUTS_PER_CHANNEL: usize = 8;

/// Top channels kept in memory for all images and layers; runs with more list no carriers.
const MOST_TOP_CHANNELS: usize = 50_000_000;

/// Gives the inputs of a channel (layer, channel), without their counts.
type InputsOf = Box<dyn FnMut((u32, ChannelId)) -> Vec<FurtherInput>>;

/// Edges of both signs, since the page can leave either out.
pub(crate) fn choices() -> GraphChoices {
    GraphChoices {
        parameters: GraphParameters {
            negative_edges: true,
            ..GraphParameters::default()
        },
        ..GraphChoices::default()
    }
}

fn key(graph: &AttributionGraph, node: u32) -> Option<(u32, ChannelId)> {
    let node = graph.nodes.get(node as usize)?;
    Some((node.layer, node.channel))
}

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
    /// The graphs of a class that an export holds, by every measure the run holds: of all its images,
    /// of those predicted right and wrong, and of the cells of the confusion matrix the class table
    /// names.
    pub(crate) fn graph_files(
        &self,
        class: ClassId,
        confused_with: &[[u32; 2]],
    ) -> Result<Vec<BundleFile>, SiteError> {
        let confused = confused_with
            .iter()
            .map(|&[other, _]| Part::Prediction(ClassId(other)));
        let parts = [Part::Prediction(class), Part::Wrong]
            .into_iter()
            .chain(confused)
            .filter(|&part| self.members(class, part).next().is_some())
            .map(Some);
        let mut files = Vec::new();
        for part in [None].into_iter().chain(parts) {
            let own = GraphOf {
                part,
                ..GraphOf::class(class)
            };
            let group = self.group(own)?;
            let held = self.questions.measures(&group.name, &group.targets);
            // The best is what stands there without the name of a measure.
            for (place, measure) in held.into_iter().enumerate() {
                let named = GraphOf {
                    measure: Some(measure),
                    ..own
                };
                let has_edges = self.edge_examples(named).is_ok();
                files.extend(has_edges.then_some(BundleFile::EdgeImages(named)));
                if self.crops.is_ok() {
                    files.extend(has_edges.then_some(BundleFile::EdgeSheet(named)));
                    files.extend(self.carrying_files(named)?);
                }
                let measure = (place > 0).then_some(measure);
                let graph = GraphOf { measure, ..own };
                files.push(BundleFile::Graph(graph));
                if part.is_none() {
                    files.push(BundleFile::Inputs(graph));
                }
            }
        }
        Ok(files)
    }

    fn carrying_files(&self, of: GraphOf) -> Result<Vec<BundleFile>, SiteError> {
        let mut examples = self.score_examples(of)?;
        examples.dedup_by_key(|own| (own.layer, own.example.channel));
        let files = examples.iter();
        let file =
            |own: &ScoreExample| BundleFile::Carrying(of, LayerId(own.layer), own.example.channel);
        Ok(files.map(file).collect())
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

    /// The images a graph is of. Named as on the command line, so that what was measured there is
    /// found.
    pub(crate) fn group(&self, of: GraphOf) -> Result<Group, SiteError> {
        let GraphOf { class, part, .. } = of;
        let Some(part) = part else {
            return self.class_group(class);
        };
        let images: BTreeSet<ImageId> = self
            .members(class, part)
            .map(|record| record.image)
            .collect();
        if images.is_empty() {
            return Err(SiteError::Absent {
                what: BundleFile::Graph(of).to_string(),
            });
        }
        if let Part::Prediction(prediction) = part {
            let label = class;
            return Ok(self
                .questions
                .group_of(&GroupSpec::Cell { label, prediction })?);
        }
        let name = format!("{}, wrong", class_name(self.questions.classes(), class));
        let mut group =
            Group::of_images(name, images, self.questions.records()).map_err(QueryError::from)?;
        group.targets = vec![class];
        Ok(group)
    }

    pub(crate) fn graph(&self, of: GraphOf) -> Result<AttributionGraph, SiteError> {
        let group = self.group(of)?;
        let held = self.questions.measures(&group.name, &group.targets);
        let measure = of.measure.or_else(|| held.first().copied());
        let mut graph = if of.part.is_none() && measure == Some(Measure::ConvMax) {
            class_graph(&self.questions, of.class)?
        } else {
            let graph = self
                .questions
                .held_graph(&group, measure, &choices(), &NoRecount);
            graph.map_err(|problem| match problem {
                QueryError::NotMeasured { .. } => SiteError::Absent {
                    what: BundleFile::Graph(of).to_string(),
                },
                problem => problem.into(),
            })?
        };
        if of.part == Some(Part::Prediction(of.class)) {
            let name = class_name(self.questions.classes(), of.class);
            graph.group.name = format!("{name}, right");
        }
        graph.place_along(self.order()?);
        Ok(graph)
    }

    fn order(&self) -> Result<&ChannelOrder, SiteError> {
        get_or_make(Some(&self.order), || order_of(&self.questions))
    }

    /// What was measured for a graph; none where its measure has no sign.
    pub(crate) fn flow_of(&self, of: GraphOf) -> Result<Option<FlowTables>, SiteError> {
        let group = self.group(of)?;
        let held = self.questions.measures(&group.name, &group.targets);
        match of.measure.or_else(|| held.first().copied()) {
            Some(measure) if !measure.is_signed() => Ok(None),
            Some(measure) if held.contains(&measure) => {
                Ok(Some(self.questions.flow(&group, measure)?))
            }
            Some(_) => Err(SiteError::Absent {
                what: BundleFile::Graph(of).to_string(),
            }),
            None => Ok(None),
        }
    }

    /// The images that carry most of the scores a graph shows; none where its measure has no sign.
    pub(crate) fn score_examples(&self, of: GraphOf) -> Result<Vec<ScoreExample>, SiteError> {
        Ok(self
            .flow_of(of)?
            .map_or_else(Vec::new, |flow| flow.examples))
    }

    /// Inputs of the channels of a graph that it does not show.
    pub(crate) fn inputs(&self, of: GraphOf) -> Result<InputFile, SiteError> {
        let graph = self.graph(of)?;
        let group = self.group(of)?;
        let drawn: BTreeSet<_> = graph
            .edges
            .iter()
            .filter_map(|edge| Some((key(&graph, edge.from)?, key(&graph, edge.to)?)))
            .collect();
        let mut found = if graph.measure.is_signed() {
            self.measured_inputs(&group, graph.measure)?
        } else {
            self.counted_inputs(&group)?
        };
        let counts = self.questions.counts_of_layers(&group)?;
        let mut file = InputFile {
            schema_version: BUNDLE_SCHEMA_VERSION,
            ..InputFile::default()
        };
        for node in graph.nodes.iter().filter(|node| node.layer > 0) {
            let (below, own) = (node.layer - 1, (node.layer, node.channel));
            let mut inputs = found(own);
            inputs.retain(|input| !drawn.contains(&((below, ChannelId(input.channel)), own)));
            inputs.sort_by(|left, right| {
                let weight = |input: &FurtherInput| match input.effect {
                    Some(effect) => effect.mean.abs(),
                    None => f64::from(input.influence.unwrap_or(0)),
                };
                let heavier = weight(right).total_cmp(&weight(left));
                heavier.then(left.channel.cmp(&right.channel))
            });
            inputs.truncate(INPUTS_PER_CHANNEL);
            for input in &mut inputs {
                let row = counts.get(below as usize);
                let count = row.and_then(|row| row.get(input.channel as usize));
                input.count = count.copied().unwrap_or(0);
            }
            file.layer.push(node.layer);
            file.channel.push(node.channel.0);
            file.inputs.push(inputs);
        }
        Ok(file)
    }

    /// All inputs of a channel by conv-max counts.
    fn counted_inputs(&self, group: &Group) -> Result<InputsOf, SiteError> {
        let links = self.questions.graph(group, &choices(), &NoRecount)?.links;
        Ok(Box::new(move |(layer, channel)| {
            let below = layer.checked_sub(1).map(|below| below as usize);
            let Some(link) = below.and_then(|below| links.get(below)) else {
                return Vec::new();
            };
            let entries = link.row_entries(channel.0);
            let input = |(channel, influence)| FurtherInput {
                channel,
                influence: Some(influence),
                ..FurtherInput::default()
            };
            entries.map(input).collect()
        }))
    }

    /// All inputs of a channel whose effect was measured.
    fn measured_inputs(&self, group: &Group, measure: Measure) -> Result<InputsOf, SiteError> {
        let flow = self.questions.flow(group, measure)?;
        let mut inputs: BTreeMap<(u32, ChannelId), Vec<FurtherInput>> = BTreeMap::new();
        for edge in measured_edges(&flow) {
            let to = (edge.lower.0.saturating_add(1), edge.to);
            inputs.entry(to).or_default().push(FurtherInput {
                channel: edge.from.0,
                effect: Some(edge.effect),
                top_images: Some(edge.top_images),
                ..FurtherInput::default()
            });
        }
        Ok(Box::new(move |channel| {
            inputs.remove(&channel).unwrap_or_default()
        }))
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
