//! Networks with the derivatives of a class score that PyTorch computes for them. What the numbers
//! are and how they are laid out: `tools/reference/make_gradient_references.py`.

use super::Archive;
use super::samples::{load_light, pick, uniform};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use summit_nn::graph::{Tensor, ValueId};
use summit_nn::onnx::{LoadOptions, Model, load};

/// Elements kept of each array at most.
const SAMPLES: usize = 4096;

/// Products with generated vectors kept of each array.
const PRODUCTS: usize = 4;

/// How far one array is from another.
#[derive(Clone, Copy, Debug)]
pub struct Deviation {
    /// Relative L2 error of the samples.
    pub samples: f64,
    /// 1 - cosine of the samples.
    pub angle: f64,
    /// Relative L2 error of the whole array.
    pub whole: f64,
}

/// What was recorded of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `dz/dv`, shaped like the value.
    Gradient,
    /// `R_i = <dz/da_i, a_i>` of an image-like value, `[channels]` (method.md section 3.2).
    Scores,
}

/// One recorded array, in double precision but for its samples.
pub struct Recorded {
    /// Name of the value in the file.
    pub name: String,
    /// The value in the graph.
    pub value: ValueId,
    /// What of it.
    pub kind: Kind,
    /// Extents.
    pub shape: Vec<usize>,
    samples: Vec<f32>,
    /// L2 norm of the whole array.
    pub norm: f64,
    /// Products of the whole array with directions 0, 1, ...
    pub products: Vec<f64>,
    /// What PyTorch in single precision is off in runs that differ in the order of sums: as it
    /// comes, without oneDNN, with channels last.
    pub float32: Vec<Deviation>,
}

impl Recorded {
    /// How far `found`, row-major of the same shape, is from the recorded array. The error of the
    /// whole is an estimate from `PRODUCTS` random projections, good to about a factor of two.
    pub fn deviation(&self, found: &[f32]) -> Deviation {
        assert_eq!(found.len(), self.len(), "{}", self.name);
        let own: Vec<f64> = pick(found, SAMPLES).map(f64::from).collect();
        let other: Vec<f64> = self.samples.iter().copied().map(f64::from).collect();
        let unit = |x: &[f64]| -> Vec<f64> { x.iter().map(|v| v / norm(x)).collect() };
        let missed: Vec<f64> = (0..)
            .zip(&self.products)
            .map(|(seed, expected)| self.product(seed, found) - expected)
            .collect();
        // The mean square of a projection on numbers from [-1, 1) is a third of the squared norm.
        let whole = norm(&missed) * (3.0 / missed.len() as f64).sqrt();
        Deviation {
            samples: distance(&own, &other) / norm(&other),
            angle: distance(&unit(&own), &unit(&other)).powi(2) / 2.0,
            whole: whole / self.norm,
        }
    }

    /// The whole array, where it is small.
    pub fn complete(&self) -> Option<&[f32]> {
        (self.samples.len() == self.len()).then_some(&self.samples)
    }

    /// Direction number `seed`; by another name than the weights, which gradients know.
    pub fn direction(&self, seed: u64) -> Tensor {
        let name = format!("direction of {}", self.name);
        uniform(seed, &name, &self.shape, -1.0, 1.0)
    }

    fn len(&self) -> usize {
        self.shape.iter().product()
    }

    fn product(&self, seed: u64, found: &[f32]) -> f64 {
        let direction = self.direction(seed);
        let terms = direction.data.iter().zip(found);
        terms.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>())
}

/// One image with everything recorded for it.
pub struct Image {
    /// `[1, 3, H, W]`
    pub input: Tensor,
    /// `[classes]`
    pub logits: Vec<f64>,
    /// The arrays.
    pub recorded: Vec<Recorded>,
}

/// One network with its weights.
pub struct Reference {
    /// Name of the topology or of the file in `../shared/models`.
    pub name: String,
    /// The network.
    pub model: Model,
    /// c of `z = logit_c - max of the other logits`, which is differentiated.
    pub class: usize,
    /// The images.
    pub images: Vec<Image>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    file: Option<String>,
    seed: u64,
    class: usize,
    shape: Vec<usize>,
    range: f64,
    images: Vec<u64>,
    bounds: Vec<String>,
    arrays: Vec<ArrayEntry>,
}

