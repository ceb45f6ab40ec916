//! Signed influence of groups, kept in a finished run: `flow/<measure>/<group>/`.
//!
//! Not among the tables of the manifest: a group is measured when somebody asks, each in a folder of
//! its own that appears complete or not at all. `flow.json` says what was measured and on which run, so
//! that a copy from another run is refused. Merging runs leaves it behind: a sample of a larger set has
//! to be measured again.

use crate::durable::{self, TEMPORARY_PREFIX};
use crate::error::{IoContext, StoreError};
use crate::names::encode_name;
use crate::reader::Run;
use crate::rows::{EqualKeys, Row, check_image, numbers};
use crate::table_reader::read_table;
use crate::table_writer::TableWriter;
use crate::tables::{Bounds, ImageRange, TableId};
use arrow::array::{ArrayRef, ArrowPrimitiveType, PrimitiveArray, RecordBatch};
use arrow::datatypes::{Field, Float32Type, Float64Type, UInt16Type, UInt32Type};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use summit_tables::{
    BIAS, ChannelId, DatasetExample, EXAMPLES_PER_CHANNEL, EXAMPLES_PER_EDGE, EdgeExample, EdgeSum,
    FlowHeader, FlowTables, ImageId, ScoreExample, ScoreSum,
};

/// Version of `flow.json` and the tables beside it.
const FLOW_VERSION: u32 = 3;
/// The first version with examples.
const WITH_EXAMPLES: u32 = 2;
/// The first version with examples of edges.
const WITH_EDGE_EXAMPLES: u32 = 3;
/// Folder of a run.
const FOLDER: &str = "flow";
const HEADER: &str = "flow.json";
const SCORES: &str = "scores.parquet";
const EDGES: &str = "edges.parquet";
const EXAMPLES: &str = "examples.parquet";
const EDGE_EXAMPLES: &str = "edge_examples.parquet";
/// Longest header accepted, bytes.
const LONGEST_HEADER_BYTES: u64 = 1 << 20;

/// The content of `flow.json`.
#[derive(Serialize, Deserialize)]
struct Note {
    schema_version: u32,
    #[serde(flatten)]
    header: FlowHeader,
    /// Hash over the paths of the run's images.
    paths_sha256: String,
    /// Hash of the model.
    model_sha256: String,
}

/// The signed influences of a run.
#[derive(Clone, Copy, Debug)]
pub struct FlowStore<'a> {
    run: &'a Run,
}

impl<'a> FlowStore<'a> {
    /// Of a finished run.
    #[must_use]
    pub fn of(run: &'a Run) -> Self {
        Self { run }
    }

    fn folder(&self, measure: &str, group: &str) -> PathBuf {
        let folder = self.run.path().join(FOLDER).join(encode_name(measure));
        folder.join(encode_name(group))
    }

    /// Whether something is known of a group as typed; it may still be damaged.
    #[must_use]
    pub fn holds(&self, measure: &str, group: &str) -> bool {
        self.folder(measure, group).join(HEADER).is_file()
    }

    /// What is known of a group as typed; `None` where it was not measured.
    ///
    /// # Errors
    /// When a file is damaged, of a newer version, or of another run.
    pub fn read(&self, measure: &str, group: &str) -> Result<Option<FlowTables>, StoreError> {
        let folder = self.folder(measure, group);
        let path = folder.join(HEADER);
        if matches!(path.try_exists(), Ok(false)) {
            return Ok(None);
        }
        let damaged = |reason: &str| StoreError::table(&path, reason.to_owned());
        let text = durable::read_text(&path, LONGEST_HEADER_BYTES)?;
        let note: Note = serde_json::from_str(&text)
            .map_err(|error| StoreError::table(&path, error.to_string()))?;
        if !(1..=FLOW_VERSION).contains(&note.schema_version) {
            return Err(damaged("of another version of the program"));
        }
        let manifest = self.run.manifest();
        if note.paths_sha256 != manifest.paths_sha256
            || note.model_sha256 != manifest.spec.model.sha256
        {
            return Err(damaged("measured on another run"));
        }
        let (version, header) = (note.schema_version, note.header);
        if header.measure != measure || header.group != group || header.images == 0 {
            return Err(damaged("it contradicts its folder, or names no image"));
        }
        let tables = FlowTables {
            scores: self.rows(&folder.join(SCORES))?,
            edges: self.rows(&folder.join(EDGES))?,
            examples: self.rows_if(version >= WITH_EXAMPLES, &folder.join(EXAMPLES))?,
            edge_examples: self
                .rows_if(version >= WITH_EDGE_EXAMPLES, &folder.join(EDGE_EXAMPLES))?,
            header,
        };
        self.check(&tables)
            .map_err(|reason| StoreError::table(&folder, reason.to_owned()))?;
        Ok(Some(tables))
    }

