//! Makes the files of the bundle from a finished run.
//!
//! Place in the flow: `store` and the image folder in, bytes out, one [`BundleFile`] at a time. What
//! several files share (the image table, the rows of A, coordinates) is computed once and kept:
//! `O(images + layers x classes x channels)` memory.

use crate::embedding::{self, cosine};
use crate::file::BundleFile;
use crate::graphs::{ClassGroup, GraphMaker, class_name, class_of};
use crate::pictures::{Crops, encode};
use crate::schema::{
    ActivationFile, ActivationRow, BUNDLE_SCHEMA_VERSION, ChannelExamples, ChannelFile,
    EmbeddingFile, ImageFile, PictureFacts, SimilarityFile,
};
use crate::{SiteError, summary};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use summit_explain::{NO_LABEL, SelectionParameters, group_of_cell};
use summit_store::{CellFilter, Run};
use summit_tables::{
    ChannelId, ClassId, DatasetExample, Grouping, ImageId, ImageRecord, LayerId, LayerInfo,
};

/// How pictures are made (ui and atlas agree through the manifest).
pub const PICTURES: PictureFacts = PictureFacts {
    overview_tile: 32,
    overview_columns: 32,
    top_side: 96,
    detail_tile: 96,
    sheet_tile: 64,
    sheet_columns: 10,
    sheet_images: 200,
    features: false,
};

/// Classes listed per channel.
const CLASSES_PER_CHANNEL: usize = 8;

/// Where the files of a bundle come from.
pub trait BundleSource: Send + Sync {
    /// The bytes of one file.
    ///
    /// # Errors
    /// See [`SiteError`]; [`SiteError::is_absent`] where the bundle has no such file.
    fn file(&self, file: BundleFile) -> Result<Vec<u8>, SiteError>;
}

/// A run's bundle, made on demand.
#[derive(Debug)]
pub struct Bundle {
    pub(crate) run: Run,
    pub(crate) images: Arc<[ImageRecord]>,
    /// Classes with images, ascending, with their numbers of images.
    pub(crate) groups: Vec<(ClassId, u32)>,
    pub(crate) data_set: String,
    pub(crate) graphs: Option<GraphMaker>,
    pub(crate) crops: Result<Crops, String>,
    counts: Vec<OnceLock<LayerCounts>>,
    examples: Vec<OnceLock<Vec<DatasetExample>>>,
    embeddings: OnceLock<Vec<Vec<[f32; 2]>>>,
}

/// A of one layer, `[groups][channels]`, images.
type LayerCounts = Vec<Vec<u32>>;

impl Bundle {
    /// Opens a finished run.
    ///
    /// * `image_root`: the folder of its images, where it is not the one the run remembers.
    ///
    /// Missing images leave the bundle without pictures; [`Bundle::picture_problem`] says why.
    ///
    /// # Errors
    /// There is no finished run, or its tables are damaged.
    pub fn open(path: &Path, image_root: Option<PathBuf>) -> Result<Self, SiteError> {
        let run = Run::open(path)?;
        let images: Arc<[ImageRecord]> = run.images()?.collect::<Result<Vec<_>, _>>()?.into();
        let groups = crate::graphs::class_sizes(&images, false)
            .into_iter()
            .collect();
        let root = image_root.or_else(|| crate::pictures::image_root(path));
        let data_set = root
            .as_deref()
            .and_then(Path::file_name)
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let crops = match root {
            None => Err("the run does not say where its images are".to_owned()),
            Some(root) => {
                Crops::open(&run, root, Arc::clone(&images)).map_err(|problem| problem.to_string())
            }
        };
        let graphs = match GraphMaker::new(&run, SelectionParameters::default()) {
            Ok(maker) => Some(maker),
            Err(SiteError::NoInfluence { .. }) => None,
            Err(problem) => return Err(problem),
        };
        let layers = run.model_info().layers.len();
        Ok(Self {
            images,
            groups,
            data_set,
            graphs,
            crops,
            counts: (0..layers).map(|_| OnceLock::new()).collect(),
            examples: (0..layers).map(|_| OnceLock::new()).collect(),
            embeddings: OnceLock::new(),
            run,
        })
    }

    /// Why there are no pictures; `None` where there are.
    #[must_use]
    pub fn picture_problem(&self) -> Option<&str> {
        self.crops.as_ref().err().map(String::as_str)
    }