#[derive(Deserialize)]
struct ArrayEntry {
    name: String,
    kind: Kind,
    shape: Vec<usize>,
}

/// The archive and its index.
pub struct References {
    archive: Archive,
    folder: PathBuf,
    entries: Vec<Entry>,
}

impl References {
    /// Opens the archive.
    pub fn open() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/gradients");
        let mut archive = Archive::open(&folder.join("references.npz"));
        let entries = serde_json::from_slice(&archive.bytes("index")).unwrap();
        Self {
            archive,
            folder,
            entries,
        }
    }

    /// Names of the networks that are stored here, and of those in `../shared/models`.
    pub fn names(&self) -> (Vec<String>, Vec<String>) {
        let names = |stored: bool| {
            let entries = self.entries.iter();
            let kept = entries.filter(|entry| entry.file.is_some() == stored);
            kept.map(|entry| entry.name.clone()).collect()
        };
        (names(true), names(false))
    }

    /// Reads a network; `shared` is where the evaluation data lie.
    pub fn network(&mut self, name: &str, shared: Option<&Path>) -> Reference {
        let found = self.entries.iter().find(|entry| entry.name == name);
        let entry = found.unwrap_or_else(|| panic!("{name} is not recorded"));
        let model = match (&entry.file, shared) {
            (Some(file), _) => {
                let bounds = self.archive.floats(&format!("{name}.bounds"));
                let names = entry.bounds.iter().cloned();
                let bounds: BTreeMap<String, f64> =
                    names.zip(bounds.into_iter().map(f64::from)).collect();
                load_light(&self.folder.join(file), entry.seed, &bounds)
            }
            (None, Some(shared)) => {
                let file = shared.join("models").join(name).with_extension("onnx");
                load(&file, &LoadOptions::default()).unwrap()
            }
            (None, None) => panic!("{name} lies in ../shared"),
        };
        let images = images(&mut self.archive, entry, &model);
        Reference {
            name: name.to_owned(),
            class: entry.class,
            model,
            images,
        }
    }
}

/// What was recorded for a network's images.
fn images(archive: &mut Archive, entry: &Entry, model: &Model) -> Vec<Image> {
    let mut doubles = |array: &str| archive.doubles(&format!("{}.{array}", entry.name));
    let (logits, whole, float32) = (doubles("logits"), doubles("whole"), doubles("float32"));
    let samples = archive.floats(&format!("{}.samples", entry.name));
    let mut samples = samples.into_iter();
    let count = entry.images.len();
    let arrays = count * entry.arrays.len();
    let mut whole = whole.chunks(1 + PRODUCTS);
    let mut float32 = float32.chunks(float32.len() / arrays);
    let mut recorded = |array: &ArrayEntry| {
        let length = array.shape.iter().product::<usize>().min(SAMPLES);
        let [norm, products @ ..] = whole.next().unwrap() else {
            panic!("{}: the archive is too short", entry.name)
        };
        let runs = float32.next().unwrap().chunks(3);
        Recorded {
            name: array.name.clone(),
            value: model
                .value_named(&array.name)
                .unwrap_or_else(|| panic!("{}: no value {:?}", entry.name, array.name)),
            kind: array.kind,
            shape: array.shape.clone(),
            samples: samples.by_ref().take(length).collect(),
            norm: *norm,
            products: products.to_vec(),
            float32: runs
                .map(|run| Deviation {
                    samples: run[0],
                    angle: run[1],
                    whole: run[2],
                })
                .collect(),
        }
    };
    let images = entry.images.iter().zip(logits.chunks(logits.len() / count));
    let image = |(&seed, logits): (&u64, &[f64])| Image {
        input: uniform(seed, "image", &entry.shape, -entry.range, entry.range),
        logits: logits.to_vec(),
        recorded: entry.arrays.iter().map(&mut recorded).collect(),
    };
    images.map(image).collect()
}
