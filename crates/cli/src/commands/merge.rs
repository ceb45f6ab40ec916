//! `summit merge`: several runs become one.

use crate::args::MergeArgs;
use crate::message;
use anyhow::Result;
use std::process::ExitCode;

pub fn run(args: &MergeArgs) -> Result<ExitCode> {
    let manifest = summit_store::merge_runs(&args.runs, &args.out)?;
    message::print(&format!(
        "{} images of {} runs in {}",
        manifest.counts.done,
        args.runs.len(),
        args.out.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}
