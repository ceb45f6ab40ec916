//! `summit compare`: what two groups share and what tells them apart.

use super::graph::{Pictures, graph_choices, graph_format, render};
use crate::args::GraphFormat;
use crate::message;
use crate::query_args::CompareArgs;
use crate::recount::NetworkRecount;
use anyhow::{Context, Result};
use std::process::ExitCode;
use summit_explain::render::render_comparison;
use summit_query::Questions;

pub fn run(args: &CompareArgs) -> Result<ExitCode> {
    let questions = Questions::open(&args.run)?;
    let first = questions.group(&args.first)?;
    let second = questions.group(&args.second)?;
    let format = graph_format(args.format, args.out.as_deref())?;
    let recount = NetworkRecount::new(&questions, &args.recount);
    let choices = graph_choices(&args.choices);
    let comparison = questions.compare([&first, &second], &choices, &recount)?;
    let text = match format {
        GraphFormat::Text => render_comparison(&comparison),
        GraphFormat::Json => serde_json::to_string_pretty(&comparison)? + "\n",
        GraphFormat::Dot | GraphFormat::Svg => {
            let pictures = (format == GraphFormat::Svg && !args.no_pictures)
                .then(|| Pictures::new(&questions, args.recount.images.as_deref()))
                .transpose()?
                .flatten();
            render(&comparison.graph, format, pictures.as_ref())?
        }
    };
    match &args.out {
        None => message::print(&text)?,
        Some(path) => std::fs::write(path, text)
            .with_context(|| format!("cannot write {}", path.display()))?,
    }
    Ok(ExitCode::SUCCESS)
}
