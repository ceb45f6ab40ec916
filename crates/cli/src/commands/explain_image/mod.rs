//! `summit explain-image`: what a network saw in one photograph.
//!
//! Prediction, the graph of this one image by flow, heat maps of its channels, and how the graph
//! compares with that of the image's class in the run. JSON for machines, or one HTML page that needs
//! nothing else.

mod compare;
mod measure;
mod page;

pub use measure::Photo;

use crate::evidence_args::{ExplainImageArgs, ExplainImageFormat};
use crate::message;
use crate::network::RunNetwork;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use summit_explain::find_class;
use summit_images::{DecodeLimits, DecodedImage, decode};
use summit_query::Questions;

/// Largest file read, as for the images of a run.
const LARGEST_BYTES: u64 = 256 << 20;

pub fn run(args: &ExplainImageArgs) -> Result<ExitCode> {
    let questions = Questions::open(&args.run)?;
    let network = RunNetwork::open(&questions, &args.recount)?;
    let photo = photo(&args.image)?;
    let class = args
        .class
        .as_ref()
        .map(|text| find_class(questions.classes(), text))
        .transpose()?;
    let mut measured = measure::measure(&questions, &network, &photo, class, args.threshold)?;
    measured.explanation.image = args.image.display().to_string();
    compare::compare(&questions, &mut measured.explanation)?;
    let text = match format(args)? {
        ExplainImageFormat::Json => serde_json::to_string_pretty(&measured.explanation)? + "\n",
        ExplainImageFormat::Text => page::text(&measured.explanation),
        ExplainImageFormat::Html => page::html(&measured)?,
    };
    match &args.out {
        None => message::print(&text)?,
        Some(path) => std::fs::write(path, text)
            .with_context(|| format!("cannot write {}", path.display()))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn format(args: &ExplainImageArgs) -> Result<ExplainImageFormat> {
    if let Some(format) = args.format {
        return Ok(format);
    }
    let extension = args.out.as_ref().and_then(|path| path.extension());
    Ok(match extension.and_then(|extension| extension.to_str()) {
        Some("json") => ExplainImageFormat::Json,
        Some("html" | "htm") => ExplainImageFormat::Html,
        Some("txt") | None => ExplainImageFormat::Text,
        Some(other) => {
            bail!("--out: the extension \"{other}\" is none of txt, json, html; use --format")
        }
    })
}

fn photo(path: &Path) -> Result<DecodedImage> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_BYTES + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read the image {}", path.display()))?;
    if bytes.len() as u64 > LARGEST_BYTES {
        bail!(
            "the image is larger than {LARGEST_BYTES} bytes: {}",
            path.display()
        );
    }
    decode(&bytes, &DecodeLimits::default())
        .with_context(|| format!("cannot decode the image {}", path.display()))
}
