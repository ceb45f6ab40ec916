//! Images wherever they are: tells what a location means, lists it, and reads.
//!
//! Place in the flow: what a run opens. `{000..146}` in a location stands for every number between; a
//! folder that holds archives or tables is a set of them, any other is a folder of images.

use super::archive::{self, OpenArchive, is_archive};
use super::collect::{Collector, is_plain};
use super::folder::{has_image_extension, read_below};
use super::table::{self, OpenTable};
use super::{
    ImageFolder, ImageItem, ImageList, ImageSource, Place, ReadError, ScanOptions, SourceError,
    SourceKind, listed,
};
use std::path::Path;
use std::sync::Arc;
use summit_objects::{ObjectInfo, Objects, is_remote, joined, shown};

/// Images read at a time from elsewhere, beside those in work.
const READ_AHEAD: usize = 16;
/// Locations one pattern may stand for.
const MOST_LOCATIONS: u64 = 1 << 20;

/// Every source, behind one list.
#[derive(Debug)]
pub struct Images {
    list: ImageList,
    objects: Arc<Objects>,
    max_file_bytes: u64,
    containers: Vec<Container>,
}

#[derive(Debug)]
enum Container {
    Archive(OpenArchive),
    Table(OpenTable),
}

impl Images {
    /// Lists what lies at a location.
    ///
    /// # Errors
    /// It cannot be read, or holds no image. Anything that cannot be read further down is recorded in
    /// [`ImageList::skipped`] instead.
    pub fn open(
        location: &str,
        objects: &Arc<Objects>,
        options: &ScanOptions,
    ) -> Result<Self, SourceError> {
        let root = absolute(location);
        let list = list_of(&root, objects, options)?;
        if list.items.is_empty() {
            return Err(SourceError::NoImages {
                root: shown(&root).into(),
                ignored: list.ignored_files,
                skipped: list.skipped.len(),
            });
        }
        Ok(Self::of_list(list, objects, options))
    }

    /// Reads the images of a list made before; nothing is listed.
    #[must_use]
    pub fn of_list(list: ImageList, objects: &Arc<Objects>, options: &ScanOptions) -> Self {
        let open = |location: &String| match list.kind {
            SourceKind::Tables => Container::Table(OpenTable::new(location.clone())),
            _ => Container::Archive(OpenArchive::new(location.clone())),
        };
        Self {
            containers: list.containers.iter().map(open).collect(),
            objects: Arc::clone(objects),
            max_file_bytes: options.max_file_bytes,
            list,
        }
    }

    fn container(&self, index: u32) -> Result<&Container, ReadError> {
        let missing = || ReadError::Table("there is no such container".to_owned());
        self.containers.get(index as usize).ok_or_else(missing)
    }

    /// The bytes of a file below the root, or below the folder of a list.
    fn below(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        let root = &self.list.root;
        let folder = match self.list.kind {
            SourceKind::List => root.parent().unwrap_or(Path::new("")),
            _ => root,
        };
        let text = folder.to_string_lossy();
        if !is_remote(&root.to_string_lossy()) {
            return read_below(folder, path, self.max_file_bytes);
        }
        if !is_plain(path) {
            return Err(ReadError::OutsideRoot);
        }
        Ok(self
            .objects
            .read(&joined(&text, path), self.max_file_bytes)?)
    }
}

impl ImageSource for Images {
    fn list(&self) -> &ImageList {
        &self.list
    }

    fn read(&self, item: &ImageItem) -> Result<Vec<u8>, ReadError> {
        match &item.place {
            Place::Own => self.below(&item.path),
            Place::File(location) if is_remote(location) => {
                Ok(self.objects.read(location, self.max_file_bytes)?)
            }
            Place::File(path) => self.below(path),
            &Place::Part {
                container,
                start,
                bytes,
            } => match self.container(container)? {
                Container::Archive(archive) if bytes <= self.max_file_bytes => {
                    Ok(archive.read(&self.objects, start, bytes)?)
                }
                _ => Err(summit_objects::ObjectError::TooLarge {
                    limit_bytes: self.max_file_bytes,
                }
                .into()),
            },
            &Place::Row { container, row } => match self.container(container)? {
                Container::Table(table) => table.read(&self.objects, row, self.max_file_bytes),
                Container::Archive(_) => Err(ReadError::Table("it is no table".to_owned())),
            },
        }
    }

    fn read_ahead(&self) -> usize {
        let remote = |location: &str| is_remote(location);
        let elsewhere = remote(&self.list.root.to_string_lossy())
            || self.list.containers.iter().any(|location| remote(location))
            || self
                .list
                .items
                .iter()
                .any(|item| matches!(&item.place, Place::File(location) if remote(location)));
        if elsewhere { READ_AHEAD } else { 0 }
    }
}

/// A path on disk from the root, so that it means the same to every process; anything else as it is.
fn absolute(location: &str) -> String {
    let local = location.strip_prefix("file://").unwrap_or(location);
    if is_remote(local) {
        return local.to_owned();
    }
    std::path::absolute(local)
        .ok()
        .and_then(|path| path.into_os_string().into_string().ok())
        .unwrap_or_else(|| local.to_owned())
}

