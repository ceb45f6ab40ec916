//! The operator cases of `tests/data/operators.npz`, their derivatives in
//! `tests/data/operator_gradients.npz`, and the forms that are refused.

use super::samples::uniform;
use super::{Archive, Execute, numbers};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use summit_nn::graph::{Tensor, ValueId};
use summit_nn::onnx::{LoadOptions, Model, load_bytes};

/// One small model.
pub struct Case {
    /// Name of ONNX's node test, or of the form and its opset.
    pub name: String,
    /// The file.
    pub model: Vec<u8>,
    /// `[1, ...]`
    pub input: Tensor,
    /// The scores.
    pub expected: Vec<f32>,
    /// Gradients of `<upstream, scores>` (see [`scores`]) by the image (named `image`) and by the floating-point
    /// operands among the initialisers, by name in the file; none where the case is not
    /// differentiable. PyTorch in double precision.
    pub gradients: Vec<(String, Vec<f32>)>,
}

impl Case {
    /// The gradient of the scores that `gradients` are made from, as long as `expected`.
    pub fn upstream(&self) -> Vec<f32> {
        uniform(1, &self.name, &[self.expected.len()], -1.0, 1.0)
            .data
            .to_vec()
    }
}

/// What became of a case.
pub enum Outcome {
    /// Largest difference over the largest expected magnitude (at least 1).
    Difference(f64),
    /// The reader refuses the model.
    Refused(String),
    /// The executor fails or hands out something else.
    Broken(String),
}

fn open(name: &str) -> Archive {
    Archive::open(
        &Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data")
            .join(name),
    )
}

