//! conv-max counts of single images, for groups that split a cell of the confusion matrix: the
//! network is run again on them.

use crate::query_args::RecountArgs;
use crate::{commands, message, model};
use anyhow::{Context, Result, bail};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use summit_images::{DecodeLimits, ImageFolder, ImageItem, Preprocessing};
use summit_query::{Questions, Recount};
use summit_store::Source;
use summit_summarize::{Inputs, Pass, PassOptions, Progress, run_shards};
use summit_tables::{ClassId, ConvMaxCounts, ImageId};

/// Images whose counts are summed at a time.
const SHARD_IMAGES: usize = 64;

/// Runs the network again on images of a run.
pub struct NetworkRecount<'a> {
    questions: &'a Questions,
    args: &'a RecountArgs,
}

impl<'a> NetworkRecount<'a> {
    pub fn new(questions: &'a Questions, args: &'a RecountArgs) -> Self {
        Self { questions, args }
    }

    fn counts(&self, images: &[ImageId]) -> Result<Vec<ConvMaxCounts>> {
        let run = self.questions.run();
        let spec = &run.manifest().spec;
        let source = Source::of(run.path());
        let model_path = self.args.model.clone().or(source.model);
        let model_path =
            model_path.context("the run does not say where its network is; use --model")?;
        let root = self.args.images.clone().or(source.images);
        let root = root.context("the run does not say where its images are; use --images")?;
        if model::sha256(&model_path)? != spec.model.sha256 {
            bail!(
                "it is not the network of this run: {}",
                model_path.display()
            );
        }
        let preprocessing: Preprocessing = serde_json::from_value(spec.preprocessing.clone())
            .context("the run's preprocessing is not understood")?;
        let loaded = model::load(&model_path, source.input_shape, source.output.as_deref())?;
        let names: Vec<String> = spec
            .model
            .info
            .layers
            .iter()
            .map(|layer| layer.name.clone())
            .collect();
        let (layers, blocks) = model::layers(&loaded, &names)?;
        let pass = Pass::new(&loaded.graph, &layers, &blocks, PassOptions::default())?;
        if pass.info().convs != spec.model.info.convs {
            bail!("the network is read differently now than when the run was made");
        }
        let (items, labels) = self.items(images)?;
        let limits = DecodeLimits::default();
        let inputs = Inputs {
            source: &ImageFolder::unlisted(root),
            items: &items,
            labels: &labels,
            preprocessing: &preprocessing,
            limits: &limits,
        };
        message::note(&format!(
            "running the network again on {} images",
            items.len()
        ));
        run_on(&Arc::new(pass), inputs)
    }

    fn items(&self, images: &[ImageId]) -> Result<(Vec<ImageItem>, Vec<Option<ClassId>>)> {
        let mut items = Vec::with_capacity(images.len());
        let mut labels = Vec::with_capacity(images.len());
        for (position, &image) in images.iter().enumerate() {
            let record = self
                .questions
                .record(image)
                .context("an image is not of this run")?;
            items.push(ImageItem {
                // The pass numbers images by position.
                image: ImageId::from_index(position),
                path: record.path.clone(),
                folder: None,
            });
            labels.push(record.label);
        }
        Ok((items, labels))
    }
}

fn run_on(pass: &Arc<Pass>, inputs: Inputs<'_>) -> Result<Vec<ConvMaxCounts>> {
    let count = inputs.items.len();
    let ranges = (0..count)
        .step_by(SHARD_IMAGES)
        .map(|start| start as u32..(start + SHARD_IMAGES).min(count) as u32)
        .collect();
    let mut counts = Vec::new();
    run_shards(
        pass,
        inputs,
        ranges,
        commands::default_threads(),
        &Progress::default(),
        &AtomicBool::new(false),
        |_, tables| {
            if let Some(skipped) = tables.skipped.first() {
                bail!("{}: {}", skipped.path, skipped.reason);
            }
            counts.extend(tables.influence);
            Ok(())
        },
    )
    .map_err(|error| match error {
        summit_summarize::RunError::Shard(error) => error,
        worker => anyhow::Error::msg(worker.to_string()),
    })?;
    Ok(counts)
}

impl Recount for NetworkRecount<'_> {
    fn recount(&self, images: &[ImageId]) -> Result<Vec<ConvMaxCounts>, String> {
        self.counts(images).map_err(|error| format!("{error:#}"))
    }
}