    /// All files, those that others are made from first.
    #[must_use]
    pub fn files(&self) -> Vec<BundleFile> {
        let mut files = vec![
            BundleFile::Manifest,
            BundleFile::Classes,
            BundleFile::Confusion,
        ];
        let layers = &self.run.model_info().layers;
        for layer in layers {
            files.push(BundleFile::Embedding(layer.id));
            files.push(BundleFile::Channels(layer.id));
        }
        for &(class, _) in &self.groups {
            if self.graphs.is_some() {
                files.push(BundleFile::Graph(class));
            }
            files.push(BundleFile::Similarity(class));
            files.push(BundleFile::Activations(class));
            files.push(BundleFile::Images(class));
            if self.crops.is_ok() {
                files.push(BundleFile::Sheet(class));
            }
        }
        if self.crops.is_ok() {
            for layer in layers {
                files.push(BundleFile::Overview(layer.id));
                for channel in (0..layer.channels).map(ChannelId) {
                    files.push(BundleFile::Top(layer.id, channel));
                    files.push(BundleFile::Detail(layer.id, channel));
                }
            }
        }
        files.extend(self.feature_files());
        files
    }

    pub(crate) fn layer(&self, layer: LayerId) -> Result<&LayerInfo, SiteError> {
        let found = self.run.model_info().layers.get(layer.index());
        found.ok_or_else(|| SiteError::Absent {
            what: format!("layer {}", layer.0),
        })
    }

    fn group(&self, class: ClassId) -> Result<(usize, u32), SiteError> {
        let found = self.groups.binary_search_by_key(&class, |(id, _)| *id);
        let group = found
            .ok()
            .and_then(|index| Some((index, self.groups.get(index)?.1)));
        group.ok_or_else(|| SiteError::Absent {
            what: format!("images of class {}", class.0),
        })
    }

    /// A of a layer for all classes with images.
    fn layer_counts(&self, layer: LayerId) -> Result<&LayerCounts, SiteError> {
        let info = self.layer(layer)?;
        let cell = self.counts.get(layer.index());
        get_or_make(cell, || {
            let mut counts = vec![vec![0u32; info.channels as usize]; self.groups.len()];
            let classes = self.run.model_info().classes;
            for entry in self.run.activation_counts(layer, CellFilter::default())? {
                let entry = entry?;
                let group = group_of_cell(Grouping::Label, classes, entry.label, entry.prediction);
                let place = group.and_then(|group| {
                    self.groups
                        .binary_search_by_key(&group.0, |(class, _)| class.0)
                        .ok()
                });
                let count = place
                    .and_then(|place| counts.get_mut(place))
                    .and_then(|row| row.get_mut(entry.channel as usize));
                if let Some(count) = count {
                    *count += entry.images;
                }
            }
            Ok(counts)
        })
    }

    fn layer_examples(&self, layer: LayerId) -> Result<&[DatasetExample], SiteError> {
        self.layer(layer)?;
        let cell = self.examples.get(layer.index());
        get_or_make(cell, || {
            Ok(self.run.examples(layer)?.collect::<Result<_, _>>()?)
        })
        .map(Vec::as_slice)
    }

    /// Examples of one channel by rank.
    fn channel_examples(
        &self,
        layer: LayerId,
        channel: ChannelId,
    ) -> Result<&[DatasetExample], SiteError> {
        let examples = self.layer_examples(layer)?;
        let start = examples.partition_point(|example| example.channel < channel);
        let end = examples.partition_point(|example| example.channel <= channel);
        match examples.get(start..end) {
            Some(found) if !found.is_empty() => Ok(found),
            _ => Err(SiteError::Absent {
                what: format!("examples of channel {} in layer {}", channel.0, layer.0),
            }),
        }
    }

    fn embedding(&self, layer: LayerId) -> Result<EmbeddingFile, SiteError> {
        self.layer(layer)?;
        // Each layer is turned to fit the one below, so they are made together.
        let all = get_or_make(Some(&self.embeddings), || {
            let mut all: Vec<Vec<[f32; 2]>> = Vec::new();
            for layer in &self.run.model_info().layers {
                let rows = self.layer_counts(layer.id)?;
                let points = embedding::embed(rows, all.last().map(Vec::as_slice));
                all.push(points);
            }
            Ok(all)
        })?;
        let points = all.get(layer.index()).map_or(&[][..], Vec::as_slice);
        Ok(EmbeddingFile {
            schema_version: BUNDLE_SCHEMA_VERSION,
            method: embedding::METHOD.to_owned(),
            trustworthiness: None,
            class: self.class_ids(),
            x: points.iter().map(|point| point[0]).collect(),
            y: points.iter().map(|point| point[1]).collect(),
        })
    }

    fn class_ids(&self) -> Vec<u32> {
        self.groups.iter().map(|(class, _)| class.0).collect()
    }

