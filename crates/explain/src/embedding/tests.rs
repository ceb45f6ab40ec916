//! Maps against slow twins, and of few or equal points.

use super::*;
use proptest::prelude::*;

/// Clusters of rows that share channels, without pattern but the same in every run.
pub(crate) fn clustered(points: usize, channels: u32, clusters: u64) -> Vec<Vec<u32>> {
    let mut state = 0x5eed_u64;
    let mut next = move |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    (0..points)
        .map(|point| {
            let cluster = point as u64 % clusters;
            let mut row = vec![0; channels as usize];
            for _ in 0..40 {
                let near = cluster * u64::from(channels) / clusters + next(6);
                row[(near % u64::from(channels)) as usize] += 1;
            }
            for _ in 0..10 {
                row[next(u64::from(channels)) as usize] += 1;
            }
            row
        })
        .collect()
}

fn rows(counts: &[Vec<u32>]) -> SparseRows {
    SparseRows::from_counts(counts.iter().map(Vec::as_slice)).unwrap()
}

#[test]
fn clusters_stay_together() {
    let counts = clustered(120, 48, 6);
    let map = embed_layer(&rows(&counts), &Umap::default()).unwrap();
    let quality = map.trustworthiness.unwrap();
    assert_eq!(quality.neighbours, NEIGHBOURS);
    assert!(quality.value > 0.85, "{quality:?}");
    // The nearest in the map is of the same cluster.
    let wrong = (0..120)
        .filter(|&point| {
            let distance = |other: usize| {
                let [a, b] = [map.points[point], map.points[other]];
                (a[0] - b[0]).hypot(a[1] - b[1])
            };
            let others = (0..120).filter(|&other| other != point);
            let nearest = others
                .min_by(|&a, &b| distance(a).total_cmp(&distance(b)))
                .unwrap();
            nearest % 6 != point % 6
        })
        .count();
    assert!(wrong <= 3, "{wrong}");
}

#[test]
fn equal_seeds_give_equal_bytes_on_any_number_of_threads() {
    let layers = [rows(&clustered(90, 40, 5)), rows(&clustered(90, 30, 3))];
    let bytes = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let umap = Umap {
            seed,
            ..Umap::default()
        };
        let maps = pool.install(|| embed_layers(&layers, &umap)).unwrap();
        serde_json::to_vec(&maps).unwrap()
    };
    let one = bytes(1, 7);
    for threads in [2, 3, 8] {
        assert!(bytes(threads, 7) == one, "{threads} threads");
    }
    assert!(bytes(1, 8) != one, "the seed has no effect");
}

#[test]
fn few_equal_and_empty_points() {
    for count in 0..9 {
        for row in [vec![3, 0, 1], vec![0, 0, 0]] {
            let layer = rows(&vec![row; count]);
            let maps = embed_layers(&[layer.clone(), layer], &Umap::default()).unwrap();
            for map in maps {
                assert_eq!(map.points.len(), count);
                assert!(map.points.iter().flatten().all(|value| value.is_finite()));
                assert_eq!(map.trustworthiness.is_some(), count >= 3);
            }
        }
    }
    let single = embed_layer(&rows(&[vec![1]]), &Umap::default()).unwrap();
    assert_eq!(single.points, [[0.0, 0.0]]);
}

#[test]
fn what_does_not_fit_is_refused() {
    assert!(SparseRows::new([vec![(0, f64::NAN)]]).is_err());
    assert!(SparseRows::new([vec![(0, -1.0)]]).is_err());
    assert!(SparseRows::new(vec![Vec::new(); MAX_POINTS + 1]).is_err());
    let layers = [rows(&clustered(9, 8, 2)), rows(&clustered(8, 8, 2))];
    assert!(embed_layers(&layers, &Umap::default()).is_err());
}

#[test]
fn alignment_undoes_turning() {
    let onto = [[0.0, 0.0], [4.0, 1.0], [-2.0, 3.0], [1.0, -5.0]];
    for mirror in [1.0, -1.0] {
        let (sine, cosine) = 2.3f64.sin_cos();
        let turn = |[x, y]: Point| {
            let y = y * mirror;
            [cosine * x - sine * y + 7.0, sine * x + cosine * y - 3.0]
        };
        let mut points = onto.map(turn);
        align(&mut points, &onto);
        for (point, wanted) in points.iter().zip(&onto) {
            assert!(
                (point[0] - wanted[0]).hypot(point[1] - wanted[1]) < 1e-12,
                "{points:?}"
            );
        }
    }
    let mut equal = [[1.0, 1.0]; 3];
    align(&mut equal, &[[2.0, 5.0]; 3]);
    assert_eq!(equal, [[2.0, 5.0]; 3]);
}

/// Ranks by sorting all others.
fn naive_trust(counts: &[Vec<u32>], points: &[Point], size: usize) -> f64 {
    let rows = rows(counts);
    let count = counts.len();
    let mut penalty = 0.0;
    for point in 0..count {
        let mut distances = Vec::new();
        rows.distances(point, &mut distances);
        let order_by = |key: &dyn Fn(usize) -> f64| {
            let mut others: Vec<usize> = (0..count).filter(|&other| other != point).collect();
            others.sort_by(|&a, &b| key(a).total_cmp(&key(b)).then(a.cmp(&b)));
            others
        };
        let in_data = order_by(&|other| distances[other]);
        let in_map = order_by(&|other| {
            let [a, b] = [points[point], points[other]];
            (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)
        });
        for other in &in_map[..size] {
            let rank = in_data.iter().position(|found| found == other).unwrap() + 1;
            penalty += (rank as f64 - size as f64).max(0.0);
        }
    }
    let (n, k) = (count as f64, size as f64);
    1.0 - 2.0 * penalty / (n * k * (2.0 * n - 3.0 * k - 1.0))
}

proptest! {
    #[test]
    fn trust_equals_sorting(
        counts in prop::collection::vec(prop::collection::vec(0u32..4, 3), 5..14),
        seed in 0u32..100,
    ) {
        let points: Vec<Point> =
            (0..counts.len() as u32).map(|i| [f64::from(i * 7 % 5), f64::from((i + seed) * 3 % 7)]).collect();
        let found = trustworthiness(&rows(&counts), &points, 4).unwrap();
        let expected = naive_trust(&counts, &points, found.neighbours);
        prop_assert!((found.value - expected).abs() < 1e-12);
    }

    #[test]
    fn neighbours_equal_all_products(
        counts in prop::collection::vec(prop::collection::vec(0u32..4, 4), 1..12),
    ) {
        let found = NearestNeighbours::find(&rows(&counts), 3);
        for (point, row) in counts.iter().enumerate() {
            let distance = |other: usize| crate::cosine(row, &counts[other]).map_or(1.0, |c| 1.0 - c);
            let mut expected: Vec<f64> =
                (0..counts.len()).filter(|&other| other != point).map(distance).collect();
            expected.sort_by(f64::total_cmp);
            prop_assert_eq!(found.indices[point].len(), 3.min(counts.len() - 1));
            for (found, expected) in found.distances[point].iter().zip(expected) {
                prop_assert!((found - expected).abs() < 1e-9);
            }
        }
    }
}
