//! `summit export`: a run as a site of plain files.

use crate::args::ExportArgs;
use crate::{message, progress};
use anyhow::Result;
use std::process::ExitCode;
use summit_site::assets::Assets;
use summit_site::{Bundle, export};

pub fn run(args: &ExportArgs) -> Result<ExitCode> {
    let bundle = Bundle::open(&args.run, args.images.clone(), message::warning)?;
    if let Some(problem) = bundle.picture_problem() {
        message::warning(&format!("{problem} (see --images)"));
    }
    let threads = args.threads.unwrap_or_else(super::default_threads);
    let bar = progress::bar("exporting", "files");
    let report = export(
        &bundle,
        &Assets::default(),
        &args.site,
        threads,
        &|done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        },
    );
    bar.finish_and_clear();
    let report = report?;
    if report.missing_pictures > 0 {
        message::warning(&format!(
            "{} pictures are missing: their images cannot be read",
            report.missing_pictures
        ));
    }
    message::note(&format!(
        "{} files, {:.1} MB: {}",
        report.files,
        report.bytes as f64 / 1e6,
        args.site.display()
    ));
    Ok(ExitCode::SUCCESS)
}
