//! WebDataset archives: tar files with an image `key.jpg` and its class in `key.cls` or `key.json`.
//!
//! Place in the flow: makes the list; the bytes of an image are then a part of the archive. A tar is read
//! member by member, in blocks where it is remote. A `.tar.gz` has no parts: it is unpacked into a
//! nameless temporary file, bounded in size. Headers are parsed by the `tar` crate in its raw mode, so that
//! nothing is allocated by what a header claims; long names are read here, bounded.

use super::collect::Collector;
use super::folder::has_image_extension;
use super::{Place, ScanOptions, SourceKind};
use flate2::read::MultiGzDecoder;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use summit_objects::{ObjectError, ObjectFile, Objects, shown};
use tar::{Archive, EntryType};

/// Endings of packed archives.
const PACKED: [&str; 2] = [".tar.gz", ".tgz"];
/// A packed archive may unpack to so many bytes and so many times its size: images hardly pack.
const UNPACKED: [u64; 2] = [64 << 20, 100];
/// Longest name read, bytes.
const LONGEST_NAME_BYTES: u64 = 64 << 10;
/// Longest file beside an image read, bytes.
const LONGEST_SIDECAR_BYTES: u64 = 1 << 20;
/// Fields of a `.json` that may hold the class, best first.
const JSON_FIELDS: [&str; 5] = ["class_name", "wnid", "label", "cls", "class"];

/// Whether a location is an archive by its name.
pub(super) fn is_archive(location: &str) -> bool {
    location.ends_with(".tar") || is_packed(location)
}

fn is_packed(location: &str) -> bool {
    PACKED.iter().any(|ending| location.ends_with(ending))
}

/// An archive, ready for reading parts.
#[derive(Debug)]
pub(super) struct OpenArchive {
    location: String,
    /// A packed one, unpacked when first needed.
    unpacked: OnceLock<Result<Mutex<File>, String>>,
}

impl OpenArchive {
    pub(super) fn new(location: String) -> Self {
        Self {
            location,
            unpacked: OnceLock::new(),
        }
    }

    /// Bytes of a member.
    pub(super) fn read(
        &self,
        objects: &Arc<Objects>,
        start: u64,
        bytes: u64,
    ) -> Result<Vec<u8>, ObjectError> {
        if !is_packed(&self.location) {
            return objects.read_part(&self.location, start, bytes);
        }
        let file = self
            .unpacked
            .get_or_init(|| unpack(objects, &self.location).map(Mutex::new));
        let file = file
            .as_ref()
            .map_err(|reason| io::Error::other(reason.clone()))?;
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start))?;
        let mut member = Vec::new();
        file.by_ref().take(bytes).read_to_end(&mut member)?;
        if member.len() as u64 == bytes {
            Ok(member)
        } else {
            Err(ObjectError::CutOff)
        }
    }
}

/// A packed archive as a file without a name.
fn unpack(objects: &Arc<Objects>, location: &str) -> Result<File, String> {
    let packed = objects.open(location).map_err(|error| error.to_string())?;
    let [free, times] = UNPACKED;
    let limit = packed
        .size_bytes()
        .saturating_mul(times)
        .saturating_add(free);
    let mut file = tempfile::tempfile().map_err(|error| error.to_string())?;
    let mut decoder = MultiGzDecoder::new(packed).take(limit.saturating_add(1));
    let written = io::copy(&mut decoder, &mut file)
        .map_err(|error| format!("it cannot be unpacked: {error}"))?;
    if written > limit {
        return Err(format!("it unpacks to more than {limit} bytes"));
    }
    file.rewind().map_err(|error| error.to_string())?;
    Ok(file)
}

/// Lists the images of all archives. One that cannot be read, or not to its end, is passed over from there on.
pub(super) fn list(
    objects: &Arc<Objects>,
    root: PathBuf,
    containers: Vec<String>,
    options: &ScanOptions,
) -> Collector {
    let mut all = Collector::new(SourceKind::Archives, root.clone());
    for (container, location) in (0..).zip(&containers) {
        let mut scan = Scan {
            container,
            found: Collector::new(SourceKind::Archives, root.clone()),
            images: Vec::new(),
            classes: HashMap::new(),
        };
        let outcome = open(objects, location)
            .and_then(|file| scan.run(file, options).map_err(|error| error.to_string()));
        let mut found = scan.finish();
        if let Err(reason) = outcome {
            found.skip(&shown(location), reason);
        }
        all.append(found);
    }
    all.containers = containers;
    all
}

fn open(objects: &Arc<Objects>, location: &str) -> Result<ObjectFile, String> {
    if is_packed(location) {
        let file = unpack(objects, location)?;
        ObjectFile::local(file).map_err(|error| error.to_string())
    } else {
        objects.open(location).map_err(|error| error.to_string())
    }
}

