//! `summit add`: new images into a finished run, as if it had been made from all of them.
//!
//! The new images become a run of their own beside the old one, both are merged there, and the result takes
//! the old one's place: until then the old one is untouched. Interrupted, the same command goes on.

use crate::begun::Begun;
use crate::message;
use crate::model::{self, LabelledImages};
use crate::run_args::AddArgs;
use crate::work::Work;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use summit_images::{ClassLabel, ImageSource, Labels};
use summit_store::{Run, RunSpec, RunWriter, Source, merge_runs};
use summit_tables::ClassEntry;

/// Images stored together while the new ones are looked at.
const SHARD_IMAGES: u32 = 256;

pub fn run(args: &AddArgs) -> Result<ExitCode> {
    let beside = |ending: &str| -> Result<PathBuf> {
        let path = std::path::absolute(&args.run)?;
        let mut name = path
            .file_name()
            .context("the run folder has no name")?
            .to_owned();
        name.push(ending);
        Ok(path.with_file_name(name))
    };
    let (work_folder, before) = (beside(".adding")?, beside(".before-add")?);
    if before.exists() && !args.run.exists() {
        // Stopped between the two renames.
        fs::rename(&before, &args.run).with_context(|| before.display().to_string())?;
    }
    let old = Run::open(&args.run)?;
    let source = Source::of(&args.run);
    let spec = &old.manifest().spec;
    let begun = Begun::load(spec, &source, args.model.as_deref())?;
    let listed = model::listed(&args.images, args.patience)?;
    let classes = begun.network.classes();
    let images = model::labelled(listed, Some(labels_of(&spec.classes)), classes);
    let new = work_folder.join("new");
    if !summarise(args, spec, &begun, &images, &new)? {
        message::note("stopped; give the same command again to continue");
        return Ok(ExitCode::from(2));
    }
    let merged = work_folder.join("merged");
    let manifest = merge_runs(&[&args.run, &new], &merged)?;
    source.store(&merged)?;
    for (from, to) in [(&args.run, &before), (&merged, &args.run)] {
        fs::rename(from, to).with_context(|| format!("cannot rename {}", from.display()))?;
    }
    for folder in [&before, &work_folder] {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    message::print(&format!(
        "{} images, {} of them new, {} skipped: {}",
        manifest.counts.done,
        manifest.counts.listed - old.manifest().counts.listed,
        manifest.counts.skipped,
        args.run.display()
    ))?;
    Ok(ExitCode::SUCCESS)
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

/// A run of the new images; false when stopped by the user.
fn summarise(
    args: &AddArgs,
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
