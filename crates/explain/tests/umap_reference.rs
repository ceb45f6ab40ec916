//! The embedding keeps neighbourhoods as well as umap-learn's on the same matrix
//! (`tools/reference/embedding.py`).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test"
)]

use serde_json::Value;
use summit_explain::embedding::{SparseRows, Umap, embed_layer};

/// 400 rows of 160 counts: 50 overlapping clusters in 5 families and noise, as classes are
/// like one another in degrees.
fn matrix() -> Vec<Vec<u32>> {
    let mut state = 0x5eed_u64;
    let mut next = move |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    (0..400u64)
        .map(|row| {
            let (cluster, family) = (row % 50, row % 5);
            let mut counts = vec![0; 160];
            let mut add = |channel: u64, images: u32| counts[(channel % 160) as usize] += images;
            for _ in 0..30 {
                add(cluster * 3 + next(12), 1);
            }
            for _ in 0..20 {
                add(family * 32 + next(32), 1);
            }
            for _ in 0..40 {
                add(next(160), 1);
            }
            counts
        })
        .collect()
}

#[test]
fn as_trustworthy_as_umap_learn() {
    let reference: Value = serde_json::from_str(include_str!("data/umap-learn.json")).unwrap();
    let theirs: Vec<f64> = serde_json::from_value(reference["trustworthiness"].clone()).unwrap();
    let theirs = theirs.iter().sum::<f64>() / theirs.len() as f64;
    let matrix = matrix();
    let rows = SparseRows::from_counts(matrix.iter().map(Vec::as_slice)).unwrap();
    let ours: Vec<f64> = (0..3)
        .map(|seed| {
            let umap = Umap {
                seed,
                ..Umap::default()
            };
            embed_layer(&rows, &umap)
                .unwrap()
                .trustworthiness
                .unwrap()
                .value
        })
        .collect();
    let ours = ours.iter().sum::<f64>() / ours.len() as f64;
    println!("trustworthiness {ours:.4}, umap-learn {theirs:.4}");
    assert!((ours - theirs).abs() < 0.01, "{ours} against {theirs}");
}

#[test]
#[ignore = "prints the matrix for tools/reference/embedding.py"]
fn write_matrix() {
    println!();
    for row in matrix() {
        let cells: Vec<String> = row.iter().map(u32::to_string).collect();
        println!("{}", cells.join(","));
    }
}
