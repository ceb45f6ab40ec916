//! Looks for a label file where one usually lies, so that a run needs no flag for it.
//!
//! Place in the flow: when the user names no label file. Looks beside the model, then in and beside the image folder;
//! a candidate counts only if it has as many classes as the network has outputs. A fixed number of
//! file names is tried; no folder is listed.

use super::{LabelError, Labels};
use std::path::{Path, PathBuf};

/// A candidate that did not fit.
#[derive(Debug)]
pub struct RejectedLabels {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub reason: LabelError,
}

/// Outcome of a search.
#[derive(Debug, Default)]
pub struct LabelDiscovery {
    /// The first file that fits, and its path.
    pub found: Option<(PathBuf, Labels)>,
    /// Files of a promising name that did not fit, in the order looked at.
    pub rejected: Vec<RejectedLabels>,
}

const EXTENSIONS: [&str; 3] = ["tsv", "json", "txt"];

/// Looks for labels of a network with `n_outputs` outputs.
///
/// First beside the model `m.onnx`: `m.labels.*`, `m.onnx.labels.*` (`*`: tsv, json, txt). Then in the
/// image folder, in its parent and in the model's folder: `labels.*`, `imagenet_class_index.json`,
/// `synset_words.txt`. The model's folder comes last, since one folder of models serves several data
/// sets.
#[must_use]
pub fn discover_labels(
    model: Option<&Path>,
    images_root: Option<&Path>,
    n_outputs: usize,
) -> LabelDiscovery {
    let mut discovery = LabelDiscovery::default();
    for path in candidates(model, images_root) {
        if !path.is_file() {
            continue;
        }
        match Labels::read_for(&path, n_outputs) {
            Ok(labels) => {
                discovery.found = Some((path, labels));
                break;
            }
            Err(reason) => discovery.rejected.push(RejectedLabels { path, reason }),
        }
    }
    discovery
}

/// All paths to try, in order, without repetition.
fn candidates(model: Option<&Path>, images_root: Option<&Path>) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    if let Some(model) = model {
        for stem in [model.file_stem(), model.file_name()].into_iter().flatten() {
            paths.extend(EXTENSIONS.iter().map(|extension| {
                let mut name = stem.to_owned();
                name.push(".labels.");
                name.push(extension);
                model.with_file_name(name)
            }));
        }
    }
    // `data/x` and `x` have a parent to look into; `.` and `..` only after resolving.
    let resolved = images_root.map(|root| std::fs::canonicalize(root).unwrap_or(root.to_owned()));
    let folders = [
        images_root.map(Path::to_owned),
        resolved.and_then(|root| root.parent().map(Path::to_owned)),
        model.map(|model| model.parent().unwrap_or(Path::new("")).to_owned()),
    ];
    for folder in folders.into_iter().flatten() {
        let general = EXTENSIONS
            .iter()
            .map(|extension| format!("labels.{extension}"))
            .chain([
                "imagenet_class_index.json".to_owned(),
                "synset_words.txt".to_owned(),
            ]);
        for name in general {
            let path = folder.join(name);
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_nearest_file_that_fits_wins() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let images = root.join("data/images");
        fs::create_dir_all(&images).unwrap();
        fs::create_dir(root.join("models")).unwrap();
        let model = root.join("models/net.onnx");
        let search = || discover_labels(Some(&model), Some(&images), 2);
        assert!(search().found.is_none());

        // From the least to the most specific place; each takes over from the one before.
        for place in [
            "models/synset_words.txt",
            "data/labels.tsv",
            "data/images/labels.txt",
            "models/net.onnx.labels.json",
            "models/net.labels.txt",
        ] {
            let text = if place.ends_with("json") {
                "[\"a\", \"b\"]"
            } else {
                "a\nb\n"
            };
            fs::write(root.join(place), text).unwrap();
            let (path, labels) = search().found.unwrap();
            assert!(path.ends_with(place), "{}", path.display());
            assert_eq!(labels.classes.len(), 2);
        }
        fs::write(root.join("models/net.labels.txt"), "a\nb\nc\n").unwrap();
        let discovery = search();
        assert!(
            discovery
                .found
                .unwrap()
                .0
                .ends_with("models/net.onnx.labels.json")
        );
        let reason = discovery.rejected[0].reason.to_string();
        assert!(reason.contains('3') && reason.contains('2'), "{reason}");
    }

    #[test]
    fn only_names_no_folder() {
        assert!(discover_labels(None, None, 3).found.is_none());
        assert!(
            discover_labels(Some(Path::new("m.onnx")), Some(Path::new("")), 3)
                .found
                .is_none()
        );
    }
}
