//! UMAP (McInnes et al., 2018) by the `manifolds-rs` crate.
//!
//! Of that crate the fuzzy graph, the spectral start and the optimiser are used; neighbours come from
//! the exact search. Its optimiser gathers each point's gradient by itself, so the result does not
//! depend on the number of threads; a test holds it to that.

use super::{Embedder, EmbeddingError, NearestNeighbours, Point};
use manifolds_rs::data::graph::{
    coo_to_adjacency_list, filter_weak_edges, knn_to_coo, smooth_knn_dist, symmetrise_graph,
};
use manifolds_rs::data::init::spectral_layout;
use manifolds_rs::training::umap_optimisers::{UmapOptimParams, optimise_embedding_adam_parallel};

/// Below this number of points there is no neighbourhood to speak of: they go onto a circle.
const FEWEST_POINTS: usize = 5;

/// Half the extent of the first layer's start, as umap-learn's.
const START_EXTENT: f64 = 10.0;

/// UMAP with the method's parameters (docs/method.md section 5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Umap {
    /// Equal seeds give equal bytes.
    pub seed: u64,
    /// How close points may lie, above 0.
    pub min_dist: f64,
    /// Rounds of the optimiser from its own start, at least 1.
    pub epochs: usize,
    /// Rounds from coordinates that are given, which are nearly right already, at least 1.
    pub chained_epochs: usize,
}

impl Default for Umap {
    fn default() -> Self {
        Self {
            seed: 0,
            min_dist: 0.1,
            epochs: 500,
            chained_epochs: 200,
        }
    }
}

impl Embedder for Umap {
    fn embed(
        &self,
        neighbours: &NearestNeighbours,
        start: Option<&[Point]>,
    ) -> Result<Vec<Point>, EmbeddingError> {
        let count = neighbours.len();
        if start.is_some_and(|start| start.len() != count) {
            return Err(EmbeddingError::Shape("the start"));
        }
        if count < FEWEST_POINTS {
            return Ok(start.map_or_else(|| circle(count), <[Point]>::to_vec));
        }
        let epochs = match start {
            Some(_) => self.chained_epochs,
            None => self.epochs,
        }
        .max(1);
        let NearestNeighbours { indices, distances } = neighbours;
        let size = distances.iter().map(Vec::len).max().unwrap_or(0);
        let (sigmas, rhos) = smooth_knn_dist(distances, size, 1.0, 1e-5, 64);
        let graph = knn_to_coo(indices, distances, &sigmas, &rhos);
        let graph = filter_weak_edges(symmetrise_graph(graph, 1.0), epochs, 0);
        let mut points: Vec<Vec<f64>> = match start {
            Some(start) => start.iter().map(|point| point.to_vec()).collect(),
            None => spectral_layout(&graph, 2, self.seed, Some(START_EXTENT), None)
                .ok()
                .filter(|points| fits(points, count))
                .unwrap_or_else(|| circle(count).iter().map(|point| point.to_vec()).collect()),
        };
        let parameters = UmapOptimParams::from_min_dist_spread(
            self.min_dist,
            1.0,
            None,
            None,
            Some(epochs),
            None,
            None,
            None,
            None,
        );
        let edges = coo_to_adjacency_list(&graph);
        optimise_embedding_adam_parallel(&mut points, &edges, &parameters, None, self.seed, 0)
            .map_err(|error| EmbeddingError::Failed(error.to_string()))?;
        if !fits(&points, count) {
            return Err(EmbeddingError::Failed(
                "a coordinate is no number".to_owned(),
            ));
        }
        let pair = |point: &Vec<f64>| match point.as_slice() {
            &[x, y] => [x, y],
            _ => [0.0; 2],
        };
        Ok(points.iter().map(pair).collect())
    }
}

/// One finite pair per point.
fn fits(points: &[Vec<f64>], count: usize) -> bool {
    let pair = |point: &Vec<f64>| point.len() == 2 && point.iter().all(|value| value.is_finite());
    points.len() == count && points.iter().all(pair)
}

/// Evenly on a circle of radius 1, in order; a single point in its centre.
fn circle(count: usize) -> Vec<Point> {
    if count == 1 {
        return vec![[0.0; 2]];
    }
    let angle = |index: usize| std::f64::consts::TAU * index as f64 / count as f64;
    (0..count)
        .map(|index| [angle(index).cos(), angle(index).sin()])
        .collect()
}