    /// Keeps the influence of a group, in place of an earlier one.
    ///
    /// # Errors
    /// When the tables do not fit the run, or cannot be written.
    pub fn write(&self, tables: &FlowTables) -> Result<(), StoreError> {
        let FlowHeader { measure, group, .. } = &tables.header;
        let folder = self.folder(measure, group);
        let parent = folder.parent().unwrap_or(self.run.path());
        fs::create_dir_all(parent).context("create the folder", parent)?;
        self.check(tables)
            .map_err(|reason| StoreError::table(&folder, reason.to_owned()))?;
        let temporary = parent.join(format!("{TEMPORARY_PREFIX}{}", encode_name(group)));
        durable::remove_if_present(&temporary)?;
        fs::create_dir(&temporary).context("create the folder", &temporary)?;
        write_table(&temporary, SCORES, &tables.scores, self.bounds())?;
        write_table(&temporary, EDGES, &tables.edges, self.bounds())?;
        write_table(&temporary, EXAMPLES, &tables.examples, self.bounds())?;
        write_table(
            &temporary,
            EDGE_EXAMPLES,
            &tables.edge_examples,
            self.bounds(),
        )?;
        let manifest = self.run.manifest();
        let note = Note {
            schema_version: FLOW_VERSION,
            header: tables.header.clone(),
            paths_sha256: manifest.paths_sha256.clone(),
            model_sha256: manifest.spec.model.sha256.clone(),
        };
        let text = serde_json::to_string_pretty(&note)
            .map_err(|error| StoreError::table(&folder, error.to_string()))?;
        durable::replace_file(&temporary, HEADER, &text)?;
        durable::sync_folder(&temporary)?;
        durable::remove_if_present(&folder)?;
        fs::rename(&temporary, &folder).context("put the tables in place", &folder)?;
        durable::sync_folder(parent)
    }

    fn bounds(&self) -> Bounds {
        let images = ImageRange::new(0, self.run.manifest().counts.listed);
        Bounds::of(TableId::Images, self.run.model_info(), images)
    }

    fn rows<T: Row>(&self, path: &Path) -> Result<Vec<T>, StoreError> {
        read_table(path, self.bounds(), None)?.collect()
    }

    /// Of a table that older versions lack.
    fn rows_if<T: Row>(&self, there: bool, path: &Path) -> Result<Vec<T>, StoreError> {
        if there {
            self.rows(path)
        } else {
            Ok(Vec::new())
        }
    }

    /// Every channel once, ids within the network.
    fn check(&self, tables: &FlowTables) -> Result<(), &'static str> {
        let info = self.run.model_info();
        let channels = info.layers.iter().flat_map(|layer| {
            let id = layer.id.0;
            (0..layer.channels).map(move |channel| (id, channel))
        });
        let found = tables
            .scores
            .iter()
            .map(|score| (score.layer, score.channel));
        if !channels.eq(found) {
            return Err("the scores are not those of the network's channels");
        }
        let width = |layer: u32| info.layers.get(layer as usize).map(|layer| layer.channels);
        let joins = |lower: u32, from: u32, to: u32| {
            let below = width(lower).ok_or("an edge begins at no layer")?;
            let above = width(lower + 1).unwrap_or(info.classes);
            if to >= above || from >= below {
                return Err("an edge's channel is out of range");
            }
            Ok(())
        };
        for example in &tables.edge_examples {
            joins(example.lower, example.from, example.to)?;
        }
        for edge in &tables.edges {
            let from = if edge.from == BIAS { 0 } else { edge.from };
            joins(edge.lower, from, edge.to)?;
            if edge.top_images > tables.header.images {
                return Err("an edge counts more images than there are");
            }
        }
        for ScoreExample { layer, example } in &tables.examples {
            let info = info.layers.get(*layer as usize);
            let info = info.ok_or("an example is of no layer")?;
            let (row, column) = (u32::from(example.row), u32::from(example.column));
            if example.channel.0 >= info.channels || row >= info.height || column >= info.width {
                return Err("an example's channel or position is out of range");
            }
        }
        Ok(())
    }
}

