//! An open run with its predictions, and the groups of its images.

use crate::QueryError;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use summit_explain::{Group, GroupSpec, group_of_image};
use summit_store::{Run, StoreError};
use summit_tables::{ClassEntry, ClassId, Grouping, ImageId, ImageRecord, LayerId, LayerInfo};

/// Longest list of images accepted, bytes.
const LONGEST_LIST_BYTES: u64 = 256 << 20;

/// A finished run, ready to be asked. Memory: the predictions table.
#[derive(Debug)]
pub struct Questions {
    pub(crate) run: Run,
    pub(crate) records: Arc<[ImageRecord]>,
}

impl Questions {
    /// Opens a run and reads its predictions.
    ///
    /// # Errors
    /// When it is no finished run, or damaged.
    pub fn open(path: &Path) -> Result<Self, QueryError> {
        let run = Run::open(path)?;
        let records: Vec<ImageRecord> = run.images()?.collect::<Result<_, StoreError>>()?;
        Ok(Self {
            run,
            records: records.into(),
        })
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The predictions table, by ascending image.
    #[must_use]
    pub fn records(&self) -> &Arc<[ImageRecord]> {
        &self.records
    }

    /// One image of the predictions table.
    #[must_use]
    pub fn record(&self, image: ImageId) -> Option<&ImageRecord> {
        let position = self
            .records
            .binary_search_by_key(&image, |record| record.image);
        position
            .ok()
            .and_then(|position| self.records.get(position))
    }

    /// The records of a group, by ascending image.
    pub fn members<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = &'a ImageRecord> {
        self.records
            .iter()
            .filter(|record| group.contains(record.image))
    }

    /// Images per class, classes without images left out.
    ///
    /// * `grouping`: by label or by prediction.
    #[must_use]
    pub fn class_sizes(&self, grouping: Grouping) -> BTreeMap<ClassId, u32> {
        let classes = self.run.model_info().classes;
        let mut sizes = BTreeMap::new();
        for record in self.records.iter() {
            if let Some(group) = group_of_image(grouping, classes, record) {
                *sizes.entry(ClassId(group.0)).or_default() += 1;
            }
        }
        sizes
    }

    /// Names of the classes.
    #[must_use]
    pub fn classes(&self) -> &[ClassEntry] {
        &self.run.manifest().spec.classes
    }

    /// Layers, input side first.
    #[must_use]
    pub fn layers(&self) -> &[LayerInfo] {
        &self.run.model_info().layers
    }

    /// A layer by tensor name or position.
    ///
    /// # Errors
    /// When there is none; all names are given.
    pub fn layer(&self, name: &str) -> Result<LayerId, QueryError> {
        let layers = self.layers();
        let named = layers.iter().find(|layer| layer.name == name);
        let numbered = || {
            let number: usize = name.parse().ok()?;
            layers.get(number)
        };
        let found = named.or_else(numbered).map(|layer| layer.id);
        found.ok_or_else(|| QueryError::NoSuchLayer {
            name: name.chars().take(120).collect(),
            layers: layers.iter().map(|layer| layer.name.clone()).collect(),
        })
    }

    /// A group as typed, `list:FILE` included (see `summit_explain::slice`).
    ///
    /// # Errors
    /// When the text is not understood, the list cannot be read, or no image belongs.
    pub fn group(&self, text: &str) -> Result<Group, QueryError> {
        match GroupSpec::parse(text, self.classes())? {
            GroupSpec::List(path) => self.listed(Path::new(&path)),
            spec => self.group_of(&spec),
        }
    }

    /// A group that is no list of images.
    ///
    /// # Errors
    /// When no image belongs.
    pub fn group_of(&self, spec: &GroupSpec) -> Result<Group, QueryError> {
        Ok(Group::new(spec, &self.records, self.classes())?)
    }

    /// A group asked for by somebody else: as [`Questions::group`], without reading any file.
    ///
    /// # Errors
    /// As there; a list is refused.
    pub fn group_without_files(&self, text: &str) -> Result<Group, QueryError> {
        match GroupSpec::parse(text, self.classes())? {
            GroupSpec::List(_) => Err(QueryError::ListNotAllowed),
            spec => self.group_of(&spec),
        }
    }

    fn listed(&self, path: &Path) -> Result<Group, QueryError> {
        let trouble = |reason: String| QueryError::List {
            reason,
            path: path.to_path_buf(),
        };
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(LONGEST_LIST_BYTES + 1).read_to_string(&mut text))
            .map_err(|error| trouble(error.to_string()))?;
        if text.len() as u64 > LONGEST_LIST_BYTES {
            return Err(trouble("it is too long".to_owned()));
        }
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let mut wanted: BTreeSet<&str> = lines.collect();
        let mut images = BTreeSet::new();
        for record in self.records.iter() {
            if wanted.remove(record.path.as_str()) {
                images.insert(record.image);
            }
        }
        if let Some(unknown) = wanted.first() {
            let unknown: String = unknown.chars().take(200).collect();
            let count = wanted.len();
            return Err(trouble(format!(
                "{count} of its lines are no image of this run, the first \"{unknown}\""
            )));
        }
        let name = path.file_name().unwrap_or(path.as_os_str());
        let name = format!("list {}", name.to_string_lossy());
        Ok(Group::of_images(name, images, &self.records)?)
    }
}
