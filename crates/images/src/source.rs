//! Where images come from: the sorted list of a run's images, and their bytes.
//!
//! Place in the flow: first. [`ImageSource`] is what the rest of the program sees; [`ImageFolder`]
//! is the source on disk (`class/.../image`, as torchvision's ImageFolder reads it). A list is sorted
//! by path bytewise, and an [`ImageId`] is a position in it, so the same folder gives the same ids
//! on every machine.
//!
//! Memory: one [`ImageItem`] an image. Time: one `stat` an image; reading is bounded by
//! [`ScanOptions::max_file_bytes`]. Symbolic links are followed; one that leads back to a folder it
//! lies in is skipped.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use summit_tables::ImageId;

/// Extensions taken for images (lower case); what a file really is its content says.
pub const IMAGE_EXTENSIONS: [&str; 8] = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "gif"];

/// Folders deeper than this are skipped.
const MAX_DEPTH: usize = 64;

/// One image of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageItem {
    /// Position in the list.
    pub image: ImageId,
    /// Path relative to the root, `/` separated.
    pub path: String,
    /// First component of the path: the class folder; `None` for unlabelled images.
    pub folder: Option<String>,
}

/// Something below the root that was passed over, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedPath {
    /// Path relative to the root, `/` separated; characters that are not Unicode replaced.
    pub path: String,
    /// One sentence without the path.
    pub reason: String,
}

/// SHA-256 over the relative paths and file sizes of a list: tells whether a list is the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ListHash(pub [u8; 32]);

impl fmt::Display for ListHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for ListHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ListHash({self})")
    }
}

impl From<ListHash> for String {
    fn from(hash: ListHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for ListHash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let problem = || format!("`{}` is not a SHA-256 in hexadecimal", text.escape_debug());
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(problem());
        }
        let mut hash = [0; 32];
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                .ok_or_else(problem)?;
        }
        Ok(Self(hash))
    }
}

/// The images of a source, in the order of their ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageList {
    /// Where the paths start.
    pub root: PathBuf,
    /// `[n_images]`, sorted by path bytewise; `items[i].image == ImageId(i)`.
    pub items: Vec<ImageItem>,
    /// Class folders, sorted, also those without an image; empty for unlabelled images.
    pub folders: Vec<String>,
    /// What was passed over, sorted by path.
    pub skipped: Vec<SkippedPath>,
    /// Files without an image's extension, and hidden entries.
    pub ignored_files: u64,
    /// Identity of the list.
    pub list_hash: ListHash,
}

/// Images and their bytes, wherever they lie. Reading must be possible from several threads.
pub trait ImageSource: Send + Sync {
    /// The list; never changes during the life of the source.
    fn list(&self) -> &ImageList;

    /// The bytes of one image of the list.
    ///
    /// # Errors
    /// When the image cannot be read or exceeds the source's size limit; a reason to skip it.
    fn read(&self, item: &ImageItem) -> Result<Vec<u8>, ReadError>;
}

/// Why a source could not be opened at all.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The root is missing or unreadable.
    #[error("cannot read the image folder: {reason}: {root}", root = root.display())]
    Root {
        /// The folder.
        root: PathBuf,
        /// The system's words.
        reason: io::Error,
    },
    /// The root is a file.
    #[error("the image folder is not a folder: {root}", root = root.display())]
    NotAFolder {
        /// The path.
        root: PathBuf,
    },
    /// Nothing to work on.
    #[error(
        "no images (jpg, png, webp, bmp, gif) below the image folder ({ignored} other files, {skipped} skipped entries): {root}",
        root = root.display()
    )]
    NoImages {
        /// The folder.
        root: PathBuf,
        /// Files of other kinds.
        ignored: u64,
        /// Entries that could not be read.
        skipped: usize,
    },
    /// More entries than [`ScanOptions::max_entries`]: a wrong folder, or links that multiply it.
    #[error("more than {limit} files and folders below the image folder: {root}", root = root.display())]
    TooManyEntries {
        /// The folder.
        root: PathBuf,
        /// The limit.
        limit: u64,
    },
}

