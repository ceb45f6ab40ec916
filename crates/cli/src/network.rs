//! The network and images of a finished run, opened again.

use crate::commands::default_threads;
use crate::query_args::RecountArgs;
use crate::{message, model};
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use summit_explain::Group;
use summit_explain::slice::explained_class;
use summit_images::{DecodeLimits, Preprocessing, load_and_preprocess};
use summit_influence::{Explained, Images, Member, Subject};
use summit_nn::graph::ValueId;
use summit_nn::layers::{Blocks, LayerValue};
use summit_nn::onnx::Model;
use summit_query::Questions;
use summit_site::{Crops, RunImages, SiteError};
use summit_store::{Run, Source};
use summit_tables::{ImageId, ImageRecord};

/// What a run was made from.
#[derive(Debug)]
pub struct RunNetwork {
    pub path: PathBuf,
    pub model: Model,
    pub layers: Vec<LayerValue>,
    pub blocks: Blocks,
    pub preprocessing: Preprocessing,
    run: Run,
    images: Option<PathBuf>,
}

impl RunNetwork {
    /// Opens the network where it was or where `args` says; images are looked for when needed.
    pub fn open(questions: &Questions, args: &RecountArgs) -> Result<Self> {
        let run = questions.run();
        let spec = &run.manifest().spec;
        let source = Source::of(run.path());
        let path = args.model.clone().or(source.model);
        let path = path.context("the run does not say where its network is; use --model")?;
        if !path.is_file() && model::built_in(&path).is_none() {
            bail!("the run's network is gone; use --model: {}", path.display());
        }
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
            run: run.clone(),
            images: args.images.clone().or(source.images),
        })
    }

    /// The images, where they were or where the arguments said.
    pub fn source(&self) -> Result<RunImages> {
        let root = self.images.clone();
        let root = root.context("the run does not say where its images are; use --images")?;
        RunImages::open(&self.run, &root).map_err(anyhow::Error::msg)
    }

    /// The layers' tensors, input side first.
    pub fn values(&self) -> Vec<ValueId> {
        self.layers.iter().map(|layer| layer.value).collect()
    }

    /// Hands the network and the run's images to a study, on `threads` threads (all cores for none).
    pub fn study<R>(
        &self,
        questions: &Questions,
        threads: Option<u16>,
        study: impl FnOnce(&Subject<'_>) -> Result<R>,
    ) -> Result<R> {
        let layers = self.values();
        let path = |record: &ImageRecord| (record.image, record.path.clone());
        let images = Studied {
            network: self,
            source: self.source()?,
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
struct Studied<'a> {
    network: &'a RunNetwork,
    source: RunImages,
    paths: HashMap<ImageId, String>,
}

impl Images for Studied<'_> {
    fn input(&self, image: ImageId) -> Result<Vec<f32>, String> {
        let path = self.paths.get(&image).ok_or("it is not of this run")?;
        let preprocessing = &self.network.preprocessing;
        let item = self.source.item_of(image, path);
        let mut pixels = vec![0.0; preprocessing.output_len()];
        let limits = DecodeLimits::default();
        load_and_preprocess(&self.source, &item, &limits, preprocessing, &mut pixels)
            .map_err(|reason| format!("{path}: {reason}"))?;
        Ok(pixels)
    }
}

/// The images of a run for pictures; `None`, with a warning that says what is done `without` them,
/// where they are not to be found.
///
/// * `images`: their folder, if it moved since the run.
pub fn crops(questions: &Questions, images: Option<&Path>, without: &str) -> Result<Option<Crops>> {
    match Crops::open(questions, images.map(Path::to_path_buf), message::warning) {
        Ok(crops) => {
            if let Some(problem) = crops.problem() {
                message::warning(&format!(
                    "{problem}; the run's thumbnails stand in (see --images)"
                ));
            }
            Ok(Some(crops))
        }
        Err(problem @ SiteError::Picture { .. }) => {
            message::warning(&format!("{problem}; {without} (see --images)"));
            Ok(None)
        }
        Err(problem) => Err(problem.into()),
    }
}

/// As [`crops`], for what needs the images themselves: thumbnails do not do.
pub fn originals(
    questions: &Questions,
    images: Option<&Path>,
    without: &str,
) -> Result<Option<Crops>> {
    let crops = Crops::open(questions, images.map(Path::to_path_buf), message::warning);
    let problem = match crops {
        Ok(crops) => match crops.problem() {
            None => return Ok(Some(crops)),
            Some(problem) => problem.to_owned(),
        },
        Err(problem @ SiteError::Picture { .. }) => problem.to_string(),
        Err(problem) => return Err(problem.into()),
    };
    message::warning(&format!("{problem}; {without} (see --images)"));
    Ok(None)
}

/// What is explained of an image of a group (docs/method.md section 1): the confusion for a cell of two
/// classes, the margin of the group's class, or of the image's own.
pub fn member(group: &Group, record: &ImageRecord) -> Option<Member> {
    let explained = match *group.targets.as_slice() {
        [class] => Explained::Margin(class),
        [label, prediction] => Explained::cell(label, prediction),
        _ => return member_by_itself(record),
    };
    Some(Member {
        image: record.image,
        explained,
    })
}

/// An image with the margin of its own class.
pub fn member_by_itself(record: &ImageRecord) -> Option<Member> {
    Some(Member {
        image: record.image,
        explained: Explained::Margin(explained_class(record)?),
    })
}