fn list_of(
    root: &str,
    objects: &Arc<Objects>,
    options: &ScanOptions,
) -> Result<ImageList, SourceError> {
    let locations = expanded(root).map_err(|reason| SourceError::Object {
        location: shown(root),
        reason: reason.to_owned(),
    })?;
    let path = || root.into();
    let all = |test: fn(&str) -> bool| locations.iter().all(|location| test(location));
    if all(is_archive) {
        return Ok(archive::list(objects, path(), locations, options).into_list());
    }
    if all(is_parquet) {
        return tables_or_list(root, locations, objects, options);
    }
    if listed::separator(root).is_some() {
        return Ok(listed::list(objects, root, options)?.into_list());
    }
    if is_remote(root) {
        return bucket(root, objects, options);
    }
    let inside = top_level(Path::new(root));
    let of = |test: fn(&str) -> bool| -> Vec<String> {
        inside.iter().filter(|name| test(name)).cloned().collect()
    };
    let (archives, tables) = (of(is_archive), of(is_parquet));
    if !archives.is_empty() {
        return Ok(archive::list(objects, path(), archives, options).into_list());
    }
    if !tables.is_empty() {
        return tables_or_list(root, tables, objects, options);
    }
    ImageFolder::scan(Path::new(root), options).map(ImageFolder::into_list)
}

fn is_parquet(location: &str) -> bool {
    location.ends_with(".parquet")
}

/// Tables hold images, or locations of images.
fn tables_or_list(
    root: &str,
    tables: Vec<String>,
    objects: &Arc<Objects>,
    options: &ScanOptions,
) -> Result<ImageList, SourceError> {
    if let [only] = tables.as_slice() {
        let table = OpenTable::new(only.clone());
        let has_images = table.has_images(objects);
        if !has_images.map_err(|reason| SourceError::Object {
            location: shown(only),
            reason,
        })? {
            return Ok(listed::list(objects, only, options)?.into_list());
        }
    }
    Ok(table::list(objects, root.into(), tables, options).into_list())
}

/// Files right below a folder, sorted.
fn top_level(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.path().is_file());
    let mut files: Vec<String> = files
        .filter_map(|entry| entry.path().into_os_string().into_string().ok())
        .collect();
    files.sort_unstable();
    files
}

/// A folder in a bucket.
fn bucket(
    root: &str,
    objects: &Arc<Objects>,
    options: &ScanOptions,
) -> Result<ImageList, SourceError> {
    let listing = objects.list(root, options.max_entries);
    let found = listing.map_err(|error| SourceError::Object {
        location: shown(root),
        reason: error.to_string(),
    })?;
    let of = |test: fn(&str) -> bool| -> Vec<String> {
        let locations = found.iter().map(|object| object.location.clone());
        locations.filter(|location| test(location)).collect()
    };
    let (archives, tables) = (of(is_archive), of(is_parquet));
    if !archives.is_empty() {
        return Ok(archive::list(objects, root.into(), archives, options).into_list());
    }
    if !tables.is_empty() {
        return Ok(table::list(objects, root.into(), tables, options).into_list());
    }
    Ok(bucket_folder(root, &found))
}

/// As a folder on disk: class folders, or unlabelled images.
fn bucket_folder(root: &str, objects: &[ObjectInfo]) -> ImageList {
    let mut found = Collector::new(SourceKind::Folder, root.into());
    let start = format!("{}/", joined(root, "").trim_end_matches('/'));
    let relative = |object: &ObjectInfo| {
        let path = object.location.strip_prefix(&start)?;
        Some(listed::percent_decoded(path))
    };
    let images: Vec<(String, u64)> = objects
        .iter()
        .filter_map(|object| Some((relative(object)?, object.bytes)))
        .collect();
    let labelled = images.iter().any(|(path, _)| path.contains('/'));
    for (path, bytes) in images {
        let hidden = path.split('/').any(|part| part.starts_with('.'));
        if hidden || !has_image_extension(&path) {
            found.ignored_files += 1;
        } else if labelled && !path.contains('/') {
            found.skip(
                &path,
                "it lies beside the class folders, so it has no class",
            );
        } else {
            found.name(&path, None, Place::Own, &bytes.to_le_bytes());
        }
    }
    found.into_list()
}

/// `a-{000..146}.tar` as its locations; digits keep their number where the first has leading zeros.
fn expanded(location: &str) -> Result<Vec<String>, &'static str> {
    let range = location.split_once('{').and_then(|(before, rest)| {
        let (range, after) = rest.split_once('}')?;
        let (first, last) = range.split_once("..")?;
        Some((before, first, last, after))
    });
    let Some((before, first, last, after)) = range else {
        return Ok(vec![location.to_owned()]);
    };
    let number = |text: &str| text.parse::<u64>().map_err(|_| "{ } holds no numbers");
    let (from, to) = (number(first)?, number(last)?);
    if to < from || to - from >= MOST_LOCATIONS {
        return Err("{ } holds no numbers in order, or too many");
    }
    let width = first.len();
    Ok((from..=to)
        .map(|number| format!("{before}{number:0width$}{after}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_every_number() {
        assert_eq!(
            expanded("a-{08..10}.tar").unwrap(),
            ["a-08.tar", "a-09.tar", "a-10.tar"]
        );
        assert_eq!(expanded("a.tar").unwrap(), ["a.tar"]);
        assert!(expanded("{5..1}").is_err());
        assert!(expanded("{1..99999999999}").is_err());
        assert!(expanded("{a..b}").is_err());
    }
}
