//! Feature visualisations of a run: pictures that are there in full or not at all.
//!
//! Place in the flow: `featvis` makes a picture, [`FeatureWriter`] commits it, [`Features`] hands it to
//! `site`. One folder and one manifest per layer, `features/layer=<layer>/`; a picture counts once the
//! manifest names it with its size and hash, so what an interrupted process left behind is never
//! shown. Pictures are committed one channel at a time, in any order; the bytes of the folder depend on
//! the pictures alone.

use crate::durable::{self, FileEntry, HashingFile, TEMPORARY_PREFIX, check_file};
use crate::error::{IoContext, StoreError};
use crate::manifest::{MANIFEST_NAME, Manifest};
use crate::names::encode_name;
use crate::reader::Run;
use crate::spec::difference;
use crate::writer::{Hold, lock};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use summit_tables::{ChannelId, LayerInfo};

/// Version of the manifest of a layer's pictures.
const FEATURE_SCHEMA_VERSION: u32 = 1;

/// Largest manifest accepted; a layer of 10,000 channels stays below 8 MiB.
const LARGEST_BYTES: u64 = 64 << 20;

/// Pictures of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FeaturePicture {
    /// What excites the channel.
    Feature,
    /// One row of square tiles: several different pictures that excite it, then one that does the
    /// opposite.
    Detail,
}

impl FeaturePicture {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Feature, Self::Detail];

    fn file(self, channel: ChannelId) -> String {
        let folder = match self {
            Self::Feature => "feature",
            Self::Detail => "detail",
        };
        format!("{folder}/{}.jpg", channel.0)
    }
}

/// What a channel's picture reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureRecord {
    /// Steps of the optimisation.
    pub steps: u32,
    /// Side of the picture, pixels.
    pub side: u32,
    /// The channel's mean over positions on the picture.
    pub objective: f32,
    /// The channel's largest activation on the picture.
    pub activation: f32,
    /// The same of the best image of the run; absent where no image is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub natural_activation: Option<f32>,
    /// How much the layers below do what they do for the channel's best images, where images look
    /// like each other by as much is 1; absent where it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub naturalness: Option<f32>,
}

impl FeatureRecord {
    /// Activation in units of the best image's; `None` where there is none, or it is not above 0.
    #[must_use]
    pub fn relative_activation(&self) -> Option<f32> {
        let natural = self.natural_activation.filter(|&natural| natural > 0.0)?;
        Some(self.activation / natural)
    }

    /// The picture is not processed like natural images: the layers below depart from what they do for
    /// ordinary images in another direction than for the channel's best images.
    #[must_use]
    pub fn is_unnatural(&self) -> bool {
        self.naturalness.is_some_and(|found| found < 0.0)
    }

    fn check(&self) -> Result<(), &'static str> {
        let numbers = [Some(self.objective), Some(self.activation)];
        let further = [self.natural_activation, self.naturalness];
        let mut all = numbers.iter().chain(&further).flatten();
        if !all.all(|value| value.is_finite()) {
            return Err("a value is not a number");
        }
        Ok(())
    }
}

/// A record with the files it speaks of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    record: FeatureRecord,
    files: Vec<FileEntry>,
}

/// `features/layer=<layer>/manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct FeatureManifest {
    schema_version: u32,
    /// Tensor name.
    layer: String,
    /// SHA-256 of the model file.
    model_sha256: String,
    /// Everything the pictures depend on; pictures of different settings are not mixed.
    settings: Value,
    channels: BTreeMap<u32, Entry>,
}

/// The pictures of one layer, open for reading.
#[derive(Clone, Debug)]
pub struct Features {
    folder: PathBuf,
    manifest: FeatureManifest,
}

impl Features {
    /// The pictures of a layer of a run; `None` where none were made.
    ///
    /// # Errors
    /// The manifest is damaged, newer than this program, or of another network.
    pub fn open(run: &Run, layer: &LayerInfo) -> Result<Option<Self>, StoreError> {
        Self::of_layer(run.path(), &run.manifest().spec.model.sha256, layer)
    }

    fn of_layer(run: &Path, model: &str, layer: &LayerInfo) -> Result<Option<Self>, StoreError> {
        let folder = folder(run, layer);
        let path = folder.join(MANIFEST_NAME);
        if matches!(path.try_exists(), Ok(false)) {
            return Ok(None);
        }
        let text = durable::read_text(&path, LARGEST_BYTES)?;
        let manifest: FeatureManifest = serde_json::from_str(&text)
            .map_err(|error| StoreError::manifest(&path, error.to_string()))?;
        check(&manifest, layer).map_err(|reason| StoreError::manifest(&path, reason))?;
        if manifest.model_sha256 != model {
            return Err(StoreError::manifest(&path, "it is of another network"));
        }
        Ok(Some(Self { folder, manifest }))
    }

    /// Channels with pictures, ascending, and what these reached.
    pub fn records(&self) -> impl Iterator<Item = (ChannelId, &FeatureRecord)> {
        let channels = self.manifest.channels.iter();
        channels.map(|(&channel, entry)| (ChannelId(channel), &entry.record))
    }

    /// What the pictures were made with.
    #[must_use]
    pub fn settings(&self) -> &Value {
        &self.manifest.settings
    }

    /// The picture was made.
    #[must_use]
    pub fn has(&self, channel: ChannelId, picture: FeaturePicture) -> bool {
        self.entry(channel, picture).is_some()
    }

    fn entry(&self, channel: ChannelId, picture: FeaturePicture) -> Option<&FileEntry> {
        let name = picture.file(channel);
        let entry = self.manifest.channels.get(&channel.0)?;
        entry.files.iter().find(|file| file.path == name)
    }

