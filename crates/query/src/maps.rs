//! Maps of classes, channels and images, layer by layer (docs/method.md section 5).

use crate::{QueryError, Questions};
use summit_explain::embedding::{
    Embedder, LayerEmbedding, MAX_POINTS, SparseRows, embed_layer, embed_layers,
};
use summit_tables::{GroupId, Grouping, LayerId};

/// What the points of a map are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapOf {
    /// Classes, by their rows of A; those without images are left out.
    Classes(Grouping),
    /// Channels of a layer, by their columns of A; those on top of no image are left out.
    Channels,
    /// Images, by the values of their top channels; of more than 50,000 an even sample.
    Images,
}

/// A layer's map.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapped {
    /// The layer.
    pub layer: LayerId,
    /// What the points are: classes, channels of this layer, or images.
    pub ids: Vec<u32>,
    /// Their places and how well neighbourhoods survived.
    pub embedding: LayerEmbedding,
}

/// Maps of several layers, input side first.
pub type Maps = Vec<Mapped>;

impl Questions {
    /// Maps of the given layers (ascending). Those of classes and images are chained and turned onto
    /// one another; those of channels stand alone, since other layers have other channels.
    ///
    /// # Errors
    /// When a table is damaged, or there are too many points.
    pub fn maps(
        &self,
        of: MapOf,
        layers: &[LayerId],
        embedder: &dyn Embedder,
    ) -> Result<Maps, QueryError> {
        match of {
            MapOf::Classes(grouping) => self.class_maps(grouping, layers, embedder),
            MapOf::Channels => layers
                .iter()
                .map(|&layer| self.channel_map(layer, embedder))
                .collect(),
            MapOf::Images => self.image_maps(layers, embedder),
        }
    }

    fn class_maps(
        &self,
        grouping: Grouping,
        layers: &[LayerId],
        embedder: &dyn Embedder,
    ) -> Result<Maps, QueryError> {
        let sizes = self.class_sizes(grouping);
        let ids: Vec<u32> = sizes.into_keys().map(|class| class.0).collect();
        let mut rows = Vec::with_capacity(layers.len());
        for &layer in layers {
            let counts = self.class_counts(grouping, layer)?;
            rows.push(SparseRows::from_counts(
                ids.iter().map(|&id| counts.group(GroupId(id))),
            )?);
        }
        Ok(mapped(layers, &ids, embed_layers(&rows, embedder)?))
    }

    fn channel_map(&self, layer: LayerId, embedder: &dyn Embedder) -> Result<Mapped, QueryError> {
        let counts = self.class_counts(Grouping::Label, layer)?;
        let mut columns: Vec<Vec<(u32, f64)>> = vec![Vec::new(); counts.channels() as usize];
        for group in 0..counts.groups() {
            for (column, &images) in columns.iter_mut().zip(counts.group(GroupId(group))) {
                if images > 0 {
                    column.push((group, f64::from(images)));
                }
            }
        }
        let on_top = (0..).zip(columns).filter(|(_, column)| !column.is_empty());
        let (ids, columns): (Vec<u32>, Vec<_>) = on_top.unzip();
        let embedding = embed_layer(&SparseRows::new(columns)?, embedder)?;
        Ok(Mapped {
            layer,
            ids,
            embedding,
        })
    }

    fn image_maps(&self, layers: &[LayerId], embedder: &dyn Embedder) -> Result<Maps, QueryError> {
        let count = self.records.len();
        let sampled = count.min(MAX_POINTS);
        let sample = (0..sampled).filter_map(|k| self.records.get(k * count / sampled));
        let ids: Vec<u32> = sample.map(|record| record.image.0).collect();
        let mut rows = Vec::with_capacity(layers.len());
        for &layer in layers {
            let mut vectors = vec![Vec::new(); ids.len()];
            for entry in self.run.top_channels(layer)? {
                let entry = entry?;
                if let Ok(position) = ids.binary_search(&entry.image.0)
                    && let Some(vector) = vectors.get_mut(position)
                {
                    vector.push((entry.channel.0, f64::from(entry.value)));
                }
            }
            rows.push(SparseRows::new(vectors)?);
        }
        Ok(mapped(layers, &ids, embed_layers(&rows, embedder)?))
    }
}

fn mapped(layers: &[LayerId], ids: &[u32], embeddings: Vec<LayerEmbedding>) -> Maps {
    let pairs = layers.iter().zip(embeddings);
    let mapped = |(&layer, embedding)| Mapped {
        layer,
        ids: ids.to_vec(),
        embedding,
    };
    pairs.map(mapped).collect()
}
