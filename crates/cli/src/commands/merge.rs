//! `summit merge`: the shards of a plan, or several runs, become one run.

use crate::run_args::MergeArgs;
use crate::{bucket, message};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use summit_objects::{Patience, is_remote};
use summit_store::{Manifest, Plan, RunState, RunWriter};

pub fn run(args: &MergeArgs) -> Result<ExitCode> {
    let (made, manifest) = match args.runs.as_slice() {
        [plan] if is_remote(plan) => {
            let out = out(args)?;
            bucket::Shards::open(plan, out, Patience::default())?.fetch(out)?;
            (out.as_path(), complete(out)?)
        }
        [plan] if is_plan(Path::new(plan)) => (Path::new(plan), complete(Path::new(plan))?),
        runs => {
            let out = out(args)?;
            let runs: Vec<PathBuf> = runs.iter().map(PathBuf::from).collect();
            (out.as_path(), summit_store::merge_runs(&runs, out)?)
        }
    };
    super::prepare(made);
    let place = args
        .out
        .as_deref()
        .map_or_else(|| args.runs.join(" "), |out| out.display().to_string());
    message::print(&format!(
        "{} images, {} skipped: {place}",
        manifest.counts.done, manifest.counts.skipped
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn out(args: &MergeArgs) -> Result<&PathBuf> {
    let out = args.out.as_ref();
    out.context("where to? name a new folder with --out")
}

/// Whether a folder is a plan whose tables are still to be made.
fn is_plan(folder: &Path) -> bool {
    Manifest::load(folder).is_ok_and(|manifest| manifest.state == RunState::Partial)
}

/// Makes the tables of a plan from its shards, all of which must be there.
fn complete(folder: &Path) -> Result<Manifest> {
    let shards = Plan::open(folder)?.shards().to_vec();
    let mut writer = RunWriter::resume(folder)?;
    let done = &writer.manifest().committed;
    let is_done = |start: u32, end: u32| {
        done.iter()
            .any(|range| range.start.0 <= start && end <= range.end.0)
    };
    let missing: Vec<String> = (0..)
        .zip(&shards)
        .filter(|(_, range)| !is_done(range.start.0, range.end.0))
        .map(|(id, _): (u32, _)| id.to_string())
        .collect();
    if !missing.is_empty() {
        bail!(
            "{} of {} shards are missing ({}); do them with `summit shard`: {}",
            missing.len(),
            shards.len(),
            shortened(&missing),
            folder.display()
        );
    }
    Ok(writer.finalize()?.clone())
}

/// The first few of a list of numbers.
fn shortened(numbers: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<&str> = numbers.iter().take(SHOWN).map(String::as_str).collect();
    let dots = if numbers.len() > SHOWN { ", ..." } else { "" };
    format!("{}{dots}", shown.join(", "))
}