    fn similarity(&self, class: ClassId) -> Result<SimilarityFile, SiteError> {
        let (place, _) = self.group(class)?;
        let mut permille = Vec::new();
        for layer in &self.run.model_info().layers {
            let counts = self.layer_counts(layer.id)?;
            let own = counts.get(place).map_or(&[][..], Vec::as_slice);
            let row = counts
                .iter()
                .map(|other| (cosine(own, other) * 1000.0).round() as u16);
            permille.push(row.collect());
        }
        Ok(SimilarityFile {
            schema_version: BUNDLE_SCHEMA_VERSION,
            class: self.class_ids(),
            permille,
        })
    }

    fn activations(&self, class: ClassId) -> Result<ActivationFile, SiteError> {
        let (place, images) = self.group(class)?;
        let mut layers = Vec::new();
        for layer in &self.run.model_info().layers {
            let mut sparse = ActivationRow::default();
            let counts = self.layer_counts(layer.id)?.get(place);
            for (channel, &count) in (0u32..).zip(counts.into_iter().flatten()) {
                if count > 0 {
                    sparse.channel.push(channel);
                    sparse.images.push(count);
                }
            }
            layers.push(sparse);
        }
        Ok(ActivationFile {
            schema_version: BUNDLE_SCHEMA_VERSION,
            images,
            layers,
        })
    }

    fn graph(&self, class: ClassId) -> Result<Vec<u8>, SiteError> {
        let (_, images) = self.group(class)?;
        let maker = self.graphs.as_ref().ok_or_else(|| SiteError::NoInfluence {
            run: self.run.path().to_owned(),
        })?;
        let name = class_name(&self.run.manifest().spec.classes, class);
        let graph = maker.graph(
            &self.run,
            &ClassGroup {
                class,
                name: &name,
                images,
                grouping: Grouping::Label,
            },
        )?;
        json(&graph)
    }

    /// Images of a class, hardest first.
    fn hardest(&self, class: ClassId) -> Result<Vec<&ImageRecord>, SiteError> {
        self.group(class)?;
        let mut found: Vec<&ImageRecord> = self
            .images
            .iter()
            .filter(|record| class_of(record, false) == Some(class))
            .collect();
        found.sort_by(|left, right| {
            left.margin
                .total_cmp(&right.margin)
                .then(left.image.cmp(&right.image))
        });
        Ok(found)
    }

    fn image_file(&self, class: ClassId) -> Result<ImageFile, SiteError> {
        let records = self.hardest(class)?;
        let mut file = ImageFile {
            schema_version: BUNDLE_SCHEMA_VERSION,
            ..ImageFile::default()
        };
        for record in records {
            file.image.push(record.image.0);
            file.path.push(record.path.clone());
            let prediction = record.top_classes.first().map_or(NO_LABEL, |class| class.0);
            file.prediction.push(prediction);
            let probability = record.top_probabilities.first().copied().unwrap_or(0.0);
            file.probability.push(rounded(probability));
            file.margin.push(rounded(record.margin));
        }
        Ok(file)
    }

    fn channels(&self, layer: LayerId) -> Result<ChannelFile, SiteError> {
        let info = self.layer(layer)?;
        let counts = self.layer_counts(layer)?;
        let mut file = ChannelFile {
            schema_version: BUNDLE_SCHEMA_VERSION,
            ..ChannelFile::default()
        };
        let mut examples: BTreeMap<u32, ChannelExamples> = BTreeMap::new();
        for example in self.layer_examples(layer)? {
            let of = examples.entry(example.channel.0).or_default();
            of.class.push(self.class_of_image(example.image));
            of.value.push(rounded(example.value));
        }
        for channel in 0..info.channels {
            let column = self.groups.iter().zip(counts).map(|((class, size), row)| {
                let count = row.get(channel as usize).copied().unwrap_or(0);
                (*class, *size, count)
            });
            let mut classes: Vec<_> = column.filter(|(_, _, count)| *count > 0).collect();
            file.images
                .push(classes.iter().map(|(_, _, count)| count).sum());
            // By share of the class's images, compared as fractions.
            classes.sort_by(
                |&(left, left_size, left_count), &(right, right_size, right_count)| {
                    let left_share = u64::from(left_count) * u64::from(right_size);
                    let right_share = u64::from(right_count) * u64::from(left_size);
                    right_share.cmp(&left_share).then(left.cmp(&right))
                },
            );
            classes.truncate(CLASSES_PER_CHANNEL);
            let pairs = classes.iter().map(|(class, _, count)| [class.0, *count]);
            file.classes.push(pairs.collect());
            file.examples
                .push(examples.remove(&channel).unwrap_or_default());
        }
        Ok(file)
    }

    fn class_of_image(&self, image: ImageId) -> u32 {
        let found = self
            .images
            .binary_search_by_key(&image, |record| record.image);
        let record = found.ok().and_then(|index| self.images.get(index));
        record
            .and_then(|record| class_of(record, false))
            .map_or(NO_LABEL, |class| class.0)
    }

