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

pub mod file;
pub mod gradients;
pub mod operators;
pub mod samples;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use summit_nn::exec::{CompileOptions, Network};
use summit_nn::flow::{Flow, FlowPoint, SignedMeasure};
use summit_nn::graph::{Graph, Op, Tensor};
use summit_nn::reference;

/// An executor under test: from a graph and its image input to tensors by value name, as many as
/// it can hand out.
pub type Execute<'a> = &'a dyn Fn(&Graph, &Tensor) -> Result<BTreeMap<String, Tensor>, String>;

/// The reference executor.
pub fn naive(graph: &Graph, input: &Tensor) -> Result<BTreeMap<String, Tensor>, String> {
    let values = reference::run(graph, input).map_err(|error| error.to_string())?;
    let named = graph.values.iter().zip(values);
    Ok(named
        .filter_map(|(value, tensor)| Some((value.name.clone(), tensor?)))
        .collect())
}

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

/// What the built-in executor hands out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Observe {
    /// Values nobody reads but to reshape them: everything that can be fused is.
    Leaves,
    /// Every value: nothing is fused.
    Everything,
}

/// The built-in executor; `portable` keeps it from using the processor's vector instructions.
pub fn built_in(
    graph: &Graph,
    input: &Tensor,
    observe: Observe,
    portable: bool,
) -> Result<BTreeMap<String, Tensor>, String> {
    let mut is_read = vec![false; graph.values.len()];
    let readers = graph.nodes.iter().filter(|node| node.op != Op::Reshape);
    for id in readers.flat_map(|node| &node.inputs) {
        is_read[id.index()] = true;
    }
    let outputs = graph.nodes.iter().flat_map(|node| &node.outputs);
    let observed = outputs.filter(|id| observe == Observe::Everything || !is_read[id.index()]);
    let options = CompileOptions {
        observed: observed.copied().collect(),
        portable,
    };
    let network = Network::compile(graph, &options).map_err(|error| error.to_string())?;
    let mut session = network.session();
    let mut values = BTreeMap::new();
    // Twice, so that what the first run leaves in the arena can do its harm.
    for _ in 0..2 {
        values.clear();
        session
            .run(&input.data, &mut |id, view| {
                let value = &graph.values[id.index()];
                let data = view.to_vec().into();
                let tensor = Tensor {
                    shape: value.shape.clone(),
                    data,
                };
                values.insert(value.name.clone(), tensor);
            })
            .map_err(|error| error.to_string())?;
    }
    Ok(values)
}

/// A NumPy archive (`.npz`).
pub struct Archive(npyz::npz::NpzArchive<std::io::BufReader<std::fs::File>>);

impl Archive {
    /// Opens a file that must exist.
    pub fn open(path: &Path) -> Self {
        Self(npyz::npz::NpzArchive::open(path).unwrap_or_else(|error| panic!("{path:?}: {error}")))
    }

    /// An array of bytes.
    pub fn bytes(&mut self, name: &str) -> Vec<u8> {
        self.0.by_name(name).unwrap().unwrap().into_vec().unwrap()
    }

    /// An array of double precision numbers, flattened.
    pub fn doubles(&mut self, name: &str) -> Vec<f64> {
        self.0.by_name(name).unwrap().unwrap().into_vec().unwrap()
    }

    /// An array of single precision numbers, flattened.
    pub fn floats(&mut self, name: &str) -> Vec<f32> {
        self.0.by_name(name).unwrap().unwrap().into_vec().unwrap()
    }

    /// An array of 32-bit integers, flattened.
    pub fn integers(&mut self, name: &str) -> Vec<i64> {
        let data: Vec<i32> = self.0.by_name(name).unwrap().unwrap().into_vec().unwrap();
        data.into_iter().map(i64::from).collect()
    }
}

/// The runner-up of a class: the largest other logit, the lowest index among equals.
pub fn runner_up(logits: &[f32], class: usize) -> usize {
    let others = (0..logits.len()).filter(|&k| k != class);
    others
        .reduce(|best, k| if logits[k] > logits[best] { k } else { best })
        .unwrap()
}

/// `dz/dlogits` of the margin of a class.
pub fn margin(logits: &[f32], class: usize) -> Vec<f32> {
    let mut seed = vec![0.0; logits.len()];
    seed[class] = 1.0;
    seed[runner_up(logits, class)] = -1.0;
    seed
}

/// Largest `|sum_j E_i->j - R_i|` relative to the largest R of its layer (method.md section 3.2), over
/// the blocks into the first, a middle, the last two layers and the logits.
pub fn conservation(graph: &Graph, input: &Tensor, class: usize, measure: SignedMeasure) -> f64 {
    let layers = summit_nn::layers::find_layers(graph);
    let values: Vec<_> = layers.iter().map(|layer| layer.value).collect();
    let flow = Arc::new(Flow::new(graph, &values, 16, measure).unwrap());
    let mut session = flow.session();
    let found = session
        .scores(&input.data, &mut |logits| margin(logits, class))
        .unwrap();
    let mut worst: f64 = 0.0;
    for top in [1, layers.len() / 2, layers.len() - 1, layers.len()] {
        let Some(lower) = top.checked_sub(1) else {
            continue;
        };
        let channels = found.scores.get(top).unwrap_or(&found.logits).len();
        // Channels whose gradient is zero pass nothing on.
        let passes = |above: &Vec<f32>, j: usize| {
            let plane = above.len() / channels;
            above[j * plane..(j + 1) * plane].iter().any(|&g| g != 0.0)
        };
        let active: Vec<usize> = (0..channels)
            .filter(|&j| {
                let of = |point: &FlowPoint| point.gradients.get(top).cloned();
                let mut above = found.points.iter().map(of);
                above.any(|map| passes(map.as_ref().unwrap_or(&found.seed), j))
            })
            .collect();
        let edges = session.edges(lower, &found, &active).unwrap();
        let scores = &found.scores[lower];
        let scale = scores
            .iter()
            .fold(1e-30, |m: f64, &r| m.max(f64::from(r).abs()));
        for (i, &r) in scores.iter().enumerate() {
            let sum: f64 = edges.iter().map(|row| f64::from(row[i])).sum();
            worst = worst.max((sum - f64::from(r)).abs() / scale);
        }
    }
    worst
}
