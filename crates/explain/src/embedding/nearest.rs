//! Exact nearest neighbours by cosine distance.
//!
//! Rows of A are mostly zeros, and so are images' channel vectors: products are taken over an index
//! by column. `O(sum over entries of the length of their column)`, memory `O(entries + points)` and
//! `O(points)` per thread. Exact, so there is nothing to seed and nothing to tune.

use super::EmbeddingError;
use std::num::NonZero;

/// The most points; the search is quadratic.
pub const MAX_POINTS: usize = 50_000;

/// Points as sparse rows of values at least 0, scaled to length 1.
#[derive(Clone, Debug, PartialEq)]
pub struct SparseRows {
    /// Per point `(column, value)`, columns ascending.
    rows: Vec<Vec<(u32, f64)>>,
    /// Per column `(point, value)`, points ascending.
    columns: Vec<Vec<(u32, f64)>>,
}

impl SparseRows {
    /// From `(column, value)` per point, columns in any order but each at most once; zeros vanish.
    ///
    /// # Errors
    /// More than [`MAX_POINTS`] points; a value that is negative or no finite number.
    pub fn new(points: impl IntoIterator<Item = Vec<(u32, f64)>>) -> Result<Self, EmbeddingError> {
        let mut rows = Vec::new();
        for (point, mut row) in points.into_iter().enumerate() {
            if point == MAX_POINTS {
                return Err(EmbeddingError::TooManyPoints {
                    points: point + 1,
                    limit: MAX_POINTS,
                });
            }
            if let Some((_, value)) = row.iter().find(|(_, v)| !(v.is_finite() && *v >= 0.0)) {
                let value = value.to_string();
                return Err(EmbeddingError::Value { point, value });
            }
            row.retain(|&(_, value)| value > 0.0);
            row.sort_unstable_by_key(|&(column, _)| column);
            scale(&mut row);
            rows.push(row);
        }
        let width = rows
            .iter()
            .flatten()
            .map(|&(column, _)| column as usize + 1)
            .max();
        let mut columns = vec![Vec::new(); width.unwrap_or(0)];
        for (point, row) in (0..).zip(&rows) {
            for &(column, value) in row {
                if let Some(list) = columns.get_mut(column as usize) {
                    list.push((point, value));
                }
            }
        }
        Ok(Self { rows, columns })
    }

    /// From counts, `[points][columns]`.
    ///
    /// # Errors
    /// As for [`SparseRows::new`].
    pub fn from_counts<'a>(
        points: impl IntoIterator<Item = &'a [u32]>,
    ) -> Result<Self, EmbeddingError> {
        Self::new(points.into_iter().map(|row| {
            let present = (0..).zip(row).filter(|(_, count)| **count > 0);
            present
                .map(|(column, &count)| (column, f64::from(count)))
                .collect()
        }))
    }

    /// Number of points.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// No point at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Cosine distances of a point to all, `[points]`, 0 to 1; 1 to and from a point that is 0
    /// everywhere, itself excepted.
    pub(super) fn distances(&self, point: usize, distances: &mut Vec<f64>) {
        distances.clear();
        distances.resize(self.len(), 0.0);
        for &(column, value) in self.rows.get(point).into_iter().flatten() {
            for &(other, weight) in self.columns.get(column as usize).into_iter().flatten() {
                if let Some(sum) = distances.get_mut(other as usize) {
                    *sum += value * weight;
                }
            }
        }
        distances
            .iter_mut()
            .for_each(|value| *value = (1.0 - *value).max(0.0));
        if let Some(own) = distances.get_mut(point) {
            *own = 0.0;
        }
    }
}

/// To length 1. The largest first, so that squares neither vanish nor overflow.
fn scale(row: &mut [(u32, f64)]) {
    let largest = row.iter().map(|&(_, value)| value).fold(0.0, f64::max);
    if largest > 0.0 {
        row.iter_mut().for_each(|(_, value)| *value /= largest);
        let length: f64 = row
            .iter()
            .map(|&(_, value)| value * value)
            .sum::<f64>()
            .sqrt();
        row.iter_mut().for_each(|(_, value)| *value /= length);
    }
}

/// Each point's nearest others.
#[derive(Clone, Debug, PartialEq)]
pub struct NearestNeighbours {
    /// `[points][count]`, nearest first; ties: lower point.
    pub indices: Vec<Vec<usize>>,
    /// Cosine distances to them, 0 to 1.
    pub distances: Vec<Vec<f64>>,
}

impl NearestNeighbours {
    /// The `count` nearest of each point, all others where there are fewer.
    #[must_use]
    pub fn find(rows: &SparseRows, count: usize) -> Self {
        let found = per_point(rows.len(), |point, distances| {
            rows.distances(point, distances);
            nearest(distances, point, count)
        });
        let (indices, distances) = found
            .into_iter()
            .map(|list| {
                list.into_iter()
                    .map(|(distance, other)| (other, distance))
                    .unzip()
            })
            .unzip();
        Self { indices, distances }
    }

    /// Number of points.
    #[must_use]
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// No point at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }
}

/// What `work` makes of each number below `count`, in order, on all processors; each thread has one
/// buffer to work in.
pub(super) fn per_point<T: Send>(
    count: usize,
    work: impl Fn(usize, &mut Vec<f64>) -> T + Sync,
) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let chunk = count.div_ceil(threads).max(1);
    let mut results: Vec<Option<T>> = std::iter::repeat_with(|| None).take(count).collect();
    std::thread::scope(|scope| {
        for (part, slots) in results.chunks_mut(chunk).enumerate() {
            let work = &work;
            scope.spawn(move || {
                let mut buffer = Vec::new();
                for (offset, slot) in slots.iter_mut().enumerate() {
                    *slot = Some(work(part * chunk + offset, &mut buffer));
                }
            });
        }
    });
    results.into_iter().flatten().collect()
}

/// The `count` smallest but the point's own, ties by lower point.
pub(super) fn nearest(distances: &[f64], point: usize, count: usize) -> Vec<(f64, usize)> {
    let mut others: Vec<(f64, usize)> = distances
        .iter()
        .copied()
        .zip(0..)
        .filter(|&(_, other)| other != point)
        .collect();
    let order = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    if others.len() > count && count > 0 {
        others.select_nth_unstable_by(count - 1, order);
    }
    others.truncate(count);
    others.sort_by(order);
    others
}