/// Why one image's bytes could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Over [`ScanOptions::max_file_bytes`].
    #[error("the file is larger than the limit of {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// A device, pipe or folder under an image's name.
    #[error("it is not a regular file")]
    NotAFile,
    /// The path of the item leaves the root; lists may come from a file.
    #[error("its path leads outside the image folder")]
    OutsideRoot,
}

/// Bounds of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanOptions {
    /// Largest image file read, bytes.
    pub max_file_bytes: u64,
    /// Most files and folders visited.
    pub max_entries: u64,
}

impl Default for ScanOptions {
    /// 256 MB a file, 50 million entries.
    fn default() -> Self {
        Self {
            max_file_bytes: 256_000_000,
            max_entries: 50_000_000,
        }
    }
}

/// A folder of class folders, or of unlabelled images.
#[derive(Clone, Debug)]
pub struct ImageFolder {
    list: ImageList,
    max_file_bytes: u64,
}

impl ImageFolder {
    /// Lists the images below `root`. With sub-folders, each is a class and holds its images at any
    /// depth, and images beside the sub-folders are skipped as having no class; without
    /// sub-folders, all images are unlabelled. Hidden entries (`.name`) are ignored.
    ///
    /// # Errors
    /// When the root cannot be read or holds no image. Anything unreadable further down is recorded in
    /// [`ImageList::skipped`] instead.
    pub fn scan(root: &Path, options: &ScanOptions) -> Result<Self, SourceError> {
        let metadata = fs::metadata(root).map_err(|reason| SourceError::Root {
            root: root.to_owned(),
            reason,
        })?;
        if !metadata.is_dir() {
            return Err(SourceError::NotAFolder {
                root: root.to_owned(),
            });
        }
        let mut scan = Scan::new(root, options);
        scan.run()?;
        let list = scan.into_list();
        if list.items.is_empty() {
            return Err(SourceError::NoImages {
                root: list.root,
                ignored: list.ignored_files,
                skipped: list.skipped.len(),
            });
        }
        Ok(Self {
            list,
            max_file_bytes: options.max_file_bytes,
        })
    }

    /// A source over a list made earlier, without looking at the folder again.
    #[must_use]
    pub fn from_list(list: ImageList, options: &ScanOptions) -> Self {
        Self {
            list,
            max_file_bytes: options.max_file_bytes,
        }
    }
}

impl ImageSource for ImageFolder {
    fn list(&self) -> &ImageList {
        &self.list
    }

    fn read(&self, item: &ImageItem) -> Result<Vec<u8>, ReadError> {
        let relative = Path::new(&item.path);
        if !relative
            .components()
            .all(|component| matches!(component, Component::Normal(_)))
        {
            return Err(ReadError::OutsideRoot);
        }
        let path = self.list.root.join(relative);
        // Before opening: opening a pipe would wait for its writer.
        let metadata = fs::metadata(&path)?;
        if !metadata.is_file() {
            return Err(ReadError::NotAFile);
        }
        let too_large = ReadError::TooLarge {
            limit_bytes: self.max_file_bytes,
        };
        if metadata.len() > self.max_file_bytes {
            return Err(too_large);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
        // The file may grow between the two calls, hence the second bound.
        fs::File::open(&path)?
            .take(self.max_file_bytes.saturating_add(1))
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > self.max_file_bytes {
            return Err(too_large);
        }
        Ok(bytes)
    }
}

/// A scan in progress.
struct Scan<'a> {
    root: &'a Path,
    max_entries: u64,
    entries: u64,
    /// Path and size in bytes.
    found: Vec<(String, u64)>,
    /// Images right below the root.
    loose: Vec<(String, u64)>,
    folders: Vec<String>,
    skipped: Vec<SkippedPath>,
    ignored_files: u64,
}

/// A folder still to be read.
struct Pending {
    /// Relative, `/` separated; empty for the root.
    relative: String,
    depth: usize,
    /// Canonical paths from the root down to this folder: what a link must not lead back to.
    chain: Vec<PathBuf>,
}