/// One archive being listed. Memory: names of its images, classes of its keys.
struct Scan {
    container: u32,
    found: Collector,
    /// Name, first byte, size.
    images: Vec<(String, u64, u64)>,
    /// Key to the word of its class.
    classes: HashMap<String, String>,
}

impl Scan {
    fn run(&mut self, file: ObjectFile, options: &ScanOptions) -> io::Result<()> {
        let mut archive = Archive::new(file);
        let mut long_name = None;
        let mut members = 0;
        for entry in archive.entries_with_seek()?.raw(true) {
            let mut entry = entry?;
            members += 1;
            if members > options.max_entries {
                return Err(io::Error::other("it holds too many members"));
            }
            let kind = entry.header().entry_type();
            match kind {
                EntryType::GNULongName => {
                    let text = bounded(&mut entry, LONGEST_NAME_BYTES)?;
                    long_name = Some(text.trim_end_matches('\0').to_owned());
                    continue;
                }
                EntryType::XHeader => {
                    let text = bounded(&mut entry, LONGEST_NAME_BYTES)?;
                    long_name = pax_path(&text).or(long_name);
                    continue;
                }
                _ => {}
            }
            let name = match long_name.take() {
                Some(name) => name,
                None => String::from_utf8_lossy(&entry.path_bytes()).into_owned(),
            };
            if kind.is_file() || kind == EntryType::Continuous {
                self.member(name, &mut entry)?;
            }
        }
        Ok(())
    }

    fn member(&mut self, name: String, entry: &mut tar::Entry<'_, ObjectFile>) -> io::Result<()> {
        let file_name = name.rsplit('/').next().unwrap_or_default();
        if file_name.starts_with('.') {
            self.found.ignored_files += 1;
        } else if has_image_extension(&name) {
            self.images
                .push((name, entry.raw_file_position(), entry.size()));
        } else if name.ends_with(".cls") {
            let text = bounded(entry, LONGEST_SIDECAR_BYTES)?;
            self.classes.insert(key(&name).to_owned(), text);
        } else if name.ends_with(".json") {
            let text = bounded(entry, LONGEST_SIDECAR_BYTES)?;
            if let Some(class) = class_in_json(&text) {
                self.classes.entry(key(&name).to_owned()).or_insert(class);
            }
        } else {
            self.found.ignored_files += 1;
        }
        Ok(())
    }

    fn finish(mut self) -> Collector {
        for (name, start, bytes) in std::mem::take(&mut self.images) {
            let class = self.classes.get(key(&name)).cloned();
            let place = Place::Part {
                container: self.container,
                start,
                bytes,
            };
            self.found.name(&name, class, place, &bytes.to_le_bytes());
        }
        self.found
    }
}

/// A member's name up to the first dot of its last part: what belongs together has one key.
fn key(name: &str) -> &str {
    let folder = name.rfind('/').map_or(0, |slash| slash + 1);
    let file = name.get(folder..).unwrap_or_default();
    let dot = file.find('.').unwrap_or(file.len());
    name.get(..folder + dot).unwrap_or(name)
}

/// A short text; what is not Unicode in it is replaced.
fn bounded(entry: &mut impl Read, limit_bytes: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    entry.take(limit_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit_bytes {
        return Err(io::Error::other("a name or description in it is too long"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `path` of a POSIX header: lines `length key=value`.
fn pax_path(text: &str) -> Option<String> {
    let mut paths = text.lines().filter_map(|line| {
        let (_, record) = line.split_once(' ')?;
        record.strip_prefix("path=").map(str::to_owned)
    });
    paths.next_back()
}

fn class_in_json(text: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    if let Some(number) = value.as_u64() {
        return Some(number.to_string());
    }
    JSON_FIELDS
        .iter()
        .find_map(|field| match value.get(field)? {
            serde_json::Value::String(word) => Some(word.clone()),
            serde_json::Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_together_has_one_key() {
        for (name, wanted) in [
            ("a/b.c/1.left.png", "a/b.c/1"),
            ("1.cls", "1"),
            ("a/1", "a/1"),
            (".x", ""),
        ] {
            assert_eq!(key(name), wanted);
        }
    }

    #[test]
    fn a_class_is_a_word_or_a_number() {
        for (text, wanted) in [
            ("{\"label\": 3}", Some("3")),
            ("{\"label\": 3, \"class_name\": \"ash\"}", Some("ash")),
            ("7", Some("7")),
            ("{\"label\": [1]}", None),
            ("no json", None),
        ] {
            assert_eq!(class_in_json(text).as_deref(), wanted, "{text}");
        }
        assert_eq!(
            pax_path("11 path=a/b\n20 mtime=1.5\n").as_deref(),
            Some("a/b")
        );
    }
}
