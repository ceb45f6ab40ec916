//! From parts to final tables: the one place where shards, and whole runs, become a run.
//!
//! An [`Origin`] gives the rows. The usual one are [`Input`]s, sets of tables with disjoint images: tables by image
//! are chained (shards) or merged by the new image id (runs), counts are merged and added up, examples compete
//! for ten places. The other takes images out (see `remove`). A few threads have one table each in work; memory
//! is that of their merges (see `merge`), never that of a table.

use crate::durable::{self, FileEntry, HashingFile, TEMPORARY_PREFIX, hexadecimal};
use crate::error::{IoContext, StoreError};
use crate::manifest::Counts;
use crate::merge::{Source, TopExamples, merge_many};
use crate::rows::{HistogramBin, Row};
use crate::spec::RunSpec;
use crate::table_reader::{RowStream, read_table};
use crate::table_writer::TableWriter;
use crate::tables::{Bounds, FINAL_ENTRIES, ImageRange, TableId};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Write};
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use summit_tables::{
    ActivationEntry, ConvId, DatasetExample, ImageId, ImageRecord, InfluenceEntry, LayerId,
    SkippedImage, TopChannel, in_parallel_on, processors,
};

/// Tables in work at a time: each has up to [`crate::merge::FAN_IN`] files open.
const MOST_THREADS: usize = 8;

/// A set of tables about images no other input has.
pub(crate) struct Input {
    /// Files of the tables that have rows.
    pub(crate) tables: BTreeMap<TableId, PathBuf>,
    /// Image ids in these files.
    pub(crate) range: ImageRange,
    /// New id of each image of the range; `None` where ids stay.
    pub(crate) new_ids: Option<Arc<[u32]>>,
}

impl Input {
    /// One table of this input, opened when needed, with new image ids.
    fn source<T: Row>(&self, table: TableId, spec: &RunSpec) -> Option<Source<T>> {
        let path = self.tables.get(&table)?.clone();
        let bounds = Bounds::of(table, &spec.model.info, self.range);
        let (start, new_ids) = (self.range.start.0, self.new_ids.clone());
        Some(Box::new(move || {
            let rows = read_table::<T>(&path, bounds, None)?;
            let Some(new_ids) = new_ids else {
                return Ok(rows);
            };
            Ok(Box::new(rows.map(move |row| {
                let mut row = row?;
                if let Some(image) = row.image() {
                    let new = image
                        .0
                        .checked_sub(start)
                        .and_then(|old| new_ids.get(old as usize));
                    *image = new
                        .copied()
                        .map(ImageId)
                        .ok_or_else(|| StoreError::table(&path, "an image id is out of range"))?;
                }
                Ok(row)
            })))
        }))
    }
}

/// Where the rows of the final tables come from.
pub(crate) trait Origin: Sync {
    /// A table by image, with the ids of the run to be.
    fn by_image<T: Row>(
        &self,
        table: TableId,
        target: &Target<'_>,
    ) -> Result<RowStream<T>, StoreError>;
    /// A table of counts.
    fn counts<T: Row>(
        &self,
        table: TableId,
        target: &Target<'_>,
    ) -> Result<RowStream<T>, StoreError>;
    /// The examples of a layer, ranked.
    fn examples(
        &self,
        table: TableId,
        target: &Target<'_>,
    ) -> Result<RowStream<DatasetExample>, StoreError>;
}

/// The run to be.
pub(crate) struct Target<'a> {
    spec: &'a RunSpec,
    workspace: &'a Workspace,
}

/// Opens a table of each input that has it.
fn sources<T: Row>(inputs: &[Input], table: TableId, target: &Target<'_>) -> Vec<Source<T>> {
    let inputs = inputs.iter();
    inputs
        .filter_map(|input| input.source(table, target.spec))
        .collect()
}

impl Origin for Vec<Input> {
    fn by_image<T: Row>(
        &self,
        table: TableId,
        target: &Target<'_>,
    ) -> Result<RowStream<T>, StoreError> {
        if self.iter().any(|input| input.new_ids.is_some()) {
            return self.counts(table, target);
        }
        // Shards lie one after the other: one file is open at a time, however many there are.
        let chained = sources(self, table, target)
            .into_iter()
            .flat_map(|open| match open() {
                Ok(rows) => rows,
                Err(error) => Box::new(iter::once(Err(error))),
            });
        Ok(Box::new(chained))
    }

    fn counts<T: Row>(
        &self,
        table: TableId,
        target: &Target<'_>,
    ) -> Result<RowStream<T>, StoreError> {
        merge_many(
            sources(self, table, target),
            &target.workspace.scratch,
            &target.bounds(table),
            &table.shard_file(),
        )
    }

