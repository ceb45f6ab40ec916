//! `summit plan`: everything a run is made from, written down for those who do its shards; the first step
//! of `summit run` as well.

use crate::args::{ImageArgs, ModelArgs};
use crate::model::{self, LabelledImages};
use crate::pass;
use crate::run_args::PlanArgs;
use crate::{bucket, message};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use summit_images::{ImageSource, Preprocessing};
use summit_nn::onnx::Model;
use summit_objects::is_remote;
use summit_store::{
    ImageList, ModelEntry, PassedOver, Plan, RunSpec, RunWriter, Source, write_inventory,
    write_plan,
};
use summit_summarize::Pass;
use summit_tables::PlannedImage;

/// Skipped images and passed-over entries listed on screen.
const LISTED_ON_SCREEN: usize = 10;

pub fn run(args: &PlanArgs) -> Result<ExitCode> {
    let out = args.out.to_string_lossy();
    if !is_remote(&out) {
        let planned = Planned::new(args)?;
        planned.begin(&args.out)?;
        return report(&args.out, &out);
    }
    let folder = tempfile::tempdir()?;
    let local = folder.path().join("plan");
    let planned = Planned::new(args)?;
    planned.begin(&local)?;
    bucket::push_plan(&local, &out, args.images.patience.patience())?;
    report(&local, &out)
}

fn report(folder: &Path, place: &str) -> Result<ExitCode> {
    let plan = Plan::open(folder)?;
    if plan.is_complete() {
        message::print(&format!("nothing to do: the run is complete: {place}"))?;
    } else {
        let listed = plan.spec().images.listed;
        let shards = plan.shards().len();
        message::print(&format!("{listed} images in {shards} shards: {place}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What a run is made from, loaded.
pub struct Planned<'a> {
    args: &'a PlanArgs,
    pub model: Model,
    pub pass: Arc<Pass>,
    pub preprocessing: Preprocessing,
    pub images: LabelledImages,
    spec: RunSpec,
}

impl<'a> Planned<'a> {
    /// Loads the network and lists the images.
    pub fn new(args: &'a PlanArgs) -> Result<Self> {
        let model = model::load_from(&args.model)?;
        let preprocessing = model::preprocessing(&model, &args.preprocessing)?;
        let (layers, blocks) = model::layers(&model, &args.pass.layers)?;
        let source = pass::Source {
            path: &args.model.model,
            model: &model,
            layers: &layers,
            blocks: &blocks,
        };
        let (pass, parameters) = pass::from_args(&args.pass, source)?;
        let images = model::images(&model, &args.model.model, &args.images)?;
        let passed_over = &images.source.list().skipped;
        list_on_screen(
            "passed over",
            passed_over.len(),
            passed_over.iter(),
            |entry| (&entry.path, &entry.reason),
        );
        message::note(&format!("preprocessing: {preprocessing}"));
        let spec = RunSpec {
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            model: model_entry(&args.model, &model, &pass)?,
            parameters,
            preprocessing: serde_json::to_value(&preprocessing)?,
            classes: images.classes.clone(),
            images: image_list(&images),
        };
        Ok(Self {
            args,
            model,
            pass,
            preprocessing,
            images,
            spec,
        })
    }

    /// Begins the run, or continues the one that is there.
    pub fn begin(&self, out: &Path) -> Result<RunWriter> {
        let writer = RunWriter::create_or_resume(out, self.spec.clone())?;
        let source = Source {
            kind: self.images.source.list().kind,
            containers: self.images.source.list().containers.clone(),
            ..remembered(&self.args.model, &self.args.images)
        };
        source.store(out)?;
        if !writer.is_complete() {
            let listed = self.spec.images.listed;
            let items = self.images.source.list().items.iter();
            let planned = items
                .zip(&self.images.labels)
                .map(|(item, label)| PlannedImage {
                    image: item.image,
                    path: item.path.clone(),
                    label: *label,
                    place: item.place.clone(),
                });
            write_inventory(out, &self.spec.model.info, listed, planned)?;
            write_plan(out, listed, self.args.shard_images)?;
        }
        Ok(writer)
    }
}

/// Warns of the first few entries, with their reasons.
pub fn list_on_screen<'a, T: 'a>(
    what: &str,
    count: usize,
    entries: impl Iterator<Item = &'a T>,
    words: impl Fn(&'a T) -> (&'a String, &'a String),
) {
    for (path, reason) in entries.take(LISTED_ON_SCREEN).map(words) {
        message::warning(&format!("{what}: {path}: {reason}"));
    }
    if count > LISTED_ON_SCREEN {
        message::warning(&format!(
            "{what}: and {} more, listed in the run folder",
            count - LISTED_ON_SCREEN
        ));
    }
}

fn model_entry(args: &ModelArgs, loaded: &Model, pass: &Pass) -> Result<ModelEntry> {
    let input = model::input_shape(loaded)?;
    let name = args.model.file_name().unwrap_or_default();
    Ok(ModelEntry {
        name: name.to_string_lossy().into_owned(),
        sha256: model::sha256(&args.model)?,
        input_shape: vec![input.channels, input.height, input.width],
        info: pass.info().clone(),
    })
}

/// The list of a run's images, as its manifest holds it.
pub fn image_list(images: &LabelledImages) -> ImageList {
    let list = images.source.list();
    let passed_over = list.skipped.iter().map(|entry| PassedOver {
        path: entry.path.clone(),
        reason: entry.reason.clone(),
    });
    ImageList {
        listed: list.items.len() as u32,
        sha256: list.list_hash.to_string(),
        passed_over: passed_over.collect(),
    }
}

/// Where network and images lie, for whoever does a shard, and for the pictures and recounts of later
/// commands. Not part of the results.
fn remembered(network: &ModelArgs, images: &ImageArgs) -> Source {
    let absolute = |path: &PathBuf| std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    Source {
        images: Some(absolute(&images.images)),
        model: Some(absolute(&network.model)),
        input_shape: network.input_shape,
        output: network.output.clone(),
        ..Source::default()
    }
}
