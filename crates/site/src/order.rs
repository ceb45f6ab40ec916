//! The order of channels in all graphs of a run, kept beside it in `channel_order.json` so that no visitor
//! waits for it.
//!
//! Place in the flow: [`crate::bundle::Bundle`] places the channels of its graphs along it. Who finishes a
//! run keeps it ([`keep_order`]); of a run that has none it is made at the first graph. It is made of the run's
//! tables alone, and holds for as long as their manifest is the same; anything else in the file, damage
//! included, is as good as no file. Not part of the results.

use crate::SiteError;
use crate::summary::digest;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use summit_explain::graph::ChannelOrder;
use summit_explain::{GroupSpec, Measure, class_name};
use summit_query::{NoRecount, Questions, in_parallel};
use summit_store::Run;
use summit_tables::{ChannelId, Grouping};

/// Name of the file in the run folder.
const FILE: &str = "channel_order.json";

/// Longest file read, bytes.
const LONGEST_FILE_BYTES: u64 = 16 << 20;

/// Of the file, and of the rule the order is made by.
const VERSION: u32 = 1;

/// Classes whose graphs decide the order, about.
const ORDERED_CLASSES: usize = 16;

#[derive(Serialize, Deserialize)]
struct Kept {
    schema_version: u32,
    /// Digest of the run's manifest.
    manifest: String,
    /// `[layers][channels with a place]`
    layers: Vec<Vec<ChannelId>>,
}

/// Makes and keeps the order of a finished run, so that its first graph does not wait for it. Of a run without
/// conv-max counts there is none to keep.
///
/// # Errors
/// It is no finished run, or its tables are damaged.
pub fn keep_order(run: &Path) -> Result<(), SiteError> {
    order_of(&Questions::open(run)?).map(drop)
}

/// The order of channels in all graphs, so that it is the same for every class and measure: the one kept, or a
/// new one, which is kept.
pub(crate) fn order_of(questions: &Questions) -> Result<ChannelOrder, SiteError> {
    // Without it the graphs depend on more than the tables.
    let lasting = questions.has_influence();
    if let Some(order) = lasting.then(|| kept(questions.run())).flatten() {
        return Ok(order);
    }
    let classes: Vec<_> = questions.class_sizes(Grouping::Label).into_keys().collect();
    // Evenly over the classes, so that a long list costs no more than a short one.
    let step = classes.len().div_ceil(ORDERED_CLASSES).max(1);
    let mut chosen: Vec<_> = classes.into_iter().step_by(step).collect();
    chosen.retain(|&class| {
        let name = class_name(questions.classes(), class);
        !questions.measures(&name, &[class]).is_empty()
    });
    let graphs = in_parallel(&chosen, |&class| {
        let group = questions.group_of(&GroupSpec::Label(class))?;
        // conv-max shows the most channels; a second measure would double the time.
        let measure = lasting.then_some(Measure::ConvMax);
        let choices = crate::parts::choices();
        let graph = questions.held_graph(&group, measure, &choices, &NoRecount);
        Ok::<_, SiteError>(graph?)
    })?;
    let order = ChannelOrder::of(&graphs);
    if lasting {
        keep(questions.run(), &order);
    }
    Ok(order)
}

fn manifest(run: &Run) -> Option<String> {
    let manifest = serde_json::to_vec(run.manifest()).ok()?;
    Some(digest(&manifest))
}

/// The order kept for these tables, if there is one.
fn kept(run: &Run) -> Option<ChannelOrder> {
    let mut bytes = Vec::new();
    let file = File::open(run.path().join(FILE)).ok()?;
    file.take(LONGEST_FILE_BYTES).read_to_end(&mut bytes).ok()?;
    let kept: Kept = serde_json::from_slice(&bytes).ok()?;
    let same = kept.schema_version == VERSION && Some(kept.manifest) == manifest(run);
    same.then(|| ChannelOrder::from_rows(&kept.layers))
}

/// Keeps an order. A folder that cannot be written to costs the next visit some seconds, nothing else.
fn keep(run: &Run, order: &ChannelOrder) {
    let Some(manifest) = manifest(run) else {
        return;
    };
    let kept = Kept {
        schema_version: VERSION,
        manifest,
        layers: order.rows(),
    };
    let Ok(text) = serde_json::to_vec(&kept) else {
        return;
    };
    // Beside it first, under a name of this process: two servers may look at one run.
    let beside = run.path().join(format!("{FILE}.{}", std::process::id()));
    let written =
        fs::write(&beside, text).and_then(|()| fs::rename(&beside, run.path().join(FILE)));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
}
