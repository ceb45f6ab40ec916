//! Images in a folder on disk.
//!
//! Place in the flow: the usual [`ImageSource`]. The folder is walked once with an explicit stack; the
//! result is sorted, so that the order in which a system lists a folder never shows. What cannot be
//! read is recorded and passed over.

use super::collect::Collector;
use super::{
    ImageItem, ImageList, ImageSource, Place, ReadError, ScanOptions, SkippedPath, SourceError,
    SourceKind,
};
use std::fs;
use std::path::{Component, Path, PathBuf};
use summit_objects::read_file;

/// Extensions taken for images (lower case); what a file really is its content says.
pub const IMAGE_EXTENSIONS: [&str; 8] = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "gif"];

/// Folders deeper than this are skipped.
const MAX_DEPTH: usize = 64;

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

    /// The list alone.
    pub(super) fn into_list(self) -> ImageList {
        self.list
    }

    /// Reads images below `root` whose paths are known from elsewhere; lists none.
    #[must_use]
    pub fn unlisted(root: PathBuf) -> Self {
        Self {
            list: Collector::new(SourceKind::Folder, root).into_list(),
            max_file_bytes: ScanOptions::default().max_file_bytes,
        }
    }
}

impl ImageSource for ImageFolder {
    fn list(&self) -> &ImageList {
        &self.list
    }

    fn read(&self, item: &ImageItem) -> Result<Vec<u8>, ReadError> {
        read_below(&self.list.root, &item.path, self.max_file_bytes)
    }
}

/// The bytes of a file below a folder.
pub(super) fn read_below(root: &Path, path: &str, limit_bytes: u64) -> Result<Vec<u8>, ReadError> {
    let relative = Path::new(path);
    if !relative
        .components()
        .all(|component| matches!(component, Component::Normal(_)))
    {
        return Err(ReadError::OutsideRoot);
    }
    Ok(read_file(&root.join(relative), limit_bytes)?)
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
        let mut found = Collector::new(SourceKind::Folder, self.root.to_owned());
        found.folders.extend(self.folders);
        found.skipped = self.skipped;
        found.ignored_files = self.ignored_files;
        for (path, size_bytes) in self.found {
            let folder = path.split_once('/').map(|(folder, _)| folder.to_owned());
            found.push(path, folder, Place::Own, &size_bytes.to_le_bytes());
        }
        found.into_list()
    }
}

pub(super) fn has_image_extension(name: &str) -> bool {
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
    use summit_objects::ObjectError;

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
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o0)).unwrap();
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
            Err(ReadError::Object(ObjectError::TooLarge { limit_bytes: 4 }))
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
}
