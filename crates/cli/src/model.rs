//! From arguments to a loaded network, its layers, its preprocessing and its labels.

use crate::args::{ColorArg, ImageArgs, ModelArgs, PreprocessingArgs, RangeArg, ResizeArg};
use crate::message;
use crate::run_args::PatienceArgs;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use summit_demo::networks::{self, BuiltIn};
use summit_images::{
    ColorOrder, ImageSource, Images, InputShape, Labels, Preprocessing, Resize, ScanOptions,
    ValueRange, discover_labels, from_metadata, match_folders,
};
use summit_nn::layers::{Blocks, LayerValue, find_blocks, find_layers, layers_from_names};
use summit_nn::onnx::{self, LoadOptions, Model};
use summit_objects::{Objects, shown};
use summit_tables::{ChannelId, ClassEntry, ClassId, LayerId, LayerInfo};

/// The built-in network of that name, unless there is a file of that name.
pub fn built_in(path: &Path) -> Option<&'static BuiltIn> {
    let network = &networks::SQUEEZENET;
    (path == Path::new(network.name) && !path.exists()).then_some(network)
}

/// All of a model's file.
pub fn bytes(path: &Path) -> Result<Bytes> {
    match built_in(path) {
        Some(network) => Ok(Bytes::from_static(network.onnx)),
        None => std::fs::read(path)
            .map(Bytes::from)
            .with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Loads a model file, or a built-in network.
pub fn load(path: &Path, input_shape: Option<[usize; 3]>, output: Option<&str>) -> Result<Model> {
    let options = LoadOptions {
        input_shape,
        output: output.map(str::to_owned),
        ..LoadOptions::default()
    };
    if let Some(network) = built_in(path) {
        let bytes = Bytes::from_static(network.onnx);
        return onnx::load_bytes(bytes, None, &options)
            .with_context(|| format!("built-in network {}", network.name));
    }
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0) {
        // Empty bytes are a valid message without a single field, and would be refused for the lack of one.
        bail!("the model file is empty: {}", path.display());
    }
    onnx::load(path, &options).with_context(|| format!("{}", path.display()))
}

/// As [`load`], from arguments.
pub fn load_from(args: &ModelArgs) -> Result<Model> {
    load(&args.model, args.input_shape, args.output.as_deref())
}

/// Layers (discovered, or as named) and the blocks between them.
pub fn layers(model: &Model, names: &[String]) -> Result<(Vec<LayerValue>, Blocks)> {
    let layers = if names.is_empty() {
        find_layers(&model.graph)
    } else {
        layers_from_names(&model.graph, names)?
    };
    let blocks = find_blocks(&model.graph, &layers);
    Ok((layers, blocks))
}

/// SHA-256 of a file, lower-case hexadecimal.
pub fn sha256(path: &Path) -> Result<String> {
    let read = || -> std::io::Result<String> {
        let mut file: Box<dyn Read> = match built_in(path) {
            Some(network) => Box::new(network.onnx),
            None => Box::new(std::fs::File::open(path)?),
        };
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            hash.update(&buffer[..count]);
        }
        Ok(hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    };
    read().with_context(|| format!("cannot read the model: {}", path.display()))
}

/// `[C, H, W]` of the network's input.
pub fn input_shape(model: &Model) -> Result<InputShape> {
    let shape = &model.graph.values[model.graph.input.index()].shape;
    match shape.as_slice() {
        &[_, channels, height, width] if channels == 1 || channels == 3 => Ok(InputShape {
            channels: channels as u32,
            height: height as u32,
            width: width as u32,
        }),
        _ => bail!(
            "the network's input is not an image with 1 or 3 channels, but {shape:?}; inputs are [N, C, H, W]"
        ),
    }
}

/// What the metadata say, overridden by arguments.
pub fn preprocessing(model: &Model, args: &PreprocessingArgs) -> Result<Preprocessing> {
    let input = input_shape(model)?;
    let reading = from_metadata(&model.metadata, input);
    let given = args.preset.is_some() || args.mean.is_some() || args.range.is_some();
    if reading.found.is_empty() && !given {
        message::warning(
            "the model's metadata say nothing of preprocessing; taking imagenet-torch (see --preset, or `summit check`)",
        );
    }
    let mut preprocessing = match args.preset {
        Some(preset) => preset.preprocessing(input),
        None => reading.preprocessing,
    };
    if let Some(mean) = args.mean {
        preprocessing.mean = mean;
    }
    if let Some(std) = args.std {
        preprocessing.std = std;
    }
    if let Some(range) = args.range {
        preprocessing.range = match range {
            RangeArg::Bytes => ValueRange::Bytes,
            RangeArg::Unit => ValueRange::Unit,
        };
    }
    if let Some(color) = args.color {
        preprocessing.color = match color {
            ColorArg::Rgb => ColorOrder::Rgb,
            ColorArg::Bgr => ColorOrder::Bgr,
            ColorArg::Grey => ColorOrder::Grey,
        };
    }
    let default_short = match preprocessing.resize {
        Resize::ShortSideCrop { short, .. } => short,
        Resize::Squash | Resize::None => input.height.max(input.width),
    };
    let short = args.short_side.unwrap_or(default_short);
    match args.resize {
        Some(ResizeArg::Squash) => preprocessing.resize = Resize::Squash,
        Some(ResizeArg::None) => preprocessing.resize = Resize::None,
        Some(ResizeArg::Crop) => {
            preprocessing.resize = Resize::ShortSideCrop {
                short,
                keep_exact: true,
            };
        }
        None if args.short_side.is_some() => {
            preprocessing.resize = Resize::ShortSideCrop {
                short,
                keep_exact: true,
            };
        }
        None => {}
    }
    preprocessing.validate()?;
    Ok(preprocessing)
}

/// Images with the class of each, and the classes' names.
pub struct LabelledImages {
    pub source: Images,
    /// One per image.
    pub labels: Vec<Option<ClassId>>,
    /// One per logit.
    pub classes: Vec<ClassEntry>,
}

/// Names of the classes, and where they are from: as given, else beside model or images, else those of
/// the built-in network.
fn labels(model: &Path, args: &ImageArgs, outputs: usize) -> Result<Option<(PathBuf, Labels)>> {
    if let Some(path) = &args.labels {
        return Ok(Some((path.clone(), Labels::read_for(path, outputs)?)));
    }
    let beside = built_in(model).is_none().then_some(model);
    let discovery = discover_labels(beside, Some(&args.images), outputs);
    for rejected in &discovery.rejected {
        message::note(&format!("not used as labels: {}", rejected.reason));
    }
    Ok(match (discovery.found, built_in(model)) {
        (None, Some(network)) => {
            let labels = Labels::parse(network.labels).map_err(anyhow::Error::msg)?;
            Some((PathBuf::from(network.name), labels))
        }
        (found, _) => found,
    })
}

/// Lists the images and matches their words for classes with the network's.
pub fn images(model: &Model, model_path: &Path, args: &ImageArgs) -> Result<LabelledImages> {
    let outputs = model.classes();
    let source = listed(&args.images, args.patience)?;
    let labels = labels(model_path, args, outputs)?;
    if let Some((path, _)) = &labels {
        message::note(&format!("labels: {}", path.display()));
    }
    Ok(labelled(source, labels.map(|(_, labels)| labels), outputs))
}

/// Lists the images.
pub fn listed(images: &Path, patience: PatienceArgs) -> Result<Images> {
    let location = images.to_str();
    let location = location.context("the path of the images is not valid Unicode")?;
    let objects = Arc::new(Objects::new(patience.patience())?);
    Ok(Images::open(location, &objects, &ScanOptions::default())?)
}

/// Matches the images' words for classes with the names of the network's.
pub fn labelled(source: Images, labels: Option<Labels>, outputs: usize) -> LabelledImages {
    let list = source.list();
    let matched = match_folders(&list.folders, labels.as_ref(), outputs);
    for warning in &matched.warnings {
        message::warning(warning);
    }
    let folders = matched.classes();
    message::note(&format!(
        "{} images in {} folders of {}; {}",
        list.items.len(),
        list.folders.len(),
        shown(&list.root.to_string_lossy()),
        if list.folders.is_empty() {
            "no labels: grouping by prediction".to_owned()
        } else {
            matched.to_string()
        },
    ));
    let names = labels.unwrap_or_else(|| Labels::from_folders(&folders, outputs));
    let classes = names
        .classes
        .into_iter()
        .enumerate()
        .map(|(index, class)| ClassEntry {
            class: ClassId::from_index(index),
            external_id: class.external_id.unwrap_or_default(),
            name: class.name,
            synonyms: class.synonyms,
        })
        .collect();
    let labels = list
        .items
        .iter()
        .map(|item| {
            item.folder
                .as_ref()
                .and_then(|folder| folders.get(folder).copied())
        })
        .collect();
    LabelledImages {
        source,
        labels,
        classes,
    }
}

/// The channel meant by `LAYER:CHANNEL`, the layer by name or position.
pub fn find_channel(text: &str, layers: &[LayerInfo]) -> Result<(LayerId, ChannelId)> {
    let (name, channel) = text
        .rsplit_once(':')
        .with_context(|| format!("\"{text}\": LAYER:CHANNEL is needed, for example mixed4a:55"))?;
    let named = layers.iter().position(|layer| layer.name == name);
    let numbered = || name.parse().ok().filter(|&index| index < layers.len());
    let index = named.or_else(numbered).with_context(|| {
        format!("\"{text}\": there is no layer \"{name}\"; `summit inspect` lists them")
    })?;
    let channels = layers.get(index).map_or(0, |layer| layer.channels);
    let channel = channel
        .parse()
        .ok()
        .filter(|&channel| channel < channels)
        .with_context(|| {
            let last = channels.saturating_sub(1);
            format!("\"{text}\": the layer has channels 0 to {last}")
        })?;
    Ok((LayerId::from_index(index), ChannelId(channel)))
}