impl<'a> Scan<'a> {
    fn new(root: &'a Path, options: &ScanOptions) -> Self {
        Self {
            root,
            max_entries: options.max_entries,
            entries: 0,
            found: Vec::new(),
            loose: Vec::new(),
            folders: Vec::new(),
            skipped: Vec::new(),
            ignored_files: 0,
        }
    }

    /// Visits every folder. An explicit stack, so that depth costs no call stack.
    fn run(&mut self) -> Result<(), SourceError> {
        let root_error = |reason| SourceError::Root {
            root: self.root.to_owned(),
            reason,
        };
        let canonical = fs::canonicalize(self.root).map_err(root_error)?;
        let mut pending = vec![Pending {
            relative: String::new(),
            depth: 0,
            chain: vec![canonical],
        }];
        while let Some(folder) = pending.pop() {
            let entries = match fs::read_dir(self.root.join(&folder.relative)) {
                Ok(entries) => entries,
                Err(reason) if folder.depth == 0 => {
                    return Err(SourceError::Root {
                        root: self.root.to_owned(),
                        reason,
                    });
                }
                Err(error) => {
                    self.skip(
                        folder.relative,
                        format!("the folder cannot be read: {error}"),
                    );
                    continue;
                }
            };
            for entry in entries {
                self.entries += 1;
                if self.entries > self.max_entries {
                    return Err(SourceError::TooManyEntries {
                        root: self.root.to_owned(),
                        limit: self.max_entries,
                    });
                }
                match entry {
                    Ok(entry) => pending.extend(self.visit(&folder, &entry)),
                    Err(error) => self.skip(
                        folder.relative.clone(),
                        format!("the folder cannot be read to its end: {error}"),
                    ),
                }
            }
        }
        Ok(())
    }

    /// Notes one entry; a folder is returned, to be visited.
    fn visit(&mut self, folder: &Pending, entry: &fs::DirEntry) -> Option<Pending> {
        let file_name = entry.file_name();
        let name = file_name.to_string_lossy();
        let relative = if folder.relative.is_empty() {
            name.to_string()
        } else {
            format!("{}/{name}", folder.relative)
        };
        if name.starts_with('.') {
            self.ignored_files += 1;
            return None;
        }
        // Follows links, as torchvision does.
        let metadata = match fs::metadata(entry.path()) {
            Ok(metadata) => metadata,
            Err(error) => {
                self.skip(relative, format!("it cannot be read: {error}"));
                return None;
            }
        };
        if metadata.is_dir() {
            return self.enter(folder, entry, relative, file_name.to_str().is_none());
        }
        if !has_image_extension(&name) {
            self.ignored_files += 1;
        } else if file_name.to_str().is_none() {
            self.skip(relative, "its name is not valid Unicode".to_owned());
        } else if !metadata.is_file() {
            self.skip(relative, "it is not a regular file".to_owned());
        } else if folder.depth == 0 {
            self.loose.push((relative, metadata.len()));
        } else {
            self.found.push((relative, metadata.len()));
        }
        None
    }

    /// Whether and how to go down into a folder.
    fn enter(
        &mut self,
        parent: &Pending,
        entry: &fs::DirEntry,
        relative: String,
        bad_name: bool,
    ) -> Option<Pending> {
        if bad_name {
            self.skip(relative, "its name is not valid Unicode".to_owned());
            return None;
        }
        let depth = parent.depth + 1;
        if depth > MAX_DEPTH {
            self.skip(relative, format!("it lies deeper than {MAX_DEPTH} folders"));
            return None;
        }
        let canonical = match fs::canonicalize(entry.path()) {
            Ok(canonical) => canonical,
            Err(error) => {
                self.skip(relative, format!("the folder cannot be read: {error}"));
                return None;
            }
        };
        if parent.chain.contains(&canonical) {
            self.skip(
                relative,
                "the link leads back to a folder it lies in".to_owned(),
            );
            return None;
        }
        if depth == 1 {
            self.folders.push(relative.clone());
        }
        let mut chain = parent.chain.clone();
        chain.push(canonical);
        Some(Pending {
            relative,
            depth,
            chain,
        })
    }

