//! A shard: the results of consecutive images, written once and never changed.
//!
//! Layout: `shards/<start>-<end>/` with one Parquet file per non-empty table and `done.json`, which
//! holds size and hash of each and the hash of what the shard was made from. The rename of a flushed
//! temporary folder is the commit: before it nothing has happened, after it the shard stays. Of several
//! attempts at a shard the first rename wins; the others must have come to the same bytes.

use crate::durable::{self, FileEntry, TEMPORARY_PREFIX};
use crate::error::{IoContext, StoreError};
use crate::manifest::{SCHEMA_VERSION, made_from};
use crate::rows::{HistogramBin, Row};
use crate::spec::RunSpec;
use crate::table_writer::TableWriter;
use crate::tables::{Bounds, ImageRange, TableId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use summit_tables::{LayerTables, ModelInfo, ShardTables};

/// Name of the folder of shards in a run.
pub(crate) const SHARDS: &str = "shards";
/// What says that a shard is done.
pub const DONE_NAME: &str = "done.json";
const LARGEST_BYTES: u64 = 64 << 20;

/// A committed shard.
#[derive(Clone, Debug)]
pub(crate) struct Shard {
    pub(crate) folder: PathBuf,
    pub(crate) note: ShardNote,
}

/// The content of `done.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ShardNote {
    pub(crate) schema_version: u32,
    pub(crate) images: ImageRange,
    pub(crate) made_from: String,
    pub(crate) done: u32,
    pub(crate) skipped: u32,
    pub(crate) files: Vec<FileEntry>,
}

impl Shard {
    /// The Parquet file of each table that has rows.
    pub(crate) fn tables(&self, info: &ModelInfo) -> BTreeMap<TableId, PathBuf> {
        let has = |name: &str| self.note.files.iter().any(|file| file.path == name);
        TableId::all(info)
            .into_iter()
            .map(|table| (table, table.shard_file()))
            .filter(|(_, name)| has(name))
            .map(|(table, name)| (table, self.folder.join(name)))
            .collect()
    }
}

/// Where a shard lies in the folder of its plan, `/` separated.
#[must_use]
pub fn shard_folder(range: ImageRange) -> String {
    format!("{SHARDS}/{}", folder_name(range))
}

fn folder_name(range: ImageRange) -> String {
    format!("{:010}-{:010}", range.start.0, range.end.0)
}

/// Writes and commits a shard.
pub(crate) fn write(
    run: &Path,
    spec: &RunSpec,
    range: ImageRange,
    data: &ShardTables,
) -> Result<Shard, StoreError> {
    let info = &spec.model.info;
    check(info, range, data).map_err(|reason| StoreError::ShardInvalid { reason, range })?;
    let shards = run.join(SHARDS);
    let folder = shards.join(folder_name(range));
    // Several processes may be at the same shard.
    let attempt = RandomState::new().hash_one(std::process::id());
    let temporary = shards.join(format!(
        "{TEMPORARY_PREFIX}{}-{attempt:016x}",
        folder_name(range)
    ));
    let result = write_files(&temporary, spec, range, data).and_then(|note| {
        durable::sync_folder(&temporary)?;
        match fs::rename(&temporary, &folder) {
            Err(_) if folder.join(DONE_NAME).exists() => {
                durable::remove_if_present(&temporary)?;
                let first = open(&folder, spec)?;
                if first.note.files != note.files {
                    return Err(StoreError::shard(
                        &folder,
                        "another attempt came to other results",
                    ));
                }
                return Ok(first);
            }
            outcome => outcome.context("commit the shard", &folder)?,
        }
        durable::sync_folder(&shards)?;
        Ok(Shard { folder, note })
    });
    if result.is_err() {
        // Best effort: gives a full disk its space back; otherwise the next start does it.
        let _ = durable::remove_if_present(&temporary);
    }
    result
}

/// A committed shard, verified, or none.
pub(crate) fn find(
    run: &Path,
    spec: &RunSpec,
    range: ImageRange,
) -> Result<Option<Shard>, StoreError> {
    let folder = run.join(SHARDS).join(folder_name(range));
    if folder.try_exists().context("examine", &folder)? {
        open(&folder, spec).map(Some)
    } else {
        Ok(None)
    }
}

fn write_files(
    folder: &Path,
    spec: &RunSpec,
    range: ImageRange,
    data: &ShardTables,
) -> Result<ShardNote, StoreError> {
    fs::create_dir_all(folder).context("create the folder", folder)?;
    let mut out = Output {
        folder,
        info: &spec.model.info,
        range,
        files: Vec::new(),
    };
    out.table(TableId::Images, &data.images)?;
    out.table(TableId::Skipped, &data.skipped)?;
    out.table(TableId::Thumbnails, &data.thumbnails)?;
    let layers = spec
        .model
        .info
        .layers
        .iter()
        .zip(&data.layers)
        .zip(&data.activations);
    for ((layer, tables), activations) in layers {
        out.table(TableId::TopChannels(layer.id), &tables.top_channels)?;
        out.table(TableId::Examples(layer.id), &tables.examples)?;
        out.table(TableId::RangeExamples(layer.id), &tables.range_examples)?;
        out.table(TableId::Activations(layer.id), activations)?;
        out.table(TableId::Histograms(layer.id), &histogram_bins(tables))?;
    }
    for counts in &data.influence {
        out.table(TableId::Influence(counts.conv), &counts.entries)?;
    }
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let note = ShardNote {
        schema_version: SCHEMA_VERSION,
        images: range,
        made_from: made_from(spec, range)?,
        done: count(data.images.len()),
        skipped: count(data.skipped.len()),
        files: out.files,
    };
    let text = serde_json::to_string_pretty(&note).map_err(|error| StoreError::ShardInvalid {
        reason: error.to_string(),
        range,
    })?;
    durable::replace_file(folder, DONE_NAME, &text)?;
    Ok(note)
}

