//! Bytes wherever they lie: files on disk, web servers and buckets, behind one blocking interface.
//!
//! Place in the flow: below `images` (where pictures come from) and `store` (where shards go). A
//! *location* is a path, or a URL of `http`, `https`, `s3`, `gs`, `az` or `abfs`; [`Objects`] reads, lists
//! and puts, [`ObjectFile`] is a seekable reader over parts.
//!
//! * Every call is bounded in size (the caller's limit) and in time ([`Patience`]): an attempt that takes too long is
//!   given up, failures that may pass (5xx, 429, broken bodies, time-outs) are tried again with growing pauses.
//! * Credentials come from the environment alone (`AWS_*`, `GOOGLE_*`, `AZURE_*`). Neither they nor the query
//!   of a URL occur in an error: errors hold what failed, and [`shown`] is how a location is written.
//! * Errors say the same whenever the same fails: no times, addresses of machines or request numbers.
//!
//! Cost: one request per call; memory is the bytes asked for.

mod error;
mod file;
mod location;
mod remote;

pub use error::ObjectError;
pub use file::ObjectFile;
pub use location::{is_remote, joined, shown};

use remote::Remote;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long and how often is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For one attempt, connection and body together.
    pub attempt: Duration,
    /// Further attempts after the first.
    pub retries: u32,
}

impl Default for Patience {
    /// 30 seconds, 4 further attempts.
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(30),
            retries: 4,
        }
    }
}

/// What a listing or a look at one object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Where it lies.
    pub location: String,
    /// Size.
    pub bytes: u64,
}

/// Access to objects anywhere. Shared by threads; connections are kept.
#[derive(Debug)]
pub struct Objects {
    remote: Remote,
}

impl Objects {
    /// No connection is made yet.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn new(patience: Patience) -> Result<Self, ObjectError> {
        Ok(Self {
            remote: Remote::new(patience)?,
        })
    }

    /// A whole object of at most `limit_bytes`.
    ///
    /// # Errors
    /// It cannot be had, or is larger.
    pub fn read(&self, location: &str, limit_bytes: u64) -> Result<Vec<u8>, ObjectError> {
        if is_remote(location) {
            return self.remote.read(location, limit_bytes);
        }
        read_file(&local(location), limit_bytes)
    }

    /// `length` bytes from `start`; fewer are an error.
    ///
    /// # Errors
    /// They cannot be had.
    pub fn read_part(
        &self,
        location: &str,
        start: u64,
        length: u64,
    ) -> Result<Vec<u8>, ObjectError> {
        if is_remote(location) {
            return self.remote.read_part(location, start, length);
        }
        let file = fs::File::open(local(location))?;
        let mut bytes = Vec::new();
        let mut part = ObjectFile::local(file)?.part(start)?.take(length);
        part.read_to_end(&mut bytes)?;
        if bytes.len() as u64 == length {
            Ok(bytes)
        } else {
            Err(ObjectError::CutOff)
        }
    }

    /// Size of one object.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn info(&self, location: &str) -> Result<ObjectInfo, ObjectError> {
        let bytes = if is_remote(location) {
            self.remote.size(location)?
        } else {
            let metadata = fs::metadata(local(location))?;
            if !metadata.is_file() {
                return Err(ObjectError::NotAFile);
            }
            metadata.len()
        };
        Ok(ObjectInfo {
            location: location.to_owned(),
            bytes,
        })
    }

    /// Objects below a URL, at any depth, sorted by location. Web servers cannot be listed.
    ///
    /// # Errors
    /// The location is local or cannot be listed; more than `most` objects.
    pub fn list(&self, folder: &str, most: u64) -> Result<Vec<ObjectInfo>, ObjectError> {
        self.remote.list(folder, most)
    }

    /// A seekable reader.
    ///
    /// # Errors
    /// The object cannot be had.
    pub fn open(self: &Arc<Self>, location: &str) -> Result<ObjectFile, ObjectError> {
        if is_remote(location) {
            let bytes = self.info(location)?.bytes;
            return self.open_sized(location, bytes);
        }
        self.open_sized(location, 0)
    }

    /// As [`Self::open`], where the size of a remote object is known: it costs no request.
    ///
    /// # Errors
    /// A local object cannot be had.
    pub fn open_sized(
        self: &Arc<Self>,
        location: &str,
        bytes: u64,
    ) -> Result<ObjectFile, ObjectError> {
        if is_remote(location) {
            return Ok(ObjectFile::remote(self, location, bytes));
        }
        let path = local(location);
        // Before opening: opening a pipe would wait for its writer.
        if !fs::metadata(&path)?.is_file() {
            return Err(ObjectError::NotAFile);
        }
        ObjectFile::local(fs::File::open(path)?)
    }

    /// Stores an object in a bucket, replacing what is there.
    ///
    /// # Errors
    /// It cannot be stored.
    pub fn put(&self, location: &str, bytes: Vec<u8>) -> Result<(), ObjectError> {
        self.remote.put(location, bytes, false).map(|_| ())
    }

    /// Stores an object in a bucket unless there is one; false when there is. Of several that try, one
    /// succeeds.
    ///
    /// # Errors
    /// It cannot be stored.
    pub fn put_if_absent(&self, location: &str, bytes: Vec<u8>) -> Result<bool, ObjectError> {
        self.remote.put(location, bytes, true)
    }
}

/// The path of a location on disk.
#[must_use]
pub fn local(location: &str) -> PathBuf {
    PathBuf::from(location)
}

/// A regular file of at most `limit_bytes`.
///
/// # Errors
/// It cannot be read, is no regular file, or is larger.
pub fn read_file(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, ObjectError> {
    // Before opening: opening a pipe would wait for its writer.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(ObjectError::NotAFile);
    }
    let too_large = ObjectError::TooLarge { limit_bytes };
    if metadata.len() > limit_bytes {
        return Err(too_large);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    // The file may grow between the two calls, hence the second bound.
    fs::File::open(path)?
        .take(limit_bytes.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit_bytes {
        return Err(too_large);
    }
    Ok(bytes)
}