    fn examples(
        &self,
        table: TableId,
        target: &Target<'_>,
    ) -> Result<RowStream<DatasetExample>, StoreError> {
        let mut top = TopExamples::default();
        for open in sources::<DatasetExample>(self, table, target) {
            open()?.try_for_each(|row| row.map(|row| top.insert(row)))?;
        }
        Ok(Box::new(top.into_rows().map(Ok)))
    }
}

/// What the tables hold, for the manifest.
pub(crate) struct Assembled {
    pub(crate) counts: Counts,
    pub(crate) paths_sha256: String,
    pub(crate) files: Vec<FileEntry>,
}

/// Folders used while assembling; both are removed when the next process starts.
pub(crate) struct Workspace {
    staging: PathBuf,
    scratch: PathBuf,
}

impl Workspace {
    pub(crate) fn create(run: &Path) -> Result<Self, StoreError> {
        let folder = |name: &str| run.join(format!("{TEMPORARY_PREFIX}{name}"));
        let workspace = Self {
            staging: folder("final"),
            scratch: folder("scratch"),
        };
        for folder in [&workspace.staging, &workspace.scratch] {
            durable::remove_if_present(folder)?;
            fs::create_dir(folder).context("create the folder", folder)?;
        }
        Ok(workspace)
    }

    /// Puts the tables in place of what an interrupted attempt may have left there. The manifest
    /// still says `partial`, so nobody reads them yet.
    pub(crate) fn publish(&self, run: &Path) -> Result<(), StoreError> {
        durable::sync_tree(&self.staging)?;
        for name in FINAL_ENTRIES {
            let (from, to) = (self.staging.join(name), run.join(name));
            durable::remove_if_present(&to)?;
            if from.exists() {
                fs::rename(&from, &to).context("put the table in place", &to)?;
            }
        }
        durable::sync_folder(run)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // Best effort, also after a full disk; the next start removes what stays.
        let _ = durable::remove_if_present(&self.staging);
        let _ = durable::remove_if_present(&self.scratch);
    }
}

/// Writes all final tables of a run into the workspace.
pub(crate) fn assemble(
    spec: &RunSpec,
    origin: &impl Origin,
    workspace: &Workspace,
) -> Result<Assembled, StoreError> {
    let target = Target { spec, workspace };
    let (counts, paths_sha256, mut files) = target.images(origin)?;
    let info = &spec.model.info;
    let layers = info.layers.iter().map(|layer| Part::Layer(layer.id));
    let convs = info.convs.iter().map(|conv| Part::Conv(conv.id));
    let parts: Vec<Part> = layers.chain(convs).collect();
    let threads = processors().min(MOST_THREADS);
    let made = in_parallel_on(threads, &parts, |part| target.part(origin, *part))?;
    files.extend(made.into_iter().flatten());
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Assembled {
        counts,
        paths_sha256,
        files,
    })
}

/// Tables that are made by one thread.
#[derive(Clone, Copy)]
enum Part {
    Layer(LayerId),
    Conv(ConvId),
}

