//! `summit inspect`: what is in a model file.

use crate::args::InspectArgs;
use crate::model;
use anyhow::Result;
use std::process::ExitCode;

pub fn run(args: &InspectArgs) -> Result<ExitCode> {
    let loaded = model::load(&args.model, args.input_shape, args.output.as_deref())?;
    let report = summit_nn::inspect::report(&loaded);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(ExitCode::SUCCESS)
}
