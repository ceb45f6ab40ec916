//! Reads a finished run.
//!
//! Opening compares the manifest with the sizes of all files (no table is read); every accessor
//! streams one table with bounded memory and checks each row. Values handed out are within the bounds
//! the manifest states: ids can be used as indices into what it describes.

use crate::cells::{CellCounts, read_cells};
use crate::durable::check_file;
use crate::error::StoreError;
use crate::manifest::{Counts, MANIFEST_NAME, Manifest, RunState};
use crate::rows::{HistogramBin, Row};
use crate::table_reader::{CellFilter, GroupFilter, RowStream, Rows, read_table};
use crate::tables::{Bounds, ImageRange, TableId};
use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::path::{Path, PathBuf};
use summit_tables::{
    ActivationEntry, ConvId, DatasetExample, ImageId, ImageRecord, InfluenceEntry, LayerId,
    ModelInfo, SkippedImage, Thumbnail, TopChannel,
};

/// A finished run, open for reading. Any number of readers may have it open.
#[derive(Clone, Debug)]
pub struct Run {
    path: PathBuf,
    manifest: Manifest,
}

impl Run {
    /// Opens a run.
    ///
    /// # Errors
    /// No run there; unfinished; a newer schema version; a damaged manifest; a table that is missing
    /// or has another size than the manifest says.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let run = Self::open_unchecked(path)?;
        run.check_files(false)?;
        Ok(run)
    }

    fn open_unchecked(path: &Path) -> Result<Self, StoreError> {
        // Anything but plain absence is for `load` to report.
        if matches!(path.join(MANIFEST_NAME).try_exists(), Ok(false)) {
            return Err(StoreError::NoRun {
                path: path.to_path_buf(),
            });
        }
        let manifest = Manifest::load(path)?;
        let Counts {
            listed,
            done,
            skipped,
        } = manifest.counts;
        if manifest.state != RunState::Complete {
            let done = done.saturating_add(skipped);
            return Err(StoreError::Unfinished {
                done,
                listed,
                path: path.to_path_buf(),
            });
        }
        let run = Self {
            path: path.to_path_buf(),
            manifest,
        };
        run.check_table_list()?;
        Ok(run)
    }

    /// Compares the content of every file with the hash in the manifest; reads all bytes once.
    ///
    /// # Errors
    /// [`StoreError::TableDamaged`] names the first file that differs.
    pub fn verify(&self) -> Result<(), StoreError> {
        self.check_files(true)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the run says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The network's layers, convolutions and blocks.
    #[must_use]
    pub fn model_info(&self) -> &ModelInfo {
        &self.manifest.spec.model.info
    }

    /// Images done, by ascending id.
    ///
    /// # Errors
    /// As for every table: it cannot be opened or is damaged; later rows may still bring an error.
    pub fn images(&self) -> Result<Rows<ImageRecord>, StoreError> {
        self.rows(TableId::Images, None).map(Rows::new)
    }

    /// Images that could not be used, by ascending id.
    ///
    /// # Errors
    /// See [`Run::images`].
    pub fn skipped(&self) -> Result<Rows<SkippedImage>, StoreError> {
        self.rows(TableId::Skipped, None).map(Rows::new)
    }

    /// Top channels of each image in a layer, by ascending image, then in the order of its list.
    ///
    /// # Errors
    /// The model has no such layer; see [`Run::images`].
    pub fn top_channels(&self, layer: LayerId) -> Result<Rows<TopChannel>, StoreError> {
        self.rows(TableId::TopChannels(layer), None).map(Rows::new)
    }

    /// The images with the largest activation of each channel, by (channel, rank).
    ///
    /// # Errors
    /// The model has no such layer; see [`Run::images`].
    pub fn examples(&self, layer: LayerId) -> Result<Rows<DatasetExample>, StoreError> {
        self.rows(TableId::Examples(layer), None).map(Rows::new)
    }

    /// Images from every part of each channel's range, by (channel, rank): value ascending. Which of them to
    /// show: [`summit_tables::over_the_range`].
    ///
    /// # Errors
    /// The model has no such layer; see [`Run::images`].
    pub fn range_examples(&self, layer: LayerId) -> Result<Rows<DatasetExample>, StoreError> {
        self.rows(TableId::RangeExamples(layer), None)
            .map(Rows::new)
    }

    /// Whether the run holds thumbnails of its examples: all do since format 2.
    #[must_use]
    pub fn has_thumbnails(&self) -> bool {
        TableId::Thumbnails.since() <= self.manifest.schema_version
    }

    /// Whether its examples have masks: all do since format 3.
    #[must_use]
    pub fn has_masks(&self) -> bool {
        const SINCE: u32 = 3;
        self.manifest.schema_version >= SINCE
    }

    /// The stored thumbnail of an image that is an example of any channel. Reads about 3 MB.
    ///
    /// # Errors
    /// See [`Run::images`].
    pub fn thumbnail(&self, image: ImageId) -> Result<Option<Thumbnail>, StoreError> {
        let range = ImageRange::new(image.0, image.0.saturating_add(1));
        let filter = GroupFilter::Images(range);
        for row in self.filtered::<Thumbnail>(TableId::Thumbnails, Some(filter))? {
            let row = row?;
            if row.image == image {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// A of a layer by confusion cell, sorted by (label, prediction, channel), zeros left out.
    ///
    /// # Errors
    /// The model has no such layer; see [`Run::images`].
    pub fn activation_counts(
        &self,
        layer: LayerId,
        filter: CellFilter,
    ) -> Result<Rows<ActivationEntry>, StoreError> {
        let rows = self.rows::<ActivationEntry>(TableId::Activations(layer), Some(filter))?;
        let admitted = move |row: &Result<ActivationEntry, StoreError>| match row {
            Ok(row) => filter.admits(row.label, row.prediction),
            Err(_) => true,
        };
        Ok(Rows::new(Box::new(rows.filter(admitted))))
    }

    /// conv-max counts of a convolution by confusion cell, sorted by (label, prediction, output,
    /// input), zeros left out. A filter by label skips most of the file.
    ///
    /// # Errors
    /// The model has no such convolution; see [`Run::images`].
    pub fn influence(
        &self,
        conv: ConvId,
        filter: CellFilter,
    ) -> Result<Rows<InfluenceEntry>, StoreError> {
        let rows = self.rows::<InfluenceEntry>(TableId::Influence(conv), Some(filter))?;
        let admitted = move |row: &Result<InfluenceEntry, StoreError>| match row {
            Ok(row) => filter.admits(row.label, row.prediction),
            Err(_) => true,
        };
        Ok(Rows::new(Box::new(rows.filter(admitted))))
    }

    /// [`Run::influence`] as columns, a cell at a time; a large cell comes in parts. `visit` returns whether to go on.
    ///
    /// # Errors
    /// See [`Run::influence`].
    pub fn influence_by_cell(
        &self,
        conv: ConvId,
        filter: CellFilter,
        visit: impl FnMut(CellCounts<'_>) -> bool,
    ) -> Result<(), StoreError> {
        let table = TableId::Influence(conv);
        read_cells(&self.file(table)?, self.bounds(table), filter, visit)
    }

    /// Histograms of a layer: channel -> images per bin. Memory: all of them (channels x bins).
    ///
    /// # Errors
    /// The model has no such layer; the bins of a channel have gaps; see [`Run::images`].
    pub fn histograms(&self, layer: LayerId) -> Result<BTreeMap<u32, Vec<u32>>, StoreError> {
        let table = TableId::Histograms(layer);
        let mut histograms: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for row in self.rows::<HistogramBin>(table, None)? {
            let HistogramBin {
                channel,
                bin,
                images,
            } = row?;
            let counts = histograms.entry(channel).or_default();
            if counts.len() as u64 != u64::from(bin) {
                return Err(StoreError::table(
                    &self.file(table)?,
                    "a histogram has a gap",
                ));
            }
            counts.push(images);
        }
        Ok(histograms)
    }

    /// The files of all tables.
    pub(crate) fn tables(&self) -> BTreeMap<TableId, PathBuf> {
        let tables = TableId::all(self.model_info()).into_iter();
        tables
            .filter_map(|table| Some((table, self.file(table).ok()?)))
            .collect()
    }

    fn file(&self, table: TableId) -> Result<PathBuf, StoreError> {
        let relative = table.run_file(self.model_info());
        relative
            .map(|relative| self.path.join(relative))
            .ok_or_else(|| {
                let what = match table {
                    TableId::Influence(conv) => format!("convolution {}", conv.0),
                    TableId::TopChannels(layer)
                    | TableId::Examples(layer)
                    | TableId::RangeExamples(layer)
                    | TableId::Activations(layer)
                    | TableId::Histograms(layer) => format!("layer {}", layer.0),
                    TableId::Images | TableId::Skipped | TableId::Thumbnails => {
                        format!("{table:?}")
                    }
                };
                StoreError::NoSuchTable {
                    what,
                    path: self.path.clone(),
                }
            })
    }

    pub(crate) fn rows<T: Row>(
        &self,
        table: TableId,
        filter: Option<CellFilter>,
    ) -> Result<RowStream<T>, StoreError> {
        self.filtered(table, filter.map(GroupFilter::Cells))
    }

    fn filtered<T: Row>(
        &self,
        table: TableId,
        filter: Option<GroupFilter>,
    ) -> Result<RowStream<T>, StoreError> {
        if table.since() > self.manifest.schema_version {
            return Ok(Box::new(iter::empty()));
        }
        read_table(&self.file(table)?, self.bounds(table), filter)
    }

    fn bounds(&self, table: TableId) -> Bounds {
        let images = ImageRange::new(0, self.manifest.counts.listed);
        Bounds::of(table, self.model_info(), images)
    }

    /// The manifest must list exactly the tables of its model: paths in it are not followed blindly.
    fn check_table_list(&self) -> Result<(), StoreError> {
        let info = self.model_info();
        let tables = TableId::all(info)
            .into_iter()
            .filter(|table| table.since() <= self.manifest.schema_version)
            .filter_map(|table| table.run_file(info));
        let wanted: BTreeSet<String> = tables.chain(["skipped.json".to_owned()]).collect();
        let found: BTreeSet<String> = self
            .manifest
            .files
            .iter()
            .map(|file| file.path.clone())
            .collect();
        match wanted.symmetric_difference(&found).next() {
            None => Ok(()),
            Some(path) => Err(StoreError::manifest(
                &self.path.join(MANIFEST_NAME),
                format!("files and model disagree about {path:?}"),
            )),
        }
    }

    fn check_files(&self, hash: bool) -> Result<(), StoreError> {
        self.manifest.files.iter().try_for_each(|entry| {
            let path = self.path.join(&entry.path);
            check_file(&path, entry, hash).map_err(|reason| StoreError::table(&path, reason))
        })
    }
}
