//! The order of channels, kept beside the run in `channel_order.json` so that the first graph of a later
//! visit does not wait for it.
//!
//! Place in the flow: [`crate::bundle::Bundle`] makes the order of some classes' graphs once, this file
//! remembers it. It is made of the run's tables alone, and holds for as long as their manifest is the
//! same; anything else in the file, damage included, is as good as no file. Not part of the results.

use crate::summary::digest;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Read;
use summit_explain::graph::ChannelOrder;
use summit_store::Run;
use summit_tables::ChannelId;

/// Name of the file in the run folder.
const FILE: &str = "channel_order.json";

/// Longest file read, bytes.
const LONGEST_FILE_BYTES: u64 = 16 << 20;

/// Of the file, and of the rule the order is made by.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Kept {
    schema_version: u32,
    /// Digest of the run's manifest.
    manifest: String,
    /// `[layers][channels with a place]`
    layers: Vec<Vec<ChannelId>>,
}

fn manifest(run: &Run) -> Option<String> {
    let manifest = serde_json::to_vec(run.manifest()).ok()?;
    Some(digest(&manifest))
}

/// The order kept for these tables, if there is one.
pub(crate) fn kept(run: &Run) -> Option<ChannelOrder> {
    let mut bytes = Vec::new();
    let file = File::open(run.path().join(FILE)).ok()?;
    file.take(LONGEST_FILE_BYTES).read_to_end(&mut bytes).ok()?;
    let kept: Kept = serde_json::from_slice(&bytes).ok()?;
    let same = kept.schema_version == VERSION && Some(kept.manifest) == manifest(run);
    same.then(|| ChannelOrder::from_rows(&kept.layers))
}

/// Keeps an order. A folder that cannot be written to costs the next visit some seconds, nothing else.
pub(crate) fn keep(run: &Run, order: &ChannelOrder) {
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
