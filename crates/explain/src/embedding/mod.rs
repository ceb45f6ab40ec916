//! A map of groups, channels or images: points that a layer sees alike lie together
//! (docs/method.md section 5).
//!
//! Place in the flow: rows of A, its columns, or images' channel vectors go in; coordinates per layer
//! come out, each layer started from and turned onto the one before, so that what moves between two
//! layers moved because the network moved it. How well neighbourhoods survive is measured, not
//! assumed.
//!
//! ```text
//! rows ─▶ nearest (exact, cosine) ─▶ Embedder (UMAP) ─┬─▶ procrustes ─▶ trustworthiness
//!      └─▶ few points: classical scaling ────────────┘
//! ```

mod classical;
mod nearest;
mod procrustes;
mod trust;
mod umap;

pub use nearest::{MAX_POINTS, NearestNeighbours, SparseRows};
pub use procrustes::align;
pub use trust::{Trustworthiness, trustworthiness};
pub use umap::Umap;

use serde::Serialize;
use thiserror::Error;

/// Neighbours of a point that count as its neighbourhood.
pub const NEIGHBOURS: usize = 15;

/// Coordinates of a point, the unit is arbitrary.
pub type Point = [f64; 2];

/// Why there is no map, one sentence.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EmbeddingError {
    /// More points than an exact search is made for.
    #[error("{points} points are more than the {limit} that can be embedded; take a sample")]
    TooManyPoints {
        /// Points given.
        points: usize,
        /// The most accepted.
        limit: usize,
    },
    /// A coordinate or an index does not fit.
    #[error("{0} does not fit the number of points")]
    Shape(&'static str),
    /// A value is negative or no number.
    #[error("value {value} of point {point} is not a finite number above or equal to 0")]
    Value {
        /// The point.
        point: usize,
        /// Its value, as text.
        value: String,
    },
    /// The embedding itself failed.
    #[error("the embedding failed: {0}")]
    Failed(String),
}

/// Puts points into the plane by their nearest neighbours.
pub trait Embedder {
    /// Coordinates, one per point, all finite; equal input gives equal bytes, whatever the number of
    /// threads.
    ///
    /// * `start`: coordinates to start from; the method's own start where there are none.
    ///
    /// # Errors
    /// When `start` has another length, or the method fails.
    fn embed(
        &self,
        neighbours: &NearestNeighbours,
        start: Option<&[Point]>,
    ) -> Result<Vec<Point>, EmbeddingError>;
}

/// One layer's map.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerEmbedding {
    /// One per row.
    pub points: Vec<Point>,
    /// How well neighbourhoods survived; absent with too few points.
    pub trustworthiness: Option<Trustworthiness>,
}

/// Maps of the same points in consecutive layers, input side first. The first starts afresh, each
/// other one from its predecessor, onto which it is then turned (rotation, reflection, shift). Up to
/// 16 points are placed by classical scaling instead.
///
/// # Errors
/// When the layers have different numbers of points, or too many; see [`Embedder::embed`].
pub fn embed_layers(
    layers: &[SparseRows],
    embedder: &dyn Embedder,
) -> Result<Vec<LayerEmbedding>, EmbeddingError> {
    let mut done: Vec<LayerEmbedding> = Vec::with_capacity(layers.len());
    for rows in layers {
        let before = done.last().map(|layer| layer.points.as_slice());
        if before.is_some_and(|before| before.len() != rows.len()) {
            return Err(EmbeddingError::Shape("a layer"));
        }
        let scaled = is_scaled(rows.len()).then(|| classical::scale(rows));
        let mut points = match scaled.flatten() {
            Some(points) => points,
            None => embedder.embed(&NearestNeighbours::find(rows, NEIGHBOURS), before)?,
        };
        if let Some(before) = before {
            align(&mut points, before);
        }
        done.push(LayerEmbedding {
            trustworthiness: trustworthiness(rows, &points, NEIGHBOURS),
            points,
        });
    }
    Ok(done)
}

/// So few points that each is a neighbour of all others; two have no shape.
fn is_scaled(points: usize) -> bool {
    (3..=NEIGHBOURS + 1).contains(&points)
}

/// What makes a map of so many points, for people.
#[must_use]
pub fn method_name(points: usize) -> &'static str {
    if is_scaled(points) {
        "Classical scaling"
    } else {
        "UMAP"
    }
}

/// One layer's map, from the method's own start.
///
/// # Errors
/// As for [`embed_layers`].
pub fn embed_layer(
    rows: &SparseRows,
    embedder: &dyn Embedder,
) -> Result<LayerEmbedding, EmbeddingError> {
    let mut layers = embed_layers(std::slice::from_ref(rows), embedder)?;
    layers
        .pop()
        .ok_or(EmbeddingError::Shape("the list of layers"))
}

#[cfg(test)]
mod tests;
