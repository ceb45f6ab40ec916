//! Helpers shared by the tests of readers and executors: where the evaluation data lie, images as
//! tensors, and comparison with recorded values of another runtime.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "test code; every test binary uses its own part"
)]

use std::path::{Path, PathBuf};
use summit_nn::graph::Tensor;

/// The evaluation data beside the repository, or `None` (with a line saying so) where absent.
pub fn shared() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("SUMMIT_SHARED").map_or_else(beside, PathBuf::from);
    if folder.join("golden").is_dir() {
        return Some(folder);
    }
    println!("skipped: ../shared absent");
    None
}

/// Parses a JSON file.
pub fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Numbers of a JSON list.
pub fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect()
}

/// A PNG as `[1, 3, H, W]`, `(x - mean) / std` of RGB 0-255.
pub fn image_tensor(path: &Path, mean: &[f64], std: &[f64]) -> Tensor {
    let image = image::open(path).unwrap().to_rgb8();
    let (width, height) = (image.width() as usize, image.height() as usize);
    let mut data = vec![0.0f32; 3 * height * width];
    for (x, y, pixel) in image.enumerate_pixels() {
        for channel in 0..3 {
            let value = (f64::from(pixel[channel]) - mean[channel]) / std[channel];
            data[(channel * height + y as usize) * width + x as usize] = value as f32;
        }
    }
    Tensor {
        shape: vec![1, 3, height, width],
        data: data.into(),
    }
}
