//! Classes, channels and images as points.
//!
//! Place in the flow: [`crate::bundle`] asks, `query` computes the maps of all layers once: each starts from the
//! one below. Those of classes and images are kept ([`crate::kept`]).

use crate::SiteError;
use crate::bundle::Bundle;
use crate::file::PointKind;
use crate::kept::{Place, keep, kept};
use crate::lazy::get_or_make;
use crate::schema::{BUNDLE_SCHEMA_VERSION, EmbeddingFile};
use std::borrow::Cow;
use summit_explain::embedding::{Umap, method_name};
use summit_query::{MapOf, Mapped, Questions};
use summit_tables::{Grouping, ImageId, LayerId};

const CLASSES: Place = Place {
    file: Cow::Borrowed("class_maps.json"),
    version: 1,
};

const IMAGES: Place = Place {
    file: Cow::Borrowed("image_maps.json"),
    version: 1,
};

impl Bundle {
    /// Classes as points.
    pub(crate) fn embedding(&self, layer: LayerId) -> Result<&EmbeddingFile, SiteError> {
        self.layer(layer)?;
        let maps = get_or_make(Some(&self.maps), || class_maps(&self.questions))?;
        maps.get(layer.index()).ok_or_else(|| no_map(layer))
    }

    /// Channels or images as points.
    pub(crate) fn points(
        &self,
        kind: PointKind,
        layer: LayerId,
    ) -> Result<EmbeddingFile, SiteError> {
        self.layer(layer)?;
        match kind {
            PointKind::Images => {
                let maps = get_or_make(Some(&self.image_maps), || {
                    kept_maps(&self.questions, MapOf::Images, &IMAGES)
                })?;
                let map = maps.get(layer.index()).ok_or_else(|| no_map(layer))?;
                let class = |&image: &u32| self.class_of_image(ImageId(image));
                let group = map.id.iter().map(class).collect();
                Ok(EmbeddingFile {
                    group: Some(group),
                    ..map.clone()
                })
            }
            PointKind::Channels => {
                let maps = self
                    .questions
                    .maps(MapOf::Channels, &[layer], &Umap::default())?;
                maps.first()
                    .map(embedding_file)
                    .ok_or_else(|| no_map(layer))
            }
        }
    }
}

/// Classes as points, per layer.
pub(crate) fn class_maps(questions: &Questions) -> Result<Vec<EmbeddingFile>, SiteError> {
    kept_maps(questions, MapOf::Classes(Grouping::Label), &CLASSES)
}

fn kept_maps(
    questions: &Questions,
    of: MapOf,
    place: &Place,
) -> Result<Vec<EmbeddingFile>, SiteError> {
    let found = kept::<Vec<EmbeddingFile>>(questions.run(), place);
    let whole = |maps: &Vec<_>| maps.len() == questions.layers().len() && all_whole(maps);
    if let Some(maps) = found.filter(whole) {
        return Ok(maps);
    }
    let layers: Vec<LayerId> = questions.layers().iter().map(|info| info.id).collect();
    let maps = questions.maps(of, &layers, &Umap::default())?;
    let maps: Vec<_> = maps.iter().map(embedding_file).collect();
    keep(questions.run(), place, &maps);
    Ok(maps)
}

/// Whether every point has a place: the files may come from elsewhere.
fn all_whole(maps: &[EmbeddingFile]) -> bool {
    maps.iter().all(|map| {
        map.schema_version == BUNDLE_SCHEMA_VERSION
            && [map.x.len(), map.y.len()] == [map.id.len(); 2]
            && map.x.iter().chain(&map.y).all(|place| place.is_finite())
    })
}

fn embedding_file(map: &Mapped) -> EmbeddingFile {
    let quality = map.embedding.trustworthiness;
    let points = map.embedding.points.iter();
    let (x, y) = points.map(|&[x, y]| (x as f32, y as f32)).unzip();
    EmbeddingFile {
        schema_version: BUNDLE_SCHEMA_VERSION,
        method: method_name(map.embedding.points.len()).to_owned(),
        trustworthiness: quality.map(|quality| quality.value),
        id: map.ids.clone(),
        group: None,
        x,
        y,
    }
}

fn no_map(layer: LayerId) -> SiteError {
    SiteError::Absent {
        what: format!("map of layer {}", layer.0),
    }
}