/// Where the tables of one shard go.
struct Output<'a> {
    folder: &'a Path,
    info: &'a ModelInfo,
    range: ImageRange,
    files: Vec<FileEntry>,
}

impl Output<'_> {
    /// Writes a table unless it has no rows.
    fn table<T: Row>(&mut self, table: TableId, rows: &[T]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let bounds = Bounds::of(table, self.info, self.range);
        let mut writer = TableWriter::create(self.folder, &table.shard_file(), bounds)?;
        rows.iter().try_for_each(|row| writer.push(row.clone()))?;
        self.files.push(writer.finish()?);
        Ok(())
    }
}

fn histogram_bins(tables: &LayerTables) -> Vec<HistogramBin> {
    let bins = tables.histograms.iter().flat_map(|(&channel, counts)| {
        (0..).zip(counts).map(move |(bin, &images)| HistogramBin {
            channel,
            bin,
            images,
        })
    });
    bins.collect()
}

/// Checks what the tables alone cannot see; the error is one sentence.
fn check(info: &ModelInfo, range: ImageRange, data: &ShardTables) -> Result<(), String> {
    if data.layers.len() != info.layers.len() || data.activations.len() != info.layers.len() {
        return Err(format!("the model has {} layers", info.layers.len()));
    }
    let mut images = data.images.iter().map(|row| row.image.0).peekable();
    let mut skipped = data.skipped.iter().map(|row| row.image.0).peekable();
    for image in range.ids() {
        let found = [images.next_if_eq(&image), skipped.next_if_eq(&image)];
        if found.iter().flatten().count() != 1 {
            return Err(format!(
                "image {image} is not exactly once among images and skipped"
            ));
        }
    }
    if images.next().is_some() || skipped.next().is_some() {
        return Err("there are images outside the range or out of order".to_owned());
    }
    let mut convs: Vec<_> = data.influence.iter().map(|counts| counts.conv).collect();
    convs.sort_unstable();
    if convs
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a == b))
    {
        return Err("a convolution occurs twice".to_owned());
    }
    if let Some(conv) = convs.iter().find(|conv| conv.index() >= info.convs.len()) {
        return Err(format!("the model has no convolution {}", conv.0));
    }
    for (layer, tables) in info.layers.iter().zip(&data.layers) {
        let mut lengths = tables.histograms.values().map(Vec::len);
        let first = lengths.next();
        if lengths.any(|length| Some(length) != first) {
            return Err(format!(
                "the histograms of layer {:?} differ in length",
                layer.name
            ));
        }
    }
    Ok(())
}

/// Finds, verifies and sorts the committed shards of a run. Names of files are checked, sizes and
/// hashes compared; a shard of another run, or one that overlaps another, is damaged.
pub(crate) fn scan(run: &Path, spec: &RunSpec) -> Result<Vec<Shard>, StoreError> {
    let folder = run.join(SHARDS);
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).context("list the folder", &folder)? {
        let entry = entry.context("list the folder", &folder)?;
        found.push(open(&entry.path(), spec)?);
    }
    found.sort_by_key(|shard| shard.note.images);
    let overlap = found.windows(2).find_map(|pair| match pair {
        [a, b] if b.note.images.start < a.note.images.end => Some(b),
        _ => None,
    });
    match overlap {
        Some(shard) => Err(StoreError::shard(
            &shard.folder,
            "it overlaps another shard",
        )),
        None => Ok(found),
    }
}

fn open(folder: &Path, spec: &RunSpec) -> Result<Shard, StoreError> {
    let damaged = |reason: String| StoreError::shard(folder, reason);
    let text = durable::read_text(&folder.join(DONE_NAME), LARGEST_BYTES)
        .map_err(|error| damaged(error.to_string()))?;
    let note: ShardNote =
        serde_json::from_str(&text).map_err(|error| damaged(format!("done.json: {error}")))?;
    let range = note.images;
    let named = folder
        .file_name()
        .is_some_and(|name| *name == *folder_name(range));
    if !named || range.is_empty() || range.end.0 > spec.images.listed {
        return Err(damaged(
            "done.json and the folder's name disagree".to_owned(),
        ));
    }
    if note.schema_version != SCHEMA_VERSION || note.made_from != made_from(spec, range)? {
        return Err(damaged("it was made from other inputs".to_owned()));
    }
    if u64::from(note.done) + u64::from(note.skipped) != u64::from(range.len()) {
        return Err(damaged("its counts do not add up".to_owned()));
    }
    for file in &note.files {
        if file.path.contains(['/', '\\']) {
            return Err(damaged("a file lies elsewhere".to_owned()));
        }
        durable::check_file(&folder.join(&file.path), file, true).map_err(damaged)?;
    }
    Ok(Shard {
        folder: folder.to_path_buf(),
        note,
    })
}
