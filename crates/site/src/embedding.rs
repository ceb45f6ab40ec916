//! Classes as points in the plane, and how alike they are (docs/method.md section 5).
//!
//! Place in the flow: rows of A of one layer in, coordinates out. Deterministic.

/// How [`embed`] makes coordinates, for people.
pub const METHOD: &str = "PCA";

const ROUNDS: usize = 60;

/// Two principal components of the rows, each row scaled to length 1 first, so that distance follows
/// the cosine. `[rows]`, no unit.
///
/// * `rows`: `[rows][channels]`, images.
/// * `previous`: coordinates of the same rows in the layer below: the result is turned and mirrored to
///   lie as near to them as it can.
#[must_use]
pub fn embed(rows: &[Vec<u32>], previous: Option<&[[f32; 2]]>) -> Vec<[f32; 2]> {
    let centred = centred_directions(rows);
    let first = component(&centred, None);
    let second = component(&centred, Some(&first));
    let points: Vec<[f32; 2]> = centred
        .iter()
        .map(|row| [dot(row, &first) as f32, dot(row, &second) as f32])
        .collect();
    match previous {
        Some(previous) => aligned(&points, previous),
        None => points,
    }
}

/// Cosine of two rows of counts, in `[0, 1]`; 0 where one of them is all zeros.
#[must_use]
pub fn cosine(left: &[u32], right: &[u32]) -> f64 {
    let product = |a: &[u32], b: &[u32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(&a, &b)| f64::from(a) * f64::from(b))
            .sum()
    };
    let lengths = (product(left, left) * product(right, right)).sqrt();
    if lengths > 0.0 {
        (product(left, right) / lengths).min(1.0)
    } else {
        0.0
    }
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

fn centred_directions(rows: &[Vec<u32>]) -> Vec<Vec<f64>> {
    let mut directions: Vec<Vec<f64>> = rows
        .iter()
        .map(|row| {
            let row: Vec<f64> = row.iter().map(|&count| f64::from(count)).collect();
            let length = dot(&row, &row).sqrt();
            let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
            row.into_iter().map(|value| value * scale).collect()
        })
        .collect();
    let width = directions.first().map_or(0, Vec::len);
    let mut mean = vec![0.0; width];
    for row in &directions {
        for (sum, value) in mean.iter_mut().zip(row) {
            *sum += value / rows.len() as f64;
        }
    }
    for row in &mut directions {
        for (value, mean) in row.iter_mut().zip(&mean) {
            *value -= mean;
        }
    }
    directions
}

/// A direction of largest variance, orthogonal to `other`, by power iteration from a fixed start.
fn component(rows: &[Vec<f64>], other: Option<&[f64]>) -> Vec<f64> {
    let width = rows.first().map_or(0, Vec::len);
    // Any start without symmetry will do; a golden-ratio sequence has none.
    let mut direction: Vec<f64> = (0..width)
        .map(|index| (index as f64 * 0.618_033_988_749_895).fract() - 0.5)
        .collect();
    for _ in 0..ROUNDS {
        let mut next = vec![0.0; width];
        for row in rows {
            let weight = dot(row, &direction);
            for (sum, value) in next.iter_mut().zip(row) {
                *sum += weight * value;
            }
        }
        if let Some(other) = other {
            let overlap = dot(&next, other);
            for (value, other) in next.iter_mut().zip(other) {
                *value -= overlap * other;
            }
        }
        let length = dot(&next, &next).sqrt();
        if length < 1e-12 {
            return vec![0.0; width];
        }
        for value in &mut next {
            *value /= length;
        }
        direction = next;
    }
    direction
}

/// The rotation or reflection of `points` nearest to `target` (orthogonal Procrustes in the plane).
fn aligned(points: &[[f32; 2]], target: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let turned = |mirror: f32| {
        let (mut along, mut across) = (0.0f64, 0.0f64);
        for (&[x, y], &[u, v]) in points.iter().zip(target) {
            let (x, y, u, v) = (
                f64::from(x),
                f64::from(y * mirror),
                f64::from(u),
                f64::from(v),
            );
            along += x * u + y * v;
            across += x * v - y * u;
        }
        let length = along.hypot(across);
        let (cosine, sine) = if length > 0.0 {
            (along / length, across / length)
        } else {
            (1.0, 0.0)
        };
        let rotated = points.iter().map(|&[x, y]| {
            let (x, y) = (f64::from(x), f64::from(y * mirror));
            [
                (cosine * x - sine * y) as f32,
                (sine * x + cosine * y) as f32,
            ]
        });
        (length, rotated.collect::<Vec<_>>())
    };
    let (direct, direct_points) = turned(1.0);
    let (mirrored, mirrored_points) = turned(-1.0);
    if mirrored > direct {
        mirrored_points
    } else {
        direct_points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_rows_lie_together() {
        let rows = vec![
            vec![9, 1, 0, 0],
            vec![8, 1, 0, 0],
            vec![0, 0, 9, 1],
            vec![0, 0, 8, 1],
        ];
        let points = embed(&rows, None);
        let distance =
            |a: usize, b: usize| (points[a][0] - points[b][0]).hypot(points[a][1] - points[b][1]);
        assert!(distance(0, 1) < 0.1 && distance(2, 3) < 0.1, "{points:?}");
        assert!(distance(0, 2) > 1.0, "{points:?}");
    }

    #[test]
    fn a_turned_and_mirrored_cloud_is_turned_back() {
        let cloud: Vec<[f32; 2]> = vec![[1.0, 0.0], [0.0, 2.0], [-3.0, 0.5], [0.2, -1.0]];
        let turned: Vec<[f32; 2]> = cloud
            .iter()
            .map(|&[x, y]| [0.6 * x + 0.8 * y, 0.8 * x - 0.6 * y])
            .collect();
        for (found, wanted) in aligned(&turned, &cloud).iter().zip(&cloud) {
            assert!((found[0] - wanted[0]).abs() < 1e-5 && (found[1] - wanted[1]).abs() < 1e-5);
        }
    }

    #[test]
    fn nothing_and_one_are_no_trouble() {
        assert!(embed(&[], None).is_empty());
        assert_eq!(embed(&[vec![1, 2]], None), [[0.0, 0.0]]);
        assert_eq!(embed(&[vec![], vec![]], None), [[0.0, 0.0], [0.0, 0.0]]);
    }

    #[test]
    fn cosine_of_counts() {
        assert_eq!(cosine(&[1, 0], &[0, 5]), 0.0);
        assert_eq!(cosine(&[2, 1], &[4, 2]), 1.0);
        assert_eq!(cosine(&[0, 0], &[4, 2]), 0.0);
    }
}
