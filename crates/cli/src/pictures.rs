//! Pictures of channels for the drawings: crops of the images that excite them most.

use crate::message;
use crate::recount::{Source, folder};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;
use summit_explain::AttributionGraph;
use summit_explain::render::data_uri;
use summit_images::{
    DecodeLimits, ImageFolder, ImageItem, InputRect, Preprocessing, crop_and_resize, encode_jpeg,
    load,
};
use summit_nn::layers::ReceptiveField;
use summit_query::Questions;
use summit_tables::{DatasetExample, LayerInfo};

/// Longer side of a node's picture, pixels.
const PICTURE_SIDE: u32 = 96;

/// Crops of the images that excite a channel most.
pub struct Pictures<'a> {
    questions: &'a Questions,
    source: ImageFolder,
    preprocessing: Preprocessing,
}

impl<'a> Pictures<'a> {
    /// `None`, with a warning, where the images are not to be found.
    ///
    /// * `images`: their folder, if it moved since the run.
    pub fn new(questions: &'a Questions, images: Option<&Path>) -> Result<Option<Self>> {
        let remembered = || Source::of(questions.run().path()).images;
        let Some(root) = images.map(Path::to_path_buf).or_else(remembered) else {
            message::warning(
                "the run does not say where its images are; drawing without pictures (see --images)",
            );
            return Ok(None);
        };
        if !root.is_dir() {
            message::warning(&format!(
                "the images are gone; drawing without pictures (see --images): {}",
                root.display()
            ));
            return Ok(None);
        }
        let preprocessing = questions.run().manifest().spec.preprocessing.clone();
        Ok(Some(Self {
            questions,
            source: folder(root),
            preprocessing: serde_json::from_value(preprocessing)
                .context("the run's preprocessing is not understood")?,
        }))
    }

    /// One picture per node, `(layer, channel)` to a data address. Missing images leave gaps.
    pub fn of_nodes(&self, graph: &AttributionGraph) -> BTreeMap<(u32, u32), String> {
        let mut found = BTreeMap::new();
        let mut missing = 0;
        for layer in self.questions.layers() {
            let wanted: Vec<u32> = graph
                .nodes
                .iter()
                .filter(|node| node.layer == layer.id.0)
                .map(|node| node.channel.0)
                .collect();
            let Ok(examples) = self.questions.run().examples(layer.id) else {
                continue;
            };
            for example in examples.flatten().filter(|example| example.rank == 0) {
                if !wanted.contains(&example.channel.0) {
                    continue;
                }
                match self.crop(layer, &example) {
                    Some(picture) => {
                        found.insert((layer.id.0, example.channel.0), picture);
                    }
                    None => missing += 1,
                }
            }
        }
        if missing > 0 {
            message::warning(&format!(
                "{missing} pictures are missing: their images cannot be read"
            ));
        }
        found
    }

    fn crop(&self, layer: &LayerInfo, example: &DatasetExample) -> Option<String> {
        let item = ImageItem {
            image: example.image,
            path: self.questions.record(example.image)?.path.clone(),
            folder: None,
        };
        let image = load(&self.source, &item, &DecodeLimits::default()).ok()?;
        let unit = [u32::from(example.row), u32::from(example.column)];
        let area = ReceptiveField::of_layer(layer).input_rectangle(unit, self.preprocessing.size);
        let rect = InputRect {
            top: f64::from(area.top),
            left: f64::from(area.left),
            height: f64::from(area.height),
            width: f64::from(area.width),
        };
        let crop = crop_and_resize(&image, &self.preprocessing, rect, PICTURE_SIDE).ok()?;
        Some(data_uri("image/jpeg", &encode_jpeg(&crop, 85).ok()?))
    }
}
