//! The evaluation networks: every tensor against ONNX Runtime for synthetic inputs
//! (`tools/reference/make_shared_references.py`), through reader and reference executor.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "test code")]

mod common;

use common::Archive;
use common::samples::{Recording, compare, uniform};
use std::path::Path;
use summit_nn::onnx::{LoadOptions, load};

/// Single precision of the other runtime, relative to each tensor's largest magnitude.
const TOLERANCE: f64 = 4e-6;

#[test]
fn evaluation_networks_agree_with_another_runtime() {
    let Some(shared) = common::shared() else {
        return;
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/shared_models.npz");
    let mut archive = Archive::open(&path);
    // The inner tensors of two spelt-out normalisations are gone.
    for (name, merged) in [
        ("efficientnet-lite0", 0),
        ("squeezenet1_1", 0),
        ("bvlc-googlenet", 14),
    ] {
        let file = shared.join("models").join(name).with_extension("onnx");
        let model = load(&file, &LoadOptions::default()).unwrap();
        let bound = f64::from(archive.floats(&format!("{name}.bound"))[0]);
        for number in 0..3 {
            let recording = Recording::read(&mut archive, &format!("{name}.{number}"));
            let input = uniform(number, "image", &[1, 3, 224, 224], -bound, bound);
            let agreement = compare(&model, &input, &recording, &common::naive);
            let (worst, tensor) = &agreement.worst;
            println!(
                "{name}: {} tensors, worst {worst:.2e} in {tensor:?}",
                agreement.compared
            );
            assert_eq!(
                agreement.missing.len(),
                merged,
                "{name}: {:?}",
                agreement.missing
            );
            assert!(*worst <= TOLERANCE, "{name}: {worst:.2e} in {tensor:?}");
        }
    }
}