fn write_table<T: Row>(
    folder: &Path,
    name: &str,
    rows: &[T],
    bounds: Bounds,
) -> Result<(), StoreError> {
    let mut writer = TableWriter::create(folder, name, bounds)?;
    rows.iter().try_for_each(|row| writer.push(row.clone()))?;
    writer.finish().map(|_| ())
}

fn check_sums(sum: f64, squares: f64) -> Result<(), &'static str> {
    if sum.is_finite() && squares.is_finite() && squares >= 0.0 {
        Ok(())
    } else {
        Err("a sum is not a number")
    }
}

impl Row for ScoreSum {
    type Key = [u32; 2];
    const EQUAL_KEYS: EqualKeys = EqualKeys::Refuse;

    crate::rows::number_columns! { ScoreSum {
        "layer": UInt32Type, layer <- |row| row.layer;
        "channel": UInt32Type, channel <- |row| row.channel;
        "sum": Float64Type, sum <- |row| row.sum;
        "squares": Float64Type, squares <- |row| row.squares;
    } ScoreSum { layer, channel, sum, squares } }

    fn key(&self) -> [u32; 2] {
        [self.layer, self.channel]
    }

    fn check(&self, _: &Bounds) -> Result<(), &'static str> {
        check_sums(self.sum, self.squares)
    }
}

impl Row for ScoreExample {
    type Key = (u32, ChannelId, u16);
    const EQUAL_KEYS: EqualKeys = EqualKeys::Refuse;

    crate::rows::number_columns! { ScoreExample {
        "layer": UInt32Type, layer <- |row| row.layer;
        "channel": UInt32Type, channel <- |row| row.example.channel.0;
        "rank": UInt16Type, rank <- |row| row.example.rank;
        "image": UInt32Type, image <- |row| row.example.image.0;
        "value": Float32Type, value <- |row| row.example.value;
        "row": UInt16Type, line <- |row| row.example.row;
        "column": UInt16Type, column <- |row| row.example.column;
    } ScoreExample {
        layer,
        example: DatasetExample {
            channel: ChannelId(channel), rank, image: ImageId(image), value, row: line, column,
            mask: 0,
        },
    } }

    fn key(&self) -> (u32, ChannelId, u16) {
        (self.layer, self.example.channel, self.example.rank)
    }

    fn check(&self, bounds: &Bounds) -> Result<(), &'static str> {
        check_image(self.example.image, bounds)?;
        if self.example.rank >= EXAMPLES_PER_CHANNEL {
            return Err("a rank is out of range");
        }
        if !(self.example.value.is_finite() && self.example.value > 0.0) {
            return Err("an example carries nothing");
        }
        Ok(())
    }
}

impl Row for EdgeExample {
    type Key = [u32; 4];
    const EQUAL_KEYS: EqualKeys = EqualKeys::Refuse;

    crate::rows::number_columns! { EdgeExample {
        "lower": UInt32Type, lower <- |row| row.lower;
        "to": UInt32Type, to <- |row| row.to;
        "from": UInt32Type, from <- |row| row.from;
        "rank": UInt16Type, rank <- |row| row.rank;
        "image": UInt32Type, image <- |row| row.image.0;
        "effect": Float32Type, effect <- |row| row.effect;
    } EdgeExample { lower, to, from, rank, image: ImageId(image), effect } }

    fn key(&self) -> [u32; 4] {
        [self.lower, self.to, self.from, self.rank.into()]
    }

    fn check(&self, bounds: &Bounds) -> Result<(), &'static str> {
        check_image(self.image, bounds)?;
        if self.rank >= EXAMPLES_PER_EDGE {
            return Err("a rank is out of range");
        }
        if !self.effect.is_finite() || self.effect == 0.0 {
            return Err("an example carries nothing");
        }
        Ok(())
    }
}

impl Row for EdgeSum {
    type Key = [u32; 3];
    const EQUAL_KEYS: EqualKeys = EqualKeys::Refuse;

    crate::rows::number_columns! { EdgeSum {
        "lower": UInt32Type, lower <- |row| row.lower;
        "to": UInt32Type, to <- |row| row.to;
        "from": UInt32Type, from <- |row| row.from;
        "sum": Float64Type, sum <- |row| row.sum;
        "squares": Float64Type, squares <- |row| row.squares;
        "top_images": UInt32Type, top_images <- |row| row.top_images;
    } EdgeSum { lower, to, from, sum, squares, top_images } }

    fn key(&self) -> [u32; 3] {
        [self.lower, self.to, self.from]
    }

    fn check(&self, _: &Bounds) -> Result<(), &'static str> {
        check_sums(self.sum, self.squares)
    }
}
