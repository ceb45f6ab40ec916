//! The `summit` command: from an ONNX file and an image folder to attribution graphs.
//!
//! Results go to standard output, progress and messages to standard error. Exit codes: 0 done,
//! 1 done with too many images skipped, 2 failed.
#![allow(
    clippy::print_stderr,
    reason = "the only crate that talks to a terminal"
)]

mod args;
mod begun;
mod bucket;
mod commands;
mod evidence_args;
mod features;
mod interrupt;
mod message;
mod model;
mod network;
mod page;
mod pass;
mod progress;
mod query_args;
mod recount;
mod run_args;
mod sample;
mod served;
mod signed_args;
mod table;
mod work;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
    let outcome = match arguments.command {
        args::Command::Demo(args) => commands::demo::run(&args),
        args::Command::Inspect(args) => commands::inspect::run(&args),
        args::Command::Check(args) => commands::check::run(&args),
        args::Command::Run(args) => commands::run::run(&args),
        args::Command::Plan(args) => commands::plan::run(&args),
        args::Command::Shard(args) => commands::shard::run(&args),
        args::Command::Add(args) => commands::change::add(&args),
        args::Command::Remove(args) => commands::change::remove(&args),
        args::Command::Graph(args) => commands::graph::run(&args),
        args::Command::Featvis(args) => commands::featvis::run(&args),
        args::Command::ExplainImage(args) => commands::explain_image::run(&args),
        args::Command::Flow(args) => commands::flow::run(&args),
        args::Command::Evaluate(args) => commands::evaluate::run(&args),
        args::Command::Whatif(args) => commands::whatif::run(&args),
        args::Command::Classes(args) => commands::classes::run(&args),
        args::Command::Predictions(args) => commands::predictions::run(&args),
        args::Command::Channels(args) => commands::channels::run(&args),
        args::Command::Similar(args) => commands::similar::run(&args),
        args::Command::Compare(args) => commands::compare::run(&args),
        args::Command::Embed(args) => commands::embed::run(&args),
        args::Command::Paths(args) => commands::paths::run(&args),
        args::Command::Serve(args) => commands::serve::run(&args),
        args::Command::Export(args) => commands::export::run(&args),
        args::Command::Merge(args) => commands::merge::run(&args),
        args::Command::Completions(args) => commands::about::completions(&args),
        args::Command::Man => commands::about::man(),
        args::Command::Notices => commands::about::notices(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            message::error(&error);
            ExitCode::from(2)
        }
    }
}
