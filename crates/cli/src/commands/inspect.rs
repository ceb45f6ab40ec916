//! `summit inspect`: what is in a model file.

use super::layer_name;
use crate::args::InspectArgs;
use crate::query_args::{TableArgs, TableFormat};
use crate::table::{Entry, Table};
use crate::{message, model};
use anyhow::Result;
use std::process::ExitCode;
use summit_query::Questions;

/// Share of equal maxima above which a layer saturates (docs/method.md section 2).
const SATURATED: f64 = 0.1;

pub fn run(args: &InspectArgs) -> Result<ExitCode> {
    if args.outliers {
        return outliers(args);
    }
    let loaded = model::load(&args.model, args.input_shape, args.output.as_deref())?;
    let report = summit_nn::inspect::report(&loaded);
    if args.json {
        message::print(&serde_json::to_string_pretty(&report)?)?;
    } else {
        message::print(&report.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Channels that are on top of most images of a run, and layers whose maxima saturate.
fn outliers(args: &InspectArgs) -> Result<ExitCode> {
    let questions = Questions::open(&args.model)?;
    let mut table = Table::new(&["layer", "channel", "images", "share"]);
    for found in questions.outliers()? {
        let layer = layer_name(&questions, found.layer);
        if found.saturated > SATURATED {
            message::warning(&format!(
                "{:.0} % of the maxima kept of layer {layer} are equal, so their order is that of the channels",
                100.0 * found.saturated
            ));
        }
        for outlier in found.channels {
            table.rows.push(vec![
                layer.as_str().into(),
                outlier.channel.0.into(),
                outlier.images.into(),
                Entry::real(Some(outlier.share), 3),
            ]);
        }
    }
    table.remarks.push(match table.rows.len() {
        0 => "no channel is on top of more than half of the images".to_owned(),
        _ => "channels on top of more than half of the images; leave them out of another run with \
             --exclude LAYER:CHANNEL or --exclude-outliers-of"
            .to_owned(),
    });
    let format = if args.json {
        TableFormat::Json
    } else {
        TableFormat::Text
    };
    table.write(&TableArgs {
        format: Some(format),
        out: None,
    })?;
    Ok(ExitCode::SUCCESS)
}
