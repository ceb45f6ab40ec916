//! Classical scaling (Torgerson 1952) of few points: the plane that keeps most of the squared
//! distances.
//!
//! Where every point is a neighbour of every other, UMAP's graph is complete and says little; distances
//! themselves say more.

use super::{Point, SparseRows};

/// Passes over a vector until it points along the largest remaining axis; the matrix is small.
const PASSES: usize = 500;

/// Coordinates by cosine distance; `None` where all points are alike.
pub(super) fn scale(rows: &SparseRows) -> Option<Vec<Point>> {
    let mut matrix = centred(rows);
    let mut points = vec![[0.0; 2]; rows.len()];
    for axis in 0..2 {
        let (length, direction) = largest_axis(&matrix);
        if length <= 1e-12 {
            return (axis > 0).then_some(points);
        }
        for (point, &along) in points.iter_mut().zip(&direction) {
            point[axis] = along * length.sqrt();
        }
        for (row, &left) in matrix.iter_mut().zip(&direction) {
            for (entry, &right) in row.iter_mut().zip(&direction) {
                *entry -= length * left * right;
            }
        }
    }
    Some(points)
}

/// `-1/2 J D J`, D the squared distances, J the removal of the mean.
fn centred(rows: &SparseRows) -> Vec<Vec<f64>> {
    let count = rows.len();
    let mut distances = Vec::new();
    let mut matrix: Vec<Vec<f64>> = (0..count)
        .map(|point| {
            rows.distances(point, &mut distances);
            distances
                .iter()
                .map(|distance| distance * distance)
                .collect()
        })
        .collect();
    let mean = |row: &Vec<f64>| row.iter().sum::<f64>() / count as f64;
    let means: Vec<f64> = matrix.iter().map(mean).collect();
    let all = mean(&means);
    for (row, own) in matrix.iter_mut().zip(&means) {
        for (entry, other) in row.iter_mut().zip(&means) {
            *entry = -0.5 * (*entry - own - other + all);
        }
    }
    matrix
}

/// The largest eigenvalue of a symmetric matrix that is not below 0, and its direction, whose largest
/// component is positive.
fn largest_axis(matrix: &[Vec<f64>]) -> (f64, Vec<f64>) {
    // Adding this to the diagonal makes the largest eigenvalue the one of largest magnitude.
    let shift = matrix
        .iter()
        .map(|row| row.iter().map(|entry| entry.abs()).sum::<f64>())
        .fold(0.0, f64::max);
    let times = |vector: &[f64]| -> Vec<f64> {
        let product = |row: &Vec<f64>| row.iter().zip(vector).map(|(a, b)| a * b).sum::<f64>();
        matrix.iter().map(product).collect()
    };
    let unit = |vector: Vec<f64>| -> Vec<f64> {
        let length = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        vector
            .iter()
            .map(|x| x / length.max(f64::MIN_POSITIVE))
            .collect()
    };
    // No pattern, so that it is at right angles to no axis.
    let start = (0..matrix.len()).map(|index| ((index * index + 1) as f64).sin());
    let mut vector = unit(start.collect());
    for _ in 0..PASSES {
        let next = times(&vector)
            .iter()
            .zip(&vector)
            .map(|(a, b)| a + shift * b)
            .collect();
        vector = unit(next);
    }
    let largest = vector
        .iter()
        .fold(0.0f64, |a, &b| if b.abs() > a.abs() { b } else { a });
    vector.iter_mut().for_each(|x| *x *= largest.signum());
    let length = times(&vector).iter().zip(&vector).map(|(a, b)| a * b).sum();
    (length, vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plane_keeps_distances_of_points_that_have_one() {
        // Three groups of equal rows at right angles: distances 0 and 1, a triangle.
        let counts = [[4, 0, 0], [2, 0, 0], [0, 3, 0], [0, 1, 0], [0, 0, 7]];
        let rows = SparseRows::from_counts(counts.iter().map(<[u32; 3]>::as_slice)).unwrap();
        let points = scale(&rows).unwrap();
        for (a, left) in points.iter().enumerate() {
            for (b, right) in points.iter().enumerate() {
                let apart = (left[0] - right[0]).hypot(left[1] - right[1]);
                let expected = if counts[a].iter().zip(&counts[b]).any(|(x, y)| x * y > 0) {
                    0.0
                } else {
                    1.0
                };
                assert!((apart - expected).abs() < 1e-6, "{a} {b}: {apart}");
            }
        }
    }

    #[test]
    fn equal_points_have_no_plane() {
        let counts = [[1, 2], [2, 4], [3, 6]];
        let rows = SparseRows::from_counts(counts.iter().map(<[u32; 2]>::as_slice)).unwrap();
        assert_eq!(scale(&rows), None);
    }
}
