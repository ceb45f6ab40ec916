//! The network and images of a finished run, opened again.

use crate::commands::default_threads;
use crate::model;
use crate::query_args::RecountArgs;
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::path::PathBuf;
use summit_explain::Group;
use summit_explain::slice::explained_class;
use summit_images::{DecodeLimits, ImageFolder, ImageItem, Preprocessing, load_and_preprocess};
use summit_influence::{Explained, Images, Member, Subject};
use summit_nn::graph::ValueId;
use summit_nn::layers::{Blocks, LayerValue};
use summit_nn::onnx::Model;
use summit_query::Questions;
use summit_store::Source;
use summit_tables::{ImageId, ImageRecord};

/// What a run was made from.
pub struct RunNetwork {
    pub path: PathBuf,
    pub model: Model,
    pub layers: Vec<LayerValue>,
    pub blocks: Blocks,
    pub preprocessing: Preprocessing,
    pub source: ImageFolder,
}

impl RunNetwork {
    /// Opens the network and the folder of images, where they were or where `args` says.
    pub fn open(questions: &Questions, args: &RecountArgs) -> Result<Self> {
        let run = questions.run();
        let spec = &run.manifest().spec;
        let source = Source::of(run.path());
        let path = args.model.clone().or(source.model);
        let path = path.context("the run does not say where its network is; use --model")?;
        let root = args.images.clone().or(source.images);
        let root = root.context("the run does not say where its images are; use --images")?;
        if model::sha256(&path)? != spec.model.sha256 {
            bail!("it is not the network of this run: {}", path.display());
        }
        let preprocessing = serde_json::from_value(spec.preprocessing.clone())
            .context("the run's preprocessing is not understood")?;
        let model = model::load(&path, source.input_shape, source.output.as_deref())?;
        let info = &spec.model.info;
        let names: Vec<String> = info.layers.iter().map(|layer| layer.name.clone()).collect();
        let (layers, blocks) = model::layers(&model, &names)?;
        if blocks.info.convs != info.convs {
            bail!("the network is read differently now than when the run was made");
        }
        Ok(Self {
            path,
            model,
            layers,
            blocks,
            preprocessing,
            source: ImageFolder::unlisted(root),
        })
    }

    /// Hands the network and the run's images to a study, on `threads` threads (all cores for none).
    pub fn study<R>(
        &self,
        questions: &Questions,
        threads: Option<u16>,
        study: impl FnOnce(&Subject<'_>) -> Result<R>,
    ) -> Result<R> {
        let layers: Vec<ValueId> = self.layers.iter().map(|layer| layer.value).collect();
        let path = |record: &ImageRecord| (record.image, record.path.clone());
        let images = RunImages {
            network: self,
            paths: questions.records().iter().map(path).collect(),
        };
        study(&Subject {
            graph: &self.model.graph,
            layers: &layers,
            images: &images,
            threads: threads.map_or_else(default_threads, usize::from),
        })
    }
}

/// Inputs of a run's images.
struct RunImages<'a> {
    network: &'a RunNetwork,
    paths: HashMap<ImageId, String>,
}

impl Images for RunImages<'_> {
    fn input(&self, image: ImageId) -> Result<Vec<f32>, String> {
        let path = self.paths.get(&image).ok_or("it is not of this run")?;
        let RunNetwork {
            preprocessing,
            source,
            ..
        } = self.network;
        let item = ImageItem {
            image,
            path: path.clone(),
            folder: None,
        };
        let mut pixels = vec![0.0; preprocessing.output_len()];
        let limits = DecodeLimits::default();
        load_and_preprocess(source, &item, &limits, preprocessing, &mut pixels)
            .map_err(|reason| format!("{path}: {reason}"))?;
        Ok(pixels)
    }
}

/// What is explained of an image of a group (docs/method.md section 1): the confusion for a cell of two
/// classes, the margin of the group's class, or of the image's own.
pub fn member(group: &Group, record: &ImageRecord) -> Option<Member> {
    let explained = match *group.targets.as_slice() {
        [class] => Explained::Margin(class),
        [label, prediction] => Explained::cell(label, prediction),
        _ => Explained::Margin(explained_class(record)?),
    };
    Some(Member {
        image: record.image,
        explained,
    })
}

/// The name under which the signed influence of a group is kept: its own, and the numbers of its
/// classes, since classes may share a name.
pub fn flow_key(group: &Group) -> String {
    let targets: Vec<String> = group
        .targets
        .iter()
        .map(|class| class.0.to_string())
        .collect();
    format!("{} {}", targets.join("-"), group.name)
        .trim()
        .to_owned()
}
