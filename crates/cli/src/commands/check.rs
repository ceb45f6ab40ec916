//! `summit check`: which preprocessing fits the network.

use crate::args::CheckArgs;
use crate::{message, model, sample};
use anyhow::{Result, bail};
use std::process::ExitCode;

pub fn run(args: &CheckArgs) -> Result<ExitCode> {
    let loaded = model::load_from(&args.model)?;
    let configured = model::preprocessing(&loaded, &args.preprocessing)?;
    let images = model::images(&loaded, &args.model.model, &args.images)?;
    if images.labels.iter().all(Option::is_none) {
        bail!(
            "no image has a label the network knows, so there is no accuracy to compare; name the classes with --labels"
        );
    }
    let mut candidates = sample::candidates(&configured, model::input_shape(&loaded)?);
    let threads = super::default_threads();
    sample::measure(
        &loaded.graph,
        &images,
        &mut candidates,
        args.sample as usize,
        threads,
    )?;
    let seen = candidates.first().map_or(0, |first| first.images);
    if seen == 0 {
        bail!("none of the sampled images can be read");
    }
    candidates.sort_by_key(|candidate| std::cmp::Reverse((candidate.top1, candidate.top5)));
    if args.json {
        message::print(&serde_json::to_string_pretty(&candidates)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    message::print(&format!("accuracy on {seen} images"))?;
    message::print(&format!("{:>6}  {:>6}  preprocessing", "top-1", "top-5"))?;
    for candidate in &candidates {
        let percent = |count: u32| 100.0 * f64::from(count) / f64::from(candidate.images.max(1));
        message::print(&format!(
            "{:5.1}%  {:5.1}%  {}: {}",
            percent(candidate.top1),
            percent(candidate.top5),
            candidate.name,
            candidate.preprocessing
        ))?;
    }
    if let Some(best) = candidates.first() {
        let configured = candidates
            .iter()
            .find(|candidate| candidate.name == "as configured");
        if configured.is_some_and(|configured| configured.top1 < best.top1) {
            message::warning(&format!(
                "\"{}\" fits better than what is configured",
                best.name
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}