    /// The bytes (JPEG) of a picture; `None` where it was not made.
    ///
    /// # Errors
    /// The file is not what was committed.
    pub fn picture(
        &self,
        channel: ChannelId,
        picture: FeaturePicture,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(file) = self.entry(channel, picture) else {
            return Ok(None);
        };
        let path = self.folder.join(picture.file(channel));
        check_file(&path, file, true).map_err(|reason| StoreError::Picture {
            reason,
            path: path.clone(),
        })?;
        fs::read(&path).map(Some).context("read the file", &path)
    }
}

/// Paths in a manifest are compared with those it may have, never followed blindly.
fn check(manifest: &FeatureManifest, layer: &LayerInfo) -> Result<(), String> {
    if manifest.schema_version != FEATURE_SCHEMA_VERSION {
        return Err(format!(
            "schema version {}, this program reads {FEATURE_SCHEMA_VERSION}",
            manifest.schema_version
        ));
    }
    if manifest.layer != layer.name {
        return Err(format!("it is of layer {:?}", manifest.layer));
    }
    for (&channel, entry) in &manifest.channels {
        if channel >= layer.channels {
            return Err(format!("the layer has no channel {channel}"));
        }
        entry.record.check()?;
    }
    Ok(())
}

fn folder(run: &Path, layer: &LayerInfo) -> PathBuf {
    let name = format!("layer={}", encode_name(&layer.name));
    run.join("features").join(name)
}

/// The one writer of a run's pictures. Dropping it releases the run's lock.
#[derive(Debug)]
pub struct FeatureWriter {
    run: PathBuf,
    model_sha256: String,
    settings: Value,
    _lock: File,
}

impl FeatureWriter {
    /// For pictures of the run at `run`, made with `settings`.
    ///
    /// # Errors
    /// There is no run; another process writes it.
    pub fn new(run: &Path, settings: Value) -> Result<Self, StoreError> {
        let manifest = Manifest::load(run)?;
        Ok(Self {
            run: run.to_owned(),
            model_sha256: manifest.spec.model.sha256,
            settings,
            _lock: lock(run, Hold::Alone)?,
        })
    }

    /// The pictures of a layer so far; removes what an interrupted process left half-done.
    ///
    /// # Errors
    /// Those that are there were made with other settings (the first that differs is named); the
    /// manifest is damaged; I/O.
    pub fn layer(&self, layer: &LayerInfo) -> Result<Features, StoreError> {
        let folder = folder(&self.run, layer);
        for part in FeaturePicture::ALL {
            if let Some(part) = folder.join(part.file(ChannelId(0))).parent() {
                fs::create_dir_all(part).context("create the folder", part)?;
                durable::remove_leftovers(part)?;
            }
        }
        durable::remove_leftovers(&folder)?;
        let Some(features) = Features::of_layer(&self.run, &self.model_sha256, layer)? else {
            return Ok(Features {
                folder,
                manifest: FeatureManifest {
                    schema_version: FEATURE_SCHEMA_VERSION,
                    layer: layer.name.clone(),
                    model_sha256: self.model_sha256.clone(),
                    settings: self.settings.clone(),
                    channels: BTreeMap::new(),
                },
            });
        };
        match difference("", &features.manifest.settings, &self.settings) {
            None => Ok(features),
            Some(difference) => Err(StoreError::FeaturesDiffer {
                field: difference.field,
                found: difference.left,
                wanted: difference.right,
                path: features.folder,
            }),
        }
    }

    /// Stores the pictures (JPEG) of a channel durably, in place of earlier ones.
    ///
    /// # Errors
    /// I/O; the channel has no picture then, or the one it had.
    pub fn commit(
        &self,
        features: &mut Features,
        channel: ChannelId,
        record: FeatureRecord,
        pictures: &[(FeaturePicture, Vec<u8>)],
    ) -> Result<(), StoreError> {
        let path = features.folder.join(MANIFEST_NAME);
        record
            .check()
            .map_err(|reason| StoreError::manifest(&path, reason))?;
        let mut files = Vec::with_capacity(pictures.len());
        for (kind, bytes) in pictures {
            files.push(place(&features.folder, &kind.file(channel), bytes)?);
        }
        files.sort_by(|left, right| left.path.cmp(&right.path));
        let entry = Entry { record, files };
        features.manifest.channels.insert(channel.0, entry);
        let text = serde_json::to_string_pretty(&features.manifest)
            .map_err(|error| StoreError::manifest(&path, error.to_string()))?;
        durable::replace_file(&features.folder, MANIFEST_NAME, &(text + "\n"))
    }
}

/// Writes `folder/relative` aside, flushes it and puts it in place.
fn place(folder: &Path, relative: &str, bytes: &[u8]) -> Result<FileEntry, StoreError> {
    let target = folder.join(relative);
    let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
        return Err(StoreError::manifest(&target, "no file name"));
    };
    let temporary = parent.join(format!("{TEMPORARY_PREFIX}{}", name.to_string_lossy()));
    let mut file = HashingFile::create(&temporary)?;
    file.write_all(bytes)
        .context("write the file", &temporary)?;
    let entry = file.finish(&temporary, relative)?;
    fs::rename(&temporary, &target).context("put the file in place", &target)?;
    durable::sync_folder(parent)?;
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_channels_do_not_meet() {
        let names: Vec<String> = FeaturePicture::ALL
            .iter()
            .flat_map(|kind| [1, 11].map(|channel| kind.file(ChannelId(channel))))
            .collect();
        assert_eq!(
            names,
            [
                "feature/1.jpg",
                "feature/11.jpg",
                "detail/1.jpg",
                "detail/11.jpg"
            ]
        );
    }
}
