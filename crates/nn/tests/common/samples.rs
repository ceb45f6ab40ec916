//! Samples of every tensor of a network as another runtime computed them, the generator of their
//! weights and inputs, and the comparison. Twin of `tools/reference/samples.py`.

use super::{Archive, Execute};
use std::collections::BTreeMap;
use std::path::Path;
use summit_nn::graph::ir::Binary;
use summit_nn::graph::{Op, Tensor};
use summit_nn::onnx::{LoadOptions, Model, load};

/// Elements kept of each tensor.
const SAMPLES: usize = 64;

/// Numbers in `[low, high)`: element i from the splitmix64 state
/// `(seed ^ fnv1a(name)) + (i + 1) * golden`.
pub fn uniform(seed: u64, name: &str, shape: &[usize], low: f64, high: f64) -> Tensor {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |value, byte| {
        (value ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let number = |index: u64| {
        let mut z = (seed ^ hash).wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (low + (high - low) * ((z >> 40) as f64 * 2.0f64.powi(-24))) as f32
    };
    let count: usize = shape.iter().product();
    Tensor {
        shape: shape.to_vec(),
        data: (0..count as u64).map(number).collect(),
    }
}

/// Limits of a constant by the operator that reads it, as in `light.py`.
fn limits(op: &Op, position: usize, shape: &[usize]) -> (f64, f64) {
    let symmetric = |bound: f64| (-bound, bound);
    match (op, position) {
        (Op::Conv(_), 1) => symmetric((6.0 / shape[1..].iter().product::<usize>() as f64).sqrt()),
        (Op::Gemm { trans_b, .. }, 1) => {
            symmetric((3.0 / shape[usize::from(*trans_b)] as f64).sqrt())
        }
        (Op::BatchNormalization { .. }, 1) => (0.4, 0.6),
        (Op::BatchNormalization { .. }, 4) => (0.8, 1.2),
        (Op::BatchNormalization { .. }, _) => symmetric(0.2),
        (Op::Binary(Binary::Mul), _) => (0.8, 1.2),
        _ => symmetric(0.1),
    }
}

/// Reads a network that is stored without weights and generates them. Twin of `light.fill`.
pub fn load_light(path: &Path, seed: u64, bounds: &BTreeMap<String, f64>) -> Model {
    // The weights are ConstantOfShape nodes, which the default limit takes for an attack.
    let options = LoadOptions {
        max_folded_bytes: 2 << 30,
        ..LoadOptions::default()
    };
    let mut model = load(path, &options).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    generate_weights(&mut model, seed, bounds);
    model
}

/// Replaces every constant of the graph by generated numbers; those named in `bounds` lie in
/// `[-bound, bound)` instead of within their `limits`.
fn generate_weights(model: &mut Model, seed: u64, bounds: &BTreeMap<String, f64>) {
    let graph = &mut model.graph;
    let mut made = vec![false; graph.values.len()];
    for node in &graph.nodes {
        for (position, id) in node.inputs.iter().enumerate() {
            let value = &mut graph.values[id.index()];
            if value.constant.is_none() || std::mem::replace(&mut made[id.index()], true) {
                continue;
            }
            // The old numbers go before the new ones come: the largest networks have gigabytes.
            value.constant = None;
            let (low, high) = match bounds.get(&value.name) {
                Some(&bound) => (-bound, bound),
                None => limits(&node.op, position, &value.shape),
            };
            value.constant = Some(uniform(seed, &value.name, &value.shape, low, high));
        }
    }
}

/// `limit` elements at equal distances, all of a shorter tensor.
pub fn pick(data: &[f32], limit: usize) -> impl Iterator<Item = f32> {
    let count = data.len().min(limit);
    (0..count).map(move |k| data[k * data.len() / count])
}

/// What the other runtime computed for one input.
pub struct Recording {
    /// Name and shape of each tensor.
    tensors: Vec<(String, Vec<usize>)>,
    samples: Vec<f32>,
    max_abs: Vec<f32>,
}

impl Recording {
    /// The arrays `<prefix>.names`, `.samples` and `.max_abs` of an archive.
    pub fn read(archive: &mut Archive, prefix: &str) -> Self {
        Self {
            tensors: serde_json::from_slice(&archive.bytes(&format!("{prefix}.names"))).unwrap(),
            samples: archive.floats(&format!("{prefix}.samples")),
            max_abs: archive.floats(&format!("{prefix}.max_abs")),
        }
    }
}

/// How far an executor is from a recording.
#[derive(Debug)]
pub struct Agreement {
    /// Tensors compared.
    pub compared: usize,
    /// Tensors recorded that the executor did not hand out.
    pub missing: Vec<String>,
    /// Largest difference of a sample over its tensor's largest magnitude, and the tensor.
    pub worst: (f64, String),
}

/// Runs a network and compares every recorded tensor the executor hands out.
pub fn compare(
    model: &Model,
    input: &Tensor,
    recording: &Recording,
    execute: Execute<'_>,
) -> Agreement {
    let values = execute(&model.graph, input).unwrap_or_else(|error| panic!("{error}"));
    let mut agreement = Agreement {
        compared: 0,
        missing: Vec::new(),
        worst: (0.0, String::new()),
    };
    let samples = recording.samples.chunks(SAMPLES);
    for (((name, shape), samples), scale) in recording
        .tensors
        .iter()
        .zip(samples)
        .zip(&recording.max_abs)
    {
        let own = model.aliases.get(name).unwrap_or(name);
        let Some(found) = values.get(own) else {
            agreement.missing.push(name.clone());
            continue;
        };
        assert_eq!(found.shape, *shape, "{name}");
        agreement.compared += 1;
        let largest = found
            .data
            .iter()
            .fold(0.0f32, |largest, x| largest.max(x.abs()));
        let pairs = pick(&found.data, SAMPLES).zip(samples.iter().copied());
        for (a, b) in pairs.chain([(largest, *scale)]) {
            let difference = f64::from((a - b).abs()) / f64::from(*scale);
            if difference.is_nan() || difference > agreement.worst.0 {
                agreement.worst = (difference, name.clone());
            }
        }
    }
    agreement
}