    fn crops(&self) -> Result<&Crops, SiteError> {
        self.crops.as_ref().map_err(|reason| SiteError::Picture {
            reason: reason.clone(),
        })
    }

    fn overview(&self, layer: LayerId) -> Result<Vec<u8>, SiteError> {
        let info = self.layer(layer)?;
        let mut best = vec![None; info.channels as usize];
        for example in self.layer_examples(layer)? {
            if let (0, Some(place)) = (example.rank, best.get_mut(example.channel.index())) {
                *place = Some(*example);
            }
        }
        self.crops()?.sheet(
            info,
            &best,
            PICTURES.overview_columns,
            PICTURES.overview_tile,
        )
    }

    fn top(&self, layer: LayerId, channel: ChannelId) -> Result<Vec<u8>, SiteError> {
        let info = self.layer(layer)?;
        let examples = self.channel_examples(layer, channel)?;
        let best = examples.first().ok_or_else(|| SiteError::Absent {
            what: format!("examples of channel {}", channel.0),
        })?;
        encode(&self.crops()?.example(info, best, PICTURES.top_side)?)
    }

    fn detail(&self, layer: LayerId, channel: ChannelId) -> Result<Vec<u8>, SiteError> {
        let info = self.layer(layer)?;
        let examples: Vec<_> = self
            .channel_examples(layer, channel)?
            .iter()
            .copied()
            .map(Some)
            .collect();
        let columns = examples.len() as u32;
        self.crops()?
            .sheet(info, &examples, columns, PICTURES.detail_tile)
    }

    fn sheet(&self, class: ClassId) -> Result<Vec<u8>, SiteError> {
        let images: Vec<ImageId> = self
            .hardest(class)?
            .iter()
            .take(PICTURES.sheet_images as usize)
            .map(|record| record.image)
            .collect();
        self.crops()?
            .contact_sheet(&images, PICTURES.sheet_columns, PICTURES.sheet_tile)
    }
}

impl BundleSource for Bundle {
    fn file(&self, file: BundleFile) -> Result<Vec<u8>, SiteError> {
        match file {
            BundleFile::Manifest => json(&summary::manifest(self)?),
            BundleFile::Classes => json(&summary::classes(self)),
            BundleFile::Confusion => json(&summary::confusion(self)),
            BundleFile::Embedding(layer) => json(&self.embedding(layer)?),
            BundleFile::Channels(layer) => json(&self.channels(layer)?),
            BundleFile::Graph(class) => self.graph(class),
            BundleFile::Similarity(class) => json(&self.similarity(class)?),
            BundleFile::Activations(class) => json(&self.activations(class)?),
            BundleFile::Images(class) => json(&self.image_file(class)?),
            BundleFile::Sheet(class) => self.sheet(class),
            BundleFile::Overview(layer) => self.overview(layer),
            BundleFile::Top(layer, channel) => self.top(layer, channel),
            BundleFile::Detail(layer, channel) => self.detail(layer, channel),
            BundleFile::Features(layer) => json(&self.feature_file(layer)?),
            BundleFile::FeatureOverview(layer) => self.feature_overview(layer),
            BundleFile::Feature(layer, channel) => self.feature(layer, channel),
        }
    }
}

/// A bundle exported earlier, read from its folder.
#[derive(Clone, Debug)]
pub struct StaticBundle {
    folder: PathBuf,
}

impl StaticBundle {
    /// `site`: the folder [`crate::export()`] wrote.
    ///
    /// # Errors
    /// It holds no bundle.
    pub fn open(site: &Path) -> Result<Self, SiteError> {
        let folder = site.join("bundle");
        if folder.join(BundleFile::Manifest.to_string()).is_file() {
            Ok(Self { folder })
        } else {
            Err(SiteError::NotASite {
                path: site.to_owned(),
            })
        }
    }
}

impl BundleSource for StaticBundle {
    fn file(&self, file: BundleFile) -> Result<Vec<u8>, SiteError> {
        let path = self.folder.join(file.to_string());
        match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(SiteError::Absent {
                what: file.to_string(),
            }),
            result => result.map_err(SiteError::io("read", &path)),
        }
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, SiteError> {
    Ok(serde_json::to_vec(value)?)
}

/// Four digits are what is shown; more would be half of the file.
pub(crate) fn rounded(value: f32) -> f32 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

fn get_or_make<T>(
    cell: Option<&OnceLock<T>>,
    make: impl FnOnce() -> Result<T, SiteError>,
) -> Result<&T, SiteError> {
    let cell = cell.ok_or_else(|| SiteError::Absent {
        what: "such layer".to_owned(),
    })?;
    if let Some(made) = cell.get() {
        return Ok(made);
    }
    let made = make()?;
    // Two threads may make the same; both make equal values, and one of them stays.
    Ok(cell.get_or_init(|| made))
}
