//! What is made of a run's tables once and kept beside them, so that nobody waits for it again.
//!
//! Place in the flow: who finishes a run has the first things a visitor asks for made ([`prepare`]);
//! [`crate::bundle::Bundle`] takes what is kept, and makes and keeps what is not. Each is a JSON file of its own in
//! the run folder. It is made of the tables alone, and holds for as long as their manifest is the same; anything
//! else in the file, damage included, is as good as no file. Not part of the results: the files may be deleted.

use crate::SiteError;
use crate::graphs::class_graph;
use crate::maps::class_maps;
use crate::order::order_of;
use crate::summary::digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use summit_query::{Questions, in_parallel};
use summit_store::Run;
use summit_tables::Grouping;

/// Longest file read, bytes: maps of 50,000 images in 60 layers or so.
const LONGEST_FILE_BYTES: u64 = 128 << 20;

/// A file of the run folder.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) file: Cow<'static, str>,
    /// Of the file, and of the rule its content is made by.
    pub(crate) version: u32,
}

#[derive(Serialize, Deserialize)]
struct Kept<T> {
    schema_version: u32,
    /// Digest of the run's manifest.
    manifest: String,
    content: T,
}

/// Makes and keeps what the first visitor of a finished run would wait for: the order of channels, the map of
/// classes, and of every class its conv-max graph.
///
/// * `progress`: called with (graphs made, classes), from any thread.
/// * `stop`: once it is set no further graph is begun; those left are made when they are asked for.
///
/// # Errors
/// It is no finished run, its tables are damaged, or there is no such thing (a network without a block into its
/// logits has no graphs).
pub fn prepare(
    run: &Path,
    stop: &AtomicBool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<(), SiteError> {
    let questions = Questions::open(run)?;
    let order = order_of(&questions).map(drop);
    class_maps(&questions).map(drop).and(order)?;
    if !questions.has_influence() {
        return Ok(());
    }
    let classes: Vec<_> = questions.class_sizes(Grouping::Label).into_keys().collect();
    let made = AtomicUsize::new(0);
    in_parallel(&classes, |&class| {
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        class_graph(&questions, class)?;
        progress(made.fetch_add(1, Ordering::Relaxed) + 1, classes.len());
        Ok(())
    })
    .map(drop)
}

fn manifest(run: &Run) -> Option<String> {
    let manifest = serde_json::to_vec(run.manifest()).ok()?;
    Some(digest(&manifest))
}

/// What is kept for these tables.
pub(crate) fn kept<T: DeserializeOwned>(run: &Run, place: &Place) -> Option<T> {
    let mut bytes = Vec::new();
    let file = File::open(run.path().join(&*place.file)).ok()?;
    file.take(LONGEST_FILE_BYTES).read_to_end(&mut bytes).ok()?;
    let kept: Kept<T> = serde_json::from_slice(&bytes).ok()?;
    let same = kept.schema_version == place.version && Some(kept.manifest) == manifest(run);
    same.then_some(kept.content)
}

/// Keeps something. A folder that cannot be written to costs the next visit some time, nothing else.
pub(crate) fn keep<T: Serialize>(run: &Run, place: &Place, content: T) {
    let Some(manifest) = manifest(run) else {
        return;
    };
    let kept = Kept {
        schema_version: place.version,
        manifest,
        content,
    };
    let Ok(text) = serde_json::to_vec(&kept) else {
        return;
    };
    // Beside it first, under a name of its own: others may be at it, here or in another process.
    static WRITTEN: AtomicUsize = AtomicUsize::new(0);
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let to = run.path().join(&*place.file);
    let beside = to.with_extension(format!("json.{}-{number}", std::process::id()));
    let folder = to.parent().map_or(Ok(()), fs::create_dir_all);
    let written = folder
        .and_then(|()| fs::write(&beside, text))
        .and_then(|()| fs::rename(&beside, to));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
}
