//! conv-max counts of single images, for groups that split a cell of the confusion matrix: the
//! network is run again on them.

use crate::network::RunNetwork;
use crate::query_args::RecountArgs;
use crate::{commands, message};
use anyhow::{Context, Result, bail};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use summit_images::{DecodeLimits, ImageItem};
use summit_query::{Questions, Recount};
use summit_site::RunImages;
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
        let network = RunNetwork::open(self.questions, self.args)?;
        let RunNetwork {
            model,
            layers,
            blocks,
            ..
        } = &network;
        let pass = Pass::new(&model.graph, layers, blocks, PassOptions::default())?;
        let limits = DecodeLimits::default();
        let source = network.source()?;
        let (items, labels) = self.items(&source, images)?;
        let inputs = Inputs {
            source: &source,
            items: &items,
            labels: &labels,
            preprocessing: &network.preprocessing,
            limits: &limits,
        };
        message::note(&format!(
            "running the network again on {} images",
            items.len()
        ));
        run_on(&Arc::new(pass), inputs)
    }

    fn items(
        &self,
        source: &RunImages,
        images: &[ImageId],
    ) -> Result<(Vec<ImageItem>, Vec<Option<ClassId>>)> {
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
                ..source.item(record)
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
