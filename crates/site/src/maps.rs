//! Classes, channels and images as points.
//!
//! Place in the flow: [`crate::bundle`] asks, `query` computes the maps of all layers once.

use crate::SiteError;
use crate::bundle::{Bundle, get_or_make};
use crate::file::PointKind;
use crate::schema::{BUNDLE_SCHEMA_VERSION, EmbeddingFile};
use std::sync::OnceLock;
use summit_explain::embedding::{Umap, method_name};
use summit_query::{MapOf, Mapped, Maps};
use summit_tables::{Grouping, ImageId, LayerId};

impl Bundle {
    /// Classes as points.
    pub(crate) fn embedding(&self, layer: LayerId) -> Result<EmbeddingFile, SiteError> {
        let of = MapOf::Classes(Grouping::Label);
        Ok(embedding_file(
            self.chained_map(&self.maps, of, layer)?,
            None,
        ))
    }

    /// Channels or images as points.
    pub(crate) fn points(
        &self,
        kind: PointKind,
        layer: LayerId,
    ) -> Result<EmbeddingFile, SiteError> {
        match kind {
            PointKind::Images => {
                let map = self.chained_map(&self.image_maps, MapOf::Images, layer)?;
                let class = |&image: &u32| self.class_of_image(ImageId(image));
                let group = map.ids.iter().map(class).collect();
                Ok(embedding_file(map, Some(group)))
            }
            PointKind::Channels => {
                self.layer(layer)?;
                let maps = self
                    .questions
                    .maps(MapOf::Channels, &[layer], &Umap::default())?;
                let map = maps.first().ok_or_else(|| no_map(layer))?;
                Ok(embedding_file(map, None))
            }
        }
    }

    /// The map of a layer among those of all: each starts from the one below, so they are made
    /// together.
    fn chained_map<'a>(
        &self,
        maps: &'a OnceLock<Maps>,
        of: MapOf,
        layer: LayerId,
    ) -> Result<&'a Mapped, SiteError> {
        self.layer(layer)?;
        let maps = get_or_make(Some(maps), || {
            let layers: Vec<LayerId> = self.questions.layers().iter().map(|info| info.id).collect();
            Ok(self.questions.maps(of, &layers, &Umap::default())?)
        })?;
        maps.get(layer.index()).ok_or_else(|| no_map(layer))
    }
}

fn embedding_file(map: &Mapped, group: Option<Vec<u32>>) -> EmbeddingFile {
    let quality = map.embedding.trustworthiness;
    let points = map.embedding.points.iter();
    let (x, y) = points.map(|&[x, y]| (x as f32, y as f32)).unzip();
    EmbeddingFile {
        schema_version: BUNDLE_SCHEMA_VERSION,
        method: method_name(map.embedding.points.len()).to_owned(),
        trustworthiness: quality.map(|quality| quality.value),
        id: map.ids.clone(),
        group,
        x,
        y,
    }
}

fn no_map(layer: LayerId) -> SiteError {
    SiteError::Absent {
        what: format!("map of layer {}", layer.0),
    }
}
