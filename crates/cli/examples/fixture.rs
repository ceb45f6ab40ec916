//! Makes a tiny network and generated images for the tests of the interface:
//! `cargo run -p summit --example fixture -- FOLDER` writes `net.onnx`, `images/<class>/*.png` and
//! `images/labels.tsv`. The same bytes on every machine.
//!
//! The network has four random convolutions; its classifier compares the last layer's means with the
//! mean of each class, so that predictions are mostly right and sometimes wrong. One file is no image, to
//! be skipped.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a tool for tests"
)]

use image::{Rgb, RgbImage};
use std::fs;
use std::path::Path;
use summit_nn::exec::{CompileOptions, Network};
use summit_nn::onnx::{LoadOptions, load_bytes};

const SIDE: u32 = 48;
const IMAGES_PER_CLASS: usize = 12;
const CLASSES: [(&str, &str); 8] = [
    ("s01", "disc, filled circle"),
    ("s02", "square, filled box"),
    ("s03", "ring, annulus"),
    ("s04", "cross, plus sign"),
    ("s05", "rows, horizontal stripes"),
    ("s06", "columns, vertical stripes"),
    ("s07", "checker, chessboard"),
    ("s08", "slope, diagonal stripes"),
];
/// Output channels of the convolutions; 3x3, padded, each followed by ReLU.
const WIDTHS: [usize; 4] = [24, 96, 160, 224];
const MEAN: f32 = 127.5;

fn main() {
    let folder = std::env::args_os().nth(1).expect("a folder");
    make(Path::new(&folder));
}

/// Writes network and images below `folder`.
pub fn make(folder: &Path) {
    let mut random = Random(7);
    let convolutions = convolutions(&mut random);
    let mut examples = Vec::new();
    for (class, (id, _)) in CLASSES.iter().enumerate() {
        let images = folder.join("images").join(id);
        fs::create_dir_all(&images).unwrap();
        for number in 0..IMAGES_PER_CLASS {
            let image = draw(class, &mut random);
            image.save(images.join(format!("{number:02}.png"))).unwrap();
            examples.push((class, image));
        }
    }
    fs::write(folder.join("images/s01/broken.png"), "not an image").unwrap();
    let mut labels = "index\twnid\tname\n".to_owned();
    for (index, (id, name)) in CLASSES.iter().enumerate() {
        labels += &format!("{index}\t{id}\t{name}\n");
    }
    fs::write(folder.join("images/labels.tsv"), labels).unwrap();

    let features = model(&convolutions, None);
    let (weights, bias) = classifier(&features, &examples);
    fs::write(
        folder.join("net.onnx"),
        model(&convolutions, Some((&weights, &bias))),
    )
    .unwrap();
}

/// A linear congruential generator (Numerical Recipes).
struct Random(u64);

impl Random {
    /// In `[0, 1)`.
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.next()
    }
}

fn convolutions(random: &mut Random) -> Vec<Vec<f32>> {
    let mut inputs = 3;
    WIDTHS
        .iter()
        .map(|&outputs| {
            let scale = (6.0 / (inputs * 9) as f32).sqrt();
            let count = outputs * inputs * 9;
            inputs = outputs;
            (0..count)
                .map(|_| scale * random.between(-1.0, 1.0))
                .collect()
        })
        .collect()
}

fn draw(class: usize, random: &mut Random) -> RgbImage {
    let [x0, y0] = [(); 2].map(|()| random.between(18.0, 30.0));
    let size = random.between(9.0, 15.0);
    let colour = [(); 3].map(|()| random.between(120.0, 255.0));
    let ground = [(); 3].map(|()| random.between(0.0, 90.0));
    let period = random.between(5.0, 9.0);
    let phase = random.between(0.0, 9.0);
    let wave = |at: f32| ((at + phase) / period).rem_euclid(1.0) < 0.5;
    RgbImage::from_fn(SIDE, SIDE, |column, row| {
        let (x, y) = (column as f32, row as f32);
        let (dx, dy) = ((x - x0).abs(), (y - y0).abs());
        let away = dx.hypot(dy);
        let inside = match class {
            0 => away < size,
            1 => dx.max(dy) < size * 0.9,
            2 => (away - size).abs() < 3.0,
            3 => dx.min(dy) < 3.0 && dx.max(dy) < size * 1.2,
            4 => wave(y),
            5 => wave(x),
            6 => wave(x) != wave(y),
            _ => wave((x + y) / 1.4),
        };
        let noise = random.between(-18.0, 18.0);
        let base = if inside { colour } else { ground };
        Rgb(base.map(|value| (value + noise).clamp(0.0, 255.0) as u8))
    })
}

