//! `summit add` and `summit remove`: images into or out of a finished run, as if it had been made so.
//!
//! The images become a run of their own beside the old one, both become one there, and the result takes the
//! old one's place: until then the old one is untouched. Interrupted, the same command goes on.

use crate::begun::Begun;
use crate::interrupt::Interrupt;
use crate::message;
use crate::model::{self, LabelledImages};
use crate::run_args::ChangeArgs;
use crate::work::Work;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use summit_images::{ClassLabel, ImageSource, Labels};
use summit_store::{Removal, Run, RunSpec, RunWriter, Source, StoreError, merge_runs};
use summit_summarize::Progress;
use summit_tables::ClassEntry;

/// Images stored together while they are looked at.
const SHARD_IMAGES: u32 = 256;

/// What a run holds beside its results that stays true of its network.
const CARRIED: [&str; 2] = ["annotations.json", "features"];

pub fn add(args: &ChangeArgs) -> Result<ExitCode> {
    change(args, ".adding", |_, _| Ok(None))
}

pub fn remove(args: &ChangeArgs) -> Result<ExitCode> {
    change(args, ".removing", |run, images| {
        let items = images.source.list().items.iter();
        let paths = items.map(|item| item.path.as_str());
        Ok(Some(Removal::new(run.clone(), paths)?))
    })
}

/// * `work`: ending of the folder beside the run where it is done.
/// * `removal`: looks whether the images can go, where they are to.
fn change(
    args: &ChangeArgs,
    work: &str,
    removal: impl FnOnce(&Run, &LabelledImages) -> Result<Option<Removal>>,
) -> Result<ExitCode> {
    let work = beside(&args.run, work)?;
    let before = work.join("before");
    settle(&before, &args.run)?;
    let old = Run::open(&args.run)?;
    let source = Source::of(&args.run);
    let spec = &old.manifest().spec;
    let begun = Begun::load(spec, &source, args.model.as_deref())?;
    let listed = model::listed(&args.images, args.patience)?;
    let classes = begun.network.classes();
    let images = model::labelled(listed, Some(labels_of(&spec.classes)), classes);
    let removal = removal(&old, &images)?;
    let [own, changed] = ["images", "changed"].map(|name| work.join(name));
    if !summarise(args, spec, &begun, &images, &own)? {
        message::note("stopped; give the same command again to continue");
        return Ok(ExitCode::from(2));
    }
    let outcome = match removal {
        None => merge_runs(&[&args.run, &own], &changed),
        Some(removal) => removal.complete(&own, &changed),
    };
    if let Err(StoreError::ImageTwice { .. } | StoreError::Inexact { .. }) = outcome {
        // It will not go better another time.
        remove_folder(&work)?;
    }
    let manifest = outcome?;
    source.store(&changed)?;
    super::prepare(&changed);
    renamed(&args.run, &before)?;
    renamed(&changed, &args.run)?;
    settle(&before, &args.run)?;
    remove_folder(&work)?;
    message::print(&format!(
        "{} images, {} skipped, {} before: {}",
        manifest.counts.done,
        manifest.counts.skipped,
        old.manifest().counts.listed,
        args.run.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// A folder beside a run.
fn beside(run: &Path, ending: &str) -> Result<PathBuf> {
    let path = std::path::absolute(run)?;
    let name = path.file_name().context("the run folder has no name")?;
    let mut name = name.to_owned();
    name.push(ending);
    Ok(path.with_file_name(name))
}

fn renamed(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("cannot rename {}", from.display()))
}

/// The end of a replacement, whenever it was stopped: the old run comes back where there is no new one, else what
/// the new one lacks is taken from it and it goes.
fn settle(before: &Path, run: &Path) -> Result<()> {
    if !before.exists() {
        return Ok(());
    }
    if !run.exists() {
        return renamed(before, run);
    }
    for name in CARRIED {
        let (from, to) = (before.join(name), run.join(name));
        if from.exists() && !to.exists() {
            renamed(&from, &to)?;
        }
    }
    remove_folder(before)
}

fn remove_folder(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).with_context(|| folder.display().to_string())
}

/// The classes of a run as a label file would give them.
fn labels_of(classes: &[ClassEntry]) -> Labels {
    let label = |class: &ClassEntry| ClassLabel {
        external_id: Some(class.external_id.clone()).filter(|id| !id.is_empty()),
        name: class.name.clone(),
        synonyms: class.synonyms.clone(),
    };
    Labels {
        classes: classes.iter().map(label).collect(),
    }
}

/// A run of the images; false when stopped by the user.
fn summarise(
    args: &ChangeArgs,
    spec: &RunSpec,
    begun: &Begun,
    images: &LabelledImages,
    out: &Path,
) -> Result<bool> {
    if images.classes != spec.classes {
        bail!("the run does not name all of its network's classes");
    }
    let spec = RunSpec {
        images: super::plan::image_list(images),
        ..spec.clone()
    };
    let mut writer = RunWriter::create_or_resume(out, spec)?;
    let counts = writer.manifest().counts;
    let work = Work {
        pass: &begun.pass,
        source: &images.source,
        items: &images.source.list().items,
        labels: &images.labels,
        preprocessing: &begun.preprocessing,
        threads: args
            .threads
            .map_or_else(super::default_threads, usize::from),
        before: counts.done + counts.skipped,
        listed: counts.listed,
        progress: &Progress::default(),
        interrupt: &Interrupt::of_process(),
    };
    if !writer.is_complete() {
        let missing = writer.missing_shards(SHARD_IMAGES);
        work.shards(&missing, |range, data| writer.commit_shard(range, data))?;
        let counts = writer.manifest().counts;
        if counts.done + counts.skipped < counts.listed {
            return Ok(false);
        }
        writer.finalize()?;
    }
    Ok(true)
}
