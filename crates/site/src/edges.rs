//! The images that carry the edges of a graph of signed influence.
//!
//! Place in the flow: [`crate::bundle`] asks; measured with the edges, read from the run. A graph of conv-max
//! counts has none: its counts are of classes, not of images.

use crate::bundle::{Bundle, PICTURES, image_columns, rounded};
use crate::file::GraphOf;
use crate::schema::{BUNDLE_SCHEMA_VERSION, EdgeImageFile};
use crate::{BundleFile, SiteError};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use summit_tables::{EdgeExample, ImageId};

/// Layer of the lower end, lower channel, upper channel or class.
type EdgeKey = (u32, u32, u32);

impl Bundle {
    /// The edges the graph shows, or can be made to show, with their images.
    pub(crate) fn edge_images(&self, of: GraphOf) -> Result<EdgeImageFile, SiteError> {
        let examples = self.edge_examples(of)?;
        let images = sheet_images(&examples);
        let places: BTreeMap<ImageId, u32> = images.iter().copied().zip(0..).collect();
        let records = images
            .iter()
            .filter_map(|&image| self.questions.record(image));
        let mut file = EdgeImageFile {
            schema_version: BUNDLE_SCHEMA_VERSION,
            images: image_columns(records),
            ..EdgeImageFile::default()
        };
        // They come edge by edge, the largest first.
        for of_edge in examples.chunk_by(|left, right| key(left) == key(right)) {
            let (lower, from, to) = of_edge.first().map(key).unwrap_or_default();
            let placed = of_edge.iter().filter_map(|example| {
                let place = places.get(&example.image)?;
                Some((*place, rounded(example.effect)))
            });
            let (places, effects) = placed.unzip();
            file.lower.push(lower);
            file.from.push(from);
            file.to.push(to);
            file.places.push(places);
            file.effect.push(effects);
        }
        Ok(file)
    }

    pub(crate) fn edge_sheet(&self, of: GraphOf) -> Result<Vec<u8>, SiteError> {
        let images = sheet_images(&self.edge_examples(of)?);
        self.crops()?
            .contact_sheet(&images, PICTURES.sheet_columns, PICTURES.sheet_tile)
    }

    /// Of the edges that are drawn and of the inputs that can be added; never empty.
    pub(crate) fn edge_examples(&self, of: GraphOf) -> Result<Vec<EdgeExample>, SiteError> {
        let absent = || SiteError::Absent {
            what: BundleFile::EdgeImages(of).to_string(),
        };
        // Before the graph: of conv-max counts it would be made for nothing.
        let flow = self.flow_of(of)?.ok_or_else(absent)?;
        let graph = self.graph(of)?;
        let end = |node: u32| graph.nodes.get(node as usize);
        let drawn = graph.edges.iter().filter_map(|edge| {
            let (from, to) = (end(edge.from)?, end(edge.to)?);
            Some((from.layer, from.channel.0, to.channel.0))
        });
        let into_classes = graph.logit_edges.iter().filter_map(|edge| {
            let (from, to) = (end(edge.from)?, graph.classes.get(edge.to as usize)?);
            Some((from.layer, from.channel.0, to.class.0))
        });
        let mut shown: BTreeSet<EdgeKey> = drawn.chain(into_classes).collect();
        let further = self.inputs(of)?;
        let ends = further.layer.iter().zip(&further.channel);
        for ((&layer, &channel), inputs) in ends.zip(&further.inputs) {
            let lower = layer.saturating_sub(1);
            shown.extend(inputs.iter().map(|input| (lower, input.channel, channel)));
        }
        let mut examples = flow.edge_examples;
        // The tables come from outside: an image may be one that was skipped.
        examples.retain(|example| {
            shown.contains(&key(example)) && self.questions.record(example.image).is_some()
        });
        if examples.is_empty() {
            return Err(absent());
        }
        Ok(examples)
    }
}

fn key(example: &EdgeExample) -> EdgeKey {
    (example.lower, example.from, example.to)
}

/// Those of the most edges first, equal ones by id.
fn sheet_images(examples: &[EdgeExample]) -> Vec<ImageId> {
    let mut edges: BTreeMap<ImageId, usize> = BTreeMap::new();
    for example in examples {
        *edges.entry(example.image).or_default() += 1;
    }
    let mut images: Vec<(ImageId, usize)> = edges.into_iter().collect();
    images.sort_by_key(|&(_, edges)| Reverse(edges));
    images.truncate(PICTURES.sheet_images as usize);
    images.into_iter().map(|(image, _)| image).collect()
}
