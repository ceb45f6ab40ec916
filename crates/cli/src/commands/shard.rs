//! `summit shard`: one shard of a plan. Doing it again changes nothing.

use crate::begun::Begun;
use crate::interrupt::Interrupt;
use crate::run_args::ShardArgs;
use crate::work::Work;
use crate::{bucket, message};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use summit_images::{ImageItem, ImageList, Images, ListHash, ScanOptions};
use summit_objects::{Objects, is_remote};
use summit_store::{ImageRange, Plan};
use summit_summarize::Progress;

pub fn run(args: &ShardArgs) -> Result<ExitCode> {
    if !is_remote(&args.plan) {
        let plan = Plan::open(Path::new(&args.plan))?;
        if let Some(range) = wanted(args, &plan)? {
            do_shard(args, &plan, range)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let folder = tempfile::tempdir()?;
    let local = folder.path().join("plan");
    let shards = bucket::Shards::open(&args.plan, &local, args.patience.patience())?;
    let plan = Plan::open(&local)?;
    if let Some(range) = wanted(args, &plan)? {
        if shards.is_done(range)? {
            say_done(args.id);
        } else {
            do_shard(args, &plan, range)?;
            shards.push(&local, range)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn say_done(id: u32) {
    message::note(&format!("nothing to do: shard {id} is done"));
}

/// The images of the shard asked for, unless it is done.
fn wanted(args: &ShardArgs, plan: &Plan) -> Result<Option<ImageRange>> {
    if plan.is_complete() {
        say_done(args.id);
        return Ok(None);
    }
    let shards = plan.shards();
    let Some(&range) = shards.get(args.id as usize) else {
        bail!(
            "there is no shard {}; the plan has {}: {}",
            args.id,
            shards.len(),
            args.plan
        );
    };
    if plan.is_done(range)? {
        say_done(args.id);
        return Ok(None);
    }
    Ok(Some(range))
}

fn do_shard(args: &ShardArgs, plan: &Plan, range: ImageRange) -> Result<()> {
    let (spec, source) = (plan.spec(), plan.source());
    let begun = Begun::load(spec, source, args.model.as_deref())?;
    let root = args.images.clone().or_else(|| source.images.clone());
    let root = root.context("the plan does not say where its images are; use --images")?;
    let (items, labels) = plan
        .images(range)?
        .into_iter()
        .map(|planned| {
            let item = ImageItem {
                image: planned.image,
                path: planned.path,
                folder: None,
                place: planned.place,
            };
            (item, planned.label)
        })
        .unzip();
    let list = ImageList {
        kind: source.kind,
        root,
        containers: source.containers.clone(),
        items,
        folders: Vec::new(),
        skipped: Vec::new(),
        ignored_files: 0,
        list_hash: ListHash::default(),
    };
    let objects = Arc::new(Objects::new(args.patience.patience())?);
    let images = Images::of_list(list.clone(), &objects, &ScanOptions::default());
    let labels: Vec<_> = labels;
    let work = Work {
        pass: &begun.pass,
        source: &images,
        items: &list.items,
        labels: &labels,
        preprocessing: &begun.preprocessing,
        threads: args
            .threads
            .map_or_else(super::default_threads, usize::from),
        before: 0,
        listed: range.len(),
        progress: &Progress::default(),
        interrupt: &Interrupt::of_process(),
    };
    let mut done = false;
    work.shards(&[range], |range, data| {
        plan.commit(range, data)?;
        done = true;
        Ok(())
    })?;
    if !done {
        bail!("stopped before shard {} was done", args.id);
    }
    message::print(&format!(
        "shard {} is done: images {} to {}",
        args.id,
        range.start.0,
        range.end.0 - 1
    ))
}
