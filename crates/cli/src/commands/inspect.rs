//! `summit inspect`: what is in a model file.

use crate::args::InspectArgs;
use crate::{message, model};
use anyhow::Result;
use std::process::ExitCode;

pub fn run(args: &InspectArgs) -> Result<ExitCode> {
    let loaded = model::load(&args.model, args.input_shape, args.output.as_deref())?;
    let report = summit_nn::inspect::report(&loaded);
    if args.json {
        message::print(&serde_json::to_string_pretty(&report)?)?;
    } else {
        message::print(&report.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}