/// Nearest class mean as a linear layer: `w_c = m_c`, `b_c = -|m_c|^2 / 2`, sharpened.
fn classifier(features: &[u8], examples: &[(usize, RgbImage)]) -> (Vec<f32>, Vec<f32>) {
    const SHARPNESS: f32 = 12.0;
    let model = load_bytes(features.to_vec().into(), None, &LoadOptions::default()).unwrap();
    let network = Network::compile(&model.graph, &CompileOptions::default()).unwrap();
    let mut session = network.session();
    let width = WIDTHS[WIDTHS.len() - 1];
    let mut means = vec![0.0f32; CLASSES.len() * width];
    for (class, image) in examples {
        let pixels = (SIDE * SIDE) as usize;
        let mut input = vec![0.0; 3 * pixels];
        for (place, pixel) in image.pixels().enumerate() {
            for (channel, value) in pixel.0.iter().enumerate() {
                input[channel * pixels + place] = (f32::from(*value) - MEAN) / MEAN;
            }
        }
        let output = session.run(&input, &mut |_, _| {}).unwrap();
        for (sum, value) in means[class * width..].iter_mut().zip(&output) {
            *sum += value / IMAGES_PER_CLASS as f32;
        }
    }
    let bias = means
        .chunks(width)
        .map(|mean| -SHARPNESS * mean.iter().map(|value| value * value).sum::<f32>() / 2.0)
        .collect();
    (means.iter().map(|value| SHARPNESS * value).collect(), bias)
}

/// The network as an ONNX file (opset 13): with the classifier, or the features it works on.
fn model(convolutions: &[Vec<f32>], classifier: Option<(&[f32], &[f32])>) -> Vec<u8> {
    let mut graph = Message::default();
    let mut constants = Vec::new();
    let mut inputs = 3;
    let mut current = "input".to_owned();
    for (index, (weights, outputs)) in convolutions.iter().zip(WIDTHS).enumerate() {
        let [weight, conv, relu, pool] =
            ["weight", "conv", "relu", "pool"].map(|kind| format!("block{index}/{kind}"));
        constants.push(tensor(&weight, &[outputs, inputs, 3, 3], weights));
        graph.message(
            1,
            &node(
                "Conv",
                &[&current, &weight],
                &conv,
                &[("pads", &[1, 1, 1, 1])],
            ),
        );
        graph.message(1, &node("Relu", &[&conv], &relu, &[]));
        current = relu;
        if index + 1 < convolutions.len() {
            let attributes: [(&str, &[i64]); 2] = [("kernel_shape", &[2, 2]), ("strides", &[2, 2])];
            graph.message(1, &node("MaxPool", &[&current], &pool, &attributes));
            current = pool;
        }
        inputs = outputs;
    }
    graph.message(1, &node("GlobalAveragePool", &[&current], "mean", &[]));
    graph.message(1, &node("Flatten", &["mean"], "features", &[]));
    let (output, width) = match classifier {
        None => ("features", inputs),
        Some((weights, bias)) => {
            constants.push(tensor(
                "classifier/weight",
                &[CLASSES.len(), inputs],
                weights,
            ));
            constants.push(tensor("classifier/bias", &[CLASSES.len()], bias));
            let mut gemm = node(
                "Gemm",
                &["features", "classifier/weight", "classifier/bias"],
                "logits",
                &[],
            );
            let mut attribute = Message::default();
            attribute.text(1, "transB").number(3, 1).number(20, 2);
            gemm.message(5, &attribute);
            graph.message(1, &gemm);
            ("logits", CLASSES.len())
        }
    };
    graph.text(2, "fixture");
    for constant in &constants {
        graph.message(5, constant);
    }
    let side = i64::from(SIDE);
    graph.message(11, &value("input", &[1, 3, side, side]));
    graph.message(12, &value(output, &[1, width as i64]));
    let mut opset = Message::default();
    opset.text(1, "").number(2, 13);
    let mut file = Message::default();
    file.number(1, 8).message(7, &graph).message(8, &opset);
    for (key, text) in [
        ("mean", "127.5,127.5,127.5"),
        ("std", "127.5,127.5,127.5"),
        ("resize", "none"),
    ] {
        let mut property = Message::default();
        property.text(1, key).text(2, text);
        file.message(14, &property);
    }
    file.0
}

fn node(kind: &str, inputs: &[&str], output: &str, attributes: &[(&str, &[i64])]) -> Message {
    let mut node = Message::default();
    for input in inputs {
        node.text(1, input);
    }
    node.text(2, output).text(3, output).text(4, kind);
    for (name, values) in attributes {
        let mut attribute = Message::default();
        attribute.text(1, name).number(20, 7);
        for value in *values {
            attribute.number(8, *value as u64);
        }
        node.message(5, &attribute);
    }
    node
}

fn tensor(name: &str, shape: &[usize], values: &[f32]) -> Message {
    let mut tensor = Message::default();
    for extent in shape {
        tensor.number(1, *extent as u64);
    }
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    tensor.number(2, 1).text(8, name).bytes(9, &bytes);
    tensor
}

fn value(name: &str, shape: &[i64]) -> Message {
    let mut extents = Message::default();
    for extent in shape {
        let mut dimension = Message::default();
        dimension.number(1, *extent as u64);
        extents.message(1, &dimension);
    }
    let mut tensor = Message::default();
    tensor.number(1, 1).message(2, &extents);
    let mut kind = Message::default();
    kind.message(1, &tensor);
    let mut value = Message::default();
    value.text(1, name).message(2, &kind);
    value
}

/// A protobuf message under construction: fields by number, as they are added.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, field: u64, value: u64) -> &mut Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(&mut self, field: u64, text: &str) -> &mut Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(&mut self, field: u64, message: &Self) -> &mut Self {
        self.bytes(field, &message.0)
    }
}
