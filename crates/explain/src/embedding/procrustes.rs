//! Turns one map onto another.

use super::Point;

/// Rotates, reflects and shifts `points` so that the sum of squared distances to `onto`, point by
/// point, is smallest (orthogonal Procrustes without scaling: scaling would shrink a map that
/// disagrees with the one before). Closed form in the plane. Points beyond the shorter list are moved
/// along.
pub fn align(points: &mut [Point], onto: &[Point]) {
    let pairs = points.len().min(onto.len());
    if pairs == 0 {
        return;
    }
    let centre = |list: &[Point]| -> Point {
        let sum = list
            .iter()
            .take(pairs)
            .fold([0.0; 2], |[x, y], [a, b]| [x + a, y + b]);
        sum.map(|value| value / pairs as f64)
    };
    let (from, to) = (centre(points), centre(onto));
    // Entries of the covariance, from x and y to x and y.
    let [mut xx, mut xy, mut yx, mut yy] = [0.0f64; 4];
    for (point, target) in points.iter().zip(onto) {
        let [x, y] = [point[0] - from[0], point[1] - from[1]];
        let [u, v] = [target[0] - to[0], target[1] - to[1]];
        xx += x * u;
        xy += x * v;
        yx += y * u;
        yy += y * v;
    }
    let rotation = (xx + yy).hypot(xy - yx);
    let reflection = (xx - yy).hypot(xy + yx);
    let (cosine, sine, mirror) = if reflection > rotation {
        ((xx - yy) / reflection, (xy + yx) / reflection, -1.0)
    } else if rotation > 0.0 {
        ((xx + yy) / rotation, (xy - yx) / rotation, 1.0)
    } else {
        (1.0, 0.0, 1.0)
    };
    for point in points {
        let [x, y] = [point[0] - from[0], (point[1] - from[1]) * mirror];
        *point = [to[0] + cosine * x - sine * y, to[1] + sine * x + cosine * y];
    }
}
