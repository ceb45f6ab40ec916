//! Networks built into the program, with the names of their classes.
//!
//! `demo/squeezenet/convert.py` and `demo/train/train.py` make the files in `networks/`.

/// A network and its labels.
#[derive(Debug)]
pub struct BuiltIn {
    /// What `--model` calls it.
    pub name: &'static str,
    /// The ONNX file.
    pub onnx: &'static [u8],
    /// Class names, the text of a `labels.tsv` in the order of the outputs.
    pub labels: &'static str,
}

/// SqueezeNet 1.1, ImageNet's 1,000 classes: for a user's own photographs.
pub static SQUEEZENET: BuiltIn = BuiltIn {
    name: "squeezenet",
    onnx: include_bytes!("../networks/squeezenet.onnx"),
    labels: include_str!("../networks/imagenet.labels.tsv"),
};

/// The network of the demonstration's world; `summit demo` writes it as a file.
pub static DEMO: BuiltIn = BuiltIn {
    name: "demo",
    onnx: include_bytes!("../networks/demo.onnx"),
    labels: include_str!("../networks/demo.labels.tsv"),
};

/// Origin and licences of [`SQUEEZENET`] and its labels.
pub const NOTICE: &str = include_str!("../networks/NOTICE.txt");
