//! The `summit` command: from an ONNX file and an image folder to attribution graphs.
//!
//! Results go to standard output, progress and messages to standard error. Exit codes: 0 done,
//! 1 done with too many images skipped, 2 failed.
#![allow(
    clippy::print_stderr,
    reason = "the only crate that talks to a terminal"
)]

mod args;
mod commands;
mod message;
mod model;
mod progress;
mod sample;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
    let outcome = match arguments.command {
        args::Command::Inspect(args) => commands::inspect::run(&args),
        args::Command::Check(args) => commands::check::run(&args),
        args::Command::Run(args) => commands::run::run(&args),
        args::Command::Graph(args) => commands::graph::run(&args),
        args::Command::Featvis(args) => commands::featvis::run(&args),
        args::Command::ExplainImage(args) => commands::explain_image::run(&args),
        args::Command::Serve(args) => commands::serve::run(&args),
        args::Command::Export(args) => commands::export::run(&args),
        args::Command::Merge(args) => commands::merge::run(&args),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            message::error(&error);
            ExitCode::from(2)
        }
    }
}