    fn skip(&mut self, path: String, reason: String) {
        self.skipped.push(SkippedPath { path, reason });
    }

    /// Sorts everything; the order in which the system lists a folder must not show.
    fn into_list(mut self) -> ImageList {
        let labelled = !self.folders.is_empty();
        let loose = std::mem::take(&mut self.loose);
        if labelled {
            for (path, _) in loose {
                self.skip(
                    path,
                    "it lies beside the class folders, so it has no class".to_owned(),
                );
            }
        } else {
            self.found = loose;
        }
        self.found.sort_unstable();
        self.folders.sort_unstable();
        self.skipped
            .sort_unstable_by(|a, b| (&a.path, &a.reason).cmp(&(&b.path, &b.reason)));
        let mut hasher = Sha256::new();
        let mut items = Vec::with_capacity(self.found.len());
        for (index, (path, size_bytes)) in self.found.into_iter().enumerate() {
            hasher.update(path.as_bytes());
            // A path holds no zero byte, so the fields cannot run into each other.
            hasher.update([0]);
            hasher.update(size_bytes.to_le_bytes());
            let folder = path.split_once('/').map(|(folder, _)| folder.to_owned());
            items.push(ImageItem {
                image: ImageId::from_index(index),
                path,
                folder,
            });
        }
        ImageList {
            root: self.root.to_owned(),
            items,
            folders: self.folders,
            skipped: self.skipped,
            ignored_files: self.ignored_files,
            list_hash: ListHash(hasher.finalize().into()),
        }
    }
}