impl Target<'_> {
    fn part(&self, origin: &impl Origin, part: Part) -> Result<Vec<FileEntry>, StoreError> {
        let layer = match part {
            Part::Layer(layer) => layer,
            Part::Conv(conv) => {
                let table = TableId::Influence(conv);
                let rows = origin.counts::<InfluenceEntry>(table, self)?;
                return Ok(vec![self.write(table, rows)?]);
            }
        };
        let table = TableId::TopChannels(layer);
        let top = self.write(table, origin.by_image::<TopChannel>(table, self)?)?;
        let table = TableId::Examples(layer);
        let examples = self.write(table, origin.examples(table, self)?)?;
        let table = TableId::Activations(layer);
        let activations = self.write(table, origin.counts::<ActivationEntry>(table, self)?)?;
        let table = TableId::Histograms(layer);
        let histograms = self.write(table, origin.counts::<HistogramBin>(table, self)?)?;
        Ok(vec![top, examples, activations, histograms])
    }

    fn bounds(&self, table: TableId) -> Bounds {
        let images = ImageRange::new(0, self.spec.images.listed);
        Bounds::of(table, &self.spec.model.info, images)
    }

    fn writer<T: Row>(&self, table: TableId) -> Result<TableWriter<T>, StoreError> {
        let staging = &self.workspace.staging;
        let relative =
            table
                .run_file(&self.spec.model.info)
                .ok_or_else(|| StoreError::NoSuchTable {
                    what: format!("{table:?}"),
                    path: staging.clone(),
                })?;
        if let Some(folder) = staging.join(&relative).parent() {
            fs::create_dir_all(folder).context("create the folder", folder)?;
        }
        TableWriter::create(staging, &relative, self.bounds(table))
    }

    fn write<T: Row>(&self, table: TableId, rows: RowStream<T>) -> Result<FileEntry, StoreError> {
        let mut writer = self.writer(table)?;
        writer.extend(rows)?;
        writer.finish()
    }

    /// Writes `images.parquet`, `skipped.parquet` and `skipped.json` in one go through both streams,
    /// and checks that every image of the list occurs once and paths ascend.
    fn images(&self, origin: &impl Origin) -> Result<(Counts, String, Vec<FileEntry>), StoreError> {
        let mut images = origin.by_image::<ImageRecord>(TableId::Images, self)?;
        let mut skipped = origin.by_image::<SkippedImage>(TableId::Skipped, self)?;
        let mut image_writer = self.writer::<ImageRecord>(TableId::Images)?;
        let mut skip_writer = self.writer::<SkippedImage>(TableId::Skipped)?;
        let mut skip_json = SkipReport::create(&self.workspace.staging)?;
        let mut paths = PathHasher::default();
        let (mut next_image, mut next_skip) = (pull(&mut images)?, pull(&mut skipped)?);
        let invalid = |reason: String| StoreError::ShardInvalid {
            reason,
            range: ImageRange::new(0, self.spec.images.listed),
        };
        for id in 0..self.spec.images.listed {
            if let Some(record) = next_image.take_if(|record| record.image.0 == id) {
                paths.add(&record.path).map_err(invalid)?;
                image_writer.push(record)?;
                next_image = pull(&mut images)?;
            } else if let Some(skip) = next_skip.take_if(|skip| skip.image.0 == id) {
                paths.add(&skip.path).map_err(invalid)?;
                skip_json.push(&skip)?;
                skip_writer.push(skip)?;
                next_skip = pull(&mut skipped)?;
            } else {
                return Err(invalid(format!("image {id} is missing")));
            }
        }
        if next_image.is_some() || next_skip.is_some() {
            return Err(invalid("an image occurs twice".to_owned()));
        }
        let count = |rows: u64| u32::try_from(rows).unwrap_or(u32::MAX);
        let counts = Counts {
            listed: self.spec.images.listed,
            done: count(image_writer.len()),
            skipped: count(skip_writer.len()),
        };
        let files = vec![
            image_writer.finish()?,
            skip_writer.finish()?,
            skip_json.finish()?,
        ];
        Ok((counts, paths.finish(), files))
    }
}

fn pull<T>(rows: &mut RowStream<T>) -> Result<Option<T>, StoreError> {
    rows.next().transpose()
}

/// SHA-256 over the paths in order, each followed by a zero byte.
#[derive(Default)]
struct PathHasher {
    hasher: Sha256,
    previous: String,
}

impl PathHasher {
    fn add(&mut self, path: &str) -> Result<(), String> {
        if path <= self.previous.as_str() {
            return Err(format!("path {path:?} does not follow {:?}", self.previous));
        }
        self.previous.clear();
        self.previous.push_str(path);
        self.hasher.update(path.as_bytes());
        self.hasher.update([0]);
        Ok(())
    }

    fn finish(self) -> String {
        hexadecimal(&self.hasher.finalize())
    }
}

/// `skipped.json`: a list with one object a line.
struct SkipReport {
    path: PathBuf,
    writer: BufWriter<HashingFile>,
    empty: bool,
}

impl SkipReport {
    const NAME: &'static str = "skipped.json";
    const ACTION: &'static str = "write the skip report";

    fn create(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(Self::NAME);
        let writer = BufWriter::new(HashingFile::create(&path)?);
        Ok(Self {
            path,
            writer,
            empty: true,
        })
    }

    fn push(&mut self, skip: &SkippedImage) -> Result<(), StoreError> {
        let line = serde_json::to_string(skip)
            .map_err(|error| StoreError::io(Self::ACTION, &self.path, error.into()))?;
        let start = if self.empty { "[\n" } else { ",\n" };
        self.empty = false;
        write!(self.writer, "{start}{line}").context(Self::ACTION, &self.path)
    }

    fn finish(mut self) -> Result<FileEntry, StoreError> {
        let end = if self.empty { "[]\n" } else { "\n]\n" };
        write!(self.writer, "{end}").context(Self::ACTION, &self.path)?;
        let file = self
            .writer
            .into_inner()
            .map_err(|error| StoreError::io(Self::ACTION, &self.path, error.into_error()))?;
        file.finish(&self.path, Self::NAME)
    }
}