fn index(archive: &mut Archive) -> Vec<serde_json::Value> {
    serde_json::from_slice(&archive.bytes("index")).unwrap()
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Where an entry's part begins and ends in an array, by the list `value` from `first` on.
fn range(value: &serde_json::Value, first: usize) -> Range<usize> {
    let bound = |at: usize| usize::try_from(value[at].as_u64().unwrap()).unwrap();
    bound(first)..bound(first + 1)
}

/// Gradients by case and value.
fn gradients() -> BTreeMap<String, Vec<(String, Vec<f32>)>> {
    let mut archive = open("operator_gradients.npz");
    let numbers = archive.floats("gradients");
    let part = |entry: &serde_json::Value| (text(&entry[0]), numbers[range(entry, 1)].to_vec());
    let parts = |entry: &serde_json::Value| {
        let list = entry["gradients"].as_array().unwrap();
        (text(&entry["name"]), list.iter().map(part).collect())
    };
    index(&mut archive).iter().map(parts).collect()
}

/// All cases.
pub fn cases() -> Vec<Case> {
    let mut archive = open("operators.npz");
    let mut gradients = gradients();
    let models = archive.bytes("models");
    let inputs = archive.floats("inputs");
    let expected = archive.floats("expected");
    let mut case = |entry: &serde_json::Value| Case {
        name: text(&entry["name"]),
        model: models[range(&entry["model"], 0)].to_vec(),
        input: Tensor {
            shape: numbers(&entry["input_shape"])
                .iter()
                .map(|&x| x as usize)
                .collect(),
            data: inputs[range(&entry["input"], 0)].into(),
        },
        expected: expected[range(&entry["expected"], 0)].to_vec(),
        gradients: gradients.remove(&text(&entry["name"])).unwrap_or_default(),
    };
    let cases = index(&mut archive).iter().map(&mut case).collect();
    assert!(gradients.is_empty(), "gradients of no case");
    cases
}

/// What a case's `expected` are: the file's output. A final softmax is part of it; the graph's
/// output are the scores before it.
pub fn scores(model: &Model) -> ValueId {
    match model.output_is_probability {
        true => model.value_named(&model.output_name).unwrap(),
        false => model.graph.output,
    }
}

/// Loads and runs one case.
pub fn run(case: &Case, execute: Execute<'_>) -> Outcome {
    let model = match load_bytes(case.model.clone().into(), None, &LoadOptions::default()) {
        Ok(model) => model,
        Err(error) => return Outcome::Refused(error.to_string()),
    };
    let values = match execute(&model.graph, &case.input) {
        Ok(values) => values,
        Err(error) => return Outcome::Broken(error),
    };
    let Some(found) = values.get(&model.graph.values[scores(&model).index()].name) else {
        return Outcome::Broken("the output is missing".to_owned());
    };
    if found.data.len() != case.expected.len() {
        let (found, expected) = (found.data.len(), case.expected.len());
        return Outcome::Broken(format!("{found} scores instead of {expected}"));
    }
    let magnitude = |largest: f64, x: &f32| largest.max(f64::from(x.abs()));
    let scale = case.expected.iter().fold(1.0f64, magnitude);
    let mut largest = 0.0f64;
    for (a, b) in found.data.iter().zip(&case.expected) {
        let difference = (f64::from(*a) - f64::from(*b)).abs();
        largest = if difference.is_nan() {
            f64::INFINITY
        } else {
            largest.max(difference)
        };
    }
    Outcome::Difference(largest / scale)
}

/// Cases that must be refused: part of the name, part of the reason.
pub const REFUSED: [(&str, &str); 33] = [
    ("averagepool_1d", "instead of [N, C, H, W]"),
    ("averagepool_3d", "instead of [N, C, H, W]"),
    (
        "averagepool_2d_dilations",
        "windows of an average are dilated",
    ),
    ("maxpool_1d", "instead of [N, C, H, W]"),
    ("maxpool_3d", "instead of [N, C, H, W]"),
    ("maxpool_with_argmax", "output Indices is used"),
    ("convtranspose_1d", "instead of [N, C, H, W]"),
    ("convtranspose_3d", "instead of [N, C, H, W]"),
    ("training_mode", "training mode"),
    ("dropout_default_mask", "output mask is used"),
    ("test_ceil", "depends on the image"),
    ("test_floor", "depends on the image"),
    ("test_round", "depends on the image"),
    ("test_sign", "depends on the image"),
    ("test_greater", "a comparison depends on the image"),
    ("test_less", "a comparison depends on the image"),
    ("test_mod_mixed_sign_float", ""),
    ("test_mod_float", ""),
    ("test_edge_pad", "constants that are no floats"),
    ("test_reflect_pad", "constants that are no floats"),
    ("test_wrap_pad", "\"wrap\""),
    ("test_pow_types_int64_float32", "integers meets image data"),
    ("test_pow_types_int32_float32", "integers meets image data"),
    ("bool_inputs", "constants that are no floats"),
    ("empty_set", ""),
    ("reduce_prod", "a product is taken of image data"),
    ("scales_cubic", ""),
    ("sizes_cubic", ""),
    ("linear_antialias", "filtered before it shrinks"),
    ("tf_crop_and_resize", "tf_crop_and_resize"),
    ("not_larger", "aspect ratio"),
    ("not_smaller", "aspect ratio"),
    ("half_pixel_symmetric", "half_pixel_symmetric"),
];

/// Runs all cases; a line for each that is wrong: a difference above `tolerance` (relative to the
/// largest expected magnitude), a model refused that should run, one that runs but should not.
pub fn check(execute: Execute<'_>, tolerance: f64) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut used = [false; REFUSED.len()];
    for case in cases() {
        let outcome = run(&case, execute);
        let entry = REFUSED
            .iter()
            .position(|(name, _)| case.name.contains(name));
        let line = match (outcome, entry) {
            (Outcome::Difference(difference), _) if difference <= tolerance => None,
            (Outcome::Difference(difference), _) => Some(format!("difference {difference:.2e}")),
            (Outcome::Broken(reason), _) => Some(reason),
            (Outcome::Refused(reason), Some(entry)) if reason.contains(REFUSED[entry].1) => {
                used[entry] = true;
                None
            }
            (Outcome::Refused(reason), _) => Some(format!("refused: {reason}")),
        };
        wrong.extend(line.map(|line| format!("{}: {line}", case.name)));
    }
    let unused = REFUSED.iter().zip(used).filter(|(_, used)| !used);
    wrong.extend(unused.map(|((name, _), _)| format!("nothing was refused for {name:?}")));
    wrong
}
