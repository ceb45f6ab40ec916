//! How well a map keeps neighbourhoods: trustworthiness (Venna and Kaski, 2001).

use super::nearest::{nearest, per_point};
use super::{Point, SparseRows};
use serde::Serialize;

/// Above this number of points the measure is taken at evenly spaced ones, against all.
const MEASURED_POINTS: usize = 4_000;

/// Trustworthiness of a map.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trustworthiness {
    /// 1 where the nearest in the map are the nearest in the data; about 0.5 at random.
    pub value: f64,
    /// Size of the neighbourhoods.
    pub neighbours: usize,
}

/// Trustworthiness of a map of rows at `neighbours`, or at the largest size below half the points
/// where those are few; `None` below 3 points, where no neighbourhood can be wrong.
///
/// `T(k) = 1 - 2 / (n k (2n - 3k - 1)) * sum_i sum_j max(0, r(i, j) - k)`, j over the k nearest of i
/// in the map, r(i, j) the rank of j among the others by cosine distance in the data, from 1; ties by
/// lower point. As scikit-learn's. `O(points x (points x k + products))`.
#[must_use]
pub fn trustworthiness(
    rows: &SparseRows,
    points: &[Point],
    neighbours: usize,
) -> Option<Trustworthiness> {
    let count = rows.len();
    let size = neighbours.min(count.saturating_sub(1) / 2);
    if count != points.len() || size == 0 {
        return None;
    }
    let measured = count.min(MEASURED_POINTS);
    let penalties = per_point(measured, |position, in_data| {
        let point = position * count / measured;
        rows.distances(point, in_data);
        penalty(in_data, points, point, size)
    });
    let penalty: u64 = penalties.into_iter().sum();
    let (n, k) = (count as f64, size as f64);
    let largest = measured as f64 * k * (2.0 * n - 3.0 * k - 1.0) / 2.0;
    Some(Trustworthiness {
        value: 1.0 - penalty as f64 / largest,
        neighbours: size,
    })
}

/// How far the ranks of a point's nearest in the map lie beyond `size` in the data.
fn penalty(in_data: &[f64], points: &[Point], point: usize, size: usize) -> u64 {
    let from = points.get(point);
    let in_map: Vec<f64> = points.iter().map(|to| squared_distance(from, to)).collect();
    let mut penalty = 0;
    for (_, other) in nearest(&in_map, point, size) {
        let own = in_data.get(other).map_or(0.0, |&distance| distance);
        let nearer =
            |(index, distance): (usize, &f64)| index != point && (*distance, index) < (own, other);
        let before = in_data
            .iter()
            .enumerate()
            .filter(|&pair| nearer(pair))
            .count();
        penalty += (before + 1).saturating_sub(size) as u64;
    }
    penalty
}

fn squared_distance(from: Option<&Point>, to: &Point) -> f64 {
    from.map_or(0.0, |from| {
        (from[0] - to[0]).powi(2) + (from[1] - to[1]).powi(2)
    })
}