fn has_image_extension(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, extension)| {
        !stem.is_empty()
            && IMAGE_EXTENSIONS
                .iter()
                .any(|known| extension.eq_ignore_ascii_case(known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(root: &Path, path: &str, bytes: &[u8]) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn paths(list: &ImageList) -> Vec<&str> {
        list.items.iter().map(|item| item.path.as_str()).collect()
    }

    #[test]
    fn lists_class_folders_sorted_and_counts_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in [
            "b/2.JPG",
            "b/1.png",
            "a/deep/er/x.jpeg",
            "a/notes.txt",
            "a-1/y.webp",
        ] {
            touch(root, path, b"x");
        }
        touch(root, "cover.png", b"x");
        touch(root, ".hidden.png", b"x");
        touch(root, "a/._y.jpg", b"x");
        fs::create_dir(root.join("empty")).unwrap();
        let source = ImageFolder::scan(root, &ScanOptions::default()).unwrap();
        let list = source.list();
        assert_eq!(
            paths(list),
            ["a-1/y.webp", "a/deep/er/x.jpeg", "b/1.png", "b/2.JPG"]
        );
        assert_eq!(list.folders, ["a", "a-1", "b", "empty"]);
        assert_eq!(list.items[1].folder.as_deref(), Some("a"));
        assert!(
            list.items
                .iter()
                .enumerate()
                .all(|(i, item)| item.image.index() == i)
        );
        assert_eq!(list.ignored_files, 3);
        assert_eq!(list.skipped.len(), 1);
        assert_eq!(list.skipped[0].path, "cover.png");
        assert_eq!(source.read(&list.items[0]).unwrap(), b"x");

        let same = ImageFolder::scan(root, &ScanOptions::default()).unwrap();
        assert_eq!(same.list(), list);
        touch(root, "b/2.JPG", b"xx");
        let changed = ImageFolder::scan(root, &ScanOptions::default()).unwrap();
        assert_ne!(changed.list().list_hash, list.list_hash);
    }

    #[test]
    fn a_flat_folder_is_unlabelled() {
        let folder = tempfile::tempdir().unwrap();
        touch(folder.path(), "b.png", b"x");
        touch(folder.path(), "a.gif", b"x");
        let source = ImageFolder::scan(folder.path(), &ScanOptions::default()).unwrap();
        assert_eq!(paths(source.list()), ["a.gif", "b.png"]);
        assert!(source.list().items.iter().all(|item| item.folder.is_none()));
    }

    #[test]
    fn names_the_folder_that_has_nothing() {
        let folder = tempfile::tempdir().unwrap();
        touch(folder.path(), "a/readme.md", b"x");
        for root in [
            folder.path().to_owned(),
            folder.path().join("missing"),
            folder.path().join("a/readme.md"),
        ] {
            let error = ImageFolder::scan(&root, &ScanOptions::default()).unwrap_err();
            assert!(
                error.to_string().contains(root.to_str().unwrap()),
                "{error}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_in_circles() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let root = folder.path();
        touch(root, "a/1.png", b"x");
        touch(elsewhere.path(), "2.png", b"x");
        symlink(root, root.join("a/up")).unwrap();
        symlink(".", root.join("a/self")).unwrap();
        symlink("nowhere", root.join("a/dangling.png")).unwrap();
        symlink("loop.png", root.join("a/loop.png")).unwrap();
        symlink(elsewhere.path(), root.join("b")).unwrap();
        let source = ImageFolder::scan(root, &ScanOptions::default()).unwrap();
        assert_eq!(paths(source.list()), ["a/1.png", "b/2.png"]);
        let skipped: Vec<_> = source
            .list()
            .skipped
            .iter()
            .map(|s| s.path.as_str())
            .collect();
        assert_eq!(skipped, ["a/dangling.png", "a/loop.png", "a/self", "a/up"]);
    }

    #[cfg(unix)]
    #[test]
    fn unreadable_folders_and_odd_names_are_skipped_with_a_reason() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        touch(root, "a/1.png", b"x");
        touch(root, "locked/2.png", b"x");
        fs::write(root.join("a").join(OsStr::from_bytes(b"\xFF.png")), b"x").unwrap();
        let locked = root.join("locked");
        fs::set_permissions(&locked, fs::Permissions::from_mode(0)).unwrap();
        let ignores_permissions = fs::read_dir(&locked).is_ok();
        let source = ImageFolder::scan(root, &ScanOptions::default()).unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
        let skipped: Vec<_> = source
            .list()
            .skipped
            .iter()
            .map(|s| s.path.as_str())
            .collect();
        if ignores_permissions {
            println!("skipped: this user may read everything");
            assert_eq!(skipped, ["a/\u{FFFD}.png"]);
        } else {
            assert_eq!(skipped, ["a/\u{FFFD}.png", "locked"]);
            assert_eq!(paths(source.list()), ["a/1.png"]);
        }
    }

    #[test]
    fn reading_is_bounded_and_stays_inside() {
        let folder = tempfile::tempdir().unwrap();
        touch(folder.path(), "a/1.png", b"12345");
        let options = ScanOptions {
            max_file_bytes: 4,
            ..ScanOptions::default()
        };
        let source = ImageFolder::scan(folder.path(), &options).unwrap();
        let item = source.list().items[0].clone();
        assert!(matches!(
            source.read(&item),
            Err(ReadError::TooLarge { limit_bytes: 4 })
        ));
        for path in ["../x.png", "/etc/hostname", "a/../../x", "a"] {
            let item = ImageItem {
                path: path.to_owned(),
                ..item.clone()
            };
            assert!(source.read(&item).is_err(), "{path}");
        }
        let options = ScanOptions {
            max_entries: 1,
            ..ScanOptions::default()
        };
        assert!(matches!(
            ImageFolder::scan(folder.path(), &options),
            Err(SourceError::TooManyEntries { limit: 1, .. })
        ));
    }

    #[test]
    fn list_hash_survives_json() {
        let hash = ListHash(std::array::from_fn(|i| i as u8 * 7));
        let text = serde_json::to_string(&hash).unwrap();
        assert_eq!(serde_json::from_str::<ListHash>(&text).unwrap(), hash);
        for bad in ["\"\"", "\"zz\"", &format!("\"{}\"", "é".repeat(32))] {
            assert!(serde_json::from_str::<ListHash>(bad).is_err());
        }
    }
}
