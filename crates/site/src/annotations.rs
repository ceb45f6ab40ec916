//! Names people give to channels, kept beside the run in `annotations.json`.
//!
//! Place in the flow: the browser sends one [`Annotation`] at a time, the server merges it into the
//! file under a lock, so that two open pages lose nothing. Channels with the same name form a group.

use crate::SiteError;
use crate::schema::{Annotation, AnnotationFile, BUNDLE_SCHEMA_VERSION};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use summit_tables::LayerInfo;

/// Name of the file in the run folder.
pub const ANNOTATIONS_FILE: &str = "annotations.json";

/// Longest file read, bytes.
const LONGEST_FILE_BYTES: u64 = 16 << 20;

/// Most annotations of a run.
const MOST: usize = 20_000;

/// Longest name, characters.
const LONGEST_TEXT: usize = 200;

/// The annotations of one run.
#[derive(Debug)]
pub struct Annotations {
    path: PathBuf,
    writing: Mutex<()>,
}

impl Annotations {
    /// Those of the run in this folder.
    #[must_use]
    pub fn of_run(run: &Path) -> Self {
        Self {
            path: run.join(ANNOTATIONS_FILE),
            writing: Mutex::new(()),
        }
    }

    /// What is written, by layer and channel; empty where there is no file.
    ///
    /// # Errors
    /// The file is damaged or cannot be read.
    pub fn read(&self) -> Result<Vec<Annotation>, SiteError> {
        let damaged = |reason: String| SiteError::Annotation { reason };
        let mut text = String::new();
        match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(SiteError::io("read", &self.path)(error)),
            Ok(file) => file
                .take(LONGEST_FILE_BYTES)
                .read_to_string(&mut text)
                .map_err(SiteError::io("read", &self.path))?,
        };
        let file: AnnotationFile = serde_json::from_str(&text)
            .map_err(|error| damaged(format!("{ANNOTATIONS_FILE} is damaged: {error}")))?;
        if file.schema_version != BUNDLE_SCHEMA_VERSION {
            return Err(damaged(format!(
                "{ANNOTATIONS_FILE} was written by another version of Summit"
            )));
        }
        Ok(file.annotations)
    }

    /// Names a channel; an empty text takes its name away.
    ///
    /// # Errors
    /// There is no such channel, the text is too long, or the file cannot be written.
    pub fn set(&self, layers: &[LayerInfo], new: Annotation) -> Result<(), SiteError> {
        let refused = |reason: &str| SiteError::Annotation {
            reason: reason.to_owned(),
        };
        let place = |name: &str| layers.iter().position(|layer| layer.name == name);
        let known = place(&new.layer)
            .and_then(|index| layers.get(index))
            .is_some_and(|layer| new.channel < layer.channels);
        if !known {
            return Err(refused("this run has no such channel"));
        }
        if new.text.chars().count() > LONGEST_TEXT || new.text.chars().any(char::is_control) {
            return Err(refused("a name is one line of at most 200 characters"));
        }
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut annotations = self.read()?;
        annotations.retain(|old| (&old.layer, old.channel) != (&new.layer, new.channel));
        if !new.text.trim().is_empty() {
            annotations.push(new);
        }
        if annotations.len() > MOST {
            return Err(refused("this run has as many names as it can have"));
        }
        annotations.sort_by_key(|annotation| (place(&annotation.layer), annotation.channel));
        self.write(annotations)
    }

    /// Beside the old file first, so that a full disk or an interruption loses nothing.
    fn write(&self, annotations: Vec<Annotation>) -> Result<(), SiteError> {
        let file = AnnotationFile {
            schema_version: BUNDLE_SCHEMA_VERSION,
            writable: false,
            annotations,
        };
        let text = serde_json::to_vec_pretty(&file)?;
        let beside = self.path.with_extension("json.new");
        let written = File::create(&beside).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        written
            .and_then(|()| fs::rename(&beside, &self.path))
            .map_err(SiteError::io("write", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use summit_tables::LayerId;

    fn layer(id: u32, name: &str, channels: u32) -> LayerInfo {
        LayerInfo {
            id: LayerId(id),
            name: name.to_owned(),
            channels,
            height: 1,
            width: 1,
            signed: false,
            receptive_start: [0.0; 2],
            receptive_stride: [1.0; 2],
            receptive_size: [1; 2],
            is_cut: true,
        }
    }

    fn named(layer: &str, channel: u32, text: &str) -> Annotation {
        Annotation {
            layer: layer.to_owned(),
            channel,
            text: text.to_owned(),
        }
    }

    #[test]
    fn names_are_set_changed_and_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let layers = [layer(0, "z", 4), layer(1, "a", 2)];
        let annotations = Annotations::of_run(folder.path());
        assert_eq!(annotations.read().unwrap(), []);
        annotations.set(&layers, named("a", 1, "hands")).unwrap();
        annotations.set(&layers, named("z", 3, "stripes")).unwrap();
        annotations.set(&layers, named("z", 0, "grass")).unwrap();
        annotations.set(&layers, named("z", 3, "bars")).unwrap();
        annotations.set(&layers, named("z", 0, " ")).unwrap();
        let expected = [named("z", 3, "bars"), named("a", 1, "hands")];
        assert_eq!(annotations.read().unwrap(), expected);
        for refused in [
            named("b", 0, "x"),
            named("a", 2, "x"),
            named("a", 0, "two\nlines"),
            named("a", 0, &"x".repeat(201)),
        ] {
            assert!(annotations.set(&layers, refused).is_err());
        }
        assert_eq!(annotations.read().unwrap(), expected);
    }

    #[test]
    fn a_damaged_file_is_said_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(ANNOTATIONS_FILE);
        for text in [
            "{",
            "[]",
            "{\"schema_version\": 99, \"writable\": false, \"annotations\": []}",
        ] {
            fs::write(&path, text).unwrap();
            let annotations = Annotations::of_run(folder.path());
            assert!(annotations.read().is_err(), "{text}");
            let set = annotations.set(&[layer(0, "z", 4)], named("z", 0, "x"));
            assert!(set.is_err(), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
