//! Networks with images: a small one made here, and the golden ones.

use crate::command::Summit;
use crate::file::{File, floats, ints_attribute, node, value_info};
use crate::folders::mix;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Class folders of the small case.
pub const CLASSES: [&str; 3] = ["ash", "birch", "cedar"];
const SIDE: i64 = 20;

/// A network, its images, and how to run them.
pub struct Case {
    pub name: String,
    pub model: PathBuf,
    pub images: PathBuf,
    pub flags: &'static [&'static str],
    /// Where the files made for it lie.
    pub folder: TempDir,
}

impl Case {
    /// Three convolutions and a Gemm over `per_class` images of each class.
    pub fn small(per_class: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("small.onnx");
        fs::write(&model, small_network().bytes()).unwrap();
        let images = folder.path().join("images");
        for (index, class) in CLASSES.iter().enumerate() {
            fs::create_dir_all(images.join(class)).unwrap();
            for number in 0..per_class {
                let seed = (index * 10_000 + number) as u64;
                let path = images.join(class).join(format!("{number:04}.png"));
                fs::write(path, picture(seed, index)).unwrap();
            }
        }
        Self {
            name: "small".to_owned(),
            model,
            images,
            flags: &[
                "--range",
                "0-1",
                "--mean",
                "0.5",
                "--std",
                "0.25",
                "--no-check",
            ],
            folder,
        }
    }

    /// The golden cases, or none (with a line saying so) where they are absent.
    pub fn golden() -> Vec<Self> {
        let names = ["inception-tiny", "resnet-tiny", "depthwise-tiny"];
        let found = crate::support::shared().into_iter().flat_map(|shared| {
            names.map(|name| Self {
                name: name.to_owned(),
                model: shared.join("golden").join(name).join("model.onnx"),
                images: shared.join("golden").join(name).join("images"),
                flags: &["--no-check"],
                folder: tempfile::tempdir().unwrap(),
            })
        });
        found.collect()
    }

    /// A path in the folder of this case.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `summit run` into `out`.
    pub fn run(&self, out: &Path) -> Summit {
        self.run_on(&self.images, out)
    }

    /// `summit run` on other images.
    pub fn run_on(&self, images: &Path, out: &Path) -> Summit {
        Summit::new("run")
            .arg("--model")
            .arg(&self.model)
            .arg("--images")
            .arg(images)
            .arg("--out")
            .arg(out)
            .args(self.flags)
    }
}

/// A file of the network of the small case: `image` `[1, 3, 20, 20]` to `scores` `[1, 3]`.
pub fn small_network() -> File {
    small_network_of(CLASSES.len() as i64)
}

/// The same with any number of classes.
pub fn small_network_of(classes: i64) -> File {
    let conv = |name: &str, input: &str, stride: i64, pad: i64| {
        let weight = format!("{name}_weight");
        let attributes = [
            ints_attribute("strides", &[stride; 2]),
            ints_attribute("pads", &[pad; 4]),
        ];
        node("Conv", &[input, &weight], &[name], &attributes)
    };
    let relu = |name: &str, input: &str| node("Relu", &[input], &[name], &[]);
    let nodes = [
        conv("conv1", "image", 1, 1),
        relu("layer1", "conv1"),
        conv("conv2", "layer1", 2, 1),
        relu("layer2", "conv2"),
        conv("conv3", "layer2", 1, 0),
        relu("layer3", "conv3"),
        node("GlobalAveragePool", &["layer3"], &["pooled"], &[]),
        node("Flatten", &["pooled"], &["flat"], &[]),
        node("Gemm", &["flat", "gemm_weight"], &["scores"], &[]),
    ];
    let weight = |name: &str, seed: u64, dims: &[i64]| {
        let count = dims.iter().product::<i64>() as u64;
        let values: Vec<f32> = (0..count).map(|k| uniform(seed << 32 | k)).collect();
        floats(name, dims, &values)
    };
    let weights = [
        weight("conv1_weight", 1, &[6, 3, 3, 3]),
        weight("conv2_weight", 2, &[8, 6, 3, 3]),
        weight("conv3_weight", 3, &[10, 8, 1, 1]),
        weight("gemm_weight", 4, &[10, classes]),
    ];
    let mut file = File::new(&nodes, &weights);
    file.inputs = vec![value_info("image", 1, &[1, 3, SIDE, SIDE])];
    file.outputs = vec![value_info("scores", 1, &[1, classes])];
    file
}

/// -1 to 1.
fn uniform(seed: u64) -> f32 {
    (mix(seed) >> 40) as f32 / (1 << 23) as f32 - 1.0
}

/// A noisy PNG that is brighter in one colour.
pub fn picture(seed: u64, color: usize) -> Vec<u8> {
    let side = SIDE as u32;
    let pixels = image::RgbImage::from_fn(side + 4, side, |x, y| {
        let level = |channel: usize| {
            let noise = mix(seed << 20 | u64::from(x * side + y) << 2 | channel as u64) % 160;
            noise as u8 + if channel == color { 90 } else { 0 }
        };
        image::Rgb([0, 1, 2].map(level))
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    pixels
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}
