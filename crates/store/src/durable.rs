//! Files that are either there in full or not at all.
//!
//! Place in the flow: below everything that writes. A file counts as written after its bytes and
//! the folder that names it have been flushed to the device (`fsync`); a rename inside one folder
//! replaces its target atomically.

use crate::error::{IoContext, StoreError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Prefix of everything that may be removed at any time no process holds the lock.
pub(crate) const TEMPORARY_PREFIX: &str = ".tmp-";

/// Size and content of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path relative to the run (or shard) folder, `/` separated.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the content, lower-case hexadecimal.
    pub sha256: String,
}

/// Lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// SHA-256 of a text, hexadecimal.
pub(crate) fn sha256_of_text(text: &str) -> String {
    hexadecimal(&Sha256::digest(text.as_bytes()))
}

/// A file that knows the size and hash of what has been written to it.
pub(crate) struct HashingFile {
    file: File,
    hasher: Sha256,
    bytes: u64,
    failure: Arc<OnceLock<io::ErrorKind>>,
}

impl HashingFile {
    pub(crate) fn create(path: &Path) -> Result<Self, StoreError> {
        let file = File::create(path).context("create the file", path)?;
        Ok(Self {
            file,
            hasher: Sha256::new(),
            bytes: 0,
            failure: Arc::default(),
        })
    }

    /// Where the kind of the first failed write will be found: encoders on top of the file turn
    /// errors into text.
    pub(crate) fn failure(&self) -> Arc<OnceLock<io::ErrorKind>> {
        Arc::clone(&self.failure)
    }

    /// Flushes to the device. `relative` is the path the entry is to carry.
    pub(crate) fn finish(self, path: &Path, relative: &str) -> Result<FileEntry, StoreError> {
        self.file.sync_all().context("flush the file", path)?;
        Ok(FileEntry {
            path: relative.to_owned(),
            bytes: self.bytes,
            sha256: hexadecimal(&self.hasher.finalize()),
        })
    }
}

impl Write for HashingFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buffer).inspect_err(|error| {
            // Only the first one counts.
            let _ = self.failure.set(error.kind());
        })?;
        if let Some(part) = buffer.get(..written) {
            self.hasher.update(part);
        }
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Compares a file with its entry: size always, content when `hash` is set. The error is one
/// sentence naming the file.
pub(crate) fn check_file(path: &Path, entry: &FileEntry, hash: bool) -> Result<(), String> {
    let length = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) => return Err(format!("{} cannot be read: {error}", entry.path)),
    };
    if length != entry.bytes {
        return Err(format!(
            "{} has {length} bytes instead of {}",
            entry.path, entry.bytes
        ));
    }
    if hash {
        let found = sha256_of_file(path)
            .map_err(|error| format!("{} cannot be read: {error}", entry.path))?;
        if found != entry.sha256 {
            return Err(format!("the content of {} has changed", entry.path));
        }
    }
    Ok(())
}

/// Hash of a file, read in pieces of 128 KiB.
fn sha256_of_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 128 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else {
            return Ok(hexadecimal(&hasher.finalize()));
        };
        hasher.update(part);
    }
}

/// Flushes a folder, so that the names in it survive a power failure.
pub(crate) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    // Only Unix can open a folder as a file; elsewhere the file system orders names itself.
    if cfg!(unix) {
        let folder = File::open(path).context("open the folder", path)?;
        folder.sync_all().context("flush the folder", path)?;
    }
    Ok(())
}

/// Flushes a folder and all folders in it (files are flushed when they are written).
pub(crate) fn sync_tree(path: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(path).context("list the folder", path)? {
        let entry = entry.context("list the folder", path)?;
        let kind = entry.file_type().context("examine", &entry.path())?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    sync_folder(path)
}

/// Replaces `folder/name` by `text`, atomically and durably.
pub(crate) fn replace_file(folder: &Path, name: &str, text: &str) -> Result<(), StoreError> {
    let target = folder.join(name);
    let temporary = folder.join(format!("{TEMPORARY_PREFIX}{name}"));
    let result = write_and_sync(&temporary, text).and_then(|()| {
        fs::rename(&temporary, &target).context("put the file in place", &target)?;
        sync_folder(folder)
    });
    if result.is_err() {
        // The first error matters; what is left is removed at the next start.
        let _ = fs::remove_file(&temporary);
    }
    result
}

fn write_and_sync(path: &Path, text: &str) -> Result<(), StoreError> {
    let mut file = File::create(path).context("create the file", path)?;
    file.write_all(text.as_bytes())
        .context("write the file", path)?;
    file.sync_all().context("flush the file", path)
}

/// Reads a whole text file of at most `limit_bytes`.
pub(crate) fn read_text(path: &Path, limit_bytes: u64) -> Result<String, StoreError> {
    let file = File::open(path).context("open the file", path)?;
    let mut text = String::new();
    // One byte more than allowed tells "exactly the limit" from "too long".
    file.take(limit_bytes.saturating_add(1))
        .read_to_string(&mut text)
        .context("read the file", path)?;
    if text.len() as u64 > limit_bytes {
        return Err(StoreError::manifest(
            path,
            format!("longer than {limit_bytes} bytes"),
        ));
    }
    Ok(text)
}

/// Removes a folder or file if it is there.
pub(crate) fn remove_if_present(path: &Path) -> Result<(), StoreError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::io("examine", path, error)),
    };
    if metadata.is_dir() {
        fs::remove_dir_all(path).context("remove the folder", path)
    } else {
        fs::remove_file(path).context("remove the file", path)
    }
}

/// Removes what an interrupted process left in a folder: every entry with the temporary prefix.
pub(crate) fn remove_leftovers(folder: &Path) -> Result<(), StoreError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::io("list the folder", folder, error)),
    };
    for entry in entries {
        let entry = entry.context("list the folder", folder)?;
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with(TEMPORARY_PREFIX)
        {
            remove_if_present(&entry.path())?;
        }
    }
    Ok(())
}
