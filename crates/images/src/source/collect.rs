//! From what a source found to its list: who each image is, sorted, counted and hashed.

use super::{ImageList, Place, SkippedPath, SourceKind};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::PathBuf;
use summit_tables::{ImageId, ImageItem, ListHash};

/// Longest path of an image, bytes: what a run can store.
const LONGEST_PATH_BYTES: usize = 16 << 10;
/// Longest word for a class, bytes.
const LONGEST_CLASS_BYTES: usize = 4 << 10;

/// Images found so far, in any order.
pub(super) struct Collector {
    kind: SourceKind,
    root: PathBuf,
    pub(super) containers: Vec<String>,
    found: Vec<Found>,
    /// Words for classes.
    pub(super) folders: BTreeSet<String>,
    pub(super) skipped: Vec<SkippedPath>,
    pub(super) ignored_files: u64,
}

struct Found {
    path: String,
    folder: Option<String>,
    place: Place,
    hash: ListHash,
}

impl Collector {
    pub(super) fn new(kind: SourceKind, root: PathBuf) -> Self {
        Self {
            kind,
            root,
            containers: Vec::new(),
            found: Vec::new(),
            folders: BTreeSet::new(),
            skipped: Vec::new(),
            ignored_files: 0,
        }
    }

    /// Images found.
    pub(super) fn len(&self) -> u64 {
        self.found.len() as u64
    }

    /// An image whose path is known. `mark` is what is known of its content.
    pub(super) fn push(&mut self, path: String, folder: Option<String>, place: Place, mark: &[u8]) {
        let mut hasher = Sha256::new();
        // Neither holds a zero byte, so the fields cannot run into each other.
        for text in [path.as_str(), folder.as_deref().unwrap_or_default()] {
            hasher.update(text.as_bytes());
            hasher.update([0]);
        }
        hasher.update(mark);
        let hash = ListHash(hasher.finalize().into());
        if let Some(folder) = folder
            .as_ref()
            .filter(|folder| !self.folders.contains(*folder))
        {
            self.folders.insert(folder.clone());
        }
        self.found.push(Found {
            path,
            folder,
            place,
            hash,
        });
    }

    /// An image by its name in an archive, table or list. `class` is what stands beside it; without, the
    /// first folder of the name. `place` says where it is found when it has to be passed over.
    pub(super) fn name(&mut self, name: &str, class: Option<String>, place: Place, mark: &[u8]) {
        match identity(name, class) {
            Ok((path, folder)) => self.push(path, folder, place, mark),
            Err(reason) => self.skip(name, reason),
        }
    }

    pub(super) fn skip(&mut self, path: &str, reason: impl Into<String>) {
        let longest = path.floor_char_boundary(LONGEST_PATH_BYTES);
        self.skipped.push(SkippedPath {
            path: path.get(..longest).unwrap_or_default().to_owned(),
            reason: reason.into(),
        });
    }

    /// Takes over what another one found; its containers come after those here.
    pub(super) fn append(&mut self, other: Self) {
        self.found.extend(other.found);
        self.folders.extend(other.folders);
        self.skipped.extend(other.skipped);
        self.ignored_files += other.ignored_files;
    }

    /// Sorts everything: the order in which things were found must not show. Of images with one path the
    /// first found stays.
    pub(super) fn into_list(mut self) -> ImageList {
        // Stable, for the sake of the first found.
        self.found.sort_by(|a, b| a.path.cmp(&b.path));
        let mut items: Vec<ImageItem> = Vec::with_capacity(self.found.len());
        let mut list_hash = ListHash::default();
        for Found {
            path,
            folder,
            place,
            hash,
        } in self.found
        {
            if items.last().is_some_and(|last| last.path == path) {
                self.skipped.push(SkippedPath {
                    path,
                    reason: "another image has the same name and class".to_owned(),
                });
                continue;
            }
            list_hash.add(hash);
            items.push(ImageItem {
                image: ImageId::from_index(items.len()),
                path,
                folder,
                place,
            });
        }
        self.skipped
            .sort_unstable_by(|a, b| (&a.path, &a.reason).cmp(&(&b.path, &b.reason)));
        ImageList {
            kind: self.kind,
            root: self.root,
            containers: self.containers,
            items,
            folders: self.folders.into_iter().collect(),
            skipped: self.skipped,
            ignored_files: self.ignored_files,
            list_hash,
        }
    }
}

/// Path and class of an image from its name and what stands beside it: a name with a folder is the path;
/// one without goes below its class.
fn identity(name: &str, class: Option<String>) -> Result<(String, Option<String>), &'static str> {
    let name = name.strip_prefix("./").unwrap_or(name);
    if !is_plain(name) {
        return Err("its name leads outside, or is none");
    }
    let class = class.map(|word| word.trim().to_owned());
    if class
        .as_ref()
        .is_some_and(|word| word.len() > LONGEST_CLASS_BYTES || word.contains('\0'))
    {
        return Err("its class is no word");
    }
    let class = class.filter(|word| !word.is_empty());
    let folder = name.split_once('/').map(|(folder, _)| folder.to_owned());
    let path = match (&folder, &class) {
        (None, Some(class)) => format!("{}/{name}", class.replace('/', "_")),
        _ => name.to_owned(),
    };
    if path.len() > LONGEST_PATH_BYTES {
        return Err("its name is too long");
    }
    Ok((path, class.or(folder)))
}

/// Relative, `/` separated, without anything that could lead elsewhere.
pub(super) fn is_plain(name: &str) -> bool {
    !name.contains(['\0', '\\']) && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_folder_goes_below_its_class() {
        struct Case {
            name: &'static str,
            class: Option<&'static str>,
            wanted: Option<(&'static str, Option<&'static str>)>,
        }
        let case = |name, class, wanted| Case {
            name,
            class,
            wanted,
        };
        let cases = [
            case("a/1.png", None, Some(("a/1.png", Some("a")))),
            case("./a/1.png", Some("7"), Some(("a/1.png", Some("7")))),
            case("1.png", Some(" a\n"), Some(("a/1.png", Some("a")))),
            case("1.png", Some("x/y"), Some(("x_y/1.png", Some("x/y")))),
            case("1.png", Some(" "), Some(("1.png", None))),
            case("1.png", None, Some(("1.png", None))),
            case("../1.png", None, None),
            case("/1.png", None, None),
            case("a//1.png", None, None),
            case("a\\1.png", None, None),
            case("", None, None),
            case("1.png", Some("a\0"), None),
        ];
        for Case {
            name,
            class,
            wanted,
        } in cases
        {
            let found = identity(name, class.map(str::to_owned)).ok();
            let wanted = wanted.map(|(path, class)| (path.to_owned(), class.map(str::to_owned)));
            assert_eq!(found, wanted, "{name} {class:?}");
        }
    }

    #[test]
    fn order_and_repetition_do_not_show() {
        let list = |names: &[&str]| {
            let mut found = Collector::new(SourceKind::List, PathBuf::new());
            for name in names {
                found.name(name, None, Place::Own, b"");
            }
            found.into_list()
        };
        let once = list(&["a/1.png", "b/1.png"]);
        let other = list(&["b/1.png", "a/1.png", "b/1.png"]);
        assert_eq!(once.items, other.items);
        assert_eq!(once.list_hash, other.list_hash);
        assert_eq!(other.skipped.len(), 1);
    }
}
